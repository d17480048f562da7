"""Columns of domain types: what would rewrite the table is refused, the rest is carried."""

import pytest

pytestmark = pytest.mark.one_version


@pytest.fixture
def items(db):
    db.sql("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    db.sql("CREATE DOMAIN given AS text NOT NULL")
    db.sql("CREATE DOMAIN plain AS text")
    db.sql("CREATE DOMAIN small AS positive; CREATE DOMAIN smaller AS small")
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, n positive, g given DEFAULT 'g', p plain, s smaller)")
    db.sql("INSERT INTO items SELECT i, i, 'g', 'p', i FROM generate_series(1, 50) i")
    return db


def rename(name, **how):
    return {"name": "m", "operations": [{"rename_column": {"table": "items", "from": name, "to": "renamed", **how}}]}


def add(kind):
    return {"name": "m", "operations": [{"add_column": {"table": "items", "column": {
        "name": "added", "type": kind, "nullable": True}}}]}


@pytest.mark.parametrize("migration", [rename("n"), rename("g"), add("positive"),
                                       rename("p", type="positive", up="length(p)", down="renamed::text"),
                                       rename("s"), add("smaller")],
                         ids=["check", "not null", "added", "new type", "of a domain with one", "added, of a domain with one"])
def test_a_domain_with_constraints_is_refused(items, segue, migration):
    proxy = segue(items)
    refused = proxy.cli("start", proxy.file(migration), "--detach", check=1)
    assert "a domain with constraints" in refused.err


def test_a_domain_without_constraints_is_carried_and_one_with_gives_its_base_type(items, segue):
    proxy = segue(items)
    file_number = items.one("SELECT pg_relation_filenode('items')")
    proxy.done({"name": "m", "operations": [
        {"rename_column": {"table": "items", "from": "p", "to": "q"}},
        {"rename_column": {"table": "items", "from": "n", "to": "m", "type": "int", "up": "n::int", "down": "m"}}]})
    assert items.sql("SELECT q, m FROM items WHERE id = 7") == [("p", 7)]
    assert items.one("SELECT pg_relation_filenode('items')") == file_number


def test_a_default_that_a_volatile_cast_makes_is_filled_and_rewrites_nothing(items, segue):
    items.sql("CREATE TYPE amount AS (n int); CREATE FUNCTION amount(int) RETURNS amount LANGUAGE plpgsql AS 'BEGIN RETURN ROW($1); END';"
              "CREATE CAST (int AS amount) WITH FUNCTION amount(int) AS ASSIGNMENT")
    proxy = segue(items)
    file_number = items.one("SELECT pg_relation_filenode('items')")
    proxy.done({"name": "m", "operations": [
        {"add_column": {"table": "items", "column": {"name": "said", "type": "amount", "default": "5::amount"}}},
        {"add_column": {"table": "items", "column": {"name": "meant", "type": "amount", "default": "6"}}}]})
    assert items.one("SELECT pg_relation_filenode('items')") == file_number
    assert items.sql("SELECT DISTINCT (said).n, (meant).n FROM items") == [(5, 6)]


def test_a_composite_value_with_a_null_in_it_is_a_value(items, segue):
    items.sql("CREATE TYPE place AS (no int, name text); ALTER TABLE items ADD at place NOT NULL DEFAULT '(1,)'")
    proxy = segue(items)
    proxy.ready(rename("at"))
    items.sql("INSERT INTO items (id, renamed) VALUES (901, '(,)')")  # who knows the new schema, past segue
    assert items.sql("SELECT at::text, renamed::text FROM items WHERE id = 901") == [("(,)", "(,)")]
    proxy.cli("cutover", "m")
    items.sql("INSERT INTO items (id, at) VALUES (902, '(,x)')")
    proxy.cli("complete", "m", "--force")
    assert items.sql("SELECT id, renamed::text FROM items WHERE id IN (1, 901, 902) ORDER BY id") == [
        (1, "(1,)"), (901, "(,)"), (902, "(,x)")]
    assert items.one("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'renamed'")
