"""int to bigint primary keys: the key, what counts it up, and what refers to it."""

import psycopg
import pytest
from lib import catalog
from lib.traffic import PLAIN, Pair, Traffic

from test_retype_column import compare, kind_of

ORDERS = ("CREATE SCHEMA IF NOT EXISTS {s};"
          "CREATE TABLE {s}.items (id serial PRIMARY KEY, label text, note text, filler text);"
          "ALTER TABLE {s}.items ALTER filler SET STORAGE PLAIN;"
          "COMMENT ON CONSTRAINT items_pkey ON {s}.items IS 'the key'; COMMENT ON INDEX {s}.items_pkey IS 'its index';"
          "CLUSTER {s}.items USING items_pkey; ALTER TABLE {s}.items REPLICA IDENTITY USING INDEX items_pkey;"
          "CREATE TABLE {s}.pairs (a integer, b integer NOT NULL, c text, CONSTRAINT both_keys PRIMARY KEY (b, a) INCLUDE (c)"
          "  WITH (fillfactor = 60) DEFERRABLE INITIALLY DEFERRED);"
          "INSERT INTO {s}.items (label, filler) SELECT 'row ' || i, repeat('f', %s) FROM generate_series(1, %s) i;"
          "INSERT INTO {s}.pairs SELECT i, i FROM generate_series(1, 50) i")
KEYS = {"name": "keys", "operations": [
    {"alter_column": {"table": "items", "column": "id", "type": "bigint", "up": "id", "down": "id"}},
    {"alter_column": {"table": "pairs", "column": "a", "type": "bigint"}}]}


def make(db, rows=300, filler=0, schemas=("public",)):
    for schema in schemas:
        db.sql((ORDERS % (filler, rows)).replace("{s}", schema))


def key_facts(db, schema):
    """What lib/catalog.py does not compare: marks, replica identity, comments."""
    return db.sql(f"SELECT c.relname, indisclustered, indisreplident, indisprimary, t.relreplident, c.reloptions, "
                  f"obj_description(i.indexrelid, 'pg_class'), obj_description(k.oid, 'pg_constraint'), k.condeferrable, "
                  f"k.condeferred FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
                  f"LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype = 'p' "
                  f"WHERE t.relnamespace = '{schema}'::regnamespace ORDER BY 1")


def test_a_primary_key_becomes_bigint_and_goes_back_as_often_as_wanted(db, segue):
    make(db, schemas=("public", "plain"))
    before = {t: catalog.table(db.connect(), t) for t in ("items", "pairs")}
    facts = key_facts(db, "public")
    proxy = segue(db)
    conn = proxy.connect()
    name = proxy.ready(KEYS)
    for turn in range(2):
        conn.execute("INSERT INTO items (label) VALUES ('new')")
        proxy.cli("cutover", name)
        assert kind_of(db, "id") == kind_of(db, "a", "pairs") == "bigint"
        assert key_facts(db, "public")[:1] == facts[:1] and facts[-1] in key_facts(db, "public")
        conn.execute("INSERT INTO items (label) VALUES ('new')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("INSERT INTO items VALUES (5, 'again')")
        conn.execute("INSERT INTO items VALUES (5, 'again') ON CONFLICT (id) DO UPDATE SET note = 'again'")
        conn.execute("INSERT INTO items VALUES (6, 'again') ON CONFLICT ON CONSTRAINT items_pkey DO NOTHING")
        assert conn.execute("SELECT id, label FROM items GROUP BY id ORDER BY id LIMIT 1").fetchone() == (1, "row 1")
        if turn == 0:
            proxy.cli("rollback", name)
            assert kind_of(db, "id") == "integer"
            proxy.wait(name, lambda row: row["step"] == "" and db.one(
                "SELECT count(*) = 4 FROM pg_class WHERE relkind = 'i' AND relname LIKE '~segue%'"), what="the indexes")
    assert db.one("SELECT count(*) FROM items") == 304
    proxy.cli("complete", name, "--force")
    compare(db, "ALTER TABLE plain.items ALTER id TYPE bigint")
    assert key_facts(db, "public") == key_facts(db, "plain") == facts
    assert catalog.traces(db.connect()) == []
    conn.execute("INSERT INTO items VALUES (5000000000, 'large')")
    assert db.one("SELECT seqtypid::regtype::text FROM pg_sequence WHERE seqrelid = 'items_id_seq'::regclass") == "bigint"
    assert before["items"]["indexes"].keys() == catalog.table(db.connect(), "items")["indexes"].keys()


def test_an_abort_after_a_way_back_leaves_the_key_as_it_was(db, segue):
    make(db)
    before = [catalog.table(db.connect(), t) for t in ("items", "pairs")]
    facts = key_facts(db, "public")
    proxy = segue(db)
    name = proxy.soaking(KEYS)
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    assert [catalog.table(db.connect(), t) for t in ("items", "pairs")] == before
    assert key_facts(db, "public") == facts and catalog.traces(db.connect()) == []


def test_a_key_changes_its_type_under_traffic_and_kills(db, segue):
    make(db, 2000, 300)
    proxy = segue(db)
    with Traffic(proxy.connect, PLAIN, outages=True) as traffic:
        traffic.start("old", 2).flows(20)
        name = proxy.ready(KEYS)
        proxy.cli("cutover", name)
        traffic.flows(20)
        proxy.restart()
        proxy.wait_phase(name, "soaking")
        proxy.cli("rollback", name)
        proxy.restart()
        proxy.wait(name, lambda row: row["phase"] == "ready" and db.one(
            "SELECT count(*) = 4 FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relname LIKE '~segue%' "
            "AND indisvalid"), what="the indexes again")
        traffic.flows(20)
        proxy.cli("cutover", name)
        traffic.flows(20)
        proxy.cli("complete", name, "--force")
        traffic.flows(20)
        traffic.stop().verify(db, ["old"])
    assert catalog.traces(db.connect()) == []
