"""Several statements in one simple query: what one of them is does not matter to the others."""

import pytest
from lib.answers import columns
from lib.rawwire import Raw, query
from lib.tables import RENAME, make_items

BESIDE = ["CREATE TEMP TABLE s (x int)", "SET CONSTRAINTS ALL DEFERRED", "DROP TABLE IF EXISTS tmp", "DO $$BEGIN NULL; END$$",
          "CREATE TABLE like_it (LIKE items)",
          "SELECT num_nonnulls(items) FROM items LIMIT 1", "GRANT SELECT ON items TO app", "CREATE INDEX by_note ON items (note)",
          "ALTER SEQUENCE steps RESTART", "CALL nothing()"]


def answers(conn, text):
    """By their names columns are the same in any two tables."""
    return [(kind, columns(body) if kind == "T" else body) for kind, body in conn.send(query(text)).answers()]


@pytest.mark.newest_unless_told
def test_a_statement_of_another_kind_leaves_those_beside_it_their_columns(db, segue):
    with db.cluster.database() as contracted:
        for database in (db, contracted):
            make_items(database, 10)
            database.sql("CREATE SEQUENCE steps")
            database.sql("CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1'")
        contracted.sql("ALTER TABLE items DROP COLUMN label, ADD COLUMN title text; UPDATE items SET title = 'row ' || id")
        proxy = segue(db)
        proxy.soaking(RENAME)
        with Raw(proxy.port).login(db.name) as raw, Raw(db.cluster.port).login(contracted.name) as direct:
            for i, beside in enumerate(BESIDE):
                insert = f"INSERT INTO items VALUES ({100 + i}, 'note', 'filler', 'title')"
                for text in (f"{beside}; {insert}", "SELECT * FROM items WHERE id > 8 ORDER BY id; SELECT 1"):
                    got, expected = (answers(conn, text) for conn in (raw, direct))
                    assert (text, got) == (text, expected)
        told = "SELECT id, title, note, filler FROM items ORDER BY id"
        assert db.sql(told) == contracted.sql(told)
        assert db.one("SELECT count(*) FROM items WHERE label IS DISTINCT FROM title") == 0
