"""Prepared statements while names in them come into doubt, or out of it, or to mean another relation: clients that trust what
they were told get just that, or the server's word that it has changed."""

import pytest
from lib.answers import columns, fields, kinds, only, values
from lib.rawwire import SYNC, Raw, bind, describe, execute, parse, query
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

STAR = "SELECT * FROM items WHERE id = $1"
NEW_COLUMNS, BOTH = ["id", "note", "filler", "title"], ["id", "label", "note", "filler", "title"]
DOUBT = "DO $$BEGIN IF false THEN CREATE TABLE items (id int); END IF; END$$"  # nothing says whether it makes one


@pytest.fixture
def client(db, segue):
    """A session of a proxy in soak: the columns of its side are not the table's first ones."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    proxy.soaking(RENAME)
    with Raw(proxy.port).login(proxy.dbname) as client:
        yield client


def does(client, *texts):
    for text in texts:
        assert "E" not in kinds(client.send(query(text)).answers()), text


def told(client, text, name):
    got = client.send(parse(text, name, [20]), describe("S", name), SYNC).answers()
    return columns(only(got, "T")[0]) if only(got, "T") else None


def used(client, name, *arguments):
    """Values of the row, or the code of the error."""
    got = client.send(bind(name, values=arguments or [1]), execute(), SYNC).answers()
    if only(got, "E"):
        error = fields(only(got, "E")[0])
        return error["C"], error["R"]
    return values(only(got, "D")[0]) if only(got, "D") else []


CHANGED = ("0A000", "RevalidateCachedQuery")
ROW = [b"1", b"note", b"", b"row 1"]


def test_a_doubt_that_comes_leaves_what_was_told(client):
    assert told(client, STAR, "s") == NEW_COLUMNS
    for _ in range(2):
        does(client, "BEGIN", DOUBT)
        assert used(client, "s") == ROW
        does(client, "ROLLBACK")
        assert used(client, "s") == ROW


def test_a_doubt_that_goes_leaves_what_was_told(client):
    delete = "DELETE FROM items WHERE id = $1 RETURNING *"
    does(client, "BEGIN", DOUBT)
    assert told(client, STAR, "s") == told(client, delete, "d") == BOTH
    does(client, "COMMIT")
    until("the end of the doubt", lambda: columns(only(client.send(query("TABLE items LIMIT 0")).answers(), "T")[0]) == NEW_COLUMNS)
    assert used(client, "s") == [b"1", b"row 1", b"note", b"", b"row 1"]
    assert used(client, "d") == CHANGED


def test_who_makes_a_table_if_it_is_not_there_has_mostly_found_it(client):
    does(client, "BEGIN", "CREATE TABLE IF NOT EXISTS items (id int)")
    assert told(client, STAR, "s") == NEW_COLUMNS
    assert used(client, "s") == ROW
    does(client, "ROLLBACK")


def test_what_a_do_says_is_not_what_stands_beside_it(client):
    does(client, "BEGIN", "DO $$BEGIN CREATE TEMP TABLE zz (a int); END$$; SELECT 1 FROM items LIMIT 0")
    assert told(client, STAR, "s") == NEW_COLUMNS
    does(client, "ROLLBACK")


def test_a_table_of_that_name_which_the_session_makes_is_told_of(client):
    assert told(client, STAR, "s") == NEW_COLUMNS
    does(client, "BEGIN", "CREATE TEMP TABLE items AS SELECT 1 AS id, 'x' AS other")
    assert used(client, "s") == CHANGED
    does(client, "ROLLBACK")
    assert used(client, "s") == ROW


TENANT = {"name": "rename_label", "operations": [{"rename_column": {"table": "a.items", "from": "label", "to": "title"}}]}


@pytest.fixture
def proxy(db, segue):
    """Only schema a's table migrates; that of b has other columns, that of c the same."""
    for schema, more in (("a", "note"), ("b", "other"), ("c", "note")):
        db.sql(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.items (id bigint PRIMARY KEY, label text, {more} text); "
               f"INSERT INTO {schema}.items SELECT i, '{schema} ' || i, 'x' FROM generate_series(1, 20) i")
    proxy = segue(db, workers=1)
    proxy.ready(TENANT)
    return proxy


@pytest.fixture
def tenants(proxy):
    with Raw(proxy.port).login(proxy.dbname, options="-c search_path=a") as client:
        yield client


def test_another_relation_by_the_search_path_is_told_of(tenants):
    does(tenants, "SET search_path = b")
    assert told(tenants, STAR, "b") == ["id", "label", "other"]
    does(tenants, "SET search_path = a")
    assert told(tenants, STAR, "a") == ["id", "label", "note"]
    for _ in range(2):
        assert used(tenants, "a") == [b"1", b"a 1", b"x"]
        assert used(tenants, "b") == CHANGED
        does(tenants, "SET search_path = b")
        assert used(tenants, "a") == CHANGED
        assert used(tenants, "b") == [b"1", b"b 1", b"x"]
        does(tenants, "SET search_path = c")
        assert used(tenants, "a") == [b"1", b"c 1", b"x"]
        does(tenants, "SET search_path = a")


def test_who_describes_each_result_goes_along(tenants):
    def seen():
        got = tenants.send(bind("s", values=[1]), describe("P"), execute(), SYNC).answers()
        assert "E" not in kinds(got), got
        return columns(only(got, "T")[0])

    assert told(tenants, STAR, "s") == seen() == seen() == ["id", "label", "note"]
    for schema, more in (("b", "other"), ("a", "note"), ("c", "note"), ("a", "note"), ("b", "other")):
        does(tenants, f"SET search_path = {schema}")
        assert seen() == ["id", "label", more], schema


def test_values_by_their_places_stay_in_theirs(db, proxy, tenants):
    """What sets the path may set another one, until its answer comes."""
    proxy.cli("cutover", TENANT["name"])
    assert told(tenants, "INSERT INTO items VALUES ($1, $2, $3)", "i") is None
    for number in (100, 101):
        got = tenants.send(parse("SET search_path = a"), bind(), execute(), bind("i", values=[number, "n", "t"]), execute(), SYNC).answers()
        assert kinds(got) == "12C2CZI"
    assert db.sql("SELECT DISTINCT label, note, title FROM a.items WHERE id >= 100") == [("t", "n", "t")]
