"""alter_column with a second column: `up` and `down` under its own name, or under a new one, any mix of changes."""

import psycopg
import pytest
from lib.operations import abort_from_soaking, build, complete, new, old, refuses, same_as_plain, unchanged

TABLES = ("CREATE TABLE {s}.kinds (code text PRIMARY KEY); INSERT INTO {s}.kinds VALUES ('none'), ('k0'), ('k1'), ('k2');"
          "CREATE TABLE {s}.items (id bigint PRIMARY KEY, label text, kind text, n int DEFAULT 1, rank text NOT NULL,"
          " note text DEFAULT 'old');"
          "CREATE INDEX items_label ON {s}.items (label); COMMENT ON COLUMN {s}.items.kind IS 'the kind';"
          "GRANT SELECT (label) ON {s}.items TO PUBLIC;"
          "INSERT INTO {s}.items SELECT i, nullif('l' || i, 'l7'), 'K' || i % 3, i - 5, 'r' || i, 'n' FROM generate_series(1, 300) i")
ALTER = {"name": "alter", "operations": [
    {"alter_column": {"table": "items", "column": "label", "nullable": False, "up": "coalesce(label, 'none ' || id)",
                      "down": "nullif(label, 'none ' || id)", "unique": {"name": "label_once"}}},
    {"alter_column": {"table": "items", "column": "kind", "name": "sort", "nullable": False, "default": "'k1'",
                      "comment": "the sort", "up": "coalesce(lower(kind), 'none')", "down": "upper(sort)",
                      "references": {"name": "sort_fk", "table": "kinds", "column": "code"}}},
    {"alter_column": {"table": "items", "column": "rank", "name": "place", "nullable": True, "up": "nullif(rank, 'r9')",
                      "down": "coalesce(place, 'r9')"}},
    {"alter_column": {"table": "items", "column": "note", "name": "remark", "default": None}},
    {"create_constraint": {"table": "items", "name": "n_positive", "type": "check", "check": "n > 0", "columns": ["n"],
                           "up": {"n": "greatest(n, 1)"}, "down": {"n": "n"}}}]}
PLAIN = ("UPDATE {s}.items SET label = coalesce(label, 'none ' || id), kind = coalesce(lower(kind), 'none'), n = greatest(n, 1);"
         "ALTER TABLE {s}.items DROP COLUMN label, DROP COLUMN n; ALTER TABLE {s}.items ADD label text, ADD n int DEFAULT 1;"
         "UPDATE {s}.items SET label = 'l' || id;"
         "ALTER TABLE {s}.items ALTER label SET NOT NULL, ADD CONSTRAINT label_once UNIQUE (label);"
         "CREATE INDEX items_label ON {s}.items (label); GRANT SELECT (label) ON {s}.items TO PUBLIC;"
         "ALTER TABLE {s}.items RENAME kind TO sort; ALTER TABLE {s}.items ALTER sort SET NOT NULL, ALTER sort SET DEFAULT 'k1',"
         "ADD CONSTRAINT sort_fk FOREIGN KEY (sort) REFERENCES {s}.kinds (code); COMMENT ON COLUMN {s}.items.sort IS 'the sort';"
         "ALTER TABLE {s}.items RENAME rank TO place; ALTER TABLE {s}.items ALTER place DROP NOT NULL;"
         "ALTER TABLE {s}.items RENAME note TO remark; ALTER TABLE {s}.items ALTER remark DROP DEFAULT;"
         "ALTER TABLE {s}.items ADD CONSTRAINT n_positive CHECK (n > 0)")
OLD = "label, kind, n, rank, note"
NEW = "label, sort, n, place, remark"


def seen(db, columns, key):
    return db.sql(f"SELECT {columns} FROM items WHERE id = %s", key)[0]


def before(proxy, db, base):
    """The old schema is the truth: its application writes what the new one may not have."""
    for i, conn in enumerate((old(proxy), db.connect())):
        conn.execute(f"INSERT INTO items (id, {OLD}) VALUES (%s, NULL, NULL, -4, 'r9', 'x')", (base + i,))
        assert seen(db, OLD, base + i) == (None, None, -4, "r9", "x")
        assert seen(db, "sort, place, remark", base + i) == ("none", None, "x")
        conn.execute(f"UPDATE items SET kind = 'K2', n = -5 WHERE id = {base + i}")
        assert seen(db, "sort, n", base + i) == ("k2", -5)
    new(proxy).execute("INSERT INTO items (id, label, sort, place, remark) VALUES (%s, 'new', 'k1', NULL, 'y')", (base + 5,))
    assert seen(db, OLD, base + 5) == ("new", "K1", 1, "r9", "y")
    db.sql(f"DELETE FROM items WHERE id >= {base}")


def after(proxy, db, base):
    """The new schema is the truth."""
    for i, conn in enumerate((new(proxy), db.connect())):
        conn.execute(f"INSERT INTO items (id, {NEW}) VALUES (%s, %s, 'k1', NULL, 'y')".replace("n, place", "place"),
                     (base + i, f"new {base + i}"))
        assert seen(db, NEW, base + i) == (f"new {base + i}", "k1", 1, None, "y")
        assert seen(db, "kind, rank, note", base + i) == ("K1", "r9", "y")
        for column, value in (("label", None), ("sort", "zz"), ("n", 0)):
            with pytest.raises(psycopg.errors.IntegrityError):
                conn.execute(f"UPDATE items SET {column} = %s WHERE id = {base + i}", (value,))
    old(proxy).execute("INSERT INTO items (id, label, kind, rank) VALUES (%s, 'mine', 'K2', 'r9')", (base + 5,))
    assert seen(db, NEW, base + 5) == ("mine", "k2", 1, None, None)
    assert db.one(f"INSERT INTO items (id, label) VALUES ({base + 6}, 'd') RETURNING sort") == "k1"
    db.sql(f"DELETE FROM items WHERE id > {base}")


def test_a_column_may_change_in_everything_at_once(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.ready(ALTER)
    assert db.one("SELECT sum(rows) FROM segue.progress") == 300  # one pass for all of them
    before(proxy, db, 1000)
    proxy.cli("cutover", name)
    after(proxy, db, 2000)
    assert seen(db, NEW, 7) == ("none 7", "k1", 2, "r7", "n") and seen(db, "n", 1) == (1,)
    proxy.cli("rollback", name)
    assert seen(db, OLD, 7) == (None, "K1", 2, "r7", "n") and seen(db, "n", 1) == (-4,)
    before(proxy, db, 3000)
    proxy.cli("cutover", name)
    proxy.kill9()
    proxy.start()
    after(proxy, db, 4000)
    complete(proxy, name)
    same_as_plain(db, PLAIN, "items", "kinds")


def test_an_aborted_change_leaves_the_rows_as_they_were(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    abort_from_soaking(proxy, ALTER)
    unchanged(db, "items", "kinds")
    assert db.sql("SELECT * FROM items EXCEPT SELECT * FROM plain.items") == []


REFUSED = {
    "there": ({"column": "kind", "name": "label"}, "already has a column"),
    "no_value": ({"column": "rank", "name": "place", "nullable": True}, "NOT NULL until complete"),
    "null_up": ({"column": "label", "nullable": False, "up": "nullif(label, 'l9')", "down": "label"}, "gives NULL for"),
    "up": ({"column": "label", "up": "label || nothing", "nullable": False}, "column \"nothing\" does not exist"),
    "too long": ({"column": "kind", "type": "varchar(3)", "up": "kind", "down": "kind", "default": "'long'"}, "value too long"),
}
LOST = "is changed by another operation of this file"
POSITIVE = {"create_constraint": {"table": "items", "name": "positive", "type": "check", "check": "n > 0", "columns": ["n"],
                                  "up": {"n": "greatest(n, 1)"}, "down": {"n": "n"}}}
# what would be lost with a column's old half, or be done to a column that has gone -> operations
TWICE = {
    "renamed": ([{"alter_column": {"table": "items", "column": "label", "nullable": False}},
                 {"rename_column": {"table": "items", "from": "label", "to": "title"}}], LOST),
    "dropped": ([{"alter_column": {"table": "items", "column": "note", "default": "'x'"}},
                 {"drop_column": {"table": "items", "column": "note"}}], LOST),
    "of a new type": ([{"alter_column": {"table": "items", "column": "n", "comment": "x"}},
                       {"alter_column": {"table": "items", "column": "n", "type": "bigint"}}], LOST),
    "constrained": ([{"alter_column": {"table": "items", "column": "n", "default": "5"}}, POSITIVE], LOST),
    "constrained_again": ([POSITIVE, {"create_constraint": {**POSITIVE["create_constraint"], "name": "other", "up": {"n": "abs(n)"}}}],
                          'column "n" is changed twice'),
    "retyped_and_constrained": ([{"alter_column": {"table": "items", "column": "n", "type": "bigint"}}, POSITIVE],
                                'column "n" is changed twice'),
    "named_twice": ([{"create_constraint": {"table": "items", "name": "c", "type": "check", "check": "n < 900", "columns": ["n"]}},
                     {"alter_column": {"table": "items", "column": "kind", "check": {"name": "c", "constraint": "kind <> ''"}}}],
                    'would get constraint "c" twice'),
    "renamed_to_a_new_one": ([{"rename_constraint": {"table": "items", "from": "items_pkey", "to": "positive"}}, POSITIVE],
                             'the name "positive" is taken'),
}


@pytest.mark.one_version
def test_a_change_that_cannot_be_made_is_refused_by_name(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    for case, (alter, said) in REFUSED.items():
        refuses(proxy, case, said, {"alter_column": {"table": "items", **alter}})
    for case, (operations, said) in TWICE.items():
        refuses(proxy, case, said, *operations)
    refuses(proxy, "enum", '"old" is not one of the values of type word', {"create_enum": {"name": "word", "values": ["new", "newer"]}},
            {"alter_column": {"table": "items", "column": "note", "type": "word", "up": "note::word", "down": "note::text"}})
