"""Prepared statements over tables that are on different sides: one is cut over, the other is not."""

import pytest
from lib.answers import columns, fields, kinds, only
from lib.rawwire import SYNC, Raw, bind, describe, execute, parse
from lib.tables import RENAME, make_items

OTHER = {"name": "rename_word", "operations": [{"rename_column": {"table": "words", "from": "word", "to": "term"}}]}
BOTH = "SELECT * FROM items JOIN words USING (id) WHERE id = $1"
ITEMS_NEW = ["id", "note", "filler", "title"]


@pytest.mark.one_version
def test_what_was_told_of_tables_on_different_sides_stays_true_or_is_refused(db, segue):
    make_items(db, 20)
    db.sql("CREATE TABLE words (id bigint PRIMARY KEY, word text, size int)")
    db.sql("INSERT INTO words SELECT i, 'w' || i, i FROM generate_series(1, 20) i")
    proxy = segue(db, workers=1)
    proxy.soaking(RENAME)
    proxy.ready(OTHER)
    trusts, looks = (Raw(proxy.port).login(proxy.dbname) for _ in range(2))
    told = ITEMS_NEW + ["word", "size"]
    with trusts, looks:
        for client in (trusts, looks):
            got = client.send(parse(BOTH, "s", [20]), describe("S", "s"), SYNC).answers()
            assert columns(only(got, "T")[0]) == told

        def look():
            return columns(only(looks.send(bind("s", values=[1]), describe("P"), execute(), SYNC).answers(), "T")[0])

        def trust():
            return trusts.send(bind("s", values=[1]), execute(), SYNC).answers()

        assert look() == look() == told and kinds(trust()) == "2DCZI"
        proxy.cli("cutover", OTHER["name"])
        assert look() == ITEMS_NEW + ["size", "term"]
        for _ in range(2):
            got = trust()
            assert kinds(got) == "EZI" and fields(got[0][1])["C"] == "0A000"
        proxy.cli("rollback", OTHER["name"])
        assert kinds(trust()) == "2DCZI"
        assert look() == ITEMS_NEW + ["size", "term"]  # on one side by now, where it stays
