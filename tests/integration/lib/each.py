"""Cases that need nothing of their own are played in one test: a test's beginning and end cost more than most of them."""

import functools
import inspect
import itertools


def each(**axes):
    """Calls the test with every combination of the values; it fails in the end, with the names of all that have failed."""
    def decorate(test):
        signature = inspect.signature(test)
        rest = [p for name, p in signature.parameters.items() if name not in axes]

        @functools.wraps(test)
        def play(**fixtures):
            failed, first = [], None
            for values in itertools.product(*axes.values()):
                try:
                    test(**fixtures, **dict(zip(axes, values)))
                except Exception as error:
                    first = first or error
                    failed.append(f"{', '.join(str(getattr(v, 'name', v)) for v in values)}: {type(error).__name__}: {error}")
            if failed:
                raise AssertionError("\n".join([f"{len(failed)} cases have failed", *failed])) from first

        play.__signature__ = signature.replace(parameters=rest)
        return play

    return decorate
