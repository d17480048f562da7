#!/usr/bin/python3
"""Many sessions, and everything that can be killed is: no leak, no stuck session, no wrong answer.

    tests/soak/soak.py [--seconds 300] [--sessions 1000] [--build build] [--pg 15]

A cycle of warm-up (all clients come, a storm, a restart of the server, all go) gives what the proxy holds when it
is idle: descriptors, memory. Then the same for `seconds`, with clients killed by process and by RST, backends
terminated, the server restarted, single TCP connections of either leg destroyed (ss -K). At the end everybody goes, and
the proxy must hold what it held. Every reply carries its request's number (load.py).
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
RSS_MORE_KB = 4096  # plus a tenth: what an allocator may keep


def parse_arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=300, help="of chaos, after the warm-up")
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4, help="of clients")
    parser.add_argument("--build", default=os.environ.get("SEGUE_BUILD", "build"))
    parser.add_argument("--pg", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--life", type=float, help="mean seconds of a session; 20 logins a second unless told")
    parser.add_argument("--think", type=float, help="mean seconds between requests; 200 a second unless told")
    args = parser.parse_args(words)
    args.life = args.life or max(5, args.sessions / 20)
    args.think = args.think or max(0.5, args.sessions / 200)
    return args


class Clients:
    """One process of load.py, and what it has last said."""

    numbers = 0

    def __init__(self, soak):
        Clients.numbers += 1
        self.said = {"counts": {}, "lost": {}, "wrong": [], "wrongs": 0, "open": 0}
        self.heard = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, HERE / "load.py", "--port", str(soak.proxy.port), "--dbname", soak.db.name, "--sessions",
             str(soak.args.sessions // soak.args.processes), "--seed", str(soak.args.seed * 1000 + Clients.numbers),
             "--acks", soak.acks, "--ca", soak.certs.ca, "--life", str(soak.args.life), "--think",
             str(soak.args.think)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            try:
                self.said = json.loads(line)
            except ValueError:
                continue  # killed in the middle of a line
            self.heard = time.monotonic()

    def order(self, word):
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it was killed

    def kill(self):
        self.process.kill()
        self.finish(10)

    def finish(self, timeout):
        code = self.process.wait(timeout)
        self.reader.join(10)
        with contextlib.suppress(OSError):  # what was ordered last it has not read
            self.process.stdin.close()
        self.process.stdout.close()
        return code


class Soak:
    def __init__(self, args):
        self.args = args
        self.random = random.Random(args.seed)
        self.clients, self.gone = [], []
        self.done = Counter()  # what was killed
        self.failures = []
        self.told = 0  # wrong answers that were shown
        self.began = time.monotonic()
        self.control = None

    # ---- the stage ----

    def open(self, folder):
        from lib.certs import Certs
        from lib.cluster import TEMPLATE, Cluster, Clusters, Database
        from lib.segue import Segue

        self.clusters = Clusters()
        cluster = Cluster(self.args.pg, self.clusters._folder("soak"), self.clusters.installs.bin(self.args.pg))
        cluster.init()
        with open(cluster.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"max_connections = {self.args.sessions * 2 + 100}\nlog_min_messages = fatal\n")
        self.clusters.running.append(cluster)
        cluster.start()
        with cluster.connect() as conn:
            conn.execute(f"CREATE DATABASE soak TEMPLATE {TEMPLATE}")
        self.db = Database(cluster, "soak")
        self.db.sql("CREATE TABLE writes (id bigint PRIMARY KEY, word text)")
        self.certs = Certs(self.clusters.root / "certs")
        self.acks = str(Path(folder) / "acknowledged")
        self.proxy = Segue(self.db.url(), folder, workers=2, client_tls_cert_file=self.certs.server.cert,
                           client_tls_key_file=self.certs.server.key, sessions_max=self.args.sessions * 3,
                           startup_open_max=self.args.sessions * 3)
        self.say(f"segue {self.proxy.process.pid} on port {self.proxy.port}, PostgreSQL {self.args.pg} on {cluster.port}")

    def close(self):
        for client in self.clients:
            client.kill()
        if self.proxy.running():
            self.proxy.kill9()
        self.clusters.close()

    # ---- talking ----

    def say(self, line):
        print(f"{time.monotonic() - self.began:6.1f} s  {line}", flush=True)

    def fail(self, what):
        self.failures.append(what)
        self.say(f"FAILED: {what}")

    def sums(self):
        counts, lost = Counter(), Counter()
        wrong, wrongs = [], 0
        for client in self.clients + self.gone:
            counts.update(client.said["counts"])
            lost.update(client.said["lost"])
            wrong += client.said["wrong"]
            wrongs += client.said["wrongs"]
        return counts, lost, wrong, wrongs

    # ---- the proxy, from outside ----

    def status(self, word):
        for line in Path(f"/proc/{self.proxy.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(word + ":"):
                return int(line.split()[1])
        return 0

    def descriptors(self):
        folder = f"/proc/{self.proxy.process.pid}/fd"
        out = Counter()
        for fd in os.listdir(folder):
            try:
                out[os.readlink(f"{folder}/{fd}").split(":")[0]] += 1
            except OSError:
                pass  # closed meanwhile
        return out

    def cpu_s(self):
        words = Path(f"/proc/{self.proxy.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def held(self):
        """What an idle proxy holds: descriptors, KiB. It gives memory back some seconds after a crowd has left. Its
        engine may have gone to sleep with the server: it comes back with a client."""
        from lib.wait import until

        with self.proxy.connect():
            until("the engine", lambda: self.proxy.console("SHOW VERSION")[0]["engine_connected"])
        self.proxy._drop_console()
        time.sleep(7)
        return sum(self.descriptors().values()), self.status("VmRSS")

    # ---- chaos ----

    def kill_clients(self):
        victim = self.random.randrange(len(self.clients))
        self.clients[victim].kill()
        self.gone.append(self.clients[victim])
        self.clients[victim] = Clients(self)
        self.done["processes of clients killed"] += 1

    def storm(self):
        for client in self.clients:
            client.order("storm")
        self.done["storms"] += 1

    def terminate_backends(self):
        import psycopg

        try:
            rows = self.db.sql("SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE application_name"
                               " = 'soak' ORDER BY random() LIMIT 5) AS victims")
            self.done["backends terminated"] += len(rows)
        except psycopg.OperationalError:
            pass  # it is restarting

    def cut_connections(self):
        """Single TCP connections, of the clients' leg and of the server's."""
        for port in (self.proxy.port, self.db.cluster.port):
            found = subprocess.run(["ss", "-Htn", "state", "established", f"dport = :{port}"], capture_output=True,
                                   text=True, check=False).stdout.splitlines()
            for line in self.random.sample(found, min(3, len(found))):
                local = line.split()[2].rsplit(":", 1)[1]
                subprocess.run(["ss", "-KHtn", f"sport = :{local}", "and", f"dport = :{port}"], capture_output=True,
                               check=False)
                self.done["TCP connections cut"] += 1

    def restart_server(self):
        cluster = self.db.cluster
        (cluster.crash if self.random.random() < 0.5 else cluster.stop)()
        cluster.start()
        self.done["restarts of the server"] += 1

    def chaos(self, seconds):
        """Runs for so long; each kind of trouble in its own rhythm."""
        plan = [(self.terminate_backends, 1.0), (self.cut_connections, 1.5), (self.storm, min(11.0, seconds / 3)),
                (self.kill_clients, min(7.0, seconds / 3)),
                (self.restart_server, max(40.0, seconds / 6) if seconds > 60 else seconds * 0.4)]
        due = {act: time.monotonic() + every * (0.5 + self.random.random() / 2) for act, every in plan}
        end, shown = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end:
            for act, every in plan:
                if time.monotonic() >= due[act]:
                    act()
                    due[act] = time.monotonic() + every * (0.5 + self.random.random())
            if time.monotonic() >= shown:
                shown = time.monotonic() + 10
                self.progress()
            if not self.proxy.running():
                self.fail(f"segue has ended with {self.proxy.process.returncode}")
                return
            time.sleep(0.1)

    def progress(self):
        counts, lost, wrong, wrongs = self.sums()
        for text in wrong[self.told:]:
            self.say(f"wrong: {text}")
        self.told = len(wrong)
        self.say(f"{sum(c.said['open'] for c in self.clients)} sessions, {counts['requests']} requests, "
                 f"{counts['connects']} logins, {sum(lost.values())} lost, {wrongs} wrong; segue: "
                 f"{sum(self.descriptors().values())} descriptors, {self.status('VmRSS')} KiB")

    # ---- ends ----

    def everybody_comes(self):
        from lib.wait import until

        self.clients = [Clients(self) for _ in range(self.args.processes)]
        wanted = self.args.sessions // self.args.processes * self.args.processes
        until("all clients", lambda: sum(c.said["open"] for c in self.clients) > wanted * 0.9, 120, every=0.2)

    def everybody_goes(self):
        from lib.wait import Late, until

        for client in self.clients:
            client.order("stop")
        for client in self.clients:
            try:
                if client.finish(120) != 0:
                    self.fail("a process of clients has failed")
            except subprocess.TimeoutExpired:
                self.fail(f"clients do not come to their end: {client.said}")
                client.kill()
        self.gone += self.clients
        self.clients = []
        try:
            until("no session in segue", lambda: not self.sessions_left(), 40, every=0.3)
            until("no session in PostgreSQL", lambda: not self.backends_left(), 40, every=0.3)
        except Late as late:
            self.fail(f"{late}: {self.sessions_left()[:5]} {self.backends_left()[:5]}")

    def sessions_left(self):
        return [row for row in self.proxy.console("SHOW SESSIONS") if row["database"] != "segue"]

    def backends_left(self):
        return self.db.sql("SELECT pid, state, query FROM pg_stat_activity WHERE application_name = 'soak'")

    def check_oracle(self):
        with open(self.acks, encoding="ascii") as file:
            acknowledged = {int(line) for line in file.read().split("\n")[:-1]}
        written = {row[0] for row in self.db.sql("SELECT id FROM writes WHERE word = 'kept'")}
        if acknowledged - written:
            self.fail(f"{len(acknowledged - written)} acknowledged writes are not there")
        never = self.db.one("SELECT count(*) FROM writes WHERE word <> 'kept'")
        if never:
            self.fail(f"{never} rows that were rolled back are there")
        return len(acknowledged)

    def check_idle(self):
        before = self.cpu_s()
        time.sleep(3)
        used = self.cpu_s() - before
        if used > 0.3:
            self.fail(f"idle, segue has used {used:.2f} s of CPU in 3 s")

    def check_held(self, before):
        from lib.wait import SLOW

        (fds, rss), (fds_before, rss_before) = self.held(), before
        self.say(f"segue holds {fds} descriptors (before: {fds_before}) and {rss} KiB (before: {rss_before})")
        if fds > fds_before:
            self.fail(f"descriptors: {fds}, before: {fds_before}; {dict(self.descriptors())}")
        if SLOW == 1 and rss > rss_before * 1.1 + RSS_MORE_KB:
            self.fail(f"memory: {rss} KiB, before: {rss_before} KiB")

    def run(self):
        empty = sum(self.descriptors().values()), self.status("VmRSS")
        self.everybody_comes()
        self.say(f"warm-up: all clients are here; segue had {empty[1]} KiB alone, has {self.status('VmRSS')} KiB now")
        self.chaos(min(20.0, self.args.seconds / 3))
        self.everybody_goes()
        before = self.held()
        self.say(f"warm: {before[0]} descriptors, {before[1]} KiB")
        self.everybody_comes()
        self.chaos(self.args.seconds)
        self.everybody_goes()
        self.check_idle()
        self.check_held(before)
        writes = self.check_oracle()
        counts, lost, wrong, wrongs = self.sums()
        if wrongs:
            self.fail(f"{wrongs} wrong answers, such as: {wrong[:5]}")
        if not counts["requests"] or not writes:
            self.fail("nothing was done")
        self.proxy.stop()
        self.say(f"requests {counts['requests']}, logins {counts['connects']}, acknowledged writes {writes}")
        self.say("killed: " + ", ".join(f"{n} {what}" for what, n in sorted(self.done.items())))
        self.say("sessions lost, by reason: " + ", ".join(f"{n} {why}" for why, n in lost.most_common()))
        self.say("FAILED" if self.failures else "ok: no leak, no stuck session, no wrong answer")


def soak(args):
    """Gives the failures."""
    os.environ["SEGUE_BUILD"] = args.build
    with tempfile.TemporaryDirectory(prefix="segue-soak-") as folder:
        stage = Soak(args)
        stage.open(folder)
        try:
            stage.run()
        except BaseException:
            print(stage.proxy.log_tail(15))
            raise
        finally:
            stage.close()
        return stage.failures


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(1 if soak(parse_arguments()) else 0)
