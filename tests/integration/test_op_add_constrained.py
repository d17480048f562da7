"""add_column with `unique`, `check` and `references`: bound as by create_constraint, the catalog as after plain DDL."""

import psycopg
import pytest
from lib.operations import build, complete, is_refused, new, old, same_as_plain, unchanged

TABLES = ("CREATE TABLE {s}.kinds (code text PRIMARY KEY, n int);"
          "CREATE TABLE {s}.items (id bigint PRIMARY KEY, label text);"
          "INSERT INTO {s}.kinds SELECT 'k' || i, i FROM generate_series(0, 9) i;"
          "INSERT INTO {s}.items SELECT i, 'l' || i FROM generate_series(1, 300) i")


def added(name, of, **more):
    return {"add_column": {"table": "items", "column": {"name": name, "type": of, "nullable": True, **more.pop("column", {})}, **more}}


MORE = {"name": "more", "operations": [
    added("slug", "text", up="lower(label)", column={"unique": True, "nullable": False, "check": {"name": "slug_long", "constraint": "length(slug) > 1"}}),
    added("kind", "text", up="'k' || id % 10", column={"references": {"name": "kind_fk", "table": "kinds", "column": "code", "on_delete": "CASCADE"}}),
    added("size", "int", column={"default": "1", "check": {"name": "positive", "constraint": "size > 0", "no_inherit": True}}),
    added("code", "int", column={"unique": {"name": "code_once", "deferrable": True}}), added("note", "text", column={"unique": False})]}
PLAIN = ("ALTER TABLE {s}.items ADD slug text, ADD kind text, ADD size int DEFAULT 1, ADD code int, ADD note text;"
         "UPDATE {s}.items SET slug = lower(label), kind = 'k' || id % 10;"
         "ALTER TABLE {s}.items ALTER slug SET NOT NULL, ADD UNIQUE (slug), ADD CONSTRAINT slug_long CHECK (length(slug) > 1),"
         "ADD CONSTRAINT kind_fk FOREIGN KEY (kind) REFERENCES {s}.kinds (code) ON DELETE CASCADE,"
         "ADD CONSTRAINT positive CHECK (size > 0) NO INHERIT, ADD CONSTRAINT code_once UNIQUE (code) DEFERRABLE")


def is_bound(conn, what, bound):
    values = {"slug": "fine", "kind": "k1", "size": 2, "code": 7} | what
    with conn.transaction(force_rollback=True):
        try:
            with conn.transaction():
                conn.execute("INSERT INTO items (id, label, slug, kind, size, code) VALUES (5000, 'X5000', %(slug)s, %(kind)s, %(size)s, %(code)s)", values)
            refused = False
        except psycopg.errors.IntegrityError:
            refused = True
    assert refused == bound, what


def test_an_added_column_is_constrained_as_the_file_says(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.ready(MORE)
    later = {"slug": "x"}, {"kind": "none"}, {"size": 0}
    for what in later:
        is_bound(new(proxy), what, False)
    is_bound(new(proxy), {"slug": "l7"}, True)  # its index is there
    with old(proxy) as conn:
        conn.execute("INSERT INTO items VALUES (301, 'L301')")
    for step in "cutover", "rollback", "cutover":
        proxy.cli("wait", name)
        proxy.cli(step, name)
        for what in later:
            is_bound(new(proxy), what, step == "cutover")
    db.sql("DELETE FROM items WHERE id > 300")
    complete(proxy, name)
    same_as_plain(db, PLAIN, "items", "kinds")


def test_an_abort_takes_the_columns_and_their_constraints_away(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.soaking(MORE)
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    unchanged(db, "items", "kinds")


LONG = "c" * 60
REFUSED = {
    "taken": ([added("label_", "text", column={"unique": {"name": "kinds"}})], 'add_column.column.unique: relation "'),
    "taken by the file": ([added("a", "int", column={"unique": {"name": "one"}}), added("b", "int", column={"unique": {"name": "one"}})],
                          'operations[1].add_column.column.unique: operations[0].add_column gives the name "one", too'),
    "too long": ([added(LONG, "int", column={"unique": True})], "the constraint's name would be too long"),
    "check": ([added("a", "int", column={"check": {"name": "c", "constraint": "nope > 1"}})], "operations[0].add_column.column.check: "),
    "no key": ([added("a", "int", column={"references": {"name": "f", "table": "kinds", "column": "n"}})],
               "operations[0].add_column.column.references: there is no unique constraint"),
    "unknown": ([added("a", "int", column={"kp": True})], "column.kp: unknown field"),
    "word": ([added("a", "text", column={"default": "EUR"})], "a text stands in SQL's quotes"),
    "neither": ([added("a", "int", column={"unique": 1})], "operations[0].add_column.column.unique: "),
    "of a split": ([{"change_columns": {"table": "items", "from": ["label"], "to": [{"name": "a", "type": "text", "unique": True}],
                                        "up": {"a": "label"}, "down": {"label": "a"}}}], "to[0].unique: unknown field")}


@pytest.mark.one_version
def test_what_an_added_column_cannot_have_is_refused_by_name(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    for what, (operations, wanted) in REFUSED.items():
        is_refused(proxy, operations, wanted, what)


@pytest.mark.one_version
def test_rows_that_do_not_meet_it_are_told_before_ready(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    proxy.begin({"name": "twins", "operations": [added("same", "int", up="id % 299", column={"unique": True})]})
    row = proxy.wait("twins", lambda r: r["error"])
    assert row["phase"] == "backfilling" and "items_same_key" in row["error"]
