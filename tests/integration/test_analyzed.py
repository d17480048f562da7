"""The new half has statistics of the planner's before anybody's statement goes by it."""

import pytest

pytestmark = pytest.mark.newest_unless_told
TABLES = ("CREATE FUNCTION short(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN left($1, 1); END$$;"
          "CREATE TABLE items (id int, label text) PARTITION BY RANGE (id); CREATE INDEX ON items (short(label));"
          "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (500) WITH (autovacuum_enabled = off);"
          "CREATE TABLE high PARTITION OF items FOR VALUES FROM (500) TO (1000) WITH (autovacuum_enabled = off);"
          "INSERT INTO items SELECT i, (i % 7)::text FROM generate_series(0, 999) i; ANALYZE items")
FILE = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}
SEEN = ("SELECT tablename, inherited FROM pg_stats WHERE attname = 'title' AND n_distinct = 7 UNION ALL "
        "SELECT t.relname, false FROM pg_stats s JOIN pg_class c ON c.relname = s.tablename JOIN pg_index i ON i.indexrelid = c.oid "
        "JOIN pg_class t ON t.oid = i.indrelid WHERE s.n_distinct = 7 AND pg_get_indexdef(c.oid) LIKE '%%title%%' ORDER BY 1, 2")


def test_new_columns_partitioned_tables_and_expressions_are_analyzed_before_ready(db, segue):
    db.sql(TABLES)
    proxy = segue(db)
    proxy.ready(FILE)
    assert db.sql(SEEN) == [("high", False), ("high", False), ("items", True), ("low", False), ("low", False)]


def test_what_cannot_be_analyzed_is_said_and_keeps_nothing_back(db, segue):
    db.sql(TABLES)
    db.sql("CREATE OR REPLACE FUNCTION short(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN "
           "IF current_query() LIKE 'ANALYZE%' THEN RAISE 'not for you'; END IF; RETURN left($1, 1); END$$")
    proxy = segue(db)
    proxy.soaking(FILE)
    proxy.logged("run ANALYZE public.items before the cut-over")
