"""A segue freezes at a bad moment, another takes over its migration, and the first wakes up and goes on with what it was doing."""

import signal
import sys
import threading
import time

import pytest
from lib import catalog
from lib.frozen import freeze
from lib.segue import BUILD, REPO
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version
MIGRATION = {"name": "frozen", "operations": [
    {"rename_column": {"table": "items", "from": "label", "to": "title"}},
    {"add_column": {"table": "items", "up": "length(label)",
                    "column": {"name": "size", "type": "integer", "nullable": True}}},
    {"create_index": {"name": "items_note", "table": "items", "columns": ["note"]}},
    {"create_index": {"name": "items_both", "table": "items", "columns": ["note", "id"]}}]}
HOLDER = ("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
          "AND (classid::bigint << 32 | objid::bigint) = x'7365677565'::bigint")


def aside(proxy, *words):
    """A command that waits for a segue that does not answer."""
    threading.Thread(target=proxy.cli, args=words, kwargs={"check": None}, daemon=True).start()


class Sleeper:
    """A segue that stops at a point, all threads of it, until it wakes; at `then` it gives what it has sent half a second."""

    def __init__(self, segue, db, point, then="", **options):
        self.there, self.go_on, self.at_then = threading.Event(), threading.Event(), then
        self.told = Told(self.hear)
        points = ",".join(f"{one}:tell" for one in (point, then) if one)
        self.proxy = segue(db, start=False, environment={"SEGUE_FAULT": points, "SEGUE_FAULT_SOCKET": self.told.path}, **options)
        self.proxy.program = BUILD / "faults" / "segue"
        self.proxy.start()

    def hear(self, point):
        if point == self.at_then:
            time.sleep(0.5)
        else:
            self.there.set()
            self.go_on.wait(60)

    def sleep(self):
        assert self.there.wait(30), self.proxy.log_tail()
        self.proxy.freeze()

    def wake(self):
        """Until it has noticed; what it was about to do is done or refused by then."""
        self.proxy.signal(signal.SIGCONT)
        self.go_on.set()
        self.proxy.logged("another segue is at work")
        self.told.close()


@pytest.fixture
def sleeper(db, segue):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text NOT NULL, note text)")
    db.sql("INSERT INTO items SELECT i, 'row ' || i, 'note' FROM generate_series(1, 300) i")
    started = []

    def start(point, then="", **options):
        started.append(Sleeper(segue, db, point, then, **options))
        return started[-1]

    yield start
    for one in started:  # whatever has failed
        one.go_on.set()
        if one.proxy.running():
            one.proxy.signal(signal.SIGCONT)


def taken_over(db, segue, **options):
    """Another segue, and what its doctor says is done: the backend of the frozen one is ended."""
    proxy = segue(db, **options)
    proxy.logged("another segue is at work")
    (row,) = [r for r in proxy.console("DOCTOR") if r["finding"] == "another segue"]
    assert "pg_terminate_backend" in row["command"]
    assert db.one(HOLDER)
    until("it to be at work", lambda: proxy.status("frozen"))
    return proxy


def test_a_batch_that_comes_late_overwrites_nothing(db, segue, sleeper):
    old = sleeper("batch_before", then="batch_sent")
    old.proxy.begin(MIGRATION)
    old.sleep()
    new = taken_over(db, segue)
    new.wait_phase("frozen", "ready")
    new.cli("cutover", "frozen")
    new.connect().execute("UPDATE items SET size = NULL")  # the new application's own: nobody may fill it again
    old.wake()
    assert db.one("SELECT count(size) FROM items") == 0
    new.cli("rollback", "frozen")
    assert db.one("SELECT count(*) FROM items WHERE label = title AND label = 'row ' || id") == 300


def test_a_cutover_that_was_about_to_commit_is_rolled_back_and_stays_so(db, segue, sleeper):
    old = sleeper("gate_ran/cutting_over", gate_hold_max_ms=1000)
    before = catalog.whole(db.connect())
    old.proxy.ready(MIGRATION)
    client = old.proxy.connect()
    aside(old.proxy, "cutover", "frozen")
    old.sleep()
    new = segue(db)  # the server ends a transaction that idles: nobody else needs to
    until("the lock to be free", lambda: new.status("frozen"))
    new.wait_phase("frozen", "ready")
    new.cli("abort", "frozen")
    old.wake()
    assert catalog.traces(db.connect()) == [] and catalog.difference(catalog.whole(db.connect()), before) == []
    client.execute("UPDATE items SET label = 'still here' WHERE id = 1")
    assert new.phase("frozen") == "aborted"


def test_a_drop_that_comes_late_drops_nothing(db, segue, sleeper):
    old = sleeper("gate_before/contracting")
    old.proxy.soaking(MIGRATION)
    client = old.proxy.connect()
    client.execute("SELECT * FROM items WHERE id = 1")
    aside(old.proxy, "complete", "frozen", "--force")
    old.sleep()
    new = taken_over(db, segue)
    new.wait_phase("frozen", "done")
    db.sql("ALTER TABLE items ADD label text DEFAULT 'mine'")
    old.wake()
    assert db.one("SELECT count(*) FROM items WHERE label = 'mine' AND title = 'row ' || id") == 300
    old.proxy.logged("pass as they are")
    assert len(client.execute("SELECT * FROM items WHERE id = 1").fetchone()) == 5
    client.execute("INSERT INTO items (id, title) VALUES (1000, 'as it is')")
    new.stop()
    until("the first to go on where the second has ended", lambda: old.proxy.phase("frozen") == "done")
    assert client.execute("SELECT label FROM items WHERE id = 1").fetchone() == ("mine",)


def test_an_index_that_comes_late_is_not_built(db, segue, sleeper):
    old = sleeper("long_before/backfilling#2")  # the connection for it is open
    old.proxy.begin(MIGRATION)
    old.sleep()
    new = taken_over(db, segue)
    new.cli("abort", "frozen")
    old.wake()
    assert db.sql("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'items'::regclass") == [("items_pkey",)]


def test_a_server_that_stands_still_keeps_no_segue_from_its_end(private_db, segue):
    db = private_db
    make_items(db, 1000, filler=3500)
    proxy = segue(db, drain_timeout_s=1)
    proxy.cli("throttle", "rows_per_s", "20")
    proxy.begin(RENAME)
    proxy.wait(RENAME["name"], lambda row: row["rows_done"] > 0)
    freeze(db.cluster.process)
    try:
        time.sleep(2.5)  # it looks at the server every two seconds, and waits for that answer now
        proxy.signal(signal.SIGTERM)
        assert proxy.process.wait(20 * SLOW) == 0, proxy.log_tail()
    finally:
        freeze(db.cluster.process, False)
    proxy.restart().at_work()
    proxy.cli("throttle", "rows_per_s", "off")
    proxy.wait_phase(RENAME["name"], "ready")
