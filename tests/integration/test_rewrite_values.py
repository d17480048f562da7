"""INSERT of many rows of constants into a table in dual-write: what is stored, and what is said, is what
another table of the same columns stores and says, which no migration knows."""

from collections import namedtuple

import psycopg
import pytest
from lib.each import each
from lib.operations import migrated

pytestmark = pytest.mark.newest_unless_told

TYPES = {  # two texts of each
    "text": ("a", "it''s"), "varchar(3)": ("abc", ""), "char(4)": ("a", "ab  "), "name": ("a", "b"), "bytea": ("\\x00ff", "x"),
    "smallint": ("1", "-2"), "int": ("7", " 8 "), "bigint": ("9000000000", "1"), "numeric(6,2)": ("1.239", "2"), "real": ("1e3", "NaN"),
    "double precision": ("-0", "0.1"), "boolean": ("t", "off"), "date": ("2026-02-28", "infinity"),
    "timestamptz(0)": ("2026-01-01 10:00:00.7+02", "2026-01-02"), "timestamp": ("2026-01-01 10:00:00.7", "epoch"),
    "time(1)": ("10:00:00.77", "allballs"), "interval(0)": ("1 day 00:00:01.6", "00:00:00.4"), "uuid": (
        "00000000-0000-0000-0000-000000000001", "{00000000-0000-0000-0000-000000000002}"),
    "json": ('{"b": 1,  "a":2}', "[]"), "jsonb": ('{"b": 1,  "a":2}', "1.50"), "xml": ("<a/>", "x"), "point": ("(1,2)", "3,4"),
    "int[]": ("{1,2}", "[0:1]={3,4}"), "int4range": ("[1,3]", "empty"), "inet": ("10.0.0.1/8", "::1"), "bit(3)": ("101", "111"),
    "varbit(5)": ("1", "10101"), "citext": ("a", "A"), "mood": ("sad", "happy"), "positive": ("1", "2"), "pair": ("(1,a)", "(,)"),
    "money": ("1", "2.5"), "tsvector": ("b a", "c:1"), "oid": ("1", "2")}
COLUMNS = [f"c{i}" for i in range(len(TYPES))]


World = namedtuple("World", "database proxy name through direct")


@pytest.fixture(scope="module", params=["old", "new"])
def world(request, clusters, pg_version, tmp_path_factory):
    def fill(database):
        database.sql("CREATE TYPE mood AS ENUM ('sad', 'happy')")
        database.sql("CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
        database.sql("CREATE TYPE pair AS (n int, t text)")
        columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES))
        for table in ("items", "others"):
            database.sql(f'CREATE TABLE {table} (id bigserial PRIMARY KEY, "label" text, {columns})')
        database.sql("CREATE TABLE spans (label text, t interval hour, u interval minute to second)")
        database.sql("CREATE DOMAIN hours AS interval hour")
        database.sql("CREATE DOMAIN shifts AS hours")
        database.sql("CREATE TABLE waits (label text, t hours)")
        database.sql("CREATE TABLE turns (label text, t shifts)")

    migration = {"name": "values", "operations": [{"rename_column": {"table": table, "from": "label", "to": "path"}}
                                                  for table in ("items", "spans", "waits", "turns")]}
    with migrated(clusters.get(pg_version), tmp_path_factory.mktemp("values"), migration, fill,
                  cut_over=request.param == "new") as (database, proxy):
        if request.param == "new":
            database.sql("ALTER TABLE others RENAME label TO path")
        with proxy.connect() as through:
            yield World(database, proxy, "label" if request.param == "old" else "path", through, database.connect())


def said(conn, sql):
    """The rows that come back, or what the server complains of, and where."""
    try:
        return conn.execute(sql.encode()).fetchall()
    except psycopg.Error as error:
        return (error.sqlstate, error.diag.message_primary.replace("others", "items"), error.diag.statement_position,
                (error.diag.constraint_name or "").replace("others", "items"))


def same(world, sql):
    got = said(world.through, sql.replace("{table}", "items "))  # of the same length: positions are compared
    assert got == said(world.direct, sql.replace("{table}", "others"))
    assert world.database.one("SELECT count(*) FROM items WHERE label IS DISTINCT FROM path") == 0
    return got


def sent(world):
    return [row["sent_instead"] or "" for row in world.proxy.console("SHOW REWRITES")]


@each(kind=TYPES)
def test_literals_are_what_the_column_makes_of_them(world, kind):
    column, (one, two) = COLUMNS[list(TYPES).index(kind)], TYPES[kind]
    rows = ", ".join(f"('l{i}', {value})" for i, value in enumerate([f"'{one}'", f"'{two}'", "NULL"] * 3))
    got = same(world, f"INSERT INTO {{table}} ({world.name}, {column}) VALUES {rows} RETURNING {world.name}, {column}::text")
    assert len(got) == 9 and got[0][1] is not None
    if "\\" not in one:
        assert any(f"(NULL::public.items).{column}" in text for text in sent(world))


def test_intervals_of_fields_of_their_own_are_read_by_them(world):
    rows = ", ".join(["('l', '5', '1:30')"] * 9)
    got = world.through.execute(f"INSERT INTO spans ({world.name}, t, u) VALUES {rows} RETURNING t::text, u::text".encode()).fetchall()
    assert got == [("05:00:00", "00:01:30")] * 9


@each(table=["waits", "turns"])
def test_domains_of_such_intervals_are_read_by_them(world, table):
    rows = ", ".join(["('l', '5')"] * 9)
    got = world.through.execute(f"INSERT INTO {table} ({world.name}, t) VALUES {rows} RETURNING t::text".encode()).fetchall()
    assert got == [("05:00:00",)] * 9


@each(kind=TYPES)
def test_numbers_are_what_the_column_makes_of_them(world, kind):
    column = COLUMNS[list(TYPES).index(kind)]
    for values in (["NULL", "1", "-2"] * 3, ["1", "70000"] * 5):
        rows = ", ".join(f"('l', {value})" for value in values)
        got = same(world, f"INSERT INTO {{table}} ({world.name}, {column}) VALUES {rows} RETURNING {column}::text")
        if isinstance(got, tuple):
            assert got[0] in ("42804", "22001", "22003", "23514")


# column: a value that it takes, and one that it does not
GOOD_AND_BAD = {"c5": ("1", "x"), "c1": ("a", "abcd"), "c13": ("2026-01-01", "2026-13-01"), "c28": ("sad", "glad"), "c29": ("1", "-1"),
                "c25": ("101", "10")}


@each(column=GOOD_AND_BAD, row=[0, 5])
def test_errors_are_the_same_at_the_same_place(world, column, row):
    good, bad = GOOD_AND_BAD[column]
    rows = ", ".join(f"('é', '{bad if i == row else good}')" for i in range(9))
    assert isinstance(same(world, f"INSERT INTO {{table}} ({world.name}, {column}) VALUES {rows} RETURNING 1"), tuple)


def test_a_duplicate_key_and_a_conflict_clause_meet_many_rows(world):
    rows = ", ".join(f"({i % 9 + 100000}, 'label {i}')" for i in range(10))
    insert = f"INSERT INTO {{table}} (id, {world.name}) VALUES {rows}"
    assert same(world, f"{insert} RETURNING 1")[0] == "23505"
    assert len(same(world, f"{insert} ON CONFLICT (id) DO NOTHING RETURNING id, {world.name}")) == 9
    assert same(world, f"{insert} ON CONFLICT (id) DO UPDATE SET {world.name} = 'x' RETURNING id")[0] == "21000"


def test_rows_without_a_column_list_and_defaults_in_order(world):
    if world.name == "label":  # a new column is the last one
        rows = ", ".join(f"({i + 200000}, 'label {i}', 'c')" for i in range(10))
        assert len(same(world, f"INSERT INTO {{table}} VALUES {rows} RETURNING id, c0")) == 10
    rows = ", ".join(f"('serial {i}')" for i in range(10))
    got = same(world, f"INSERT INTO {{table}} ({world.name}) VALUES {rows} RETURNING {world.name}")
    assert got == [(f"serial {i}",) for i in range(10)]


def test_a_column_that_got_another_type_meanwhile_takes_what_it_takes(world):
    """The rules of the migration were made before; what they say of a row does not depend on types."""
    database, name = world.database, world.name
    rows = ", ".join(f"('l', '{i}')" for i in range(10))
    insert = f"INSERT INTO {{table}} ({name}, extra) VALUES {rows} RETURNING extra"
    for table in ("items", "others"):
        database.sql(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS extra text")
    assert same(world, insert)[3] == ("3",)
    for table in ("items", "others"):
        database.sql(f"ALTER TABLE {table} ALTER COLUMN extra TYPE int USING extra::int")
    assert same(world, insert)[3] == (3,)


def test_a_user_who_may_only_insert_inserts_many_rows(world):
    database, proxy, name = world[:3]
    rows = ", ".join(f"('only {i}', 'x')" for i in range(10))
    database.sql(f"GRANT INSERT ({name}, c0), SELECT (c0) ON items TO app")
    database.sql("GRANT USAGE ON SEQUENCE items_id_seq TO app")
    with proxy.connect(user="app") as conn:
        assert conn.execute(f"INSERT INTO items ({name}, c0) VALUES {rows}".encode()).rowcount == 10
    assert database.one("SELECT count(*) FROM items WHERE label LIKE 'only %' AND label = path") == 10


@pytest.mark.one_version
def test_rows_that_are_many_and_written_twice_go_to_the_columns_of_their_session(db, segue):
    """Each of them has an edit of its own: that these are many must not send the text as it was written."""
    db.sql("CREATE TABLE items (id int, label text, note text, filler text)")
    proxy = segue(db)
    proxy.soaking({"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]})
    rows = ",".join(f"({n},'','',.5)" for n in range(10000, 71000))
    assert 950_000 < len(rows) < 1_040_000
    with proxy.connect(options="-c segue.schema=new") as conn:
        assert conn.execute(f"INSERT INTO items VALUES {rows}").rowcount == 61000
    assert db.sql("SELECT label, title, note, filler, count(*) FROM items GROUP BY 1, 2, 3, 4") == [("0.5", "0.5", "", "", 61000)]
