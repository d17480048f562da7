#!/usr/bin/python3
"""make drivers: every driver's program, direct and through segue in each mode, must print the same.

SEGUE_PG selects versions, DRIVERS programs by name, MODES modes. The last line is "N passed, N failed".
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

import modes  # noqa: E402
import programs  # noqa: E402
from lib.certs import Certs  # noqa: E402
from lib.cluster import Clusters, versions  # noqa: E402


def play(cluster, chosen, settings, reference):
    """({program: lines}, how many programs are in trouble), with the trouble printed."""
    out = programs.run_all(chosen, settings, lambda: modes.clean(cluster))
    failed = 0
    for name, lines in out.items():
        bad = programs.trouble(lines, reference[name] if reference else None)
        for line in bad:
            print(f"  {name}: {line}"[:1500], flush=True)
        failed += bool(bad)
    return out, failed


def main():
    os.environ.setdefault("SEGUE_PG", "15,16,17,18")
    names, wanted = os.environ.get("DRIVERS"), os.environ.get("MODES")
    chosen = [p for p in programs.PROGRAMS if not names or p.name in names.split(",")]
    for program in chosen:
        programs.build(program)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what runs is ended all the same
    clusters = Clusters()
    folder = Path(tempfile.mkdtemp(prefix="segue-drivers-"))
    certs = Certs(folder / "certs")
    folder.chmod(0o755)
    passed = failed = 0
    try:
        for version in versions():
            cluster, reference = clusters.get(version), None
            for mode in [modes.DIRECT, *modes.through(cluster, certs, folder)]:
                if wanted and mode is not modes.DIRECT and mode.name not in wanted.split(","):
                    continue
                begin = time.monotonic()
                with modes.enter(mode, cluster, folder) as settings:
                    out, bad = play(cluster, [p for p in chosen if mode.may_run(p)], settings, reference)
                reference = reference or out
                passed, failed = passed + len(out) - bad, failed + bad
                checks = sum(line.startswith("ok ") for lines in out.values() for line in lines)
                print(f"pg{version} {mode.name}: {len(out)} programs, {checks} checks ok, {bad} programs failed "
                      f"({time.monotonic() - begin:.0f} s)", flush=True)
    finally:
        clusters.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
