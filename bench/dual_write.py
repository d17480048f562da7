#!/usr/bin/env python3
"""What a table in dual-write costs its writers, beside the same through segue without a migration.

    bench/dual_write.py BUILD_DIR

Settings by environment (README.md has the table): ROUNDS, ROWS, SECONDS, SCALE, CLIENTS, PARTS, FSYNC, SIDES. Each
side is a database of one cluster with a segue of its own in front. In a round all sides are under way
at once and go on by turns, in another order each time: a bulk run by portions of 10,000 rows, pgbench
by slices of a sixth of a second. Ratios are made round by round, numbers are medians.
Writes bench/out/dual-write.{md,json}. Exit 1 when a goal is missed.
"""

import functools
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from lib import measure, report, slices  # noqa: E402
from lib.contenders import Broken, Farm  # noqa: E402

OUT = Path(__file__).resolve().parent / "out"
SETTINGS = {"ROUNDS": "5", "ROWS": "500000", "SECONDS": "6", "SCALE": "32", "CLIENTS": "8", "PARTS": "bulk tpcb", "FSYNC": "on off", "SIDES": "all"}
ROWS_A_STATEMENT, ROWS_A_PORTION = 1000, 10000
BULK_MAX, TPCB_MIN = 1.12, 0.95
JUDGED = ("dual-write", "named", "not named")
# Whether glibc gives the heap's top back at a statement's end, to have it faulted in again, is a matter of some bytes.
KEEPS_ITS_HEAP = ("MALLOC_TRIM_THRESHOLD_=1073741824", "MALLOC_MMAP_THRESHOLD_=33554432")
SHOWN = ("none", *JUDGED, "three tables") # with SIDES=judged

# ---- sides ----

BULK_TABLE = "CREATE TABLE bulk_rows (id bigint PRIMARY KEY, label text, hits int, at timestamptz)"
BOTH = "ALTER TABLE bulk_rows ADD COLUMN title text"
ALWAYS = """
CREATE FUNCTION copy_label() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := NEW.label; RETURN NEW; END $$;
CREATE TRIGGER copy_label BEFORE INSERT OR UPDATE ON bulk_rows FOR EACH ROW EXECUTE FUNCTION copy_label()"""
WIDE = "ALTER TABLE pgbench_accounts ADD COLUMN note char(84)"


def rename(table, old, new):
    return {"rename_column": {"table": table, "from": old, "to": new}}


# The SQL that makes the tables of a side, and the renames of its migration.
BULK = {
    "none": ([BULK_TABLE], []),
    "dual-write": ([BULK_TABLE], [rename("bulk_rows", "label", "title")]),
    "both columns": ([BULK_TABLE, BOTH], []),
    "always": ([BULK_TABLE, BOTH, ALWAYS], []),
}
TPCB = {
    "none": ([], []),
    "not named": ([], [rename("pgbench_accounts", "bid", "branch")]),
    "named": ([], [rename("pgbench_accounts", "abalance", "balance")]),
    "three tables": ([], [rename("pgbench_accounts", "abalance", "balance"), rename("pgbench_tellers", "tbalance", "balance"),
                          rename("pgbench_branches", "bbalance", "balance")]),
    "wide": ([], [rename("pgbench_accounts", "filler", "note")]),
    "wide, both columns": ([WIDE, "UPDATE pgbench_accounts SET note = filler"], []),
}
NOTES = """\
`none`: no migration, the base of the ratios. `dual-write`, `named`, `not named`: a plain rename is held at `ready`; the application
is the old one. `three tables`: each of the tables that the script updates is one that migrates. `both columns`: no trigger, and a client that writes both columns itself: what the wider row alone costs, the
floor. `wide`: the column is 84 of a row's 97 bytes; `wide, both columns`: its floor, no migration. `always`: a trigger that always runs copies the column. Every side is written through a segue of its own. Ratios are made
round by round, medians with the least and the greatest. CPU: of the server's sessions and of segue, added up for the ratio.
"""


class Side:
    """A database and the segue in front of it."""

    def __init__(self, farm, name, database, migration, folder):
        self.name, self.database, self.farm = name, database, farm
        self.segue = farm.start_segue(f"segue-{database}", 1, False, database)
        if migration:
            path = folder / f"{database}.json"
            path.write_text(json.dumps({"name": database, "operations": migration}))
            console = f"postgresql://postgres@127.0.0.1:{self.segue.port}/segue"
            done = subprocess.run([farm.segue, "start", path, "--server", console], capture_output=True, text=True,
                                  check=False)
            if done.returncode != 0:
                raise Broken(f"segue start: {(done.stderr or done.stdout).strip()[-400:]}")

    def dsn(self):
        return self.farm.dsn(self.segue.port, False, self.database)

    def direct(self, *sql):
        with psycopg.connect(self.farm.dsn(self.farm.upstream, False, self.database), autocommit=True) as conn:
            for one in sql:
                cursor = conn.execute(one)
            return cursor.fetchone() if cursor.description else None


def sides_of(farm, kinds, prefix, which):
    if which == "judged":
        kinds = {name: kind for name, kind in kinds.items() if name in SHOWN}
    out = []
    for number, (name, (tables, migration)) in enumerate(kinds.items()):
        database = f"{prefix}_{number}"
        with psycopg.connect(farm.dsn(farm.upstream, False), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {database} TEMPLATE {'postgres' if prefix == 'tpcb' else 'template0'}")
        if tables:
            with psycopg.connect(farm.dsn(farm.upstream, False, database), autocommit=True) as conn:
                for sql in tables:
                    conn.execute(sql)
        out.append(Side(farm, name, database, migration, farm.folder))
    return out


# ---- bulk ----


def values_of(first, end, both):
    return ", ".join(f"({i}, 'label {i}', 0, '2026-01-01 00:00:00+00'" + (f", 'label {i}')" if both else ")")
                     for i in range(first, end))


def bulk_values(first, end, both):
    names = "id, label, hits, at" + (", title" if both else "")
    return [f"INSERT INTO bulk_rows ({names}) VALUES {values_of(one, min(one + ROWS_A_STATEMENT, end), both)}".encode()
            for one in range(first, end, ROWS_A_STATEMENT)]


def bulk_select(first, end, both):
    names, more = ("id, label, hits, at, title", ", 'label ' || i") if both else ("id, label, hits, at", "")
    return [f"INSERT INTO bulk_rows ({names}) SELECT i, 'label ' || i, 0, now(){more} FROM generate_series({first}, {end - 1}) AS i".encode()]


def bulk_copy(first, end, both):
    lines = "".join(f"{i}\tlabel {i}\t0\t2026-01-01 00:00:00+00" + (f"\tlabel {i}\n" if both else "\n") for i in range(first, end))
    return [f"COPY bulk_rows (id, label, hits, at{', title' if both else ''}) FROM STDIN".encode(), lines.encode()]


#        way: (the statements of a portion, a goal is asked of it)
WAYS = {"VALUES, 1,000 rows a statement": (bulk_values, True), "SELECT FROM generate_series": (bulk_select, True),
        "COPY": (bulk_copy, False)}


def portions(make, rows, both):
    """Lists of statements, ROWS_A_PORTION rows each."""
    return [make(first, min(first + ROWS_A_PORTION, rows + 1), both) for first in range(1, rows + 1, ROWS_A_PORTION)]


def expect(conn, result, status):
    if result.status != status:
        raise Broken(f"bulk: {conn.pgconn.error_message.decode(errors='replace')}")


def send(conn, texts):
    """Statements, or the one that begins a COPY and its data."""
    ok = psycopg.pq.ExecStatus
    if not texts[0].startswith(b"COPY"):
        for text in texts:
            expect(conn, conn.pgconn.exec_(text), ok.COMMAND_OK)
        return
    expect(conn, conn.pgconn.exec_(texts[0]), ok.COPY_IN)
    for text in texts[1:]:
        conn.pgconn.put_copy_data(text)
    conn.pgconn.put_copy_end()
    while result := conn.pgconn.get_result():
        expect(conn, result, ok.COMMAND_OK)


class BulkRun:
    """A side whose table is empty, and what its portions have cost."""

    def __init__(self, side):
        side.direct("TRUNCATE bulk_rows", "CHECKPOINT")
        self.side, self.conn = side, psycopg.connect(side.dsn(), autocommit=True)
        self.backend = self.conn.execute("SELECT pg_backend_pid()").fetchone()[0]
        self.spent = {"wall_s": 0, "server_cpu_s": 0, "segue_cpu_s": 0}

    def _clocks(self):
        return {"wall_s": time.perf_counter(), "server_cpu_s": measure.cpu_ns(self.backend) / 1e9,
                "segue_cpu_s": measure.cpu_ns(self.side.segue.pid) / 1e9}

    def portion(self, texts):
        before = self._clocks()
        send(self.conn, texts)
        for what, now in self._clocks().items():
            self.spent[what] += now - before[what]

    def close(self, rows):
        self.conn.close()
        twin = "" if self.side.name == "none" else " WHERE label = title"
        count = self.side.direct(f"SELECT count(*) FROM bulk_rows{twin}")[0]
        if count != rows:
            raise Broken(f"bulk, {self.side.name}: {count} rows are right, not {rows}")


def bulk_once(sides, texts, rows):
    """All sides get their rows, a portion each by turns."""
    runs = [BulkRun(side) for side in sides]
    for plain, both in zip(texts[False], texts[True]):
        for run in random.sample(runs, len(runs)):
            run.portion(both if run.side.name == "both columns" else plain)
    for run in runs:
        run.close(rows)
    return {run.side.name: run.spent for run in runs}


def add(cell, got):
    for name, run in got.items():
        cell["runs"][name].append(run)


def bulk(farm, chosen):
    sides = sides_of(farm, BULK, "bulk", chosen["SIDES"])
    cells = []
    for way, (make, asked) in WAYS.items():
        texts = {both: portions(make, chosen["ROWS"], both) for both in (False, True)}
        cell = {"what": way, "asked": asked, "runs": {side.name: [] for side in sides}}
        for _ in range(chosen["ROUNDS"]):
            add(cell, bulk_once(sides, texts, chosen["ROWS"]))
        cells.append(cell)
        print(f"bulk: {way}: " + ", ".join(f"{name} {report.middle(cell, name, 'wall_s'):.2f} s" for name in cell["runs"]),
              flush=True)
    return cells


# ---- TPC-B ----


def backends(side):
    return side.direct("SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'pgbench' AND "
                       f"datname = '{side.database}'")[0]


def tpcb_cost(side, pids):
    """pids is filled when the clients are logged in."""
    if not pids:
        pids += backends(side)
    return {"server": sum(measure.cpu_ns(pid) for pid in pids), "segue": measure.cpu_ns(side.segue.pid)}


def tpcb_once(farm, sides, mode, chosen):
    for side in sides:
        side.direct("TRUNCATE pgbench_history", "VACUUM pgbench_branches", "VACUUM pgbench_tellers",
                    "VACUUM pgbench_accounts")
    sides[0].direct("CHECKPOINT")
    order = random.sample(sides, len(sides))
    got = slices.run(farm, [(side.name, side.dsn(), functools.partial(tpcb_cost, side, [])) for side in order], "tpcb", mode,
                     chosen["CLIENTS"], chosen["SECONDS"])
    for run in got.values():
        cost = run.pop("cost_us")
        run.update(server_cpu_us=cost["server"], segue_cpu_us=cost["segue"])
    return got


def tpcb(farm, chosen):
    sides = sides_of(farm, TPCB, "tpcb", chosen["SIDES"])
    cells = []
    for side in sides:  # a backfill leaves room in the pages, which updates would like
        side.direct("VACUUM (FULL, ANALYZE) pgbench_accounts", "VACUUM (FULL, ANALYZE) pgbench_tellers",
                    "VACUUM (FULL, ANALYZE) pgbench_branches")
    for fsync, mode in itertools.product(chosen["FSYNC"], ("simple", "prepared")):
        sides[0].direct(f"ALTER SYSTEM SET fsync = {fsync}", "SELECT pg_reload_conf()")
        cell = {"what": f"TPC-B-like, {mode}, fsync {fsync}", "asked": fsync == "on", "runs": {side.name: [] for side in sides}}
        for _ in range(chosen["ROUNDS"]):
            add(cell, tpcb_once(farm, sides, mode, chosen))
        cells.append(cell)
        print(f"tpcb: {mode}, fsync {fsync}: " + ", ".join(f"{name} {report.middle(cell, name, 'tps'):,.0f}/s" for name in cell["runs"]),
              flush=True)
    return cells


# ---- results ----


def cpu_ratios(cell, name, unit):
    def both(side):
        return [r[f"server_cpu_{unit}"] + r[f"segue_cpu_{unit}"] for r in cell["runs"][side]]
    return [a / b for a, b in zip(both(name), both("none"))]


def table(cells, speed, unit, digits):
    head = ["what", "table", speed, f"server CPU {unit}", f"segue CPU {unit}", f"{speed} / none", "CPU / none"]
    rows = []
    for cell in cells:
        for name in cell["runs"]:
            base = name == "none"
            rows.append([cell["what"], name, report.number(report.middle(cell, name, speed), digits),
                         report.number(report.middle(cell, name, f"server_cpu_{unit}"), digits),
                         report.number(report.middle(cell, name, f"segue_cpu_{unit}"), digits),
                         "" if base else report.spread_text(report.ratios(cell, name, speed, "none")),
                         "" if base else report.spread_text(cpu_ratios(cell, name, unit))])
    return report.markdown(head, rows)


def judge(cells):
    """[(line, does it hold)], one a goal."""
    out = []
    for cell in cells:
        if not cell["asked"]:
            continue
        for name in [n for n in cell["runs"] if n in JUDGED]:
            speed, holds, asked = (("wall_s", lambda r: r <= BULK_MAX, f"<= {BULK_MAX}") if name == "dual-write" else
                                   ("tps", lambda r: r >= TPCB_MIN, f">= {TPCB_MIN}"))
            got = report.ratios(cell, name, speed, "none")
            ok = holds(median(got))
            out.append((f"{cell['what']}, {name}: {speed} {report.spread_text(got)} of that without a migration "
                        f"({asked} asked): {report.verdict(ok)}; CPU {report.spread_text(cpu_ratios(cell, name, cpu_unit(cell)))}",
                        ok))
    return out


def cpu_unit(cell):
    return "us" if "tps" in cell["runs"]["none"][0] else "s"


def write(chosen, cells, before, after):
    OUT.mkdir(exist_ok=True)
    goals = judge([cell for part in cells.values() for cell in part])
    text = [f"# Dual-write\n\n{NOTES}\n{chosen['ROUNDS']} rounds. Load before {before['loadavg'][0]:.1f}, after "
            f"{after['loadavg'][0]:.1f}; {os.cpu_count()} cores; steal {measure.steal_percent(before, after):.1f} %.\n"]
    if "bulk" in cells:
        text.append(f"## {chosen['ROWS']:,} rows\n\n{table(cells['bulk'], 'wall_s', 's', 3)}\n")
    if "tpcb" in cells:
        text.append(f"## {chosen['CLIENTS']} clients of pgbench, CPU a transaction\n\n{table(cells['tpcb'], 'tps', 'us', 1)}\n")
    text.append("\n".join(["## Asked", "", *[f"- {line}" for line, _ in goals], ""]))
    (OUT / "dual-write.md").write_text("\n".join(text))
    with open(OUT / "dual-write.json", "w", encoding="ascii") as f:
        json.dump({"settings": chosen, "before": before, "after": after, "cells": cells,
                   "acceptance": [line for line, _ in goals]}, f, indent=1)
    print("\n" + "\n".join(text) + "\nwritten: bench/out/dual-write.md bench/out/dual-write.json")
    return all(ok for _, ok in goals)


def settings():
    chosen = {k: os.environ.get(k) or v for k, v in SETTINGS.items()}
    for k in SETTINGS:
        if k != "SIDES":
            chosen[k] = chosen[k].split() if k in ("PARTS", "FSYNC") else int(chosen[k])
    if (not set(chosen["PARTS"]) <= {"bulk", "tpcb"} or not set(chosen["FSYNC"]) <= {"on", "off"}
            or chosen["SIDES"] not in ("all", "judged") or min(v for v in chosen.values() if isinstance(v, int)) < 1):
        sys.exit("bench-dual-write: PARTS is of bulk and tpcb, FSYNC of on and off, SIDES all or judged; numbers are at least 1")
    return chosen


def main():
    chosen = settings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    farm = Farm(Path(sys.argv[1] if len(sys.argv) > 1 else "build") / "segue")
    try:
        farm.up(chosen["SCALE"], KEEPS_ITS_HEAP)
        before = measure.machine()
        cells = {part: {"bulk": bulk, "tpcb": tpcb}[part](farm, chosen) for part in chosen["PARTS"]}
        if not write(chosen, cells, before, measure.machine()):
            sys.exit(1)
    except Broken as broken:
        sys.exit(f"bench-dual-write: {broken}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        farm.close()


if __name__ == "__main__":
    main()
