"""A type, or a function, gets another name or schema while a migration is in flight: writers notice nothing, and segue says what is in its way."""

import itertools

import psycopg
import pytest
from lib.wait import SLOW

pytestmark = pytest.mark.newest_unless_told
TABLE = ("CREATE SCHEMA kinds; CREATE TYPE kinds.state AS ENUM ('new', 'paid', 'sent');"
         "CREATE FUNCTION kinds.told(kinds.state) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'it is ' || $1::text $$;"
         "CREATE TABLE bills (id int PRIMARY KEY, label text, state kinds.state, note text);"
         "INSERT INTO bills SELECT i, 'paid', 'new', 'n' FROM generate_series(1, 50) AS i;"
         "GRANT USAGE ON SCHEMA kinds TO app; GRANT SELECT, INSERT, UPDATE ON bills TO app;"
         "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
# what happens to the type, what takes it back
CHANGES = {
    "name": ("ALTER TYPE kinds.state RENAME TO states", "ALTER TYPE kinds.states RENAME TO state"),
    "schema": ("ALTER TYPE kinds.state SET SCHEMA public", "ALTER TYPE public.state SET SCHEMA kinds"),
    "name of the schema": ("ALTER SCHEMA kinds RENAME TO sorts", "ALTER SCHEMA sorts RENAME TO kinds"),
}
FUNCTION = "ALTER FUNCTION kinds.told(kinds.state) RENAME TO said", "ALTER FUNCTION kinds.said(kinds.state) RENAME TO told"
# operations; what an application of either side writes; what is in step
FILES = {
    "to an enum": ({"rename_column": {"table": "bills", "from": "label", "to": "status", "type": "kinds.state", "up": "label::kinds.state",
                                      "down": "status::text"}}, ("label", "sent"), ("status", "new"), "label = status::text"),
    "from an enum": ({"rename_column": {"table": "bills", "from": "state", "to": "told", "type": "text", "up": "kinds.told(state)",
                                        "down": "substr(told, 7)::kinds.state"}}, ("state", "sent"), ("told", "it is new"), "'it is ' || state::text = told"),
    "under its name": ({"alter_column": {"table": "bills", "column": "label", "type": "kinds.state", "up": "label::kinds.state",
                                         "down": "label::text"}}, ("label", "sent"), ("label", "new"), 'label::text = "{other}"::text'),
    "split": ({"change_columns": {"table": "bills", "from": ["label"], "to": [{"name": "now", "type": "kinds.state", "nullable": True},
                                                                              {"name": "length", "type": "int", "nullable": True}],
                                  "up": {"now": "label::kinds.state", "length": "char_length(label)"}, "down": {"label": "now::text"}}},
              ("label", "sent"), ("now", "new"), "label = now::text"),
    "added": ({"add_column": {"table": "bills", "up": "'paid'::kinds.state", "column": {"name": "next", "type": "kinds.state"}}},
              ("label", "sent"), ("next", "new"), "next IS NOT NULL"),
}
ids = itertools.count(1000)


@pytest.fixture
def bills(db):
    db.sql(TABLE)
    return db


def write(conn, column, value):
    conn.execute(f"INSERT INTO bills (id, {column}) VALUES ({next(ids)}, '{value}')")
    conn.execute(f"UPDATE bills SET {column} = '{value}' WHERE id = 7")
    if column != "next":  # which is NOT NULL
        conn.execute(f"UPDATE bills SET {column} = NULL WHERE id = 8")
    conn.execute("UPDATE bills SET note = 'm' WHERE id = 9")


def all_in_step(db, step):
    other = db.one("SELECT max(attname) FROM pg_attribute WHERE attrelid = 'bills'::regclass AND NOT attisdropped AND attname ~ '~'")
    assert db.sql(f"SELECT * FROM bills WHERE NOT ({step.format(other=other)})") == []


def refused(proxy, *command):
    done = proxy.cli(*command, check=4, timeout=30 * SLOW)
    assert "function kinds.told(kinds.state) does not exist" in done.err or (
        "has got another name or schema from somebody: it was kinds.state" in done.err and "give it back that name" in done.err), done.err


@pytest.mark.parametrize(("file", "change"), [(file, "name") for file in FILES] + [
    ("from an enum", "function")] + [("to an enum", change) for change in CHANGES if change != "name"])
def test_writers_of_either_side_go_on_and_a_turn_waits_for_the_name(bills, segue, file, change):
    operation, old, new, step = FILES[file]
    there, back = CHANGES.get(change, FUNCTION)
    proxy = segue(bills)
    name = proxy.ready({"name": "m", "operations": [operation]})
    early = bills.connect()
    for command, phase in (("cutover", "soaking"), ("rollback", "ready"), ("cutover", "soaking")):
        write(early, *old)
        bills.sql(there)
        for conn in (early, bills.connect(user="app"), proxy.connect()):
            write(conn, *old)
            write(conn, *new)
        all_in_step(bills, step)
        if file != "added":  # its column has a value by then: nothing of the turn says the type
            refused(proxy, command, name)
        bills.sql(back)
        proxy.cli(command, name)
        proxy.wait_phase(name, phase)
    proxy.cli("complete", name, "--force")
    assert bills.sql("SELECT proname FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname ~ '^guard'") == []


def test_a_fill_says_why_it_stops_and_goes_on_when_the_name_is_back(bills, segue):
    operation, old, _, step = FILES["to an enum"]
    proxy = segue(bills)
    proxy.console("THROTTLE flag_file /")
    proxy.console("THROTTLE flag_file on")
    name = "m"
    proxy.begin({"name": name, "operations": [operation]})
    proxy.wait(name, lambda r: r["phase"] == "backfilling" and "flag_file" in r["throttle"])
    there, back = CHANGES["name"]
    bills.sql(there)
    write(bills.connect(), *old)
    proxy.console("THROTTLE flag_file off")
    assert "has got another name or schema from somebody" in proxy.wait(name, lambda r: r["error"])["error"]
    bills.sql(back)
    proxy.cli("resume", name)
    proxy.wait_phase(name, "ready")
    all_in_step(bills, step)
    proxy.cli("abort", name)


@pytest.mark.parametrize("change", CHANGES)
def test_a_column_that_is_renamed_alone_does_not_mind(bills, segue, change):
    proxy = segue(bills)
    name = proxy.ready({"name": "m", "operations": [{"rename_column": {"table": "bills", "from": "state", "to": "status"}}]})
    bills.sql(CHANGES[change][0])
    proxy.cli("verify", name)
    for command, phase in (("cutover", "soaking"), ("rollback", "ready"), ("cutover", "soaking")):
        write(bills.connect(), "state", "sent")
        write(bills.connect(), "status", "paid")
        proxy.cli(command, name)
        proxy.wait_phase(name, phase)
    proxy.cli("complete", name, "--force")
    assert bills.one("SELECT count(*) FROM bills WHERE status = 'paid'") >= 3


READS = {"name": "m", "operations": [
    {"rename_column": {"table": "bills", "from": "label", "to": "place", "type": "kinds.place", "up": "ROW(label, 'x')::kinds.place",
                       "down": "(place).street"}},
    {"add_column": {"table": "bills", "up": "kinds.shout(note)", "column": {"name": "shout", "type": "text", "nullable": True}}},
    {"add_column": {"table": "bills", "up": "state = 'paid'", "column": {"name": "is_paid", "type": "boolean", "nullable": True}}}]}


def test_so_they_do_where_a_value_may_depend_on_settings_or_another_column_is_read(bills, segue):
    """Composite types, functions that are only stable, and the label of an enum that is no half of a pair."""
    bills.sql("CREATE TYPE kinds.place AS (street text, city text);"
              "CREATE FUNCTION kinds.shout(t text) RETURNS text STABLE LANGUAGE sql AS $$ SELECT upper(t) $$;"
              "GRANT EXECUTE ON FUNCTION kinds.shout TO app")
    proxy = segue(bills)
    name = proxy.ready(READS)
    early = bills.connect()
    there = ("ALTER TYPE kinds.place RENAME TO spot; ALTER FUNCTION kinds.shout(text) RENAME TO loud;"
             "ALTER TYPE kinds.state RENAME VALUE 'paid' TO 'settled'")
    back = ("ALTER TYPE kinds.spot RENAME TO place; ALTER FUNCTION kinds.loud(text) RENAME TO shout;"
            "ALTER TYPE kinds.state RENAME VALUE 'settled' TO 'paid'")

    def writes(paid, place):
        for conn in (early, bills.connect(user="app"), proxy.connect()):
            first = next(ids)
            conn.execute(f"INSERT INTO bills (id, label, state, note) VALUES ({first}, 'a', '{paid}', 'n')")
            conn.execute(f"INSERT INTO bills (id, place) VALUES ({next(ids)}, ROW('b', 'y')::kinds.{place})")
            conn.execute("UPDATE bills SET label = 'c', note = 'm' WHERE id = 7")
            conn.execute("UPDATE bills SET state = 'sent' WHERE id = 9")
            assert bills.sql(f"SELECT is_paid, shout FROM bills WHERE id = {first}") == [(True, "N")]
        assert bills.one("SELECT count(*) FROM bills WHERE label IS DISTINCT FROM (place).street OR shout IS DISTINCT FROM upper(note)") == 0

    for command, phase in (("cutover", "soaking"), ("rollback", "ready"), ("cutover", "soaking")):
        writes("paid", "place")
        bills.sql(there)
        writes("settled", "spot")
        bills.sql(back)
        proxy.cli("resume", name)
        proxy.cli(command, name)
        proxy.wait_phase(name, phase)
    proxy.cli("complete", name, "--force")
    assert bills.sql("SELECT proname FROM pg_proc WHERE pronamespace = 'segue'::regnamespace AND proname ~ '^guard'") == []


def test_a_column_that_the_guard_reads_is_not_dropped_or_of_another_type_under_it(bills, segue):
    """In soak nothing else of the trigger says the column: whoever inserts would get 42703."""
    proxy = segue(bills)
    name = proxy.soaking({"name": "m", "operations": [{"add_column": {"table": "bills", "up": "note || '!'", "column": {
        "name": "told", "type": "text", "nullable": True}}}]})
    for statement, refused in (("DROP COLUMN note", psycopg.errors.DependentObjectsStillExist),
                               ("ALTER COLUMN note TYPE varchar(9)", psycopg.errors.FeatureNotSupported)):
        with pytest.raises(refused):
            bills.sql(f"ALTER TABLE bills {statement}")
    bills.sql("INSERT INTO bills (id, note) VALUES (1000, 'n')")
    assert bills.one("SELECT told FROM bills WHERE id = 1000") == "n!"
    proxy.cli("complete", name, "--force")
    bills.sql("ALTER TABLE bills DROP COLUMN note")


def test_a_label_that_gets_another_name_is_told_and_nothing_turns_before_it_has_its_own_again(bills, segue):
    """What was filled as a text is not what the value says any more, and the guard finds no such value."""
    proxy = segue(bills)
    name = proxy.ready({"name": "m", "operations": [{"rename_column": {
        "table": "bills", "from": "state", "to": "told", "type": "text", "up": "state::text", "down": "told::kinds.state"}}]})
    bills.sql("ALTER TYPE kinds.state ADD VALUE 'lost'")  # another one says nothing of those
    for command, phase in (("cutover", "soaking"), ("rollback", "ready"), ("cutover", "soaking")):
        bills.sql("ALTER TYPE kinds.state RENAME VALUE 'new' TO 'it''s fresh'")
        row = proxy.wait(name, lambda r: r["error"])
        assert "the label 'new' of type kinds.state has got another name from somebody: it is 'it's fresh' now" in row["error"]
        assert "ALTER TYPE kinds.state RENAME VALUE 'it''s fresh' TO 'new'" in row["hint"]
        assert "the label 'new' of type kinds.state" in proxy.cli(command, name, check=None).err
        assert "the label 'new' of type kinds.state" in proxy.cli("verify", name, check=None).err
        bills.sql("ALTER TYPE kinds.state RENAME VALUE 'it''s fresh' TO 'new'")
        proxy.cli("resume", name)
        proxy.cli("verify", name)
        proxy.cli(command, name)
        proxy.wait_phase(name, phase)
    proxy.cli("complete", name, "--force")
    assert bills.one("SELECT count(*) FROM bills WHERE told = 'new'") == 50


def test_a_column_of_the_migration_that_gets_another_name_is_told_and_nothing_turns_before_it_has_its_own_again(bills, segue):
    """The body of the guard says it by name, whether it is half of a pair or only read."""
    proxy = segue(bills)
    name = proxy.ready({"name": "m", "operations": [
        {"rename_column": {"table": "bills", "from": "label", "to": "title"}},
        {"add_column": {"table": "bills", "up": "note || '!'", "column": {"name": "told", "type": "text", "nullable": True}}}]})
    for command, phase, column in (("cutover", "soaking", "note"), ("rollback", "ready", "title"), ("cutover", "soaking", "label")):
        bills.sql(f"ALTER TABLE bills RENAME {column} TO other")
        row = proxy.wait(name, lambda r: r["error"])
        assert f'column "{column}" of table public.bills is not there under that name any more' in row["error"]
        assert f'ALTER TABLE public.bills RENAME COLUMN .. TO "{column}"' in row["hint"]
        assert ["resume" in r["command"] for r in proxy.console(f"DOCTOR {name}") if r["finding"] in ("stopped", "gave up")] == [True]
        for said in (command,) if phase == "soaking" else (command, "complete"):
            assert f'column "{column}" of table' in proxy.cli(said, name, check=None).err
        bills.sql(f"ALTER TABLE bills RENAME other TO {column}")
        proxy.cli("resume", name)
        proxy.cli(command, name)
        proxy.wait_phase(name, phase)
    proxy.cli("complete", name, "--force")
