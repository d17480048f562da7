#!/usr/bin/python3
"""make commands: contradictory commands at the same moment, from consoles and processes, a few hundred rounds of them.

SEGUE_PG selects versions. README.md says what is played.
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

from commands.play import Stage  # noqa: E402
from lib.cluster import TEMPLATE, Clusters, Database, versions  # noqa: E402
from lib.segue import Segue  # noqa: E402

DATABASE = "commands"


def on_a_server(cluster, version, args):
    with cluster.connect() as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")
    db = Database(cluster, DATABASE)
    with tempfile.TemporaryDirectory(prefix="segue-commands-") as folder:
        proxy = Segue(db.url(), folder, **Stage.OPTIONS)
        began = time.monotonic()
        stage = Stage(proxy, db, f"{args.seed}-{version}")
        try:
            played = stage.run(args.rounds, args.seconds)
            proxy.stop()
        except BaseException as error:
            proxy.kill9()
            print(f"pg{version}: FAILED after {len(stage.told)} rounds, seed {args.seed}\n{error}", flush=True)
            if not isinstance(error, AssertionError):
                raise
            return 1
    print(f"pg{version}: {played} rounds in {time.monotonic() - began:.0f} s, {stage.number} migrations, "
          f"{stage.traffic.acknowledged()} transactions of writers; " + " ".join(f"{what}={n}" for what, n in stage.counts()), flush=True)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=300, help="a version")
    parser.add_argument("--seconds", type=float, default=3600, help="a version, at most")
    parser.add_argument("--seed", default="1")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended all the same
    os.environ.setdefault("SEGUE_PG", "15,18")
    clusters = Clusters()
    try:
        failed = sum(on_a_server(clusters.get(version), version, args) for version in versions())
    finally:
        clusters.close()
    print("ok" if not failed else f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
