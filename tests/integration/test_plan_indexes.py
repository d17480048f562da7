"""`plan` tries an index on an empty copy of its table: what the server would not make is told in its words, before anything is made."""

import pytest
from lib import catalog

pytestmark = pytest.mark.newest_unless_told

SCHEMA = """
CREATE TABLE items (id bigint PRIMARY KEY, label text, n int, j json, at timestamptz, half int GENERATED ALWAYS AS (n / 2) STORED);
INSERT INTO items (id, label, n) SELECT i, 'l' || i, i FROM generate_series(1, 50) i;
"""
VIRTUAL = "ALTER TABLE items ADD twice int GENERATED ALWAYS AS (n * 2) VIRTUAL"


def index(*columns, table="items", **fields):
    return {"create_index": {"table": table, "name": "ix", "columns": list(columns), **fields}}


def unique(column, kind="unique"):
    return {"create_constraint": {"table": "items", "name": "c", "type": kind, "columns": [column]}}


RETYPE = {"alter_column": {"table": "items", "column": "n", "type": "json", "up": "to_json(n)", "down": "n::text::int"}}
ADD = {"add_column": {"table": "items", "column": {"name": "doc", "type": "json", "nullable": True}}}
MADE = {"create_table": {"name": "made", "columns": [{"name": "id", "type": "serial", "pk": True}, {"name": "doc", "type": "json"}]}}
REFUSED = {
    "json in a btree": ([index("j")], "data type json has no default operator class"),
    "a column that becomes json": ([RETYPE, index("n")], "data type json has no default operator class"),
    "a new column of json": ([ADD, index("doc")], "data type json has no default operator class"),
    "json of a new table": ([MADE, index("doc", table="made")], "data type json has no default operator class"),
    "a column that a new table has not": ([MADE, index("nothing", table="made")], '"nothing" does not exist'),
    "hash over two": ([index("n", "label", method="hash")], 'method "hash" does not support multicolumn indexes'),
    "hash that sorts": ([index({"column": "n", "sort": "DESC"}, method="hash")], 'method "hash" does not support ASC/DESC options'),
    "a unique brin": ([index("n", method="brin", unique=True)], 'method "brin" does not support unique indexes'),
    "a volatile predicate": ([index("n", predicate="n > random()")], "must be marked IMMUTABLE"),
    "a stable predicate": ([index("n", predicate="at > now()")], "must be marked IMMUTABLE"),
    "a predicate of another type": ([index("n", predicate="label")], "must be type boolean"),
    "a virtual column": ([index("twice")], "indexes on virtual generated columns are not supported"),
    "a unique virtual column": ([unique("twice")], "on virtual generated columns are not supported"),
}


@pytest.fixture(scope="module")
def planner(planner_of, pg_version):
    return planner_of(SCHEMA, *([VIRTUAL] if pg_version >= 18 else []))


@pytest.mark.parametrize("what", REFUSED)
def test_an_index_that_the_server_would_not_make_is_refused_in_its_words(planner, pg_version, what):
    operations, said = REFUSED[what]
    if "virtual" in what and pg_version < 18:
        pytest.skip("virtual generated columns come with PostgreSQL 18")
    file = planner.file({"name": "bad", "operations": operations})
    for command in ("plan", "start"):
        refused = planner.cli(command, file, check=1).err
        assert said in refused and f"operations[{len(operations) - 1}]." in refused


FILE = {"name": "good", "operations": [
    {"create_enum": {"name": "state", "values": ["new", "paid"]}},
    {"create_table": {"name": "made", "columns": [{"name": "id", "type": "serial", "pk": True}, {"name": "s", "type": "state"}]}},
    {"alter_column": {"table": "items", "column": "n", "type": "bigint", "up": "n", "down": "n::int"}},
    {"add_column": {"table": "items", "column": {"name": "s", "type": "state", "nullable": True}}},
    {"create_index": {"table": "items", "name": "i_n", "columns": ["n", "half"], "predicate": "n > 0 AND s IS NULL"}},
    {"create_index": {"table": "items", "name": "i_s", "columns": [{"column": "s", "sort": "DESC"}]}},
    {"create_index": {"table": "items", "name": "i_u", "columns": ["id", "n"], "unique": True}},
    {"create_index": {"table": "made", "name": "m_s", "columns": ["s"], "method": "hash"}},
    {"create_constraint": {"table": "items", "name": "label_once", "type": "unique", "columns": ["label"]}}]}
NAMES = ("i_n", "i_s", "i_u", "m_s", "label_once")


def test_an_index_that_is_tried_leaves_nothing_and_is_made(db, segue):
    db.sql(SCHEMA.replace(", half int GENERATED ALWAYS AS (n / 2) STORED", ", half int"))
    proxy = segue(db)
    with db.connect() as conn:
        before = catalog.whole(conn, without=())
        shown = proxy.cli("plan", proxy.file(FILE)).out
        assert "could not be tried" not in shown and "label_once" in shown
        assert "index i_u: a unique index cannot wait for the cut-over" in shown
        assert catalog.difference(before, catalog.whole(conn, without=())) == []
    proxy.done(FILE)
    for name in NAMES:
        assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", name)


@pytest.mark.one_version
def test_what_the_files_statements_make_first_is_only_warned_of(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    made = {"sql": {"up": "CREATE FUNCTION odd(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 % 2 = 1'"}}
    file = {"name": "m", "operations": [made, index("n", predicate="odd(n)")]}
    assert "function odd(integer) does not exist" in proxy.cli("plan", proxy.file(file)).out
    never = {"name": "never", "operations": [made, index("n", "label", method="hash")]}  # whatever they make
    assert "does not support multicolumn indexes" in proxy.cli("plan", proxy.file(never), check=1).err
    proxy.done(file)
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix'::regclass")


@pytest.mark.one_version
def test_a_role_that_may_not_make_temporary_tables_is_told_and_makes_the_index(db, segue):
    db.sql(SCHEMA)
    db.sql(f'REVOKE TEMPORARY ON DATABASE "{db.name}" FROM PUBLIC; GRANT CREATE ON DATABASE "{db.name}" TO app;'
           "ALTER TABLE items OWNER TO app; GRANT CREATE ON SCHEMA public TO app")
    proxy = segue(upstream=db.url("app"))
    file = {"name": "m", "operations": [index("n")]}
    shown = proxy.cli("plan", proxy.file(file)).out
    assert "could not be tried" in shown and "permission denied to create temporary tables" in shown
    proxy.done(file)
    assert db.one("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix'::regclass")
