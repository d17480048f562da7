"""rename_table beside every other operation of one file on the same table: one pass, one turn, the end of plain DDL."""

import json
import threading

import psycopg
import pytest
from lib import catalog
from lib.operations import connected
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

TABLE = """
CREATE TABLE {t} (id int PRIMARY KEY, n int NOT NULL DEFAULT 3, s text, u text CONSTRAINT {t}_u UNIQUE, CONSTRAINT {t}_c CHECK (n > 0));
CREATE INDEX {t}_n ON {t} (n); INSERT INTO {t} SELECT i, i, 's' || i, 'u' || i FROM generate_series(1, 20) i;
"""
PARTS = """
CREATE TABLE {t} (id int PRIMARY KEY, n int) PARTITION BY RANGE (id); CREATE TABLE {t}_1 PARTITION OF {t} FOR VALUES FROM (0) TO (10);
CREATE TABLE {t}_2 PARTITION OF {t} DEFAULT; INSERT INTO {t} SELECT i, i FROM generate_series(1, 20) i;
"""
REFERS = TABLE + "ALTER TABLE {t} ADD CONSTRAINT {t}_p FOREIGN KEY (n) REFERENCES parents;"
REFERRED = TABLE + """
CREATE TABLE {t}_of (id int PRIMARY KEY, of int REFERENCES {t}, up int);
ALTER TABLE {t} ADD up int, ADD CONSTRAINT {t}_self FOREIGN KEY (up) REFERENCES {t}; INSERT INTO {t}_of SELECT i, i FROM generate_series(1, 20) i;
"""
OTHERS = """
CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents SELECT generate_series(1, 20);
CREATE TABLE children (id int PRIMARY KEY, of int); INSERT INTO children SELECT i, i FROM generate_series(1, 20) i;
CREATE TABLE split (id int PRIMARY KEY, of int) PARTITION BY RANGE (id); CREATE TABLE split_1 PARTITION OF split DEFAULT;
INSERT INTO split SELECT i, i FROM generate_series(1, 20) i; CREATE TABLE drops (id int PRIMARY KEY, of int);
"""


def foreign(table, name, column):
    return {"create_constraint": {"table": table, "name": name, "type": "foreign_key", "columns": [column],
                                  "references": {"table": "{t}", "columns": ["id"]}}}


# what -> operation, what comes to the same, and the table, where it is another one
PAIRS = {
    "rename_column": ({"rename_column": {"table": "{t}", "from": "n", "to": "m"}}, "ALTER TABLE {t} RENAME n TO m"),
    "the key": ({"rename_column": {"table": "{t}", "from": "id", "to": "ident"}}, "ALTER TABLE {t} RENAME id TO ident", REFERRED),
    "retype": ({"alter_column": {"table": "{t}", "column": "n", "type": "bigint", "up": "n", "down": "n"}}, "ALTER TABLE {t} ALTER n TYPE bigint, ALTER n SET DEFAULT 3::bigint"),
    "retype of a key to another": ({"alter_column": {"table": "{t}", "column": "n", "type": "bigint", "up": "n", "down": "n"}},
                                   "ALTER TABLE {t} ALTER n TYPE bigint, ALTER n SET DEFAULT 3::bigint", REFERS),
    "retype to a new name": ({"rename_column": {"table": "{t}", "from": "n", "to": "m", "type": "text", "up": "n::text", "down": "m::int"}},
                             "ALTER TABLE {t} ALTER n TYPE text; ALTER TABLE {t} RENAME n TO m",
                             "CREATE TABLE {t} (id int PRIMARY KEY, n int); INSERT INTO {t} SELECT i, i FROM generate_series(1, 20) i;"),
    "nullable": ({"alter_column": {"table": "{t}", "column": "s", "nullable": False}}, "ALTER TABLE {t} ALTER s SET NOT NULL"),
    "freed": ({"alter_column": {"table": "{t}", "column": "n", "nullable": True}}, "ALTER TABLE {t} ALTER n DROP NOT NULL"),
    "freed, and mended on the way back": ({"alter_column": {"table": "{t}", "column": "n", "nullable": True, "down": "coalesce(n, 1)"}},
                                          "ALTER TABLE {t} ALTER n DROP NOT NULL"),
    "default": ({"alter_column": {"table": "{t}", "column": "n", "default": "9"}}, "ALTER TABLE {t} ALTER n SET DEFAULT 9"),
    "comment": ({"alter_column": {"table": "{t}", "column": "n", "comment": "why"}}, "COMMENT ON COLUMN {t}.n IS 'why'"),
    "split": ({"change_columns": {"table": "{t}", "from": ["s"], "up": {"a": "left(s, 1)", "b": "substr(s, 2)"}, "down": {"s": "a || b"},
                                  "to": [{"name": c, "type": "text", "nullable": True} for c in "ab"]}},
              "ALTER TABLE {t} ADD a text, ADD b text; UPDATE {t} SET a = left(s, 1), b = substr(s, 2); ALTER TABLE {t} DROP s"),
    "add": ({"add_column": {"table": "{t}", "column": {"name": "x", "type": "int", "default": "7"}}}, "ALTER TABLE {t} ADD x int NOT NULL DEFAULT 7"),
    "add and fill": ({"add_column": {"table": "{t}", "column": {"name": "x", "type": "int", "nullable": True}, "up": "n + 1"}},
                     "ALTER TABLE {t} ADD x int; UPDATE {t} SET x = n + 1"),
    "drop_column": ({"drop_column": {"table": "{t}", "column": "s"}}, "ALTER TABLE {t} DROP s"),
    "index": ({"create_index": {"table": "{t}", "name": "{t}_new", "columns": ["s"]}}, "CREATE INDEX {t}_new ON {t} (s)"),
    "index of partitions": ({"create_index": {"table": "{t}", "name": "{t}_new", "columns": ["n"]}}, "CREATE INDEX {t}_new ON {t} (n)", PARTS),
    "drop_index": ({"drop_index": {"name": "{t}_n"}}, "DROP INDEX {t}_n"),
    "unique": ({"create_constraint": {"table": "{t}", "name": "{t}_uq", "type": "unique", "columns": ["s"]}},
               "ALTER TABLE {t} ADD CONSTRAINT {t}_uq UNIQUE (s)"),
    "check": ({"create_constraint": {"table": "{t}", "name": "{t}_k", "type": "check", "columns": ["n"], "check": "n < 99"}},
              "ALTER TABLE {t} ADD CONSTRAINT {t}_k CHECK (n < 99)"),
    "key to": ({"create_constraint": {"table": "{t}", "name": "{t}_f", "type": "foreign_key", "columns": ["n"],
                                      "references": {"table": "parents", "columns": ["id"]}}},
               "ALTER TABLE {t} ADD CONSTRAINT {t}_f FOREIGN KEY (n) REFERENCES parents (id)"),
    "key to itself": (foreign("{t}", "{t}_f", "n"), "ALTER TABLE {t} ADD CONSTRAINT {t}_f FOREIGN KEY (n) REFERENCES {t} (id)"),
    "key of partitions": ({"create_constraint": {"table": "{t}", "name": "{t}_f", "type": "foreign_key", "columns": ["n"],
                                                 "references": {"table": "parents", "columns": ["id"]}}},
                          "ALTER TABLE {t} ADD CONSTRAINT {t}_f FOREIGN KEY (n) REFERENCES parents (id)", PARTS),
    "drop check": ({"drop_constraint": {"table": "{t}", "name": "{t}_c"}}, "ALTER TABLE {t} DROP CONSTRAINT {t}_c"),
    "drop unique": ({"drop_constraint": {"table": "{t}", "name": "{t}_u"}}, "ALTER TABLE {t} DROP CONSTRAINT {t}_u"),
    "rename_constraint": ({"rename_constraint": {"table": "{t}", "from": "{t}_c", "to": "{t}_c2"}}, "ALTER TABLE {t} RENAME CONSTRAINT {t}_c TO {t}_c2"),
    "identity": ({"set_replica_identity": {"table": "{t}", "identity": {"type": "full"}}}, "ALTER TABLE {t} REPLICA IDENTITY FULL"),
    "key from a new table": ({"create_table": {"name": "{t}_child", "columns": [
        {"name": "id", "type": "int", "pk": True}, {"name": "of", "type": "int", "references": {"table": "{t}", "column": "id"}}]}},
        "CREATE TABLE {t}_child (id int PRIMARY KEY, of int NOT NULL REFERENCES {t} (id))"),
    "key from a new table's columns": ({"create_table": {"name": "{t}_child", "columns": [{"name": "of", "type": "int"}], "constraints": [
        {"name": "{t}_k", "type": "foreign_key", "columns": ["of"], "references": {"table": "{t}", "columns": ["id"]}}]}},
        "CREATE TABLE {t}_child (of int NOT NULL, CONSTRAINT {t}_k FOREIGN KEY (of) REFERENCES {t} (id))"),
    "sql at start": ({"sql": {"up": "COMMENT ON TABLE {t} IS 'x'", "down": "COMMENT ON TABLE {t} IS NULL"}}, "COMMENT ON TABLE {t} IS 'x'"),
    "sql at complete, by the new name": ({"sql": {"up": "COMMENT ON TABLE {t}_now IS 'y'", "onComplete": True}},
                                         "COMMENT ON TABLE {t} IS 'y'"),
    "a key of another": (foreign("children", "{t}_k", "of"), "ALTER TABLE children ADD CONSTRAINT {t}_k FOREIGN KEY (of) REFERENCES {t} (id)"),
    "a key of another's partitions": (foreign("split", "{t}_k", "of"), "ALTER TABLE split ADD CONSTRAINT {t}_k FOREIGN KEY (of) REFERENCES {t} (id)"),
    "a key of another's column": ({"alter_column": {"table": "children", "column": "of", "references": {"name": "{t}_k", "table": "{t}", "column": "id"}}},
                                  "ALTER TABLE children ADD CONSTRAINT {t}_k FOREIGN KEY (of) REFERENCES {t} (id)"),
    "a key of a new column": ({"add_column": {"table": "children", "column": {"name": "{t}_of", "type": "int", "nullable": True,
                                                                              "references": {"name": "{t}_k", "table": "{t}", "column": "id"}}}},
                              "ALTER TABLE children ADD {t}_of int CONSTRAINT {t}_k REFERENCES {t} (id)"),
}


def of(text, table):
    return json.loads(json.dumps(text).replace("{t}", table))


def both(operation, table, behind):
    """It and the rename: what stands behind that says the new name."""
    rename = {"rename_table": {"from": table, "to": f"{table}_now"}}
    if not behind:
        return [of(operation, table), rename]
    return [rename, of(json.loads(json.dumps(operation).replace('"table": "{t}"', '"table": "{t}_now"')), table)]


def made(table, pair):
    return (pair[2] if len(pair) > 2 else TABLE).replace("{t}", table)


@pytest.mark.one_version
def test_a_file_is_read_from_top_to_bottom_and_both_orders_come_to_the_same(db, segue):
    db.sql(OTHERS + "".join(made(f"t{n}", pair) for n, pair in enumerate(PAIRS.values())))
    proxy = segue(db)

    def steps(operations):
        rows = proxy.console("PLAN '" + json.dumps({"name": "m", "operations": operations}).replace("'", "''") + "'")
        assert not [row for row in rows if row["stage"] == "REFUSED"], rows
        return sorted((row["stage"], row["what"], row["on"].replace("public.", ""), row["sql"].replace("public.", "")) for row in rows if "operations[" not in row["what"])

    wrong = []
    for n, (what, (operation, *_)) in enumerate(PAIRS.items()):
        try:
            front, behind = (steps(both(operation, f"t{n}", is_behind)) for is_behind in (False, True))
            if front != behind:
                wrong.append((what, front, behind))
        except (AssertionError, psycopg.Error) as error:
            wrong.append((what, str(error)))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.deadline(180)
def test_what_goes_with_a_new_name_ends_as_plain_ddl_does(db, copy, segue):
    going = {f"t{n}": pair for n, pair in enumerate(PAIRS.values())}
    schema = OTHERS + "".join(made(table, pair) for table, pair in going.items())
    db.sql(schema)
    copy.sql(schema)
    before = snapshot(copy)
    operations = [op for n, (table, pair) in enumerate(going.items()) for op in both(pair[0], table, n % 2)]
    proxy = segue(db)
    name = proxy.soaking({"name": "all", "operations": operations})
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    assert catalog.difference(before, snapshot(db)) == []
    name = proxy.soaking({"name": "all", "operations": operations})
    assert db.one("SELECT count(*) FROM pg_class WHERE relname ~ '^t[0-9]+_now$'") == len(going)
    proxy.cli("rollback", name)
    until("what the way back has used up", lambda: proxy.cli("cutover", name, check=None).code == 0, every=0.1)
    connected(proxy.restart()).cli("complete", name, "--force")
    for table, pair in going.items():
        copy.sql(pair[1].replace("{t}", table) + f"; ALTER TABLE {table} RENAME TO {table}_now")
    assert catalog.difference(snapshot(copy), snapshot(db)) == []
    with db.connect() as conn:
        assert catalog.traces(conn) == []


def snapshot(db):
    """The catalog, and what the rows are, by the names of their columns."""
    with db.connect() as conn:
        out = catalog.whole(conn)
        for name in out["rows"]:
            out["rows"][name] = conn.execute(f"SELECT string_agg(to_jsonb(t)::text, ' ' ORDER BY to_jsonb(t)::text) FROM {name} t").fetchone()[0]
        return out


# names that the file gives away twice, or that nobody can have: what -> operations, words of the refusal
RENAME = {"rename_table": {"from": "t", "to": "u"}}
NAMES = {
    "an index": ([{"create_index": {"table": "t", "name": "u", "columns": ["s"]}}], 'gives the name "u", too'),
    "an index of another table": ([{"create_index": {"table": "children", "name": "u", "columns": ["of"]}}], 'gives the name "u", too'),
    "a constraint": ([{"create_constraint": {"table": "t", "name": "u", "type": "unique", "columns": ["s"]}}], 'gives the name "u", too'),
    "a constraint of another": ([{"create_constraint": {"table": "children", "name": "u", "type": "unique", "columns": ["of"]}}], 'gives the name "u", too'),
    "of a column": ([{"alter_column": {"table": "children", "column": "of", "unique": {"name": "u"}}}], 'gives the name "u", too'),
    "a type": ([{"create_enum": {"name": "u", "values": ["a"]}}], 'gives the name "u", too'),
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
        behind = json.loads(json.dumps(operations).replace('"table": "t"', '"table": "u"'))
        for all_ in ([RENAME, *behind], [*operations, RENAME]):
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


@pytest.mark.one_version
def test_a_new_name_without_its_schema_is_looked_up_by_the_path(db, segue):
    db.sql("CREATE TABLE t (id int PRIMARY KEY, s text); CREATE SCHEMA app; CREATE TABLE app.u (id int PRIMARY KEY, s text)")
    for path, table in (("public,app", "public.t"), ("app,public", "app.u")):
        proxy = segue(upstream=f"{db.url()}?options=-csearch_path%3D{path}")
        file = {"name": "m", "operations": [{"rename_table": {"from": "public.t", "to": "u"}},
                                            {"create_index": {"table": "u", "name": "made", "columns": ["s"]}}]}
        assert f"CREATE INDEX CONCURRENTLY made ON {table} USING" in proxy.cli("plan", proxy.file(file)).out
        proxy.stop()
