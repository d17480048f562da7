"""A running `segue serve`, its console and its commands."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psycopg
from psycopg.rows import dict_row

from .wait import SLOW, Late, until

REPO = Path(__file__).resolve().parents[3]
BUILD = REPO / os.environ.get("SEGUE_BUILD", "build")
PROGRAM = BUILD / "segue"
SANITIZER = re.compile(r"(ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer)")

# phases in which a migration stays without being told to go on
RESTING = {"ready", "soaking", "done", "aborted"}


def option(name, value):
    """One option of the configuration as an argument of serve."""
    return [f"--{name}", str(value)]


class Refused(AssertionError):
    """A command has ended with a code that the test did not expect."""


class Segue:
    """`upstream` is a URL; keyword options are those of the configuration."""

    def __init__(self, upstream, folder, start=True, arguments=(), environment=None, **options):
        self.upstream = upstream
        self.folder = Path(folder)
        # no quiet period: most tests complete right after the cut-over
        # and short pauses between attempts, and none after a wrong password; clients of tests leave no core idle,
        # so what they feel would slow every backfill beside them: who tests that turns it on
        self.options = {"workers": 2, "quiet_period_s": 0, "cutover_backoff": "0s,200ms,1s,2s,5s",
                        "failed_login_delay_ms": 0, "throttle": '[{"signal": "client_p99", "enabled": false}]', **options}
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.program = PROGRAM
        self.log = self.folder / f"segue-{id(self):x}.log"
        self.host, self.port = "127.0.0.1", 0
        self.told = ""  # the line that says where it listens
        self.process = None
        self._console = None
        self._lines = None
        if start:
            self.start()

    # ---- the process ----

    def command(self):
        out = [str(self.program), "serve", "--upstream", self.upstream, "--listen", f"127.0.0.1:{self.port}"]
        for name, value in self.options.items():
            out += option(name, value)
        return out + self.arguments

    def start(self):
        """Starts and waits for the `listening on` line. After the first start the port stays."""
        log = open(self.log, "ab")
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log, text=True,
                                        stdin=subprocess.DEVNULL, env={**os.environ, **self.environment})
        log.close()
        self._lines = queue.Queue()
        threading.Thread(target=self._read, args=(self.process.stdout, self._lines), daemon=True).start()
        end = time.monotonic() + 15 * SLOW
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise Late(f"segue does not listen\n{self.log_tail()}") from None
            if line is None:
                raise AssertionError(f"segue ended with {self.process.wait()}\n{self.log_tail()}")
            found = re.search(r"listening on (\S+):(\d+)", line)
            if found:
                self.port, self.told = int(found[2]), line
                return self

    @staticmethod
    def _read(pipe, lines):
        for line in pipe:
            lines.put(line)
        lines.put(None)
        pipe.close()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        self._drop_console()
        if self.process:
            self.process.kill()
            self.process.wait(10)

    def restart(self):
        self.kill9()
        return self.start()

    def freeze(self):
        """SIGSTOP, and every thread has stopped: what it was doing when the signal came is done."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        until("all threads to stop", lambda: all(
            (task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()))

    def signal(self, sig):
        self.process.send_signal(sig)

    def stop(self, timeout=40):
        """SIGTERM; it must end with 0, and a sanitizer build must have nothing to say."""
        self._drop_console()
        if self.running():
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(timeout * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
                raise Late(f"segue has not ended after SIGTERM\n{self.log_tail()}") from None
            assert code == 0, f"segue ended with {code}\n{self.log_tail(200)}"
        self.assert_clean()

    def assert_clean(self):
        text = self.log_text()
        found = SANITIZER.search(text)
        assert not found, f"sanitizer report:\n{text[max(0, found.start() - 200):][:8000]}"

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines=60):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def logged(self, text, timeout=60):
        """Waits for `text` (a string, or a compiled regex) in the log, which may come after the answer that a client
        has; gives the log's text."""
        def look():
            log = self.log_text()
            return log if (text.search(log) if isinstance(text, re.Pattern) else text in log) else None

        try:
            return until(f"the log to say {getattr(text, 'pattern', text)!r}", look, timeout)
        except Late as late:
            raise Late(f"{late}\n{self.log_tail()}") from None

    # ---- clients ----

    @property
    def server(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/segue"

    @property
    def dbname(self):
        return self.upstream.split("?")[0].rsplit("/", 1)[1]

    def url(self, dbname=None, user="postgres"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{dbname or self.dbname}"

    def connect(self, dbname=None, user="postgres", **options):
        """A client's connection through the proxy, autocommit unless told otherwise."""
        options.setdefault("autocommit", True)
        options.setdefault("application_name", "itest")
        return psycopg.connect(host="127.0.0.1", port=self.port, dbname=dbname or self.dbname, user=user, **options)

    # ---- the console ----

    def _drop_console(self):
        if self._console is not None:
            self._console.close()
            self._console = None

    def console(self, sql):
        """Rows as dicts. Simple protocol: there are no parameters."""
        if self._console is None or self._console.closed or self._console.broken:
            self._console = psycopg.connect(host="127.0.0.1", port=self.port, dbname="segue", user="postgres",
                                            autocommit=True, row_factory=dict_row, application_name="itest console",
                                            connect_timeout=10, prepare_threshold=None)
        cur = self._console.cursor()
        cur.execute(sql.encode())
        return cur.fetchall() if cur.description else []

    def status(self, name):
        """None: there is no such migration."""
        with contextlib.suppress(psycopg.errors.UndefinedObject):
            return next(iter(self.console(f'SHOW STATUS "{name}"')), None)

    def phase(self, name):
        row = self.status(name)
        return row["phase"] if row else None

    def wait(self, name, probe, timeout=60, what=None):
        """Polls the status of a migration until probe(row) is true."""
        last = {}

        def look():
            row = self.status(name)
            last["row"] = row
            return row if row is not None and probe(row) else None

        try:
            return until(what or f"migration {name}", look, timeout, every=0.03)
        except Late as late:
            raise Late(f"{late}; last status: {last.get('row')}\n{self.log_tail()}") from None

    def wait_phase(self, name, phase, timeout=60):
        """Waits for a phase (or one of several); fails at once when the migration stops with an error."""
        wanted = {phase} if isinstance(phase, str) else set(phase)

        def probe(row):
            if row["phase"] in wanted:
                return True
            if row["error"]:
                raise AssertionError(f"{name} stopped in {row['phase']}: {row['error']}; {row['hint']}\n{self.log_tail()}")
            return False

        return self.wait(name, probe, timeout, f"{name} to be {' or '.join(sorted(wanted))}")

    def at_work(self, timeout=60):
        """Waits until its engine obeys: after a start the backend of the one before may still have the lock, and what is
        shown until then is that one's."""
        until(f"the engine to be at work\n{self.log_tail(5)}", lambda: self.console("SHOW VERSION")[0]["engine_connected"], timeout)
        return self

    # ---- commands ----

    def cli(self, *args, check=0, timeout=120, stdin=None, environment=None, server=True):
        """Runs a command. `check`: the exit code that must come, None: any."""
        command = [str(PROGRAM), *map(str, args)]
        env = {**os.environ, **(environment or {})}
        if server:
            env["SEGUE_SERVER"] = self.server
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout * SLOW, env=env,
                              cwd=self.folder)
        if check is not None and done.returncode != check:
            raise Refused(f"segue {' '.join(map(str, args))}: exit {done.returncode}, expected {check}\n"
                          f"stdout: {done.stdout[-3000:]}\nstderr: {done.stderr[-3000:]}\nlog: {self.log_tail()}")
        return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)

    def file(self, migration):
        """Writes a migration (dict, or text) to a file and gives its path."""
        if isinstance(migration, dict):
            path = self.folder / f"{migration.get('name', 'unnamed')}.json"
            path.write_text(json.dumps(migration, indent=2), encoding="utf-8")
        else:
            path = self.folder / "migration.json"
            path.write_text(migration, encoding="utf-8")
        return path

    def begin(self, migration, *args):
        """start --detach: comes back when `planned` is durable."""
        return self.cli("start", self.file(migration), "--detach", *args)

    def ready(self, migration, timeout=60):
        """Runs a migration to ready; gives its name."""
        self.begin(migration)
        self.wait_phase(migration["name"], "ready", timeout)
        return migration["name"]

    def soaking(self, migration, timeout=60):
        """Runs a migration through its cut-over; gives its name."""
        name = self.ready(migration, timeout)
        self.cli("cutover", name)
        return name

    def done(self, migration, timeout=60):
        name = self.soaking(migration, timeout)
        self.cli("complete", name, "--force")
        return name
