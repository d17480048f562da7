"""What a file's new things refer to, where the same file changes or drops that: plan says it, with file, line and field.
Else expand, the cut-over or complete would fail of it, or drop what was just made."""

import re

import pytest
from lib.each import each

pytestmark = pytest.mark.one_version
SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN moody AS text;
CREATE TABLE people (id int PRIMARY KEY, name text, mail text CONSTRAINT mails UNIQUE, nick text, sum int, boss int, at mood);
CREATE UNIQUE INDEX nicks ON people (nick);
CREATE TABLE children (id int PRIMARY KEY, of int, mail text, nick text, feels mood);
CREATE TABLE gone (id int PRIMARY KEY, n int CONSTRAINT positive CHECK (n > 0));
CREATE TABLE counted (id serial PRIMARY KEY);
INSERT INTO people VALUES (1, 'Ada', 'a@b', 'ad', 1, 1, 'sad'); INSERT INTO children VALUES (1, 1, 'a@b', 'ad', 'sad')"""

MADE = {"id": "int", "mail": "text", "nick": "text"}
OWN = {"id": "of", "mail": "mail", "nick": "nick"}


def made(*columns):
    return {"create_table": {"name": "made", "columns": [{"name": "k", "type": "int", "pk": True}, *columns]}}


def a_new_table(column):
    return made({"name": "r", "type": MADE[column], "nullable": True, "references": {"table": "people", "column": column}})


def a_new_key(column, own=None, table="children"):
    return {"create_constraint": {"name": "fresh", "table": table, "type": "foreign_key", "columns": [own or OWN[column]],
                                  "references": {"table": "people", "columns": [column]}}}


def an_altered_column(column):
    return {"alter_column": {"table": "children", "column": OWN[column],
                             "references": {"name": "fresh", "table": "people", "column": column}}}


def retyped(column, kind, table="people"):
    back = "int" if column in ("id", "of", "sum", "boss") else "text"
    return {"alter_column": {"table": table, "column": column, "type": kind, "up": f"{column}::{kind}", "down": f"{column}::{back}"}}


def renamed(column):
    return {"rename_column": {"table": "people", "from": column, "to": column + "_now"}}


NEW = {a_new_table: "create_table.columns[1].references", a_new_key: "create_constraint", an_altered_column: "alter_column.references"}
SPLIT = {"change_columns": {"table": "people", "from": ["nick"], "to": [{"name": n, "type": "text", "nullable": True} for n in ("a", "b")],
                            "up": {"a": "nick", "b": "nick"}, "down": {"nick": "a"}}}
CHECKED = {"create_constraint": {"name": "small", "table": "people", "type": "check", "columns": ["nick"], "check": "nick = lower(nick)",
                                 "up": {"nick": "lower(nick)"}, "down": {"nick": "nick"}}}
# what else the file does -> the column referred to, the operation, words of the refusal, words of the hint
GOING = {
    "drops the table": ("id", {"drop_table": {"name": "people"}}, "this file drops table public.people", "leave out one"),
    "drops the column": ("nick", {"drop_column": {"table": "people", "column": "nick"}}, 'this file drops column "nick"', "leave out one"),
    "renames the column": ("nick", renamed("nick"), 'this file replaces column "nick"', "after this one"),
    "changes its type": ("id", retyped("id", "bigint"), 'this file replaces column "id"', "after this one"),
    "changes its type to none that fits": ("id", retyped("id", "text"), 'this file replaces column "id"', "after this one"),
    "changes its values": ("nick", CHECKED, 'this file replaces column "nick"', "after this one"),
    "splits the column": ("nick", SPLIT, 'this file drops column "nick"', "leave out one"),
    "drops the unique constraint": ("mail", {"drop_constraint": {"table": "people", "name": "mails"}}, "this file drops constraint mails",
                                    "leave out one"),
    "drops the primary key": ("id", {"drop_constraint": {"table": "people", "name": "people_pkey"}}, "this file drops constraint people_pkey",
                              "leave out one"),
    "drops the unique index": ("nick", {"drop_index": {"name": "nicks"}}, "this file drops index public.nicks", "leave out one"),
}


@pytest.fixture
def proxy(db, segue):
    db.sql(SCHEMA)
    return segue(db)


def refused(proxy, operations, field, *words):
    path = proxy.file({"name": "m", "operations": operations})
    said = " ".join(proxy.cli("plan", path, check=1).err.split())
    assert re.search(re.escape(path.name) + r":\d+: " + re.escape(field) + ": ", said), said
    assert all(word in said for word in words), said


@each(new=NEW, what=GOING, first=[True, False])
def test_a_new_foreign_key_to_what_the_file_takes_away_is_refused(proxy, new, what, first):
    column, other, *words = GOING[what]
    operations = [new(column), other] if first else [other, new(column)]
    refused(proxy, operations, f"operations[{0 if first else 1}].{NEW[new]}", *words)


@each(first=[True, False])
def test_so_is_one_of_a_table_to_itself(proxy, first):
    key, changes = a_new_key("id", "boss", "people"), [retyped("id", "bigint"), retyped("boss", "bigint")]
    refused(proxy, [key, *changes] if first else [*changes, key], f"operations[{0 if first else 2}].create_constraint",
            'this file replaces column "id"', "after this one")


SEEN = made({"name": "m", "type": "mood[]", "nullable": True})
TYPES = {
    "a new table's column of an enum": (made({"name": "m", "type": "mood", "nullable": True}), "create_table.columns[1].type"),
    "a new table's list of one": (SEEN, "create_table.columns[1].type"),
    "a new column of it": ({"add_column": {"table": "gone", "column": {"name": "m", "type": "mood", "nullable": True}}}, "add_column.column.type"),
    "a column that becomes it": ({"alter_column": {"table": "gone", "column": "n", "type": "mood", "up": "NULL", "down": "1"}}, "alter_column.type"),
    "a column split into it": ({"change_columns": {"table": "children", "from": ["mail"],
                                                   "to": [{"name": n, "type": t, "nullable": True} for n, t in (("l", "text"), ("m", "mood"))],
                                                   "up": {"l": "mail", "m": "NULL"}, "down": {"mail": "l"}}}, "change_columns.to[1].type"),
}
REMOVED = [{"drop_column": {"table": "children", "column": "feels"}}, {"drop_column": {"table": "people", "column": "at"}},
           {"remove_enum": {"name": "mood"}}]


@each(case=TYPES)
def test_a_new_column_of_an_enum_that_the_file_removes_is_refused(proxy, case):
    operation, field = TYPES[case]
    refused(proxy, [operation, *REMOVED], "operations[0]." + field, "this file removes type", "leave out one")


COLUMNS = {"create_table.columns[1]": made, "add_column.column": lambda column: {"add_column": {"table": "people", "column": column}}}


@each(field=COLUMNS)
def test_so_is_one_of_a_dropped_tables_rows_or_counted_by_its_sequence(proxy, field):
    rows = COLUMNS[field]({"name": "r", "type": "gone", "nullable": True})
    refused(proxy, [rows, {"drop_table": {"name": "gone"}}], f"operations[0].{field}.type", "this file drops table public.gone")
    counts = COLUMNS[field]({"name": "r", "type": "int", "nullable": True, "default": "nextval('counted_id_seq')"})
    refused(proxy, [counts, {"drop_table": {"name": "counted"}}], f"operations[0].{field}.default", "public.counted_id_seq",
            "ALTER SEQUENCE public.counted_id_seq OWNED BY NONE")
    dropped = {"drop_column": {"table": "counted", "column": "id"}}
    refused(proxy, [counts, dropped], f"operations[0].{field}.default", "public.counted_id_seq")


TWICE = """CREATE SCHEMA "Other"; CREATE TABLE "Other".counted (id serial PRIMARY KEY); CREATE SEQUENCE alone;
CREATE TABLE "Other".owner (id int PRIMARY KEY DEFAULT 1); CREATE SEQUENCE "Other".alone OWNED BY "Other".owner.id"""
# default, what goes -> the sequence that goes with it, None: another one is meant, and all is well
MEANT = {
    ("nextval('counted_id_seq')", "public"): "public.counted_id_seq",
    ("nextval('counted_id_seq')", "Other"): None,
    ("nextval('public.Counted_id_seq'::regclass)", "public"): "public.counted_id_seq",
    ("nextval('public.counted_id_seq'::regclass)", "Other"): None,
    ("nextval('\"Other\".counted_id_seq')", "public"): None,
    ("nextval('\"Other\".counted_id_seq')", "Other"): '"Other".counted_id_seq',
    ("nextval($$\"Other\" . \"counted_id_seq\"$$)", "Other"): '"Other".counted_id_seq',
    ("length('counted_id_seq is not a name')", "public"): None,
    ("nextval('alone')", "public"): None,
}


@each(case=MEANT)
def test_of_sequences_of_one_name_in_two_schemas_the_one_is_judged_that_is_meant(pg, segue, case):
    (default, schema), goes = case, MEANT[case]
    with pg.database() as db:
        db.sql(SCHEMA + ";" + TWICE)
        proxy = segue(db)
        counts = made({"name": "r", "type": "int", "nullable": True, "default": default})
        operations = [counts, {"drop_table": {"name": f'"{schema}".counted'}}]
        if goes:
            refused(proxy, operations, "operations[0].create_table.columns[1].default", f"what sequence {goes} belongs to")
        else:
            proxy.done({"name": "m", "operations": operations})


def test_the_name_of_a_constraint_of_a_table_that_goes_is_not_changed(proxy):
    migration = {"name": "m", "operations": [{"drop_table": {"name": "gone"}},
                                             {"rename_constraint": {"table": "gone", "from": "positive", "to": "above"}}]}
    said = proxy.cli("plan", proxy.file(migration), check=1).out
    assert "constraint positive of public.gone: the file drops its table" in said


STAYS = {
    "the table under another name": ("id", {"rename_table": {"from": "people", "to": "folk"}}, "folk(id)"),
    "another column of it": ("id", {"drop_column": {"table": "people", "column": "name"}}, "people(id)"),
    "another unique index of the column": ("mail", {"drop_index": {"name": "mails_too"}}, "people(mail)"),
}


@each(new=[a_new_table, a_new_key], what=STAYS)
def test_what_the_file_leaves_as_it_is_may_be_referred_to(pg, segue, new, what):
    column, other, shown = STAYS[what]
    with pg.database() as db:
        db.sql(SCHEMA + "; CREATE UNIQUE INDEX mails_too ON people (mail)")
        segue(db).done({"name": "m", "operations": [new(column), other]})
        assert shown in db.one("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND convalidated")


# ---- the file's order ----

CHECK = {"create_constraint": {"name": "fresh", "table": "people", "type": "check", "columns": ["sum"], "check": "sum > 0"}}
UNIQUE = {"create_constraint": {"name": "fresh", "table": "people", "type": "unique", "columns": ["sum"]}}
FOREIGN = a_new_key("id", "sum", "people")
BESIDE = {"alter_column": {"table": "people", "column": "boss", "check": {"name": "fresh", "constraint": "boss <= sum"}}}
INDEX = {"create_index": {"name": "fresh", "table": "people", "columns": ["sum"], "predicate": "sum > 0"}}
ADDED = {"create_constraint": {"name": "fresh", "table": "people", "type": "check", "columns": ["extra"], "check": "extra > 0"}}
EXTRA = {"add_column": {"table": "people", "column": {"name": "extra", "type": "int", "nullable": True}}}
LASTING = {"a check": (CHECK, retyped("sum", "bigint")), "a unique constraint": (UNIQUE, retyped("sum", "bigint")),
           "a foreign key": (FOREIGN, retyped("sum", "bigint")), "a check of two columns": (BESIDE, retyped("sum", "bigint")),
           "an index": (INDEX, retyped("sum", "bigint")), "a check of a new column": (ADDED, EXTRA)}
MADE_SQL = """SELECT coalesce((SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'fresh'),
                              (SELECT indexdef FROM pg_indexes WHERE indexname = 'fresh'))"""


@each(case=LASTING)
def test_what_the_file_makes_on_a_column_is_there_in_the_end_whichever_comes_first(pg, segue, case):
    shown = []
    for turn in (1, -1):
        with pg.database() as db:
            db.sql(SCHEMA)
            segue(db).done({"name": "m", "operations": list(LASTING[case])[::turn]})
            shown.append(db.one(MADE_SQL))
    assert shown[0] and shown[0] == shown[1] and "segue" not in shown[0], shown


@each(other=[renamed("sum"), {"drop_column": {"table": "people", "column": "sum"}}], first=[True, False],
      what={"create_constraint": CHECK, "create_index.columns[0]": INDEX}.items())
def test_what_the_file_would_make_on_a_column_that_goes_is_refused(proxy, other, first, what):
    field, operation = what
    refused(proxy, [operation, other] if first else [other, operation], f"operations[{0 if first else 1}].{field}",
            'column "sum" is not there any more after this file')
