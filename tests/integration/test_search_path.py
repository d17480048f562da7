"""Which table an unqualified name means: the search path of each session, at each statement.

Schema a has the table that migrates, b another one of the same name. What `SELECT * FROM items` gives tells what segue
has made of the name: the old columns of a.items, all of them (in doubt: as it was sent), or those of b.items.
"""

import asyncio
import socket
import struct
import threading

import asyncpg
import psycopg
import pytest
from lib.answers import columns, kinds, only, stat
from lib.operations import woken
from lib.played import Played, pump
from lib.rawwire import COPY_DONE, SYNC, Raw, bind, copy_data, describe, execute, message, parse, query
from lib.wait import until
from test_cancel_requests import cancel

RENAME = {"name": "rename_label",
          "operations": [{"rename_column": {"table": "a.items", "from": "label", "to": "title"}}]}
STAR = "SELECT * FROM items"
NAMES = {("id", "label", "note"): "a", ("id", "label", "note", "title"): "a, in doubt",
         ("id", "label", "other"): "b", ("id", "note", "title"): "a, new"}


@pytest.fixture
def two(db):
    for schema, more in (("a", "note"), ("b", "other")):
        db.sql(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.items (id bigint PRIMARY KEY, label text, {more} text); "
               f"INSERT INTO {schema}.items SELECT i, '{schema} ' || i FROM generate_series(1, 20) i; "
               f"GRANT USAGE ON SCHEMA {schema} TO PUBLIC; GRANT ALL ON {schema}.items TO PUBLIC")
    return db


@pytest.fixture
def segue(segue):
    """What is sent must be right at the first try: an error of it that the client does not hear of is one, too."""
    started = []

    def start(*args, **options):
        started.append(segue(*args, **options))
        return started[-1]

    yield start
    for proxy in started:
        assert stat(proxy, "sent_again") == 0


def seen(conn):
    return NAMES[tuple(c.name for c in conn.execute(STAR).description)]


def reports(conn):
    """Does the server report search_path?"""
    return conn.info.server_version >= 180000


LONG = "SELECT 1 -- " + "x" * 8000


@pytest.mark.parametrize("sent", [query(LONG), parse(LONG) + bind() + execute() + SYNC, message("Q", b"select 1\0rest\0") + query("SELECT 1")],
                         ids=["query", "parse", "more behind its end"])
def test_what_nobody_can_read_may_be_the_first_that_a_session_says(two, segue, sent):
    """Between its first look at the path, which the first statement on the table asks for, and any move of the path."""
    proxy = segue(two, workers=1, inspect_bytes_max=4096)
    proxy.ready(RENAME)
    with Raw(proxy.port).login(two.name) as c, proxy.connect() as other:
        c.send(query(STAR))
        c.until_ready()
        c.send(sent)
        c.until_ready()
        assert other.execute("SELECT 1").fetchone() == (1,)


def test_the_path_is_followed_through_set_local_rollback_and_savepoints(two, segue):
    proxy = segue(two, workers=1)
    idle = proxy.connect()
    idle.execute("SET search_path = b, a")
    proxy.ready(RENAME)
    steps = [
        ("SET search_path = b, a", "b"), ("SET search_path TO a, b", "a"), ("SET SCHEMA 'b'", "b"),
        ("BEGIN", "b"), ("SET LOCAL search_path = a", "a"), ("COMMIT", "b"),
        ("BEGIN", "b"), ("SET LOCAL search_path = a", "a"), ("ROLLBACK", "b"),
        ("BEGIN", "b"), ("SET search_path = a", "a"), ("ROLLBACK", "b"),
        ("BEGIN", "b"), ("SET search_path = a", "a"), ("COMMIT", "a"),
        ("BEGIN", "a"), ("SET search_path = b", "b"), ("SET LOCAL search_path = a", "a"), ("COMMIT", "b"),
        ("BEGIN", "b"), ("SET search_path = a", "a"), ("COMMIT AND CHAIN", "a"), ("SET LOCAL search_path = b", "b"),
        ("END", "a"),
        ("SELECT set_config('search_path', 'b', false)", "b"), ("BEGIN", "b"),
        ("SELECT set_config('search_path', 'a', true)", "a"), ("ABORT", "b"),
        ("SELECT set_config('search_path', (SELECT 'a'), false)", "a"),
        ("BEGIN; SET LOCAL search_path = b; COMMIT", "a"), ("SET LOCAL search_path = b", "a"),
        ("BEGIN", "a"), ("SAVEPOINT s", "a"), ("ROLLBACK TO s", "a"), ("COMMIT", "a"),
        ("DO $$ BEGIN PERFORM set_config('search_path', 'b', false); END $$", "b"),
        ("RESET search_path", None), ("SET search_path = a", "a"), ("RESET ALL", None), ("DISCARD ALL", None),
        ("UPDATE pg_settings SET setting = 'a' WHERE name = 'search_path'", "a"),
    ]
    with proxy.connect() as conn:
        for step, means in steps:
            conn.execute(step)
            if means:
                assert seen(conn) == means, step
            else:
                with pytest.raises(psycopg.errors.UndefinedTable):
                    seen(conn)
        conn.execute("SET search_path = b")
        conn.execute("BEGIN")
        conn.execute("SAVEPOINT s")
        conn.execute("SET search_path = a")
        assert seen(conn) == "a"
        conn.execute("ROLLBACK TO s")
        assert seen(conn) == "b"
        conn.execute("SET LOCAL search_path = a")
        assert seen(conn) == "a"
        conn.execute("COMMIT")
        assert seen(conn) == "b"
    assert seen(idle) == "b", "set before the rules were there"
    idle.execute("SET search_path = a")
    assert seen(idle) == "a"


def test_what_is_decided_is_no_doubt_and_no_use_of_the_table(two, segue):
    proxy = segue(two, workers=1)
    proxy.soaking(RENAME)
    with proxy.connect(options="-c search_path=b,a", application_name="tenant") as tenant:
        assert seen(tenant) == "b"
        for prepare in (True, False):
            tenant.execute("UPDATE items SET label = 'x', other = 'y' WHERE id = %s RETURNING *", [1], prepare=prepare)
    assert stat(proxy, "left_path") == 0
    with proxy.connect(options="-c search_path=a,b") as conn:
        assert seen(conn) == "a, new"
        conn.execute("SELECT label FROM items")
        users = until("the use of label", lambda: {
            u["application_name"] for u in proxy.console("SHOW USAGE") if u["what"] == "old names"})
    assert users == {"itest"}, "the tenant's label is another one"
    assert two.one("SELECT label FROM b.items WHERE id = 1") == "x"


def test_a_session_from_before_is_asked_once_and_keeps_its_unnamed_statement(two, segue):
    proxy = segue(two, workers=1)
    with Raw(proxy.port).login(proxy.dbname, options="-c search_path=a") as client:
        client.send(query("SELECT 1")).answers()
        proxy.ready(RENAME)
        client.send(parse(STAR), SYNC).answers()
        assert stat(proxy, "paths_asked") == 1
        got = client.send(bind(), describe("P"), execute(), SYNC).answers()
        assert columns(only(got, "T")[0]) == ["id", "label", "note"]
        for _ in range(3):
            got = client.send(query(STAR)).answers()
            assert kinds(got) == "T" + "D" * 20 + "CZI"
            assert columns(only(got, "T")[0]) == ["id", "label", "note"]
    assert stat(proxy, "paths_asked") == 1


def test_what_is_set_between_two_migrations_counts(two, segue):
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=a") as conn:
        assert seen(conn) == "a"
        proxy.cli("abort", RENAME["name"])
        conn.execute("SELECT 1")  # from here on nobody looks
        conn.execute("SET search_path = b")
        proxy.ready({**RENAME, "name": "again"})
        assert seen(conn) == "b"


def test_nobody_is_asked_where_no_name_is_contested(db, segue):
    db.sql("CREATE SCHEMA a; CREATE TABLE a.items (id bigint PRIMARY KEY, label text, note text)")
    proxy = segue(db, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=a") as conn:
        assert seen(conn) == "a"
        conn.execute("SET search_path = a, public")
        assert seen(conn) == "a"
    assert stat(proxy, "paths_asked") == 0


def test_the_default_of_a_role_is_that_of_the_login(two, segue):
    proxy = segue(two, workers=1)
    two.sql(f"ALTER ROLE app IN DATABASE {two.name} SET search_path = a")
    with proxy.connect(user="app") as before:
        before.execute("SELECT 1")
        two.sql(f"ALTER ROLE app IN DATABASE {two.name} SET search_path = b")
        proxy.ready(RENAME)
        with proxy.connect(user="app") as after:
            assert (seen(before), seen(after)) == ("a", "b")
            two.sql(f"ALTER ROLE app IN DATABASE {two.name} SET search_path = a")
            after.execute("SET search_path = a")
            assert seen(after) == "a"
            for reset in ("RESET ALL", "RESET search_path", "DISCARD ALL", "SET search_path TO DEFAULT"):
                after.execute("SET search_path = a")
                after.execute(reset)
                assert (seen(before), seen(after)) == ("a", "b"), reset
        with proxy.connect(user="app") as last:
            assert seen(last) == "a"


def test_many_tenants_of_whom_one_migrates(two, segue):
    tenants = [f"tenant_{i}" for i in range(20)]
    for tenant in tenants:
        two.sql(f"CREATE SCHEMA {tenant}; CREATE TABLE {tenant}.items (LIKE b.items)")
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect() as pooled:
        for tenant in tenants + ["a", "b"] + tenants:
            with pooled.transaction():
                pooled.execute(f'SET LOCAL search_path = "{tenant}", public')
                assert seen(pooled) == ("a" if tenant == "a" else "b"), tenant
                pooled.execute("INSERT INTO items (id, label) VALUES (100, 'new') ON CONFLICT DO NOTHING")
    assert stat(proxy, "left_path") == 0 and stat(proxy, "paths_asked") == 1
    assert two.one("SELECT title FROM a.items WHERE id = 100") == "new"


def test_rights_and_roles_pass_schemas_by(two, segue):
    two.sql("REVOKE USAGE ON SCHEMA a FROM PUBLIC; CREATE SCHEMA app; CREATE TABLE app.items (LIKE b.items); "
            "GRANT ALL ON SCHEMA app TO app; GRANT ALL ON app.items TO app")
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=a,b") as conn:
        assert seen(conn) == "a"
        for step, means in (("SET ROLE app", "b"), ("RESET ROLE", "a"), ("SET search_path = \"$user\", a", "a"),
                            ("SET ROLE app", "b"), ("SET ROLE NONE", "a"), ("BEGIN", "a"), ("SET LOCAL ROLE app", "b"),
                            ("COMMIT", "a"), ("SET SESSION AUTHORIZATION app", "b"), ("DISCARD ALL", None)):
            conn.execute(step)
            if means:
                assert seen(conn) == means, step


def test_prepared_statements_take_names_anew_as_the_server_does(two, segue):
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    text = "SELECT id, label FROM items WHERE id = $1"
    insert = "INSERT INTO items (id, label) VALUES ($1, $2) RETURNING label"
    with Raw(proxy.port).login(proxy.dbname, options="-c search_path=a") as client:
        client.send(parse(text, "s", [20]), parse(insert, "i", [20, 25]), SYNC).answers()
        for number, schema in enumerate(("a", "b", "a", "b"), 200):
            client.send(query(f"SET search_path = {schema}")).answers()
            got = client.send(bind("s", values=[7]), execute(), SYNC).answers()
            assert kinds(got) == "2DCZI" and schema.encode() + b" 7" in got[1][1]
            got = client.send(bind("i", values=[number, schema]), execute(), SYNC).answers()
            assert kinds(got) == "2DCZI"
    assert two.sql("SELECT id, label, title FROM a.items WHERE id >= 200 ORDER BY 1") == [
        (200, "a", "a"), (202, "a", "a")]
    assert two.sql("SELECT id, label FROM b.items WHERE id >= 200 ORDER BY 1") == [(201, "b"), (203, "b")]


def test_a_prepared_statement_is_on_the_side_of_the_table_that_it_comes_to_mean(two, segue):
    proxy = segue(two, workers=1)
    proxy.soaking(RENAME)
    with Raw(proxy.port).login(proxy.dbname, options="-c search_path=b") as client:
        client.send(parse("SELECT label FROM items", "b"), parse("SELECT id, items.* FROM items", "s"), SYNC).answers()
        for _ in range(2):  # who describes each portal is known by the second
            client.send(bind("s"), describe("P"), execute(), SYNC).answers()
        for _ in range(2):
            client.send(query("SET search_path = a")).answers()
            got = client.send(bind("s"), describe("P"), execute(), SYNC).answers()
            assert columns(only(got, "T")[0]) == ["id", "id", "note", "title"]
            client.send(query("SET search_path = b")).answers()
            got = client.send(bind("s"), describe("P"), execute(), SYNC).answers()
            assert columns(only(got, "T")[0]) == ["id", "id", "label", "other"]
            assert kinds(client.send(bind("b"), execute(), SYNC).answers())[:2] == "2D"


def test_what_is_in_flight_is_in_doubt_until_its_answer(two, segue):
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)

    def result(got):
        return [NAMES[tuple(columns(body))] for body in only(got, "T")]

    def batch(*texts):
        return b"".join(parse(t) + bind() + describe("P") + execute() for t in texts) + SYNC

    with Raw(proxy.port).login(proxy.dbname, options="-c search_path=b,a") as client:
        assert result(client.send(batch(STAR)).answers()) == ["b"]
        assert result(client.send(batch("SET search_path = a", STAR)).answers()) == ["a, in doubt"]
        assert result(client.send(batch(STAR)).answers()) == ["a"]
        assert result(client.send(query(f"SET search_path = b; {STAR}")).answers()) == ["b"]
        assert result(client.send(batch(STAR)).answers()) == ["b"]
        # it fails, and what comes behind it has the old path
        assert kinds(client.send(query("SET search_path = a; SELECT 1/0")).answers())[-2:] == "ZI"
        assert result(client.send(batch(STAR)).answers()) == ["b"]
        client.send(batch("BEGIN", "SET search_path = a")).answers()
        assert result(client.send(batch(STAR)).answers()) == ["a"]
        assert result(client.send(batch("ROLLBACK", STAR)).answers()) == ["b"]
        assert result(client.send(batch(STAR)).answers()) == ["b"]
        # parsed, run later
        client.send(parse("SET search_path = a"), SYNC).answers()
        client.send(bind(), execute(), SYNC).answers()
        assert result(client.send(batch(STAR)).answers()) == ["a"]
        client.send(parse("SELECT set_config('search_path', $1, false)", "set"), SYNC).answers()
        for schema in "ba":
            client.send(bind("set", values=[schema]), execute(), SYNC).answers()
            assert result(client.send(batch(STAR)).answers()) == [schema]


def test_functions_that_set_it_are_believed_only_where_the_server_reports(two, segue):
    two.sql("CREATE FUNCTION tenant(s text) RETURNS text LANGUAGE sql AS $$ "
            "SELECT set_config('search_path', s, false) $$")
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=a,public") as conn:
        known = reports(conn)
        assert seen(conn) == ("a" if known else "a, in doubt")
        conn.execute("SELECT tenant('b, public')")
        assert seen(conn) == "b"
        conn.execute("SELECT tenant('a, public')")
        assert seen(conn) == ("a" if known else "a, in doubt")
    assert (stat(proxy, "left_path") == 0) == known


class Halves(Played):
    """Leads to a server, whose long reports of the search path come in two parts: the second one when segue has read the first."""

    def __init__(self, cluster):
        self.behind, self.proxy, self.cut = cluster.port, None, 0
        super().__init__()

    def serve(self, client):
        with socket.create_connection(("127.0.0.1", self.behind)) as server:
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            sent = 0
            while data := server.recv(65536):
                at = data.find(b"search_path\0")
                if at >= 0 and len(data) > at + 3000:
                    sent += len(data[:at + 2500])
                    client.sendall(data[:at + 2500])
                    until("it to be read", lambda n=sent: n in [row["bytes_out"] for row in self.proxy.console("SHOW SESSIONS")])
                    self.cut += 1
                    data = data[at + 2500:]
                sent += len(data)
                client.sendall(data)


def test_a_path_that_is_too_long_to_be_told_is_not_the_one_before(two, segue):
    """Of a report that has more than 2 KB the beginning alone is looked at."""
    two.sql("CREATE FUNCTION tenant(s text) RETURNS text LANGUAGE sql AS $$ "
            "SELECT set_config('search_path', s, false) $$")
    with Halves(two.cluster) as halves:
        halves.proxy = proxy = segue(upstream=two.url(port=halves.port), workers=1)
        proxy.ready(RENAME)
        with proxy.connect(options="-c search_path=a,public") as conn:
            known = reports(conn)
            assert seen(conn) == ("a" if known else "a, in doubt")
            conn.execute("SELECT public.tenant('b, ' || string_agg('nobody_' || i, ', ')) FROM generate_series(1, 300) i")
            assert halves.cut == known
            assert seen(conn) == "b"
            conn.execute("SELECT public.tenant('a, public')")
            assert seen(conn) == ("a" if known else "a, in doubt")


def test_temporary_tables_hide_it_under_any_path(two, segue):
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=a,b") as conn:
        assert seen(conn) == "a"
        conn.execute("CREATE TEMP TABLE items (id bigint, label text, other text)")
        assert seen(conn) == "b"
        conn.execute("INSERT INTO items VALUES (1, 'temp', 'x')")
        conn.execute("DROP TABLE items")


def test_relations_that_come_and_go_are_followed(two, segue):
    two.sql("DROP TABLE b.items")
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=b,a") as conn, proxy.connect() as other:
        assert seen(conn) == "a"
        two.sql("CREATE TABLE b.items (id bigint, label text, other text)")
        until("the namesake to be noticed", lambda: woken(other) and conn.execute("SELECT 1") and stat(proxy, "paths_asked"))
        assert seen(conn) == "b"


def test_drivers_that_set_it_at_their_start(two, segue):
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)

    async def asyncpg_star(schema):
        conn = await asyncpg.connect(proxy.url(), server_settings={"search_path": schema})
        try:
            names = []
            for _ in range(3):
                names.append(NAMES[tuple((await conn.fetchrow(STAR)).keys())])
                await conn.reset()
            return names
        finally:
            await conn.close()

    for schema in ("a", "b"):
        assert asyncio.run(asyncpg_star(schema)) == [schema] * 3
        with psycopg.connect(proxy.url() + f"?options=-csearch_path%3D{schema}") as conn:
            assert seen(conn) == schema
        with Raw(proxy.port).login(proxy.dbname, search_path=schema) as client:
            got = client.send(query(STAR)).answers()
            assert NAMES[tuple(columns(only(got, "T")[0]))] == schema


MAKERS = {
    "CREATE TABLE": "CREATE TABLE items (id bigint, label text, other text)",
    "CREATE TABLE AS": "CREATE TABLE b.items AS SELECT 1::bigint AS id, 'x' AS label, 'y' AS other",
    "SELECT INTO": "SELECT 1::bigint AS id, 'x' AS label, 'y' AS other INTO items",
    "RENAME": "ALTER TABLE b.things RENAME TO items",
    "SET SCHEMA": "ALTER TABLE items SET SCHEMA b",
    "CREATE VIEW": "CREATE VIEW b.items AS SELECT * FROM b.things",
    "ON COMMIT DROP": "CREATE TEMP TABLE items (id bigint, label text, other text) ON COMMIT DROP",
}


def test_a_relation_of_that_name_is_known_at_once_to_who_makes_it(two, segue):
    """A new tenant's tables are made by one transaction, which works with them before anybody else can see them."""
    two.sql("DROP TABLE b.items; CREATE TABLE b.things (id bigint, label text, other text); CREATE SCHEMA c; "
            "CREATE TABLE c.items (LIKE b.things)")
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=b,a", prepare_threshold=None) as conn:
        until("the namesake to be known", lambda: seen(conn) == "a")
        for name, maker in MAKERS.items():
            for prepared in (False, True):
                conn.execute("BEGIN")
                if name == "SET SCHEMA":
                    conn.execute("SET LOCAL search_path = c, b, a")
                conn.execute(maker, prepare=prepared)
                assert seen(conn) == "b", name
                if "VIEW" not in name:
                    conn.execute("INSERT INTO items (id, label) VALUES (%s, %s)", (7, "x"), prepare=prepared)
                    conn.execute("INSERT INTO items VALUES (8, 'x', 'y')")
                conn.execute("COMMIT" if name == "ON COMMIT DROP" else "ROLLBACK")
                until(f"the table itself after {name}", lambda: seen(conn) == "a")
        conn.execute("CREATE TABLE items (id bigint, label text, other text)")
        for _ in range(20):
            assert seen(conn) == "b"
            conn.execute("INSERT INTO items (id, label) VALUES (%s, %s)", (7, "x"))
    with proxy.connect(options="-c search_path=a,b") as conn:
        until("its name to be decided", lambda: seen(conn) == "a")


ITEMS = "items (id bigint, label text, other text)"
INSERT = "INSERT INTO items (id, label) VALUES (7, 'x')"
UNSEEN = {
    "DO": f"DO $$BEGIN CREATE TEMP TABLE {ITEMS}; END$$",
    "CALL": "CALL make()",
    "another schema": f"CREATE TABLE IF NOT EXISTS {ITEMS}",
    "table of a query": "CREATE TABLE IF NOT EXISTS items AS SELECT 1::bigint AS id, 'x' AS label, 'y' AS other",
    "view": "CREATE MATERIALIZED VIEW IF NOT EXISTS items AS SELECT 1::bigint AS id, 'x' AS label, 'y' AS other",
}


def test_relations_that_a_text_may_make_are_in_doubt_to_its_session(two, segue):
    """The table itself has no namesake, so that no path is followed, and the name is in nobody's doubt before. Where the
    text does not say the name, or makes it if it is not there, it is the table's for what goes by its columns: should it not
    be, that is an error; the other way round values would be in wrong columns, and nobody would notice."""
    two.sql("DROP TABLE b.items; CREATE SCHEMA empty")
    two.sql(f"CREATE PROCEDURE public.make() LANGUAGE plpgsql AS $$BEGIN CREATE TEMP TABLE {ITEMS}; END$$")
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=empty,a,public", prepare_threshold=None) as conn:
        for name, maker in UNSEEN.items():
            write = INSERT if name != "view" else "SELECT label FROM items"
            for prepared in (False, True):
                conn.execute("BEGIN")
                conn.execute(maker, prepare=prepared)
                conn.execute(write, prepare=prepared)
                if name != "DO":  # which says what it makes
                    with pytest.raises(psycopg.errors.UndefinedColumn):
                        seen(conn)
                else:
                    assert seen(conn) == "b", name
                conn.execute("ROLLBACK")
                until(f"the table itself after {name}", lambda: seen(conn) == "a")
            conn.execute(f"BEGIN; {maker}; {write}; ROLLBACK")
            until(f"the table itself after {name}", lambda: seen(conn) == "a")
        conn.execute("BEGIN")
        conn.execute("DO $$BEGIN PERFORM 1; END$$")
        assert seen(conn) == "a"
        conn.execute("ROLLBACK")
    with Raw(proxy.port).login(proxy.dbname, options="-c search_path=empty,a") as client:
        texts = ("BEGIN", UNSEEN["another schema"], INSERT, "ROLLBACK")
        got = client.send(b"".join(parse(t) + bind() + execute() for t in texts) + SYNC).answers()
        assert "E" not in kinds(got)
        for text in (UNSEEN["DO"], INSERT):  # each by itself
            assert "E" not in kinds(client.send(parse(text), bind(), execute(), SYNC).answers())


def test_who_makes_a_table_that_is_there_is_not_in_doubt(two, segue):
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with proxy.connect(options="-c search_path=a") as conn, conn.transaction():
        conn.execute("CREATE TABLE IF NOT EXISTS items (id bigint)")
        assert seen(conn) == "a"


def test_a_temporary_table_of_another_session_leaves_no_doubt(two, segue):
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)

    with proxy.connect(options="-c search_path=a") as conn, proxy.connect(options="-c search_path=a") as has, \
            proxy.connect(options="-c search_path=b") as tenant:
        has.execute("CREATE TEMP TABLE scratch (a int)")
        assert (seen(conn), seen(has), seen(tenant)) == ("a", "a", "b")
        with two.connect() as other:
            other.execute("CREATE TEMP TABLE items AS SELECT 1 AS one")
            until("it to be known", lambda: woken(conn) and conn.execute("SELECT 1") and stat(proxy, "paths_asked") > 3)
            for _ in range(3):
                assert (seen(conn), seen(has), seen(tenant)) == ("a", "a", "b")
            conn.execute("CREATE TEMP TABLE items (id bigint, label text, other text)")
            for _ in range(3):
                assert (seen(conn), seen(has), seen(tenant)) == ("b", "a", "b")
        conn.execute("DROP TABLE pg_temp.items")
        until("its end to be known", lambda: seen(conn) == "a")
    assert stat(proxy, "left_path") > 0  # only where it was made


ONE = "INSERT INTO a.items VALUES (77, 'one', 'more')"


@pytest.mark.parametrize("sent", [query(ONE), parse(ONE) + bind() + execute() + SYNC], ids=["query", "parse"])
def test_a_cancel_that_meets_segues_question_is_the_statements(two, segue, sent):
    """The server knows of no other statement then."""
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    with Raw(proxy.port).login(two.name, options="-c search_path=a") as client, two.connect() as other:
        pid, = struct.unpack("!I", client.key[:4])
        with other.transaction():
            other.execute("LOCK TABLE pg_catalog.pg_settings IN ACCESS EXCLUSIVE MODE")
            client.send(sent)
            until("the question to wait", lambda: other.execute("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", (pid,)).fetchone())
            cancel(proxy, client.key)
            assert client.error()["C"] == "57014"
            assert client.read() == ("Z", b"I")
        got = client.send(query(STAR)).answers()
        assert columns(only(got, "T")[0]) == ["id", "label", "note"]
        assert two.one("SELECT count(*) FROM a.items WHERE id = 77") == 0


@pytest.mark.parametrize("timeout", ["statement_timeout", "lock_timeout"])
def test_a_timeout_that_meets_segues_question_is_no_cancel(two, segue, timeout):
    """It is asked again while there is hope, and the statement runs: in doubt, where there was none."""
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    options = f"-c search_path=a -c {timeout}=700"

    def asked(client, other):
        pid, = struct.unpack("!I", client.key[:4])
        other.execute("SELECT pg_stat_clear_snapshot()")
        found = other.execute("SELECT query_start FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", (pid,)).fetchone()
        return found and found[0]

    with Raw(proxy.port).login(two.name, options=options) as client, two.connect() as other:
        with other.transaction():
            other.execute("LOCK TABLE pg_catalog.pg_settings IN ACCESS EXCLUSIVE MODE")
            client.send(query(STAR))
            first = until("the question to wait", lambda: asked(client, other))
            until("it to be asked again", lambda: (asked(client, other) or first) != first)
        assert columns(only(client.answers(), "T")[0]) == ["id", "label", "note"]
    with Raw(proxy.port).login(two.name, options=options) as client, two.connect() as other:
        with other.transaction():
            other.execute("LOCK TABLE pg_catalog.pg_settings IN ACCESS EXCLUSIVE MODE")
            assert kinds(client.send(query(ONE)).answers()) == "CZI"
    assert two.one("SELECT count(*) FROM a.items WHERE id = 77") == 1


def test_segues_question_comes_behind_what_the_client_has_sent_before(two, segue):
    """The tail of a copy that has failed stands in front of the statement that the question is asked for."""
    proxy = segue(two, workers=1)
    proxy.ready(RENAME)
    rest = copy_data("x" * 8000)
    with Raw(proxy.port).login(two.name, options="-c search_path=a") as client:
        assert client.send(query(STAR)).until_ready().endswith("ZI")
        asked = stat(proxy, "paths_asked")
        client.send(query("SET search_path = b, a; COPY a.items FROM STDIN"))
        while client.read()[0] != "G":
            pass
        assert client.send(copy_data("no number\n"), rest[:5000]).until_ready() == "EZI"
        got = client.send(rest[5000:], COPY_DONE, query(STAR)).answers()
        assert columns(only(got, "T")[0]) == ["id", "label", "note"]
        assert stat(proxy, "paths_asked") == asked + 1
