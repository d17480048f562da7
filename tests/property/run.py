#!/usr/bin/python3
"""Random schemas, operations, writers, roads and faults, by seed; README.md.

    tests/property/run.py [--count 100] [--seed 1] [--seconds 0] [--pg 15,18] [--jobs 2] [--plans]
    tests/property/run.py --pg 18 --case 4711 [--ops 0,2] [--tables 1] [--writers 1] [--no-faults] [--road done] [--rows 7]
"""

import argparse
import multiprocessing
import os
import queue
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "integration")]

from lib.jobs import end, next_result  # noqa: E402
from property.campaign import play, shrink  # noqa: E402
from property.case import Options  # noqa: E402
from property.road import ROADS  # noqa: E402


def numbers(text):
    return tuple(int(n) for n in text.split(",") if n)


def parse_arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=100, help="cases a version")
    parser.add_argument("--seed", type=int, default=1, help="of the first case; the next has the next")
    parser.add_argument("--seconds", type=int, default=0, help="no case begins later; 0: all of them")
    parser.add_argument("--pg", type=numbers, default=numbers(os.environ.get("SEGUE_PG", "15,18")))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--case", type=int, help="one case by its seed")
    parser.add_argument("--ops", type=numbers)
    parser.add_argument("--tables", type=numbers)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--road", default="", choices=["", *ROADS])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--plans", action="store_true", help="only what plan says, against plain DDL")
    parser.add_argument("--no-shrink", action="store_true")
    return parser.parse_args(words)


def worker(args, todo, done):
    from property.stage import Stage

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    stages = {}
    try:
        while True:
            try:
                version, seed = todo.get(timeout=1)
            except queue.Empty:
                break
            if version not in stages:
                stages[version] = Stage(version)
            outcome = play(stages[version], Options(seed, plans=args.plans), 40)
            smallest = outcome
            if outcome.wrong and not args.no_shrink:
                smallest = shrink(stages[version], outcome)
            done.put((version, seed, outcome, smallest))
    except BaseException:
        done.put((None, None, traceback.format_exc(), None))
        raise
    finally:
        for stage in stages.values():
            stage.close()


def line_of(version, outcome):
    facts = outcome.facts
    what = "FAILED" if outcome.wrong else f"nothing ({outcome.nothing})" if outcome.nothing else "ok"
    return (f"{what:6} {outcome.took_s:5.1f} s  SEGUE_PG={version} tests/property/run.py {outcome.options.words()}  "
            f"{'+'.join(outcome.ops)} {facts.get('road', '')} {'+'.join(facts.get('faults', []))}")


def tell(version, outcome, smallest):
    print(f"{outcome.wrong.splitlines()[0][:400]}\nthe smallest that was found:\n{line_of(version, smallest)}\n{smallest.wrong}\n"
          f"{smallest.told}", flush=True)


def campaign(args, seeds=None, version=None):
    """Failures as lines; says each case as it comes."""
    todo, done = multiprocessing.Queue(), multiprocessing.Queue()
    cases = [(v, s) for s in seeds or range(args.seed, args.seed + args.count) for v in ([version] if version else args.pg)]
    began, failures, refusals, ends, ops, rows = time.monotonic(), [], Counter(), Counter(), Counter(), 0
    jobs = [multiprocessing.Process(target=worker, args=(args, todo, done)) for _ in range(min(args.jobs, len(cases)))]
    for job in jobs:
        job.start()
    given = 0

    def give():
        nonlocal given
        if given < len(cases) and not (args.seconds and time.monotonic() - began > args.seconds):
            todo.put(cases[given])
            given += 1

    try:
        for _ in jobs:
            give()
            give()
        n = 0
        while n < given:
            result = next_result(done, jobs)
            if result is None:
                return failures + ["the workers have ended without a word"]
            v, _seed, outcome, smallest = result
            if v is None:
                return failures + [outcome]
            n += 1
            print(f"{n} {line_of(v, outcome)}", flush=True)
            ends["failed" if outcome.wrong else "nothing" if outcome.nothing else "ok"] += 1
            refusals += outcome.refusals
            ops.update(outcome.ops)
            rows += outcome.facts.get("rows", 0)
            if outcome.wrong:
                failures.append(line_of(v, smallest) + "\n" + smallest.wrong)
                tell(v, outcome, smallest)
            give()
    finally:
        end(jobs, 60)
    print(f"\n{n} cases in {time.monotonic() - began:.0f} s: {dict(ends)}; {rows} rows compared; operations {dict(ops)}")
    print("refused by plan:\n" + "\n".join(f"  {count:4} {reason}" for reason, count in refusals.most_common()))
    return failures


def one(args):
    from property.stage import Stage

    options = Options(args.case, args.ops, args.tables, args.writers, not args.no_faults, args.road, args.rows, args.plans)
    failed = False
    for version in args.pg:
        stage = Stage(version)
        try:
            outcome = play(stage, options, 60)
            print(line_of(version, outcome))
            print("\n".join(f"  refused: {reason}" for reason in outcome.refusals))
            if outcome.wrong:
                failed = True
                print(outcome.wrong, outcome.told, sep="\n")
        finally:
            stage.close()
    return failed


def main():
    args = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if args.case is not None:
        sys.exit(1 if one(args) else 0)
    failures = campaign(args)
    print("\n".join(f"FAILED {failure.splitlines()[0]}" for failure in failures))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
