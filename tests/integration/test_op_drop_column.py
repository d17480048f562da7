"""drop_column: the column lives on for old writers and for the way back, and goes with complete."""

import pytest
from lib.operations import abort_from_soaking, build, complete, new, old, refuses, same_as_plain, unchanged

TABLE = ("CREATE TABLE {s}.items (id bigint PRIMARY KEY, code text NOT NULL, label text, kind text NOT NULL DEFAULT 'k',"
         " extra text, CHECK (length(code) > 0));"
         "CREATE INDEX items_code ON {s}.items (code, id); CREATE INDEX items_expr ON {s}.items (lower(extra));"
         "INSERT INTO {s}.items SELECT i, 'c' || i, 'l' || i, 'k', 'e' FROM generate_series(1, 300) i")
DROP = {"name": "gone", "operations": [
    {"drop_column": {"table": "items", "column": "code", "down": "'code of ' || id"}},
    {"drop_column": {"table": "items", "column": "kind"}},
    {"drop_column": {"table": "items", "column": "extra", "down": "upper(label)"}}]}
PLAIN = "ALTER TABLE {s}.items DROP COLUMN code, DROP COLUMN kind, DROP COLUMN extra"


def row(db, key):
    return db.sql("SELECT code, kind, extra FROM items WHERE id = %s", key)[0]


def writes(proxy, db, base, fills_extra):
    """By old, new and bypassing clients; ids from `base` on."""
    before, after = old(proxy), new(proxy)
    before.execute("INSERT INTO items VALUES (%s, 'own', 'a', 'mine', 'x')", (base,))
    assert row(db, base) == ("own", "mine", "x")
    after.execute("INSERT INTO items VALUES (%s, 'b')", (base + 1,))
    assert row(db, base + 1) == (f"code of {base + 1}", "k", "B" if fills_extra else None)
    db.sql("INSERT INTO items (id, label) VALUES (%s, 'c')", base + 2)
    assert row(db, base + 2) == (f"code of {base + 2}", "k", "C" if fills_extra else None)
    before.execute("UPDATE items SET code = 'again' WHERE id = %s", (base + 1,))
    assert row(db, base + 1)[0] == "again"
    assert before.execute("SELECT * FROM items WHERE id = %s", (base,)).fetchone() == (base, "own", "a", "mine", "x")
    assert after.execute("SELECT * FROM items WHERE id = %s", (base,)).fetchone() == (base, "a")
    # what old writers write is theirs: an explicit NULL is only kept while the old schema is the truth
    before.execute("INSERT INTO items VALUES (%s, 'own', 'd', 'mine', NULL)", (base + 3,))
    assert row(db, base + 3) == ("own", "mine", "D" if fills_extra else None)
    after.execute("UPDATE items SET label = 'moved' WHERE id = %s", (base,))
    assert row(db, base) == ("own", "mine", "MOVED" if fills_extra else "x")


def test_a_dropped_column_is_kept_for_old_writers_and_the_way_back(db, segue):
    build(db, TABLE)
    proxy = segue(db)
    name = proxy.ready(DROP)
    writes(proxy, db, 1000, fills_extra=False)
    proxy.cli("cutover", name)
    writes(proxy, db, 2000, fills_extra=True)
    proxy.cli("rollback", name)
    assert row(db, 2001) == ("again", "k", "B")
    writes(proxy, db, 3000, fills_extra=False)
    proxy.cli("cutover", name)
    proxy.kill9()
    proxy.start()
    writes(proxy, db, 4000, fills_extra=True)
    complete(proxy, name)
    proxy.connect().execute("INSERT INTO items VALUES (5000, 'end')")
    same_as_plain(db, PLAIN, "items")


def test_an_aborted_drop_leaves_the_table_as_it_was(db, segue):
    build(db, TABLE)
    proxy = segue(db)
    abort_from_soaking(proxy, DROP)
    unchanged(db, "items")


REFUSED = {
    "needs_a_value": ("", {"column": "code"}, "NOT NULL and has no default"),
    "view": ("CREATE VIEW v AS SELECT label FROM public.items", {"column": "label"}, "view public.v"),
    "generated": ("ALTER TABLE public.items ADD twice text GENERATED ALWAYS AS (label || label) STORED",
                  {"column": "label"}, "generated column reads the column"),
    "constant_under_unique": ("CREATE UNIQUE INDEX u ON public.items (extra, id)", {"column": "extra", "down": "'same'"},
                              "all but one row"),
    "down_gives_null": ("", {"column": "code", "down": "NULLIF(label, 'l7')"}, "down gives NULL for 1 of 300"),
    "down_fails": ("", {"column": "extra", "down": "(10 / (id - 7))::text"}, "down fails for 1 of 300"),
    "down_reads_itself": ("", {"column": "code", "down": "coalesce(code, 'x')"}, "reads the column that it is to fill"),
    "not_there": ("", {"column": "nothing"}, "has no column"),
    "referred_to": ("CREATE TABLE o (code text REFERENCES public.items (id2))", {"column": "id2"},
                    "another table's foreign key"),
}


@pytest.mark.one_version
def test_a_drop_that_cannot_be_carried_is_refused_by_name(db, segue):
    build(db, TABLE.replace("extra text,", "extra text, id2 text UNIQUE,").replace("'e' FROM", "'e', 'i' || i FROM"))
    proxy = segue(db)
    for case, (sql, drop, said) in REFUSED.items():
        if sql:
            db.sql(sql)
        refuses(proxy, case, said, {"drop_column": {"table": "items", **drop}})
    split = {"name": "split", "operations": [
        {"add_column": {"table": "items", "column": {"name": "head", "type": "text", "nullable": True},
                        "up": "split_part(label, ' ', 1)"}},
        {"drop_column": {"table": "items", "column": "label", "down": "head"}}]}
    assert "split or merged by change_columns" in proxy.cli("plan", proxy.file(split), check=None).out


@pytest.mark.one_version
def test_a_key_that_is_dropped_beside_its_column_goes_once(db, segue):
    build(db, TABLE + "; ALTER TABLE {s}.items ADD CONSTRAINT one UNIQUE (label), ADD CONSTRAINT two UNIQUE (extra, id)")
    proxy = segue(db)
    ops = [{"drop_constraint": {"table": "items", "name": name}} for name in ("one", "two")]
    ops += [{"drop_column": {"table": "items", "column": "label"}},
            {"rename_column": {"table": "items", "from": "extra", "to": "more"}}]
    complete(proxy, proxy.soaking({"name": "m", "operations": ops}))
    same_as_plain(db, "ALTER TABLE {s}.items DROP COLUMN label, DROP CONSTRAINT two; ALTER TABLE {s}.items RENAME extra TO more",
                  "items")
    rename = {"rename_constraint": {"table": "items", "from": "items_code_check", "to": "longer"}}
    for other, said in (({"drop_column": {"table": "items", "column": "code", "down": "'c'"}}, "it goes with column code"),
                        ({"drop_constraint": {"table": "items", "name": "items_code_check"}}, "this file drops it, too")):
        assert said in proxy.cli("plan", proxy.file({"name": "n", "operations": [rename, other]}), check=None).out


@pytest.mark.one_version
def test_what_goes_with_the_column_is_told(db, segue):
    build(db, TABLE)
    proxy = segue(db)
    out = proxy.cli("plan", proxy.file(DROP)).out
    assert "index items_code" in out and "complete drops it with the column" in out
    assert "constraint items_code_check" in out
    assert "guard public.items" in out
