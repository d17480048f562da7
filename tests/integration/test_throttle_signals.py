"""Signals that hold the backfill by themselves: a standby's lag, and what clients feel."""

import threading

import pytest
from lib.cluster import Cluster
from lib.tables import RENAME, make_items, out_of_step
from lib.traffic import PLAIN
from lib.wait import until

ROWS = {"rows": 3000, "filler": 2000}


@pytest.fixture
def standby(private_pg):
    """A streaming standby of the test's own cluster (Debian's 15 brings pg_basebackup)."""
    replica = Cluster(private_pg.version, private_pg.folder, private_pg.bin)
    replica.data = private_pg.folder / "standby"
    replica.log = private_pg.folder / "standby.log"
    private_pg._run(private_pg.bin / "pg_basebackup", "-D", replica.data, "-R", "-c", "fast", "-X", "stream",
                    "-d", private_pg.url() + "?application_name=walreceiver")
    replica.start()
    with private_pg.connect() as conn:
        until("the standby to stream", lambda: conn.execute(
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'").fetchone()[0] == 1, 30)
    yield replica
    replica.crash()


def filled(db):
    return db.one("SELECT count(*) FROM items WHERE title IS NOT NULL")


def held_by(proxy, signal):
    """Waits until the signal holds the backfill, and sees that nothing more is filled."""
    proxy.wait("rename_label", lambda r: signal in (r["throttle"] or ""))
    rows = {row["signal"]: row for row in proxy.console("SHOW THROTTLE")}
    assert rows[signal]["verdict"] == "hold", rows[signal]
    return rows[signal]


def stands_still(db):
    seen = [filled(db)]
    until("the backfill to stand still", lambda: seen.append(filled(db)) or len(set(seen[-10:])) == 1 and
          len(seen) > 10, every=0.1)
    assert seen[-1] < ROWS["rows"]


@pytest.mark.versions(15)
def test_a_standby_that_lags_or_vanishes_holds_the_backfill(private_db, segue, standby):
    db = private_db
    make_items(db, **ROWS)
    proxy = segue(db)
    proxy.cli("throttle", "rows_per_s", "500")
    proxy.cli("throttle", "replica_lag_bytes", "100000")
    proxy.begin(RENAME)
    proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 50)

    with standby.connect(db.name) as replica:
        replica.execute("SELECT pg_wal_replay_pause()")
        assert float(held_by(proxy, "replica_lag_bytes")["reading"]) > 100000
        stands_still(db)
        replica.execute("SELECT pg_wal_replay_resume()")
        proxy.wait("rename_label", lambda r: "replica_lag" not in (r["throttle"] or ""))

    standby.stop()
    assert "vanished" in held_by(proxy, "replica_lag_bytes")["reason"]
    stands_still(db)
    standby.start()
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


@pytest.mark.one_version
def test_a_server_that_holds_writers_back_holds_the_backfill(db, segue):
    make_items(db, **ROWS)
    # a clock that is let run and stopped stands for that of Neon's extension
    db.sql("CREATE SCHEMA neon; CREATE TABLE neon.clock (base bigint, since timestamptz); INSERT INTO neon.clock VALUES (0);"
           "CREATE FUNCTION neon.backpressure_throttling_time() RETURNS bigint LANGUAGE sql AS "
           "'SELECT base + coalesce(extract(epoch FROM clock_timestamp() - since) * 1000000, 0)::bigint FROM neon.clock'")
    proxy = segue(db)
    proxy.cli("throttle", "rows_per_s", "500")
    proxy.begin(RENAME)
    proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 50)
    db.sql("UPDATE neon.clock SET since = clock_timestamp()")
    assert float(held_by(proxy, "backpressure")["reading"]) > 10
    stands_still(db)
    db.sql("UPDATE neon.clock SET base = neon.backpressure_throttling_time(), since = NULL")
    proxy.wait("rename_label", lambda r: "backpressure" not in (r["throttle"] or ""))
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


@pytest.mark.one_version
def test_a_server_without_that_clock_is_not_judged_by_it(db, segue):
    make_items(db, **ROWS)
    proxy = segue(db)
    proxy.cli("throttle", "rows_per_s", "500")
    proxy.begin(RENAME)
    proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 50)
    (row,) = [r for r in proxy.console("SHOW THROTTLE") if r["signal"] == "backpressure"]
    assert (row["verdict"], row["reading"], row["reason"]) == ("go", None, "")


@pytest.mark.one_version
def test_clients_that_wait_longer_than_before_hold_the_backfill(db, segue):
    make_items(db, **ROWS)
    proxy = segue(db)
    pause_s, done, ended = [0.001], [0] * 8, threading.Event()

    def client(me):
        conn = proxy.connect()
        while not ended.is_set():
            conn.execute("SELECT pg_sleep(%s)", (pause_s[0],))
            done[me] += 1

    clients = [threading.Thread(target=client, args=(me,)) for me in range(len(done))]
    for thread in clients:
        thread.start()
    try:
        until("a baseline", lambda: sum(done) > 1000)
        proxy.cli("throttle", "rows_per_s", "200")
        proxy.begin(RENAME)
        proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 50)
        pause_s[0] = 0.25
        assert "p99" in held_by(proxy, "client_p99")["reason"]
        pause_s[0] = 0.001
        proxy.cli("throttle", "rows_per_s", "default")
        proxy.wait_phase("rename_label", "ready")
    finally:
        ended.set()
        for thread in clients:
            thread.join()
    assert out_of_step(db, PLAIN) == 0
