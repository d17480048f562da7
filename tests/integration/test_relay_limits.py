"""Limits, an upstream that is away, and the end of the proxy."""

import signal
import socket
import time

import psycopg
import pytest
from lib.rawwire import COPY_DONE, Raw, copy_data, query, startup
from lib.wait import free_port, until

pytestmark = pytest.mark.one_version


def test_clients_beyond_the_limit_get_53300_and_the_console_still_answers(db, segue):
    proxy = segue(db, sessions_max=2)
    with proxy.connect(), proxy.connect():
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            proxy.connect()
        assert proxy.console("SHOW VERSION")
    until("room again", lambda: can_connect(proxy))


def can_connect(proxy):
    try:
        proxy.connect().close()
        return True
    except psycopg.OperationalError:
        return False


def test_half_open_connections_are_capped(db, segue):
    proxy = segue(db, startup_open_max=3)
    idle = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(3)]
    # one more each time: a client that was let in meanwhile may have taken the place of one
    until("the cap", lambda: not can_connect(proxy) or idle.append(socket.create_connection(("127.0.0.1", proxy.port))))
    with Raw(proxy.port) as c:
        assert c.error()["C"] == "53300"
    for one in idle:
        one.close()
    until("room again", lambda: can_connect(proxy))


def test_slow_login_is_cut_off(db, segue):
    proxy = segue(db, login_timeout_ms=3000)
    with proxy.connect() as older:
        started = time.monotonic()
        with Raw(proxy.port) as c:
            c.send(startup(user="postgres", database=db.name)[:10])
            assert c.take(1) is None
        assert 2.9 < time.monotonic() - started < 10
        older.execute("SELECT 1")


def test_upstream_that_is_away_is_said_to_be(segue):
    proxy = segue(upstream=f"postgresql://postgres@127.0.0.1:{free_port()}/postgres", upstream_wait_ms=0)
    with Raw(proxy.port) as c:
        c.send(startup(user="postgres", database="postgres"))
        error = c.error()
        assert error["C"] == "57P03"
        assert "127.0.0.1" in error["M"] and error["H"]
        assert c.read() is None


def test_upstream_over_a_unix_socket_works(db, segue):
    folder = db.one("SHOW unix_socket_directories")
    folder = folder if isinstance(folder, str) else folder[0]
    proxy = segue(upstream=f"postgresql://postgres@/{db.name}?host={folder}&port={db.cluster.port}")
    with proxy.connect(db.name) as c:
        assert c.execute("SELECT inet_client_addr()").fetchone() == (None,)


def until_it_waits(db):
    until("the statement to wait", lambda: db.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
                                                  "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"))


def test_idle_sessions_are_told_when_it_ends_and_busy_ones_may_finish(db, segue):
    proxy = segue(db, drain_timeout_s=20)
    idle, busy = Raw(proxy.port).login(db.name), Raw(proxy.port).login(db.name)
    inside = proxy.connect()
    inside.execute("BEGIN")
    inside.execute("SELECT pg_advisory_xact_lock(1)")
    busy.send(query("SELECT pg_advisory_xact_lock(1)"))
    until_it_waits(db)
    proxy.signal(signal.SIGTERM)
    assert idle.error()["C"] == "57P01"
    inside.execute("SELECT 1")
    inside.execute("COMMIT")
    assert busy.until_ready() == "TDCZI"
    assert busy.error()["C"] == "57P01"
    assert proxy.process.wait(10) == 0


@pytest.mark.parametrize("at", [query("INSERT INTO kept SELECT 1 FROM pg_advisory_xact_lock(1)"),
                                query("COPY kept FROM STDIN") + copy_data("1\n") + COPY_DONE], ids=["statement", "copy"])
def test_who_is_cut_off_in_a_statement_is_not_told_that_it_was_rolled_back(db, segue, at):
    db.sql("CREATE TABLE kept (i int); CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS"
           " $$BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END$$;"
           "CREATE TRIGGER waits AFTER INSERT ON kept EXECUTE FUNCTION waits()")
    proxy = segue(db, drain_timeout_s=1)
    with Raw(proxy.port).login(db.name) as c, db.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(1)")
        c.send(at)
        until_it_waits(db)
        proxy.signal(signal.SIGTERM)
        error = c.error()
        assert error["C"] == "08007" and "not known" in error["H"]
        assert proxy.process.wait(10) == 0
        holder.execute("SELECT pg_advisory_unlock(1)")
        until("it to be committed", lambda: db.one("SELECT count(*) FROM kept"))


def test_drain_has_a_deadline(db, segue):
    proxy = segue(db, drain_timeout_s=1)
    with Raw(proxy.port).login(db.name) as c:
        c.send(query("BEGIN"))
        assert c.until_ready() == "CZT"
        proxy.signal(signal.SIGTERM)
        assert c.error()["C"] == "57P01"
        assert proxy.process.wait(10) == 0


def test_second_sigterm_ends_at_once(db, segue):
    proxy = segue(db, drain_timeout_s=60)
    with Raw(proxy.port).login(db.name) as c:
        c.send(query("BEGIN"))
        assert c.until_ready() == "CZT"
        proxy.signal(signal.SIGTERM)
        until("no new clients", lambda: not can_connect(proxy))
        proxy.signal(signal.SIGTERM)
        proxy.process.wait(10)


def test_console_answers_queries_one_after_the_other(db, segue):
    proxy = segue(db)
    with Raw(proxy.port).login("segue") as c:
        c.send(query("SHOW VERSION"), query(""), query(" ; "), query("SHOW VERSION"))
        assert c.until_ready().endswith("CZI")
        assert c.until_ready() == "IZI"
        assert c.until_ready() == "IZI"
        assert c.until_ready().endswith("CZI")


def test_console_with_admins_lets_them_log_in_upstream(db, segue):
    from lib.cluster import SCRAM_PASSWORD, SCRAM_USER

    proxy = segue(db, admin_users=SCRAM_USER)
    with psycopg.connect(proxy.url("segue", SCRAM_USER), password=SCRAM_PASSWORD, autocommit=True) as c:
        assert c.execute(b"SHOW VERSION").fetchall()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(proxy.url("segue", SCRAM_USER), password="wrong")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(proxy.url("segue", "postgres"))
