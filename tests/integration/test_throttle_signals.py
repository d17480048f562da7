"""Signals that hold the backfill by themselves: a standby's lag, and what clients feel."""

import contextlib
import json
import re
import threading

import psycopg
import pytest
from lib.operations import connected
from lib.standby import Receiver, Standby, lsn_of
from lib.tables import RENAME, make_items, out_of_step
from lib.traffic import PLAIN
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

ROWS = {"rows": 3000, "filler": 2000}


@pytest.fixture
def standby(private_pg):
    """A streaming standby of the test's own cluster. It tells nothing by itself that it is not asked for."""
    replica = Standby(private_pg, wal_receiver_status_interval="'1h'").start()
    yield replica
    replica.crash()


def filled(db):
    return db.one("SELECT count(*) FROM items WHERE title IS NOT NULL")


def filling(db, segue, rows_per_s, **signals):
    """A segue in the middle of a slowed backfill, with signals set before it began."""
    make_items(db, **ROWS)
    proxy = segue(db)
    for signal, setting in {"rows_per_s": rows_per_s, **signals}.items():
        proxy.cli("throttle", signal, setting)
    proxy.begin(RENAME)
    proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 20)
    return proxy


def held_by(proxy, signal, because="", over=None):
    """Waits until the signal holds the backfill (it may slow it before, or hold it for another reason); its row. `over`: what
    the reading is over."""
    proxy.wait("rename_label", lambda r: signal in (r["throttle"] or ""))

    def holds():
        row = shown(proxy, signal)
        is_over = over is None or float(row["reading"] or 0) > over
        return row if row["verdict"] == "hold" and because in row["reason"] and is_over else None

    return until(f"{signal} to hold: {because}", holds)


def shown(proxy, signal):
    (row,) = [r for r in proxy.console("SHOW THROTTLE") if r["signal"] == signal]
    return row


def stands_still(db):
    seen = [filled(db)]
    until("the backfill to stand still", lambda: seen.append(filled(db)) or len(set(seen[-10:])) == 1 and
          len(seen) > 10, every=0.1)
    assert seen[-1] < ROWS["rows"]


def test_a_standby_that_lags_or_vanishes_holds_the_backfill(private_db, segue, standby):
    db = private_db
    proxy = filling(db, segue, 100, replica_lag_bytes=100000)
    with standby.connect(db.name) as replica:
        replica.execute("SELECT pg_wal_replay_pause()")
        held_by(proxy, "replica_lag_bytes", over=100000)
        stands_still(db)
        replica.execute("SELECT pg_wal_replay_resume()")
        # sooner than the primary asks a standby by itself (after 30 s), or pg_stat_replication forgets how long the gap was
        proxy.wait("rename_label", lambda r: "replica_lag" not in (r["throttle"] or ""), 25)

    standby.stop()
    held_by(proxy, "replica_lag_bytes", "vanished")
    # every reason shows, not just the first
    proxy.wait("rename_label", lambda r: r["throttle"].count("vanished") == 2)
    stands_still(db)
    standby.start()
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


@pytest.mark.one_version
def test_a_standby_that_stands_still_holds_the_backfill_until_it_goes_on(private_db, segue, standby):
    db = private_db
    make_items(db, **ROWS)
    proxy = segue(db)
    proxy.cli("throttle", "rows_per_s", "100")
    proxy.cli("throttle", "replica_lag_bytes", "100000")
    proxy.cli("throttle", "direct_lag_s", f"host=127.0.0.1 port={standby.port} user=postgres dbname=postgres")
    proxy.cli("throttle", "direct_lag_s", "1.5")
    proxy.begin(RENAME)
    proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 50)
    standby.freeze()
    try:
        held_by(proxy, "replica_lag_bytes", over=100000)
        held_by(proxy, "direct_lag_s", "does not answer")
        stands_still(db)
    finally:
        standby.freeze(False)
    proxy.wait("rename_label", lambda r: "lag" not in (r["throttle"] or ""))
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


@pytest.mark.one_version
def test_who_only_keeps_wal_or_copies_a_table_may_come_and_go(db, segue, pg):
    proxy = filling(db, segue, 20)
    standby, archive, copying = (Receiver(pg, name) for name in ("eu", "pg_receivewal", "pg_16389_sync_16384_7390000000000000000"))
    try:
        now = lsn_of(db.one("SELECT pg_current_wal_lsn()::text"))
        archive.report(now, replayed=0)
        copying.report(now)
        until("both to be seen", lambda: db.one("SELECT count(*) = 2 FROM pg_stat_replication WHERE write_lsn IS NOT NULL"))
        standby.report(now - 1_000_000)
        until("a reading with all of them", lambda: (shown(proxy, "replica_lag_bytes")["reading"] or 0) >= 1_000_000)
        archive.close()
        copying.close()
        until("both to have gone", lambda: db.one("SELECT count(*) = 1 FROM pg_stat_replication"))
        standby.report(now + 10_000_000)
        row = until("a reading without them", lambda: (r := shown(proxy, "replica_lag_bytes"))["reading"] == 0 and r)
        assert (row["verdict"], row["reason"]) == ("go", "")
    finally:
        standby.close()
    held_by(proxy, "replica_lag_bytes", "standby eu@127.0.0.1 has vanished")
    proxy.cli("abort", "rename_label")


@pytest.mark.one_version
def test_a_server_that_holds_writers_back_holds_the_backfill(db, segue):
    # a clock that is let run and stopped stands for that of Neon's extension
    db.sql("CREATE SCHEMA neon; CREATE TABLE neon.clock (base bigint, since timestamptz); INSERT INTO neon.clock VALUES (0);"
           "CREATE FUNCTION neon.backpressure_throttling_time() RETURNS bigint LANGUAGE sql AS "
           "'SELECT base + coalesce(extract(epoch FROM clock_timestamp() - since) * 1000000, 0)::bigint FROM neon.clock'")
    proxy = filling(db, segue, 100)
    db.sql("UPDATE neon.clock SET since = clock_timestamp()")
    held_by(proxy, "backpressure", over=10)
    stands_still(db)
    db.sql("UPDATE neon.clock SET base = neon.backpressure_throttling_time(), since = NULL")
    proxy.wait("rename_label", lambda r: "backpressure" not in (r["throttle"] or ""))
    # all that the server says is asked in one statement: where that fails each signal holds, and says why
    db.sql("ALTER TABLE neon.clock RENAME TO stopped")
    asked = [held_by(proxy, signal, 'unknown (relation "neon.clock" does not exist') for signal in ("backpressure", "slot_bytes", "autovacuum")]
    told = proxy.wait("rename_label", lambda r: all(row["reason"] in r["throttle"] for row in asked))["throttle"]
    assert "rows_per_s: 100" in told
    stands_still(db)
    db.sql("ALTER TABLE neon.stopped RENAME TO clock")
    proxy.wait("rename_label", lambda r: "unknown" not in (r["throttle"] or ""))
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


@pytest.mark.one_version
def test_a_server_without_that_clock_is_not_judged_by_it(db, segue):
    proxy = filling(db, segue, 100)
    (row,) = [r for r in proxy.console("SHOW THROTTLE") if r["signal"] == "backpressure"]
    assert (row["verdict"], row["reading"], row["reason"]) == ("go", None, "")


@pytest.mark.one_version
def test_clients_that_wait_longer_than_before_hold_the_backfill(db, segue):
    make_items(db, **ROWS)
    proxy = segue(db)
    proxy.cli("throttle", "client_p99", "on")
    pause_s, done, ended, may = [0.001], [0] * 8, threading.Event(), threading.Event()

    def client(me):
        conn = proxy.connect()
        while not ended.is_set() and may.wait(60):
            conn.execute("SELECT pg_sleep(%s)", (pause_s[0],))
            done[me] += 1

    clients = [threading.Thread(target=client, args=(me,)) for me in range(len(done))]
    may.set()
    for thread in clients:
        thread.start()
    try:
        until("a baseline", lambda: sum(done) > 1000)
        may.clear()
        proxy.cli("throttle", "rows_per_s", "50")  # looks at all signals: the time before is still known
        proxy.begin(RENAME)
        may.set()
        reasons = []

        def judged():
            (row,) = [r for r in proxy.console("SHOW THROTTLE") if r["signal"] == "client_p99"]
            reasons.append(row["reason"])
            return re.search(r"before ([0-9.]+) ms, pause of", row["reason"]) if row["verdict"] == "slow" else None

        before = until("it to be judged, and to begin slowly", judged)
        assert not any("finding out" in reason for reason in reasons)
        proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 50)
        # many times what it was, and often enough for a judgement
        pause_s[0] = min(max(0.25, float(before[1]) / 100), 0.9)
        held_by(proxy, "client_p99", "p99 ")
        pause_s[0] = 0.001
        stood = int(proxy.status("rename_label")["rows_done"])
        proxy.wait("rename_label", lambda r: int(r["rows_done"]) > stood)  # it goes on by itself
        proxy.cli("throttle", "client_p99", "off")
        proxy.cli("throttle", "rows_per_s", "default")
        proxy.wait_phase("rename_label", "ready")
    finally:
        ended.set()
        may.set()
        for thread in clients:
            thread.join()
    assert out_of_step(db, PLAIN) == 0


@pytest.mark.one_version
def test_clients_that_stay_slow_while_it_is_held_for_them_do_not_hold_it_for_ever(db, segue):
    make_items(db, **ROWS)
    proxy = segue(db)
    proxy.cli("throttle", "client_p99", "on")
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
        proxy.cli("throttle", "rows_per_s", "50")
        proxy.begin(RENAME)
        proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 50)
        pause_s[0] = 0.25  # of their own, and so they stay
        held_by(proxy, "client_p99", "p99 ")
        stood = int(proxy.status("rename_label")["rows_done"])
        proxy.logged("compared with the first from now on")
        proxy.wait("rename_label", lambda r: int(r["rows_done"]) > stood + 50)
        proxy.cli("abort", "rename_label")
    finally:
        ended.set()
        for thread in clients:
            thread.join()


@pytest.mark.one_version
def test_a_pause_by_hand_does_not_make_the_backfill_faster_afterwards(db, segue):
    make_items(db, **ROWS)
    proxy = segue(db)
    proxy.cli("throttle", "client_p99", "on")
    proxy.cli("throttle", "rows_per_s", "50")
    done, ended = [0] * 8, threading.Event()

    def client(me):
        conn = proxy.connect()
        while not ended.is_set():
            conn.execute("SELECT pg_sleep(0.001)")
            done[me] += 1

    def pace():
        (row,) = [r for r in proxy.console("SHOW THROTTLE") if r["signal"] == "client_p99"]
        told = re.search(r"pause of ([0-9.]+) batches", row["reason"])
        return float(told[1]) if told else None

    clients = [threading.Thread(target=client, args=(me,)) for me in range(len(done))]
    for thread in clients:
        thread.start()
    try:
        until("a baseline", lambda: sum(done) > 1000)
        proxy.begin(RENAME)
        until("it to be judged", pace)
        proxy.cli("pause", "rename_label")
        paced, asked = pace(), sum(done)
        until("readings meanwhile", lambda: sum(done) > asked + 3000)
        assert pace() == paced
    finally:
        ended.set()
        for thread in clients:
            thread.join()
    proxy.cli("abort", "rename_label")


@pytest.mark.one_version
def test_a_ratio_makes_each_worker_pause_and_ends_that_when_it_is_switched_off(db, segue):
    make_items(db, **ROWS)
    proxy = segue(db)
    proxy.cli("throttle", "nice_ratio", "1000000")  # hours after the first batch
    proxy.begin(RENAME)
    proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 0)
    stands_still(db)
    assert proxy.status("rename_label")["throttle"] == shown(proxy, "nice_ratio")["reason"] == "nice_ratio: 1e+06"
    proxy.cli("throttle", "nice_ratio", "off")
    proxy.wait_phase("rename_label", "ready")


@pytest.mark.one_version
def test_vacuum_goes_slowly_while_clients_are_spared_and_fast_when_not(db, segue):
    make_items(db, **ROWS)
    db.sql(f"ALTER DATABASE {db.name} SET log_statement = 'all'")
    proxy = segue(db, vacuum_rows=100)
    proxy.cli("throttle", "client_p99", "on")
    proxy.cli("throttle", "rows_per_s", "60")
    log = db.cluster.log
    seen = log.stat().st_size
    ended = threading.Event()

    def said(delay):
        return f"SET vacuum_cost_delay = {delay}".encode() in log.read_bytes()[seen:]

    def client():
        conn = proxy.connect()
        while not ended.is_set():
            conn.execute("SELECT pg_sleep(0.004)")

    proxy.begin(RENAME)
    until("a VACUUM while there is nobody", lambda: said(0))
    seen = log.stat().st_size
    thread = threading.Thread(target=client)
    thread.start()
    try:
        until("one that spares clients", lambda: said(2))
        seen = log.stat().st_size
        proxy.cli("throttle", "client_p99", "off")
        until("one that need not", lambda: said(0))
    finally:
        ended.set()
        thread.join()
    proxy.cli("abort", "rename_label")


@pytest.mark.one_version
def test_clients_that_come_after_the_backfill_began_are_spared_as_well(db, segue):
    proxy = filling(db, segue, 50, client_p99="on")

    def latency():
        (row,) = [r for r in proxy.console("SHOW THROTTLE") if r["signal"] == "client_p99"]
        return row

    until("it to know that there is nobody", lambda: (latency()["verdict"], latency()["reading"]) == ("go", None))
    ended = threading.Event()

    def client():
        conn = proxy.connect()
        while not ended.is_set():
            conn.execute("SELECT pg_sleep(0.004)")

    thread = threading.Thread(target=client)
    thread.start()

    def told():
        rows = json.loads(proxy.cli("doctor", "--json", check=1).out)
        return [r for r in rows if r["finding"] == "throttled" and r["what"].startswith("client_p99")]

    try:
        until("it looks", lambda: "finding out" in latency()["reason"])
        # it fills all the time, and nothing has to come down for that
        row = until("the doctor to say so", told)[0]
        assert row["command"] == "segue throttle client_p99 off" and "it goes on, but slower" in row["hint"], row
        until("it knows", lambda: latency()["reading"] is not None and ", before " in latency()["reason"])
    finally:
        ended.set()
        thread.join()
    proxy.cli("throttle", "client_p99", "off")
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


def test_replicas_that_are_asked_directly_hold_by_bytes_and_time_and_when_they_are_away(private_db, segue, standby):
    db = private_db
    make_items(db, **ROWS)
    proxy = segue(db)
    for signal in ("replica_lag_s", "replica_lag_bytes"):  # as if pg_stat_replication did not show it
        proxy.cli("throttle", signal, "off")
    proxy.cli("throttle", "rows_per_s", "100")
    proxy.cli("throttle", "direct_lag_s", f"host=127.0.0.1 port={standby.port} user=postgres dbname=postgres")
    proxy.cli("throttle", "direct_lag_s", "1.5")
    proxy.cli("throttle", "direct_lag_bytes", "100000")
    proxy.begin(RENAME)
    proxy.wait("rename_label", lambda r: int(r["rows_done"]) > 50)

    with standby.connect(db.name) as replica:
        replica.execute("SELECT pg_wal_replay_pause()")
        held_by(proxy, "direct_lag_bytes", f"127.0.0.1:{standby.port}", over=100000)
        proxy.cli("throttle", "direct_lag_bytes", "off")
        # nothing is written while it is held, and yet the standby falls behind
        held_by(proxy, "direct_lag_s", over=1.5)
        stands_still(db)
        replica.execute("SELECT pg_wal_replay_resume()")
        proxy.wait("rename_label", lambda r: "direct" not in (r["throttle"] or ""))

    standby.stop()
    held_by(proxy, "direct_lag_s", f"replica 127.0.0.1:{standby.port}")
    stands_still(db)
    # one that is no standby at all is not believed either
    proxy.cli("throttle", "direct_lag_s", f"host=127.0.0.1 port={db.cluster.port} user=postgres dbname=postgres")
    held_by(proxy, "direct_lag_s", "no standby")
    proxy.cli("throttle", "direct_lag_s", "off")
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0


def test_what_the_server_says_holds_each_signal_by_its_limit(db, segue, tmp_path):
    """Slots, WAL, active backends, autovacuum, a query and a file: one after the other over its limit."""
    db.sql(f"SELECT pg_create_logical_replication_slot('slot_{db.name}', 'test_decoding')")
    db.sql("CREATE TABLE load (n float8); INSERT INTO load VALUES (1)")
    proxy = filling(db, segue, 20)

    def holds(signal, value, then, reason):
        proxy.cli("throttle", signal, value)
        assert held_by(proxy, signal, reason)["source"] == "live"
        proxy.cli("throttle", signal, then)
        proxy.wait("rename_label", lambda r: signal not in r["throttle"])

    holds("slot_bytes", "1000", "default", f"slot slot_{db.name}")
    db.sql(f"SELECT pg_drop_replication_slot('slot_{db.name}'), pg_create_physical_replication_slot('away_{db.name}', true)")
    holds("slot_bytes", "1000", "default", f"slot away_{db.name}")  # a standby's: it keeps WAL, and nobody comes for it
    db.sql(f"SELECT pg_drop_replication_slot('away_{db.name}')")
    holds("wal_per_s", "1", "off", "bytes/s, limit 1")
    # cores are this machine's; a query that runs is what counts
    sleeper = db.connect()

    def sleep():
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            sleeper.execute("SELECT pg_sleep(300)")

    busy = threading.Thread(target=sleep)
    busy.start()
    try:
        holds("active_per_core", "0.0001", "off", "active")
        assert proxy.cli("throttle", "active_per_core", "cores=10000").code == 0
        proxy.cli("throttle", "active_per_core", "1")
        until("a share of many cores", lambda: (r := shown(proxy, "active_per_core"))["verdict"] == "go" and 0 < (r["reading"] or 0) < 0.1)
    finally:
        sleeper.cancel()
        busy.join()
    proxy.cli("throttle", "query", "5")
    proxy.cli("throttle", "query", "SELECT max(n) FROM load")
    assert shown(proxy, "query")["setting"] == "SELECT max(n) FROM load"
    db.sql("UPDATE load SET n = 7")
    held_by(proxy, "query", "7 value, limit 5")
    db.sql("DELETE FROM load")  # no answer is no licence
    held_by(proxy, "query", "unknown")
    db.sql("DROP TABLE load")
    held_by(proxy, "query", "does not exist")
    proxy.cli("throttle", "query", "off")
    flag = tmp_path / "hold"
    proxy.cli("throttle", "flag_file", flag)
    assert shown(proxy, "flag_file")["verdict"] == "go"
    flag.touch()
    held_by(proxy, "flag_file", "is there")
    flag.unlink()
    proxy.wait("rename_label", lambda r: "flag_file" not in r["throttle"])
    mount = tmp_path / "mount"  # where that is gone nobody can tell
    mount.mkdir()
    proxy.cli("throttle", "flag_file", mount / "hold")
    assert shown(proxy, "flag_file")["verdict"] == "go"
    mount.rmdir()
    held_by(proxy, "flag_file", "the folder of the file")
    mount.mkdir()
    proxy.wait("rename_label", lambda r: "flag_file" not in r["throttle"])
    # whatever the day and hour: the window of Mondays to Thursdays, or that of Fridays to Sundays
    for window in ("Mon-Thu 00:00-24:00 UTC", "Fri-Sun 00:00-24:00 UTC"):
        proxy.cli("throttle", "window", window)
        until("a reading", lambda: shown(proxy, "window")["reading"] is not None)
        inside = db.one("SELECT extract(isodow FROM now() AT TIME ZONE 'UTC') < 5") == ("Mon" in window)
        assert shown(proxy, "window")["verdict"] == ("go" if inside else "hold")
        assert inside or "outside of " + window in shown(proxy, "window")["reason"]
    proxy.cli("throttle", "window", "default")
    # an autovacuum of the table: slow with one, by its default; held with the limit 0
    proxy.cli("throttle", "autovacuum", "0")
    assert shown(proxy, "autovacuum")["reading"] in (0, 1)
    proxy.cli("throttle", "rows_per_s", "default")
    proxy.wait_phase("rename_label", "ready")
    assert out_of_step(db, PLAIN) == 0
    # nothing is left to be held: no reading of yesterday
    until("no readings", lambda: all(r["reading"] is None and r["verdict"] == "go" for r in proxy.console("SHOW THROTTLE")))


@pytest.mark.one_version
def test_sessions_that_wait_for_a_batch_hold_the_backfill(db, segue, tmp_path):
    # who comes to the fifth row tells so by lock 8, and goes on when it may have lock 7
    make_items(db, 40, filler=10, more="CREATE FUNCTION slowly(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS "
                                       "$$BEGIN IF $1 = 'row 5' THEN PERFORM pg_advisory_xact_lock_shared(8); "
                                       "WHILE NOT pg_try_advisory_xact_lock_shared(7) LOOP PERFORM pg_sleep(0.02); END LOOP; "
                                       "END IF; RETURN $1; END$$")
    proxy = segue(db)
    (tmp_path / "hold").touch()
    proxy.cli("throttle", "flag_file", tmp_path / "hold")
    proxy.cli("throttle", "blocked_sessions", "0")
    waiting = [db.connect() for _ in range(3)]
    proxy.begin({"name": "rename_label", "operations": [{"rename_column": {
        "table": "items", "from": "label", "to": "title", "type": "varchar(100)", "up": "slowly(label)", "down": "title"}}]})
    held_by(proxy, "flag_file")
    holder = db.connect()
    holder.execute("SELECT pg_advisory_lock(7)")
    (tmp_path / "hold").unlink()
    until("a batch to have come past the first rows", lambda: db.one(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND (classid, objid) = (0, 8) AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"))
    clients = []
    for i, conn in enumerate(waiting):  # the first rows: written by the batch
        clients.append(threading.Thread(target=lambda c=conn, n=i: c.execute("UPDATE items SET note = 'x' WHERE id = %s", (n + 1,))))
        clients[-1].start()
    try:
        assert held_by(proxy, "blocked_sessions", "limit 0", over=0)["reading"] >= 1
    finally:
        holder.execute("SELECT pg_advisory_unlock(7)")
        for client in clients:
            client.join()
    proxy.cli("throttle", "blocked_sessions", "off")
    proxy.cli("abort", "rename_label")


@pytest.mark.one_version
def test_a_slot_that_is_lost_keeps_no_wal_and_holds_nothing(private_db, segue, pg_version):
    if pg_version < 18:
        pytest.skip("before 18 the server forgets where a lost slot was")
    db = private_db
    make_items(db, **ROWS)
    with db.cluster.connect() as conn:
        conn.execute("SELECT pg_create_physical_replication_slot('away', true)")
        conn.execute("ALTER SYSTEM SET idle_replication_slot_timeout = '1s'")
        conn.execute("SELECT pg_reload_conf()")

        def lost():
            conn.execute("CHECKPOINT")
            return conn.execute("SELECT wal_status = 'lost' AND restart_lsn IS NOT NULL FROM pg_replication_slots").fetchone()[0]

        until("the slot to be lost", lost, every=0.5)
    proxy = segue(db)
    proxy.cli("throttle", "slot_bytes", "1")
    proxy.ready(RENAME)


@pytest.mark.one_version
def test_an_autovacuum_on_the_table_shows(private_db, segue):
    db = private_db
    make_items(db, **ROWS)
    with db.cluster.connect() as conn:
        for setting in ("autovacuum_naptime = 1", "autovacuum_vacuum_cost_delay = '100ms'", "autovacuum_vacuum_cost_limit = 1"):
            conn.execute(f"ALTER SYSTEM SET {setting}")
        conn.execute("SELECT pg_reload_conf()")
    db.sql("UPDATE items SET note = 'more' WHERE id % 2 = 0")
    db.kept.close()  # at its end a session reports what it has written
    proxy = segue(db, vacuum_rows=0)
    proxy.cli("throttle", "rows_per_s", "50")
    proxy.begin(RENAME)
    row = until("an autovacuum", lambda: (r := shown(proxy, "autovacuum"))["reading"] == 1 and r, 40)
    assert row["verdict"] == "slow"
    proxy.cli("throttle", "autovacuum", "0")
    assert held_by(proxy, "autovacuum", over=0)["reading"] == 1
    proxy.cli("abort", "rename_label")


@pytest.mark.one_version
def test_what_is_set_live_stays_and_what_is_configured_is_where_default_goes(db, segue):
    config = '[{"signal": "rows_per_s", "limit": 700}, {"signal": "workers", "limit": 3}]'
    proxy = segue(db, throttle=config)
    assert [(shown(proxy, s)["limit"], shown(proxy, s)["source"]) for s in ("rows_per_s", "workers", "nice_ratio")] == [
        (700, "configuration"), (3, "configuration"), (1, "default")]
    # what is refused is not set, in a database without schema segue either
    assert "time zone" in proxy.cli("throttle", "window", "00:00-24:00 Nowhere/Town", check=1).err
    assert [shown(proxy, "window")[c] for c in ("enabled", "setting", "source")] == [False, None, "default"]
    proxy.cli("throttle", "rows_per_s", "50")
    proxy.cli("throttle", "window", "00:00-24:00 Europe/Berlin")
    proxy.cli("throttle", "client_p99", "off")
    assert "time zone" in proxy.cli("throttle", "window", "00:00-24:00 Nowhere/Town", check=1).err
    assert "does not exist" in proxy.cli("throttle", "query", "SELECT nothing FROM nowhere", check=1).err
    assert "read-only" in proxy.cli("throttle", "query", "CREATE TABLE x ()", check=1).err
    assert "stored and shown" in proxy.cli("throttle", "direct_lag_s", "host=a password=b", check=1).err
    def chosen():
        return [[r[c] for c in ("signal", "limit", "default", "enabled", "setting", "source")] for r in proxy.console("SHOW THROTTLE")]

    before = chosen()
    assert (shown(proxy, "window")["setting"], shown(proxy, "query")["setting"]) == ("00:00-24:00 Europe/Berlin", None)
    proxy.restart()
    connected(proxy)
    until("what was set", lambda: chosen() == before)
    proxy.cli("throttle", "rows_per_s", "default")
    assert (shown(proxy, "rows_per_s")["limit"], shown(proxy, "rows_per_s")["source"]) == (700, "configuration")
    # said in the file: nothing of it runs
    assert "no signal" in proxy.cli("serve", "--upstream", db.url(), "--throttle", '[{"signal": "load", "limit": 1}]', check=2).err


def confirmed_late(db, standby):
    """A row that `standby` confirms after 1.5 s: whether replay_lag tells of it."""
    def eu(what, *values):
        return db.one(f"SELECT {what} FROM pg_stat_replication WHERE application_name = 'eu'", *values)

    db.sql("INSERT INTO items SELECT max(id) + 1 FROM items")
    written = db.one("SELECT pg_current_wal_lsn()::text")
    until("it to be sent", lambda: eu("sent_lsn >= %s::pg_lsn", written))
    begun = db.one("SELECT clock_timestamp()")
    until("a gap", lambda: db.one("SELECT clock_timestamp() - %s > '1.5 s'", begun), every=0.1)
    to = lsn_of(db.one("SELECT pg_current_wal_lsn()::text")) + 10_000_000
    standby.report(to)
    until("it to be heard", lambda: eu("pg_wal_lsn_diff(replay_lsn, '0/0') >= %s", to))
    return eu("replay_lag > '1 s'")


@pytest.mark.one_version
def test_no_reading_is_older_than_what_holds_however_long_one_takes(db, segue, tmp_path):
    proxy = filling(db, segue, 50, query="SELECT 0 FROM pg_sleep(0.8)", flag_file=tmp_path / "hold")
    until("a slow reading", lambda: shown(proxy, "query")["reading"] == 0)
    for _ in range(2):  # whenever the last reading was
        (tmp_path / "hold").touch()
        until("it to hold", lambda: shown(proxy, "flag_file")["verdict"] == "hold", timeout=6)
        (tmp_path / "hold").unlink()
        until("it to go on", lambda: shown(proxy, "flag_file")["verdict"] == "go", timeout=6)


@pytest.mark.one_version
def test_a_gap_that_is_over_is_not_held_against_a_standby(db, segue, pg, tmp_path):
    proxy = filling(db, segue, 50, replica_lag_s="off", replica_lag_bytes="off")
    (tmp_path / "hold").touch()
    proxy.cli("throttle", "flag_file", tmp_path / "hold")
    held_by(proxy, "flag_file")
    with contextlib.closing(Receiver(pg, "eu")) as standby:
        # the server tells the gap of the newest WAL that is confirmed: what it writes of itself meanwhile makes it a short one
        until("the server to tell of a gap", lambda: confirmed_late(db, standby))
        # and there it stays: nothing is reported any more
        proxy.cli("throttle", "replica_lag_s", "1")
        until("it to be seen that there is none", lambda: (r := shown(proxy, "replica_lag_s"))["verdict"] == "go" and r["reading"] is not None)
    proxy.cli("abort", "rename_label")


@pytest.mark.one_version
def test_a_standby_that_vanished_is_missed_after_a_restart_too(db, segue, pg):
    make_items(db, **ROWS)
    proxy = segue(db)
    proxy.cli("throttle", "rows_per_s", "20")
    with contextlib.closing(Receiver(pg, "eu")) as standby:
        now = lsn_of(db.one("SELECT pg_current_wal_lsn()::text"))
        standby.report(now + 10_000_000)
        proxy.begin(RENAME)
        until("it to be known", lambda: db.one("SELECT count(*) FROM segue.standbys"))
        # while a lag holds the backfill and nobody writes, the standby is given something to answer, again and again
        standby.report(now - 1_000_000)
        proxy.cli("throttle", "replica_lag_bytes", "100000")
        held_by(proxy, "replica_lag_bytes")
        for _ in range(2):
            begun = db.one("SELECT clock_timestamp()")
            until("a row to be written", lambda: db.one("SELECT max(seen_at) > %s FROM segue.standbys", begun))  # noqa: B023
    until("it to have gone", lambda: not db.one("SELECT count(*) FROM pg_stat_replication WHERE application_name = 'eu'"))
    held_by(proxy, "replica_lag_bytes")
    proxy.restart()
    held_by(proxy, "replica_lag_bytes", "standby eu@127.0.0.1 has vanished: THROTTLE replica_lag_s on")
    stands_still(db)
    proxy.cli("throttle", "replica_lag_s", "on")
    proxy.cli("throttle", "rows_per_s", "off")
    proxy.wait_phase("rename_label", "ready")
    assert db.one("SELECT count(*) FROM segue.standbys") == 0
