"""What clients write is never taken for a default: a domain's own, and one that came while the migration was in flight."""

from dataclasses import dataclass

import pytest
from lib.operations import is_refused

pytestmark = pytest.mark.newest_unless_told

FLAG = "CREATE DOMAIN flag AS text DEFAULT 'no'; CREATE TABLE t (id int PRIMARY KEY, {old}, note text);"
FLAG += "INSERT INTO t SELECT i, 'old', 'n' FROM generate_series(1, 50) i"


@dataclass(frozen=True)
class Case:
    """`old` and `new`: what either application calls the column; `keeps`: the default of the catalog, at the end."""

    operation: dict
    column: str = "f flag"
    old: str = "f"
    new: str = "h"
    unwritten: tuple = ("no", "no")  # who names neither: until the cut-over, from then on
    keeps: str | None = None


CASES = {
    "renamed": Case({"rename_column": {"table": "t", "from": "f", "to": "h"}}),
    "to text": Case({"rename_column": {"table": "t", "from": "f", "to": "h", "type": "text", "up": "f::text", "down": "h::flag"}},
                    keeps="'no'::text"),
    "to text under its name": Case({"alter_column": {"table": "t", "column": "f", "type": "text"}}, new="f", keeps="'no'::text"),
    "given another": Case({"alter_column": {"table": "t", "column": "f", "type": "text", "name": "h", "default": "'x'"}},
                          unwritten=("no", "x"), keeps="'x'::text"),
    "to the domain": Case({"alter_column": {"table": "t", "column": "f", "type": "flag", "name": "h"}}, column="f text",
                          unwritten=(None, "no")),
    "from one to another": Case({"alter_column": {"table": "t", "column": "f", "type": "flag", "name": "h"}},
                                column="f other", unwritten=("other", "no")),
    "of no default": Case({"rename_column": {"table": "t", "from": "f", "to": "h"}}, column="f bare", unwritten=(None, None)),
    "its own beside the domain's": Case({"rename_column": {"table": "t", "from": "f", "to": "h"}}, column="f flag DEFAULT 'own'",
                                        unwritten=("own", "own"), keeps="'own'::text"),
    "in a group": Case({"change_columns": {"table": "t", "from": ["f"], "to": [
        {"name": "h", "type": "flag", "nullable": True}, {"name": "k", "type": "int", "nullable": True}],
        "up": {"h": "f::text", "k": "length(f)"}, "down": {"f": "h::text"}}}),
}


def file_number(db):
    return db.one("SELECT pg_relation_filenode('t')")


def default_of(db, column):
    return db.one("SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute ON (attrelid, attnum) = (adrelid, adnum) "
                  f"WHERE adrelid = 't'::regclass AND attname = '{column}'")


@pytest.mark.parametrize("name", CASES)
def test_what_is_inserted_stays_beside_a_domains_default(db, segue, name):
    case = CASES[name]
    db.sql("CREATE DOMAIN other AS text DEFAULT 'other'; CREATE DOMAIN bare AS text")
    db.sql(FLAG.format(old=case.column))
    number, before = file_number(db), default_of(db, "f")
    proxy = segue(db)
    ids = iter(range(1000, 2000))

    def inserts(truth, unwritten):
        for conn in (proxy.connect(), db.connect()):
            for column in dict.fromkeys((case.old, case.new)):
                row, copied = next(ids), next(ids)
                conn.execute(f"INSERT INTO t (id, {column}) VALUES ({row}, 'yes')")
                with conn.cursor().copy(f"COPY t (id, {column}) FROM STDIN") as copy:
                    copy.write_row((copied, "copied"))
                for other in dict.fromkeys((case.old, case.new)):
                    got = [conn.execute(f"SELECT {other} FROM t WHERE id = {i}").fetchone()[0] for i in (row, copied)]
                    assert got == ["yes", "copied"], (truth, column, other)
            row = next(ids)
            conn.execute(f"INSERT INTO t (id) VALUES ({row})")
            assert conn.execute(f"SELECT {truth} FROM t WHERE id = {row}").fetchone()[0] == unwritten

    migration = {"name": "m", "operations": [case.operation]}
    proxy.ready(migration)
    assert db.one(f"SELECT count(*) FROM t WHERE {case.old} = 'old' AND {case.new} = 'old'") == 50
    inserts(case.old, case.unwritten[0])
    proxy.cli("cutover", "m")
    inserts(case.new, case.unwritten[1])
    proxy.cli("rollback", "m")
    assert default_of(db, case.old) == before
    inserts(case.old, case.unwritten[0])
    assert db.one("SELECT count(*) FROM t WHERE id >= 1000 AND note IS NOT NULL") == 0
    proxy.cli("cutover", "m")
    inserts(case.new, case.unwritten[1])
    proxy.cli("verify", "m")
    proxy.cli("complete", "m", "--force")
    assert default_of(db, case.new) == case.keeps
    db.sql("INSERT INTO t (id) VALUES (5000)")
    assert db.one(f"SELECT {case.new} FROM t WHERE id = 5000") == case.unwritten[1]
    assert file_number(db) == number


@pytest.mark.parametrize("name", ["renamed", "to text", "in a group"])
@pytest.mark.one_version
def test_an_abort_leaves_the_domains_default(db, segue, name):
    db.sql(FLAG.format(old="f flag"))
    proxy = segue(db)
    proxy.soaking({"name": "m", "operations": [CASES[name].operation]})
    proxy.cli("rollback", "m")
    proxy.cli("abort", "m")
    assert default_of(db, "f") is None
    db.sql("INSERT INTO t (id) VALUES (99)")
    assert db.one("SELECT f FROM t WHERE id = 99") == "no"


def test_a_column_added_of_a_domain_has_its_default(db, segue):
    """As ADD COLUMN would give it, at once or filled; until the cut-over `up` comes first."""
    db.sql(FLAG.format(old="f text") + "; CREATE DOMAIN at AS timestamptz DEFAULT now()")
    number = file_number(db)
    proxy = segue(db)

    def added(name, kind, **more):
        return {"add_column": {"table": "t", "column": {"name": name, "type": kind, "nullable": True}, **more}}

    proxy.ready({"name": "m", "operations": [added("a", "flag"), added("b", "at"), added("c", "flag", up="'of ' || id")]})
    db.sql("INSERT INTO t (id) VALUES (901)")
    assert db.sql("SELECT DISTINCT a, b IS NOT NULL, c = 'of ' || id FROM t") == [("no", True, True)]
    proxy.cli("cutover", "m")
    db.sql("INSERT INTO t (id) VALUES (902)")
    assert db.sql("SELECT a, b IS NOT NULL, c FROM t WHERE id = 902") == [("no", True, "no")]
    proxy.cli("complete", "m", "--force")
    assert [default_of(db, name) for name in "abc"] == [None, None, None]
    assert file_number(db) == number


@pytest.mark.one_version
def test_a_column_that_goes_is_filled_by_down_and_not_by_its_domains_default(db, segue):
    db.sql(FLAG.format(old="f flag"))
    proxy = segue(db)
    proxy.soaking({"name": "m", "operations": [{"drop_column": {"table": "t", "column": "f", "down": "note"}}]})
    proxy.connect().execute("INSERT INTO t (id, note) VALUES (901, 'mine')")
    proxy.cli("rollback", "m")
    assert db.one("SELECT f FROM t WHERE id = 901") == "mine"
    db.sql("INSERT INTO t (id) VALUES (902)")
    assert db.one("SELECT f FROM t WHERE id = 902") == "no"


@pytest.mark.one_version
def test_a_type_whose_default_no_column_can_be_without_is_refused(db, segue):
    db.sql("CREATE TYPE word; CREATE FUNCTION word_in(cstring) RETURNS word LANGUAGE internal IMMUTABLE STRICT AS 'textin';"
           "CREATE FUNCTION word_out(word) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';"
           "CREATE TYPE word (INPUT = word_in, OUTPUT = word_out, LIKE = text, DEFAULT = 'no');"
           "CREATE TABLE t (id int PRIMARY KEY, w word)")
    is_refused(segue(db), [{"rename_column": {"table": "t", "from": "w", "to": "h"}}], "type public.word has a default", "word")


# ---- a default that came in flight ----

ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, amount int {default}); INSERT INTO orders SELECT i, i FROM generate_series(1, 20) i"
WIDER = {"name": "m", "operations": [{"alter_column": {"table": "orders", "column": "amount", "type": "bigint"}}]}
RENAMED = {"name": "m", "operations": [{"rename_column": {"table": "orders", "from": "amount", "to": "total"}}]}

CAME = {
    "where the plan has none": ("", "SET DEFAULT 0", "it is 0", "DROP DEFAULT"),
    "in place of the plan's": ("DEFAULT 5", "SET DEFAULT 0", "it is 0", "SET DEFAULT 5"),
    "and took the plan's away": ("DEFAULT 5", "DROP DEFAULT", "it has gone", "SET DEFAULT 5"),
}


def said(proxy, *command):
    """The command is refused, or gives up; what it says of that."""
    ended = proxy.cli(*command, check=None)
    assert ended.code in (1, 4), ended
    return ended.out + ended.err


@pytest.mark.parametrize("case", CAME)
@pytest.mark.parametrize("migration", [WIDER, RENAMED], ids=["wider", "renamed"])
def test_a_turn_is_refused_when_a_default_came_in_flight_and_says_which(db, segue, case, migration):
    default, came, what, hint = CAME[case]
    db.sql(ORDERS.format(default=default))
    new = "amount" if migration is WIDER else "total"
    proxy = segue(db)
    ids = iter(range(100, 200))

    def inserts_stay():
        for conn in (proxy.connect(), db.connect()):
            for column in dict.fromkeys(("amount", new)):
                row = next(ids)
                conn.execute(f"INSERT INTO orders (id, {column}) VALUES ({row}, 7)")
                assert conn.execute(f"SELECT {column} FROM orders WHERE id = {row}").fetchone() == (7,)

    proxy.ready(migration)
    db.sql(f"ALTER TABLE orders ALTER amount {came}")
    words = said(proxy, "cutover", "m")
    assert "the default of column amount of public.orders is not the one of the plan: " + what in words, words
    assert f"ALTER TABLE public.orders ALTER COLUMN amount {hint}" in words
    assert proxy.phase("m") == "ready"
    db.sql(f"ALTER TABLE orders ALTER amount {hint}")
    proxy.cli("cutover", "m")
    inserts_stay()
    db.sql(f"ALTER TABLE orders ALTER {new} {came}")
    words = said(proxy, "rollback", "m")
    assert f"the default of column {new} of public.orders is not the one of the plan: {what}" in words, words
    assert f"ALTER TABLE public.orders ALTER COLUMN {new} {hint}" in words
    assert proxy.phase("m") == "soaking"
    db.sql(f"ALTER TABLE orders ALTER {new} {hint}")
    proxy.cli("rollback", "m")
    inserts_stay()
    proxy.cli("cutover", "m")
    db.sql(f"ALTER TABLE orders ALTER {new} {came}")  # of what stays: nobody's turn
    proxy.cli("complete", "m", "--force")
    kept = db.one("SELECT column_default FROM information_schema.columns WHERE table_name = 'orders' AND column_name = '" + new + "'")
    assert kept == ("0" if came == "SET DEFAULT 0" else None)


@pytest.mark.one_version
def test_a_default_on_the_half_that_follows_is_told(db, segue):
    db.sql(ORDERS.format(default=""))
    proxy = segue(db)
    proxy.ready(RENAMED)
    db.sql("ALTER TABLE orders ALTER total SET DEFAULT 0")
    assert "the default of column total of public.orders is not the one of the plan: it is 0" in said(proxy, "cutover", "m")
    assert proxy.phase("m") == "ready"


@pytest.mark.one_version
def test_an_abort_leaves_a_default_that_came_in_flight(db, segue):
    db.sql(ORDERS.format(default=""))
    proxy = segue(db)
    proxy.ready(RENAMED)
    db.sql("ALTER TABLE orders ALTER amount SET DEFAULT 0")
    proxy.cli("abort", "m")
    db.sql("INSERT INTO orders (id) VALUES (99)")
    assert db.one("SELECT amount FROM orders WHERE id = 99") == 0
