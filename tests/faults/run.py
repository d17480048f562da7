#!/usr/bin/python3
"""Every named point x every fault, under load; README.md.

    tests/faults/run.py [--points REGEX] [--kinds drop,disk] [--ways forward,back] [--scenes few,names] [--seed 1] [--jobs 2]
                        [--pg 18] [--again LOG] [--limit 200]
"""

import argparse
import contextlib
import multiprocessing
import os
import queue
import random
import re
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "integration")]

from lib.jobs import end, next_result  # noqa: E402


def parse_arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=os.environ.get("SEGUE_BUILD", "build"))
    parser.add_argument("--points", default="", help="a regular expression")
    parser.add_argument("--kinds", default="")
    parser.add_argument("--ways", default="")
    parser.add_argument("--scenes", default="", help="only in these; a point that none of them comes to is left out")
    parser.add_argument("--seed", type=int, default=1, help="decides at which of several times, and which way")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--pg", type=int, default=18)
    parser.add_argument("--again", help="what an earlier run has printed: only cells that were not ok there")
    parser.add_argument("--limit", type=int, default=0, help="so many cells at most, chosen by the seed")
    return parser.parse_args(words)


def cells_of(args):
    """(point, kind, way) in an order that the seed gives; without --ways, one of them a cell."""
    from faults.points import KINDS, WAYS, table
    from faults.scene import SCENES

    kinds = args.kinds.split(",") if args.kinds else list(KINDS)
    ways = args.ways.split(",") if args.ways else None
    if set(kinds) - set(KINDS) or set(ways or []) - set(WAYS) or set(filter(None, args.scenes.split(","))) - set(SCENES):
        sys.exit(f"kinds are {', '.join(KINDS)}; ways are {', '.join(WAYS)}; scenes are {', '.join(SCENES)}")
    dice = random.Random(args.seed)
    points = [p for p in table() if re.search(args.points, p.text)]
    cells = [(p, k, w) for p in points for k in kinds for w in ways or [dice.choice(WAYS)]]
    dice.shuffle(cells)
    if args.again:
        said = re.findall(r"^\d+/\d+ ok +[\d.]+ s (.*) \(.*\)$", Path(args.again).read_text(encoding="utf-8"), re.M)
        cells = [(p, k, w) for p, k, w in cells if f"{p.text} {k} {w}" not in said]
    return cells[:args.limit] if args.limit else cells


def wanted_scenes(args):
    from faults.scene import SCENES

    return [SCENES[name] for name in args.scenes.split(",")] if args.scenes else list(SCENES.values())


def references(stage, program, scenes):
    """Each road once without a fault, in each scene: what the catalog is in the end, how often a point is reached."""
    from faults.cell import Play
    from faults.points import COUNTED, Point, table
    from faults.scene import SCENES

    stage.expected = {}
    counts = {}
    for scene in scenes:
        counts[scene.name] = Counter()
        for goals in (["ready", "aborted"], ["soaking", "ready", "aborted"], ["soaking", "done"]):
            play = Play(stage, program, scene, Point("none", "", ""), "kill_segue", "forward")
            try:
                play.go("")
                for goal in goals:
                    play.drive(goal)
                    if goal in ("soaking", "ready") and len(goals) == 3:
                        play.rest()
                play.finish(goals[-1])
                counts[scene.name] |= Counter(play.trace.read_text(encoding="utf-8").split())
            finally:
                play.close()
    reached = set().union(*counts.values())
    unknown = reached - {point.text for point in table()}
    assert not unknown, f"the table of points does not say that there are {sorted(unknown)}"
    unreached = {p.text for p in table() if p.road in COUNTED and not p.by_command} - reached
    assert not unreached or len(scenes) < len(SCENES), f"no scene comes to {sorted(unreached)}"
    return counts


def scenes_for(point, counts, scenes):
    """Those of them in which the point can be struck at."""
    from faults.points import ANYWHERE, COUNTED
    from faults.scene import FEW

    if point.road in ANYWHERE or point.by_command:
        return scenes
    if point.road in COUNTED:
        return [scene for scene in scenes if counts[scene.name][point.text]]
    return [FEW] if FEW in scenes else []


def play_cell(stage, program, cell, args, counts):
    """None or what went wrong, how long it took, the scene and at which of several times ("": no scene comes there)."""
    from faults.cell import Play
    from faults.points import COUNTED

    point, kind, way = cell
    dice = random.Random(f"{args.seed}{cell}")
    scenes = scenes_for(point, counts, wanted_scenes(args))
    if not scenes:
        return None, 0, ""
    scene = dice.choice(scenes)
    # of a fault that depends on timing the first time is certain to come
    most = min(counts[scene.name][point.text], 6) if point.road in COUNTED else 1
    count = dice.randint(1, max(1, most))
    began = time.monotonic()
    wrong = None
    for count in dict.fromkeys((count, 1)):
        play = Play(stage, program, scene, point, kind, way, args.seed, count)
        try:
            play.run()
            wrong = None
        except Exception as error:  # pylint: disable=broad-except
            wrong = f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-4)}{play.report()}"
        finally:
            play.close()
        if wrong is None or "was not reached" not in wrong:
            break
    return wrong, time.monotonic() - began, f"{scene.name} {count}"


def worker(args, todo, done):
    from lib.segue import REPO
    from faults.stage import Stage

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    stage = Stage(args.pg)
    try:
        program = REPO / args.build / "faults" / "segue"
        counts = references(stage, program, wanted_scenes(args))
        while True:
            try:
                cell = todo.get_nowait()
            except queue.Empty:
                break
            wrong, took, count = play_cell(stage, program, cell, args, counts)
            done.put((cell, count, wrong, took))
    except BaseException:
        done.put((None, "", traceback.format_exc(), 0))
        raise
    finally:
        stage.close()


def sweep():
    """A worker that was killed has left its tmpfs mounted."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        device, folder = line.split()[:2]
        if device == "segue-faults" and not any(folder in words for words in _words()):
            subprocess.run(["umount", "-l", folder], check=False)


def _words():
    """Of every process; those that end meanwhile do not count."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_text(encoding="utf-8", errors="replace")


def campaign(args, cells=None):
    """Failures as texts; says each as it comes."""
    cells = cells or cells_of(args)
    todo, done = multiprocessing.Queue(), multiprocessing.Queue()
    for cell in cells:
        todo.put(cell)
    began, failures, took_all, by_kind, absent = time.monotonic(), [], [], Counter(), 0
    jobs = [multiprocessing.Process(target=worker, args=(args, todo, done)) for _ in range(min(args.jobs, len(cells)))]
    for job in jobs:
        job.start()
    try:
        for n in range(len(cells)):
            result = next_result(done, jobs)
            if result is None:
                return failures + ["the workers have ended without a word"]
            cell, count, wrong, took = result
            if cell is None:
                return failures + [wrong]
            if not count:
                absent += 1
                continue
            name = f"{cell[0].text} {cell[1]} {cell[2]} ({count})"
            took_all.append((took, name))
            by_kind[cell[1]] += 1
            print(f"{n + 1}/{len(cells)} {'FAILED' if wrong else 'ok'} {took:5.1f} s {name}", flush=True)
            if wrong:
                failures.append(f"{name}\n{wrong}")
                print(wrong, flush=True)
    finally:
        end(jobs, 30)
    slowest = ", ".join(f"{name} {took:.1f} s" for took, name in sorted(took_all, reverse=True)[:3])
    print(f"{len(took_all)} cells in {time.monotonic() - began:.0f} s, {len(failures)} failed; {dict(by_kind)}; slowest: {slowest}")
    if absent:
        print(f"{absent} cells are left out: no wanted scene comes to their points")
    return failures


def main():
    args = parse_arguments()
    if os.geteuid() != 0:
        sys.exit("the matrix mounts small file systems: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the workers are ended, too
    sweep()
    failures = campaign(args)
    print("\n".join(f"FAILED {failure.splitlines()[0]}" for failure in failures))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
