"""NULL and DEFAULT that somebody writes to the half of a renamed column that does not have the column's default."""

import pytest
from lib.tables import RENAME, make_items

pytestmark = pytest.mark.one_version


def test_an_explicit_null_stays_one_where_both_halves_can_be_written(db, segue):
    """Past segue, and in COPY, the guard cannot tell it from a column that was not named (README.md)."""
    make_items(db, 1, more="ALTER TABLE items ALTER label SET DEFAULT 'none'")
    proxy = segue(db)
    proxy.ready(RENAME)

    def holds(label, n):
        assert db.sql(f"SELECT label, title FROM items WHERE id = {n}") == [(label, label)]

    def played(half, n):
        """half: the one without the default."""
        with proxy.connect(options=f"-c segue.schema={'new' if half == 'title' else 'old'}") as conn:
            conn.execute(f"INSERT INTO items (id, {half}) VALUES ({n}, NULL)")
            holds(None, n)
            conn.execute(f"INSERT INTO items (id, {half}) VALUES ({n + 1}, DEFAULT), ({n + 2}, NULL)")
            holds("none", n + 1)
            holds(None, n + 2)
            with conn.cursor() as cur, cur.copy(f"COPY items (id, {half}) FROM STDIN") as copy:
                copy.write_row((n + 3, None))
            holds("none", n + 3)
            conn.execute(f"UPDATE items SET {half} = NULL WHERE id = {n + 1}")
            holds(None, n + 1)
        db.sql(f"INSERT INTO items (id, {half}) VALUES ({n + 4}, NULL)")
        holds("none", n + 4)
        db.sql(f"UPDATE items SET {half} = NULL WHERE id = {n + 4}")
        holds(None, n + 4)

    played("title", 10)
    proxy.cli("cutover", RENAME["name"])
    played("label", 20)


def test_default_in_an_update_is_the_columns_on_either_side(db, segue):
    """Also of what PREPARE keeps over the cut-over, and where the type changes with the name."""
    make_items(db, 1, more="ALTER TABLE items ALTER label SET DEFAULT 'none', ADD size text DEFAULT '7'")
    proxy = segue(db)
    proxy.ready({"name": "halves", "operations": [
        *RENAME["operations"],
        {"rename_column": {"table": "items", "from": "size", "to": "weight", "type": "int", "up": "size::int", "down": "weight::text"}}]})

    def holds(conn, text):
        db.sql("UPDATE items SET label = 'x', size = '1'")
        conn.execute(text)
        assert db.sql("SELECT label, title, size, weight FROM items") == [("none", "none", "7", 7)], text

    with proxy.connect(options="-c segue.schema=old") as old, proxy.connect(options="-c segue.schema=new") as new:
        old.execute("PREPARE q AS UPDATE items SET label = DEFAULT, size = DEFAULT")
        new.execute("PREPARE q AS UPDATE items SET title = DEFAULT, weight = DEFAULT")
        for turn in ("cutover", "rollback", None):
            for conn, label, size in ((old, "label", "size"), (new, "title", "weight")):
                holds(conn, f"UPDATE items SET {label} = DEFAULT, ({size}) = ROW (DEFAULT)")
                holds(conn, f"INSERT INTO items (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET {label} = DEFAULT, {size} = DEFAULT")
                holds(conn, "EXECUTE q")
            if turn:
                proxy.cli(turn, "halves")
        proxy.cli("cutover", "halves")
        proxy.cli("complete", "halves", "--force")
        new.execute("UPDATE items SET title = 'x', weight = 1")
        new.execute("EXECUTE q")
        assert db.sql("SELECT title, weight FROM items") == [("none", 7)]
