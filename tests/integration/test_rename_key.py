"""Keys under a new name: the primary key, what counts it up, and what refers to it."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from lib import catalog
from lib.each import each
from lib.operations import build, connected, new, old, same_as_plain, unchanged
from lib.segue import BUILD, REPO
from lib.traffic import Pair, Traffic
from lib.wait import until

from test_retype_key import SEQUENCES, key_facts

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.newest_unless_told

LABEL = Pair(new="label")


def renamed(table, column, to, **more):
    return {"rename_column": {"table": table, "from": column, "to": to, **more}}


def settled(proxy, db, name, indexes):
    """What a turn leaves to be done after it."""
    proxy.wait(name, lambda row: row["step"] == "" and db.one(
        "SELECT count(*) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE relname LIKE '~segue%' AND indisvalid") == indexes,
        what="the indexes to be there again")


ORDERS = ("CREATE TABLE {s}.items (id serial PRIMARY KEY, label text, note text DEFAULT 'n');"
          "COMMENT ON CONSTRAINT items_pkey ON {s}.items IS 'the key'; COMMENT ON INDEX {s}.items_pkey IS 'its index';"
          "CLUSTER {s}.items USING items_pkey; ALTER TABLE {s}.items REPLICA IDENTITY USING INDEX items_pkey;"
          "CREATE TABLE {s}.pairs (a integer, b integer NOT NULL, c text, CONSTRAINT both_keys PRIMARY KEY (b, a) INCLUDE (c)"
          "  WITH (fillfactor = 60));"
          "INSERT INTO {s}.items (label) SELECT 'row ' || i FROM generate_series(1, 300) i;"
          "INSERT INTO {s}.pairs SELECT i, i FROM generate_series(1, 50) i")
KEYS = {"name": "keys", "operations": [renamed("items", "id", "ident"), renamed("pairs", "a", "first")]}
PLAIN = "ALTER TABLE {s}.items RENAME id TO ident; ALTER TABLE {s}.pairs RENAME a TO first"


def follow(proxy):
    return proxy.connect()


def use_by(conn, key, row):
    """All that an application does by its key, under one of its names."""
    def value():
        return conn.execute(f"SELECT {key}, label, note FROM items WHERE {key} = {row}").fetchall()

    conn.execute(f"INSERT INTO items ({key}, label) VALUES ({row}, 'a')")
    assert value() == [(row, "a", "n")]
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(f"INSERT INTO items ({key}, label) VALUES ({row}, 'b')")
    conn.execute(f"INSERT INTO items ({key}, label) VALUES ({row}, 'c') ON CONFLICT ({key}) DO UPDATE SET label = EXCLUDED.label, "
                 f"note = (EXCLUDED.{key} + items.{key})::text")
    assert value() == [(row, "c", str(2 * row))]
    conn.execute(f"INSERT INTO items ({key}, label) VALUES ({row}, 'd') ON CONFLICT ON CONSTRAINT items_pkey DO NOTHING")
    conn.execute(f"INSERT INTO items ({key}, label) SELECT {key}, 'e' FROM items WHERE {key} = {row} ON CONFLICT ({key}) DO NOTHING")
    assert value() == [(row, "c", str(2 * row))]
    conn.execute(f"UPDATE items SET {key} = {key} + 1 WHERE {key} = {row}")
    assert value() == [] and conn.execute(f"SELECT label FROM items WHERE {key} = {row + 1}").fetchone() == ("c",)
    by = conn.execute(f"SELECT {key}, label, count(*) FROM items WHERE {key} IN (1, 2, {row + 1}) GROUP BY {key} ORDER BY {key}")
    assert by.fetchall() == [(1, "row 1", 1), (2, "row 2", 1), (row + 1, "c", 1)]
    by = conn.execute(f"SELECT i.{key} AS k, upper(i.label), sum(p.b) FROM items i JOIN pairs p ON p.b = i.{key} WHERE p.b < 3 "
                      f"GROUP BY k ORDER BY 1")
    assert by.fetchall() == [(1, "ROW 1", 1), (2, "ROW 2", 2)]
    assert conn.execute(f"DELETE FROM items WHERE {key} = {row + 1} RETURNING {key}").fetchall() == [(row + 1,)]


def test_a_key_gets_another_name_and_goes_back_as_often_as_wanted(db, segue):
    build(db, ORDERS)
    facts = key_facts(db, "public")
    proxy = segue(db)
    rows = iter(range(1000, 10000, 10))
    name = proxy.ready(KEYS)

    def both_use_it():
        for connect, key in ((old, "id"), (new, "ident"), (follow, "id"), (follow, "ident")):
            with connect(proxy) as conn:
                use_by(conn, key, next(rows))
        with db.connect() as conn:  # past segue
            row = next(rows)
            conn.execute(f"INSERT INTO items (id) VALUES ({row}); UPDATE items SET id = id + 1 WHERE ident = {row}")
            conn.execute(f"UPDATE items SET ident = ident + 1 WHERE id = {row + 1}")
            assert conn.execute(f"DELETE FROM items WHERE id = ident AND id = {row + 2}").rowcount == 1

    both_use_it()
    for command in ("cutover", "rollback", "cutover"):
        snapshot = db.connect(autocommit=False)
        if command == "rollback":  # which uses the indexes up: new ones wait for who might still see what they lack
            snapshot.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class")
        proxy.cli(command, name)
        assert [row for row in key_facts(db, "public") if row[3]] == facts
        both_use_it()
        snapshot.rollback()
        if command == "rollback":
            settled(proxy, db, name, 4)
        assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 0
    with pytest.raises(psycopg.errors.UniqueViolation):
        with proxy.connect() as conn:
            conn.execute("INSERT INTO pairs (b, first) VALUES (7, 7)")
    proxy.cli("complete", name, "--force")
    same_as_plain(db, PLAIN, "items", "pairs")
    assert key_facts(db, "public") == key_facts(db, "plain") == facts


BY_THE_NEW_KEY = "INSERT INTO items (ident, label) VALUES (7, 'again') ON CONFLICT (ident) DO NOTHING"


NO_INDEX = ("CREATE FUNCTION closed() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no index before midnight'; END$$;"
            "CREATE EVENT TRIGGER closed ON ddl_command_start WHEN tag IN ('CREATE INDEX') EXECUTE FUNCTION closed()")


def active(proxy):
    return [row for row in proxy.console("SHOW SESSIONS") if row["state"] == "active"]


def test_a_way_back_meets_no_upsert_by_the_key_of_the_other_side(db, segue):
    """The unique index over it goes with the key: what is on its way is waited for."""
    build(db, ORDERS)
    proxy = segue(db, cutover_drain_ms=300)
    name = proxy.soaking(KEYS)
    db.sql(NO_INDEX)  # it would be there again before the backend goes on
    before = db.one("SELECT count(*) FROM segue.attempts WHERE kind = 'revert'")
    with proxy.connect(autocommit=False) as conn, ThreadPoolExecutor() as pool:
        backend = conn.execute("SELECT pg_backend_pid()").fetchone()[0]
        os.kill(backend, signal.SIGSTOP)
        try:
            upsert = pool.submit(conn.execute, BY_THE_NEW_KEY)
            until("it to be on its way", lambda: active(proxy))
            back = pool.submit(proxy.cli, "rollback", name)
            until("an attempt", lambda: db.one("SELECT count(*) FROM segue.attempts WHERE kind = 'revert'") > before)
        finally:
            os.kill(backend, signal.SIGCONT)
        upsert.result(30)
        conn.commit()
        back.result(60)


@contextmanager
def told_at(db, segue, point, migration, statement):
    """A segue with the migration at ready, and a transaction that is open and has touched nothing; at the point this sends the statement.
    Gives both, and the states of the clients that the point has seen."""
    states, sent = [], []

    def seen():
        return [row["state"] for row in proxy.console("SHOW SESSIONS") if row["state"] in ("active", "held")]

    def send(_point):
        sent.append(pool.submit(statement, conn))
        until("it to be sent", seen)
        states.append(seen())

    told = Told(send)
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": f"{point}:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(migration)
    with proxy.connect(autocommit=False) as conn, ThreadPoolExecutor() as pool:
        yield proxy, conn, states
        told.close()
        assert len(sent) == 1
        sent[0].result(30)


GROUPED = "SELECT {0}, label, count(*) FROM items GROUP BY {0} ORDER BY 1 LIMIT 1"


@each(case=[("cutover", "cutting_over", GROUPED.format("id")), ("rollback", "reverting", GROUPED.format("ident")),
            ("rollback", "reverting", BY_THE_NEW_KEY)])
def test_an_open_transaction_waits_with_its_first_statement_by_the_key_of_the_side_that_goes(pg, segue, case):
    command, phase, text = case
    with pg.database() as db:
        build(db, ORDERS)
        with told_at(db, segue, f"gate_locked/{phase}", KEYS, lambda conn: conn.execute(text)) as (proxy, conn, states):
            if command == "rollback":
                proxy.cli("cutover", "keys")
            conn.execute("SELECT 1")
            db.sql(NO_INDEX)
            proxy.cli(command, "keys")
            assert states == [["held"]]
        proxy.stop()


def test_a_transaction_that_may_have_touched_a_key_is_waited_for(db, segue):
    """It holds no lock, and its first statement is not held."""
    build(db, ORDERS)
    proxy = segue(db, cutover_drain_ms=300)
    name = proxy.soaking(KEYS)
    with proxy.connect(autocommit=False) as conn, ThreadPoolExecutor() as pool:
        conn.execute("PREPARE q AS SELECT 1")
        conn.execute("SELECT 2", prepare=True)
        conn.commit()
        conn.execute("EXECUTE q")
        back = pool.submit(proxy.cli, "rollback", name)
        until("an attempt", lambda: db.one("SELECT count(*) FROM segue.attempts WHERE kind = 'revert'"))
        assert db.one("SELECT min(outcome) FROM segue.attempts WHERE kind = 'revert'") == "drain"
        conn.execute(BY_THE_NEW_KEY)
        conn.commit()
        back.result(60)


RETYPED = {"name": "retyped", "operations": [
    {"alter_column": {"table": "items", "column": "id", "type": "bigint", "up": "id::bigint", "down": "id::integer"}}]}


def test_nobody_is_held_within_a_transaction_for_a_key_that_keeps_its_name(db, segue):
    build(db, ORDERS)
    by_the_key = "INSERT INTO items (id, label) VALUES (7, 'again') ON CONFLICT (id) DO NOTHING"
    with told_at(db, segue, "gate_locked/reverting", RETYPED, lambda conn: conn.execute(by_the_key)) as (proxy, conn, states):
        proxy.cli("cutover", "retyped")
        conn.execute("SELECT 1")
        db.sql(NO_INDEX)
        proxy.cli("rollback", "retyped")
        assert states == [["active"]]


def test_who_is_held_within_a_transaction_has_locked_no_other_table_of_the_turn(db, segue):
    """The turn would wait for that until its lock_timeout, again and again."""
    build(db, ORDERS)

    def both(conn):
        conn.execute("UPDATE pairs SET c = 'x' WHERE b = 1")
        conn.execute("UPDATE items SET label = 'x' WHERE id = 1")
        conn.commit()

    two = {"name": "two", "operations": [{"rename_table": {"from": "items", "to": "things"}}, renamed("pairs", "c", "d")]}
    with told_at(db, segue, "gate_drained/cutting_over", two, both) as (proxy, conn, _):
        conn.execute("SELECT 1")
        proxy.cli("cutover", "two")
    assert db.sql("SELECT outcome FROM segue.attempts WHERE kind = 'cutover'") == [("done",)]


@pytest.mark.one_version
def test_an_abort_after_a_way_back_leaves_the_key_as_it_was(db, segue):
    build(db, ORDERS)
    facts = key_facts(db, "public")
    proxy = segue(db)
    name = proxy.soaking(KEYS)
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    unchanged(db, "items", "pairs")
    assert key_facts(db, "public") == facts


# ---- what refers to it ----

LINKED = ("CREATE TABLE {s}.items (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, code text UNIQUE, label text,"
          "  parent integer CONSTRAINT own REFERENCES {s}.items ON DELETE SET NULL);"
          "CREATE TABLE {s}.orders (id integer PRIMARY KEY, item integer NOT NULL REFERENCES {s}.items ON UPDATE CASCADE ON DELETE CASCADE);"
          "CREATE TABLE {s}.lines (id bigint PRIMARY KEY, item integer, kind text DEFAULT 'k', CONSTRAINT line_item FOREIGN KEY (item)"
          "  REFERENCES {s}.items DEFERRABLE INITIALLY DEFERRED);"
          "COMMENT ON CONSTRAINT line_item ON {s}.lines IS 'why'; CREATE INDEX ON {s}.orders (item);"
          "CREATE TABLE {s}.loose (item integer, code text CONSTRAINT by_code REFERENCES {s}.items (code) ON DELETE SET DEFAULT);"
          "ALTER TABLE {s}.loose ADD CONSTRAINT never FOREIGN KEY (item) REFERENCES {s}.items NOT VALID;"
          "INSERT INTO {s}.items (code, label, parent) SELECT 'c' || i, 'row ' || i, CASE WHEN i > 1 THEN i - 1 END"
          "  FROM generate_series(1, 300) i;"
          "INSERT INTO {s}.orders SELECT i, i FROM generate_series(1, 200) i; INSERT INTO {s}.lines SELECT i, i FROM"
          "  generate_series(1, 200) i; INSERT INTO {s}.loose SELECT i, 'c' || i FROM generate_series(1, 100) i")
REFERRED = {"name": "referred", "operations": [
    renamed("items", "id", "ident"), renamed("items", "code", "kode"), renamed("items", "parent", "above"),
    renamed("orders", "item", "item_ident")]}
KEYS_SQL = ("SELECT count(*) FILTER (WHERE convalidated), count(*) FROM pg_constraint WHERE contype = 'f' "
            "AND connamespace = 'public'::regnamespace")
TABLES = ("items", "orders", "lines", "loose")


class Orders(threading.Thread):
    """A client of one revision, which has items counted, refers to them, changes their keys, and takes them away again."""

    NAMES = {"old": ("id", "item", "parent", "code"), "new": ("ident", "item_ident", "above", "kode")}

    def __init__(self, proxy, revision, first):
        super().__init__(daemon=True)
        self.proxy, self.revision, self.first = proxy, revision, first
        self.ends, self.errors, self.rounds, self.kept = threading.Event(), [], 0, {}

    def one_round(self, conn, n):
        key, item, parent, code = self.NAMES[self.revision]
        got = conn.execute(f"INSERT INTO items ({code}, label) VALUES ('{self.revision}{n}', 'mine') RETURNING {key}").fetchone()[0]
        with conn.transaction():
            conn.execute(f"INSERT INTO orders (id, {item}) VALUES ({n}, {got})")
            conn.execute(f"UPDATE items SET {parent} = {got} WHERE {key} = {got}")
        assert conn.execute(f"UPDATE items SET {parent} = NULL, {key} = {n} WHERE {key} = {got}").rowcount == 1
        assert conn.execute(f"SELECT {item} FROM orders WHERE id = {n}").fetchone() == (n,), "the order has not followed"
        if n % 2:
            self.kept[n] = n
        else:
            conn.execute(f"DELETE FROM items WHERE {key} = {n}")
            assert not conn.execute(f"SELECT FROM orders WHERE id = {n}").fetchone(), "the order is still there"

    def run(self):
        try:
            with self.proxy.connect() as conn:
                while not self.ends.is_set():
                    self.one_round(conn, self.first + self.rounds)
                    self.rounds += 1
        except (psycopg.Error, AssertionError, TypeError) as error:
            self.errors.append(f"{self.revision} after {self.rounds}: {error!r}")

    def end(self):
        self.ends.set()
        self.join(20)
        assert not self.errors and self.rounds > 3, (self.errors, self.rounds)
        return self.kept


def violates(conn):
    for sql in ("INSERT INTO orders (id, item) VALUES (900000, 900000)", "INSERT INTO lines VALUES (900000, 900000)",
                "UPDATE items SET parent = 900000 WHERE id = 5", "INSERT INTO loose VALUES (900000)", "INSERT INTO loose VALUES (5, 'none')",
                "INSERT INTO orders (id, item_ident) VALUES (900000, 900000)", "UPDATE items SET above = 900000 WHERE ident = 5"):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            conn.execute(sql)


@pytest.mark.deadline(120)
def test_what_refers_to_a_key_follows_its_name_under_traffic_of_both_revisions(db, segue):
    build(db, LINKED)
    proxy = segue(db)
    with Traffic(proxy.connect, LABEL, new_key="ident") as traffic:
        traffic.start("old", 1).flows(10)
        first = Orders(proxy, "old", 400_000)
        first.start()
        name = proxy.ready(REFERRED)
        second = Orders(proxy, "new", 600_000)
        second.start()
        traffic.start("new", 1).flows(20)
        conn = proxy.connect()
        for turn in ("cutover", "rollback", "cutover"):
            proxy.cli(turn, name)
            violates(conn)
            proxy.wait(name, lambda row: db.sql(KEYS_SQL) == [(4, 5)] and row["step"] == "", what="what refers to be settled")
            traffic.flows(20, "old")
            traffic.flows(20, "new")
        kept = {**first.end(), **second.end()}
        traffic.stop().verify(db)
        assert dict(db.sql("SELECT id, item FROM orders WHERE id >= 400000")) == kept
        assert db.one("SELECT count(*) FROM items WHERE (id, code) IS DISTINCT FROM (ident, kode) OR parent IS DISTINCT FROM above") == 0
        proxy.cli("complete", name, "--force")
    same_as_plain(db, "ALTER TABLE {s}.items RENAME id TO ident; ALTER TABLE {s}.items RENAME code TO kode;"
                  "ALTER TABLE {s}.items RENAME parent TO above; ALTER TABLE {s}.orders RENAME item TO item_ident", *TABLES)
    assert db.sql(KEYS_SQL) == [(4, 5)]
    conn.execute("DELETE FROM loose; DELETE FROM lines; DELETE FROM items WHERE ident = 5")
    assert db.sql("SELECT above FROM items WHERE ident = 6") == [(None,)]
    assert db.one("SELECT count(*) FROM orders WHERE id = 5") == 0


@pytest.mark.one_version
def test_a_rollback_from_soak_and_an_abort_leave_what_refers_as_it_was(db, segue):
    build(db, LINKED)
    proxy = segue(db)
    name = proxy.soaking(REFERRED)
    connected(proxy.restart()).cli("rollback", name)
    proxy.cli("abort", name)
    unchanged(db, *TABLES)
    assert db.sql(KEYS_SQL) == [(4, 5)]


@pytest.mark.one_version
def test_a_foreign_key_that_the_file_drops_is_no_obstacle_wherever_the_file_says_so(db, segue):
    build(db, "CREATE TABLE {s}.items (id integer PRIMARY KEY); INSERT INTO {s}.items VALUES (1);"
              "CREATE TABLE {s}.orders (item integer CONSTRAINT far REFERENCES {s}.items); INSERT INTO {s}.orders VALUES (1)")
    proxy = segue(db)
    name = proxy.soaking({"name": "dropped", "operations": [
        renamed("items", "id", "ident"), {"drop_constraint": {"table": "orders", "name": "far"}}]})
    proxy.cli("rollback", name)
    assert db.one("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'far' AND conrelid = 'orders'::regclass") == (
        "FOREIGN KEY (item) REFERENCES items(id) NOT VALID")
    settled(proxy, db, name, 2)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    same_as_plain(db, "ALTER TABLE {s}.items RENAME id TO ident; ALTER TABLE {s}.orders DROP CONSTRAINT far", "items", "orders")


@pytest.mark.versions(15)
def test_a_name_that_only_later_versions_quote_is_one_name(db, segue):
    build(db, "CREATE TABLE {s}.json (id integer PRIMARY KEY, above integer CONSTRAINT own REFERENCES {s}.json, next integer CONSTRAINT gone REFERENCES {s}.json);"
              "INSERT INTO {s}.json VALUES (1, 1, 1)")
    proxy = segue(db)
    name = proxy.soaking({"name": "json", "operations": [
        renamed("json", "above", "parent", type="bigint"), renamed("json", "next", "later", type="bigint"),
        {"drop_constraint": {"table": "json", "name": "gone"}}]})
    proxy.cli("rollback", name)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    same_as_plain(db, "ALTER TABLE {s}.json RENAME above TO parent; ALTER TABLE {s}.json ALTER parent TYPE bigint;"
                  "ALTER TABLE {s}.json RENAME next TO later; ALTER TABLE {s}.json ALTER later TYPE bigint, DROP CONSTRAINT gone", "json")


# ---- with a change of type ----

WIDER = {"name": "wider", "operations": [
    renamed("items", "id", "ident", type="bigint", up="id", down="ident::integer"),
    renamed("orders", "item", "item_ident", type="bigint", up="item", down="item_ident::integer")]}


def test_a_key_and_what_refers_to_it_get_another_name_and_type_at_once(db, segue):
    build(db, LINKED)
    proxy = segue(db)
    name = proxy.ready(WIDER)
    with Traffic(proxy.connect, LABEL, new_key="ident") as traffic:
        traffic.start("old", 1).start("new", 1).flows(20)
        for turn in ("cutover", "rollback", "cutover"):
            proxy.cli(turn, name)
            traffic.flows(20, "old")
            traffic.flows(20, "new")
            settled(proxy, db, name, {"cutover": 2, "rollback": 3}[turn])
            for connect, key, item in ((old, "id", "item"), (new, "ident", "item_ident")):
                with connect(proxy) as conn:
                    got = conn.execute(f"INSERT INTO items (label) VALUES ('x') RETURNING {key}").fetchone()[0]
                    conn.execute(f"INSERT INTO orders (id, {item}) VALUES ({got}, {got})")
                    assert conn.execute(f"SELECT {key}, label FROM items WHERE {key} = {got} GROUP BY {key}").fetchall() == [(got, "x")]
                    conn.execute(f"DELETE FROM items WHERE {key} = {got}")
                    with pytest.raises(psycopg.errors.ForeignKeyViolation):
                        conn.execute(f"INSERT INTO orders (id, {item}) VALUES ({got}, {got})")
        traffic.stop().verify(db)
    proxy.cli("complete", name, "--force")
    same_as_plain(db, "ALTER TABLE {s}.items RENAME id TO ident; ALTER TABLE {s}.items ALTER ident TYPE bigint;"
                  "ALTER TABLE {s}.orders RENAME item TO item_ident; ALTER TABLE {s}.orders ALTER item_ident TYPE bigint", *TABLES)
    with proxy.connect() as conn:
        conn.execute("INSERT INTO items (ident) VALUES (5000000000); INSERT INTO orders (id, item_ident) VALUES (1000, 5000000000)")
        conn.execute("DELETE FROM items WHERE ident = 5000000000")
    assert db.one("SELECT count(*) FROM orders WHERE id = 1000") == 0


# ---- identity ----

COUNTED = ("CREATE TABLE {s}.items (id integer GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5 CACHE 1) PRIMARY KEY, label text);"
           "CREATE TABLE {s}.spare (id smallint GENERATED BY DEFAULT AS IDENTITY (MAXVALUE 9000 CYCLE), label text);"
           "COMMENT ON SEQUENCE {s}.items_id_seq IS 'counts'; GRANT USAGE ON SEQUENCE {s}.items_id_seq TO reader;"
           "INSERT INTO {s}.items (label) SELECT 'row ' || i FROM generate_series(1, 50) i")
COUNTS = {"name": "counts", "operations": [renamed("items", "id", "ident"), renamed("spare", "id", "ident")]}


def test_an_identity_goes_on_counting_under_either_name(db, segue):
    build(db, COUNTED)
    proxy = segue(db)
    name = proxy.ready(COUNTS)
    got = []

    def count():
        for connect, key in ((old, "id"), (new, "ident")):
            with connect(proxy) as conn:
                def add(table, what):
                    return conn.execute(f"INSERT INTO {table} {what} RETURNING {key}").fetchone()[0]

                got.append(add("items", "(label) VALUES ('more')"))
                got.append(add("items", f"({key}, label) VALUES (DEFAULT, 'more')"))
                got.append(add("items", f"({key}, label) OVERRIDING USER VALUE VALUES (7, 'more')"))
                order = [column.name for column in conn.execute("SELECT * FROM items LIMIT 0").description]
                places = ", ".join({key: "7", "label": "'more'"}.get(column, "DEFAULT") for column in order)
                got.append(add("items", f"OVERRIDING USER VALUE VALUES ({places})"))
                conn.execute(f"MERGE INTO items i USING (SELECT -7 AS k) s ON i.{key} = s.k WHEN NOT MATCHED THEN "
                             f"INSERT ({key}, label) OVERRIDING USER VALUE VALUES (s.k, 'more')")
                got.append(conn.execute("SELECT lastval()").fetchone()[0])
                got.append(add("items", "DEFAULT VALUES"))
                given = 10_000_000 + len(got)
                assert add("items", f"({key}, label) OVERRIDING SYSTEM VALUE VALUES ({given}, 'given')") == given
                got.append(conn.execute(f"UPDATE items SET {key} = DEFAULT WHERE {key} = {given} RETURNING {key}").fetchone()[0])
                for refused in (f"INSERT INTO items ({key}) VALUES (5)", f"UPDATE items SET {key} = 5"):
                    with pytest.raises(psycopg.errors.GeneratedAlways):
                        conn.execute(refused)
                assert add("spare", f"({key}) VALUES (8000 + {len(got)})") == 8000 + len(got)
                add("spare", f"({key}) VALUES (DEFAULT)")
        assert db.one("SELECT count(*) FROM items WHERE id IS DISTINCT FROM ident OR id = -7") == 0
        assert db.one("SELECT count(*) FROM spare WHERE id IS DISTINCT FROM ident") == 0

    count()
    for turn in ("cutover", "rollback", "cutover"):
        proxy.cli(turn, name)
        count()
        if turn == "rollback":
            settled(proxy, db, name, 2)
    assert got == [350 + 5 * i for i in range(len(got))]
    proxy.cli("complete", name, "--force")
    same_as_plain(db, "ALTER TABLE {s}.items RENAME id TO ident; ALTER TABLE {s}.spare RENAME id TO ident", "items", "spare")
    assert db.sql(SEQUENCES.replace("{s}", "public")) == db.sql(SEQUENCES.replace("{s}", "plain"))
    with proxy.connect() as conn:
        assert conn.execute("INSERT INTO items (label) VALUES ('last') RETURNING ident").fetchone()[0] == got[-1] + 5


# ---- what cannot ----

REFUSED = ("CREATE TABLE items (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text NOT NULL, n integer,"
           "  CONSTRAINT apart EXCLUDE USING btree (label WITH =)); CREATE STATISTICS st ON label, n FROM items;"
           "CREATE TABLE parted (id integer, n integer, CONSTRAINT parted_pkey PRIMARY KEY (id, n)) PARTITION BY RANGE (n);"
           "CREATE TABLE free (id integer PRIMARY KEY, label text)")
# operation, words of the refusal, of the hint
CANNOT = [
    (renamed("items", "label", "title"), "index apart: PostgreSQL builds the index of an exclusion constraint", "in a window without writers"),
    (renamed("parted", "n", "m"), "which PostgreSQL cannot put on another column", "and move the rows"),
    (renamed("items", "id", "ident", type="text", up="id::text", down="ident::int"),
     "column id is an identity column: it must be NOT NULL, and smallint", "drop the identity first"),
    ({"alter_column": {"table": "items", "column": "id", "name": "ident", "nullable": True, "down": "coalesce(ident, 0)", "up": "id"}},
     "primary key items_pkey: its column id cannot be NULL", 'leave "nullable" out'),
    ({"alter_column": {"table": "items", "column": "id", "name": "ident", "default": "5"}},
     "the server gives column id its values", 'leave "default" out'),
    (renamed("free", "id", "ident", type="json", up="to_json(id)", down="0"),
     "index free_pkey: type json has no default operator class for btree", "rename it without a type"),
    ({"drop_column": {"table": "items", "column": "n"}},
     "column n: extended statistics over it would go with it", "DROP STATISTICS first"),
]


@pytest.fixture(scope="module")
def planner(planner_of):
    return planner_of(REFUSED)


@pytest.mark.one_version
@each(case=CANNOT)
def test_what_a_key_cannot_do_is_refused_with_what_to_do(planner, case):
    operation, words, hint = case
    done = planner.cli("plan", planner.file({"name": "no", "operations": [operation]}), check=1)
    assert words in done.out + done.err and hint in done.out + done.err, done.out + done.err


@pytest.mark.versions(18)
def test_a_key_without_overlaps_is_refused(db, segue):
    db.sql("CREATE TABLE spans (kind int4range, during daterange, CONSTRAINT temporal PRIMARY KEY (kind, during WITHOUT OVERLAPS))")
    proxy = segue(db)
    for column in ("kind", "during"):
        said = proxy.cli("plan", proxy.file({"name": "no", "operations": [renamed("spans", column, "other")]}), check=1).out
        assert "index temporal: PostgreSQL builds the index of an exclusion constraint, or of a key WITHOUT OVERLAPS" in said


@pytest.mark.one_version
def test_statistics_of_another_role_want_that_role(db, segue):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text, n int); CREATE STATISTICS st ON label, n FROM items;"
           f'ALTER TABLE items OWNER TO app; GRANT CREATE ON SCHEMA public TO app; GRANT CREATE ON DATABASE "{db.name}" TO app')
    proxy = segue(upstream=db.url("app"))
    file = proxy.file({"name": "no", "operations": [renamed("items", "label", "title")]})
    said = proxy.cli("plan", file, check=1).out
    assert "statistics object public.st: it belongs to" in said and "connect as a member of" in said
    db.sql("ALTER STATISTICS st OWNER TO app")
    proxy.cli("plan", file)


NUMBERED = ("CREATE TABLE items (id serial PRIMARY KEY, n smallint GENERATED BY DEFAULT AS IDENTITY, label text);"
            "GRANT INSERT (id, label) ON items TO app; GRANT INSERT ON items TO reader; GRANT UPDATE ON SEQUENCE items_id_seq TO reader;"
            "SELECT setval('items_n_seq', 32000)")


@pytest.mark.one_version
def test_who_would_take_a_number_and_may_not_is_named_and_a_sequence_that_comes_to_its_end(db, segue):
    db.sql(NUMBERED)
    proxy = segue(db)
    shown = " ".join(proxy.cli("plan", proxy.file({"name": "m", "operations": [renamed("items", "id", "ident"), renamed("items", "n", "m")]})).out.split())
    assert "may not use the sequence: app" in shown and "reader" not in shown
    assert "GRANT USAGE ON SEQUENCE public.items_id_seq TO app, until complete" in shown
    assert "public.items_n_seq: it has 767 numbers left" in shown and "ALTER SEQUENCE public.items_n_seq CYCLE" in shown
    assert "items_id_seq: it has" not in shown
    wider = proxy.cli("plan", proxy.file({"name": "m", "operations": [{"alter_column": {"table": "items", "column": "id", "type": "bigint"}}]})).out
    assert "may not use the sequence" not in wider  # under its own name it always has the default
    name = proxy.ready({"name": "m", "operations": [renamed("items", "id", "ident")]})
    with db.connect("app") as past:
        past.execute("INSERT INTO items (id) VALUES (1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="sequence items_id_seq"):
            past.execute("INSERT INTO items (ident) VALUES (2)")
    with proxy.connect(user="app") as conn:
        conn.execute("INSERT INTO items (id) VALUES (3)")
    proxy.cli("abort", name)
