"""Runs checks in the order of their definition and prints one line for each.

A check is a function that gives what it saw; the runner compares that between ways to connect. A check
that raises has failed.
"""

import inspect
import os
import sys
from pathlib import Path

TYPES_SQL = (Path(__file__).resolve().parents[1] / "types.sql").read_text(encoding="utf-8")
KEPT = ("SELECT label, amount FROM kept WHERE id = %s", "UPDATE kept SET amount = amount + 1 WHERE id = %s RETURNING amount")

_checks = []


def check(function):
    _checks.append(function)
    return function


def must(condition, what="condition"):
    if not condition:
        raise AssertionError(what)


def report(name, seen):
    print(f"ok {name}: {seen!r}", flush=True)


def failed(name, problem):
    print(f"FAILED {name}: {type(problem).__name__}: {problem}".replace("\n", " / "), flush=True)


def run(connect, close=lambda c: c.close()):
    """Each check gets a connection of its own."""
    bad = 0
    for function in _checks:
        conn = connect()
        try:
            report(function.__name__, function(conn))
        except Exception as problem:  # whatever it is, the next check runs
            failed(function.__name__, problem)
            bad = 1
        finally:
            close(conn)
    sys.exit(bad)


async def run_async(connect):
    bad = 0
    for function in _checks:
        conn = await connect()
        try:
            seen = function(conn)
            report(function.__name__, await seen if inspect.isawaitable(seen) else seen)
        except BaseException as problem:
            failed(function.__name__, problem)
            bad = 1
        finally:
            await conn.close()
    return bad


def environment(name, default=None):
    return os.environ.get(name, default)
