#!/usr/bin/python3
"""make races: names of tables swing under drivers that prepare eagerly; no error, no wrong row, no lost write.

SEGUE_PG selects versions, DRIVERS programs by name. README.md says what is played.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "integration")]

from lib.cluster import TEMPLATE, Clusters, Database, versions  # noqa: E402
from lib.segue import Segue  # noqa: E402
from races import programs, swings  # noqa: E402

DATABASE = "races"


def race(db, proxy, chosen, seconds, seed):
    """Lines of what was done, and of what failed. The programs run for so long, and to the end of a migration."""
    settings = {"PGHOST": proxy.host, "PGPORT": str(proxy.port), "PGUSER": "postgres", "PGDATABASE": db.name,
                "PGSSLMODE": "disable"}
    running = []

    def tell(line, gen):
        for one in running:
            one.order(line)
        for one in running:
            one.wait(gen)

    swing = swings.Swings(proxy, db, seed, tell)
    try:
        running += [programs.Running(program, number, seed, settings) for number, program in enumerate(chosen)]
        began = time.monotonic()
        swing.start()
        swing.run(seconds)
        took = time.monotonic() - began
        for one in running:
            one.finish()
    finally:
        for one in running:
            one.kill()
    rows = swing.check({table: {i: n for one in running for i, n in one.rows[table].items()} for table in ("items", "plain")})
    epochs = db.one("SELECT max(epoch) - min(epoch) FROM segue.phases")
    edges = f"an epoch every {1000 * took / epochs:.0f} ms " + " ".join(f"{what}={swing.counts[what]}" for what in ("migrations", "cutover", "rollback", "complete", "abort"))
    done = [f"{took:.0f} s {edges}, {rows} rows as acknowledged"]
    failed = [f"oracle: {line}" for line in swing.failures]
    for one in running:
        name, counts = one.program.name, one.counts or {}
        done.append(f"  {name:14} " + " ".join(f"{what}={count}" for what, count in counts.items()))
        failed += [f"{name}: {line}" for line in one.problems]
    return done, failed


def on_a_server(cluster, version, group, args):
    """A database and a segue of their own for these programs. How many lines of failure."""
    with cluster.connect() as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")
    db = Database(cluster, DATABASE)
    with tempfile.TemporaryDirectory(prefix="segue-races-") as folder:
        proxy = Segue(db.url(), folder)
        try:
            done, failed = race(db, proxy, group, args.seconds, f"{args.seed}-{version}")
            proxy.stop()
        except BaseException:
            print(proxy.log_tail(20))
            proxy.kill9()
            raise
    print("\n".join([f"pg{version}: {done[0]}", *done[1:], *(f"FAILED {line}"[:1500] for line in failed)]), flush=True)
    return len(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=60, help="a version and group of programs")
    parser.add_argument("--together", type=int, default=2, help="programs in a group: with more of them epochs come slower")
    parser.add_argument("--seed", default="1")
    args = parser.parse_args()
    os.environ.setdefault("SEGUE_PG", "15,16,17,18")
    names = os.environ.get("DRIVERS")
    chosen = [p for p in programs.PROGRAMS if not names or p.name in names.split(",")]
    for program in chosen:
        programs.build(program)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended all the same
    clusters, failures = Clusters(), 0
    try:
        for version in versions():
            for first in range(0, len(chosen), args.together):
                group = chosen[first:first + args.together]
                failures += on_a_server(clusters.get(version), version, group, args)
    finally:
        clusters.close()
    print("ok" if not failures else f"{failures} lines of failure")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
