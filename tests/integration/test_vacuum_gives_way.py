"""The backfill's VACUUM holds a lock that only maintenance asks for: it gives way to that, as an autovacuum would."""

import psycopg
import pytest
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version
AT_IT = "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'items'::regclass AND phase = 'vacuuming indexes'"


@pytest.fixture
def stuck(db, segue):
    """A migration whose VACUUM waits for a cursor's page of the index for as long as that is open: (proxy, holder)."""
    make_items(db, 2000, filler=3500)
    db.sql("ALTER TABLE items SET (autovacuum_enabled = off)")
    with db.connect() as conn:
        conn.execute("VACUUM ANALYZE items")
    db.sql("DELETE FROM items WHERE id % 2 = 0")
    proxy = segue(db, vacuum_rows=300)
    proxy.console("THROTTLE rows_per_s 50")
    proxy.begin(RENAME)
    until("the backfill to have begun", lambda: proxy.phase("rename_label") == "backfilling" and db.one(
        "SELECT count(*) > 0 FROM items WHERE title IS NOT NULL"))
    with db.connect() as holder:
        holder.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; BEGIN")
        assert "Index Only Scan" in str(holder.execute("EXPLAIN SELECT id FROM items WHERE id > 0 ORDER BY id").fetchall())
        holder.execute("DECLARE c CURSOR FOR SELECT id FROM items WHERE id > 0 ORDER BY id; FETCH 1 FROM c")
        proxy.console("THROTTLE rows_per_s off")
        until("the VACUUM to wait", lambda: db.one(AT_IT))
        yield proxy, holder


def maintain(db, n):
    with db.connect() as conn:
        conn.execute(f"SET statement_timeout = {int(5000 * SLOW)}")
        conn.execute(f"ALTER TABLE items SET (fillfactor = {90 + n})")


def test_maintenance_of_the_table_does_not_wait_for_the_backfills_vacuum(db, stuck):
    proxy, holder = stuck
    maintain(db, 0)
    until("the VACUUM to come again", lambda: db.one(AT_IT))
    maintain(db, 1)
    holder.execute("COMMIT")
    proxy.wait_phase("rename_label", "ready")
    assert db.one("SELECT count(*) FROM items WHERE title = label") == 1000
    assert " warning " not in proxy.logged("VACUUM gives way")


def test_a_vacuum_that_always_has_to_give_way_does_not_keep_the_backfill(db, stuck):
    proxy, holder = stuck

    def got_through():
        try:
            maintain(db, 0)
        except psycopg.errors.QueryCanceled:
            return False
        return proxy.phase("rename_label") == "verifying"

    until("the backfill to end all the same", got_through, 60)
    holder.execute("COMMIT")
    proxy.wait_phase("rename_label", "ready")


def test_a_cursor_that_has_a_page_keeps_the_vacuum_and_not_the_backfill(db, stuck):
    proxy, holder = stuck
    until("all rows to be filled", lambda: proxy.status("rename_label")["step"].startswith(("verify", "wait for")))
    assert db.one("SELECT count(*) FROM items WHERE title = label") == 1000
    proxy.logged("VACUUM gives way: it waits for a page")
    holder.execute("COMMIT")
    proxy.wait_phase("rename_label", "ready")
