#!/usr/bin/env python3
"""Cut-overs and rollbacks under pgbench: errors, how long the lock is held, the worst client stall.

    bench/cutover.py BUILD_DIR

Settings by environment (README.md has the table): ROUNDS, CLIENTS, SCALE, PAUSE_MS. One pgbench
(TPC-B-like, through segue) runs all the time, on the table that migrates; a round is a cut-over and
a rollback. Numbers are medians over the rounds. Writes bench/out/cutover.{md,json}. Exit 1 when a
client has seen an error or a goal is missed.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import psycopg
from psycopg.rows import dict_row

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from lib import measure  # noqa: E402
from lib.contenders import PGBIN, Broken, Farm, unprivileged  # noqa: E402

OUT = Path(__file__).resolve().parent / "out"
SETTINGS = {"ROUNDS": "20", "CLIENTS": "32", "SCALE": "32", "PAUSE_MS": "300"}
LOCK_MS_MAX, STALL_MS_MAX = 20, 100
MIGRATION = {"name": "bench_cutover", "operations": [
    {"rename_column": {"table": "pgbench_accounts", "from": "bid", "to": "branch"}},
    {"rename_column": {"table": "pgbench_tellers", "from": "bid", "to": "branch"}}]}
NAME = MIGRATION["name"]
KINDS = {"cutover": "cut-over", "revert": "rollback"}


class Bed:
    """The farm, segue in front of it, a console, and pgbench through it."""

    def __init__(self, farm, chosen):
        self.farm, self.chosen = farm, chosen
        self.segue = farm.start_segue("segue", 2, False)
        self.server = f"postgresql://postgres@127.0.0.1:{self.segue.port}/segue"
        self.logs = farm.folder / "pgbench"
        self.logs.mkdir()
        if os.geteuid() == 0:
            os.chown(self.logs, farm.folder.stat().st_uid, farm.folder.stat().st_gid)
        self.pgbench = None

    def command(self, *words):
        done = subprocess.run([self.farm.segue, *words, "--server", self.server], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"segue {words[0]}: {(done.stderr or done.stdout).strip()[-400:]}")

    def start_migration(self):
        path = self.farm.folder / "migration.json"
        path.write_text(json.dumps(MIGRATION))
        self.command("start", str(path))

    def start_pgbench(self):
        self.out = open(self.logs / "out", "w", encoding="utf-8")
        self.pgbench = subprocess.Popen(
            [PGBIN / "pgbench", "-n", "-M", "prepared", "-c", str(self.chosen["CLIENTS"]), "-j", "1", "-T", "36000", "-l",
             "--log-prefix", self.logs / "tx", self.farm.dsn(self.segue.port, False)],
            cwd="/", stdout=self.out, stderr=subprocess.STDOUT, **unprivileged())

    def check(self):
        text = (self.logs / "out").read_text(errors="replace")
        if self.pgbench.poll() is not None or "ERROR" in text or "error:" in text:
            raise Broken(f"a client has seen an error: {text.strip()[-400:]}")

    def stop_pgbench(self):
        self.pgbench.send_signal(signal.SIGTERM)  # SIGINT is ignored in what a shell has begun in the background
        self.pgbench.wait(60)
        self.out.close()

    def attempts(self):
        with psycopg.connect(self.server, autocommit=True, row_factory=dict_row, prepare_threshold=None) as conn:
            rows = conn.cursor().execute(f"SHOW ATTEMPTS {NAME}".encode()).fetchall()
        return [r for r in rows if r["kind"] in KINDS]


def worst_ms(ended, took, begin, end):
    """The longest transaction (ms) of those that were under way between two times."""
    return max((us / 1000 for at, us in zip(ended, took) if at >= begin and at - us / 1e6 <= end), default=0.0)


def rounds(bed, chosen):
    """(what, begun, over) of each command, and of the pauses between them."""
    marks, pause_s = [], chosen["PAUSE_MS"] / 1000
    for number in range(chosen["ROUNDS"]):
        for verb, kind in (("cutover", "cutover"), ("rollback", "revert")):
            begun = time.time()
            time.sleep(pause_s)
            marks.append(("quiet", begun, time.time()))
            begun = time.time()
            bed.command(verb, NAME)
            marks.append((kind, begun, time.time()))
            bed.check()
        if number % 5 == 4:
            print(f"cutover: {number + 1} of {chosen['ROUNDS']} rounds", flush=True)
    return marks


def summary(kind, marks, tried, ended, took):
    """Of one kind; the clients' own view is of the time in which the command ran."""
    done = [r for r in tried if r["kind"] == kind and r["outcome"] == "done"]
    windows = [worst_ms(ended, took, begin, end) for what, begin, end in marks if what == kind]
    return {"done": len(done), "attempts": sum(r["kind"] == kind for r in tried),
            "drain_ms": [r["drain_ms"] for r in done], "lock_ms": [r["lock_ms"] for r in done],
            "stall_ms": [r["stall_ms"] for r in done], "client_worst_ms": windows}


def row(what, one):
    cells = [what, f"{one['done']} ({one['attempts']})"]
    for key in ("drain_ms", "lock_ms", "stall_ms", "client_worst_ms"):
        cells.append(f"{median(one[key]):.1f} ({max(one[key]):.1f})" if one[key] else "")
    return "| " + " | ".join(cells) + " |"


def write(chosen, results, quiet, before, after):
    found = {KINDS[kind]: {"lock held": (median(one["lock_ms"]), LOCK_MS_MAX),
                           "held at the gate": (median(one["stall_ms"]), STALL_MS_MAX),
                           "worst transaction": (median(one["client_worst_ms"]), STALL_MS_MAX)}
             for kind, one in results.items()}
    missed = [f"{kind}: {what} {ms:.1f} ms, at most {most}" for kind, goals in found.items()
              for what, (ms, most) in goals.items() if ms > most]
    steal = measure.steal_percent(before, after)
    head = ["what", "done (attempts)", "drain, ms", "lock held, ms", "held at the gate, ms", "worst transaction, ms"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += [row(KINDS[kind], one) for kind, one in results.items()]
    lines.append(f"| no cut-over, {chosen['PAUSE_MS']} ms | {len(quiet)} |  |  |  | {median(quiet):.1f} ({max(quiet):.1f}) |")
    text = "\n".join(lines) + (
        f"\n\nMedian (worst). {chosen['CLIENTS']} clients, scale {chosen['SCALE']}, no client error; load "
        f"{before['loadavg'][0]:.1f} before and {after['loadavg'][0]:.1f} after, steal {steal:.1f} %.\n"
        + ("Missed: " + "; ".join(missed) if missed else "All goals are met.") + "\n")
    print(text)
    OUT.mkdir(exist_ok=True)
    (OUT / "cutover.md").write_text(text, encoding="utf-8")
    (OUT / "cutover.json").write_text(json.dumps(
        {"settings": chosen, "results": results, "quiet_worst_ms": quiet, "steal_percent": steal,
         "load": [before["loadavg"][0], after["loadavg"][0]], "missed": missed,
         "wanted": {"errors": 0, "lock_ms_median": LOCK_MS_MAX, "stall_ms_median": STALL_MS_MAX}}, indent=1), encoding="utf-8")
    return not missed


def run(farm, chosen):
    bed = Bed(farm, chosen)
    bed.start_migration()
    before = measure.machine()
    bed.start_pgbench()
    time.sleep(2)
    bed.check()
    marks = rounds(bed, chosen)
    bed.stop_pgbench()
    after = measure.machine()
    ended, took = measure.read_log(bed.logs)
    tried = bed.attempts()
    results = {kind: summary(kind, marks, tried, ended, took) for kind in KINDS}
    quiet = [worst_ms(ended, took, begin, end) for what, begin, end in marks if what == "quiet"]
    return write(chosen, results, quiet, before, after)


def main():
    chosen = {k: int(os.environ.get(k) or v) for k, v in SETTINGS.items()}
    if min(chosen.values()) < 1 or chosen["ROUNDS"] > 40:
        sys.exit("bench-cutover: numbers are at least 1, ROUNDS at most 40")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    farm = Farm(Path(sys.argv[1] if len(sys.argv) > 1 else "build") / "segue")
    try:
        farm.up(chosen["SCALE"])
        if not run(farm, chosen):
            sys.exit(1)
    except Broken as broken:
        sys.exit(f"bench-cutover: {broken}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        farm.close()


if __name__ == "__main__":
    main()
