"""add_column that counts by itself, is the key, or is worked out: what plain DDL would do under a lock, done while the table is in use."""

import psycopg
import pytest
from lib.operations import build, complete, is_refused, new, old, same_as_plain, unchanged

TABLES = ("CREATE TABLE {s}.items (label text, n int);"
          "INSERT INTO {s}.items SELECT 'l' || i, i FROM generate_series(1, 300) i;"
          "CREATE SEQUENCE {s}.items_no_seq; GRANT INSERT, SELECT ON {s}.items TO app; GRANT UPDATE (label) ON {s}.items TO reader")


def added(name, of, **more):
    return {"add_column": {"table": "items", "column": {"name": name, "type": of, **more}}}


COUNTED = {"name": "m", "operations": [added("id", "bigserial", pk=True, comment="the key"), added("no", "smallserial")]}
PLAIN = ("ALTER TABLE {s}.items ADD id bigserial PRIMARY KEY, ADD no smallserial; COMMENT ON COLUMN {s}.items.id IS 'the key'")
GIVEN = "SELECT count(DISTINCT id) = count(*), count(DISTINCT no) = count(*), max(id) - count(*), max(no) - count(*) FROM items"


def test_a_column_that_counts_numbers_old_rows_and_new_ones(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    assert "USAGE of it is granted to those who may write to the table: app, reader" in proxy.cli("plan", proxy.file(COUNTED)).out
    name = proxy.ready(COUNTED)
    writer = psycopg.connect(db.url("app"), autocommit=True)
    writer.execute("INSERT INTO items VALUES ('written past segue', 301)")
    old(proxy).execute("INSERT INTO items VALUES ('old', 302)")
    assert db.sql(GIVEN) == [(True, True, 0, 0)]  # no number is lost by asking whether one is wanted
    for step in "cutover", "rollback", "cutover":
        proxy.cli("wait", name)
        proxy.cli(step, name)
        writer.execute("INSERT INTO items (label) VALUES (%s)", (step,))
        new(proxy).execute("INSERT INTO items (label) VALUES (%s)", (step,))
    assert db.sql(GIVEN) == [(True, True, 0, 0)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        writer.execute("INSERT INTO items (label, id) VALUES ('twice', 1)")
    complete(proxy, name)
    same_as_plain(db, PLAIN, "items")
    assert db.one("SELECT pg_get_serial_sequence('public.items', 'no')") == "public.items_no_seq1"  # the first name is taken
    writer.execute("INSERT INTO items (label) VALUES ('done')")


def test_an_abort_takes_columns_and_sequences_away(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.soaking(COUNTED)
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    unchanged(db, "items")
    assert db.one("SELECT count(*) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace") == 1


@pytest.mark.one_version
def test_the_sequence_belongs_to_the_tables_owner_and_is_as_lasting_as_the_table(db, segue):
    db.sql("CREATE UNLOGGED TABLE items (n int); ALTER TABLE items OWNER TO app; GRANT CREATE ON SCHEMA public TO app")
    segue(db).done({"name": "m", "operations": [added("no", "serial")]})
    assert db.sql("SELECT pg_get_userbyid(relowner), relpersistence FROM pg_class WHERE relname = 'items_no_seq'") == [("app", "u")]


@pytest.mark.one_version
def test_a_key_where_there_is_one_is_refused(planner_of):
    planner = planner_of("CREATE TABLE items (n int PRIMARY KEY)")
    is_refused(planner, [added("id", "serial", pk=True)], "operations[0].add_column.column.pk: table public.items has a primary key", "second key")
    is_refused(planner, [added("c" * 60, "serial")], "add_column.column.type: its sequence would be called", "long name")


# ---- virtual columns ----


def computed(name, expression, of="int", **more):
    return added(name, of, nullable=True, generated={"expression": expression, "virtual": True}, **more)


RETYPE = {"alter_column": {"table": "items", "column": "n", "type": "bigint", "up": "n", "down": "n::int"}}
WORKED = {"name": "m", "operations": [
    computed("twice", "n * 2", "bigint", comment="n, twice", check={"name": "few", "constraint": "twice < 10000"}),
    {"rename_column": {"table": "items", "from": "label", "to": "title"}}, computed("long", "length(title)"), RETYPE]}
WORKED_PLAIN = ("ALTER TABLE {s}.items RENAME label TO title; ALTER TABLE {s}.items ALTER n TYPE bigint;"
                "ALTER TABLE {s}.items ADD twice bigint GENERATED ALWAYS AS (n * 2) VIRTUAL CONSTRAINT few CHECK (twice < 10000),"
                "ADD long int GENERATED ALWAYS AS (length(title)) VIRTUAL; COMMENT ON COLUMN {s}.items.twice IS 'n, twice'")


@pytest.mark.versions(18)
def test_a_virtual_column_is_its_expression_on_both_sides(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.ready(WORKED)
    old(proxy).execute("INSERT INTO items VALUES ('four', 301)")
    proxy.cli("abort", name)
    db.sql("DELETE FROM items WHERE n > 300")
    unchanged(db, "items")
    name = proxy.ready({**WORKED, "name": "again"})
    old(proxy).execute("INSERT INTO items VALUES ('four', 301)")
    assert old(proxy).execute("SELECT * FROM items WHERE n = 301").fetchall() == [("four", 301)]
    proxy.cli("cutover", name)
    assert new(proxy).execute("SELECT n, title, twice, long FROM items WHERE n = 301").fetchall() == [(301, "four", 602, 4)]
    new(proxy).execute("INSERT INTO items (title, n) VALUES ('x', 302)")
    complete(proxy, name)
    same_as_plain(db, WORKED_PLAIN, "items")


VIRTUAL = {
    "of a stable function": ([computed("v", "extract(epoch FROM now())")], "operations[0].add_column.column.generated.expression: ", "immutable"),
    "of a column that is not there": ([computed("v", "z + 1")], "operations[0].add_column.column.generated.expression: ", '"z" does not exist'),
    "of a column that goes": ([computed("v", "n"), {"drop_column": {"table": "items", "column": "n"}}],
                              "operations[0].add_column.column.generated.expression: ", "not there any more"),
    "of another one": ([computed("v", "n"), computed("w", "v")], "operations[1].add_column.column.generated.expression: ", '"v" does not exist'),
    "of the name of another column": ([computed("n", "n")], "operations[0].add_column.column.name: ", "already has a column"),
    "under an index": ([computed("v", "n"), {"create_index": {"table": "items", "name": "i", "columns": ["v"]}}],
                       "operations[1].create_index: ", "virtual generated columns are not supported"),
    "that refers": ([computed("v", "n"), {"create_constraint": {"table": "items", "name": "f", "type": "foreign_key", "columns": ["v"],
                                                                "references": {"table": "others", "columns": ["id"]}}}],
                    "operations[1].create_constraint: ", "no foreign keys of virtual columns"),
}


def test_a_virtual_column_that_the_server_would_not_add_is_refused_with_its_place(planner_of, pg_version):
    planner = planner_of("CREATE TABLE items (label text, n int); CREATE TABLE others (id int PRIMARY KEY)")
    for what, (operations, place, words) in VIRTUAL.items():
        said = planner.cli("plan", planner.file({"name": "m", "operations": operations}), check=1).err
        assert (place in said and words in said) or (pg_version < 18 and "virtual columns come with PostgreSQL 18" in said), f"{what}: {said}"
