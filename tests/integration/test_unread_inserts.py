"""INSERTs longer than `inspect_bytes_max` that name no columns: segue reads up to the end of their first row."""

import pytest
from lib.answers import fields, kinds, only, stat
from lib.rawwire import SYNC, Raw, bind, execute, parse, query
from lib.tables import RENAME, make_items

pytestmark = pytest.mark.newest_unless_told

NEW = "id, title, note, filler"


@pytest.fixture
def soaking(db, segue):
    """Sessions see id, note, filler, title; the table has label in front of note."""
    make_items(db, 0)
    proxy = segue(db, workers=1, inspect_bytes_max=4096)
    proxy.soaking(RENAME)
    return proxy


def raw(proxy):
    return Raw(proxy.port).login(proxy.dbname)


def many(rows, into="items", last=None):
    """Text of more than is read."""
    values = [f"({i}, 'n {i}', E'it''s\\') {i}', 't {i}')" for i in range(1, rows + 1)] + [last or "(0, $$)$$, '\\', ')')"]
    text = f"INSERT INTO {into} VALUES " + ", ".join(values)
    assert len(text) > 5000
    return text


def ask(client, text, extended, piece=None):
    """As a Query, or prepared; in pieces of so many bytes. Gives the answers up to ReadyForQuery."""
    data = parse(text) + bind() + execute() + SYNC if extended else query(text)
    for at in range(0, len(data), piece or len(data)):
        client.send(data[at:at + (piece or len(data))])
    return client.answers()


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("piece", [None, 50])
def test_values_go_to_the_columns_that_the_session_sees(db, soaking, extended, piece):
    into = "/* a ( VALUES */ public . items AS \"VALUES\""
    with raw(soaking) as client:
        got = ask(client, many(200, into), extended, piece)
        assert kinds(got) == ("12CZI" if extended else "CZI"), only(got, "E")
        got = client.send(query("SELECT 1")).answers()
        assert kinds(got) == "TDCZI"
    rows = db.sql(f"SELECT {NEW}, label FROM items ORDER BY id")
    assert len(rows) == 201
    assert rows[0] == (0, ")", ")", "\\", ")")
    assert rows[7] == (7, "t 7", "n 7", "it's') 7", "t 7")
    assert stat(soaking, "left_length") == 1  # the rest has not been read


@pytest.mark.parametrize("extended", [False, True])
def test_an_error_behind_the_first_row_stands_where_the_client_has_it(soaking, extended):
    text = many(200, last="(0, 'ä', nowhere, 't')")
    with raw(soaking) as client:
        got = ask(client, text, extended)
        error = fields(only(got, "E")[0])
        assert error["C"] == "42703" and int(error["P"]) == text.index("nowhere") + 1


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("piece", [None, 1000])
def test_without_a_whole_row_it_would_be_guessed_and_is_refused(db, soaking, extended, piece):
    text = f"INSERT INTO items VALUES (1, '{'x' * 20000}', 'filler', 'title')"
    with raw(soaking) as client:
        for around in (("",), ("BEGIN", "ROLLBACK")):
            if around[0]:
                client.send(query(around[0])).answers()
            error = fields(only(ask(client, text, extended, piece), "E")[0])
            assert error["C"] == "54000" and "INSERT without a list" in error["M"], error
            assert "inspect_bytes_max (4096)" in error["H"]
            if around[0]:  # from now on the server says so itself
                assert fields(only(ask(client, text, extended, piece), "E")[0])["C"] == "25P02"
                client.send(query(around[1])).answers()
        named = text.replace("items", "items (id, note, filler, title)")
        assert kinds(ask(client, named, extended, piece))[-3:] == "CZI"
    assert db.sql("SELECT id, title, label, length(note), filler FROM items") == [(1, "title", "title", 20000, "filler")]


@pytest.mark.parametrize("extended", [False, True])
def test_another_relation_of_that_name_is_left_alone(db, segue, extended):
    """By the search path, which what stands behind the head may change."""
    make_items(db, 0)
    db.sql("CREATE SCHEMA tenant; CREATE TABLE tenant.items (id bigint, title text, note text, filler text)")
    proxy = segue(db, workers=1, inspect_bytes_max=4096)
    proxy.soaking(RENAME)
    with Raw(proxy.port).login(proxy.dbname, options="-c search_path=tenant") as tenant, raw(proxy) as client:
        for text in (many(200), f"INSERT INTO items VALUES (1000, 'title', '{'x' * 20000}', 'filler')", many(200)):
            assert kinds(ask(tenant, text, extended))[-3:] == "CZI"
        assert kinds(ask(client, many(200), extended))[-3:] == "CZI"
    assert db.sql("SELECT DISTINCT title, note, filler FROM tenant.items WHERE id = 7") == [("n 7", "it's') 7", "t 7")]
    assert db.sql("SELECT title, length(note), filler FROM tenant.items WHERE id = 1000") == [("title", 20000, "filler")]
    assert db.sql(f"SELECT {NEW} FROM items WHERE id = 7") == [(7, "t 7", "n 7", "it's') 7")]


@pytest.mark.parametrize("extended", [False, True])
def test_nor_is_it_guessed_behind_what_may_end_a_failed_transaction(db, soaking, extended):
    text = f"INSERT INTO items VALUES (1, '{'x' * 20000}', 'filler', 'title')"
    with raw(soaking) as client:
        client.send(query("BEGIN")).answers()
        client.send(query("SELECT 1/0")).answers()
        client.send(query("ROLLBACK"), parse(text) + bind() + execute() + SYNC if extended else query(text))
        assert kinds(client.answers()) == "CZI"
        assert fields(only(client.answers(), "E")[0])["C"] == "54000"
    assert db.one("SELECT count(*) FROM items") == 0


def test_who_wants_nothing_rewritten_counts_the_columns_of_the_table(db, segue):
    make_items(db, 0, more="GRANT ALL ON items TO app")
    proxy = segue(db, workers=1, inspect_bytes_max=4096, schema_rules='[{"user": "app", "rewrite": false}]')
    proxy.soaking(RENAME)
    row = f"'label', '{'x' * 20000}', 'filler', 'label')"
    with raw(proxy) as client, Raw(proxy.port).login(proxy.dbname, user="app") as plain:
        assert kinds(ask(plain, f"INSERT INTO items VALUES (1, {row}", False)) == "CZI"
        assert kinds(ask(client, f"INSERT /* segue:off */ INTO items VALUES (2, {row}", True)) == "12CZI"
    assert db.sql("SELECT id, label, length(note), filler, title FROM items ORDER BY id") == [
        (n, "label", 20000, "filler", "label") for n in (1, 2)]


def test_before_the_cut_over_the_values_are_in_their_order(db, segue):
    make_items(db, 0)
    proxy = segue(db, workers=1, inspect_bytes_max=4096)
    proxy.ready(RENAME)
    with raw(proxy) as client:
        assert kinds(ask(client, f"INSERT INTO items VALUES (1, 'label', '{'x' * 20000}', 'filler')", False)) == "CZI"
        assert kinds(ask(client, many(200).replace("(1,", "(1001,"), False)) == "CZI"
    assert db.one("SELECT title FROM items WHERE id = 1") == "label"
    assert db.sql("SELECT label, note, filler, title FROM items WHERE id = 7") == [("n 7", "it's') 7", "t 7", "n 7")]
