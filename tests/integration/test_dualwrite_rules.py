"""The dual-write table, row by row, forward (ready) and reverse (soaking), for many types and tables.

One migration a server carries all tables: the worlds `forward` and `reverse` are made once and the
tests work on rows of their own. In the rules the leading column is the old one forward and the new
one reverse; `lead` and `twin` name the two.
"""

import itertools
from dataclasses import dataclass

import pytest
from lib.each import each
from lib.operations import migrated, unguarded


@dataclass(frozen=True)
class Case:
    """A migrating table. values: three of the old column and what the new one holds for each."""

    name: str
    old_type: str
    values: tuple
    new_type: str = ""
    up: str = ""
    down: str = ""
    key: str = "PRIMARY KEY"
    suffix: str = ""
    more: str = ""
    before: str = ""

    @property
    def table(self):
        return f"items_{self.name}"

    def operation(self):
        out = {"table": self.table, "from": "label", "to": "title"}
        out |= {k: v for k, v in (("type", self.new_type), ("up", self.up), ("down", self.down)) if v}
        return {"rename_column": out}

    def ddl(self):
        return (f"{self.before} CREATE TABLE {self.table} (id bigint {self.key}, label {self.old_type}, note text) {self.suffix};"
                f"{self.more}")

    def type(self, column):
        return self.old_type if column == "label" else self.new_type or self.old_type

    def value(self, column, n):
        """The n-th value as the column's text."""
        value = self.values[n]
        return value if isinstance(value, str) else value[0 if column == "label" else 1]


TRIM = """
CREATE FUNCTION trim_label() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN NEW.label := btrim(NEW.label); RETURN NEW; END$$;
CREATE TRIGGER zz_trim BEFORE INSERT OR UPDATE ON items_trigger FOR EACH ROW EXECUTE FUNCTION trim_label();"""

# where a type has an `=` that calls different values equal, the first two values are such
CASES = [
    Case("text", "text", ("one", "two", "")),
    Case("json", "json", ('{"a":1}', '{"a": 1}', "[]")),
    Case("jsonb", "jsonb", ("1.5", "1.50", "[]")),
    Case("citext", "citext", ("abc", "ABC", "x")),
    Case("numeric", "numeric", ("1.5", "1.50", "-7")),
    Case("scale", "numeric(12,2)", ("1.50", "2.00", "-7.25")),
    Case("float", "double precision", ("0", "-0", "1.5")),
    Case("collated", "text COLLATE nocase", ("abc", "ABC", "x"), before="CREATE COLLATION nocase (provider = icu, "
         "locale = 'und-u-ks-level2', deterministic = false);"),
    Case("domain", "words", ("one", "two", ""), before="CREATE DOMAIN words AS varchar(20);"),
    Case("mood", "mood", ("sad", "ok", "happy"), before="CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');"),
    Case("instant", "timestamptz", ("2026-01-01 00:00:00+00", "infinity", "-infinity")),
    # IS NULL calls the first one NULL, and IS NOT NULL calls neither a value
    Case("pair", "pair", ("(,)", "(a,)", "(b,c)"), before="CREATE TYPE pair AS (x text, y text);"),
    Case("swapped", "pair", (("(,)", "(,)"), ("(a,)", "(,a)"), ("(b,c)", "(c,b)")), "riap",
         "CASE WHEN label IS DISTINCT FROM NULL THEN ROW((label).y, (label).x)::riap END",
         "CASE WHEN title IS DISTINCT FROM NULL THEN ROW((title).x, (title).y)::pair END", before="CREATE TYPE riap AS (y text, x text);"),
    Case("point", "point", ("(1,2)", "(2,1)", "(0,0)")),
    Case("wrapped", "text", ('{"a": 1}', ("{oops", '{"segue_invalid_json": "{oops"}'), "[1, 2]"),
         "jsonb", "segue.json_or_wrap(label)", "segue.json_unwrap(title)"),
    Case("cents", "integer", (("150", "1.50"), ("2", "0.02"), ("-725", "-7.25")),
         "numeric(12,2)", "label / 100.0", "(title * 100)::integer"),
    Case("parted", "text", ("one", "two", "three"), suffix="PARTITION BY HASH (id)",
         more="CREATE TABLE items_parted_0 PARTITION OF items_parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
              "CREATE TABLE items_parted_1 PARTITION OF items_parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);"),
    Case("nokey", "text", ("one", "two", "three"), key=""),
    Case("trigger", "text", ("one", "two", "three"), more=TRIM),
]
MIGRATION = {"name": "dual", "operations": [case.operation() for case in CASES]}
BY_NAME = {case.name: case for case in CASES}
ids = itertools.count(1000)


class World:
    """The database with all tables, in one direction."""

    def __init__(self, database, proxy, direction):
        self.db = database
        self.proxy = proxy
        self.direct = database.connect()
        self.proxied = proxy.connect()
        self.lead, self.twin = ("label", "title") if direction == "forward" else ("title", "label")

    def conn(self, via):
        return self.proxied if via == "proxy" else self.direct

    def literal(self, case, column, n):
        return "'" + case.value(column, n).replace("'", "''") + "'::" + case.type(column)

    def insert(self, case, via="direct", **columns):
        """A new row; columns: name=number of the value. Gives its id."""
        row = next(ids)
        names = "".join(f", {name}" for name in columns)
        values = "".join(f", {self.literal(case, name, n)}" for name, n in columns.items())
        self.conn(via).execute(f"INSERT INTO {case.table} (id{names}) VALUES ({row}{values})")
        return row

    def update(self, case, row, via="direct", **columns):
        sets = ", ".join(f"{name} = {self.literal(case, name, n)}" for name, n in columns.items())
        assert self.conn(via).execute(f"UPDATE {case.table} SET {sets} WHERE id = {row}").rowcount == 1

    def holds(self, case, row, n):
        """Both columns of the row hold the n-th value; None: both are NULL."""
        got = self.direct.execute(f"SELECT label::text, title::text FROM {case.table} WHERE id = {row}").fetchone()
        want = (None, None) if n is None else (case.value("label", n), case.value("title", n))
        assert got == want

    def leave_twin_null(self, case, row):
        """Puts the row out of step, as one that the backfill has not reached."""
        unguarded(self.direct, case.table, f"UPDATE {case.table} SET {self.twin} = NULL WHERE id = {row}")


@pytest.fixture(scope="module", params=["forward", "reverse"])
def world(request, clusters, pg_version, tmp_path_factory):
    def fill(database):
        for case in CASES:
            database.sql(case.ddl())
            database.sql(f"INSERT INTO {case.table} (id, label) SELECT i, '{case.value('label', 0)}' "
                         "FROM generate_series(1, 100) i")

    with migrated(clusters.get(pg_version), tmp_path_factory.mktemp("dual"), MIGRATION, fill,
                  cut_over=request.param == "reverse") as (database, proxy):
        yield World(database, proxy, request.param)


VIA = ["proxy", "direct"]


@each(case=CASES)
def test_rows_from_before_hold_the_same_in_both_columns(world, case):
    rows = world.db.sql(f"SELECT DISTINCT label::text, title::text FROM {case.table} WHERE id <= 100")
    assert rows == [(case.value("label", 0), case.value("title", 0))]


@each(case=CASES, via=VIA)
def test_insert_of_the_twin_sets_the_lead(world, case, via):
    row = world.insert(case, via, **{world.twin: 1})
    world.holds(case, row, 1)


@each(case=CASES, via=VIA)
def test_insert_of_the_lead_sets_the_twin(world, case, via):
    row = world.insert(case, via, **{world.lead: 1})
    world.holds(case, row, 1)


@each(case=CASES, via=VIA)
def test_insert_of_neither_leaves_both_null(world, case, via):
    world.holds(case, world.insert(case, via), None)


@each(case=CASES, via=VIA)
def test_insert_of_both_keeps_what_is_in_step(world, case, via):
    row = world.insert(case, via, label=2, title=2)
    world.holds(case, row, 2)


@each(case=CASES)
def test_insert_of_both_out_of_step_keeps_what_the_client_wrote_in_the_twin(world, case):
    row = world.insert(case, **{world.lead: 0, world.twin: 1})
    world.holds(case, row, 1)


@each(case=CASES, via=VIA)
def test_update_of_the_lead_sets_the_twin(world, case, via):
    row = world.insert(case, label=0)
    world.update(case, row, via, **{world.lead: 1})
    world.holds(case, row, 1)


@each(case=CASES, via=VIA)
def test_update_of_the_twin_sets_the_lead(world, case, via):
    row = world.insert(case, label=0)
    world.update(case, row, via, **{world.twin: 1})
    world.holds(case, row, 1)


@each(case=CASES, via=VIA)
def test_update_of_both_out_of_step_follows_the_lead(world, case, via):
    row = world.insert(case, label=0)
    world.update(case, row, via, **{world.lead: 1, world.twin: 2})
    world.holds(case, row, 1)


@each(case=CASES)
def test_update_of_both_in_step_keeps_both(world, case):
    row = world.insert(case, label=0)
    world.update(case, row, label=2, title=2)
    world.holds(case, row, 2)


@each(case=CASES)
def test_update_of_neither_fills_a_twin_that_is_null(world, case):
    row = world.insert(case, label=1)
    world.leave_twin_null(case, row)
    world.direct.execute(f"UPDATE {case.table} SET note = 'touched' WHERE id = {row}")
    world.holds(case, row, 1)


@each(case=CASES, column=["lead", "twin"])
def test_null_is_a_value(world, case, column):
    row = world.insert(case, label=1)
    world.direct.execute(f"UPDATE {case.table} SET {getattr(world, column)} = NULL WHERE id = {row}")
    world.holds(case, row, None)


# ---- every way in ----

WAYS = [BY_NAME[n] for n in ("text", "wrapped", "cents", "parted", "trigger")]
SIDES = ["label", "title"]


@each(case=WAYS, column=SIDES, via=VIA)
def test_copy_is_kept_in_step(world, case, column, via):
    rows = [next(ids) for _ in range(3)]
    with world.conn(via).cursor().copy(f"COPY {case.table} (id, {column}) FROM STDIN") as copy:
        for n, row in enumerate(rows):
            copy.write_row((row, case.value(column, n)))
    for n, row in enumerate(rows):
        world.holds(case, row, n)


@each(case=WAYS, column=SIDES, via=VIA)
def test_on_conflict_do_update_is_kept_in_step(world, case, column, via):
    row = world.insert(case, label=0)
    fresh = next(ids)
    for target in (row, fresh):
        world.conn(via).execute(
            f"INSERT INTO {case.table} (id, {column}) VALUES ({target}, {world.literal(case, column, 1)}) "
            f"ON CONFLICT (id) DO UPDATE SET {column} = EXCLUDED.{column}")
        world.holds(case, target, 1)


@each(case=WAYS, column=SIDES, via=VIA)
def test_merge_is_kept_in_step(world, case, column, via):
    row = world.insert(case, label=0)
    fresh = next(ids)
    literal = world.literal(case, column, 1)
    world.conn(via).execute(
        f"MERGE INTO {case.table} t USING (VALUES ({row}), ({fresh})) s (id) ON t.id = s.id "
        f"WHEN MATCHED THEN UPDATE SET {column} = {literal} "
        f"WHEN NOT MATCHED THEN INSERT (id, {column}) VALUES (s.id, {literal})")
    world.holds(case, row, 1)
    world.holds(case, fresh, 1)


@each(case=WAYS, column=SIDES)
def test_a_session_with_role_replica_is_kept_in_step(world, case, column):
    conn = world.db.connect(options="-c session_replication_role=replica")
    row = next(ids)
    conn.execute(f"INSERT INTO {case.table} (id, {column}) VALUES ({row}, {world.literal(case, column, 0)})")
    world.holds(case, row, 0)
    conn.execute(f"UPDATE {case.table} SET {column} = {world.literal(case, column, 1)} WHERE id = {row}")
    world.holds(case, row, 1)
    conn.close()


def test_the_guard_runs_after_a_user_trigger(world):
    row = next(ids)
    world.proxied.execute(f"INSERT INTO items_trigger (id, label) VALUES ({row}, '  spaced ')")
    got = world.direct.execute(f"SELECT label, title FROM items_trigger WHERE id = {row}").fetchone()
    assert got == ("spaced", "spaced")


def test_an_update_that_moves_a_row_to_another_partition_is_kept_in_step(world):
    case = BY_NAME["parted"]
    row = world.insert(case, label=0)
    for _ in range(4):
        moved = next(ids)
        world.direct.execute(f"UPDATE items_parted SET id = {moved}, {world.lead} = 'two' WHERE id = {row}")
        row = moved
    world.holds(case, row, 1)


def test_a_row_in_step_does_not_enter_the_guard_function(world):
    row = world.insert(BY_NAME["text"], label=0)
    calls = ("SELECT coalesce(sum(pg_stat_get_xact_function_calls(oid)), 0)::int FROM pg_proc "
             "WHERE pronamespace = 'segue'::regnamespace AND prorettype = 'trigger'::regtype")
    conn = world.db.connect(options="-c track_functions=all")
    with conn.transaction():
        conn.execute(f"UPDATE items_text SET note = 'touched' WHERE id = {row}")
        conn.execute(f"UPDATE items_text SET label = 'two', title = 'two' WHERE id = {row}")
        assert conn.execute(calls).fetchone() == (0,)
        conn.execute(f"UPDATE items_text SET label = 'one' WHERE id = {row}")
        assert conn.execute(calls).fetchone() == (1,)
    conn.close()


def test_a_lossy_pair_keeps_what_the_writer_of_the_twin_wrote(world):
    case = BY_NAME["wrapped"]
    row = next(ids)
    world.direct.execute(f"""INSERT INTO items_wrapped (id, title) VALUES ({row}, '{{"b":1,   "a":2}}')""")
    got = world.direct.execute(f"SELECT label, title::text FROM {case.table} WHERE id = {row}").fetchone()
    assert got == ('{"a": 2, "b": 1}', '{"a": 2, "b": 1}')
    world.direct.execute(f"""UPDATE items_wrapped SET label = '{{"b":1,"a":2}}' WHERE id = {row}""")
    got = world.direct.execute(f"SELECT label, title::text FROM {case.table} WHERE id = {row}").fetchone()
    assert got == ('{"b":1,"a":2}', '{"a": 2, "b": 1}')


def test_values_too_long_for_a_page_are_kept_in_step(world):
    row = next(ids)
    world.proxied.execute("INSERT INTO items_text (id, label) VALUES (%s, repeat('x', 1000000) || %s)", (row, row))
    world.direct.execute(f"UPDATE items_text SET note = 'touched' WHERE id = {row}")
    got = world.direct.execute(f"SELECT length(label) > 1000000, label = title FROM items_text WHERE id = {row}")
    assert got.fetchone() == (True, True)
