#!/usr/bin/python3
"""make transparency: the whole corpus, direct against through segue, on PostgreSQL 15 to 18.

SEGUE_PG selects versions, STATES states (plain, ready, soaking). The last line is "N passed, N failed".
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]

import generate  # noqa: E402
import passes  # noqa: E402
import play  # noqa: E402
from lib.cluster import Clusters, versions  # noqa: E402

STATEMENTS_MIN = 4000


def modes():
    """Every way of the player, over the kinds that show most."""
    old, new = None, passes.newest_libpq()
    kinds = [k for k in generate.KINDS if k != "changes"]
    out = [("extended", kind, old) for kind in generate.KINDS] + [("binary", kind, old) for kind in kinds]
    out += [("prepared", kind, old) for kind in ("queries", "broken", "types")]
    out += [("pipeline", kind, old) for kind in ("queries", "broken", "changes", "operators")]
    out += [("single-row", "queries", old), ("simple", "changes", old)]
    return out + [("pipeline", "changes", new), ("simple", "queries", new), ("prepared", "functions", new)]


def main():
    os.environ.setdefault("SEGUE_PG", "15,16,17,18")
    states = os.environ.get("STATES", ",".join(passes.STATES)).split(",")
    passes.build_player()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended all the same
    clusters = Clusters()
    folder = Path(tempfile.mkdtemp(prefix="segue-transparency-"))
    passed = failed = 0
    try:
        for version in versions():
            corpus = passes.Corpus(clusters.get(version), folder, play.scripts(), modes())
            for state in states:
                begin = time.monotonic()
                direct, through = (corpus.run(state, side) for side in (False, True))
                bad = passes.differences(direct, through)
                for name, text in bad.items():
                    print(f"FAILED pg{version} {state} {name}\n{text}\n")
                passed, failed = passed + len(direct) - len(bad), failed + len(bad)
                print(f"pg{version} {state}: {len(direct)} outputs of {sum(map(len, direct.values())):,} bytes, "
                      f"{len(bad)} differ ({time.monotonic() - begin:.0f} s)", flush=True)
            if "plain" in states:
                print(f"pg{version}: {corpus.sent['psql']:,} statements by psql and {corpus.sent['player']:,} by libpq, "
                      "each direct and through segue", flush=True)
                if corpus.sent["psql"] < STATEMENTS_MIN:
                    failed += 1
                    print(f"FAILED: fewer than {STATEMENTS_MIN:,} statements")
    finally:
        clusters.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
