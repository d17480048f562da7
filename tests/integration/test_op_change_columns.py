"""change_columns: columns split and merged. The dual-write table with groups in the place of columns, and the whole road.

In the rules the leading side is the old one forward (ready) and the new one reverse (soaking), as in
test_dualwrite_rules.py; `lead` and `twin` name the two sides.
"""

import itertools
from dataclasses import dataclass
from typing import Callable

import psycopg
import pytest
from lib.each import each
from lib.operations import (abort_from_soaking, build, complete, connected, migrated, new, old, refuses, same_as_plain, unchanged,
                            unguarded)
from lib.traffic import Pair, Traffic
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told


@dataclass(frozen=True)
class Case:
    """A table whose columns change. values: three of the old side; `up` and `down` as Python says them."""

    name: str
    olds: dict
    news: dict
    ups: dict
    downs: dict
    values: tuple
    up: Callable
    down: Callable
    suffix: str = ""
    more: str = ""

    @property
    def table(self):
        return f"t_{self.name}"

    def operation(self):
        to = [{"name": name, "type": kind, "nullable": True} for name, kind in self.news.items()]
        return {"change_columns": {"table": self.table, "from": list(self.olds), "to": to, "up": self.ups, "down": self.downs}}

    def ddl(self):
        columns = "".join(f', "{name}" {kind}' for name, kind in self.olds.items())
        return f"CREATE TABLE {self.table} (id bigint{columns}, note text) {self.suffix}; {self.more}"

    def side(self, which, n):
        """The n-th row of one side, as a dict."""
        row = self.values[n]
        return dict(zip(self.olds, row)) if which == "old" else dict(zip(self.news, self.up(*row)))


def cut(name):
    first, _, last = (None, None, None) if name is None else name.partition(" ")
    return first, last or None


def joined(*words):
    return " ".join(word for word in words if word is not None)


CASES = [
    Case("split", {"Full Name": "text"}, {"first": "text", "Last": "text"},
         {"first": "split_part(\"Full Name\", ' ', 1)",
          "Last": "nullif(substr(\"Full Name\", length(split_part(\"Full Name\", ' ', 1)) + 2), '') -- the rest"},
         {"Full Name": "concat_ws(' ', first, \"Last\")"},
         (("Ann Lee",), ("Bob",), ("Eve von Ach",)), cut, joined),
    Case("merge", {"street": "text", "city": "varchar(20)"}, {"address": "text[]"},
         {"address": "ARRAY[street, city]::text[]"}, {"street": "address[1]", "city": "address[2]"},
         (("A 1", "Ulm"), ("B 2", None), ("C 3", "Bonn")), lambda s, c: ([s, c],),
         lambda a: tuple(a or (None, None))),
    Case("shift", {"lo": "int", "hi": "int"}, {"base": "bigint", "len": "numeric(8,0)"},
         {"base": "lo", "len": "hi - lo"}, {"lo": "base", "hi": "base + len"},
         ((1, 5), (10, 30), (-3, -3)), lambda lo, hi: (lo, hi - lo),
         lambda base, size: (base, None if None in (base, size) else base + int(size)),
         suffix="PARTITION BY HASH (id)",
         more="CREATE TABLE t_shift_0 PARTITION OF t_shift FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
              "CREATE TABLE t_shift_1 PARTITION OF t_shift FOR VALUES WITH (MODULUS 2, REMAINDER 1);"),
]
STRICT = {"change_columns": {
    "table": "strict", "from": ["code"],
    "to": [{"name": "head", "type": "text", "nullable": True}, {"name": "tail", "type": "text", "nullable": True}],
    "up": {"head": "substr(code, 1, 1)", "tail": "substr(code, 2)"}, "down": {"code": "coalesce(head, '') || coalesce(tail, '')"}}}
MIGRATION = {"name": "groups", "operations": [*(case.operation() for case in CASES), STRICT]}
ids = itertools.count(1000)


class World:
    def __init__(self, database, proxy, direction):
        self.db, self.proxy, self.direction = database, proxy, direction
        self.direct = database.connect()
        self.old, self.new = old(proxy), new(proxy)
        self.lead, self.twin = ("old", "new") if direction == "forward" else ("new", "old")

    def conns(self, side):
        """Clients that write by this side's names: of that revision, and past segue."""
        return [self.old if side == "old" else self.new, self.direct]

    def insert(self, case, conn, **columns):
        row = next(ids)
        names = "".join(f', "{name}"' for name in columns)
        conn.execute(f"INSERT INTO {case.table} (id{names}) VALUES (%s{', %s' * len(columns)})", (row, *columns.values()))
        return row

    def update(self, case, conn, row, **columns):
        sets = ", ".join(f'"{name}" = %s' for name in columns)
        assert conn.execute(f"UPDATE {case.table} SET {sets} WHERE id = %s", (*columns.values(), row)).rowcount == 1

    def read(self, case, row, side):
        names = ", ".join(f'"{name}"' for name in (case.olds if side == "old" else case.news))
        return self.direct.execute(f"SELECT {names} FROM {case.table} WHERE id = %s", (row,)).fetchone()

    def holds(self, case, row, n):
        """Both sides of the row hold the n-th values."""
        got = (self.read(case, row, "old"), self.read(case, row, "new"))
        assert got == (case.values[n], case.up(*case.values[n]))

    def leave_twin_null(self, case, row):
        names = ", ".join(f'"{name}" = NULL' for name in (case.news if self.twin == "new" else case.olds))
        unguarded(self.direct, case.table, f"UPDATE {case.table} SET {names} WHERE id = {row}")


@pytest.fixture(scope="module", params=["forward", "reverse"])
def world(request, clusters, pg_version, tmp_path_factory):
    def fill(database):
        database.sql("CREATE TABLE strict (id bigint, code text NOT NULL)")
        for case in CASES:
            database.sql(case.ddl())
            names = ", ".join(f'"{name}"' for name in case.olds)
            for n, row in enumerate(case.values):
                places = ", ".join(["%s"] * len(row))
                database.sql(f"INSERT INTO {case.table} (id, {names}) SELECT i, {places} FROM "
                             f"generate_series({n * 50}, {n * 50 + 49}) i", *row)

    with migrated(clusters.get(pg_version), tmp_path_factory.mktemp("groups"), MIGRATION, fill,
                  cut_over=request.param == "reverse") as (database, proxy):
        yield World(database, proxy, request.param)


@each(case=CASES)
def test_rows_from_before_hold_the_same_on_both_sides(world, case):
    for n in range(3):
        for row in (n * 50, n * 50 + 49):
            world.holds(case, row, n)


@each(case=CASES)
def test_an_insert_of_one_side_sets_the_other(world, case):
    for side in ("old", "new"):
        for n, conn in enumerate(world.conns(side)):
            world.holds(case, world.insert(case, conn, **case.side(side, n)), n)


@each(case=CASES)
def test_an_insert_of_both_keeps_what_is_in_step_and_else_what_the_twin_says(world, case):
    row = world.insert(case, world.direct, **case.side("old", 2), **case.side("new", 2))
    world.holds(case, row, 2)
    row = world.insert(case, world.direct, **case.side(world.lead, 0), **case.side(world.twin, 1))
    world.holds(case, row, 1)


@each(case=CASES)
def test_an_insert_of_neither_is_what_the_lead_makes_of_nothing(world, case):
    row = world.insert(case, world.direct)
    bad = {"split": {"forward": (None, (None, None)), "reverse": ("", (None, None))},
           "merge": {"forward": ((None, None), [None, None]), "reverse": ((None, None), None)},
           "shift": {"forward": ((None, None), (None, None)), "reverse": ((None, None), (None, None))}}
    olds, news = bad[case.name][world.direction]
    assert world.read(case, row, "old") == (olds if isinstance(olds, tuple) else (olds,))
    assert world.read(case, row, "new") == (news if isinstance(news, tuple) else (news,))


def test_an_old_column_that_must_not_be_null_gets_what_down_makes_of_nothing(world):
    row = next(ids)
    world.new.execute("INSERT INTO strict (id) VALUES (%s)", (row,))
    news = ("", "") if world.direction == "forward" else (None, None)
    assert world.db.sql("SELECT code, head, tail FROM strict WHERE id = %s", row) == [("", *news)]


@each(case=CASES)
def test_an_update_of_one_side_sets_the_other(world, case):
    for side in ("old", "new"):
        for n, conn in enumerate(world.conns(side)):
            row = world.insert(case, world.direct, **case.side("old", 2))
            world.update(case, conn, row, **case.side(side, n))
            world.holds(case, row, n)


@each(case=CASES)
def test_an_update_of_both_keeps_what_is_in_step_and_else_follows_the_lead(world, case):
    row = world.insert(case, world.direct, **case.side("old", 0))
    world.update(case, world.direct, row, **case.side("old", 2), **case.side("new", 2))
    world.holds(case, row, 2)
    world.update(case, world.direct, row, **case.side(world.lead, 0), **case.side(world.twin, 1))
    world.holds(case, row, 0)


def test_what_was_written_past_the_guard_does_not_lose_the_lead_when_it_changes_its_partition(world):
    case = next(case for case in CASES if case.name == "shift")
    row = world.insert(case, world.direct, **case.side("old", 0))
    sets = ", ".join(f"{name} = {value}" for name, value in case.side(world.lead, 1).items())
    unguarded(world.direct, case.table, f"UPDATE {case.table} SET {sets} WHERE id = {row}")
    where = "SELECT tableoid FROM t_shift WHERE id = %s"
    home = world.db.one(where, row)
    while world.db.one(where, row) == home:  # until then nobody says which half is right
        assert world.db.one("SELECT base + len <> hi FROM t_shift WHERE id = %s", row)
        world.direct.execute("UPDATE t_shift SET id = %s WHERE id = %s", (new := next(ids), row))
        row = new
    world.holds(case, row, 1)


@each(case=CASES)
def test_an_update_of_one_member_takes_the_whole_row_across(world, case):
    for side, columns, make, other in (("old", case.olds, case.up, "new"), ("new", case.news, case.down, "old")):
        for conn in world.conns(side):
            for k, name in enumerate(columns):
                row = world.insert(case, world.direct, **case.side("old", 0))
                want = list(case.side(side, 0).values())
                want[k] = case.side(side, 2)[name]
                world.update(case, conn, row, **{name: want[k]})
                assert world.read(case, row, side) == tuple(want)
                across = make(*want)
                assert world.read(case, row, other) == (across if isinstance(across, tuple) else (across,)), (side, name)


@each(case=CASES)
def test_an_insert_of_a_part_of_the_twin_is_kept_and_goes_across(world, case):
    columns, make = (case.news, case.down) if world.twin == "new" else (case.olds, case.up)
    for k, name in enumerate(columns):
        want = [None] * len(columns)
        want[k] = case.side(world.twin, 0)[name]
        if case.name == "shift" and world.twin == "old":
            continue  # a length needs both ends
        row = world.insert(case, world.conns(world.twin)[0], **{name: want[k]})
        assert world.read(case, row, world.twin) == tuple(want)
        across = make(*want)
        assert world.read(case, row, world.lead) == (across if isinstance(across, tuple) else (across,)), name


@each(case=CASES)
def test_a_row_that_is_not_filled_is_filled_in_passing(world, case):
    row = world.insert(case, world.direct, **case.side("old", 0))
    world.leave_twin_null(case, row)
    world.update(case, world.direct, row, note="x")
    world.holds(case, row, 0)


@each(case=CASES)
def test_a_part_that_is_written_to_a_row_that_is_not_filled_leaves_the_rest_of_it(world, case):
    columns, make = (case.news, case.down) if world.twin == "new" else (case.olds, case.up)
    for k, name in enumerate(columns):
        row = world.insert(case, world.direct, **case.side("old", 0))
        world.leave_twin_null(case, row)
        want = list(case.side(world.twin, 0).values())
        want[k] = case.side(world.twin, 2)[name]
        world.update(case, world.conns(world.twin)[0], row, **{name: want[k]})
        assert world.read(case, row, world.twin) == tuple(want)
        across = make(*want)
        assert world.read(case, row, world.lead) == (across if isinstance(across, tuple) else (across,))


def test_what_does_not_come_back_from_the_other_side_is_kept_as_it_was_written(world):
    case = CASES[0]
    row = world.insert(case, world.new, first="Mary Ann", Last="Lee")
    assert world.read(case, row, "old") == ("Mary Ann Lee",)
    other = world.insert(case, world.old, **{"Full Name": "Ann "})
    assert world.read(case, other, "new") == ("Ann", None)
    for _ in range(2):
        for r in (row, other):
            world.update(case, world.direct, r, note="touched")
        world.proxy.cli("verify", "groups")
    assert world.read(case, row, "new") == ("Mary Ann", "Lee")
    assert world.read(case, other, "old") == ("Ann ",)
    assert world.proxy.status("groups")["rows_bad"] == 0
    world.db.sql(f"DELETE FROM {case.table} WHERE id IN (%s, %s)", row, other)


def test_verify_sees_a_member_that_is_not_in_step(world):
    case = CASES[2]
    row = world.insert(case, world.direct, **case.side("old", 1))
    unguarded(world.direct, case.table, f"UPDATE {case.table} SET len = 7 WHERE id = {row}")
    world.proxy.cli("verify", "groups", check=None)
    assert world.proxy.status("groups")["rows_bad"] == 1
    world.db.sql(f"DELETE FROM {case.table} WHERE id = %s", row)
    world.proxy.cli("verify", "groups")
    assert world.proxy.status("groups")["rows_bad"] == 0


@each(case=CASES)
def test_each_side_sees_its_own_columns(world, case):
    row = world.insert(case, world.direct, **case.side("old", 0))
    for conn, side, columns in ((world.old, "old", case.olds), (world.new, "new", case.news)):
        got = conn.execute(f"SELECT * FROM {case.table} WHERE id = %s", (row,))
        names = [d.name for d in got.description]
        assert sorted(names) == sorted(["id", "note", *columns])
        assert {k: v for k, v in zip(names, got.fetchone()) if k in columns} == case.side(side, 0)


# ---- the whole road, against the plain DDL ----

PEOPLE = ("CREATE TABLE {s}.people (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'No Body', zone text, city text NOT NULL"
          " DEFAULT 'Ulm', note text, CONSTRAINT long_enough CHECK (length(name) > 0));"
          "CREATE INDEX people_name ON {s}.people (name); GRANT SELECT (name, zone, city) ON {s}.people TO reader;"
          "INSERT INTO {s}.people SELECT i, 'P' || i || ' Q', 'Z', 'C' || i, 'n' FROM generate_series(1, 400) i")
ROAD = {"name": "road", "operations": [
    {"change_columns": {
        "table": "people", "from": ["name"],
        "to": [{"name": "first", "type": "text", "default": "'No'", "comment": "what one is called"},
               {"name": "last", "type": "text", "nullable": True, "default": "'Body'"}],
        "up": {"first": "split_part(name, ' ', 1)",
               "last": "nullif(substr(name, length(split_part(name, ' ', 1)) + 2), '')"},
        "down": {"name": "concat_ws(' ', first, last)"}}},
    {"change_columns": {
        "table": "people", "from": ["zone", "city"], "to": [{"name": "place", "type": "jsonb"}],
        "up": {"place": "jsonb_build_object('z', zone, 'c', city)"},
        "down": {"zone": "place->>'z'", "city": "coalesce(place->>'c', 'nowhere')"}}},
    {"create_index": {"name": "people_last", "table": "people", "columns": ["last", "first"]}},
    {"create_constraint": {"name": "people_id_first", "table": "people", "type": "unique", "columns": ["id", "first"]}},
    {"create_constraint": {"name": "named", "table": "people", "type": "check", "check": "first <> ''"}}]}
PLAIN = ("ALTER TABLE {s}.people ADD first text NOT NULL DEFAULT 'No', ADD last text DEFAULT 'Body', ADD place jsonb;"
         "UPDATE {s}.people SET place = '{}'; ALTER TABLE {s}.people ALTER place SET NOT NULL, DROP name, DROP zone, DROP city;"
         "COMMENT ON COLUMN {s}.people.first IS 'what one is called'; GRANT SELECT (first, last, place) ON {s}.people TO reader;"
         "CREATE INDEX people_last ON {s}.people (last, first);"
         "ALTER TABLE {s}.people ADD CONSTRAINT people_id_first UNIQUE (id, first), ADD CONSTRAINT named CHECK (first <> '')")


def person(db, key):
    return db.sql("SELECT name, first, last, zone, city, place FROM people WHERE id = %s", key)[0]


def writes(proxy, db, base):
    """By old, new and bypassing clients, with and without what has a default; ids from `base` on."""
    before, after = old(proxy), new(proxy)
    before.execute("INSERT INTO people VALUES (%s, 'Ann Lee', 'Z', 'Bonn')", (base,))
    assert person(db, base) == ("Ann Lee", "Ann", "Lee", "Z", "Bonn", {"z": "Z", "c": "Bonn"})
    after.execute("INSERT INTO people (id, first, place) VALUES (%s, 'Bob', '{\"z\": \"Y\"}')", (base + 1,))
    assert person(db, base + 1) == ("Bob Body", "Bob", "Body", "Y", "nowhere", {"z": "Y"})
    # an old row without what has a default gets it, whichever schema is the truth
    before.execute("INSERT INTO people (id, name, zone) VALUES (%s, 'Eve', 'X')", (base + 2,))
    assert person(db, base + 2) == ("Eve", "Eve", None, "X", "Ulm", {"z": "X", "c": "Ulm"})
    db.sql("INSERT INTO people (id, note) VALUES (%s, 'c')", base + 3)
    assert person(db, base + 3)[:3] == ("No Body", "No", "Body")
    after.execute("UPDATE people SET first = 'Rob' WHERE id = %s", (base + 1,))
    before.execute("UPDATE people SET city = 'Kiel' WHERE id = %s", (base,))
    db.sql("UPDATE people SET last = NULL WHERE id = %s", base)
    assert person(db, base) == ("Ann", "Ann", None, "Z", "Kiel", {"z": "Z", "c": "Kiel"})
    assert person(db, base + 1)[:3] == ("Rob Body", "Rob", "Body")
    # a transitional client writes both sides
    db.sql("INSERT INTO people (id, name, first, last, city, place) VALUES (%s, 'Mo Po', 'Mo', 'Po', 'C', '{\"c\": \"C\"}')",
           base + 4)
    assert person(db, base + 4) == ("Mo Po", "Mo", "Po", None, "C", {"c": "C"})
    db.sql("UPDATE people SET name = 'Al Po', first = 'Al' WHERE id = %s", base + 4)
    assert person(db, base + 4)[:3] == ("Al Po", "Al", "Po")


def test_columns_are_split_and_merged_on_the_whole_road_and_back(db, segue):
    build(db, PEOPLE)
    proxy = segue(db)
    name = proxy.ready(ROAD)
    assert person(db, 7) == ("P7 Q", "P7", "Q", "Z", "C7", {"z": "Z", "c": "C7"})
    writes(proxy, db, 1000)
    proxy.cli("cutover", name)
    writes(proxy, db, 2000)
    proxy.cli("rollback", name)
    assert person(db, 2001)[:3] == ("Rob Body", "Rob", "Body")
    writes(proxy, db, 3000)
    proxy.cli("cutover", name)
    proxy.kill9()
    proxy.start()
    writes(proxy, db, 4000)
    complete(proxy, name)
    proxy.connect().execute("INSERT INTO people (id, first, place) VALUES (5000, 'Zoe', '{}')")
    same_as_plain(db, PLAIN, "people")


def test_an_aborted_split_leaves_the_table_as_it_was(db, segue):
    build(db, PEOPLE)
    proxy = segue(db)
    abort_from_soaking(proxy, ROAD)
    unchanged(db, "people")
    assert db.one("SELECT count(*) FROM people WHERE name = 'P' || id || ' Q' AND city = 'C' || id AND zone = 'Z'") == 400


def test_while_rows_are_filled_a_kill_and_writes_of_parts_lose_nothing(db, segue):
    # with room on each page: a row that is written stays where the fill comes by
    build(db, PEOPLE.replace("> 0));", "> 0)) WITH (fillfactor = 50);").replace("400) i", "4000) i"))
    proxy = segue(db)
    name = ROAD["name"]
    proxy.console("THROTTLE rows_per_s 50")
    proxy.begin(ROAD)
    until("the fill", lambda: proxy.phase(name) == "backfilling" and db.one("SELECT count(place) FROM people WHERE id < 4000"))
    after = new(proxy)
    with pytest.raises(psycopg.Error) as early:
        after.execute("SELECT id FROM people WHERE last = 'Q'")
    assert early.value.sqlstate == "55000"
    assert person(db, 4000)[1:3] == (None, None)
    after.execute("UPDATE people SET first = 'Kim Li' WHERE id = 4000")  # which up would cut elsewhere
    assert person(db, 4000)[:3] == ("Kim Li Q", "Kim Li", "Q")
    proxy.kill9()
    db.sql("UPDATE people SET last = 'R' WHERE id = 3999")
    db.sql("UPDATE people SET city = 'Jena' WHERE id = 3998")
    assert person(db, 3999)[:3] == ("P3999 R", "P3999", "R")
    connected(proxy.start()).console("THROTTLE rows_per_s off")
    proxy.wait_phase(name, "ready")
    assert person(db, 4000)[:3] == ("Kim Li Q", "Kim Li", "Q")
    assert person(db, 3998)[3:] == ("Z", "Jena", {"z": "Z", "c": "Jena"})
    assert db.one("SELECT count(*) FROM people WHERE name = concat_ws(' ', first, last) AND place->>'c' = city") == 4000


def test_an_enum_of_the_same_file_and_a_composite_with_nulls_follow_each_other(db, segue):
    db.sql("CREATE TYPE pair AS (d json, p point); CREATE TABLE items (id bigint PRIMARY KEY, label text, d json, p point)")
    db.sql("INSERT INTO items SELECT i, 'sad ' || i, '{\"a\":  1}', CASE WHEN i % 3 > 0 THEN point(i, 2) END FROM "
           "generate_series(1, 300) i")
    proxy = segue(db)
    name = proxy.ready({"name": "kinds", "operations": [
        {"create_enum": {"name": "mood", "values": ["sad", "ok"]}},
        {"change_columns": {
            "table": "items", "from": ["label"],
            "to": [{"name": "m", "type": "mood", "default": "'ok'"}, {"name": "n", "type": "int", "nullable": True}],
            "up": {"m": "split_part(label, ' ', 1)::mood", "n": "split_part(label, ' ', 2)::int"},
            "down": {"label": "m::text || ' ' || n"}}},
        {"change_columns": {
            "table": "items", "from": ["d", "p"], "to": [{"name": "q", "type": "pair", "nullable": True}],
            "up": {"q": "ROW(d, p)::pair"}, "down": {"d": "(q).d", "p": "(q).p"}}}]})
    for base in (1000, 2000):
        old(proxy).execute("INSERT INTO items VALUES (%s, 'ok 7', '[1, 2]', NULL)", (base,))
        new(proxy).execute("INSERT INTO items (id, n, q) VALUES (%s, 9, ROW('{}', NULL)::pair)", (base + 1,))
        rows = db.sql("SELECT m::text, n, label, d::text, p::text, q::text FROM items WHERE id >= %s ORDER BY id", base)
        assert rows == [("ok", 7, "ok 7", "[1, 2]", None, '("[1, 2]",)'), ("ok", 9, "ok 9", "{}", None, "({},)")]
        new(proxy).execute("UPDATE items SET q.p = point(1, 1) WHERE id = %s", (base + 1,))
        assert db.one("SELECT p::text FROM items WHERE id = %s", base + 1) == "(1,1)"
        old(proxy).execute("UPDATE items SET p = NULL WHERE id = %s", (base + 1,))
        assert db.one("SELECT q::text FROM items WHERE id = %s", base + 1) == "({},)"
        if base == 1000:
            proxy.cli("cutover", name)
    proxy.cli("verify", name)
    assert proxy.status(name)["rows_bad"] == 0
    complete(proxy, name)


class Spans(Pair):
    """Two ends against a beginning and a length, both of one number."""

    NAMES = {"old": ("lo", "hi"), "new": ("base", "len")}

    def ends(self, revision, n):
        return (n, 2 * n + 5) if revision == "old" else (n, n + 5)


class SpanTraffic(Traffic):
    """Each write of one number is one of two columns, at times one by one in a transaction."""

    def _transaction(self, writer, conn, dice, doubt):
        a, b = Spans.NAMES[writer.revision]
        rows = [i for i, values in writer.rows.items() if len(values) == 1]
        value = dice.randrange(1, 1_000_000)
        x, y = self.pair.ends(writer.revision, value)
        if len(rows) < 5 or dice.random() < 0.4:
            row = self._new_id(writer)
            doubt[row] = value
            conn.execute(f"INSERT INTO items (id, {a}, {b}) VALUES (%s, %s, %s)", (row, x, y))
        else:
            row = dice.choice(rows)
            doubt[row] = value
            with conn.transaction():
                if dice.random() < 0.5:
                    conn.execute(f"UPDATE items SET {a} = %s WHERE id = %s", (x, row))
                    conn.execute(f"UPDATE items SET {b} = %s WHERE id = %s", (y, row))
                else:
                    conn.execute(f"UPDATE items SET {a} = %s, {b} = %s WHERE id = %s", (x, y, row))
        self._settle(writer, doubt, certain=True)

    def verify(self, db, columns=("old", "new")):
        self.assert_no_errors()
        for side in columns:
            names = ", ".join(Spans.NAMES[side])
            stored = {row[0]: row[1:] for row in db.sql(f"SELECT id, {names} FROM items WHERE id >= {self.FIRST_ID}")}
            want = {i: self.pair.ends(side, v) for w in self.writers for i, (v,) in w.rows.items()}
            wrong = [(i, stored.get(i), ends) for i, ends in want.items() if stored.get(i) != ends]
            assert want and not wrong and len(stored) == len(want), wrong[:5]


def test_clients_of_both_revisions_lose_nothing_from_start_to_complete(db, segue):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, lo bigint, hi bigint)")
    db.sql("INSERT INTO items SELECT i, i, i + 5 FROM generate_series(1, 3000) i")
    spans = {"name": "spans", "operations": [{"change_columns": {
        "table": "items", "from": ["lo", "hi"],
        "to": [{"name": "base", "type": "bigint", "nullable": True}, {"name": "len", "type": "bigint", "nullable": True}],
        "up": {"base": "lo", "len": "hi - lo"}, "down": {"lo": "base", "hi": "base + len"}}}]}
    proxy = segue(db)
    with SpanTraffic(proxy.connect, Spans()) as traffic:
        traffic.start("old", 2).flows(30)
        proxy.cli("start", proxy.file(spans))
        traffic.start("new", 2).flows(40, "new")
        proxy.cli("cutover", "spans")
        traffic.flows(40)
        proxy.cli("rollback", "spans")
        traffic.flows(40)
        proxy.cli("cutover", "spans")
        traffic.flows(40, "old")
        traffic.stop().verify(db)
        assert db.one("SELECT count(*) FROM items WHERE lo <> base OR hi <> base + len OR base IS NULL") == 0
        traffic.start("new", 1)
        proxy.cli("complete", "spans", "--force")
        traffic.flows(20)
        traffic.stop().verify(db, ["new"])


# ---- refused ----

BASE = {"from": ["label"], "to": [{"name": "head", "type": "text"}, {"name": "tail", "type": "text", "nullable": True}],
        "up": {"head": "split_part(label, ' ', 1)", "tail": "split_part(label, ' ', 2)"},
        "down": {"label": "concat_ws(' ', head, tail)"}}
TABLE = ("CREATE TABLE items (id bigint PRIMARY KEY, label text NOT NULL, code text UNIQUE, n serial, rank int, kind text);"
         "INSERT INTO items SELECT i, 'l' || i || ' r', 'c' || i, i, i, 'k' FROM generate_series(1, 300) i")


def of(column, **more):
    """The same of another column."""
    text = str({**BASE, **more})
    return eval(text.replace("label", column))  # noqa: S307 -- our own text


REFUSED = {
    "not_there": ("", of("nothing"), "from[0]: table public.items has no column \"nothing\""),
    "taken": ("", {**BASE, "to": [{"name": "code", "type": "text"}, BASE["to"][1]],
                   "up": {"code": "label", "tail": "label"}, "down": {"label": "code || tail"}}, "already has a column"),
    "type": ("", {**BASE, "to": [{"name": "head", "type": "nonsense"}, BASE["to"][1]]}, "to[0].type: type \"nonsense\""),
    "up_type": ("", {**BASE, "to": [{"name": "head", "type": "inet"}, BASE["to"][1]], "up": {"head": "label = ''", "tail": "label"}},
                "up.head: cannot cast type boolean to inet"),
    "down_type": ("", {**BASE, "down": {"label": "head + tail"}}, "down.label"),
    "volatile": ("", {**BASE, "up": {"head": "label || random()", "tail": "label"}}, "random is volatile"),
    "default": ("", {**BASE, "to": [BASE["to"][0], {"name": "tail", "type": "int", "nullable": True, "default": "'x'"}],
                     "up": {"head": "label", "tail": "length(label)"}, "down": {"label": "head || tail"}}, "to[1].default"),
    "key": ("", of("id", up={"head": "id::text", "tail": "id::text"}, down={"id": "head::bigint"}), "columns of a primary key"),
    "sequence": ("", of("n", up={"head": "n::text", "tail": "n::text"}, down={"n": "head::int"}),
                 "belongs to column \"n\" and would go with it"),
    "up_gives_null": ("", {**BASE, "up": {"head": "nullif(split_part(label, ' ', 1), 'l7')", "tail": "label"}},
                      "gives NULL for 1 of 300"),
    "down_gives_null": ("", {**BASE, "down": {"label": "nullif(head, 'l7')"}}, "gives NULL for 1 of 300"),
    "fails": ("", of("rank", up={"head": "(10 / (rank - 7))::text", "tail": "rank::text"}, down={"rank": "tail::int"}),
              "fails for 1 of 300"),
    "constant_under_unique": ("", of("code", down={"code": "'same'"}), "all but one row"),
    "view": ("CREATE VIEW v AS SELECT kind FROM items", of("kind"), "view public.v: column kind"),
    "generated": ("ALTER TABLE items ADD twice text GENERATED ALWAYS AS (label || label) STORED", of("twice"),
                  "gets its values from the server"),
}
TWO = {
    "twice": ({"change_columns": {"table": "items", **BASE}},
              {"change_columns": {"table": "items", **eval(str(BASE).replace("head", "h").replace("tail", "t"))}},
              "operations[1] is about column \"label\", too"),
    "renamed": ({"rename_column": {"table": "items", "from": "label", "to": "title"}},
                {"change_columns": {"table": "items", **BASE}}, "operations[0] is about column \"label\", too"),
    "altered": ({"change_columns": {"table": "items", **BASE}},
                {"alter_column": {"table": "items", "column": "label", "comment": "x"}},
                "operations[1] is about column \"label\", too"),
    "indexed": ({"change_columns": {"table": "items", **BASE}},
                {"create_index": {"name": "i", "table": "items", "columns": ["label"]}},
                "operations[1] is about column \"label\", too"),
    "constrained": ({"create_constraint": {"table": "items", "name": "k", "type": "check", "check": "label <> ''", "up": {"label": "label || ''"},
                                           "down": {"label": "label || ''"}}},
                    {"change_columns": {"table": "items", **BASE}}, "is changed by another operation"),
    "dropped": ({"drop_column": {"table": "items", "column": "label", "down": "code"}},
                {"change_columns": {"table": "items", **BASE}}, "operations[0] is about column \"label\", too"),
}


@pytest.mark.one_version
def test_what_cannot_be_split_or_merged_is_refused_by_name(db, segue):
    db.sql(TABLE)
    proxy = segue(db)
    for case, (sql, change, said) in REFUSED.items():
        if sql:
            db.sql(sql)
        refuses(proxy, case, said, {"change_columns": {"table": "items", **change}})
    for case, (first, second, said) in TWO.items():
        refuses(proxy, case, said, first, second)


@pytest.mark.one_version
def test_what_is_lost_and_what_goes_is_told(db, segue):
    build(db, PEOPLE.replace("'P' || i || ' Q'", "'P' || i || '  Q'"))
    db.sql("GRANT UPDATE (zone) ON people TO reader")
    proxy = segue(db)
    change = {"name": "told", "operations": [
        {"change_columns": {**ROAD["operations"][0]["change_columns"], "down": {"name": "first"}}},
        {"change_columns": {**ROAD["operations"][1]["change_columns"],
                            "up": {"place": "jsonb_build_object('z', 1, 'c', city)"}}}]}
    out = proxy.cli("plan", proxy.file(change)).out
    for said in ("down(up()) is not what was there for 400 of 400", "no down reads column last", "no up reads column zone",
                 "index people_name", "complete drops it with the old columns", "constraint long_enough",
                 "the default of column name ends with the cut-over", "column city is NOT NULL until complete",
                 "reader holds UPDATE on column zone", "add first, last, place to public.people, guarded"):
        assert said in out, said
    rows = proxy.cli("plan", proxy.file(change), "--json").out
    assert "no down reads column last" in rows
