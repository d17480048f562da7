"""rename_table: one table, and two names that work through segue from expand to complete."""

import asyncio
import re
import threading

import asyncpg
import psycopg
import pytest
from lib import catalog
from lib.answers import stat
from lib.operations import connected, is_refused, woken
from lib.rawwire import COPY_DONE, Raw, copy_data, query
from lib.wait import until

# rows that nobody has ordered come in the order of the plan, so neither of the two databases is to be analyzed alone
SCHEMA = """
CREATE TABLE orders (id int PRIMARY KEY, note text UNIQUE, n int GENERATED ALWAYS AS IDENTITY, at serial, CHECK (id > 0))
  WITH (autovacuum_enabled = off);
CREATE TABLE items (id int PRIMARY KEY, of int REFERENCES orders (id) ON DELETE CASCADE) WITH (autovacuum_enabled = off);
CREATE TABLE logs (id int PRIMARY KEY, text text) PARTITION BY RANGE (id);
CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (100) WITH (autovacuum_enabled = off);
CREATE TABLE logs_2 PARTITION OF logs DEFAULT WITH (autovacuum_enabled = off);
CREATE INDEX orders_note ON orders (lower(note)) WHERE id > 1;
CREATE VIEW shown AS SELECT id, note FROM orders;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.note || ''!''; RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM orders; END;
COMMENT ON TABLE orders IS 'what was ordered'; GRANT SELECT ON orders TO app; ALTER TABLE orders REPLICA IDENTITY FULL;
INSERT INTO orders (id, note) SELECT i, 'o' || i FROM generate_series(1, 20) i;
INSERT INTO items SELECT i, i FROM generate_series(1, 20) i;
INSERT INTO logs SELECT i, 'l' || i FROM generate_series(1, 200) i;
"""
NEW = '"Sold things"'
FILE = {"name": "names", "operations": [{"rename_table": {"from": "orders", "to": "Sold things"}},
                                        {"rename_table": {"from": "public.logs", "to": "events"}}]}
PLAIN = f"ALTER TABLE orders RENAME TO {NEW}; ALTER TABLE logs RENAME TO events"
BACK = f"ALTER TABLE {NEW} RENAME TO orders; ALTER TABLE events RENAME TO logs"

# {o} and {l} are the names of the two tables; each is played, and taken back
STATEMENTS = """
SELECT * FROM {o} ORDER BY {o}.id
SELECT {o}, {o}.note, public.{o}.n FROM public.{o} WHERE public.{o}.id < 3 ORDER BY 2
SELECT x.*, {o}.* FROM {o} JOIN {o} x USING (id) JOIN items ON of = {o}.id WHERE id = 4 FOR UPDATE OF {o}
TABLE {o} ORDER BY {o}.id LIMIT 3
SELECT count(*), max({l}.text) FROM {l} NATURAL JOIN {o}
WITH {o} AS (SELECT 1 AS one) SELECT * FROM {o}
WITH gone AS (DELETE FROM {o} WHERE {o}.id = 3 RETURNING *) SELECT * FROM gone
SELECT (SELECT count(*) FROM {l} WHERE {l}.id <= {o}.id) FROM ONLY ({o}) ORDER BY 1
INSERT INTO {o} VALUES (50, 'new') RETURNING *
INSERT INTO {o} (id, note) SELECT id + 100, note || 'x' FROM {o} WHERE id < 4 RETURNING {o}.id, {o}.note
INSERT INTO {o} (id, note) VALUES (1, 'o') ON CONFLICT (id) DO UPDATE SET note = {o}.note || excluded.note RETURNING *
UPDATE {o} SET note = {o}.id || 'u' FROM {l} WHERE {l}.id = {o}.id AND {o}.id < 3 RETURNING {o}.*, {l}.text
DELETE FROM {l} USING {o} WHERE {o}.id = {l}.id AND {l}.id < 4 RETURNING {l}.*
MERGE INTO {o} USING {l} ON {l}.id = {o}.id AND {o}.id < 3 WHEN MATCHED THEN UPDATE SET note = 'm' || {o}.id
PREPARE p AS SELECT * FROM {o} WHERE id = $1; EXECUTE p (2); DEALLOCATE p
DECLARE c CURSOR FOR SELECT * FROM {o} ORDER BY id; FETCH 2 FROM c
TRUNCATE {l}; SELECT count(*) FROM {l}
LOCK TABLE {o}, {l} IN SHARE MODE
CREATE TEMP TABLE kept AS TABLE {o}; SELECT * FROM kept ORDER BY id
SELECT nope FROM {o}
SELECT {o}.nope FROM items, {o} WHERE {o}.id > 1
SELECT * FROM {o} x WHERE {o}.id = 1
SELECT * FROM {o}, {o}
INSERT INTO {o} (id, nope) VALUES (1, 2)
""".strip().splitlines()


def played(conn, sql):
    """Names of columns and rows of the last result with any, or what a client sees of the error."""
    cur = conn.cursor()
    out = []
    try:
        cur.execute(sql)
        while True:
            out.append((cur.statusmessage, [c.name for c in cur.description or ()], cur.fetchall() if cur.description else None))
            if not cur.nextset():
                return out
    except psycopg.Error as error:
        # relations are called by their own names; and a table that its own alias hides has another one here, so that
        # the server does not guess that it was meant
        message = re.sub('relation "[^"]*"', "relation", error.diag.message_primary.replace("invalid reference to", "missing"))
        return [error.sqlstate, message, error.diag.statement_position]
    finally:
        conn.rollback()


def compare(copy, proxy, names, prepare):
    """The same through segue as on a database where the tables are called so."""
    o, l = names
    with copy.connect(autocommit=False) as direct, proxy.connect(autocommit=False, prepare_threshold=prepare) as client:
        for statement in STATEMENTS:
            if prepare is not None and ";" in statement:
                continue
            sql = statement.format(o=o, l=l)
            assert played(client, sql) == played(direct, sql), sql
        for conn in (client, direct):
            with conn.cursor() as cur:
                with cur.copy(f"COPY {o} (id, note) FROM STDIN") as data:
                    data.write_row((70, "copied"))
                cur.execute(f"SELECT note FROM {o} WHERE id = 70")
                assert cur.fetchone() == ("copied",)
                with cur.copy(f"COPY (SELECT id, note FROM {o} WHERE id IN (1, 70)) TO STDOUT") as data:
                    assert sorted(bytes(b) for b in data) == [b"1\to1\n", b"70\tcopied\n"]
            conn.rollback()


def both_names(copy, proxy, ways=(0,)):
    for names, turn in ((("orders", "logs"), PLAIN), ((NEW, "events"), BACK)):
        for prepare in ways:
            compare(copy, proxy, names, prepare)
        copy.sql(turn)


@pytest.mark.deadline(150)
def test_both_names_work_in_every_phase_and_the_end_is_that_of_plain_ddl(db, copy, segue):
    db.sql(SCHEMA)
    copy.sql(SCHEMA)
    proxy = segue(db)
    name = proxy.ready(FILE)
    both_names(copy, proxy, ways=(None, 0))
    proxy.cli("cutover", name)
    assert db.one("SELECT to_regclass('orders') IS NULL AND to_regclass('events') IS NOT NULL")
    both_names(copy, proxy, ways=(None, 0))
    connected(proxy.restart()).wait_phase(name, "soaking")
    both_names(copy, proxy)
    proxy.cli("rollback", name)
    assert db.one("SELECT to_regclass('orders') IS NOT NULL AND to_regclass('events') IS NULL")
    both_names(copy, proxy)
    proxy.cli("abort", name)
    with db.connect() as one, copy.connect() as other:
        assert catalog.difference(catalog.whole(other), catalog.whole(one)) == []
    proxy.done(FILE)
    copy.sql(PLAIN)
    with db.connect() as one, copy.connect() as other:
        assert catalog.difference(catalog.whole(other), catalog.whole(one)) == []
        assert catalog.traces(one) == []
    with proxy.connect() as client:
        assert client.execute(f"SELECT count(*) FROM {NEW}").fetchone() == (20,)
        with pytest.raises(psycopg.errors.UndefinedTable):
            client.execute("SELECT 1 FROM orders")
    assert proxy.cli("diff").out == "" and proxy.console("SHOW HISTORY")[-1]["migration"] == name


# ---- clients that go on while the name turns ----

class Clients:
    """Writers under one name, each in its own way, until they are told to stop; all of them count."""

    def __init__(self, proxy, name):
        self.proxy, self.name = proxy, name
        self.stop = threading.Event()
        self.done, self.errors = {}, []
        ways = [self.simple, self.prepared, self.transactions, self.named, self.asyncpg]
        self.threads = [threading.Thread(target=self.run, args=(way, i)) for i, way in enumerate(ways)]
        for thread in self.threads:
            thread.start()

    def run(self, way, number):
        self.done[way.__name__] = 0
        try:
            way(number)
        except Exception as error:  # noqa: BLE001: whatever a client sees is the test's result
            self.errors.append((self.name, way.__name__, repr(error)))

    def rows(self, number):
        """Numbers of new rows, no two clients the same."""
        for i in range(10**6):
            if self.stop.wait(0.004):
                return
            yield 10**7 * number + (5 * 10**6 if self.name == "a" else 0) + i + 1000
            self.done[[w.__name__ for w in (Clients.simple, Clients.prepared, Clients.transactions, Clients.named,
                                            Clients.asyncpg)][number]] += 1

    def simple(self, number):
        with self.proxy.connect(prepare_threshold=None) as conn:
            for row in self.rows(number):
                conn.execute(f"INSERT INTO {self.name} VALUES ({row}, 'x')")
                assert conn.execute(f"SELECT {self.name}.note FROM {self.name} WHERE id = {row}".encode()).fetchone() == ("x",)

    def prepared(self, number):
        with self.proxy.connect(prepare_threshold=0) as conn:
            for row in self.rows(number):
                conn.execute(f"INSERT INTO {self.name} VALUES (%s, %s)", (row, "x"))
                assert conn.execute(f"SELECT * FROM {self.name} WHERE {self.name}.id = %s", (row,)).fetchone() == (row, "x")

    def transactions(self, number):
        with self.proxy.connect(autocommit=False, prepare_threshold=0) as conn:
            for row in self.rows(number):
                conn.execute(f"INSERT INTO {self.name} VALUES (%s, %s)", (row, "y"))
                conn.execute(f"UPDATE {self.name} SET note = 'x' WHERE {self.name}.id = %s", (row,))
                conn.commit()

    def named(self, number):
        with self.proxy.connect(prepare_threshold=None) as conn:
            conn.execute(f"PREPARE mine AS INSERT INTO {self.name} VALUES ($1, $2) RETURNING {self.name}.note")
            for row in self.rows(number):
                assert conn.execute(f"EXECUTE mine ({row}, 'x')").fetchone() == ("x",)

    def asyncpg(self, number):
        async def work():
            conn = await asyncpg.connect(self.proxy.url())
            stays = await conn.prepare(f"SELECT count(*), max({self.name}.note) FROM {self.name} WHERE id = $1")
            for row in self.rows(number):
                await conn.execute(f"INSERT INTO {self.name} (id, note) VALUES ($1, $2)", row, "x")
                assert tuple(await stays.fetchrow(row)) == (1, "x")
            await conn.close()
        asyncio.run(work())

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads)
        assert not self.errors, self.errors
        return sum(self.done.values())

    def moves(self):
        """Waits until each of them has done more."""
        before = dict(self.done)
        until("all clients to go on", lambda: self.errors or all(self.done[w] > before[w] + 2 for w in before))
        assert not self.errors, self.errors


@pytest.mark.deadline(120)
def test_no_client_of_either_name_sees_the_turn(db, segue):
    db.sql("CREATE TABLE a (id int PRIMARY KEY, note text)")
    proxy = segue(db)
    file = {"name": "turn", "operations": [{"rename_table": {"from": "a", "to": "b"}}]}
    old = Clients(proxy, "a")
    until("clients", lambda: len(old.done) == 5 and all(old.done.values()))
    name = proxy.ready(file)
    new = Clients(proxy, "b")
    until("clients", lambda: len(new.done) == 5 and all(new.done.values()))
    for turn in ("cutover", "rollback", "cutover", "rollback", "cutover"):
        proxy.cli(turn, name)
        old.moves()
        new.moves()
    rows = old.end()
    proxy.cli("complete", name, "--force")
    proxy.wait_phase(name, "done")
    new.moves()
    rows += new.end()
    assert db.one("SELECT count(*) FROM b WHERE note = 'x'") == rows > 100


def waits_for_lock(db):
    return db.one("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted"
                  " AND a.datname = current_database() AND a.application_name = 'segue' AND l.mode = 'AccessExclusiveLock'")


def waits(db, pid):
    return db.one("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %s", pid)


@pytest.mark.parametrize("how", ["simple", "prepared", "before"])
@pytest.mark.one_version
def test_a_transaction_that_first_names_the_table_during_the_turn_is_held_and_goes_on(db, segue, how):
    """The server looks a name up, waits for the lock, and looks it up again: it would be gone."""
    db.sql("CREATE TABLE a (id int); CREATE TABLE c (id int); INSERT INTO a VALUES (1)")
    # so that the cut-over stands in its own transaction for as long as the test wants
    proxy = segue(db, lock_timeout_ms=20000, gate_hold_max_ms=30000)
    name = proxy.ready({"name": "turn", "operations": [{"rename_table": {"from": "a", "to": "b"}}]})
    with db.connect(autocommit=False) as bypasses, proxy.connect(autocommit=False, prepare_threshold=None) as client:
        if how == "before":
            client.execute("SELECT id FROM a", prepare=True)
            client.commit()
        client.execute("INSERT INTO c VALUES (1)")
        bypasses.execute("SELECT 1 FROM a")
        turn = threading.Thread(target=proxy.cli, args=("cutover", name))
        turn.start()
        until("the cut-over to wait for its lock", lambda: waits_for_lock(db))
        got = []
        asks = threading.Thread(target=lambda: got.append(client.execute("SELECT id FROM a", prepare=how != "simple").fetchall()))
        asks.start()
        until("the statement to wait", lambda: got or any(row["state"] == "held" for row in proxy.console("SHOW SESSIONS"))
              or waits(db, client.info.backend_pid))
        bypasses.commit()
        asks.join(20)
        turn.join(20)
        assert got == [[(1,)]] and proxy.status(name)["phase"] == "soaking"
        client.commit()
    assert db.one("SELECT count(*) FROM c") == 1


# ---- what is told, and what is refused ----

@pytest.mark.one_version
def test_plan_says_who_must_come_through_segue_and_complete_waits_for_old_names(db, segue):
    db.sql("CREATE TABLE a (id int PRIMARY KEY); CREATE SCHEMA app; CREATE TABLE app.b (id int);"
           "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''a'''; CREATE PUBLICATION p FOR TABLE a")
    proxy = segue(db, quiet_period_s=900)
    file = {"name": "turn", "operations": [{"rename_table": {"from": "a", "to": "b"}}]}
    plan = proxy.cli("plan", proxy.file(file)).out
    for word in ("it is public.b from the cut-over on", "connections that bypass segue", "42P01", "SHOW USAGE",
                 "publication p sends it", "its text has the word a", "app.b", "ALTER TABLE public.a RENAME TO b",
                 "ALTER TABLE public.b RENAME TO a", "keep their names"):
        assert word in plan, f"{word!r} is not in\n{plan}"
    name = proxy.soaking(file)
    with db.connect() as bypasses, pytest.raises(psycopg.errors.UndefinedTable):
        bypasses.execute("SELECT 1 FROM a")
    with proxy.connect(application_name="the old one") as client, proxy.connect(application_name="the new one") as other:
        client.execute("SELECT 1 FROM a")
        other.execute("SELECT 1 FROM b")
        for left in ("SELECT 'a'::regclass", "SELECT NULL::a", "/* segue:off */ SELECT 1 FROM a"):
            with pytest.raises(psycopg.Error):
                client.execute(left)
    stats = dict(list(row.values())[:2] for row in proxy.console("SHOW STATS"))
    assert stats["left_table"] == 2 and stats["left_off"] == 1
    assert "table gone" not in proxy.cli("doctor", check=None).out  # it is where it is to be
    refused = proxy.cli("complete", name, check=1).err
    assert "old names are still in use" in refused and "the old one" in refused and "the new one" not in refused

    def used():
        return {(row["application_name"], row["what"]) for row in proxy.console(f"SHOW USAGE {name}")}

    until("the uses to be shown", lambda: {("the old one", "old names"), ("the new one", "new names")} <= used())
    assert ("the new one", "old names") not in used()
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    assert "clients that used it in earlier migrations: user postgres, application the" in proxy.cli("plan", proxy.file(file)).out


@pytest.mark.one_version
def test_a_name_means_what_the_search_path_says(db, segue):
    db.sql("CREATE TABLE a (id int); INSERT INTO a VALUES (1); CREATE SCHEMA app; CREATE TABLE app.b (id int);"
           "INSERT INTO app.b VALUES (2); CREATE TABLE app.a (id int); INSERT INTO app.a VALUES (3)")
    proxy = segue(db)
    name = proxy.ready({"name": "turn", "operations": [{"rename_table": {"from": "a", "to": "b"}}]})

    def seen(path, table):
        with proxy.connect(options=f"-c search_path={path}") as conn:
            return conn.execute(f"SELECT {table}.id FROM {table}").fetchone()[0]

    before = {("public", "a"): 1, ("public", "b"): 1, ("app", "b"): 2, ("app,public", "a"): 3, ("public,app", "a"): 1,
              ("public,app", "b"): 2}  # as it always was: the new name comes with the turn
    after = {**before, ("public,app", "b"): 1}
    for expected, turn in ((before, "cutover"), (after, "rollback"), (before, None)):
        for (path, table), row in expected.items():
            assert seen(path, table) == row, (path, table, turn)
        if turn:
            proxy.cli(turn, name)
    with proxy.connect() as conn:  # a temporary table comes first
        conn.execute("CREATE TEMP TABLE b (id int)")
        assert conn.execute("SELECT count(*) FROM b").fetchone() == (0,)
    # who takes the new name keeps it, and the cut-over says so
    db.sql("CREATE TABLE b (id int); INSERT INTO b VALUES (4)")
    with proxy.connect() as conn:
        until("the rules to know", lambda: woken(conn).execute("SELECT max(id) FROM b").fetchone() == (4,))
    assert "table public.b already exists, and table public.a is to get that name" in proxy.cli("cutover", name, check=None).err
    assert proxy.status(name)["phase"] == "ready" and seen("public", "a") == 1


@pytest.mark.one_version
def test_a_view_may_stand_in_for_those_who_bypass_segue_and_what_takes_the_name_is_told(db, segue):
    db.sql("CREATE TABLE a (id int); INSERT INTO a VALUES (1)")
    proxy = segue(db)
    name = proxy.soaking({"name": "turn", "operations": [{"rename_table": {"from": "a", "to": "b"}}]})
    db.sql("CREATE VIEW a AS SELECT * FROM b")
    with proxy.connect() as conn:
        until("the view to be meant", lambda: "View" in str(woken(conn).execute("EXPLAIN VERBOSE INSERT INTO a VALUES (2)").fetchall())
              or "b" in str(conn.execute("EXPLAIN VERBOSE SELECT a FROM a").fetchall()))
        assert conn.execute("SELECT id FROM a").fetchall() == [(1,)]
    db.sql("CREATE TABLE c (n int)")
    for holder, makes in {"view public.a": "SELECT 1", "index public.a": "DROP VIEW a; CREATE INDEX a ON c (n)",
                          "type public.a": "DROP INDEX a; CREATE TYPE a AS ENUM ()"}.items():
        db.sql(makes)
        refused = proxy.cli("rollback", name, check=None).err
        assert f"the way back to the old schema failed: {holder} already exists, and table public.b is to get that name" in refused, refused
        assert "hint: give it another name, or drop it" in refused and proxy.status(name)["phase"] == "soaking"
    db.sql("DROP TYPE a")
    proxy.cli("rollback", name)
    assert db.one("SELECT id FROM a") == 1


@pytest.mark.one_version
def test_what_needs_no_more_of_the_table_after_the_turn_goes_along(db, copy, segue):
    schema = "CREATE TABLE a (id int PRIMARY KEY, note text); INSERT INTO a SELECT i, 'n' FROM generate_series(1, 9) i"
    db.sql(schema)
    copy.sql(schema)
    proxy = segue(db)
    name = proxy.soaking({"name": "more", "operations": [
        {"add_column": {"table": "a", "column": {"name": "x", "type": "int", "default": "7", "nullable": True}}},
        {"create_index": {"table": "a", "name": "a_note", "columns": ["note"]}},
        {"rename_table": {"from": "a", "to": "b"}},
        {"create_table": {"name": "c", "columns": [{"name": "id", "type": "int", "pk": True}]}}]})
    with proxy.connect(options="-c segue.schema=old") as old, proxy.connect(options="-c segue.schema=new") as new:
        for _ in range(2):
            for table in ("a", "b"):
                assert old.execute(f"SELECT * FROM {table} WHERE id = 1").fetchone() == (1, "n")
                assert new.execute(f"SELECT {table}.* FROM {table} WHERE id = 1").fetchone() == (1, "n", 7)
            proxy.cli(*(("rollback", name) if _ == 0 else ("cutover", name)))
    proxy.cli("complete", name)
    copy.sql("ALTER TABLE a ADD x int DEFAULT 7; CREATE INDEX a_note ON a (note); ALTER TABLE a RENAME TO b;"
             "CREATE TABLE c (id int PRIMARY KEY)")
    with db.connect() as one, copy.connect() as other:
        assert catalog.difference(catalog.whole(other), catalog.whole(one)) == []


RENAME = {"rename_table": {"from": "t", "to": "u"}}
REFUSED = {
    "taken": ([RENAME], "CREATE VIEW u AS SELECT 1", 'rename_table.to: the name "u" is taken: a view of schema public has it'),
    "taken by a type": ([RENAME], "CREATE TYPE u AS ENUM ()", "a type of schema public has it"),
    "taken by the file": ([RENAME, {"create_table": {"name": "u", "columns": [{"name": "id", "type": "int"}]}}], "SELECT 1",
                          'gives the name "u" to another table'),
    "two to one": ([RENAME, {"rename_table": {"from": "s", "to": "u"}}], "CREATE TABLE s (id int)", 'gives the name "u" to another table'),
    "twice": ([RENAME, {"rename_table": {"from": "t", "to": "v"}}], "SELECT 1", "table public.t is renamed twice"),
    "dropped": ([RENAME, {"drop_table": {"name": "t"}}], "SELECT 1", "the file drops table public.t, too"),
    "no table": ([{"rename_table": {"from": "x", "to": "u"}}], "SELECT 1", "rename_table.from: there is no table x"),
    "a view": ([{"rename_table": {"from": "v", "to": "u"}}], "CREATE VIEW v AS SELECT 1 AS id", "public.v: it is not a table"),
    "a partition": ([{"rename_table": {"from": "p1", "to": "u"}}],
                    "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE p1 PARTITION OF p DEFAULT", "it is a partition"),
    "inherits": ([RENAME], "CREATE TABLE k () INHERITS (t)", "tables that inherit cannot be carried"),
    "by its new name in front": ([{"create_index": {"table": "u", "name": "i", "columns": ["n"]}}, RENAME], "SELECT 1",
                                 'operations[0].create_index.table: no table is called "u" yet: operations[1].rename_table gives that name further down'),
    "referred to by its new name in front": ([{"create_table": {"name": "c", "columns": [{"name": "id", "type": "int", "references": {
        "table": "u", "column": "id"}}]}}, RENAME], "SELECT 1", "create_table.columns[0].references: no table is called"),
    "by its old name behind": ([RENAME, {"create_index": {"table": "public.t", "name": "i", "columns": ["n"]}}], "SELECT 1",
                               'table public.t is called "u" by then: operations[0].rename_table stands in front of this'),
    "referred to by its old name behind": ([RENAME, {"add_column": {"table": "s", "column": {"name": "t_id", "type": "int", "nullable": True, "references": {
        "name": "k", "table": "t", "column": "id"}}}}], "CREATE TABLE s (id int)", "add_column.column.references: table public.t is called"),
    "dropped by its new name": ([RENAME, {"drop_table": {"name": "u"}}], "SELECT 1", "the file drops table public.t, too"),
    "once more by its new name": ([RENAME, {"rename_table": {"from": "u", "to": "v"}}], "SELECT 1", "table public.t is renamed twice"),
    "at complete by its old name": ([RENAME, {"sql": {"up": "COMMENT ON TABLE t IS 'x'", "onComplete": True}}], "SELECT 1",
                                    "it is called public.u when complete runs what names it by its old name"),
    "changed at complete": ([RENAME, {"sql": {"up": "ALTER TABLE u ADD x int", "onComplete": True}}], "SELECT 1",
                            "public.t: operations[1].sql.up, statement 1, ALTER TABLE: old and new revisions would see different columns"),
    "in a function": ([RENAME], "CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM public . \"t\" x); END'",
                      "function public.f(): its text names the table public.t, and fails"),
    "as a row": ([RENAME], "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'DECLARE r t%ROWTYPE; BEGIN RETURN 1; END'",
                 "function public.f(): its text names the table"),
}


@pytest.mark.one_version
def test_what_cannot_be_renamed_is_refused_by_name(db, segue):
    proxy = segue(db)
    for what, (operations, sql, wanted) in REFUSED.items():
        db.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int PRIMARY KEY, n int)")
        db.sql(sql)
        is_refused(proxy, operations, wanted, what)
    # in another schema a table of that name is in nobody's way
    db.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE t (id int PRIMARY KEY, n int); CREATE SCHEMA far")
    for place in "far.u", "public.u":
        made = {"create_table": {"name": place, "columns": [{"name": "id", "type": "int"}]}}
        proxy.cli("plan", proxy.file({"name": "m", "operations": [RENAME, made]}), check=int(place == "public.u"))


@pytest.mark.one_version
def test_another_migration_makes_nothing_under_a_name_of_a_table_that_is_renamed_and_says_none_of_them(db, segue):
    db.sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, n int); CREATE TABLE c_k_seq (id int); CREATE TABLE d_k_seq (id int); CREATE SCHEMA other")
    proxy = segue(db)
    name = proxy.soaking({"name": "turn", "operations": [RENAME, {"rename_table": {"from": "c_k_seq", "to": "v"}}, {"rename_table": {"from": "d_k_seq", "to": "x"}}]})
    made = {
        "t": [{"create_index": {"table": "c", "name": "t", "columns": ["n"]}},
              {"create_constraint": {"table": "c", "name": "t", "type": "unique", "columns": ["n"]}},
              {"add_column": {"table": "c", "column": {"name": "k", "type": "int", "unique": {"name": "t"}, "nullable": True}}},
              {"create_enum": {"name": "t", "values": ["a"]}},
              {"create_table": {"name": "d", "columns": [{"name": "id", "type": "int", "pk": True}],
                                "constraints": [{"name": "t", "type": "unique", "columns": ["id"]}]}}],
        "c_k_seq": [{"add_column": {"table": "c", "column": {"name": "k", "type": "serial"}}}],
        "d_k_seq": [{"create_table": {"name": "d", "columns": [{"name": "id", "type": "int", "pk": True}, {"name": "k", "type": "serial"}]}}]}
    said = [{"up": "COMMENT ON TABLE t IS 'z'", "onComplete": True}, {"up": "COMMENT ON TABLE public.u IS 'z'"},
            {"up": "CREATE VIEW w AS SELECT 1", "down": "DO $$ BEGIN ALTER TABLE t SET (fillfactor = 90); END $$"}]
    file = {"name": "second"}
    for table, operations in made.items():
        for operation in operations:
            for command in ("plan", "start"):
                run = proxy.cli(command, proxy.file(file | {"operations": [operation]}), check=1)
                assert (f'migration "turn" renames table public.{table} to "' in run.out + run.err
                        and "gives one of the two names to something else" in run.out + run.err), (operation, run)
    for statement in said:
        run = proxy.cli("plan", proxy.file(file | {"operations": [{"sql": statement}]}), check=1)
        assert 'has SQL of its own that has one of the two names: "run operations[0].sql.' in run.out, run.out
    for free in ({"create_index": {"table": "c", "name": "t_n", "columns": ["n"]}}, {"create_enum": {"name": "other.t", "values": ["a"]}},
                 {"sql": {"up": "COMMENT ON TABLE c IS 'z'"}}):
        proxy.cli("plan", proxy.file(file | {"operations": [free]}))
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    second = proxy.soaking(file | {"operations": [{"sql": said[0]}]})
    refused = proxy.cli("plan", proxy.file({"name": "turn", "operations": [RENAME]}), check=1)
    assert 'this migration "turn" renames table public.t to "u", and migration "second" has SQL of its own' in refused.out, refused.out
    proxy.cli("complete", second, "--force")
    proxy.wait_phase(second, "done")
    assert db.one("SELECT obj_description('t'::regclass)") == "z"
    proxy.soaking({"name": "turn", "operations": [RENAME]})


@pytest.mark.one_version
def test_what_else_goes_by_the_names_of_a_renamed_table_goes_on(db, segue):
    """Its sequence, temporary tables, and what a statement of another migration only says when it runs."""
    db.sql("CREATE TABLE t (id serial PRIMARY KEY, n int); INSERT INTO t (n) VALUES (1); CREATE FUNCTION f() RETURNS void"
           " LANGUAGE plpgsql AS $$BEGIN EXECUTE concat('COMMENT ON TABLE ', 't', ' IS ', quote_literal('z')); END$$")
    proxy = segue(db)
    second = proxy.soaking({"name": "second", "operations": [{"sql": {"up": "SELECT f()", "onComplete": True}}]})
    name = proxy.ready({"name": "turn", "operations": [RENAME]})

    def goes_on(there):
        for temporary, other in (("t", "u"), ("u", "t")):
            with proxy.connect() as client:  # before the rules can know of it
                client.execute(f"CREATE TEMP TABLE {temporary} (x text)")
                assert client.execute(f"SELECT n FROM {other} WHERE id = 1").fetchone() == (1,)
                assert client.execute(f"SELECT count(x) FROM {temporary}").fetchone() == (0,)
        with proxy.connect() as client:
            numbers = [client.execute(sql).fetchone()[0] for sql in ("INSERT INTO t (n) VALUES (2) RETURNING id", "SELECT nextval('t_id_seq')",
                                                                     "INSERT INTO u (n) VALUES (2) RETURNING id")]
            assert numbers == list(range(numbers[0], numbers[0] + 3))
        assert db.one(f"SELECT pg_get_serial_sequence('{there}', 'id')") == "public.t_id_seq"

    goes_on("t")
    proxy.cli("cutover", name)
    goes_on("u")
    stopped = proxy.cli("complete", second, "--force", check=None)
    assert 'run operations[0].sql.up: relation "t" does not exist' in stopped.err and "resume tries again" in stopped.err
    proxy.cli("rollback", name)
    goes_on("t")
    proxy.cli("resume", second)
    proxy.wait_phase(second, "done")
    assert db.one("SELECT obj_description('t'::regclass)") == "z"


@pytest.mark.one_version
def test_a_copy_that_is_refused_while_its_data_comes_is_not_sent_once_more(db, segue):
    """It was rewritten, and the server wants a privilege: nothing of segue's may stand in the middle of the data."""
    db.sql("CREATE TABLE a (id int)")
    proxy = segue(db, workers=1)
    proxy.ready({"name": "turn", "operations": [{"rename_table": {"from": "a", "to": "b"}}]})
    data = copy_data("1\n" * 300_000)
    for half in (len(data) // 2, len(data)):  # within a message, and between two
        with Raw(proxy.port).login(db.name, user="app") as client:
            client.send(query("COPY b (id) FROM STDIN"), data[:half])
            assert client.error()["C"] == "42501"
            assert client.until_ready() == "ZI"
            client.send(data[half:], COPY_DONE, query("SELECT 1"))
            assert client.until_ready() == "TDCZI"
    assert stat(proxy, "sent_again") == 0
