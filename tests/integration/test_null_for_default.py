"""A NULL that somebody writes to the half of a renamed column that does not have the column's default."""

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
