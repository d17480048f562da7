"""A server has many databases, and one of them migrates: what sessions of the others say passes as it is, and counts nowhere."""

import itertools

import psycopg
import pytest
from lib.answers import columns, only, stat
from lib.operations import beside
from lib.rawwire import SYNC, Raw, bind, describe, execute, parse, query, startup
from lib.tables import RENAME, make_items
from lib.wait import until
from test_start_rules import held, started_blocked
from test_usage import busy

pytestmark = pytest.mark.newest_unless_told

NAMES = {"name": "names", "operations": [{"rename_table": {"from": "orders", "to": "sold"}}]}
ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i, 'o' || i FROM generate_series(1, 9) i"
OLD = ["id", "label", "note", "filler"]
WIDE = [*OLD, "wide"]
STAR = "SELECT * FROM items"


@pytest.fixture
def wide(copy):
    """Another database of the server, with a table of the same name, and a column more."""
    make_items(copy, 10, more="ALTER TABLE items ADD wide int NOT NULL DEFAULT 7")
    return copy


def names(cursor):
    return [c.name for c in cursor.description]


def plays(conn, ids):
    """As if there were no migration."""
    conn.execute("INSERT INTO items (id, label) VALUES (%s, %s)", (next(ids), "x"))
    with conn.transaction():
        conn.execute("UPDATE items SET label = label || %s WHERE id = 1", ("y",))
        assert names(conn.execute(STAR)) == WIDE
    assert names(conn.execute("SELECT * FROM items WHERE label > %s", ("",))) == WIDE
    with pytest.raises(psycopg.errors.UndefinedColumn):
        conn.execute("SELECT title FROM items WHERE id = %s", (1,))


@pytest.mark.parametrize("prepare", [None, 0], ids=["unnamed", "prepared"])
def test_each_phase_leaves_another_database_alone(db, wide, segue, prepare):
    make_items(db, 10)
    proxy = segue(db)
    ids = itertools.count(100)
    with proxy.connect(wide.name, prepare_threshold=prepare) as before:
        def all_play():
            plays(before, ids)
            with proxy.connect(wide.name, prepare_threshold=prepare) as conn:
                plays(conn, ids)
                plays(conn, ids)

        all_play()
        name = proxy.ready(RENAME)
        with proxy.connect() as own:
            assert names(own.execute(STAR)) == OLD
        rewritten = stat(proxy, "rewritten")
        for command in (["cutover", name], ["rollback", name], ["cutover", name], ["complete", name, "--force"]):
            all_play()
            assert {row["touches"] for row in proxy.console("SHOW SESSIONS")} == {""}
            proxy.cli(*command)
        all_play()
        assert stat(proxy, "rewritten") == rewritten


@pytest.mark.one_version
def test_what_is_sent_there_is_what_the_client_sends(db, wide, segue):
    """Message by message, pipelined; nothing is put in front, and errors have the client's positions."""
    make_items(db, 10)
    proxy = segue(db)
    with Raw(proxy.port).login(wide.name) as c:
        c.send(parse("UPDATE items SET label = $1 WHERE id = 1 RETURNING *", "s"), SYNC).until_ready()
        proxy.ready(RENAME)
        c.send(bind("s", values=["z"]), describe("P"), execute(), SYNC)
        answers = c.answers()
        assert [k for k, _ in answers] == list("2TDCZ") and columns(only(answers, "T")[0]) == WIDE
        c.send(parse("SELECT *, title FROM items"), SYNC)
        assert c.error()["P"] == "11"
        c.until_ready()
        c.send(query("PREPARE q AS SELECT * FROM items")).until_ready()
        c.send(query("EXECUTE q"))
        assert columns(only(c.answers(), "T")[0]) == WIDE
    assert stat(proxy, "prepared_again") == stat(proxy, "named_unseen") == 0


@pytest.mark.one_version
def test_it_is_seen_who_is_not_looked_at(db, wide, segue):
    """Where one database has two names (a pooler in between gives it another), that explains why nothing is rewritten."""
    proxy = segue(db)
    with proxy.connect(), proxy.connect(wide.name), proxy.connect(wide.name):
        shown = {row["database"]: (row["schema"], row["rewrite"]) for row in proxy.console("SHOW SESSIONS")}
        assert shown == {db.name: ("follow", True), wide.name: (None, None), "segue": (None, None)}
        assert stat(proxy, "sessions_foreign") == 2


@pytest.mark.parametrize("through", ["the one at work", "a second one"])
def test_names_turn_beside_transactions_of_another_database(db, copy, segue, through):
    """One that was open before the migration was known, and one that has named a table of that name since."""
    for database in (db, copy):
        database.sql(ORDERS)
    proxy = segue(db, cutover_attempts_max=3)
    other = beside(segue, db, proxy, rules_wait_ms=60000) if through == "a second one" else proxy
    with (other.connect(copy.name, autocommit=False) as early, other.connect(copy.name, autocommit=False) as late):
        early.execute("SELECT count(*) FROM orders")
        proxy.ready(NAMES)
        if other is not proxy:
            other.wait_phase("names", "ready")
        late.execute("INSERT INTO orders VALUES (100, 'late')")
        for command in ("cutover", "rollback", "cutover"):
            proxy.cli(command, "names")
            for conn in (early, late):
                assert conn.execute("SELECT note FROM orders WHERE id = 1").fetchone() == ("o1",)
                with pytest.raises(psycopg.errors.UndefinedTable), conn.transaction():
                    conn.execute("SELECT 1 FROM sold")
        proxy.cli("complete", "names", "--force")
        late.commit()
        assert early.execute("SELECT note FROM orders WHERE id = 100").fetchone() == ("late",)
    if other is proxy:
        assert [row["outcome"] for row in proxy.console("SHOW ATTEMPTS names") if row["kind"] != "step"] == ["done"] * 3


@pytest.mark.one_version
def test_old_names_in_another_database_do_not_keep_complete_back(db, wide, segue):
    db.keeps = False  # a session that the test keeps would be seen as one past segue
    make_items(db, 10)
    proxy = segue(db, quiet_period_s=2)
    with proxy.connect(wide.name, application_name="elsewhere") as conn, busy(conn, "SELECT label FROM items"):
        name = proxy.soaking(RENAME)
        until("it to complete", lambda: proxy.cli("complete", name, check=None).code == 0, 20, every=0.5)
    assert not [row for row in proxy.console("SHOW USAGE") if row["application_name"] == "elsewhere"]


@pytest.mark.one_version
def test_another_database_does_not_wait_until_the_rules_are_known(db, wide, segue):
    make_items(db, 10)
    proxy = segue(db, rules_wait_ms=60000)
    proxy.ready(RENAME)
    with started_blocked(proxy) as blocked, Raw(proxy.port).login(db.name) as own:
        own.send(query(STAR))
        until("it to wait", lambda: len(held(proxy)) == 1)
        with proxy.connect(wide.name) as conn:
            plays(conn, itertools.count(100))
        assert len(held(proxy)) == 1
        blocked.release()
        assert columns(only(own.answers(), "T")[0]) == OLD


@pytest.mark.one_version
def test_ddl_in_another_database_is_no_sign_of_a_change_in_this_one(db, copy, segue):
    make_items(db, 10)
    proxy = segue(db, log_level="debug")
    proxy.ready(RENAME)

    def signs():
        return proxy.log_text().rpartition("rules after ")[2].split()[0]

    until("the catalog to have been read", lambda: "rules after " in proxy.log_text())
    with proxy.connect(copy.name) as conn, proxy.connect() as own:
        own.execute("CREATE TABLE more ()")
        until("a sign", lambda: signs() != "0")
        before = int(signs())
        for i in range(10):
            conn.execute(f"CREATE TABLE items_{i} (label int)")
        own.execute("CREATE TABLE again ()")
        until("the next sign", lambda: int(signs()) > before)
        assert int(signs()) < before + 10  # one command may be two or three


@pytest.mark.one_version
def test_who_names_no_database_is_in_that_of_its_user(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    db.sql(f"CREATE ROLE {db.name} LOGIN; GRANT SELECT ON items TO {db.name}")
    try:
        with Raw(proxy.port) as c:
            c.send(startup(user=db.name)).until_ready()
            c.send(query(STAR))
            assert columns(only(c.answers(), "T")[0]) == OLD
    finally:
        db.sql(f"DROP OWNED BY {db.name}; DROP ROLE {db.name}")


@pytest.mark.versions(15)  # newer ones do not cut what is too long
def test_a_name_is_cut_as_the_server_cuts_it(pg, segue):
    name = "x" * 63
    with pg.connect() as c:
        c.execute(f"CREATE DATABASE {name}")
    try:
        with pg.connect(name) as c:
            c.execute("CREATE TABLE items AS SELECT 1 AS id, 'a' AS label; ALTER TABLE items ADD PRIMARY KEY (id)")
        for given in (name, name + "yz"):
            proxy = segue(upstream=pg.url(given))
            proxy.ready(RENAME)
            for asked in (name, name + "abc"):
                with Raw(proxy.port).login(asked) as c:
                    c.send(query(STAR))
                    assert columns(only(c.answers(), "T")[0]) == ["id", "label"], (given, asked)
            proxy.cli("abort", RENAME["name"])
            proxy.stop()
    finally:
        with pg.connect() as c:
            c.execute(f"DROP DATABASE {name} WITH (FORCE)")
