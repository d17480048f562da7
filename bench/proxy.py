#!/usr/bin/env python3
"""segue against a direct connection, PgBouncer (session mode) and HAProxy (TCP), interleaved in one run.

    bench/proxy.py BUILD_DIR

Selections by environment, lists with spaces (README.md has the table): SCRIPTS, MODES, CLIENTS, TLS,
PROXIES, PARTS, ROUNDS, SECONDS, SCALE, IDLE; QUICK=1 takes a small set of each. Within a cell the
contenders take turns, each round in another order: by slices of a sixth of a second where nobody holds
locks (`pgbench -S`), else run by run. Numbers are medians of the rounds, ratios are made round by
round. Writes bench/out/proxy.{md,json} and plots beside them.
"""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from lib import measure, report, slices  # noqa: E402
from lib.contenders import PROXIES, Broken, Farm  # noqa: E402

OUT = Path(__file__).resolve().parent / "out"
OVERHEAD_S = 0.8  # of a run, beside its seconds: a fresh proxy, logging in, reading the log
TURN_TIMES = 1.17  # as long as what counts of it is a turn

#            name: (full run, QUICK=1)
SELECTIONS = {
    "SCRIPTS": ("select tpcb", "select"),
    "MODES": ("simple extended prepared", "simple extended prepared"),
    "CLIENTS": ("1 16 64", "16"),
    "TLS": ("0 1", "0 1"),
    "PROXIES": ("direct segue pgbouncer haproxy", "direct segue pgbouncer haproxy"),
    "PARTS": ("cells connects memory", "cells connects memory"),
    "ROUNDS": ("5", "5"),
    "SECONDS": ("3", "1"),
    "SCALE": ("32", "8"),
    "IDLE": ("500", "200"),
}
CONNECT_CLIENTS = 16
SLICED = ("select",) # a transaction of the others would hold its locks while it is stopped
TRIES_MAX = 3  # of a run
ONE_CLIENT_TIMES = 6  # as many rounds
CROWD, CROWD_TIMES = 64, 3  # so many clients; the same, each of a third


def selections():
    quick = os.environ.get("QUICK", "0") not in ("", "0")
    chosen = {k: os.environ.get(k) or both[quick] for k, both in SELECTIONS.items()}
    out = {k: v.split() for k, v in chosen.items()}
    for k in ("ROUNDS", "SECONDS", "SCALE", "IDLE"):
        out[k] = int(chosen[k])
    out["CLIENTS"] = [int(c) for c in out["CLIENTS"]]
    out["TLS"] = [t == "1" for t in out["TLS"]]
    refuse(out)
    return out


def refuse(chosen):
    known = {"SCRIPTS": ("select", "tpcb"), "MODES": ("simple", "extended", "prepared"),
             "PARTS": ("cells", "connects", "memory"), "PROXIES": ("direct", *PROXIES)}
    for key, allowed in known.items():
        for word in chosen[key]:
            if word.partition(":")[0] not in allowed:
                sys.exit(f"bench-proxy: {key}: {word} is none of {' '.join(allowed)}")
    if chosen["SECONDS"] < 1 or chosen["ROUNDS"] < 1:
        sys.exit("bench-proxy: SECONDS and ROUNDS are at least 1")


def plan(chosen, tls):
    """The cells of one half, without their runs."""
    cells = []
    if "cells" in chosen["PARTS"]:
        cells = [{"script": s, "mode": m, "clients": c, "tls": tls, "runs": {}}
                 for s in chosen["SCRIPTS"] for c in chosen["CLIENTS"] for m in chosen["MODES"]]
    if "connects" in chosen["PARTS"]:
        cells.append({"script": "connect", "mode": "simple", "clients": CONNECT_CLIENTS, "tls": tls, "runs": {}})
    return cells


def rounds_of(cell, chosen):
    """(rounds, seconds of each). At one client one process differs from its next start by more than proxies
    differ, however long it runs: many rounds of a second. At 16, slices differ and processes do not. At 64 both do."""
    if cell["script"] in SLICED and cell["clients"] == 1:
        return ONE_CLIENT_TIMES * chosen["ROUNDS"], 1
    if cell["script"] in SLICED and cell["clients"] >= CROWD and chosen["SECONDS"] >= CROWD_TIMES:
        return CROWD_TIMES * chosen["ROUNDS"], chosen["SECONDS"] // CROWD_TIMES
    return chosen["ROUNDS"], chosen["SECONDS"]


def estimate_s(chosen):
    each = [rounds_of(cell, chosen) for tls in chosen["TLS"] for cell in plan(chosen, tls)]
    runs = sum(rounds for rounds, _ in each) * len(chosen["PROXIES"])
    measured = sum(rounds * (TURN_TIMES * seconds + OVERHEAD_S) for rounds, seconds in each) * len(chosen["PROXIES"])
    idle = len(chosen["TLS"]) * len(chosen["PROXIES"]) * (3 + chosen["IDLE"] / 150) if "memory" in chosen["PARTS"] else 0
    return runs, measured + idle + chosen["SCALE"] / 3 + 5


# ---- running ----


def tried(cell, measured):
    """One moment in which the machine did something else must not end a run of 40 minutes."""
    for _ in range(TRIES_MAX - 1):
        try:
            return measured()
        except measure.Starved as starved:
            print(f"        again: {report.cell_name(cell)}: {starved}", flush=True)
    return measured()


def run_once(farm, name, cell, seconds):
    server = farm.start(name, cell["tls"])
    try:
        return measure.run(farm, server, cell["script"], cell["mode"], cell["clients"], cell["tls"], seconds)
    finally:
        farm.stop(server)


def proxy_cost(server):
    return {"cpu": measure.cpu_ns(server.pid)} if server.pid else {}


def run_sliced(farm, names, cell, seconds):
    servers = []
    try:
        for name in names:
            servers.append(farm.start(name, cell["tls"]))
        got = slices.run(farm, [(s.name, farm.dsn(s.port, cell["tls"]), lambda s=s: proxy_cost(s)) for s in servers],
                         cell["script"], cell["mode"], cell["clients"], seconds)
    finally:
        for server in servers:
            farm.stop(server)
    for run in got.values():
        run["cpu_us"] = run.pop("cost_us").get("cpu")
    return got


def run_cell(farm, names, cell, chosen):
    """Fresh processes for each round: what luck one has with its place in memory and on the cores, it keeps."""
    cell["before"] = measure.machine()
    cell["runs"] = {name: [] for name in names}
    rounds, seconds = rounds_of(cell, chosen)
    for turn in range(rounds):
        shift = turn % len(names)
        order = names[shift:] + names[:shift]
        if cell["script"] in SLICED:
            got = tried(cell, lambda: run_sliced(farm, order, cell, seconds))
        else:
            got = {name: tried(cell, lambda: run_once(farm, name, cell, seconds)) for name in order}
        for name, run in got.items():
            cell["runs"][name].append(run)
    cell["after"] = measure.machine()
    cell["steal_percent"] = measure.steal_percent(cell["before"], cell["after"])


def progress(cell, done, total, began):
    load = cell["after"]["loadavg"][0]
    words = []
    for name in cell["runs"]:
        cpu = report.middle(cell, name, "cpu_us")
        words.append(f"{name} {report.middle(cell, name, 'tps'):,.0f}/s" + (f" {cpu:.1f} us" if cpu else ""))
    print(f"{time.monotonic() - began:6.0f} s  {done}/{total}  {report.cell_name(cell):<28} {', '.join(words)}  "
          f"[load {load:.1f}, steal {cell['steal_percent']:.1f} %]", flush=True)


def run_all(farm, chosen):
    began = time.monotonic()
    cells, memory = [], []
    total = left = sum(len(plan(chosen, tls)) for tls in chosen["TLS"])
    for tls in chosen["TLS"]:
        half = plan(chosen, tls)
        for number, cell in enumerate(half, total - left + 1):
            try:
                run_cell(farm, chosen["PROXIES"], cell, chosen)
            except measure.Starved as starved:  # the others still say something
                print(f"        left out: {report.cell_name(cell)}: {starved}", flush=True)
                continue
            cells.append(cell)
            progress(cell, number, total, began)
        left -= len(half)
        if "memory" in chosen["PARTS"]:
            for name in chosen["PROXIES"]:
                if name != "direct":
                    memory.append({"name": name, "tls": tls, **measure.idle_memory(farm, name, tls, chosen["IDLE"])})
    return cells, memory


# ---- results ----

NOTES = """\
`plain`: sslmode disable on both legs; `TLS`: both legs encrypted, HAProxy passes the client's TLS through (it pays nothing
for it). Medians of {rounds} rounds of {seconds} s, at one client of `pgbench -S` {many} of 1 s, at
{crowd} of it {crowd_rounds} of {crowd_seconds} s; ratios round by round, with
their least and greatest. p50 and p99 are of every transaction that counts. CPU is the proxy's whole process. `direct` is
the noise gauge. `connect` is pgbench -C. Everybody has a fresh backend a client (PgBouncer by server_lifetime = 0).
"""


def write(chosen, cells, memory, before, after):
    OUT.mkdir(exist_ok=True)
    lines = report.acceptance(cells, memory)
    machine = (f"Load before {before['loadavg'][0]:.1f}, after {after['loadavg'][0]:.1f}; {os.cpu_count()} cores; steal "
               f"{measure.steal_percent(before, after):.1f} %.\n")
    crowd = rounds_of({"script": "select", "clients": CROWD}, chosen)
    text = "\n".join(["# Proxies", "", NOTES.format(rounds=chosen["ROUNDS"], seconds=chosen["SECONDS"],
                                                              many=ONE_CLIENT_TIMES * chosen["ROUNDS"], crowd=CROWD,
                                                              crowd_rounds=crowd[0], crowd_seconds=crowd[1]), machine,
                      *([report.table(cells), ""] if cells else []), report.memory_table(memory) if memory else "", "", "## Asked", "",
                      *[f"- {line}" for line in lines], ""])
    (OUT / "proxy.md").write_text(text)
    with open(OUT / "proxy.json", "w", encoding="ascii") as f:
        json.dump({"settings": chosen, "before": before, "after": after, "cells": cells, "memory": memory,
                   "acceptance": lines}, f, indent=1)
    plots = report.plots(cells, OUT)
    print("\n" + text)
    print("written:", *(p.relative_to(OUT.parent.parent) for p in (OUT / "proxy.md", OUT / "proxy.json", *plots)))


def main():
    chosen = selections()
    runs, seconds = estimate_s(chosen)
    print(f"bench-proxy: {runs} runs, about {seconds / 60:.0f} minutes", flush=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    farm = Farm(Path(sys.argv[1] if len(sys.argv) > 1 else "build") / "segue")
    try:
        farm.up(chosen["SCALE"])
        before = measure.machine()
        cells, memory = run_all(farm, chosen)
        write(chosen, cells, memory, before, measure.machine())
    except Broken as broken:
        sys.exit(f"bench-proxy: {broken}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        farm.close()


if __name__ == "__main__":
    main()
