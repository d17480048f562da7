"""rename_table beside every other operation of one file: refused by name at plan, or it goes along to the end."""

import json

import psycopg
import pytest
from lib import catalog

TABLE = """
CREATE TABLE {t} (id int PRIMARY KEY, n int NOT NULL DEFAULT 3, s text, u text CONSTRAINT {t}_u UNIQUE, CONSTRAINT {t}_c CHECK (n > 0));
CREATE INDEX {t}_n ON {t} (n); INSERT INTO {t} SELECT i, i, 's' || i, 'u' || i FROM generate_series(1, 20) i;
"""
OTHERS = """
CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents SELECT generate_series(1, 20);
CREATE TABLE children (id int PRIMARY KEY, of int); INSERT INTO children SELECT i, i FROM generate_series(1, 20) i;
CREATE TABLE drops (id int PRIMARY KEY, of int);
"""
# what -> operation, and what comes to the same; None: it needs the table after the turn, and plan says so
PAIRS = {
    "rename_column": ({"rename_column": {"table": "{t}", "from": "n", "to": "m"}}, None),
    "retype": ({"alter_column": {"table": "{t}", "column": "n", "type": "bigint", "up": "n", "down": "n"}}, None),
    "nullable": ({"alter_column": {"table": "{t}", "column": "s", "nullable": False}}, None),
    "freed": ({"alter_column": {"table": "{t}", "column": "n", "nullable": True}}, "ALTER TABLE {t} ALTER n DROP NOT NULL"),
    "default": ({"alter_column": {"table": "{t}", "column": "n", "default": "9"}}, "ALTER TABLE {t} ALTER n SET DEFAULT 9"),
    "comment": ({"alter_column": {"table": "{t}", "column": "n", "comment": "why"}}, "COMMENT ON COLUMN {t}.n IS 'why'"),
    "split": ({"change_columns": {"table": "{t}", "from": ["s"], "up": {"a": "left(s, 1)", "b": "substr(s, 2)"}, "down": {"s": "a || b"},
                                  "to": [{"name": c, "type": "text", "nullable": True} for c in "ab"]}}, None),
    "add": ({"add_column": {"table": "{t}", "column": {"name": "x", "type": "int", "default": "7"}}}, "ALTER TABLE {t} ADD x int NOT NULL DEFAULT 7"),
    "add and fill": ({"add_column": {"table": "{t}", "column": {"name": "x", "type": "int", "nullable": True}, "up": "n + 1"}}, None),
    "drop_column": ({"drop_column": {"table": "{t}", "column": "s"}}, None),
    "index": ({"create_index": {"table": "{t}", "name": "{t}_new", "columns": ["s"]}}, "CREATE INDEX {t}_new ON {t} (s)"),
    "drop_index": ({"drop_index": {"name": "{t}_n"}}, "DROP INDEX {t}_n"),
    "unique": ({"create_constraint": {"table": "{t}", "name": "{t}_uq", "type": "unique", "columns": ["s"]}},
               "ALTER TABLE {t} ADD CONSTRAINT {t}_uq UNIQUE (s)"),
    "check": ({"create_constraint": {"table": "{t}", "name": "{t}_k", "type": "check", "columns": ["n"], "check": "n < 99"}}, None),
    "key to": ({"create_constraint": {"table": "{t}", "name": "{t}_f", "type": "foreign_key", "columns": ["n"],
                                      "references": {"table": "parents", "columns": ["id"]}}}, None),
    "drop check": ({"drop_constraint": {"table": "{t}", "name": "{t}_c"}}, "ALTER TABLE {t} DROP CONSTRAINT {t}_c"),
    "drop unique": ({"drop_constraint": {"table": "{t}", "name": "{t}_u"}}, None),
    "rename_constraint": ({"rename_constraint": {"table": "{t}", "from": "{t}_c", "to": "{t}_c2"}}, None),
    "identity": ({"set_replica_identity": {"table": "{t}", "identity": {"type": "full"}}}, "ALTER TABLE {t} REPLICA IDENTITY FULL"),
    "key from a new table": ({"create_table": {"name": "{t}_child", "columns": [
        {"name": "id", "type": "int", "pk": True}, {"name": "of", "type": "int", "references": {"table": "{t}", "column": "id"}}]}},
        "CREATE TABLE {t}_child (id int PRIMARY KEY, of int NOT NULL REFERENCES {t} (id))"),
    "sql at start": ({"sql": {"up": "COMMENT ON TABLE {t} IS 'x'", "down": "COMMENT ON TABLE {t} IS NULL"}}, "COMMENT ON TABLE {t} IS 'x'"),
    "sql at complete": ({"sql": {"up": "COMMENT ON TABLE {t} IS 'x'", "onComplete": True}}, None),
    "sql at complete, by the new name": ({"sql": {"up": "COMMENT ON TABLE {t}_now IS 'y'", "onComplete": True}},
                                         "COMMENT ON TABLE {t} IS 'y'"),
    "a key of another": ({"create_constraint": {"table": "children", "name": "{t}_k", "type": "foreign_key", "columns": ["of"],
                                                "references": {"table": "{t}", "columns": ["id"]}}},
                         "ALTER TABLE children ADD CONSTRAINT {t}_k FOREIGN KEY (of) REFERENCES {t} (id)"),
}


def of(text, table):
    return json.loads(json.dumps(text).replace("{t}", table))


def renamed(table):
    return {"rename_table": {"from": table, "to": f"{table}_now"}}


@pytest.mark.one_version
def test_what_does_not_go_with_a_new_name_is_told_by_plan(db, segue):
    db.sql(TABLE.replace("{t}", "t") + OTHERS)
    proxy = segue(db)
    wrong = []
    for n, (what, (operation, plain)) in enumerate(PAIRS.items()):
        both = [renamed("t"), of(operation, "t")][::1 if n % 2 else -1]
        rows = proxy.console("PLAN '" + json.dumps({"name": "m", "operations": both}).replace("'", "''") + "'")
        refused = [row for row in rows if row["stage"] == "REFUSED"]
        if plain is None and not any("public.t" in row["what"] and 'in a migration of its own: a second file with "after": "m"' in row["holds"] for row in refused):
            wrong.append((what, "is not refused", refused))
        if plain is not None and refused:
            wrong.append((what, "is refused", refused))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.one_version
@pytest.mark.deadline(120)
def test_what_goes_with_a_new_name_ends_as_plain_ddl_does(db, copy, segue):
    going = {f"t{n}": (operation, plain) for n, (operation, plain) in enumerate(PAIRS.values()) if plain}
    schema = OTHERS + "".join(TABLE.replace("{t}", table) for table in going)
    db.sql(schema)
    copy.sql(schema)
    before = snapshot(copy)
    operations = [op for table, (operation, _) in going.items() for op in (of(operation, table), renamed(table))]
    proxy = segue(db)
    name = proxy.soaking({"name": "all", "operations": operations})
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    assert catalog.difference(before, snapshot(db)) == []
    name = proxy.soaking({"name": "all", "operations": operations})
    proxy.cli("rollback", name)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    for table, (_, plain) in going.items():
        copy.sql(of(plain, table) + f'; ALTER TABLE {table} RENAME TO {table}_now')
    assert catalog.difference(snapshot(copy), snapshot(db)) == []


def snapshot(db):
    with db.connect() as conn:
        return catalog.whole(conn)


# names that the file gives away twice, or that nobody can have: what -> operations, words of the refusal
RENAME = {"rename_table": {"from": "t", "to": "u"}}
NAMES = {
    "an index": ([{"create_index": {"table": "t", "name": "u", "columns": ["s"]}}], '"u"'),
    "an index of another table": ([{"create_index": {"table": "children", "name": "u", "columns": ["of"]}}], '"u"'),
    "a constraint": ([{"create_constraint": {"table": "t", "name": "u", "type": "unique", "columns": ["s"]}}], '"u"'),
    "a constraint of another": ([{"create_constraint": {"table": "children", "name": "u", "type": "unique", "columns": ["of"]}}], '"u"'),
    "of a column": ([{"alter_column": {"table": "children", "column": "of", "unique": {"name": "u"}}}], '"u"'),
    "a type": ([{"create_enum": {"name": "u", "values": ["a"]}}], '"u"'),
    "a new table's key": ([{"create_table": {"name": "c", "columns": [
        {"name": "id", "type": "int", "references": {"table": "u", "column": "id"}}]}}], '"u"'),
    "a key to the new name": ([{"create_constraint": {"table": "children", "name": "k", "type": "foreign_key", "columns": ["of"],
                                                      "references": {"table": "u", "columns": ["id"]}}}], '"u"'),
    "dropped by its new name": ([{"drop_table": {"name": "u"}}], "there is no table u"),
    "the name of one that goes": ([{"drop_table": {"name": "drops"}}, {"rename_table": {"from": "children", "to": "drops"}}],
                                  'the name "drops" is taken'),
    "a ring": ([{"rename_table": {"from": "children", "to": "t"}}], 'the name "t" is taken'),
}


@pytest.mark.one_version
def test_a_name_that_the_file_gives_twice_is_told_by_plan(db, segue):
    db.sql(TABLE.replace("{t}", "t") + OTHERS)
    proxy = segue(db)
    wrong = []
    for what, (operations, wanted) in NAMES.items():
        for all_ in ([RENAME, *operations], [*operations, RENAME]):
            try:
                said = str(proxy.console("PLAN '" + json.dumps({"name": "m", "operations": all_}) + "'"))
                wrong.append((what, "is not refused"))
            except psycopg.Error as error:
                said = str(error)
            if wanted not in said:
                wrong.append((what, said[:300]))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.one_version
def test_neither_name_may_be_made_anew_by_another_migration_while_both_work(db, segue):
    db.sql(TABLE.replace("{t}", "t"))
    proxy = segue(db)
    proxy.ready({"name": "first", "operations": [RENAME]})
    for turn in ("cutover", None):
        for table in ("t", "u"):
            made = {"name": "second", "operations": [{"create_table": {"name": table, "columns": [{"name": "id", "type": "int"}]}}]}
            said = proxy.cli("start", proxy.file(made), "--detach", check=1).err
            assert "first" in said or "already exists" in said, said
        if turn:
            proxy.cli(turn, "first")
