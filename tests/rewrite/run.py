#!/usr/bin/python3
"""make rewrite: generated statements on an expanded schema, against one side's own, on PostgreSQL 15 to 18.

    run.py [--seed N] [--count N] [--jobs N] [--side old|new] [--phase P] [--alone] [--number N]

--count is per version, shared by its phases and sides, each of which has other statements. --jobs versions are played
at a time. --number plays one case alone and shows it, with what was sent. --alone leaves segue out: rewrite.c
rewrites. SEGUE_PG selects versions. The last line is "N cases, N differences"; exit 1 when there are any.
"""

import argparse
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

from lib.cluster import Clusters, versions  # noqa: E402
from rewrite import campaign, hand  # noqa: E402
from rewrite.stage import PHASES, SIDES, Stage, sides  # noqa: E402


DOUBTED_MAX = 0.2  # of all cases: a layer that leaves everything as it is would pass else
LAST = re.compile(r"([\d,]+) cases, (\d+) differences")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=30000)
    parser.add_argument("--jobs", type=int, default=1)
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
        if found and found.excused:
            print(f"  excused: {found.doubt}")
        return 1, found is not None and not found.excused
    begin = time.monotonic()
    by_hand = hand.run(pair, side, stage.cluster.version, show)
    numbers = range(-(-args.count // len(played(args))))
    report = campaign.run(pair, grammar, numbers, args.max, show=show)
    seconds = time.monotonic() - begin
    print(f"pg{stage.cluster.version} {phase} {side}: {by_hand[0]} by hand, {by_hand[1]} differences; seed {args.seed}: {report} "
          f"({seconds:.0f} s, {(by_hand[0] + report.cases) / seconds:.0f} a second)", flush=True)
    over = report.cases >= 100 and report.doubted > DOUBTED_MAX
    if over:
        print(f"pg{stage.cluster.version} {phase} {side}: {report.doubted:.0%} of the statements are in doubt, more than {DOUBTED_MAX:.0%}", flush=True)
    return by_hand[0] + report.cases, by_hand[1] + len(report.found) + over


def played(args):
    """(phase, side) of all that are asked for."""
    return [(phase, side) for phase in args.phase or PHASES for side in sides(phase) if side in (args.side or SIDES)]


def campaigns(stage, args):
    """What play() gives, for each phase and side that is asked for."""
    for phase in PHASES:
        if args.phase and PHASES.index(phase) > max(map(PHASES.index, args.phase)):
            return
        stage.enter(phase)
        for side in sides(phase):
            if (phase, side) in played(args):
                yield play(stage, phase, side, args)
        stage.leave()


def play_versions(args):
    """(cases, differences) of all, one after the other."""
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
    return cases, differences


def play_side_by_side(args):
    """The same, each version in a process of its own, args.jobs at a time. What they say comes line by line."""
    again = [a for i, a in enumerate(sys.argv[1:], 1) if not a.startswith("--jobs") and sys.argv[i - 1] != "--jobs"]
    waiting, running, totals = versions(), [], []
    poll = selectors.DefaultSelector()
    try:
        while waiting or running:
            while waiting and len(running) < args.jobs:
                child = subprocess.Popen([sys.executable, __file__, *again], stdout=subprocess.PIPE, text=True,
                                         env={**os.environ, "SEGUE_PG": str(waiting.pop(0))})
                running.append(child)
                poll.register(child.stdout, selectors.EVENT_READ, child)
            for key, _ in poll.select():
                line = key.fileobj.readline()
                found = LAST.fullmatch(line.strip())
                if found:
                    totals.append([int(n.replace(",", "")) for n in found.groups()])
                elif line:
                    print(line, end="", flush=True)
                else:
                    poll.unregister(key.fileobj)
                    running.remove(key.data)
                    assert key.data.wait() in (0, 1), "a version has not been played to its end"
    finally:
        for child in running:
            child.terminate()
            child.wait()
    return sum(t[0] for t in totals), sum(t[1] for t in totals)


def main():
    args = arguments()
    os.environ.setdefault("SEGUE_PG", "15,16,17,18")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended all the same
    side_by_side = args.jobs > 1 and len(versions()) > 1
    cases, differences = (play_side_by_side if side_by_side else play_versions)(args)
    print(f"{cases:,} cases, {differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
