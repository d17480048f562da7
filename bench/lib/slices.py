"""Runs of pgbench that are under way at once and go on in turn, SLICE_S each, while the others are stopped.

What the machine does for seconds, it does to all of them. Only for runs that hold no locks that
another one waits for: a stopped one holds them.
"""

import bisect
import random
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from . import measure
from .contenders import Broken

SLICE_S, WARM_S = 0.15, 0.02  # of a turn: what counts, and what goes before
REST_S = 0.005  # what a stopped pgbench has asked for is answered
LOGIN_S, LOGIN_CLIENT_S = 0.1, 0.01  # nobody else goes on meanwhile
SETTLE_S, SETTLE_SHARE = 1.0, 0.5  # at first, but no more than that share of a short run: backends fill their caches


class Run:
    """cost(): nanoseconds of CPU so far, by what they were spent on; {} is allowed."""

    def __init__(self, farm, name, cost, script, mode, clients, dsn, lasts):
        self.name, self.cost, self.slices = name, cost, []
        self.folder = Path(tempfile.mkdtemp(prefix="log-", dir=farm.folder))
        self.said = open(self.folder / "said", "w+", encoding="utf-8")
        self.process = subprocess.Popen(measure.pgbench(script, mode, clients, dsn, lasts, self.folder), cwd=self.folder,
                                        stdout=subprocess.DEVNULL, stderr=self.said)
        time.sleep(LOGIN_S + LOGIN_CLIENT_S * clients)
        self.stop()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(REST_S)

    def slice(self):
        self.process.send_signal(signal.SIGCONT)
        time.sleep(WARM_S)
        before, began = self.cost(), time.time()
        time.sleep(SLICE_S)
        ended, after = time.time(), self.cost()
        self.slices.append((began, ended, {what: after[what] - before[what] for what in before}))
        self.stop()

    def result(self):
        """{transactions, tps, p50_us, p99_us, turns_p50_us: of each slice, cost_us: a transaction}"""
        self.process.send_signal(signal.SIGCONT)
        code = self.process.wait(120)
        self.said.seek(0)
        said = self.said.read()
        if code != 0 or "ERROR" in said:
            raise Broken(f"pgbench through {self.name}: {said.strip()[-400:]}")
        lines = sorted(zip(*measure.read_log(self.folder)))
        ends = [end for end, _ in lines]
        took, turns, seconds, spent = [], [], 0, {}
        for began, ended, cost in self.slices[settling(len(self.slices)):]:
            these = [us for _, us in lines[bisect.bisect(ends, began):bisect.bisect(ends, ended)]]
            took += these
            turns.append(measure.percentile(sorted(these), 0.50) if these else None)
            seconds += ended - began
            for what, ns in cost.items():
                spent[what] = spent.get(what, 0) + ns
        if not took:
            raise measure.Starved("no transaction in the slices")
        took.sort()
        return {"transactions": len(took), "tps": len(took) / seconds, "p50_us": measure.percentile(took, 0.50),
                "p99_us": measure.percentile(took, 0.99), "turns_p50_us": turns,
                "cost_us": {what: ns / 1000 / len(took) for what, ns in spent.items()}}

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.said.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def settling(turns):
    """How many of the turns do not count."""
    return min(round(SETTLE_S / SLICE_S), int(turns * SETTLE_SHARE))


def run(farm, contenders, script, mode, clients, seconds):
    """contenders: [(name, dsn, cost)]; cost is asked for once they are logged in. {name: Run.result()}"""
    turns = max(2, int(seconds / SLICE_S))
    lasts = len(contenders) * (LOGIN_S + LOGIN_CLIENT_S * clients + REST_S + 1.1 * turns * (WARM_S + SLICE_S + REST_S))
    under_way = []
    try:
        for name, dsn, cost in contenders:
            under_way.append(Run(farm, name, cost, script, mode, clients, dsn, int(lasts) + 2))
        for _ in range(turns):
            for one in random.sample(under_way, len(under_way)):
                one.slice()
        return {one.name: one.result() for one in under_way}
    finally:
        for one in under_way:
            one.close()
