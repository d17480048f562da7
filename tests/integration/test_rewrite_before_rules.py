"""Transactions that were open before segue knew of any migration, and in flight when a column is dropped.

Of what such a transaction has touched nobody knows. What it sends later is rewritten all the same, and may wait in the
server for another statement's lock, so that it comes to the table behind whoever drops the column that it names.
"""

import contextlib
import select
import threading
from contextlib import contextmanager

import pytest
from lib.answers import fields, kinds, only
from lib.rawwire import SYNC, Raw, bind, describe, execute, parse, query
from lib.tables import RENAME, make_items
from lib.wait import Late, until

pytestmark = pytest.mark.one_version

NAME = RENAME["name"]
OTHER = {"name": "other", "operations": [{"rename_column": {"table": "orders", "from": "label", "to": "title"}}]}
WAITS = "SELECT n FROM locked WHERE n = 1 FOR UPDATE"
INSERT = "INSERT INTO items (id, label) VALUES (100, 'late')"
STAR = "SELECT * FROM items WHERE id = 1"
ASKS = "SELECT count(*) FROM items"


@pytest.fixture
def proxy(db, segue):
    make_items(db, 10)
    db.sql("CREATE TABLE locked (n int); INSERT INTO locked VALUES (1);"
           "CREATE TABLE orders (id bigint PRIMARY KEY, label text)")
    return segue(db, cutover_drain_ms=30000, gate_hold_max_ms=40000, workers=1)


@contextmanager
def held(db, by):
    """Nobody else gets the row of `locked` until the block ends; `by`: a session that waits for it in the block."""
    with db.connect(autocommit=False) as locker:
        locker.execute(WAITS)
        by()
        until("the statement to wait for the lock", lambda: db.one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"))
        yield
        locker.rollback()


class Command(threading.Thread):
    """A command of segue's that goes on in the background."""

    def __init__(self, proxy, *args):
        super().__init__()
        self.proxy, self.args, self.code = proxy, args, None
        self.start()

    def run(self):
        self.code = self.proxy.cli(*self.args, check=None).code


def dropped(db, column):
    return db.one("SELECT count(*) = 0 FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = %s", column)


def waited_for(db, proxy, column, second):
    """The drop waits, and holds who would begin a transaction; else it is done, and so is the test. `second` asks something
    again and again, until it is held: its answer is still to be read."""
    second.send(query(ASKS))

    def probe():
        if dropped(db, column) or any(row["state"] == "held" for row in proxy.console("SHOW SESSIONS")):
            return True
        if select.select([second.sock], [], [], 0)[0]:
            assert in_order(second) == "TDCZI"
            second.send(query(ASKS))
        return False

    until("the gate", probe)
    assert not dropped(db, column)


WAYS = {
    "one message": lambda text: [query(f"{WAITS}; {text}")],
    "two messages": lambda text: [query(WAITS), query(text)],
    "extended": lambda text: [parse(WAITS), bind(), execute(), parse(text, "s"), bind("s"), execute(), SYNC],
}


def in_order(late, n=1):
    answers = [got for _ in range(n) for got in late.answers()]
    assert "E" not in kinds(answers), [fields(body) for body in only(answers, "E")]
    return kinds(answers)


@pytest.mark.parametrize("way", WAYS)
def test_what_a_transaction_from_before_the_rules_has_in_flight_is_waited_for(db, proxy, way):
    """An abort drops the new column, which the INSERT writes as well."""
    with Raw(proxy.port).login(db.name) as late, Raw(proxy.port).login(db.name) as second:
        late.send(query("BEGIN")).answers()
        proxy.ready(RENAME)
        messages = WAYS[way](INSERT)
        with held(db, lambda: late.send(*messages)):
            abort = Command(proxy, "abort", NAME)
            waited_for(db, proxy, "title", second)
        in_order(late, 2 if way == "two messages" else 1)
        late.send(query("COMMIT")).answers()
        abort.join()
        assert abort.code == 0 and dropped(db, "title")
        in_order(second)
    assert db.sql("SELECT id, label FROM items WHERE id > 10 ORDER BY id") == [(100, "late")]


@pytest.mark.parametrize("prepared", [False, True])
def test_so_is_a_star_while_the_old_columns_go(db, proxy, prepared):
    """Also one that SQL has prepared: its EXECUTE does not say which tables it touches."""
    with Raw(proxy.port).login(db.name, options="-c segue.schema=old") as late, Raw(proxy.port).login(db.name) as second:
        late.send(query("PREPARE other AS SELECT 1")).answers()
        late.send(query("BEGIN")).answers()
        proxy.soaking(RENAME)
        if prepared:
            late.send(query("COMMIT")).answers()
            late.send(query(f"PREPARE q AS {STAR}")).answers()
            late.send(query("BEGIN")).answers()
        with held(db, lambda: late.send(query(f"{WAITS}; {'EXECUTE q' if prepared else STAR}"))):
            complete = Command(proxy, "complete", NAME, "--force")
            waited_for(db, proxy, "label", second)
        assert in_order(late) == "TDCTDCZT"
        late.send(query("COMMIT")).answers()
        complete.join()
        assert complete.code == 0 and dropped(db, "label")
        in_order(second)


def test_so_is_what_was_in_flight_when_another_migration_began(db, proxy):
    """With other tables in the rules a table has another bit: what was touched before is not known by bits any more."""
    proxy.ready(RENAME)
    with Raw(proxy.port).login(db.name) as late, Raw(proxy.port).login(db.name) as second:
        late.send(query("BEGIN")).answers()
        with held(db, lambda: late.send(query(f"{WAITS}; {INSERT}"))):
            proxy.begin(OTHER)
            proxy.wait_phase("other", "verifying")  # the statement is older than its backfill: not ready yet
            abort = Command(proxy, "abort", NAME)
            waited_for(db, proxy, "title", second)
        in_order(late)
        late.send(query("COMMIT")).answers()
        abort.join()
        assert abort.code == 0 and dropped(db, "title")
        in_order(second)


def test_what_is_known_to_have_nothing_of_segues_in_flight_is_not_waited_for(db, proxy):
    """A transaction from before the rules that runs something long."""
    with Raw(proxy.port).login(db.name) as late:
        late.send(query("BEGIN")).answers()
        proxy.ready(RENAME)
        with held(db, lambda: late.send(query(WAITS))):
            proxy.cli("abort", NAME)
            assert dropped(db, "title")
        assert in_order(late) == "TDCZT"


BEFORE = ("CREATE TEMP TABLE items (shadow text)", "CREATE TEMP TABLE items AS SELECT 'x' AS shadow",
          "CREATE TEMP TABLE other (shadow text); ALTER TABLE other RENAME TO items")


def named(conn):
    return [c.name for c in conn.execute("SELECT * FROM items LIMIT 0").description]


def test_a_temporary_table_from_before_the_rules_is_what_its_name_means(db, segue):
    """Nobody has looked at who made it, and nobody else sees it before it is committed."""
    make_items(db, 10)
    columns = named(db.connect())
    proxy = segue(db, workers=1, cutover_drain_ms=200)
    for number, maker in enumerate((None, *BEFORE)):
        with proxy.connect() as early, proxy.connect() as other:
            early.execute("BEGIN; " + (maker or "SELECT 1"))
            proxy.ready({**RENAME, "name": f"m{number}"})
            if not maker:  # it is known that nothing was made
                assert named(early) == columns
            else:
                for _ in range(2):
                    early.execute("INSERT INTO items VALUES ('x')")
                    early.execute("UPDATE items SET shadow = shadow || 'y'")
                    assert named(early) == ["shadow"], maker
            other.execute("DISCARD ALL")
            assert named(other) == columns
            early.execute("COMMIT")
            for _ in range(3):
                assert named(early) == (["shadow"] if maker else columns)
            if maker:
                early.execute("DROP TABLE items")
                until("its end to be known", lambda: named(early) == columns)
        proxy.cli("abort", f"m{number}")


def test_a_migration_that_comes_leaves_no_doubt_about_tables_of_another_one(db, segue):
    """At what a session has made since the first migration's rules came somebody has looked."""
    make_items(db, 10)
    db.sql("CREATE TABLE orders (id int PRIMARY KEY, label text)")
    columns = named(db.connect())
    proxy = segue(db, workers=1)
    proxy.ready(RENAME)
    with db.connect() as maker, proxy.connect() as open_one, proxy.connect() as idle:
        maker.execute("BEGIN; CREATE TABLE unsettled (n int)")
        open_one.execute("BEGIN; SELECT 1")
        idle.execute("SELECT 1")
        proxy.begin(OTHER)
        proxy.wait("other", lambda row: row["phase"] != "planned")
        for conn in open_one, idle:
            assert named(conn) == columns


@pytest.mark.parametrize("ends", [True, False])
def test_who_ends_a_transaction_at_a_closed_gate_is_in_no_doubt_behind_it(db, segue, ends):
    """It was open before the rules came, and what it has made can be read only while no traffic is held, and nobody makes more."""
    make_items(db, 10)
    proxy = segue(db, workers=1, cutover_drain_ms=30000, gate_hold_max_ms=40000)
    with db.connect() as maker, Raw(proxy.port, timeout=40).login(db.name) as early, proxy.connect() as other:
        early.send(parse(STAR, name="star"), SYNC, query("BEGIN; SELECT 1; " + ASKS))
        assert early.until_ready() + early.until_ready() == "1ZICTDCTDCZT"
        maker.execute("BEGIN; CREATE TABLE unsettled (n int)")
        proxy.begin(RENAME)
        proxy.wait(NAME, lambda row: row["phase"] != "planned")
        stopped = threading.Event()
        asking = threading.Thread(target=lambda: [other.execute(ASKS) for _ in iter(stopped.is_set, True)])
        asking.start()
        try:
            if ends:
                with contextlib.suppress(Late):
                    until("the gate to close too soon", lambda: is_held(proxy), 1)
                maker.execute("ROLLBACK")
            until("the gate to close", lambda: is_held(proxy))
            early.send(query("COMMIT"))
            assert early.until_ready() == "CZI"
            early.send(bind("star"), describe("P"), execute(), SYNC)
            assert early.until_ready() == "2TDCZI"
        finally:
            stopped.set()
            asking.join()


def test_clients_that_do_not_cease_to_change_the_catalog_keep_no_migration_from_its_start(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    stopped = threading.Event()

    def change(conn):
        while not stopped.is_set():
            conn.execute("CREATE TEMPORARY TABLE mine (n int)")
            conn.execute("DROP TABLE mine")

    with proxy.connect() as one, proxy.connect() as two:
        changing = [threading.Thread(target=change, args=(conn,)) for conn in (one, two)]
        for thread in changing:
            thread.start()
        try:
            proxy.ready(RENAME)
        finally:
            stopped.set()
            for thread in changing:
                thread.join()


def is_held(proxy):
    return any(row["state"] == "held" for row in proxy.console("SHOW SESSIONS"))
