#!/usr/bin/python3
"""make rewrite: generated statements on an expanded schema, against one side's own, on PostgreSQL 15 to 18.

    run.py [--seed N] [--count N] [--side old|new] [--phase P] [--alone] [--number N]

--count is per version, side and phase, each of which has other statements. --number plays one case alone and shows
it, with what was sent. --alone leaves segue out: rewrite.c rewrites. SEGUE_PG selects versions. The last line is
"N cases, N differences"; exit 1 when there are any.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

from lib.cluster import Clusters, versions  # noqa: E402
from rewrite import campaign, hand  # noqa: E402
from rewrite.stage import PHASES, SIDES, Stage  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--number", type=int)
    parser.add_argument("--side", choices=SIDES, action="append")
    parser.add_argument("--phase", choices=PHASES, action="append")
    parser.add_argument("--alone", action="store_true", help="the SQL layer by itself")
    parser.add_argument("--max", type=int, default=5, help="differences a version, side and phase, then on to the next")
    return parser.parse_args()


def show(number, case, difference):
    print(f"-- {number}\n{case}\n{difference}\n", flush=True)


def play(stage, phase, side, args):
    """(cases, differences) of one side in one phase: first those by hand, then the generated ones."""
    pair, grammar = stage.pair(side), stage.grammar(side, args.seed)
    if args.number is not None:
        case = grammar.generate(args.number).case()
        found = pair.run(case)
        print(f"{case}\n" + "\n".join(f"{a}" for a in map(pair.rewriter.ask, case.steps)))
        print(found or "no difference")
        return 1, found is not None
    begin = time.monotonic()
    by_hand = hand.run(pair, side, stage.cluster.version, show)
    numbers = range(args.count)
    report = campaign.run(pair, grammar, numbers, args.max, show=show)
    print(f"pg{stage.cluster.version} {phase} {side}: {by_hand[0]} by hand, {by_hand[1]} differences; seed {args.seed}: {report} "
          f"({time.monotonic() - begin:.0f} s)", flush=True)
    return by_hand[0] + report.cases, by_hand[1] + len(report.found)


def campaigns(stage, args):
    """What play() gives, for each phase and side that is asked for."""
    for phase in PHASES:
        if args.phase and PHASES.index(phase) > max(map(PHASES.index, args.phase)):
            return
        stage.enter(phase)
        for side in SIDES:
            if phase in (args.phase or PHASES) and side in (args.side or SIDES):
                yield play(stage, phase, side, args)
        stage.leave()


def main():
    args = arguments()
    os.environ.setdefault("SEGUE_PG", "15,16,17,18")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended all the same
    clusters = Clusters()
    folder = Path(tempfile.mkdtemp(prefix="segue-rewrite-"))
    cases = differences = 0
    try:
        for version in versions():
            with Stage(clusters.get(version), folder, not args.alone) as stage:
                for more in campaigns(stage, args):
                    cases, differences = cases + more[0], differences + more[1]
    finally:
        clusters.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{cases:,} cases, {differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
