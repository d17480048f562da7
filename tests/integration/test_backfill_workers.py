"""Several workers at one backfill: ranges with a watermark each, and what may happen to them."""

import pytest
from lib.tables import RENAME, make_items, out_of_step
from lib.traffic import PLAIN, Traffic
from lib.wait import until

pytestmark = pytest.mark.one_version
NAME = RENAME["name"]
# 3000 rows of 4 kB: 1500 blocks
WIDE = {"rows": 3000, "filler": 3500}
SAME = "CREATE OR REPLACE FUNCTION same(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN {} RETURN $1; END$$"


def ranges(db):
    return db.sql("SELECT from_block, next_block, end_block, p.rows FROM segue.progress p JOIN segue.migrations m "
                  "ON m.id = p.migration WHERE m.name = %s ORDER BY relation, from_block", NAME)


def slow(proxy, rows_per_s=200):
    proxy.console(f"THROTTLE rows_per_s {rows_per_s}")


def fast(proxy):
    proxy.console("THROTTLE rows_per_s off")


def filled(db, table="items"):
    return db.one(f"SELECT count(title) FROM {table}")


def filling(db):
    """Connections that fill, or have done nothing else since."""
    return db.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'segue' AND "
                  "datname = current_database() AND query LIKE '%fill_rows%'")


def in_ranges(db, proxy, workers=4, migration=RENAME):
    """Comes back in the middle of a slowed backfill, when its ranges are shared out."""
    proxy.console(f"THROTTLE workers {workers}")
    slow(proxy)
    proxy.begin(migration)
    proxy.wait_phase(NAME, "backfilling")
    until("a range for each", lambda: len(ranges(db)) >= workers and all(r[1] > r[0] for r in ranges(db)[:workers]))
    assert proxy.phase(NAME) == "backfilling"


def back_to_back(seen):
    """Every block in one range, none in two."""
    assert seen[0][0] == 0 and [r[2] for r in seen[:-1]] == [r[0] for r in seen[1:]]


def all_there(db, proxy):
    proxy.wait_phase(NAME, "ready")
    assert out_of_step(db, PLAIN) == 0
    assert proxy.status(NAME)["rows_done"] == sum(r[3] for r in ranges(db))
    assert "repair pass" not in proxy.log_text()


def test_workers_share_a_table_and_each_range_is_filled_once(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db, vacuum_rows=700)
    in_ranges(db, proxy)
    back_to_back(ranges(db))
    status = proxy.wait(NAME, lambda r: r["rows_done"] > 0)  # what is shown may be a moment behind
    assert 0 < status["progress"] < 50 and 0 < status["rows_done"] < WIDE["rows"]
    until("all connections to fill", lambda: filling(db) == 4)
    proxy.console("THROTTLE workers 2")
    until("two connections to go", lambda: filling(db) == 2)
    fast(proxy)
    all_there(db, proxy)
    done = ranges(db)
    assert all(r[1] == r[2] for r in done) and sum(r[3] for r in done) == WIDE["rows"]
    assert proxy.status(NAME)["rows_done"] == WIDE["rows"]
    # every row written once: as many dead or reused places as rows, by VACUUMs in between far less than twice the table
    assert db.one("SELECT pg_relation_size('items') / current_setting('block_size')::int") < 1.7 * WIDE["rows"] / 2
    # and the connections are given back
    until("no connection of the backfill", lambda: filling(db) == 0)


@pytest.mark.parametrize("victim", ["segue", "a worker's backend"])
def test_after_a_kill_each_range_goes_on_from_its_watermark(db, segue, victim):
    make_items(db, **WIDE)
    proxy = segue(db)
    with Traffic(proxy.connect, outages=True) as traffic:
        traffic.start("old", 2).flows(10)
        in_ranges(db, proxy)
        before = {r[0]: r[1] for r in ranges(db)}
        if victim == "segue":
            proxy.restart().at_work()
        else:
            until("a batch's backend to be ended", lambda: db.one(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'segue' AND "
                "datname = current_database() AND query LIKE '%fill_rows%' LIMIT 1"))
        after = {r[0]: r[1] for r in ranges(db)}
        assert all(after[first] >= at for first, at in before.items())
        until("the engine to obey", lambda: proxy.cli("throttle", "rows_per_s", "off", check=None).code == 0, 40)
        proxy.wait_phase(NAME, "ready")
        traffic.stop().verify(db)
    assert out_of_step(db, PLAIN) == 0
    assert "its pass begins again" not in proxy.log_text() and "repair pass" not in proxy.log_text()


def test_vacuum_full_in_the_middle_joins_the_ranges_and_begins_again(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    in_ranges(db, proxy)
    db.sql("DELETE FROM items WHERE id % 2 = 0 AND id < 1000")
    db.sql("VACUUM FULL items")
    proxy.logged("its pass begins again")
    fast(proxy)
    all_there(db, proxy)
    back_to_back(ranges(db))
    # the rows of all ranges are still counted, and those filled again are not
    assert sum(r[3] for r in ranges(db)) <= WIDE["rows"]


def test_rows_locked_in_several_ranges_are_revisited(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    in_ranges(db, proxy)
    holder = db.connect(autocommit=False)
    held = holder.execute("SELECT id FROM items WHERE title IS NULL AND id % 300 = 0 FOR UPDATE").fetchall()
    assert len(held) > 3
    fast(proxy)
    until("every other row to be filled", lambda: filled(db) == WIDE["rows"] - len(held))
    assert db.one("SELECT count(*) FROM segue.skipped") > 1
    assert "locked rows" in proxy.wait(NAME, lambda r: "locked rows" in r["step"])["step"]
    holder.rollback()
    all_there(db, proxy)
    assert db.one("SELECT count(*) FROM segue.skipped") == 0


def past_the_guard(db):
    """Behind the watermark of a range: only verify can find it."""
    last = ranges(db)[-1]
    conn = db.connect()
    with conn.transaction():
        conn.execute('ALTER TABLE items DISABLE TRIGGER "~segue_guard"')
        conn.execute(f"UPDATE items SET title = NULL WHERE ctid >= '({last[0]},0)' AND ctid < '({last[1]},0)'")
        conn.execute("UPDATE items SET title = NULL WHERE id = 1")
        conn.execute('ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"')


def test_a_repair_pass_begins_with_one_range_again(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    in_ranges(db, proxy)
    past_the_guard(db)
    fast(proxy)
    proxy.wait_phase(NAME, "ready")
    assert out_of_step(db, PLAIN) == 0
    proxy.logged("repair pass")
    back_to_back(ranges(db))
    assert sum(r[3] for r in ranges(db)) > WIDE["rows"]


def test_a_repair_pass_that_is_cancelled_before_it_begins_begins_later(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    in_ranges(db, proxy)
    past_the_guard(db)
    holder = db.connect()
    with holder.transaction():
        holder.execute("LOCK TABLE segue.skipped IN SHARE MODE")
        fast(proxy)
        waits = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM segue.skipped%' AND datname = current_database()"
        until("the repair pass to begin", lambda: db.one(f"SELECT count(*) {waits}") == 1)
        proxy.logged("repair pass")
        assert db.one(f"SELECT pg_cancel_backend(pid) {waits}") is True
        proxy.logged("57014")
    proxy.wait_phase(NAME, "ready")
    assert out_of_step(db, PLAIN) == 0


def test_partitions_and_ranges_of_them_go_side_by_side(db, segue):
    db.sql("""CREATE TABLE items (id bigint PRIMARY KEY, label text, filler text) PARTITION BY RANGE (id);
              CREATE TABLE p1 PARTITION OF items FOR VALUES FROM (1) TO (301);
              CREATE TABLE p2 PARTITION OF items FOR VALUES FROM (301) TO (401);
              CREATE TABLE p3 PARTITION OF items FOR VALUES FROM (401) TO (2001);
              CREATE TABLE p4 PARTITION OF items FOR VALUES FROM (2001) TO (2101);
              ALTER TABLE p3 ALTER filler SET STORAGE PLAIN;
              INSERT INTO items SELECT i, 'row ' || i, repeat('f', 3000) FROM generate_series(1, 2000) i""")
    proxy = segue(db)
    proxy.console("THROTTLE workers 3")
    slow(proxy)
    proxy.begin(RENAME)
    until("two partitions at once", lambda: db.one(
        "SELECT count(DISTINCT relation) FROM segue.progress WHERE next_block > from_block AND next_block < end_block") > 1
        or db.one("SELECT count(*) > 4 FROM segue.progress"))
    fast(proxy)
    all_there(db, proxy)
    assert db.one("SELECT sum(rows) FROM segue.progress") == 2000


OTHER = {"name": "rename_other", "operations": [{"rename_column": {"table": "others", "from": "label", "to": "title"}}]}


def test_migrations_in_flight_share_connections_and_rate(db, segue):
    make_items(db, **WIDE)
    db.sql("CREATE TABLE others (LIKE items INCLUDING ALL); INSERT INTO others SELECT * FROM items")
    proxy = segue(db, batch_wal_bytes_max=65536)  # of the same size, all of them
    slow(proxy, 500)
    proxy.begin(RENAME)
    proxy.begin(OTHER)
    proxy.wait_phase(NAME, "backfilling")
    proxy.wait_phase(OTHER["name"], "backfilling")
    until("both to be under way", lambda: filled(db) > 50 and filled(db, "others") > 50)
    # one connection for both, and the rate is that of both together
    begun, first = db.sql("SELECT clock_timestamp(), (SELECT count(title) FROM items) + (SELECT count(title) FROM others)")[0]
    connections = set()
    until("two seconds", lambda: connections.add(filling(db)) or db.one("SELECT clock_timestamp() - %s > '2 s'", begun), every=0.1)
    gained = filled(db) + filled(db, "others") - first
    assert gained < 500 * db.one("SELECT extract(epoch FROM clock_timestamp() - %s)::float8", begun) + 500
    assert max(connections) == 1
    # a paused one holds nobody up
    proxy.console(f"PAUSE {OTHER['name']}")
    now = filled(db)
    until("the other to go on", lambda: filled(db) > now + 100)
    proxy.console(f"RESUME {OTHER['name']}")
    # without the rate the connection is the only thing to share: batch by batch
    mine, its = filled(db), filled(db, "others")
    fast(proxy)
    until("one to be filled", lambda: max(filled(db), filled(db, "others")) == WIDE["rows"], every=0.01)
    gained = sorted((filled(db) - mine, filled(db, "others") - its))
    assert gained[0] > gained[1] / 2, gained
    all_there(db, proxy)
    proxy.wait_phase(OTHER["name"], "ready")
    assert db.one("SELECT count(*) FROM others WHERE title IS DISTINCT FROM label") == 0


def test_abort_ends_all_workers(db, segue):
    make_items(db, **WIDE)
    proxy = segue(db)
    in_ranges(db, proxy)
    proxy.cli("abort", NAME)
    assert proxy.phase(NAME) == "aborted"
    until("no connection of the backfill", lambda: filling(db) == 0)
    assert db.one("SELECT count(*) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'title'") == 0


def test_a_migration_that_has_stopped_gives_its_workers_back(db, segue):
    make_items(db, **WIDE, more=SAME.format(""))
    db.sql("CREATE TABLE others (id bigint PRIMARY KEY, label text); INSERT INTO others SELECT i, 'x' FROM generate_series(1, 100) i")
    proxy = segue(db, vacuum_rows=100)
    in_ranges(db, proxy, migration={"name": NAME, "operations": [{"rename_column": {
        "table": "items", "from": "label", "to": "title", "type": "text", "up": "same(label)", "down": "title"}}]})
    # one comes to what it cannot fill while others are at it
    db.sql(SAME.format("IF $1 = 'row 2990' THEN RAISE 'no such row'; END IF; PERFORM pg_sleep(0.02);"))
    fast(proxy)
    assert "no such row" in proxy.wait(NAME, lambda r: r["error"])["error"]
    until("no connection of the backfill", lambda: filling(db) == 0)
    proxy.console("THROTTLE workers 1")
    proxy.ready({"name": "other", "operations": [{"rename_column": {"table": "others", "from": "label", "to": "title"}}]})
    db.sql(SAME.format(""))
    proxy.cli("resume", NAME)
    all_there(db, proxy)
