"""Cut-over against long transactions: the gate opens in time, attempts are recorded, and what waits is named."""

import os
import signal
import threading
import time

import pytest
from lib.tables import RENAME, make_items
from lib.traffic import Traffic
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version
# a short road to each outcome; the defaults only wait longer
QUICK = {"cutover_drain_ms": 300, "gate_hold_max_ms": 700}
# the gate is closed for 900 ms again and again, however old the transaction is that it waits for
CLOSING = {"cutover_attempts_max": 1000, "cutover_backoff": "200ms", "cutover_drain_ms": 900, "gate_hold_max_ms": 1500,
           "transaction_age_max_ms": 600000}


def in_background(proxy, *args):
    """Runs a command in a thread; gives the thread and where its outcome will be."""
    out = []
    thread = threading.Thread(target=lambda: out.append(proxy.cli(*args, check=None)))
    thread.start()
    return thread, out


def long_transaction(conn, sql="UPDATE items SET note = 'held' WHERE id = 1"):
    conn.execute("BEGIN")
    conn.execute(sql)
    return conn


@pytest.mark.parametrize("via", ["proxy", "direct"])
def test_cutover_waits_for_a_long_transaction_and_stalls_nobody(db, segue, via):
    make_items(db, 500)
    proxy = segue(db, cutover_attempts_max=1000, **QUICK)
    proxy.ready(RENAME)
    holder = long_transaction(proxy.connect() if via == "proxy" else db.connect(application_name="batch job"))
    with Traffic(proxy.connect) as traffic:
        traffic.start("old", 2).flows(10)
        thread, out = in_background(proxy, "cutover", "rename_label")
        row = proxy.wait("rename_label", lambda r: int(r["attempts"]) >= 2)
        assert row["phase"] == "cutting_over"
        assert str(holder.info.backend_pid) in (row["blockers"] or "") or via == "proxy"
        # the application works on while the cut-over comes and goes
        traffic.flows(20)
        holder.execute("COMMIT")
        thread.join(60 * SLOW)
        assert out and out[0].code == 0, out
        assert proxy.phase("rename_label") == "soaking"
        traffic.flows(10)
        traffic.stop().verify(db)
        assert traffic.worst_s() < 1.5 * SLOW
    assert int(proxy.status("rename_label")["stall_ms_max"]) < 1000 * SLOW
    assert db.one("SELECT note FROM items WHERE id = 1") == "held"


def test_after_the_last_attempt_it_is_ready_again_and_names_the_blocker(db, segue):
    make_items(db, 500)
    proxy = segue(db, cutover_attempts_max=2, **QUICK)
    proxy.ready(RENAME)
    holder = long_transaction(db.connect(application_name="nightly report"), "SELECT count(*) FROM items")
    done = proxy.cli("cutover", "rename_label", check=4)
    assert "nightly report" in done.err and str(holder.info.backend_pid) in done.err
    row = proxy.status("rename_label")
    assert row["phase"] == "ready"
    assert "nightly report" in row["blockers"] and str(holder.info.backend_pid) in row["blockers"]
    assert int(row["attempts"]) >= 1
    # the tables are as before, for everybody
    proxy.connect().execute("UPDATE items SET label = 'x' WHERE id = 2")
    holder.execute("COMMIT")
    proxy.cli("cutover", "rename_label")
    assert proxy.phase("rename_label") == "soaking"
    # the record of all three outlives the process
    recorded = db.sql("SELECT no, outcome = 'done', blockers FROM segue.attempts WHERE kind = 'cutover' ORDER BY no")
    assert [row[:2] for row in recorded] == [(1, False), (2, False), (3, True)]
    assert all(blockers[0]["application_name"] == "nightly report" for _, _, blockers in recorded[:2])
    proxy.restart().at_work()
    assert int(proxy.status("rename_label")["attempts"]) == 3


def test_an_idle_transaction_through_the_proxy_is_named_too(db, segue):
    make_items(db, 100)
    proxy = segue(db, cutover_attempts_max=2, **QUICK)
    proxy.ready(RENAME)
    holder = long_transaction(proxy.connect(application_name="forgotten console"))
    done = proxy.cli("cutover", "rename_label", check=4)
    assert "forgotten console" in done.err
    assert proxy.phase("rename_label") == "ready"
    holder.execute("ROLLBACK")


def test_who_has_a_partition_for_itself_is_named(db, segue):
    """Asking who it is did not come past that lock."""
    db.sql("CREATE TABLE items (id bigint, label text) PARTITION BY RANGE (id);"
           "CREATE TABLE low PARTITION OF items FOR VALUES FROM (0) TO (100)")
    proxy = segue(db, cutover_attempts_max=2, **QUICK)
    proxy.ready(RENAME)
    holder = long_transaction(db.connect(application_name="cleaner"), "TRUNCATE low")
    done = proxy.cli("cutover", "rename_label", check=4)
    assert "cleaner" in done.err and proxy.phase("rename_label") == "ready"
    attempts = proxy.console("SHOW ATTEMPTS rename_label")
    assert [r["blockers"][0]["pid"] for r in attempts if r["kind"] == "cutover"] == 2 * [holder.info.backend_pid]
    assert "cleaner" in str(proxy.console("DOCTOR rename_label"))
    holder.execute("ROLLBACK")


def test_a_prepared_transaction_that_holds_the_table_blocks_and_is_named(db, segue):
    make_items(db, 100)
    proxy = segue(db, cutover_attempts_max=2, **QUICK)
    proxy.ready(RENAME)
    holder = long_transaction(db.connect())
    holder.execute("PREPARE TRANSACTION 'left over'")
    try:
        proxy.cli("cutover", "rename_label", check=4)
        row = proxy.status("rename_label")
        assert row["phase"] == "ready" and "left over" in row["blockers"]
    finally:
        holder.execute("COMMIT PREPARED 'left over'")
    proxy.cli("cutover", "rename_label")


def test_an_autovacuum_that_prevents_wraparound_is_named_and_nobody_is_held_up_for_it(private_db, segue):
    """It steps aside for nobody: a role that is not shown what it does finds that out, any other one reads it."""
    db = private_db
    make_items(db, 2000, filler=1000)
    name = f"owner_{db.name}"
    db.sql(f'CREATE ROLE {name} LOGIN; ALTER TABLE items OWNER TO {name}; '
           f'GRANT CREATE ON DATABASE "{db.name}" TO {name}; GRANT CREATE ON SCHEMA public TO {name}')
    proxy = segue(upstream=db.url(name), cutover_attempts_max=1, **QUICK)
    proxy.ready(RENAME)

    def naptime(seconds):
        with db.cluster.connect() as conn:
            conn.execute(f"ALTER SYSTEM SET autovacuum_naptime = {seconds}")
            conn.execute("SELECT pg_reload_conf()")

    db.sql("ALTER TABLE items SET (autovacuum_enabled = off, autovacuum_freeze_max_age = 100000, autovacuum_vacuum_cost_delay = 100, "
           "autovacuum_vacuum_cost_limit = 1); CREATE TABLE burnt (i int)")
    db.sql("DO $$ BEGIN FOR i IN 1..100100 LOOP BEGIN INSERT INTO burnt VALUES (i); EXCEPTION WHEN division_by_zero THEN END; END LOOP; END $$")
    naptime(1)
    of_items = "pg_stat_progress_vacuum p JOIN pg_stat_activity a USING (pid) WHERE relid = 'items'::regclass AND query ~ 'to prevent wraparound'"
    until("an autovacuum", lambda: db.one(f"SELECT count(*) FROM {of_items}"), 60)
    for statement in "<insufficient privilege>", "(to prevent wraparound)":
        done = proxy.cli("cutover", "rename_label", check=4)
        assert "autovacuum worker" in done.err and statement in done.err
        db.sql(f"GRANT pg_monitor TO {name}")
    row = proxy.status("rename_label")
    assert row["phase"] == "ready" and float(row["stall_ms_max"]) == 0
    assert [r["outcome"] for r in proxy.console("SHOW ATTEMPTS rename_label") if r["kind"] == "cutover"] == ["blocked", "blocked"]
    naptime(3600)
    until("it to end", lambda: not db.one(f"SELECT count(pg_cancel_backend(pid)) FROM {of_items}"))
    proxy.cli("cutover", "rename_label")


class Holding:
    """A cut-over whose gate opens and closes for as long as a transaction holds the table."""

    def __init__(self, db, proxy):
        self.holder = long_transaction(proxy.connect())
        self.proxy = proxy
        self.thread, self.out = in_background(proxy, "cutover", "rename_label")

    def __enter__(self):
        self.proxy.wait("rename_label", lambda r: r["phase"] == "cutting_over")
        return self

    def __exit__(self, *exc):
        self.holder.execute("COMMIT")
        self.thread.join(60 * SLOW)
        assert self.out and self.out[0].code == 0, self.out


def worst_of(run, enough=3600.0, until_s=3.0):
    """The longest of many runs, in seconds; no more of them once one lasts `enough`."""
    worst, end = 0.0, time.monotonic() + until_s
    while worst <= enough and time.monotonic() < end:
        begun = time.monotonic()
        run()
        worst = max(worst, time.monotonic() - begun)
    return worst


def passes_closed_gates(proxy, run):
    """Runs it again and again while three gates close and open: none of them holds it, and a statement lasts as it does
    without a gate."""
    def stalls():
        return [row["stall_ms"] for row in proxy.console("SHOW ATTEMPTS rename_label") if row["outcome"] == "drain"]

    took, before = [], len(stalls())
    end = time.monotonic() + 60 * SLOW
    while len(stalls()) < before + 4:
        assert time.monotonic() < end, "the gate does not close"
        begun = time.monotonic()
        run()
        took.append(time.monotonic() - begun)
    assert not any(stalls()[before:]), "a statement was held at the gate"
    # each would be felt
    assert sorted(took)[-3] < 0.3 * SLOW, sorted(took)[-5:]


def test_statements_on_other_tables_pass_a_closed_gate(db, segue):
    make_items(db, 100)
    db.sql("CREATE TABLE others (id int PRIMARY KEY, n int); INSERT INTO others VALUES (1, 0)")
    proxy = segue(db, **CLOSING)
    proxy.ready(RENAME)
    conn, mine = proxy.connect(), proxy.connect()
    with Holding(db, proxy):
        passes_closed_gates(proxy, lambda: conn.execute("UPDATE others SET n = n + 1"))
        same = worst_of(lambda: mine.execute("SELECT count(*) FROM items"), enough=0.6, until_s=30.0)
    assert same > 0.6, "the gate was never closed"
    # what was held there is recorded with its attempt, and as the worst of all
    worst = max(row["stall_ms"] for row in proxy.console("SHOW ATTEMPTS rename_label") if row["kind"] == "cutover")
    assert 400 < worst <= same * 1000 and abs(float(proxy.status("rename_label")["stall_ms_max"]) - worst) < 0.2


def test_statements_of_an_open_transaction_are_not_held(db, segue):
    make_items(db, 100)
    proxy = segue(db, **CLOSING)
    proxy.ready(RENAME)
    with Holding(db, proxy) as holding:
        # the transaction that is waited for must be able to come to its end
        passes_closed_gates(proxy, lambda: holding.holder.execute("UPDATE items SET label = label WHERE id = 2"))


def test_the_hard_deadline_opens_the_gate_though_the_lock_is_waited_for(db, segue):
    make_items(db, 100)
    db.sql("CREATE TABLE others (id int)")
    # the lock may be waited for much longer than the gate may be closed
    proxy = segue(db, cutover_attempts_max=1000, cutover_drain_ms=300, gate_hold_max_ms=600, lock_timeout_ms=8000)
    proxy.ready(RENAME)
    holder = long_transaction(db.connect(), "LOCK TABLE items IN ACCESS SHARE MODE")
    conn = proxy.connect()
    thread, out = in_background(proxy, "cutover", "rename_label")
    proxy.wait("rename_label", lambda r: r["phase"] == "cutting_over")
    # both are held: the transaction may be going to touch the table
    worst = worst_of(lambda: conn.execute("BEGIN; SELECT 1 FROM others; COMMIT"))
    holder.execute("COMMIT")
    thread.join(60 * SLOW)
    assert out and out[0].code == 0, out
    assert worst < 1.2 * SLOW


def stopped_waiter(db):
    """Stops the backend that waits for the lock on the table, in its wait; gives its pid."""
    waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'items'::regclass AND mode = 'AccessExclusiveLock'"
    with db.connect() as conn:
        def stop():
            row = conn.execute(waiting).fetchone()
            if row is None:
                return None
            os.kill(row[0], signal.SIGSTOP)
            if conn.execute(waiting).fetchone() == row:
                return row[0]
            os.kill(row[0], signal.SIGCONT)
            return None

        return until("the lock to be waited for", stop, every=0.01)


def test_the_hard_deadline_opens_the_gate_though_the_engine_hangs(db, segue):
    make_items(db, 100)
    db.sql("CREATE TABLE others (id int)")
    proxy = segue(db, cutover_attempts_max=1000, cutover_drain_ms=300, gate_hold_max_ms=600, lock_timeout_ms=8000)
    proxy.ready(RENAME)
    holder = long_transaction(db.connect(), "LOCK TABLE items IN ACCESS SHARE MODE")
    conn = proxy.connect()
    thread, out = in_background(proxy, "cutover", "rename_label")
    pid = stopped_waiter(db)
    try:
        client = threading.Thread(target=lambda: conn.execute("BEGIN; SELECT 1 FROM others; COMMIT"))
        client.start()
        client.join(5 * SLOW)
        assert not client.is_alive(), "the gate stayed closed"
        proxy.logged("past its deadline: opened")
    finally:
        os.kill(pid, signal.SIGCONT)
        client.join(10 * SLOW)
        holder.execute("COMMIT")
    thread.join(60 * SLOW)
    assert out and out[0].code == 0, out


def test_cutover_may_be_called_off(db, segue):
    make_items(db, 100)
    proxy = segue(db, cutover_attempts_max=1000, **QUICK)
    proxy.ready(RENAME)
    holder = long_transaction(proxy.connect())
    thread, out = in_background(proxy, "cutover", "rename_label")
    proxy.wait("rename_label", lambda r: r["phase"] == "cutting_over")
    abort, aborted = in_background(proxy, "abort", "rename_label")
    proxy.wait("rename_label", lambda r: r["phase"] != "cutting_over")
    holder.execute("COMMIT")
    thread.join(60 * SLOW)
    abort.join(60 * SLOW)
    assert aborted[0].code == 0 and out[0].code != 0
    assert proxy.phase("rename_label") == "aborted"
    columns = {c for (c,) in db.sql("SELECT attname FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0")}
    assert "title" not in columns


def test_migrate_goes_on_to_soaking_by_itself(db, segue):
    make_items(db, 300)
    proxy = segue(db)
    proxy.cli("migrate", proxy.file(RENAME))
    row = proxy.status("rename_label")
    assert row["phase"] == "soaking" and float(row["progress"]) == 100


def test_start_blocks_until_ready(db, segue):
    make_items(db, 300)
    proxy = segue(db)
    proxy.cli("start", proxy.file(RENAME))
    assert proxy.phase("rename_label") == "ready"


def test_a_transaction_that_holds_no_lock_on_the_table_is_not_waited_for(db, segue):
    make_items(db, 500)
    db.sql("CREATE TABLE reports (id int)")
    proxy = segue(db)
    # began before there were any rules: segue has not read what it did, the server's locks tell
    bystander = long_transaction(proxy.connect(), "INSERT INTO reports VALUES (1)")
    proxy.ready(RENAME)
    proxy.cli("cutover", "rename_label")
    assert proxy.status("rename_label")["attempts"] == 1
    assert float(proxy.status("rename_label")["stall_ms_max"]) < 500 * SLOW
    bystander.execute("COMMIT")
    assert db.one("SELECT count(*) FROM reports") == 1


def test_segue_lets_go_before_the_server_chooses_a_victim(db, segue):
    """A circle is found by who comes to wait last, deadlock_timeout later: that is a client, where segue waits for longer."""
    db.sql(f"CREATE TABLE a (id int, label text); CREATE TABLE b (id int, label text); ALTER DATABASE \"{db.name}\" SET deadlock_timeout = '250ms'")
    proxy = segue(db, lock_timeout_ms=20000, gate_hold_max_ms=20000)
    proxy.ready({"name": "m", "operations": [{"rename_column": {"table": t, "from": "label", "to": "title"}} for t in "ab"]})
    waits = ("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'b'::regclass AND "
             "clock_timestamp() - waitstart > interval '400 ms') OR (SELECT count(*) FROM segue.attempts WHERE kind = 'cutover') >= 2")
    with db.connect() as client:  # past segue
        client.execute("BEGIN; INSERT INTO b VALUES (1, 'x')")
        turn = threading.Thread(target=proxy.cli, args=("cutover", "m"), kwargs={"check": None}, daemon=True)
        turn.start()
        until("segue to wait for it", lambda: db.one(waits), every=0.01)
        client.execute("INSERT INTO a VALUES (1, 'x'); COMMIT")
    turn.join(30)
    assert proxy.phase("m") == "soaking"
