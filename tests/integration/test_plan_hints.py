"""Refusals say what is in the way, where it stands in the file, and what to do."""

import pytest

pytestmark = pytest.mark.one_version
SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, n int, CONSTRAINT c CHECK (n > 0));
CREATE INDEX ix ON items (n);
CREATE VIEW v AS SELECT * FROM items;
CREATE MATERIALIZED VIEW mv AS SELECT * FROM items;
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE TYPE pair AS (a int, b int);
CREATE SEQUENCE seq;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE far (id int, n int) SERVER elsewhere;
"""


def said(proxy, *operations):
    """What `plan` refuses with: not a step of what cannot be done, and what to do."""
    shown = proxy.cli("plan", proxy.file({"name": "m", "operations": list(operations)}), check=1)
    assert "hint: " in shown.out + shown.err, shown.out + shown.err
    return shown.out + shown.err


def on(table):
    """Operations of all rooms on the table, and the field that names it."""
    return [({"add_column": {"table": table, "column": {"name": "z", "type": "int", "nullable": True}}}, "add_column.table"),
            ({"rename_column": {"table": table, "from": "n", "to": "m"}}, "rename_column.table"),
            ({"create_index": {"table": table, "name": "i", "columns": ["n"]}}, "create_index.table"),
            ({"drop_table": {"name": table}}, "drop_table.name"),
            ({"rename_table": {"from": table, "to": "u"}}, "rename_table.from"),
            ({"set_replica_identity": {"table": table, "identity": {"type": "full"}}}, "set_replica_identity.table")]


KINDS = {"v": ("it is not a table but a view", "CREATE OR REPLACE VIEW"),
         "mv": ("it is not a table but a materialized view", "make it again, in an sql operation"),
         "far": ("it is not a table but a foreign table", "on the server that has its rows"),
         "seq": ("it is not a table but a sequence", "ALTER SEQUENCE"),
         "pair": ("it is not a table but a composite type", "ALTER TYPE"),
         "ix": ("it is not a table but an index", "name the table that it is of"),
         "pg_catalog.pg_class": ("it is not a user's table", "name a table of your own"),
         "information_schema.sql_parts": ("it is not a user's table", "name a table of your own")}


@pytest.mark.parametrize("table", KINDS)
def test_what_is_no_table_of_a_user_is_refused_with_what_to_do(db, segue, table):
    db.sql(SCHEMA)
    proxy = segue(db)
    what, todo = KINDS[table]
    for operation, field in on(table):
        text = said(proxy, operation)
        assert what in text and todo in text and f"operations[0].{field}: " in text, text
        assert "ALTER TABLE" not in text and "DROP TABLE" not in text and "CREATE INDEX" not in text, text


def test_a_table_whose_name_is_misspelt_is_found(db, segue):
    db.sql('CREATE SCHEMA shop; CREATE TABLE shop."Items" (id int, n int); CREATE TABLE orders (id int, n int)')
    proxy = segue(db)
    for table, meant in (("order", "public.orders"), ("items", 'shop."Items"'), ("shop.Itemz", 'shop."Items"')):
        for operation, field in on(table)[:2]:
            text = said(proxy, operation)
            assert f'operations[0].{field}: table "{table}" does not exist' in text and f"did you mean {meant}? " in text, text
    text = said(proxy, on("nothing_like_it")[0][0])
    assert "hint: look at the connection's search_path" in text and "did you mean" not in text


def test_a_temporary_table_is_refused_and_one_that_hides_a_table_is_not_taken_for_it(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    with db.connect() as conn:
        conn.execute("CREATE TEMP TABLE items (id int, n int)")
        name = conn.execute("SELECT pg_my_temp_schema()::regnamespace || '.items'").fetchone()[0]
        for operation, field in on(name):
            text = said(proxy, operation)
            assert f"{name}: it is a temporary table" in text and "in the session whose it is" in text and f"operations[0].{field}: " in text, text
        plan = proxy.cli("plan", proxy.file({"name": "m", "operations": [on("items")[0][0]]})).out
        assert "ALTER TABLE public.items ADD COLUMN" in plan and "pg_temp" not in plan


TAKEN = {
    "table": {"create_table": {"name": "items", "columns": [{"name": "id", "type": "int"}]}},
    "table of a type's name": {"create_table": {"name": "mood", "columns": [{"name": "id", "type": "int"}]}},
    "index": {"create_index": {"table": "items", "name": "ix", "columns": ["n"]}},
    "column": {"add_column": {"table": "items", "column": {"name": "n", "type": "int", "nullable": True}}},
    "system column": {"add_column": {"table": "items", "column": {"name": "ctid", "type": "int", "nullable": True}}},
    "renamed column": {"rename_column": {"table": "items", "from": "n", "to": "id"}},
    "constraint": {"create_constraint": {"table": "items", "name": "c", "type": "check", "check": "n > 1"}},
    "index of a constraint": {"create_constraint": {"table": "items", "name": "ix", "type": "unique", "columns": ["n"]}},
    "renamed constraint": {"rename_constraint": {"table": "items", "from": "c", "to": "items_pkey"}},
    "renamed table": {"rename_table": {"from": "items", "to": "v"}},
    "enum": {"create_enum": {"name": "mood", "values": ["a"]}},
    "enum of a table's name": {"create_enum": {"name": "items", "values": ["a"]}},
    "enum's value": {"add_enum_value": {"name": "mood", "value": "a", "after": "b"}},
}
PAIRS = {
    "column": [{"add_column": {"table": "items", "column": {"name": "z", "type": "int", "nullable": True}}}] * 2,
    "index": [{"create_index": {"table": "items", "name": "i", "columns": ["n"]}}] * 2,
    "dropped": [{"drop_table": {"name": "items"}}] * 2,
    "renamed": [{"rename_table": {"from": "items", "to": "a"}}, {"rename_table": {"from": "items", "to": "b"}}],
}


def test_a_name_that_is_taken_is_refused_with_what_to_do(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    for what, operation in TAKEN.items():
        text = said(proxy, operation)
        wanted = "leave it out: values cannot be moved" if "value" in what else "choose another name"
        assert f"hint: {wanted}" in text and f"operations[0].{next(iter(operation))}" in text, f"{what}: {text}"
    for what, operations in PAIRS.items():
        assert "operations[1]" in said(proxy, *operations), what


REFUSED_SQL = {
    "CLUSTER items USING items_pkey": "outside of the migration", "ALTER DATABASE x SET work_mem = 1": "outside of the migration",
    "ALTER DATABASE x CONNECTION LIMIT 5": "outside of the migration", "CREATE DATABASE x": "outside of the migration",
    "DROP DATABASE x": "outside of the migration", "ALTER SYSTEM SET work_mem = 1": "outside of the migration",
    "CREATE TABLESPACE x LOCATION '/tmp'": "outside of the migration", "DROP SUBSCRIPTION x": "outside of the migration",
    "EXPLAIN SELECT 1": "outside of the migration", "ALTER DOMAIN d ADD CHECK (value > 0)": "create_constraint",
    "PREPARE p AS SELECT 1": "write the statement itself", "LISTEN x": "leave it out", "SET LOCAL lock_timeout = 0": "leave it out",
    "DECLARE x CURSOR FOR SELECT 1": "DO block", "DELETE FROM segue.migrations": "leave it out",
    "ALTER TABLE pg_class SET (fillfactor = 50)": "leave it out"}


def test_a_statement_that_is_refused_says_what_to_do_instead(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    for statement, todo in REFUSED_SQL.items():
        text = said(proxy, {"sql": {"up": statement, "down": "SELECT 1"}})
        assert todo in text and "operations[0].sql.up" in text and "statement 1, " in text, f"{statement}: {text}"


NOTICED = {
    "UPDATE items SET n = 1": "statement 1, UPDATE: without WHERE it writes every row",
    "UPDATE items i SET n = v.n FROM v": "without WHERE it writes every row",
    "DELETE FROM public.items": "statement 1, DELETE: without WHERE it deletes every row",
    "SELECT 1; WITH gone AS (DELETE FROM items RETURNING n) SELECT n FROM gone": "statement 2, DELETE: without WHERE",
    "TRUNCATE items": "statement 1, TRUNCATE: it empties the table for old and new revisions",
    "SELECT n FROM items FOR UPDATE": "statement 1, SELECT ... FOR UPDATE or SHARE: it holds its rows",
    "SELECT i.n FROM items i JOIN v ON true WHERE i.id = 1 FOR NO KEY UPDATE OF i": "it holds its rows"}
UNNOTICED = ("UPDATE items SET n = 1 WHERE id = 1", "DELETE FROM items WHERE false", "SELECT n FROM items", "INSERT INTO items SELECT 3",
             "UPDATE made SET a = 1", "TRUNCATE made; DELETE FROM made; SELECT a FROM made FOR UPDATE",
             "SELECT v.n FROM items i, made AS v FOR SHARE OF v")


def test_statements_that_hold_rows_or_empty_tables_are_warned_of(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    made = {"create_table": {"name": "made", "columns": [{"name": "a", "type": "int", "nullable": True}, {"name": "n", "type": "int", "nullable": True}]}}
    for statement, wanted in NOTICED.items():
        text = proxy.cli("plan", proxy.file({"name": "m", "operations": [made, {"sql": {"up": statement, "down": "SELECT 1"}}]})).out
        assert "public.items: operations[1].sql.up, " in text and wanted in text and "hint: " in text, f"{statement}: {text}"
    for statement in UNNOTICED:
        text = proxy.cli("plan", proxy.file({"name": "m", "operations": [made, {"sql": {"up": statement, "down": "SELECT 1"}}]})).out
        assert "operations[1].sql.up, statement" not in text, f"{statement}: {text}"
    both = {"name": "m", "operations": [{"add_column": {"table": "items", "column": {"name": "z", "type": "int", "nullable": True}}},
                                        {"sql": {"up": "SELECT 1", "down": "DELETE FROM items"}}]}
    assert "operations[1].sql.down, statement 1, DELETE" in proxy.cli("plan", proxy.file(both)).out


def alter(**more):
    return {"alter_column": {"table": "rows", **more}}


JSON = "segue.json_or_wrap"
# what fails on rows that are there -> the operation, the field, what is said of it, what to do
ROWS = {
    "the type alone": (alter(column="t", type="int", down="t::text"), "type", "up, which is t::integer, fails for 1 of 2 rows", 'give an "up"'),
    "up": (alter(column="t", type="int", up="t::int", down="t::text"), "up", "up fails for 1 of 2 rows looked at (ctid (0,2): invalid",
           "let it handle these rows, or mend them"),
    "up to jsonb": (alter(column="t", type="jsonb", up="t::jsonb", down="t::text"), "up", "up fails for 1 of 2 rows", JSON),
    "up that does more than to wrap": (alter(column="t", type="jsonb", up=f"jsonb_build_array({JSON}(t), t::int)", down="t ->> 0"), "up",
                                       "up fails for 1 of 2 rows", "let it handle these rows"),
    "up that wraps, and down": (alter(column="t", type="jsonb", up=f"{JSON}(t)", down="t::int::text"), "down", "down fails for 1 of 2 rows", "what these rows"),
    "down": (alter(column="t", type="varchar", up="t", down="t::int::text"), "down", "down fails for 1 of 2 rows", "what these rows become"),
    "up gives NULL": (alter(column="n", type="text", up="nullif(n, 1)::text", down="n::int"), "up", "up gives NULL for 1 of 2 rows", "give a value"),
    "up of a new column": ({"add_column": {"table": "rows", "column": {"name": "z", "type": "int"}, "up": "t::int"}}, "up", "up fails for 1", "handle"),
    "down of a column that goes": ({"drop_column": {"table": "rows", "column": "n", "down": "t::int"}}, "down", "down fails for 1", "handle"),
    "up of a split": ({"change_columns": {"table": "rows", "from": ["t"], "to": [{"name": x, "type": "int"} for x in "ab"],
                                          "up": {"a": "t::int", "b": "1"}, "down": {"t": "a::text"}}}, "up", "up fails for 1", "handle"),
    "down of a split": ({"change_columns": {"table": "rows", "from": ["t"], "to": [{"name": x, "type": "text"} for x in "ab"],
                                            "up": {"a": "t", "b": "t"}, "down": {"t": "a::int::text"}}}, "down", "down fails for 1", "handle"),
    "up of a constraint": ({"create_constraint": {"table": "rows", "name": "k", "type": "check", "check": "t > ''", "columns": ["t"],
                                                  "up": {"t": "(t::int)::text"}, "down": {"t": "t"}}}, "up", "up fails for 1", "handle"),
    "up of a partitioned table": ({"alter_column": {"table": "parts", "column": "t", "type": "int", "up": "t::int", "down": "t::text"}}, "up",
                                  "rows looked at (part ctid (0,1): invalid", "handle"),
}


def test_what_fails_on_rows_that_are_there_is_told_with_its_place_in_the_file(db, segue):
    db.sql("CREATE TABLE rows (id int PRIMARY KEY, t text, n int NOT NULL DEFAULT 0); INSERT INTO rows VALUES (1, '1', 1), (2, 'x', 2);"
           "CREATE TABLE parts (id int, t text) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF parts DEFAULT; INSERT INTO parts VALUES (1, 'x')")
    proxy = segue(db)
    for what, (operation, field, words, todo) in ROWS.items():
        kind = next(iter(operation))
        file = proxy.file({"name": "m", "operations": [operation]})
        line = 1 + next(i for i, text in enumerate(file.read_text().splitlines()) if f'"{field}":' in text and "type\": \"check" not in text)
        done = proxy.cli("start", file, check=1)
        assert f"m.json:{line}: operations[0].{kind}.{field}: " in done.err and words in done.err and todo in done.err, f"{what}: {done.err}"
        assert (JSON in done.err) == (todo == JSON), f"{what}: {done.err}"


def test_before_the_first_start_segues_own_functions_keep_no_mistake_from_being_told(db, segue):
    """They come with the first migration: until then the server cannot be asked for what calls them."""
    db.sql("CREATE TABLE rows (id int PRIMARY KEY, t text)")
    proxy = segue(db)
    text = said(proxy, alter(column="t", type="jsonb", up=f"{JSON}(tt)", down="segue.json_unwrap(t)"))
    assert "operations[0].alter_column.up: column \"tt\" does not exist" in text, text
    for wrong, hint in ("segue.json_or_warp", "did you mean segue.json_or_wrap?"), ("segue.upper", "segue.json_or_wrap, segue.json_unwrap"):
        text = said(proxy, alter(column="t", type="jsonb", up=f"{wrong}(t)", down="segue.json_unwrap(t)"))
        assert f"segue has no function {wrong}" in text and hint in text and "operations[0].alter_column.up" in text, text
    db.sql('ALTER TABLE rows RENAME t TO "the t"; INSERT INTO rows VALUES (1, NULL)')
    up = alter(column="the t", type="jsonb", up=f'{JSON}("the t")', down='segue.json_unwrap("the t")')
    text = proxy.cli("plan", proxy.file({"name": "m", "operations": [up]})).out
    assert "could not be looked at" not in text, text
