#!/usr/bin/env python3
"""segue's backfill against batches of 1000 keys with a trigger, and against one UPDATE (make bench).

    bench/backfill.py BUILD_DIR      BENCH_ROWS (1000000), BENCH_ROUNDS (3), BENCH_WORKERS ("1 2"),
                                     BENCH_CONTENDERS (all; "throttled": the goal about clients alone)

Runs `segue bench backfill` on a throwaway PostgreSQL, with clients beside it, and judges the medians of
its rounds. Writes bench/out/backfill.{json,svg}. Exit 1: a goal is missed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from lib.contenders import Broken, Farm  # noqa: E402

OUT = Path(__file__).resolve().parent / "out"
PAIRS_LEAST = 8
KEYSET, UPDATE = "1000 keys, trigger", "one UPDATE"


ALL = "segue,throttled,keyset,update"


def bench(farm, rows, rounds, workers, contenders):
    command = [farm.segue, "bench", "backfill", "--dsn", farm.dsn(farm.upstream, False), "--rows", rows, "--rounds",
               rounds, "--targets", "100", "--contenders", contenders, "--workers", ",".join(workers), "--clients", "4", "--rate", "200",
               "--seconds-max", "3600", "--svg", OUT / "backfill.svg", "--yes", "--json"]
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Broken(f"segue bench backfill ended with {done.returncode}")
    return json.loads(done.stdout)


def goals(medians):
    """(what, measured, wanted, met) of each."""
    by = {m["name"]: m for m in medians}
    free = [m for m in medians if m["name"].startswith("segue") and not m["throttled"]]
    ratios = []
    if free and KEYSET in by and UPDATE in by:
        one = min(free, key=lambda m: m["workers"])
        most = max(free, key=lambda m: m["rows_per_s"])
        ratios += [
            ("rows/s, one worker, of 1000 keys with a trigger", one["rows_per_s"] / by[KEYSET]["rows_per_s"], 1.6, 1),
            (f"rows/s, {most['workers']} workers, of one UPDATE", most["rows_per_s"] / by[UPDATE]["rows_per_s"], 0.95, 1),
            ("the table afterwards", max(m["size_ratio"] for m in free), 1.35, -1),
        ]
    for slowed in (m for m in medians if m["throttled"]):
        pairs = slowed["client_p99_ratio"]
        if not pairs or pairs["pairs"] < PAIRS_LEAST:
            raise Broken(f"fewer than {PAIRS_LEAST} pairs of windows: BENCH_ROWS must be more")
        print(f"clients beside the throttled fill: {pairs['pairs']} pairs, the middle half {pairs['quarter_below']:.2f} to "
              f"{pairs['quarter_above']:.2f}")
        ratios.append(("clients' p99 beside a throttled fill, of that while it is paused", pairs["median"], 1.25, -1))
    return [(what, got, wanted, (got - wanted) * sign >= 0) for what, got, wanted, sign in ratios]


def main():
    rows = os.environ.get("BENCH_ROWS", "1000000")
    rounds = os.environ.get("BENCH_ROUNDS", "3")
    workers = os.environ.get("BENCH_WORKERS", "1 2").split()
    contenders = os.environ.get("BENCH_CONTENDERS", ALL)
    OUT.mkdir(exist_ok=True)
    farm = Farm(Path(sys.argv[1]) / "segue")
    try:
        farm.up(1)
        result = bench(farm, rows, rounds, workers, contenders)
        judged = goals(result["medians"])
    except Broken as why:
        sys.exit(f"bench: {why}")
    finally:
        farm.close()
    for m in result["medians"]:
        print(f"{m['name']:<28} {m['rows_per_s']:>9.0f} rows/s   {m['size_ratio']:.2f}x   p99 "
              f"{m['client_p99_before_ms']:.1f} > {m['client_p99_ms']:.1f} ms")
    for what, got, wanted, met in judged:
        print(f"{what}: {got:.2f}x (wanted {wanted}x){'' if met else ' MISSED'}")
    (OUT / "backfill.json").write_text(json.dumps(result, indent=1) + "\n")
    print("written: bench/out/backfill.json, backfill.svg")
    sys.exit(0 if all(met for *_, met in judged) else 1)


if __name__ == "__main__":
    main()
