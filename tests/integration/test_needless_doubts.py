"""Texts that may have made a relation under the name of a migrating table, and have not: nearly all that might."""

import psycopg
import pytest
from lib.answers import columns, kinds, only, stat
from lib.rawwire import SYNC, Raw, bind, describe, execute, parse, query
from lib.tables import RENAME, make_items

pytestmark = pytest.mark.newest_unless_told

NEW_COLUMNS = ["id", "note", "filler", "title"]
OPAQUE = {"CALL": "CALL noop()", "DO": "DO $$BEGIN EXECUTE 'ANALYZE words'; END$$"}


@pytest.fixture
def soaking(db, segue):
    """A proxy in soak: the columns of the session's side are not the table's first ones."""
    make_items(db, 20)
    db.sql("CREATE TABLE words (id int)")
    db.sql("CREATE PROCEDURE noop() LANGUAGE plpgsql AS $$BEGIN NULL; END$$")
    proxy = segue(db, workers=1)
    proxy.soaking(RENAME)
    return proxy


@pytest.mark.parametrize("opaque", OPAQUE.values(), ids=OPAQUE)
def test_what_goes_by_the_columns_means_those_of_the_session(db, soaking, opaque):
    """Its values would be in wrong columns, of both halves, and nobody would notice."""
    with soaking.connect() as conn:
        for number, prepared in ((100, False), (200, True)):
            with conn.transaction():
                conn.execute(opaque)
                conn.execute(f"INSERT INTO items VALUES ({number}, 'n', 'f', 't')", prepare=prepared)
                conn.execute("INSERT INTO items SELECT id + 1, note, filler, title FROM items WHERE id = %s", (number,), prepare=prepared)
                with conn.cursor().copy("COPY items FROM STDIN") as copy:
                    copy.write_row((number + 2, "n", "f", "t"))
                got = conn.execute("SELECT * FROM items WHERE id >= %s ORDER BY id", (number,), prepare=prepared)
                assert [c.name for c in got.description] == NEW_COLUMNS
                assert got.fetchall() == [(number + i, "n", "f", "t") for i in range(3)]
    assert db.sql("SELECT DISTINCT label, note, filler, title FROM items WHERE id >= 100") == [("t", "n", "f", "t")]


@pytest.mark.parametrize("prepared", [False, True])
def test_values_meet_the_columns_of_the_session_whatever_else_of_the_statement_is_in_doubt(db, soaking, prepared):
    db.sql("CREATE FUNCTION told(items) RETURNS text LANGUAGE sql AS 'SELECT $1.note'")
    with soaking.connect() as conn:
        got = conn.execute("INSERT INTO items VALUES (100, 'n', 'f', 't') RETURNING told(items)", prepare=prepared)
        assert got.fetchall() == [("n",)]
        conn.execute("WITH w AS (INSERT INTO items VALUES (101, 'n', 'f', 't') RETURNING *) SELECT count(*) FROM w, items i WHERE told(i) = 'x'",
                     prepare=prepared)
    assert db.sql("SELECT id, label, note, filler, title FROM items WHERE id >= 100 ORDER BY 1") == [(n, "t", "n", "f", "t") for n in (100, 101)]


ALTERS = ["ALTER note SET DEFAULT '-'", "ADD CHECK (id > 0)", "SET (fillfactor = 90)", "ALTER note SET NOT NULL"]


@pytest.mark.parametrize("alter", ALTERS)
@pytest.mark.parametrize("within", [False, True])
def test_who_alters_the_table_and_none_of_its_columns_goes_on_as_before(db, soaking, alter, within):
    with soaking.connect(autocommit=not within) as conn:
        conn.execute(f"ALTER TABLE items {alter}")
        conn.execute("INSERT INTO items VALUES (100, 'n', 'f', 't')")
        got = conn.execute("SELECT * FROM items WHERE id = 100")
        assert [c.name for c in got.description] == NEW_COLUMNS and got.fetchall() == [(100, "n", "f", "t")]
        conn.commit()
    assert db.sql("SELECT label, note, filler, title FROM items WHERE id = 100") == [("t", "n", "f", "t")]


def test_all_else_is_left_as_it_is(db, soaking):
    before = stat(soaking, "left_path")
    with soaking.connect() as conn, conn.transaction():
        conn.execute(OPAQUE["CALL"])
        conn.execute("INSERT INTO items (id, title) VALUES (100, 't')")
        conn.execute("UPDATE items SET title = 'u' WHERE id = 100")
    assert stat(soaking, "left_path") == before + 2
    assert db.sql("SELECT label, title FROM items WHERE id = 100") == [("u", "u")]


def test_a_name_that_the_text_says_is_in_doubt_for_good_reason(soaking):
    with soaking.connect() as conn, conn.transaction(force_rollback=True):
        conn.execute("DO $$BEGIN CREATE TEMP TABLE items (a int, b text); END$$")
        conn.execute("INSERT INTO items VALUES (1, 'x')")
        assert conn.execute("SELECT * FROM items").fetchall() == [(1, "x")]


def test_another_relation_of_that_name_is_an_error(db, soaking):
    db.sql("CREATE PROCEDURE makes() LANGUAGE plpgsql AS $$BEGIN CREATE TEMP TABLE items (a int, b text); END$$")
    for statement in ("INSERT INTO items VALUES (1, 'x')", "SELECT * FROM items"):
        with soaking.connect() as conn, pytest.raises(psycopg.errors.UndefinedColumn), conn.transaction():
            conn.execute("CALL makes()")
            conn.execute(statement)


def test_a_statement_stays_what_its_client_was_told(soaking):
    """Who trusts what it was told reads columns by their places."""
    with Raw(soaking.port).login(soaking.dbname) as client:
        for text in ("BEGIN", "CALL noop()"):
            client.send(query(text)).answers()
        for name in ("within", "before"):
            got = client.send(parse("SELECT * FROM items WHERE id = $1", name, [20]), describe("S", name), SYNC).answers()
            assert columns(only(got, "T")[0]) == NEW_COLUMNS
            client.send(query("COMMIT")).answers()
        for text in ("BEGIN", "CALL noop()"):
            client.send(query(text)).answers()
        for name in ("within", "before"):
            got = client.send(bind(name, values=[1]), execute(), SYNC).answers()
            assert kinds(got) == "2DCZT" and only(got, "D")[0][:2] == b"\0\4"


ALTERS = ("CREATE TEMP TABLE staging (a int)", "ALTER TABLE staging ADD b int")


@pytest.mark.parametrize("prepared", (None, False, True), ids=("simple", "unnamed", "named"))
def test_who_alters_another_table_is_told_of_the_migrating_one_as_before(db, soaking, prepared):
    """In a transaction that has used the migrating table, too: values would be in wrong columns."""
    with (psycopg.ClientCursor if prepared is None else psycopg.Cursor)(soaking.connect()) as run, run.connection.transaction():
        run.execute("SELECT count(*) FROM items WHERE title = %s", ("x",), prepare=prepared)
        for statement in ALTERS:
            run.execute(statement, prepare=prepared)
        run.execute("INSERT INTO items VALUES (%s, 'n', 'f', 't')", (100,), prepare=prepared)
        run.execute("SELECT * FROM items WHERE id = %s", (100,), prepare=prepared)
        assert [c.name for c in run.description] == NEW_COLUMNS and run.fetchall() == [(100, "n", "f", "t")]
    assert db.sql("SELECT label, note, filler, title FROM items WHERE id = 100") == [("t", "n", "f", "t")]


def test_who_alters_another_table_in_the_same_text_is_told_of_the_migrating_one_as_before(db, soaking):
    with psycopg.ClientCursor(soaking.connect()) as run, run.connection.transaction():
        run.execute("CREATE TEMP TABLE staging AS SELECT * FROM items; ALTER TABLE staging ADD b int")
        run.execute("INSERT INTO items VALUES (101, 'n', 'f', 't')")
        run.execute("SELECT * FROM items WHERE id = 101")
        assert [c.name for c in run.description] == NEW_COLUMNS and run.fetchall() == [(101, "n", "f", "t")]
    assert db.sql("SELECT label, note, filler, title FROM items WHERE id = 101") == [("t", "n", "f", "t")]


@pytest.mark.parametrize("prepared", (None, False, True), ids=("simple", "unnamed", "named"))
def test_who_alters_the_migrating_table_sees_its_own_columns(soaking, prepared):
    with (psycopg.ClientCursor if prepared is None else psycopg.Cursor)(soaking.connect()) as run, run.connection.transaction(force_rollback=True):
        run.execute("ALTER TABLE items ADD more int", prepare=prepared)
        run.execute("SELECT * FROM items WHERE id = %s", (1,), prepare=prepared)
        assert "more" in [c.name for c in run.description]
