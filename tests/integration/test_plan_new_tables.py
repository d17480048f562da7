"""create_table with what only CREATE TABLE would refuse: plan says it, with file, line and field."""

import json
import re

import pytest
from lib.each import each

pytestmark = pytest.mark.one_version
SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN given AS int NOT NULL; CREATE DOMAIN number AS bigint; CREATE DOMAIN odd AS int CHECK (VALUE % 2 = 1);
CREATE TABLE people (id bigint PRIMARY KEY, name text UNIQUE, at timestamptz UNIQUE, tags int[] UNIQUE, code varchar(9) UNIQUE,
                     sum numeric UNIQUE, feels mood UNIQUE, no number UNIQUE, plain int);
CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42';"""


def column(name="c", of="int", **more):
    return {"name": name, "type": of, **more}


def to(name, table="people"):
    return {"references": {"table": table, "column": name}}


# what is wrong -> the columns of table "made", the field that is named, words of the refusal
REFUSED = {
    "a type that is not there": ([column(of="texd")], "[0].type", 'type "texd" does not exist'),
    "a type that no column has": ([column(of="record")], "[0].type", "pseudo-type"),
    "a system column's name": ([column("xmin")], "[0].name", "system column"),
    "a default of another type": ([column(default="now()")], "[0].default", "cannot cast"),
    "a default that is too long": ([column(of="varchar(3)", default="'long'")], "[0].default", "value too long for type"),
    "a default that its domain forbids": ([column(of="odd", default="4")], "[0].default", "violates check constraint"),
    "a default that is no value": ([column(default="'abc'")], "[0].default", 'invalid input syntax for type integer: "abc"'),
    "a default that wants a cast": ([column(default="'5'::text")], "[0].default", "it is of type text, the column of type"),
    "a default of text for a domain": ([column(of="number", default="'5'::text")], "[0].default", "it is of type text"),
    "a default with a function that is not there": ([column(default="nothing()")], "[0].default", "nothing() does not exist"),
    "a default that reads a column": ([column(), column("d", default="c")], "[1].default", 'column "c" does not exist'),
    "a default with a query": ([column(default="(SELECT 1)")], "[0].default", "subquery"),
    "a default of an aggregate": ([column(default="max(1)")], "[0].default", "aggregate"),
    "a number that counts by itself, and a default": ([column(of="SERIAL", default="1")], "[0].default", "default of its own"),
    "a key that has no order": ([column(of="json", pk=True)], "[0].pk", "operator for type"),
    "a unique column that has none": ([column(of="point", unique=True)], "[0].unique", "operator for type"),
    "a reference of text to a number": ([column(of="text", **to("id"))], "[0].references",
                                        'column "c" is of type text, column "id" that it refers to of type bigint'),
    "a reference of a number to text": ([column(of="serial", **to("name"))], "[0].references", "of type text"),
    "a reference of numeric to bigint": ([column(of="numeric", **to("id"))], "[0].references", "of type numeric"),
    "a reference of a list to a list of others": ([column(of="text[]", **to("tags"))], "[0].references", "of type integer[]"),
    "a reference to an enum": ([column(of="text", **to("feels"))], "[0].references", "mood"),
    "a reference to what is not unique": ([column(**to("plain"))], "[0].references", "no unique constraint of this column"),
    "a reference to a column that is not there": ([column(**to("nothing"))], "[0].references", 'no table "people" with a column'),
    "a reference to itself without a key": ([column(), column("d", **to("c", "made"))], "[1].references", "no unique constraint"),
    "a reference to itself of another type": ([column(pk=True), column("d", "text", **to("c", "made"))], "[1].references",
                                              "of type text"),
    "a reference to one of two keys": ([column(pk=True), column("k", pk=True), column("d", **to("c", "made"))], "[2].references",
                                       "no unique constraint"),
    "a reference to a table further down": ([column(**to("id", "later"))], "[0].references", '"later" is made further down'),
}
LATER = {"create_table": {"name": "later", "columns": [column("id", pk=True)]}}
# what CREATE TABLE takes, some of it only just
TAKEN = [column("id", "bigserial", pk=True), column("a", default="answer()"),
         column("e", "varchar(3)", default="1"), column("f", "bigint[]", default="ARRAY[1, 2]"), column("g", "given", default="7"),
         column("h", "mood", default="'sad'"), column("i", "pair", default="ROW(1, 2)"), column("j", "jsonb", default="'{}'"),
         column("k", "timestamptz", default="current_timestamp"), column("l", "number", default="5"),
         column("m", "numeric(10,2)", default="1.5"), column("n", "fresh", default="'new'"), column("o", default="NULL", nullable=True),
         column("p", **to("id")), column("q", "date", **to("at")), column("r", "text", **to("code")), column("s", "varchar", **to("name")),
         column("t", "int", **to("sum")), column("u", "mood", **to("feels")), column("v", "smallint", **to("no")),
         column("w", "int", **to("id", "made")), column("x", "int[]", **to("tags")), column("y", "fresh", **to("n", "before"))]
BEFORE = {"create_table": {"name": "before", "columns": [column("n", "fresh", unique=True)]}}
ENUM = {"create_enum": {"name": "fresh", "values": ["new", "old"]}}


def file_of(columns, *others):
    return {"name": "m", "operations": [{"create_table": {"name": "made", "columns": columns}}, *others]}


@pytest.fixture
def proxy(db, segue):
    db.sql(SCHEMA)
    return segue(db)


@each(case=REFUSED)
def test_what_create_table_would_refuse_is_refused_by_plan_with_its_place(proxy, case):
    columns, field, words = REFUSED[case]
    path = proxy.file(file_of(columns, LATER))
    said = proxy.cli("plan", path, check=1).err
    place = "operations[0].create_table.columns" + field
    assert re.search(re.escape(path.name) + r":\d+: " + re.escape(place) + ": ", said) and words in said, said
    assert "reference of" not in case or "give both columns one type" in said


def test_a_table_has_at_most_1600_columns(proxy):
    assert "at most 1600" in proxy.cli("plan", proxy.file(file_of([column(f"c{i}") for i in range(1601)])), check=1).err


def test_what_create_table_takes_is_taken(db, proxy):
    name = proxy.done({"name": "m", "operations": [ENUM, BEFORE, {"create_table": {"name": "made", "columns": TAKEN}}]})
    assert db.one("SELECT count(*) FROM pg_attribute WHERE attrelid = 'made'::regclass AND attnum > 0") == len(TAKEN)
    assert db.one("SELECT count(*) FROM pg_constraint WHERE conrelid = 'made'::regclass AND contype = 'f'") == 10
    assert proxy.phase(name) == "done"


def test_a_type_that_the_files_own_statements_make_is_a_warning(db, proxy):
    migration = {"name": "m", "operations": [
        {"sql": {"up": "CREATE DOMAIN short AS varchar(3)", "down": "DROP DOMAIN short"}},
        {"create_table": {"name": "made", "columns": [column(of="short", default="'x'")]}}]}
    assert "not checked any further" in proxy.cli("plan", proxy.file(migration)).out
    proxy.done(migration)
    assert json.dumps(db.sql("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'made'::regclass AND attnum = 1")) == '[["short"]]'


MADE = {"create_table": {"name": "made", "columns": [column("id", pk=True), column("no"), column("name", "text", unique=True)]}}


def link(to_column, **more):
    return {"create_constraint": {"name": "k", "table": "children", "type": "foreign_key", "columns": ["of"],
                                  "references": {"table": "made", "columns": [to_column]}, **more}}


# a foreign key of a live table to a new one, which only the cut-over would make -> what is wrong with it
TO_MADE = {"nothing": 'table "made" of this file has no column "nothing"', "no": "no unique constraint of this column",
           "name": 'column "of" is of type bigint, column "name" that it refers to of type text'}


def test_a_foreign_key_of_a_table_in_use_to_a_new_one_is_judged_by_plan(db, proxy):
    db.sql("CREATE TABLE children (id bigint PRIMARY KEY, of bigint)")
    for name, words in TO_MADE.items():
        said = proxy.cli("plan", proxy.file({"name": "m", "operations": [MADE, link(name)]}), check=1)
        assert words in said.err and "operations[1].create_constraint" in said.err, said
    proxy.done({"name": "m", "operations": [MADE, link("no"), {
        "create_index": {"name": "made_no", "table": "made", "columns": ["no"], "unique": True}}]})
    assert db.one("SELECT convalidated FROM pg_constraint WHERE conrelid = 'children'::regclass AND contype = 'f'")


def test_a_foreign_key_may_be_between_columns_of_different_collations(db, proxy):
    db.sql('CREATE TABLE codes (id text COLLATE "C" PRIMARY KEY, plain text UNIQUE); INSERT INTO codes VALUES (\'a\', \'b\');'
           'CREATE TABLE children (id bigint PRIMARY KEY, of text COLLATE "POSIX", also text COLLATE "C"); INSERT INTO children VALUES (1, \'a\', \'b\')')
    proxy.done({"name": "m", "operations": [
        {"rename_column": {"table": "children", "from": "also", "to": "too"}},
        *({"create_constraint": {"name": f"{own}_k", "table": "children", "type": "foreign_key", "columns": [own],
                                 "references": {"table": "codes", "columns": [its]}}} for own, its in (("of", "id"), ("too", "plain")))]})
    assert db.sql("SELECT convalidated FROM pg_constraint WHERE conrelid = 'children'::regclass AND contype = 'f'") == [(True,), (True,)]


def test_a_table_is_told_from_a_new_one_of_its_name_in_another_schema(db, proxy):
    db.sql("CREATE SCHEMA other; CREATE TABLE children (id bigint PRIMARY KEY, of bigint)")
    proxy.done({"name": "m", "operations": [
        {"create_table": {"name": "other.people", "columns": [column("no", "bigint", pk=True)]}},
        {"create_index": {"name": "people_plain", "table": "people", "columns": ["plain"]}},
        {"create_index": {"name": "people_no", "table": "other.people", "columns": ["no"]}},
        {"add_column": {"table": "people", "column": column("more", nullable=True)}},
        {"create_constraint": {"name": "here", "table": "children", "type": "foreign_key", "columns": ["id"],
                               "references": {"table": "people", "columns": ["id"]}}},
        {"create_constraint": {"name": "there", "table": "children", "type": "foreign_key", "columns": ["of"],
                               "references": {"table": "other.people", "columns": ["no"]}}}]})
    assert db.sql("SELECT indexrelid::regclass::text, indrelid::regclass::text FROM pg_index WHERE indexrelid::regclass::text ~ 'people_(no|plain)$'"
                  " ORDER BY 1") == [("other.people_no", "other.people"), ("people_plain", "people")]
    assert db.sql("SELECT conname, confrelid::regclass::text FROM pg_constraint WHERE conrelid = 'children'::regclass AND contype = 'f'"
                  " ORDER BY 1") == [("here", "people"), ("there", "other.people")]


def test_every_table_that_a_new_one_refers_to_is_held_at_the_gate(db, proxy):
    db.sql("CREATE TABLE person (id bigint PRIMARY KEY)")
    file = proxy.file({"name": "m", "operations": [{"create_table": {"name": "made", "columns": [
        column("a", "bigint", **to("id")), column("b", "bigint", **to("id", "person")), column("c", "bigint", **to("id", "perso"))]}}]})
    db.sql("CREATE TABLE perso (id bigint PRIMARY KEY)")
    steps = json.loads(proxy.cli("plan", file, "--json").out)
    assert "people, person, perso" in json.dumps(steps), steps


LINKS = {
    "of another table": {"table": "children", "column": "of", "references": {"table": "people", "columns": ["id"]}},
    "of itself": {"table": "children", "column": "of", "references": {"table": "children", "columns": ["id"]}},
}


def test_a_new_foreign_key_between_types_that_only_compare_is_refused(db, proxy):
    """numeric = bigint is an operator; a foreign key wants more."""
    db.sql("CREATE TABLE children (id bigint PRIMARY KEY, of numeric)")
    for link in LINKS.values():
        key = {"create_constraint": {"name": "k", "table": link["table"], "type": "foreign_key", "columns": [link["column"]],
                                     "references": link["references"]}}
        said = proxy.cli("plan", proxy.file({"name": "m", "operations": [key]}), check=1).err
        assert 'column "of" is of type numeric' in said and "bigint" in said
