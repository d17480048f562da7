"""Two segues on one database: the one without the advisory lock changes nothing, and its clients have the rules all the same."""

import re
import sys
import threading
import time

import psycopg
import pytest
from lib.segue import BUILD, REPO
from lib.takeover import ended, successor  # noqa: F401 - successor is a fixture
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version
NAMES = {"name": "names", "operations": [{"rename_table": {"from": "orders", "to": "sold"}},
                                         {"add_column": {"table": "sold", "column": {
                                             "name": "at", "type": "int", "nullable": True, "default": "1"}}}]}


@pytest.fixture
def orders(db):
    db.sql("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i, 'o' || i FROM generate_series(1, 9) i")
    return db


def sees(client, *names):
    """Both names of the table, and as many columns as its side has."""
    def look():
        try:
            return [len(client.execute(f"SELECT * FROM {name} WHERE id = 1").fetchone()) for name in names]
        except psycopg.errors.UndefinedTable:
            return None
    return look


def test_who_comes_second_has_the_rules_of_what_the_first_one_does(orders, segue):
    first = segue(orders)
    first.ready(NAMES)
    second = segue(orders, rules_wait_ms=60000)
    client = second.connect(prepare_threshold=None)
    assert sees(client, "orders", "sold")() == [2, 2]
    second.logged("another segue is at work")
    first.cli("cutover", "names")
    until("the names after the cut-over", lambda: sees(client, "orders", "sold")() == [3, 3])
    assert second.phase("names") == "soaking"
    first.cli("rollback", "names")
    until("the names after the way back", lambda: sees(client, "orders", "sold")() == [2, 2])
    refused = second.cli("cutover", "names", check=None)
    assert refused.code and "another segue is at work" in refused.err
    first.cli("abort", "names")
    until("no rules", lambda: sees(client, "sold")() is None)
    assert sees(client, "orders")() == [2]


def test_one_that_has_lost_the_lock_learns_what_the_other_has_done(orders, segue):
    old = segue(orders)
    old.ready(NAMES)
    client = old.connect(prepare_threshold=None)
    old.freeze()
    new = segue(orders)
    orders.one("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
               "AND (classid::bigint << 32 | objid::bigint) = x'7365677565'::bigint")
    new.logged("engine is connected")
    until("the second to lead", lambda: new.phase("names") == "ready")
    new.cli("cutover", "names")
    old.signal(18)  # SIGCONT
    until("the names after the cut-over", lambda: sees(client, "orders", "sold")() == [3, 3])
    client.execute("INSERT INTO orders (id, note) VALUES (10, 'by the old name')")
    new.cli("rollback", "names")
    until("the names after the way back", lambda: sees(client, "orders", "sold")() == [2, 2])
    new.stop()
    until("the first to lead again", lambda: old.phase("names") == "ready" and not old.cli("cutover", "names", check=None).code)
    assert sees(client, "orders", "sold")() == [3, 3] and orders.one("SELECT count(*) FROM sold") == 10


# ---- a table changes its name under clients of the second one ----

class Clients:
    """Of one segue, by either name of the table, each in its own way, until they are told to stop."""

    ways = {"simple": {"prepare_threshold": None}, "prepared": {"prepare_threshold": 0},
            "in transactions": {"prepare_threshold": 0, "autocommit": False}}

    def __init__(self, proxy):
        self.proxy, self.stop = proxy, threading.Event()
        self.done, self.errors = {}, []
        kinds = [(way, name) for way in self.ways for name in ("orders", "sold")]
        self.threads = [threading.Thread(target=self.run, args=kind) for kind in kinds]
        for thread in self.threads:
            thread.start()

    def run(self, way, name):
        self.done[way, name] = 0
        try:
            with self.proxy.connect(**self.ways[way]) as conn:
                while not self.stop.wait(0.003):
                    conn.execute(f"UPDATE {name} SET note = {name}.note WHERE id = {1 + len(name) % 2}".encode())
                    assert conn.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() == (9,)
                    conn.commit()
                    self.done[way, name] += 1
        except Exception as error:  # noqa: BLE001: whatever a client sees is the test's result
            self.errors.append((way, name, repr(error)))

    def move(self):
        until("clients", lambda: self.errors or len(self.done) == 6)
        before = dict(self.done)
        until("all clients to go on", lambda: self.errors or all(self.done[kind] > n + 2 for kind, n in before.items()))
        assert not self.errors, self.errors

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads) and not self.errors, self.errors


@pytest.mark.deadline(90)
def test_clients_of_the_second_one_do_not_see_a_table_change_its_name(orders, segue):
    first = segue(orders)
    first.ready(NAMES)
    second = segue(orders, rules_wait_ms=60000)
    second.logged("rules as the other segue has them")
    all_of_them = [Clients(second), Clients(first)]
    for turn in ("cutover", "rollback") * 3:
        for clients in all_of_them:
            clients.move()
        first.cli(turn, "names")
    for clients in all_of_them:
        clients.move()
        clients.end()
    second.logged("another segue has renamed tables")
    assert second.phase("names") == "ready"


def test_a_second_one_that_does_not_answer_keeps_names_as_they_are_and_is_named(orders, segue):
    first = segue(orders, cutover_attempts_max=2, cutover_drain_ms=100)
    first.ready(NAMES)
    second = segue(orders)
    second.logged("rules as the other segue has them")
    second.freeze()
    said = first.cli("cutover", "names", check=None).err
    assert "another segue (backend" in said and "does not hold its clients" in said, said
    assert first.phase("names") == "ready"
    client = first.connect()
    assert sees(client, "orders", "sold")() == [2, 2]
    assert {row["outcome"] for row in first.console("SHOW ATTEMPTS names") if row["kind"] == "cutover"} == {"second"}
    orders.one(re.search(r"SELECT pg_terminate_backend\(\d+\)", said).group())
    first.cli("cutover", "names")
    second.signal(18)  # SIGCONT
    other = second.connect()
    until("the names after the cut-over", lambda: sees(other, "orders", "sold")() == [3, 3])


def test_whoever_has_taken_over_from_a_second_one_does_not_answer_for_that_ones_sessions(orders, segue, successor):  # noqa: F811
    """They are behind no gate any more."""
    first = segue(orders, cutover_attempts_max=2, cutover_drain_ms=100)
    first.ready(NAMES)
    second = segue(orders)
    second.logged("rules as the other segue has them")
    with second.connect(autocommit=False) as client:
        client.execute("SELECT 1")
        third = successor(second)
        third.logged("rules as the other segue has them")
        assert "does not hold its clients" in first.cli("cutover", "names", check=None).err
        third.logged("not held are 1 sessions of the predecessor")
        assert client.execute("SELECT count(*) FROM orders").fetchone() == (9,)
    assert ended(second) == 0
    third.logged("has ended")
    first.cli("cutover", "names")


def test_what_the_second_one_holds_no_longer_is_not_renamed(orders, segue):
    """The first one stops behind its lock for so long that the gate of the other one has opened."""
    client, got, asks = None, [], threading.Thread(target=lambda: got.append(client.execute("SELECT count(*) FROM orders").fetchone()))

    def hear(_):
        asks.start()
        until("the statement to wait for the table", lambda: orders.one(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'"))

    told = Told(hear)
    first = segue(orders, start=False, gate_hold_max_ms=20000, cutover_attempts_max=1000,
                  environment={"SEGUE_FAULT": "gate_locked/cutting_over:tell", "SEGUE_FAULT_SOCKET": told.path})
    first.program = BUILD / "faults" / "segue"
    first.start()
    first.ready(NAMES)
    second = segue(orders, gate_hold_max_ms=400, cutover_drain_ms=100)
    second.logged("rules as the other segue has them")
    client = second.connect(prepare_threshold=None)
    first.cli("cutover", "names")
    asks.join(20)
    assert got == [(9,)] and [row["outcome"] for row in first.console("SHOW ATTEMPTS names") if row["kind"] == "cutover"][:1] == ["second"]
    assert first.phase("names") == "soaking" and sees(client, "orders", "sold")() == [3, 3]
    told.close()


@pytest.mark.parametrize("stands", ["the first, behind its COMMIT", "the second, while it holds"])
def test_whoever_stands_still_for_longer_than_the_gate_may_hold_nobody_names_what_is_not_there(orders, segue, stands):
    """The second one opens its gate with what has come of it, read in that moment."""
    second, clients = None, None

    def hear(_):
        if stands.startswith("the second"):
            second.freeze()
        else:
            time.sleep(1.5)

    told = Told(hear)
    point = "gate_committed" if stands.startswith("the first") else "gate_ran"
    first = segue(orders, start=False, gate_hold_max_ms=20000,
                  environment={"SEGUE_FAULT": f"{point}/cutting_over:tell", "SEGUE_FAULT_SOCKET": told.path})
    first.program = BUILD / "faults" / "segue"
    first.start()
    first.ready(NAMES)
    second = segue(orders, gate_hold_max_ms=600, rules_wait_ms=60000)
    second.logged("rules as the other segue has them")
    clients = Clients(second)
    clients.move()
    first.cli("cutover", "names")
    if stands.startswith("the second"):
        time.sleep(2)
        second.signal(18)  # SIGCONT
    clients.move()
    clients.end()
    assert first.phase("names") == "soaking"
    told.close()
