"""Replication through segue while a migration is in flight: a stream touches no table, and is in nobody's way."""

import pytest
from lib.answers import columns, kinds, only, stat
from lib.operations import beside
from lib.rawwire import COPY_DONE, Raw, query, startup
from lib.tables import RENAME, make_items
from lib.wait import until
from test_start_rules import held, started_blocked

pytestmark = pytest.mark.newest_unless_told

NAMES = {"name": "names", "operations": [{"rename_table": {"from": "orders", "to": "sold"}}]}
STAR = "SELECT * FROM items"
OLD = ["id", "label", "note", "filler"]


@pytest.fixture
def orders(db):
    db.sql("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i, 'o' || i FROM generate_series(1, 9) i")
    return db


def walsender(port, database, **more):
    """One of a database, by hand, which has not begun to stream."""
    return Raw(port, timeout=60).login(database.name, replication="database", **more)


def begun(port, database, slot):
    c = walsender(port, database).send(query(f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0'))
    assert c.read()[0] == "W"
    return c


def physical(port, database):
    """Its start-up names the database, at which the server does not look then."""
    c = Raw(port, timeout=60).login(database.name, replication="true")
    c.send(query(f"START_REPLICATION PHYSICAL {database.one('SELECT pg_current_wal_flush_lsn()')}"))
    assert c.read()[0] == "W"
    return c


def opened(kind, port, database):
    if kind == "physical":
        return physical(port, database)
    database.sql("SELECT pg_create_logical_replication_slot('stream', 'test_decoding')")
    return begun(port, database, "stream")


def tells(c, text):
    """The change is in the stream, sooner or later."""
    kind, body = c.read()
    while not (kind == "d" and body[:1] == b"w" and text in body):
        kind, body = c.read()


def let_go(database):
    """Or the database cannot be dropped."""
    until("slots to be let go of", lambda: database.one(
        "SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE active AND database = current_database())"))


def outcomes(proxy, name):
    return [row["outcome"] for row in proxy.console(f"SHOW ATTEMPTS {name}") if row["kind"] != "step"]


@pytest.mark.parametrize("kind", ["physical", "logical"])
@pytest.mark.parametrize("through", ["the one at work", "a second one"])
def test_names_turn_beside_a_stream_that_was_there_before(orders, segue, kind, through):
    proxy = segue(orders, cutover_attempts_max=3)
    other = beside(segue, orders, proxy, rules_wait_ms=60000) if through == "a second one" else proxy
    with opened(kind, other.port, orders) as c:
        proxy.ready(NAMES)
        for command in ("cutover", "rollback", "cutover"):
            proxy.cli(command, "names")
        assert {row["touches"] for row in other.console("SHOW SESSIONS") if row["state"] == "copy"} == {""}
        proxy.cli("complete", "names", "--force")
        orders.sql("INSERT INTO sold VALUES (100, 'written later')")
        tells(c, b"written later")
    if other is proxy:
        assert outcomes(proxy, "names") == ["done"] * 3
    let_go(orders)


@pytest.mark.parametrize("end", [["cutover", "complete"], ["abort"]], ids="-".join)
def test_a_table_that_a_stream_is_called_after_can_be_completed_and_aborted(db, segue, end):
    make_items(db, 10)
    db.sql("SELECT pg_create_logical_replication_slot('items', 'test_decoding')")
    proxy = segue(db)
    name = proxy.ready(RENAME)
    with begun(proxy.port, db, "items") as c:
        for command in end:
            proxy.cli(command, name, *(["--force"] if command == "complete" else []), timeout=30)
        db.sql("INSERT INTO items (id, note) VALUES (100, 'written later')")
        tells(c, b"written later")
        c.send(COPY_DONE).until_ready()
        c.send(query(STAR))
        assert sorted(columns(only(c.answers(), "T")[0])) == sorted([*OLD[:1], "title" if "cutover" in end else "label", *OLD[2:]])
    let_go(db)


@pytest.mark.one_version
def test_names_turn_beside_a_command_that_waits_for_others(orders, copy, segue):
    """The making of a slot waits for every transaction that has written, of other databases, too."""
    proxy = segue(orders, cutover_attempts_max=3)
    with copy.connect(autocommit=False) as writer, walsender(proxy.port, orders) as c:
        writer.execute("CREATE TABLE written ()")
        c.send(query("CREATE_REPLICATION_SLOT made TEMPORARY LOGICAL test_decoding"))
        until("it to wait", lambda: orders.one(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND wait_event = 'transactionid'"))
        proxy.soaking(NAMES)
        assert [row["state"] for row in proxy.console("SHOW SESSIONS") if row["database"] == orders.name] == ["active"]
        writer.rollback()
        assert c.until_ready() == "TDCZI"
    assert outcomes(proxy, "names") == ["done"]


@pytest.mark.one_version
def test_a_command_does_not_wait_until_the_rules_are_known(db, segue):
    proxy = segue(db, rules_wait_ms=60000)
    with started_blocked(proxy) as blocked, walsender(proxy.port, db) as c, physical(proxy.port, db):
        assert c.send(query(" IDENTIFY_SYSTEM;")).until_ready() == "TDCZI"
        c.send(query("SELECT 1"))
        until("what is SQL to wait", lambda: len(held(proxy)) == 1)
        blocked.release()
        assert c.until_ready() == "TDCZI"


def test_what_a_walsender_says_in_sql_is_looked_at(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    with walsender(proxy.port, db) as before:
        before.send(query("PREPARE p AS UPDATE items SET label = 'by name' WHERE id = 2 RETURNING label")).until_ready()
        proxy.ready(RENAME)
        with walsender(proxy.port, db) as c:
            for conn in (before, c):
                for _ in range(2):
                    assert "T" in kinds(conn.send(query("IDENTIFY_SYSTEM")).answers())
                    assert columns(only(conn.send(query(STAR)).answers(), "T")[0]) == OLD
            c.send(query("BEGIN; UPDATE items SET label = 'inline' WHERE id = 1")).until_ready()
            until("it to be counted", lambda: [
                row["touches"] for row in proxy.console("SHOW SESSIONS") if row["state"] == "transaction"] == ["public.items"])
            assert c.send(query("COMMIT")).until_ready() == "CZI"
        assert before.send(query("EXECUTE p")).until_ready() == "TDCZI"
    assert db.sql("SELECT label, title FROM items WHERE id < 3 ORDER BY id") == [("inline", "inline"), ("by name", "by name")]


def test_the_path_of_a_walsender_is_asked_for_in_words_that_it_takes(db, segue):
    for schema, more in (("a", "note"), ("b", "other")):
        db.sql(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.items (id bigint PRIMARY KEY, label text, {more} text)")
    operation = {"rename_column": {"table": "a.items", "from": "label", "to": "title"}}
    proxy = segue(db)
    proxy.ready({**RENAME, "operations": [operation]})
    for path, seen in (("a,b", ["id", "label", "note"]), ("b,a", ["id", "label", "other"])):
        with walsender(proxy.port, db, options=f"-c search_path={path}") as c:
            assert columns(only(c.send(query(STAR)).answers(), "T")[0]) == seen
            assert c.send(query("IDENTIFY_SYSTEM")).until_ready() == "TDCZI"
            assert columns(only(c.send(query(STAR)).answers(), "T")[0]) == seen
    assert stat(proxy, "paths_asked") == 2 and stat(proxy, "left_path") == 0


@pytest.mark.one_version
def test_a_physical_one_is_not_asked_and_takes_its_commands(db, segue):
    """Its start-up may name the database, of which it is not."""
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    for value in ("true", "on", "1", "yes"):
        with Raw(proxy.port) as c:
            c.send(startup(user="postgres", database=db.name, replication=value)).until_ready()
            assert c.send(query("IDENTIFY_SYSTEM")).until_ready() == "TDCZI"
            assert c.send(query("READ_REPLICATION_SLOT items")).until_ready() == "TDCZI"
            c.send(query("SELECT label FROM items"))
            assert c.error()["C"] == "0A000"
            c.until_ready()
    assert {row["touches"] for row in proxy.console("SHOW SESSIONS")} == {""}
