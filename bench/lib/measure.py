"""What bench/proxy.py measures: runs of pgbench, CPU and memory of a process, the machine.

CPU is the process's CPU clock (all its threads, nanoseconds), sampled while pgbench runs. What counts
is the second half of the run: neither logging in nor the first statements of a new backend, which
fill its caches, are part of it. Transactions are counted from pgbench's log, so that CPU,
transactions and latencies are of the same time.
"""

import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from .contenders import PGBIN, Broken

SCRIPTS = {"select": ["-S"], "tpcb": ["-b", "tpcb-like"], "connect": ["-S", "-C"]}
SAMPLE_S = 0.02
SETTLE_SHARE = 0.5 # of the time between the first and the last transaction: backends fill their caches


class Starved(Broken):
    """A run that had next to no time on the machine."""


# ---- a process ----


def cpu_ns(pid):
    """The CPU clock of a process: CLOCK_PROCESS_CPUTIME_ID of another one, as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def memory_kib(pid):
    """(resident, proportional) set size."""
    fields = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            word = line.split()
            if len(word) == 3 and word[2] == "kB":
                fields[word[0]] = int(word[1])
    return fields["Rss:"], fields["Pss:"]


class Sampler(threading.Thread):
    """(epoch seconds, CPU ns) of a process until it is stopped."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.samples, self.over = pid, [], threading.Event()

    def run(self):
        while not self.over.wait(SAMPLE_S):
            self.samples.append((time.time(), cpu_ns(self.pid)))

    def stop(self):
        self.over.set()
        self.join()


# ---- pgbench ----


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def pgbench(script, mode, clients, dsn, seconds, folder):
    """The command of a run whose transactions read_log(folder) gives."""
    return [str(c) for c in (PGBIN / "pgbench", "-n", *SCRIPTS[script], "-M", mode, "-c", clients, "-j", 1, "-T", seconds, "-l",
                             f"--log-prefix={folder}/tx", dsn)]


def run(farm, server, script, mode, clients, tls, seconds):
    """One run. {transactions, tps, p50_us, p99_us, cpu_us}: CPU of the proxy a transaction; None for direct."""
    folder = Path(tempfile.mkdtemp(prefix="log-", dir=farm.folder))
    sampler = Sampler(server.pid or os.getpid())
    sampler.start()
    try:
        done = subprocess.run(pgbench(script, mode, clients, farm.dsn(server.port, tls), seconds, folder), cwd=folder,
                              capture_output=True, text=True, check=False, timeout=seconds + 60)
    finally:
        sampler.stop()
    if done.returncode != 0 or "ERROR" in done.stderr:
        raise Broken(f"pgbench through {server.name}: {done.stderr.strip()[-400:]}\n{server.tail()}")
    ended, took = read_log(folder)
    shutil.rmtree(folder)
    t0, t1, out = window(ended, sampler.samples)
    took = sorted(us for end, us in zip(ended, took) if t0 < end <= t1)
    out.update(transactions=len(took), p50_us=percentile(took, 0.50), p99_us=percentile(took, 0.99))
    if server.pid is None:
        out["cpu_us"] = None
    return out


def read_log(folder):
    """When each transaction ended (epoch seconds), and how long it took (us)."""
    ended, took = [], []
    for path in folder.glob("tx.*"):
        with open(path, encoding="ascii") as f:
            for line in f:
                if not line.endswith("\n"):
                    break  # pgbench was told to end while it wrote
                _client, _number, us, _script, second, fraction = line.split()[:6]
                ended.append(int(second) + int(fraction) / 1e6)
                took.append(int(us))
    if len(ended) < 10:
        raise Starved("pgbench finished fewer than ten transactions: SECONDS is too short")
    return ended, took


def window(ended, samples):
    first, last = min(ended), max(ended)
    inside = [s for s in samples if first + (last - first) * SETTLE_SHARE <= s[0] <= last]
    if len(inside) < 2:
        raise Starved("too few samples: SECONDS is too short")
    (t0, cpu0), (t1, cpu1) = inside[0], inside[-1]
    count = sum(1 for t in ended if t0 < t <= t1)
    if not count:
        raise Starved("no transaction in the window: SECONDS is too short")
    return t0, t1, {"tps": count / (t1 - t0), "cpu_us": (cpu1 - cpu0) / 1000 / count}


# ---- idle sessions ----


def idle_session(port, tls):
    """A socket that is logged in, has run one statement and is at rest."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    if tls:
        sock.sendall(struct.pack("!II", 8, 80877103))
        if sock.recv(1) != b"S":
            raise Broken("TLS is declined")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    parameters = b"user\0postgres\0database\0postgres\0\0"
    sock.sendall(struct.pack("!II", 8 + len(parameters), 196608) + parameters)
    until_ready(sock)
    text = b"SELECT abalance FROM pgbench_accounts WHERE aid = 1\0"
    sock.sendall(b"Q" + struct.pack("!I", len(text) + 4) + text)
    until_ready(sock)
    return sock


def until_ready(sock):
    data = b""
    while not data.endswith(b"Z\0\0\0\5I"):
        got = sock.recv(65536)
        if not got:
            raise Broken(f"a session was ended while it logged in: {data[-200:]!r}")
        data += got


def idle_memory(farm, name, tls, sessions):
    """KiB a session, of a fresh process, after a first session has warmed it up."""
    server = farm.start(name, tls)
    open_ones = []
    try:
        idle_session(server.port, tls).close()
        time.sleep(0.5)
        before = memory_kib(server.pid)
        for _ in range(sessions):
            open_ones.append(idle_session(server.port, tls))
        time.sleep(1)
        after = memory_kib(server.pid)
    finally:
        for sock in open_ones:
            sock.close()
        farm.stop(server)
    return {"sessions": sessions, "base_rss_kib": before[0], "base_pss_kib": before[1],
            "rss_kib": (after[0] - before[0]) / sessions, "pss_kib": (after[1] - before[1]) / sessions}


# ---- the machine ----


def machine():
    with open("/proc/stat", encoding="ascii") as f:
        ticks = [int(t) for t in f.readline().split()[1:9]]
    return {"loadavg": os.getloadavg(), "steal_ticks": ticks[7], "ticks": sum(ticks)}


def steal_percent(before, after):
    return 100 * (after["steal_ticks"] - before["steal_ticks"]) / max(1, after["ticks"] - before["ticks"])
