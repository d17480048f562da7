#!/usr/bin/python3
"""Which operation comes to which points: each alone, there and back, by the trace of build/faults/segue.

    tests/faults/reach.py [--pg 18] [--build build]
"""

import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "integration")]

# of these families a phase says enough; all else comes with every migration
FAMILIES = {"ddl": "own transaction", "gate": "behind the gate", "long": "long statement", "mark": "looked up, then marked",
            "claim": "barred by abort", "batch": "filled", "verify": "verified"}


def scenes():
    """Each operation by itself; what cannot go alone goes with what it needs."""
    from faults.scene import FEW, ITEMS, MANY, NAMES, Flow, Scene
    from lib.traffic import Pair

    needs = {"remove_enum": [{"drop_table": {"name": "old_stuff"}}]}
    flows = {"rename_column": FEW.flows, "rename_table": NAMES.flows[:1]}
    seen = set()
    for op in FEW.operations + MANY.operations[2:] + NAMES.operations[1:]:
        (kind,) = op
        what = op[kind].get("type", "") if kind in ("create_constraint", "alter_column") else ""
        what = what or ("onComplete" if "onComplete" in op[kind] else "NOT NULL" if op[kind].get("nullable") is False else "")
        name = f"{kind} {what}".strip()
        if name in seen and kind != "create_table":
            continue
        seen.add(name)
        yield Scene(name, MANY.tables + NAMES.tables[len(ITEMS):], needs.get(kind, []) + [op],
                    flows.get(kind, (Flow(Pair(new="label"), {}),)))
    alone = [{"add_column": {"table": "orders", "column": {"name": "more", "type": "int", "nullable": True}}}]
    yield Scene("version_table", MANY.tables, alone, (Flow(Pair(new="label"), {}),), more=MANY.more)


def trace_of(stage, program, scene):
    from faults.cell import Play
    from faults.points import Point

    out = set()
    for goals in (["soaking", "ready", "aborted"], ["soaking", "done"]):
        play = Play(stage, program, scene, Point("none", "", ""), "kill_segue", "forward")
        try:
            play.go("")
            for goal in goals:
                play.drive(goal)
                if goal in ("soaking", "ready"):
                    play.rest()
            out |= set(play.trace.read_text(encoding="utf-8").split())
        finally:
            play.close()
    return out


def row_of(points):
    found = defaultdict(set)
    for point in points:
        name, _, of = point.partition("/")
        found[name.partition("_")[0]].add(of)
    return [f"{say}{': ' if any(found[family]) else ''}{', '.join(sorted(found[family]))}"
            for family, say in FAMILIES.items() if found[family]]


def main():
    from faults.run import parse_arguments, sweep
    from faults.stage import Stage
    from lib.segue import REPO

    args = parse_arguments()
    sweep()
    stage = Stage(args.pg)
    try:
        print("| operation | where it can be struck |\n|---|---|")
        for scene in scenes():
            points = trace_of(stage, REPO / args.build / "faults" / "segue", scene)
            print(f"| `{scene.name}` | {'; '.join(row_of(points))} |", flush=True)
    finally:
        stage.close()


if __name__ == "__main__":
    main()
