"""Drivers through the relay: what works on a direct connection works the same."""

import asyncio
import socket
import struct
import subprocess
import threading
from contextlib import closing

import asyncpg
import psycopg
import psycopg2
import pytest
from lib.cluster import MD5_PASSWORD, MD5_USER, SCRAM_PASSWORD, SCRAM_USER
from lib.wait import SLOW, until

pytestmark = pytest.mark.newest_unless_told


MB = 1 << 20
# AddressSanitizer keeps freed memory for a while; the values are 60 MB and more
GROWTH_KB_MAX = 8 * 1024 if SLOW == 1 else 40 * 1024


@pytest.fixture
def proxy(db, segue):
    return segue(db)


def test_simple_extended_and_prepared_statements_answer(proxy):
    with proxy.connect() as c:
        assert c.execute("SELECT 1; SELECT 2").fetchone() == (1,)
        assert c.execute("SELECT %s::int + 1", (41,)).fetchone() == (42,)
        for i in range(20):
            assert c.execute("SELECT %s::int", (i,), prepare=True).fetchone() == (i,)


def test_psycopg2_and_its_transactions_work(proxy):
    c = psycopg2.connect(proxy.url())
    cur = c.cursor()
    cur.execute("CREATE TABLE t (id int)")
    cur.execute("INSERT INTO t SELECT generate_series(1, 10)")
    c.rollback()
    cur.execute("SELECT to_regclass('t')")
    assert cur.fetchone() == (None,)
    c.close()


def test_asyncpg_statements_cursors_and_copy_work(proxy):
    async def work():
        c = await asyncpg.connect(proxy.url())
        await c.execute("CREATE TABLE t (id int, v text)")
        await c.executemany("INSERT INTO t VALUES ($1, $2)", [(i, str(i)) for i in range(500)])
        assert await c.copy_records_to_table("t", records=[(i, "c") for i in range(1000)]) == "COPY 1000"
        async with c.transaction():
            assert len([row async for row in c.cursor("SELECT * FROM t", prefetch=7)]) == 1500
        assert await c.fetchval("SELECT count(*) FROM t") == 1500
        await c.close()

    asyncio.run(work())


def test_pipelines_with_errors_in_the_middle_keep_their_order(proxy):
    with proxy.connect() as c:
        c.execute("CREATE TABLE t (id int PRIMARY KEY)")
        with c.pipeline() as p:
            for i in range(300):
                c.execute("INSERT INTO t VALUES (%s)", (i,))
            p.sync()
            with pytest.raises(psycopg.errors.UniqueViolation):
                c.execute("INSERT INTO t VALUES (1)")
                p.sync()
            p.sync()
        assert c.execute("SELECT count(*) FROM t").fetchone() == (300,)


def test_copy_flows_both_ways(proxy):
    rows = 200_000
    with proxy.connect() as c:
        c.execute("CREATE TABLE t (id int, v text)")
        cur = c.cursor()
        with cur.copy("COPY t FROM STDIN") as copy:
            for i in range(rows):
                copy.write_row((i, "v" * 20))
        with cur.copy("COPY t TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == rows
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            with cur.copy("COPY t FROM STDIN") as copy:
                copy.write(b"x\ty\n" * 100_000)
        assert c.execute("SELECT count(*) FROM t").fetchone() == (rows,)


def rss_kb(proxy):
    with open(f"/proc/{proxy.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_large_values_pass_in_bounded_memory(proxy):
    value = "x" * (60 * MB)
    with proxy.connect() as c:
        c.execute("SELECT 1")
        before = rss_kb(proxy)
        assert c.execute("SELECT length(%s)", (value,)).fetchone() == (len(value),)
        assert len(c.execute(f"SELECT repeat('y', {60 * MB})").fetchone()[0]) == len(value)
        assert rss_kb(proxy) - before < GROWTH_KB_MAX


def test_slow_reader_stops_the_server_not_the_proxys_memory(proxy):
    with proxy.connect() as c:
        c.execute("SELECT 1")
        before = rss_kb(proxy)
        c.pgconn.send_query("SELECT repeat('y', 1000) FROM generate_series(1, 100000)".encode())
        # nothing is read; the server has to stop, and others are served meanwhile
        with proxy.connect() as other:
            for _ in range(200):
                other.execute("SELECT 1")
        assert rss_kb(proxy) - before < GROWTH_KB_MAX
        rows = 0
        while (result := c.pgconn.get_result()) is not None:
            rows += result.ntuples
        assert rows == 100_000


def test_slow_server_stops_the_client_not_the_proxys_memory(proxy, db):
    with closing(proxy.connect()) as c, db.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(77)")
        before = rss_kb(proxy)
        # the server reads nothing while a statement waits
        c.pgconn.send_query(b"SELECT pg_advisory_lock(77)")
        c.pgconn.flush()
        with socket.fromfd(c.pgconn.socket, socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.settimeout(0.5)
            sent, query = 0, b"Q" + struct.pack("!I", 4 + 65536) + b"SELECT 1 -- ".ljust(65535, b"x") + b"\0"
            with pytest.raises(TimeoutError):
                while sent < 100 * MB:
                    sent += sock.send(query[sent % len(query):])
        assert rss_kb(proxy) - before < GROWTH_KB_MAX


def test_cancel_reaches_the_right_session(proxy, db):
    with proxy.connect() as c, proxy.connect() as other:
        def cancel():
            until("the statement", lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active'", pid))
            c.cancel()

        pid = c.info.backend_pid
        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            c.execute("SELECT pg_sleep(60)")
        canceller.join()
        assert other.execute("SELECT 1").fetchone() == (1,)
        assert c.execute("SELECT 1").fetchone() == (1,)


def test_notifications_arrive_unasked(proxy):
    with proxy.connect() as c, proxy.connect() as other:
        c.execute("LISTEN news")
        other.execute("NOTIFY news, 'hello'")
        note = next(c.notifies())
        assert (note.channel, note.payload) == ("news", "hello")


@pytest.mark.parametrize("user, password", [(SCRAM_USER, SCRAM_PASSWORD), (MD5_USER, MD5_PASSWORD)])
def test_passwords_are_checked_by_the_server(proxy, user, password):
    with proxy.connect(user=user, password=password) as c:
        assert c.execute("SELECT current_user").fetchone() == (user,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        proxy.connect(user=user, password="wrong")


def test_session_state_stays_with_the_session(proxy):
    with proxy.connect() as c:
        c.execute("CREATE TEMP TABLE x (id int)")
        c.execute("SET work_mem = '7MB'")
        c.execute("SELECT pg_advisory_lock(5)")
        c.execute("BEGIN; DECLARE k CURSOR WITH HOLD FOR SELECT generate_series(1, 5); COMMIT")
        c.execute("INSERT INTO x VALUES (1)")
        assert c.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert len(c.execute("FETCH ALL FROM k").fetchall()) == 5
        assert c.execute("SELECT pg_advisory_unlock(5)").fetchone() == (True,)


def test_startup_options_and_reset_mean_what_they_mean_directly(proxy):
    with proxy.connect(options="-c work_mem=9MB") as c:
        c.execute("SET work_mem = '5MB'")
        c.execute("RESET work_mem")
        assert c.execute("SHOW work_mem").fetchone() == ("9MB",)


def test_prepared_transactions_outlive_their_session(proxy):
    with proxy.connect() as c:
        c.execute("CREATE TABLE t (id int)")
        c.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'one'")
    with proxy.connect() as c:
        c.execute("COMMIT PREPARED 'one'")
        assert c.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_function_calls_of_large_objects_answer(proxy):
    c = psycopg2.connect(proxy.url())
    data = b"z" * (3 * MB)
    with c:
        lo = c.lobject(0, "wb")
        lo.write(data)
        oid = lo.oid
        lo.close()
    with c:
        assert c.lobject(oid, "rb").read() == data
    c.close()


def test_last_words_of_the_server_reach_the_client(proxy, db):
    with proxy.connect() as c:
        db.one("SELECT pg_terminate_backend(%s)", c.info.backend_pid)
        with pytest.raises(psycopg.OperationalError, match="administrator command"):
            c.execute("SELECT 1")


def test_vanished_client_ends_its_backend(proxy, db):
    c = proxy.connect()
    pid = c.info.backend_pid
    c.pgconn.finish()
    until("the backend to be gone",
          lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) in (0, (0,)))


def test_sessions_are_listed_with_their_state(proxy):
    def listed(state):
        """The client may have its answer a moment before the list says so."""
        rows = [r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "you"]
        return next((r for r in rows if r["state"] == state), None)

    with proxy.connect(application_name="me") as c:
        c.execute("SET application_name = 'you'")
        c.execute("BEGIN")
        row = until("a session in a transaction", lambda: listed("transaction"))
        assert int(row["backend_pid"]) == c.info.backend_pid
        assert float(row["in_transaction_s"]) >= 0
        c.execute("COMMIT")
        assert until("an idle session", lambda: listed("idle"))["in_transaction_s"] is None


def test_logical_replication_streams_through(proxy, db):
    db.sql("CREATE TABLE t (id int PRIMARY KEY)")
    db.sql("SELECT pg_create_logical_replication_slot('s_relay', 'test_decoding')")
    reader = subprocess.Popen(
        ["/usr/lib/postgresql/15/bin/pg_recvlogical", "-d", proxy.url(), "-S", "s_relay", "--start", "-f", "-",
         "--fsync-interval=0", "--status-interval=1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        db.sql("INSERT INTO t VALUES (7)")
        lines = []
        while not any("INSERT: id[integer]:7" in line for line in lines):
            line = reader.stdout.readline()
            assert line, reader.stderr.read()
            lines.append(line)
    finally:
        reader.terminate()
        reader.wait(10)
    # or its database cannot be dropped
    until("the slot to be let go of", lambda: db.one("SELECT NOT active FROM pg_replication_slots WHERE slot_name = 's_relay'"))
