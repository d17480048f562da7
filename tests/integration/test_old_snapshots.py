"""Transactions that see the rows as they were before the backfill: nothing is ready before they have ended."""

import threading

import psycopg
import pytest
from lib.operations import unguarded
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version
RETYPE = {"name": "wider", "operations": [
    {"alter_column": {"table": "bills", "column": "amount", "type": "bigint", "up": "amount", "down": "amount"}}]}
RENAME = {"name": "called", "operations": [{"rename_column": {"table": "bills", "from": "amount", "to": "sum"}}]}
AMOUNTS = [(i, 10 * i) for i in range(1, 301)]


@pytest.fixture
def bills(db):
    """Without an index on the column: one that is built CONCURRENTLY would wait for old snapshots, too."""
    db.sql("CREATE TABLE bills (id int PRIMARY KEY, amount int NOT NULL); CREATE TABLE rates (id int); INSERT INTO rates VALUES (1);"
           "INSERT INTO bills SELECT i, 10 * i FROM generate_series(1, 300) AS i")
    return db


def looks_once(conn, level=psycopg.IsolationLevel.REPEATABLE_READ):
    """In a transaction whose snapshot is of now, and which holds no lock on the table that migrates."""
    conn.autocommit = False
    conn.isolation_level = level
    assert conn.execute("SELECT id FROM rates").fetchall() == [(1,)]
    return conn


def waited_for(proxy, elder):
    pid = elder.info.backend_pid
    return proxy.wait(RETYPE["name"], lambda row: row["phase"] == "verifying" and f"pid {pid} " in (row["blockers"] or ""))


def behind(proxy, elder):
    """The migration, which has come as far as it can beside the transaction."""
    proxy.begin(RETYPE)
    waited_for(proxy, elder)
    return RETYPE["name"]


@pytest.mark.parametrize("via", ["proxy", "direct"])
@pytest.mark.parametrize("level", ["REPEATABLE_READ", "SERIALIZABLE"])
def test_a_snapshot_from_before_the_fill_never_sees_an_empty_column(bills, segue, via, level):
    proxy = segue(bills)
    elder = looks_once(proxy.connect() if via == "proxy" else bills.connect(), psycopg.IsolationLevel[level])
    proxy.begin(RETYPE)
    name, row = RETYPE["name"], waited_for(proxy, elder)
    assert float(row["progress"]) == 100 and "transactions from before" in row["step"]
    assert elder.execute("SELECT id, amount FROM bills ORDER BY id").fetchall() == AMOUNTS
    elder.commit()
    proxy.wait_phase(name, "ready")
    proxy.cli("cutover", name)
    assert elder.execute("SELECT id, amount FROM bills ORDER BY id").fetchall() == AMOUNTS
    elder.commit()
    assert not proxy.status(name)["blockers"]


def test_read_committed_and_other_databases_are_not_waited_for(bills, segue, pg):
    proxy = segue(bills)
    committed = looks_once(proxy.connect(), psycopg.IsolationLevel.READ_COMMITTED)
    elsewhere = pg.connect("postgres")
    elsewhere.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    elsewhere.execute("SELECT 1")
    name = proxy.ready(RENAME)
    assert proxy.phase(name) == "ready"
    committed.commit()
    elsewhere.execute("COMMIT")


def test_a_vacuum_computes_with_nothing_and_is_not_waited_for(bills, segue):
    bills.sql("CREATE TABLE large WITH (autovacuum_enabled = off) AS SELECT i, repeat('x', 200) FROM generate_series(1, 60000) AS i")
    with bills.connect() as conn, bills.connect() as watch:
        conn.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
        pid = conn.info.backend_pid
        slow = threading.Thread(target=lambda: pytest.raises(psycopg.errors.QueryCanceled, conn.execute, "VACUUM (FREEZE) large"))
        slow.start()
        held = "SELECT backend_xmin IS NOT NULL FROM pg_stat_progress_vacuum JOIN pg_stat_activity USING (pid) WHERE pid = %s"
        until("the VACUUM", lambda: watch.execute(held, (pid,)).fetchone() == (True,))
        proxy = segue(bills)
        name = proxy.ready(RETYPE)
        assert proxy.phase(name) == "ready"
        assert watch.execute(held, (pid,)).fetchone() == (True,), "the VACUUM has ended too early"
        watch.execute("SELECT pg_cancel_backend(%s)", (pid,))
        slow.join()


def test_what_fills_nothing_waits_for_nobody(bills, segue):
    proxy = segue(bills)
    elder = looks_once(proxy.connect())
    name = proxy.ready({"name": "moved", "operations": [{"rename_table": {"from": "bills", "to": "invoices"}}]})
    assert proxy.phase(name) == "ready"
    elder.commit()


def test_who_comes_later_is_not_waited_for(bills, segue):
    proxy = segue(bills)
    elder = looks_once(proxy.connect())
    name = behind(proxy, elder)
    later = looks_once(proxy.connect())
    elder.commit()
    proxy.wait_phase(name, "ready")
    assert later.execute("SELECT id, amount FROM bills ORDER BY id").fetchall() == AMOUNTS
    later.commit()


def test_the_wait_can_be_ended_by_an_abort_and_verify_is_answered_in_it(bills, segue):
    proxy = segue(bills)
    elder = looks_once(proxy.connect())
    name = behind(proxy, elder)
    assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 0
    waited_for(proxy, elder)
    proxy.cli("abort", name, timeout=30 * SLOW)
    assert not proxy.status(name)["blockers"]
    assert elder.execute("SELECT id, amount FROM bills ORDER BY id").fetchall() == AMOUNTS
    elder.commit()


def test_a_new_segue_waits_again(bills, segue):
    proxy = segue(bills)
    elder = looks_once(bills.connect())
    name = behind(proxy, elder)
    proxy.kill9()
    proxy.start()
    waited_for(proxy, elder)
    elder.commit()
    proxy.wait_phase(name, "ready")


def test_what_a_verify_finds_in_the_wait_is_repaired_and_verified_before_ready(bills, segue):
    proxy = segue(bills)
    elder = looks_once(proxy.connect())
    name = behind(proxy, elder)
    unguarded(bills.connect(), "bills", "UPDATE bills SET amount = 7 WHERE id = 70")
    assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 1
    waited_for(proxy, elder)
    elder.commit()
    proxy.wait_phase(name, "ready")
    assert proxy.status(name)["rows_bad"] == 0
    proxy.cli("cutover", name)
    assert bills.one("SELECT amount FROM bills WHERE id = 70") == 7
