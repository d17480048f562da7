"""Tables in migration that somebody else alters: through segue, past it, and what a client notices of that."""

import time

import psycopg
import pytest
from lib.answers import columns, fields, kinds, only, stat, values
from lib.rawwire import Raw, query
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version

OLD = ["id", "label", "note", "filler"]
# by itself the engine reads two seconds after the last time; what is to come before, or sooner, may be late where others use
# the machine, but not each time
TRIES = 5
BOTH = ["id", "label", "note", "filler", "title"]


@pytest.fixture
def migrating(db, segue):
    make_items(db, 10)
    proxy = segue(db, log_level="debug")
    proxy.ready(RENAME)
    return proxy


def seen(conn, **options):
    """Options: prepare. Not by itself: as from the server, a star that is prepared gives an error from when it means other columns."""
    return [c.name for c in conn.execute("SELECT * FROM items LIMIT 1", **{"prepare": False, **options}).description]


def tried(conn, **options):
    try:
        return seen(conn, **options)
    except (psycopg.errors.UndefinedColumn, psycopg.errors.FeatureNotSupported):  # the latter of what was prepared before
        return None


def freshly_read(proxy, db, conn):
    """The catalog has just been read: by itself the engine looks again two seconds later."""
    with proxy.connect() as other:
        other.execute("ALTER TABLE items ADD COLUMN fresh int")
        until("the reading", lambda: tried(conn) == [*OLD, "fresh"])
        other.execute("ALTER TABLE items DROP COLUMN fresh")
        until("the reading", lambda: tried(conn) == OLD)


def columns_to_drop(proxy, db, conn):
    """A column that the rules know, which is to be dropped before they are read again: in one of several tries."""
    for i in range(TRIES):
        with proxy.connect() as other:
            other.execute(f"ALTER TABLE items ADD COLUMN going_{i} int")
        until("the reading", lambda: tried(conn) == [*OLD, f"going_{i}"])  # noqa: B023
        yield f"going_{i}"



@pytest.mark.parametrize("statement", [
    "ALTER TABLE items ADD COLUMN more int", "BEGIN; ALTER TABLE items ADD COLUMN more int; SELECT 1; COMMIT",
    "DO $$BEGIN ALTER TABLE items ADD COLUMN more int; END$$"])
def test_what_a_client_changes_is_known_at_once(migrating, db, statement):
    took = []
    with migrating.connect() as one, migrating.connect() as other:
        while len(took) < TRIES and (not took or took[-1] > 1.5 * SLOW):
            freshly_read(migrating, db, other)
            one.execute(statement.encode())
            began = time.monotonic()
            until("the column", lambda: seen(other) == [*OLD, "more"], every=0.005)
            took.append(time.monotonic() - began)
            one.execute("ALTER TABLE items DROP COLUMN more")
    assert took[-1] < 1.5 * SLOW, "it waits for the time of the next reading"
    print(f"{took[-1] * 1000:.0f} ms")


def test_who_has_altered_the_table_meets_no_column_that_it_has_dropped(migrating):
    """Inside the transaction nobody else can know of it; behind it until the catalog has been read."""
    with migrating.connect() as one, migrating.connect(prepare_threshold=0) as other:
        one.execute("BEGIN")
        one.execute("ALTER TABLE items DROP COLUMN note")
        assert seen(one) == [c for c in BOTH if c != "note"]
        one.execute("UPDATE items SET label = 'changed' WHERE id = 1")
        one.execute("COMMIT")
        now = seen(one)
        assert "note" not in now
        until("the rules to be for it again", lambda: seen(one) == ["id", "label", "filler"])
        until("the other worker's, too", lambda: tried(other, prepare=True) == ["id", "label", "filler"])
        assert one.execute("SELECT label, title FROM items WHERE id = 1").fetchone() == ("changed", "changed")
        one.execute("BEGIN")
        one.execute("ALTER TABLE items ADD COLUMN never int")
        one.execute("ROLLBACK")
        until("the rules to be for it again", lambda: seen(one) == ["id", "label", "filler"])


@pytest.mark.parametrize("end", ["ROLLBACK; BEGIN", "ROLLBACK; START TRANSACTION"])
def test_who_has_altered_the_table_is_rewritten_again_behind_a_rollback_in_a_chain(migrating, end):
    with migrating.connect() as one:
        one.execute("BEGIN")
        one.execute("ALTER TABLE items ADD COLUMN never int")
        one.execute(end)
        until("its own columns", lambda: seen(one) == OLD)
        one.execute("ROLLBACK")


def test_who_has_altered_the_table_and_goes_back_to_a_savepoint_is_not_rewritten_yet(migrating):
    """The BEGIN behind it begins nothing, of which the server warns."""
    with migrating.connect() as one:
        one.execute("BEGIN")
        one.execute("ALTER TABLE items ADD COLUMN more int; SAVEPOINT a")
        one.execute("ROLLBACK TO a; BEGIN")
        for _ in range(20):
            assert "more" in seen(one)
            time.sleep(0.02)
        one.execute("ROLLBACK")


@pytest.mark.parametrize("end", ["COMMIT AND CHAIN", "COMMIT; BEGIN"])
def test_who_has_altered_the_table_is_rewritten_again_in_the_next_transaction_of_a_chain(migrating, end):
    with migrating.connect() as one:
        one.execute("BEGIN")
        one.execute("ALTER TABLE items ADD COLUMN more int")
        one.execute(end)
        until("its own columns", lambda: seen(one) == [*OLD, "more"])
        one.execute("ROLLBACK")


def test_a_simple_query_never_fails_by_a_column_that_somebody_has_dropped(migrating, db):
    """Past segue nobody tells it: the server refuses the rewritten text, and gets the client's own."""
    before = stat(migrating, "sent_again")
    with migrating.connect() as conn, Raw(migrating.port).login(db.name) as raw:
        for column in columns_to_drop(migrating, db, conn):
            db.sql(f"ALTER TABLE items DROP COLUMN {column}")
            answers = raw.send(query("SELECT * FROM items WHERE id = 1")).answers()
            assert kinds(answers) == "TDCZI" and values(only(answers, "D")[0])[0] == b"1"
            got = columns(only(answers, "T")[0])
            if stat(migrating, "sent_again") > before:
                break
            assert got == OLD  # the engine has read the catalog in between
        assert got == BOTH and stat(migrating, "sent_again") == before + 1
        until("the rules", lambda: tried(conn) == OLD)
        assert kinds(raw.send(query("SELECT * FROM items WHERE id = 1")).answers()) == "TDCZI"


def test_an_insert_by_position_may_use_a_column_that_somebody_has_added_when_that_is_known(migrating, db):
    """Until then the server refuses it, and so it is: the columns of the table itself are not the client's."""
    text = "INSERT INTO items VALUES (100, 'label', 'note', 'f', 7)"
    with migrating.connect() as conn, Raw(migrating.port).login(db.name) as raw:
        freshly_read(migrating, db, conn)
        db.sql("ALTER TABLE items ADD COLUMN more int")

        def inserted():
            answers = raw.send(query(text)).answers()
            assert kinds(answers) == "CZI" or fields(only(answers, "E")[0])["C"] == "42601"
            return kinds(answers) == "CZI"

        until("the rules to know the column", inserted)
    assert db.sql("SELECT label, title, more FROM items WHERE id = 100") == [("label", "label", 7)]


# with the columns of the other side, which are there too, the server would have nothing against them
MISTAKES = ["INSERT INTO items VALUES (100, 'a', 'n', 'f', 'b')", "SELECT * FROM items ORDER BY 5",
            "SELECT * FROM items UNION ALL SELECT 1, 'a', 'n', 'f', 'b'",
            "INSERT INTO archive (a, b, c, d, e) SELECT * FROM items", "SELECT (SELECT (SELECT i.*) FROM items i LIMIT 1)",
            "INSERT INTO items VALUES (101, 'a', 'n', 'f', 'b') RETURNING *"]


@pytest.mark.parametrize("soaks", [False, True], ids=["ready", "soaking"])
def test_a_clients_own_mistake_is_never_mended_by_hidden_columns(segue, db, soaks):
    with db.cluster.database() as plain:
        for database in (db, plain):
            make_items(database, 10)
            database.sql("CREATE TABLE archive (a text, b text, c text, d text, e text)")
        if soaks:
            plain.sql("ALTER TABLE items DROP COLUMN label, ADD COLUMN title text")
        proxy = segue(db)
        (proxy.soaking if soaks else proxy.ready)(RENAME)
        seen_columns = "id, note, filler, title" if soaks else ", ".join(OLD)
        with Raw(proxy.port).login(db.name) as raw, Raw(db.cluster.port).login(plain.name) as direct:
            for wrong in MISTAKES:
                got, expected = (c.send(query(wrong)).answers() for c in (raw, direct))
                assert (wrong, got) == (wrong, expected) and kinds(got) == "EZI"
        assert stat(proxy, "sent_again") == 0
        counts = f"SELECT (SELECT count(*) FROM archive), (SELECT count({seen_columns.split(', ')[1]}) FROM items WHERE id > 10)"
        assert db.sql(counts) == plain.sql(counts) == [(0, 0)]


def test_who_may_not_read_all_columns_never_joins_by_a_hidden_one(migrating, db):
    """The sub-select that stands for the table needs them all; the table itself would join by both sides' columns."""
    db.sql("CREATE TABLE told AS SELECT id, 'other' AS title FROM items; GRANT SELECT ON told TO app; GRANT SELECT (id, title) ON items TO app")
    with Raw(migrating.port).login(db.name, user="app") as raw:
        answers = raw.send(query("SELECT count(told.id) FROM items NATURAL JOIN told")).answers()
    assert [values(row) for row in only(answers, "D")] == [] and fields(only(answers, "E")[0])["C"] == "42501"


@pytest.mark.parametrize("wrong", [
    "SELECT nosuch, * FROM items", "SELECT * FROM items WHERE nosuch = 1", "UPDATE items SET label = nosuch",
    "INSERT INTO items (id, label) VALUES (1)", "SELECT items.*, lower(1, 2) FROM items"])
def test_a_clients_own_mistake_is_answered_with_the_servers_own_words(migrating, db, wrong):
    with Raw(migrating.port).login(db.name) as raw, Raw(db.cluster.port).login(db.name) as direct:
        got, expected = (c.send(query(wrong), query("SELECT 1")).answers() + c.answers() for c in (raw, direct))
        alone, expected_alone = (c.send(query(wrong)).answers() for c in (raw, direct))
        assert got == expected and alone == expected_alone
        assert kinds(alone) == "EZI" and kinds(raw.send(query("SELECT 1")).answers()) == "TDCZI"


def test_what_has_begun_to_be_answered_or_runs_in_a_transaction_is_not_sent_again(migrating, db):
    before = stat(migrating, "sent_again")
    db.sql("CREATE FUNCTION fails() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN nosuch; END'")
    db.sql("GRANT SELECT ON items TO app")
    failing = ["SELECT *, fails() FROM items", "SELECT * FROM items LIMIT 1; SELECT nosuch, * FROM items",
               "SELECT *, CASE WHEN id > 5 THEN set_config('session_authorization', 'postgres', false) END FROM items"]
    with Raw(migrating.port).login(db.name, user="app") as raw:
        for text in [*failing, "BEGIN", "SELECT nosuch, * FROM items"]:
            answers = raw.send(query(text)).answers()
            assert text == "BEGIN" or fields(only(answers, "E")[0])["C"].startswith("42"), text
        raw.send(query("ROLLBACK")).answers()
        # one with a second message behind it: whose answer would the third be?
        answers = raw.send(query("SELECT nosuch, * FROM items"), query("SELECT 1")).answers()
        assert kinds(answers) == "EZI" and kinds(raw.answers()) == "TDCZI"
    assert stat(migrating, "sent_again") == before


def test_in_the_extended_protocol_the_error_is_the_clients_and_the_next_try_is_right(migrating, db):
    """What was sent behind it cannot be sent again."""
    with migrating.connect() as conn:
        for column in columns_to_drop(migrating, db, conn):
            db.sql(f"ALTER TABLE items DROP COLUMN {column}")
            got = tried(conn, prepare=True)
            if got is None:
                break
            assert got == OLD  # the engine has read the catalog in between
        assert got is None
        until("the rules", lambda: tried(conn, prepare=True) == OLD)


@pytest.mark.parametrize("statement", ["SELECT s.title FROM (SELECT * FROM items) s", "WITH s AS (SELECT * FROM items) SELECT *, s.title FROM s",
                                       "INSERT INTO seen SELECT s.*, s.title FROM (SELECT * FROM items) s"])
def test_a_column_of_the_other_side_that_a_star_does_not_give_stays_hidden(migrating, db, statement):
    db.sql("CREATE TABLE seen (a int, b text, c text, d text, e text, f text)")
    before = stat(migrating, "sent_again")
    with migrating.connect() as conn, pytest.raises(psycopg.errors.UndefinedColumn, match="title"):
        conn.execute(statement)
    assert stat(migrating, "sent_again") == before and db.one("SELECT count(*) FROM seen") == 0
