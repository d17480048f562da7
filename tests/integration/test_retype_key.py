"""int to bigint primary keys: the key, what counts it up, and what refers to it."""

import psycopg
import pytest
from lib import catalog
from lib.operations import connected
from lib.traffic import PLAIN, Traffic

from test_retype_column import compare, kind_of

pytestmark = pytest.mark.newest_unless_told

ORDERS = ("CREATE SCHEMA IF NOT EXISTS {s};"
          "CREATE TABLE {s}.items (id serial PRIMARY KEY, label text, note text, filler text);"
          "ALTER TABLE {s}.items ALTER filler SET STORAGE PLAIN;"
          "COMMENT ON CONSTRAINT items_pkey ON {s}.items IS 'the key'; COMMENT ON INDEX {s}.items_pkey IS 'its index';"
          "CLUSTER {s}.items USING items_pkey; ALTER TABLE {s}.items REPLICA IDENTITY USING INDEX items_pkey;"
          "CREATE TABLE {s}.pairs (a integer, b integer NOT NULL, c text, CONSTRAINT both_keys PRIMARY KEY (b, a) INCLUDE (c)"
          "  WITH (fillfactor = 60) USING INDEX TABLESPACE elsewhere);"
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
                  f"k.condeferred, c.reltablespace FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
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
    conn.execute("INSERT INTO items (id) VALUES (5000000000)")
    assert db.one("SELECT seqtypid::regtype::text FROM pg_sequence WHERE seqrelid = 'items_id_seq'::regclass") == "bigint"
    assert before["items"]["indexes"].keys() == catalog.table(db.connect(), "items")["indexes"].keys()


@pytest.mark.parametrize("was, becomes", [("smallserial", "integer"), ("smallserial", "bigint"), ("serial", "bigint")])
def test_a_sequence_counts_as_far_as_the_column_does_from_complete_on(db, segue, was, becomes):
    db.sql(f"CREATE TABLE counts (id {was} PRIMARY KEY)")
    segue(db).done({"name": "wide", "operations": [
        {"alter_column": {"table": "counts", "column": "id", "type": becomes, "up": "id", "down": "id"}}]})
    assert db.one("SELECT seqtypid::regtype::text FROM pg_sequence WHERE seqrelid = 'counts_id_seq'::regclass") == becomes


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
        connected(proxy.restart()).wait_phase(name, "soaking")
        proxy.cli("rollback", name)
        connected(proxy.restart()).wait(name, lambda row: row["phase"] == "ready" and db.one(
            "SELECT count(*) = 4 FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE relname LIKE '~segue%' "
            "AND indisvalid"), what="the indexes again")
        traffic.flows(20)
        proxy.cli("cutover", name)
        traffic.flows(20)
        proxy.cli("complete", name, "--force")
        traffic.flows(20)
        traffic.stop().verify(db, ["old"])
    assert catalog.traces(db.connect()) == []


# ---- foreign keys ----

LINKED = ("CREATE SCHEMA IF NOT EXISTS {s};"
          "CREATE TABLE {s}.items (id serial PRIMARY KEY, label text, note text, filler text, parent integer REFERENCES {s}.items);"
          "CREATE TABLE {s}.orders (id integer PRIMARY KEY, item integer NOT NULL REFERENCES {s}.items ON DELETE CASCADE);"
          "CREATE TABLE {s}.lines (id bigint PRIMARY KEY, item integer, CONSTRAINT line_item FOREIGN KEY (item) REFERENCES"
          " {s}.items ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED);"
          "COMMENT ON CONSTRAINT line_item ON {s}.lines IS 'why'; CREATE INDEX ON {s}.orders (item);"
          "CREATE TABLE {s}.loose (item integer); ALTER TABLE {s}.loose ADD CONSTRAINT never FOREIGN KEY (item) REFERENCES"
          " {s}.items NOT VALID;"
          "INSERT INTO {s}.items (label, filler, parent) SELECT 'row ' || i, '', CASE WHEN i > 1 THEN i - 1 END"
          " FROM generate_series(1, 300) i;"
          "INSERT INTO {s}.orders SELECT i, i FROM generate_series(1, 200) i; INSERT INTO {s}.lines SELECT i, i FROM"
          " generate_series(1, 200) i")
REFERRED = {"name": "referred", "operations": [
    {"alter_column": {"table": "orders", "column": "item", "type": "bigint"}},
    {"alter_column": {"table": "items", "column": "id", "type": "bigint"}}]}
KEYS_SQL = ("SELECT count(*) FILTER (WHERE convalidated), count(*) FROM pg_constraint WHERE contype = 'f' "
            "AND connamespace = 'public'::regnamespace")


def test_what_refers_to_the_key_is_made_again_and_validated_after(db, segue):
    for schema in ("public", "plain"):
        db.sql(LINKED.replace("{s}", schema))
    proxy = segue(db)
    with Traffic(proxy.connect, PLAIN) as traffic:
        traffic.start("old", 1).flows(10)
        name = proxy.ready(REFERRED)
        conn = proxy.connect()
        for turn in ("cutover", "rollback", "cutover"):
            proxy.cli(turn, name)
            traffic.flows(10)
            for sql in ("INSERT INTO orders VALUES (1000, 900)", "INSERT INTO lines VALUES (1000, 900)",
                        "UPDATE items SET parent = 900 WHERE id = 5", "INSERT INTO loose VALUES (900)"):
                with pytest.raises(psycopg.errors.ForeignKeyViolation):
                    conn.execute(sql)
            proxy.wait(name, lambda row: db.sql(KEYS_SQL) == [(3, 4)] and row["step"] == "", what="what refers to be settled")
        assert kind_of(db, "id") == kind_of(db, "item", "orders") == "bigint" and kind_of(db, "item", "lines") == "integer"
        proxy.cli("complete", name, "--force")
        traffic.flows(10)
        traffic.stop().verify(db, ["old"])
    compare(db, "ALTER TABLE plain.items ALTER id TYPE bigint; ALTER TABLE plain.orders ALTER item TYPE bigint")
    for table in ("orders", "lines", "loose"):
        compare(db, "SELECT 1", table)
    assert catalog.traces(db.connect()) == []
    conn.execute("INSERT INTO items (id) VALUES (5000000000); INSERT INTO orders (id, item) VALUES (1000, 5000000000)")
    conn.execute("DELETE FROM items WHERE id = 5000000000")
    assert db.one("SELECT count(*) FROM orders WHERE id = 1000") == 0


@pytest.mark.one_version
def test_what_refers_and_cannot_follow_is_refused_by_name(db, segue):
    db.sql("CREATE TABLE items (id integer PRIMARY KEY, label text);"
           "CREATE TABLE names (id integer CONSTRAINT far REFERENCES items);"
           "CREATE VIEW v_items AS SELECT id FROM items")
    proxy = segue(db)
    for kind, words in (("text", ["constraint far of public.names", "could not refer"]),
                        ("bigint", ["view public.v_items"])):
        done = proxy.cli("plan", proxy.file({"name": "x", "operations": [
            {"alter_column": {"table": "items", "column": "id", "type": kind}}]}), check=None)
        for word in words:
            assert word in done.out + done.err


# ---- identity ----

COUNTED = ("CREATE SCHEMA IF NOT EXISTS {s};"
           "CREATE TABLE {s}.items (id integer GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5 CACHE 1) PRIMARY KEY, label text);"
           "CREATE TABLE {s}.spare (id smallint GENERATED BY DEFAULT AS IDENTITY (MAXVALUE 9000 CYCLE), label text);"
           "COMMENT ON SEQUENCE {s}.items_id_seq IS 'counts'; GRANT USAGE ON SEQUENCE {s}.items_id_seq TO reader;"
           "INSERT INTO {s}.items (label) SELECT 'row ' || i FROM generate_series(1, 50) i")
COUNTS = {"name": "counts", "operations": [
    {"alter_column": {"table": "items", "column": "id", "type": "bigint"}},
    {"alter_column": {"table": "spare", "column": "id", "type": "integer"}}]}
SEQUENCES = ("SELECT relname, seqtypid::regtype::text, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle, relacl::text, "
             "obj_description(oid, 'pg_class') FROM pg_sequence JOIN pg_class ON oid = seqrelid "
             "WHERE relnamespace = '{s}'::regnamespace ORDER BY 1")


def test_an_identity_goes_on_counting_on_either_side(db, segue):
    for schema in ("public", "plain"):
        db.sql(COUNTED.replace("{s}", schema))
    proxy = segue(db)
    conn = proxy.connect()
    add = "INSERT INTO {t} (label) VALUES ('more') RETURNING id"
    name = proxy.ready(COUNTS)
    got = [conn.execute(add.format(t="items")).fetchone()[0]]
    for turn in ("cutover", "rollback", "cutover", "complete"):
        proxy.cli(turn, name, *(["--force"] if turn == "complete" else []))
        got.append(conn.execute(add.format(t="items")).fetchone()[0])
        conn.execute(add.format(t="spare"))
        if turn == "rollback":
            proxy.wait(name, lambda row: row["step"] == "" and db.one(
                "SELECT count(*) = 2 FROM pg_class WHERE relkind = 'i' AND relname LIKE '~segue%'"), what="the indexes")
    assert got == [350 + 5 * i for i in range(5)]
    assert db.sql("SELECT id FROM spare ORDER BY 1") == [(1,), (2,), (3,), (4,)]
    compare(db, "ALTER TABLE plain.items ALTER id TYPE bigint; ALTER TABLE plain.spare ALTER id TYPE integer")
    compare(db, "SELECT 1", "spare")
    assert db.sql(SEQUENCES.replace("{s}", "public")) == db.sql(SEQUENCES.replace("{s}", "plain"))
    assert catalog.traces(db.connect()) == []
    with pytest.raises(psycopg.errors.GeneratedAlways):
        conn.execute("INSERT INTO items (id) VALUES (5)")


@pytest.mark.one_version
def test_marks_of_other_indexes_follow_a_change_of_type_and_a_rename(db, segue):
    for schema in ("public", "plain"):
        db.sql("CREATE SCHEMA IF NOT EXISTS {s}; CREATE TABLE {s}.items (n integer NOT NULL, m text, label text);"
               "CREATE UNIQUE INDEX ux_n ON {s}.items (n); CREATE INDEX ix_label ON {s}.items (label);"
               "INSERT INTO {s}.items SELECT i, i, i FROM generate_series(1, 50) i; CLUSTER {s}.items USING ix_label;"
               "ALTER TABLE {s}.items REPLICA IDENTITY USING INDEX ux_n".replace("{s}", schema))
    facts = key_facts(db, "public")
    proxy = segue(db)
    name = proxy.soaking({"name": "marks", "operations": [
        {"alter_column": {"table": "items", "column": "n", "type": "bigint"}},
        {"rename_column": {"table": "items", "from": "label", "to": "title"}}]})
    marked = [row for row in facts if row[1] or row[2]]
    for turn in ("rollback", "cutover", "complete"):
        assert [row for row in key_facts(db, "public") if row[1] or row[2]] == marked and len(marked) == 2
        proxy.cli(turn, name, *(["--force"] if turn == "complete" else []))
    compare(db, "ALTER TABLE plain.items RENAME label TO title; ALTER TABLE plain.items ALTER n TYPE bigint")
    assert key_facts(db, "public") == key_facts(db, "plain") == facts
