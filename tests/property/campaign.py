"""Cases by number; a failure is made smaller before it is told."""

import time
import traceback
from collections import Counter
from dataclasses import dataclass, field, replace

from property.case import Case, Nothing

SHRINKS_MAX = 14


@dataclass
class Outcome:
    options: object
    wrong: str = None
    nothing: str = None
    told: str = ""
    took_s: float = 0.0
    refusals: Counter = field(default_factory=Counter)
    facts: dict = field(default_factory=dict)
    ops: list = field(default_factory=list)
    chosen: tuple = ()
    tables: tuple = ()


def play(stage, options, log_lines=0):
    began = time.monotonic()
    out = Outcome(options)
    case = Case(stage, options)
    try:
        case.run()
    except Nothing as nothing:
        out.nothing = str(nothing)
    except Exception as error:  # pylint: disable=broad-except
        out.wrong = f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-3) if not isinstance(error, AssertionError) else ''}"
        out.told = case.describe()
        if log_lines and case.proxy:
            out.told += "\n---- segue\n" + case.proxy.log_tail(log_lines)
    finally:
        out.refusals, out.facts = case.refusals, case.facts
        out.chosen = tuple(case.chosen)
        out.ops = [op.kind for op in case.ops]
        if case.ops:
            out.tables = case.tables_named()
        case.close()
    out.took_s = time.monotonic() - began
    return out


def smaller(outcome):
    """What to try, what takes most away first."""
    options, facts = outcome.options, outcome.facts
    if options.faults and facts.get("faults"):
        yield replace(options, faults=False)
    for writers in () if options.plans else (1, 3):
        if options.writers > writers:
            yield replace(options, writers=writers)
    if len(outcome.chosen) > 1:
        for left_out in outcome.chosen:
            yield replace(options, ops=tuple(n for n in outcome.chosen if n != left_out))
    if outcome.tables and outcome.tables != options.tables:
        yield replace(options, tables=outcome.tables)
    road = options.road or facts.get("road")
    for easier in {"again": ("done", "back"), "back": ("abort", "done"), "done": ("abort",), "abort": ("early",)}.get(road, ()):
        yield replace(options, road=easier)
    if options.rows > 7:
        yield replace(options, rows=7)


def shrink(stage, outcome):
    """The smallest that still fails, of a bounded number of tries."""
    tries = 0
    best = outcome
    again = True
    while again and tries < SHRINKS_MAX:
        again = False
        for options in smaller(best):
            if tries >= SHRINKS_MAX:
                break
            tries += 1
            got = play(stage, options, 40)
            if got.wrong:
                best, again = got, True
                break
    return best
