"""Statements that were rewritten before an edge of a migration and run behind it (ARCHITECTURE, What a rewritten statement
meets at each edge): nobody gets an error that it would not have got without segue."""

import itertools
import sys
import threading

import psycopg
import pytest
from lib.segue import BUILD, REPO
from lib.tables import RENAME, make_items, out_of_step
from lib.traffic import PLAIN
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.newest_unless_told

STAR = {"old": ["id", "label", "note", "filler"], "new": ["id", "note", "filler", "title"]}


class Worker(threading.Thread):
    """Writes and reads by the names of one schema, as fast as it can; keeps the first error."""

    numbers = itertools.count(100_000)

    def __init__(self, proxy, side, prepare):
        super().__init__(daemon=True)
        self.conn = proxy.connect(options=f"-c segue.schema={side}")
        self.side, self.prepare = side, prepare
        self.name = {"old": "label", "new": "title"}[side]
        self.rounds, self.error, self.ends = 0, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.ends.is_set():
                self.round(next(self.numbers))
                self.rounds += 1
        except (psycopg.Error, AssertionError) as error:
            self.error = error

    def round(self, i):
        run, name = self.conn.execute, self.name
        run(f"INSERT INTO items (id, {name}) VALUES (%s, %s)", (i, f"row {i}"), prepare=self.prepare)
        run(f"UPDATE items SET {name} = {name} || '!' WHERE id = %s", (i,), prepare=self.prepare)
        cur = run("SELECT * FROM items WHERE id = %s", (i,), prepare=self.prepare)
        assert [c.name for c in cur.description] == STAR[self.side]
        assert f"row {i}!" in cur.fetchone()
        with self.conn.pipeline():  # several statements on their way when the edge comes
            for _ in range(3):
                run("UPDATE items SET note = 'n' WHERE id = %s", (i,), prepare=self.prepare)
                run(f"INSERT INTO items (id, {name}) VALUES (%s, 'p')", (next(self.numbers),), prepare=self.prepare)

    def end(self):
        self.ends.set()
        self.join(20)
        assert not self.is_alive(), "it hangs"
        self.conn.close()
        assert self.error is None, repr(self.error)


def flows(workers):
    seen = [w.rounds for w in workers]
    until("rounds of every worker",
          lambda: any(w.error for w in workers) or all(w.rounds > n + 3 for w, n in zip(workers, seen)))
    for worker in workers:
        assert worker.error is None, repr(worker.error)


def test_old_sessions_go_through_expand_cut_over_rollback_and_abort_without_an_error(db, segue):
    make_items(db, 500)
    proxy = segue(db, log_level="warning")
    workers = [Worker(proxy, "old", prepare) for prepare in (True, False)]
    for _ in range(3):
        flows(workers)
        name = proxy.ready(RENAME)
        flows(workers)
        proxy.cli("cutover", name)
        flows(workers)
        proxy.cli("rollback", name)
        flows(workers)
        assert out_of_step(db, PLAIN) == 0
        proxy.cli("abort", name)
        flows(workers)
    for worker in workers:
        worker.end()


def test_new_sessions_go_through_cut_over_rollback_and_complete_without_an_error(db, segue):
    make_items(db, 500)
    proxy = segue(db, log_level="warning")
    name = proxy.ready(RENAME)
    workers = [Worker(proxy, "new", prepare) for prepare in (True, False)]
    flows(workers)
    for verb in ("cutover", "rollback", "cutover"):
        proxy.cli(verb, name)
        flows(workers)
    assert out_of_step(db, PLAIN) == 0
    proxy.cli("complete", name, "--force")
    flows(workers)
    for worker in workers:
        worker.end()


@pytest.mark.parametrize(("verbs", "column"), [(["abort"], "label"), (["cutover", "complete"], "title")])
def test_a_drop_waits_for_a_written_twin_that_has_not_come_to_its_lock(db, segue, verbs, column):
    make_items(db, 10)
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(5)")
    # once the gate is closed the statement goes on, a little later: while it is waited for
    told = Told(lambda _: threading.Timer(0.2, holder.execute, ["SELECT pg_advisory_unlock(5)"]).start())
    phase = {"abort": "aborting", "complete": "contracting"}[verbs[-1]]
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": f"gate_closed/{phase}:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    name = proxy.ready(RENAME)
    for verb in verbs[:-1]:
        proxy.cli(verb, name)
    side = "old" if column == "label" else "new"
    errors = []

    def slow():  # one message: it holds no lock on the table while it waits
        try:
            conn.execute(f"SELECT pg_advisory_xact_lock(5); INSERT INTO items (id, {column}) VALUES (77, 'late')", prepare=False)
        except psycopg.Error as error:
            errors.append(error)

    with proxy.connect(options=f"-c segue.schema={side}", application_name="slow") as conn:
        thread = threading.Thread(target=slow)
        thread.start()
        until("it to wait", lambda: db.one(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND application_name = 'slow'"))
        proxy.cli(verbs[-1], name, *(["--force"] if verbs[-1] == "complete" else []))
        thread.join()
    told.close()
    assert not errors, errors
    assert db.sql(f"SELECT {column} FROM items WHERE id = 77") == [("late",)]
