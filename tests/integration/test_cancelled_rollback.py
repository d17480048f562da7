"""Somebody cancels the engine's ROLLBACK itself: the transaction stays aborted on the server, and it is said again.

A ROLLBACK is over in microseconds. Here the server logs the engine's statements into a pipe that has room for one of them, so that
each waits for the one before to be read: the ROLLBACK waits where a cancel meets it."""

import contextlib
import fcntl
import os
import sys
import threading
from select import select

import pytest
from lib.segue import BUILD, REPO
from lib.tables import RENAME, make_items
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version
OURS = "FROM pg_stat_activity WHERE usename = 'engine' AND state = 'active' AND query "
LOCKING, ROLLBACK = OURS + "LIKE 'BEGIN;%LOCK TABLE%'", OURS + "= 'ROLLBACK'"


class LogPipe:
    """What the server logs, read all the time, but while `held`: then whoever logs waits for take()."""

    def __init__(self):
        self.read, self.write = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)  # a packet for each write of the server, never two in one page
        fcntl.fcntl(self.write, fcntl.F_SETPIPE_SZ, 4096)
        self.held = threading.Lock()
        self.said = []
        self.over = threading.Event()
        self.reader = threading.Thread(target=self._drain, daemon=True)
        self.reader.start()

    def _drain(self):
        while not self.over.is_set():
            if select([self.read], [], [], 0.02)[0] and self.held.acquire(timeout=0.02):
                with contextlib.ExitStack() as held:
                    held.callback(self.held.release)
                    if select([self.read], [], [], 0)[0]:
                        self.take()

    def take(self):
        self.said.append(os.read(self.read, 4096).decode(errors="replace"))

    def fill(self):
        while select([self.read], [], [], 0)[0]:  # said before, and not read yet: there is no room beside it
            self.take()
        os.write(self.write, b"full")

    def close(self):
        self.over.set()
        self.reader.join(10)
        os.close(self.read)
        os.close(self.write)


@pytest.fixture
def logs(private_pg):
    pipe = LogPipe()
    with private_pg.connect() as conn:
        conn.execute("CREATE ROLE engine SUPERUSER LOGIN")
        for setting in ("log_statement = 'all'", "log_min_messages = 'log'"):  # that level: no errors
            conn.execute(f"ALTER ROLE engine SET {setting}")
        conn.execute("ALTER SYSTEM SET log_min_messages = 'fatal'")
    private_pg.stop()
    private_pg.start(os.fdopen(os.dup(pipe.write), "wb", 0))
    yield pipe
    private_pg.crash()
    pipe.close()


class Canceller:
    """When the gate has drained: the lock cannot be had, and the ROLLBACK behind that is cancelled."""

    def __init__(self, db, logs):
        self.db, self.logs, self.failed, self.done = db, logs, None, threading.Event()
        self.told = Told(self.hear)

    def hear(self, _):
        self.logs.held.acquire()
        self.logs.fill()
        holder = self.db.connect()
        holder.execute("BEGIN; LOCK TABLE items IN ACCESS SHARE MODE")
        threading.Thread(target=self.cancel, args=(holder,), daemon=True).start()

    def cancel(self, holder):
        try:
            with self.db.connect() as conn:
                until("BEGIN to be logged", lambda: conn.execute(f"SELECT 1 {LOCKING}").fetchall(), every=0.005)
                self.logs.take()
                until("ROLLBACK to be logged", lambda: conn.execute(f"SELECT 1 {ROLLBACK}").fetchall(), every=0.005)
                assert conn.execute(f"SELECT pg_cancel_backend(pid) {ROLLBACK}").fetchall() == [(True,)]
        except BaseException as error:  # pylint: disable=broad-except
            self.failed = error
        holder.close()
        self.logs.held.release()
        self.done.set()


@pytest.mark.parametrize("way", ["cutover", "rollback"])
def test_a_rollback_that_is_cancelled_is_said_again(private_db, logs, segue, way):
    make_items(private_db, 50)
    canceller = Canceller(private_db, logs)
    at = {"cutover": "cutting_over", "rollback": "reverting"}[way]
    proxy = segue(upstream=private_db.url(user="engine"), start=False, environment={
        "SEGUE_FAULT": f"gate_drained/{at}:tell", "SEGUE_FAULT_SOCKET": canceller.told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    (proxy.ready if way == "cutover" else proxy.soaking)(RENAME)
    before = len(logs.said)
    proxy.cli(way, RENAME["name"])
    canceller.told.close()
    assert canceller.done.wait(60) and not canceller.failed
    said = [line for line in logs.said[before:] if line.rstrip().endswith("statement: ROLLBACK")]
    assert len(said) >= 2, "the one that was cancelled, and the one behind it"
    kind = {"cutover": "cutover", "rollback": "revert"}[way]
    tries = [(r["outcome"], r["error"]) for r in proxy.console(f"SHOW ATTEMPTS {RENAME['name']}") if r["kind"] == kind]
    assert tries == [("lock", "canceling statement due to lock timeout"), ("done", None)]
