"""Limits of sessions: idle time, start-up packets, connections at the door, memory."""

import contextlib
import socket
import struct
import time

import psycopg
import pytest
from lib.played import Played
from lib.rawwire import SYNC, Raw, bind, execute, message, packet, parse, query, startup
from lib.wait import until

pytestmark = pytest.mark.one_version


def stats(proxy):
    return {r["stat"]: r["value"] for r in proxy.console("SHOW STATS")}


# ---- the door ----


def test_who_was_refused_and_stays_has_its_place_at_the_door_until_it_is_closed(db, segue):
    proxy = segue(db, startup_open_max=5, workers=1)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            one = stack.enter_context(Raw(proxy.port))
            one.send(startup(database=db.name))
            assert one.error()["C"] == "28000"
        with Raw(proxy.port) as late:
            assert late.error()["C"] == "53300"
        until("those that stay to be closed", lambda: refused(proxy) is False)


# ---- idle ----


def test_idle_client_is_told_57p05_and_its_backend_ends(db, segue):
    proxy = segue(db, idle_timeout_s=1)
    with Raw(proxy.port).login(db.name, application_name="sleepy") as c:
        started = time.monotonic()
        c.send(query("SELECT 1"))
        assert c.until_ready() == "TDCZI"
        error = c.error()
        assert (error["S"], error["C"]) == ("FATAL", "57P05") and "idle-session timeout" in error["M"]
        assert 0.9 < time.monotonic() - started < 10
        assert c.read() is None
    until("no backend", lambda: not db.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sleepy'"))
    until("it to be counted", lambda: stats(proxy)["idle_ended"] == 1)


def test_idle_time_does_not_end_who_works_or_has_a_transaction_open(db, segue):
    proxy = segue(db, idle_timeout_s=2)
    whole = query("SELECT 'a request that is not whole'")
    with contextlib.ExitStack() as stack:
        def comes(*sent):  # and says so at once: whoever idled for two seconds would be ended
            return stack.enter_context(Raw(proxy.port)).login(db.name).send(*sent)

        inside = comes(query("BEGIN"))
        busy = comes(query("SELECT pg_sleep(6.2)"))
        half = comes(whole[:-4])
        open_pipeline = comes(parse("SELECT 1"), bind(), execute(), message("H"))
        assert inside.until_ready() == "CZT"
        with Raw(proxy.port).login(db.name) as idle:
            assert idle.error()["C"] == "57P05"
        assert busy.until_ready() == "TDCZI"
        inside.send(query("COMMIT"))
        assert inside.until_ready() == "CZI"
        half.send(whole[-4:])
        assert half.until_ready() == "TDCZI"
        open_pipeline.send(SYNC)
        assert open_pipeline.until_ready() == "12DCZI"


def test_idle_console_is_ended_too_and_a_listening_client_only_when_it_is_silent(db, segue):
    proxy = segue(db, idle_timeout_s=4)
    with Raw(proxy.port).login("segue") as console, Raw(proxy.port).login(db.name) as talker:
        end = time.monotonic() + 6
        while time.monotonic() < end:
            talker.send(query("SELECT 1"))
            assert talker.until_ready() == "TDCZI"
            time.sleep(0.1)
        assert console.error()["C"] == "57P05"


def test_idle_timeout_changes_with_sighup(db, segue, tmp_path):
    import signal

    path = tmp_path / "segue.json"
    path.write_text('{"idle_timeout_s": 0}')
    proxy = segue(db, arguments=["-c", path])
    with Raw(proxy.port).login(db.name) as c:
        path.write_text('{"idle_timeout_s": 1}')
        proxy.signal(signal.SIGHUP)
        assert c.error()["C"] == "57P05"


# ---- start-up ----


def test_start_up_packet_beyond_the_limit_is_refused_before_it_has_come(db, segue):
    proxy = segue(db, startup_bytes_max=200)
    with Raw(proxy.port) as c:
        c.send(struct.pack("!I", 4 + 200 + 1))
        error = c.error()
        assert error["C"] == "08P01" and "startup_bytes_max" in error["H"]
        assert c.read() is None
    rest = 4 + 200 - len(startup(user="postgres", database=db.name, options=""))
    with Raw(proxy.port).login(db.name, options=" " * rest):
        pass
    with Raw(proxy.port).login(db.name):
        pass
    with Raw(proxy.port) as c:
        c.send(packet(196608, b"user\0postgres\0database\0" + db.name.encode() + b"\0")[:3])
        c.send(b"")
        until("it to be counted", lambda: stats(proxy)["sessions_startup"] == 1)


@pytest.mark.parametrize("options, most", [({"startup_open_per_address_max": 2}, 2), ({"startup_open_max": 20}, 18)],
                         ids=["as many as said", "nine tenths"])
def test_one_address_has_only_so_many_at_the_door_and_leaves_room_for_others(db, segue, options, most):
    proxy = segue(db, workers=1, **options)  # one worker lets in by turns
    idle = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(most)]
    until("all at the door", lambda: refused(proxy))
    with Raw(proxy.port) as c:
        error = c.error()
        assert error["C"] == "53300" and f"lets in {most} at once (option startup_open_per_address_max)" in error["H"]
    other = socket.create_connection(("127.0.0.1", proxy.port), source_address=("127.0.0.9", 0))
    other.sendall(startup(user="postgres", database=db.name))
    assert other.recv(1) == b"R"
    other.close()
    for one in idle:
        one.close()
    # who is logged in does not count
    logged_in = [until("room", lambda: login(proxy, db)) for _ in range(5)]
    for one in logged_in:
        one.close()
    assert stats_without_door(proxy)["refused_address"] >= 1


def refused(proxy):
    with Raw(proxy.port, timeout=0.2) as c:
        try:
            return c.error() is not None
        except TimeoutError:
            return False


def login(proxy, db):
    try:
        return psycopg.connect(proxy.url())
    except psycopg.OperationalError:
        return None


def stats_without_door(proxy):
    return until("the console", lambda: try_stats(proxy))


def try_stats(proxy):
    try:
        return stats(proxy)
    except psycopg.OperationalError:
        return None


# ---- memory ----


def test_memory_of_a_session_stays_below_its_bound(db, segue):
    proxy = segue(db, workers=1, buffer_bytes_max=65536, inspect_bytes_max=65536, statements_bytes_max=131072)
    bound = {r["memory"]: r["bytes"] for r in proxy.console("SHOW MEMORY")}["session_max"]
    assert bound < 4 * 10000 + 8 * 65536 + 12 * 65536 + 131072 + (2 << 20)
    seen = []

    def look():
        row = next(r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "greedy")
        seen.append(row["memory_bytes"])
        assert row["memory_bytes"] <= bound
        return row

    with Raw(proxy.port, timeout=60) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.login(db.name, application_name="greedy")
        empty = look()["memory_bytes"]
        assert empty < 8192
        # more statements than are remembered, the last ones longer than what is looked at
        for i in range(200):
            c.send(parse(f"SELECT '{'x' * 2000}'", name=f"s{i}"))
        c.send(parse(f"SELECT '{'y' * 500000}'", name="long"), SYNC)
        assert c.until_ready() == "1" * 201 + "ZI"
        assert look()["memory_bytes"] > 100000
        # a result that is not read: the buffer to the client fills, then the server is not read
        c.send(query("SELECT repeat('z', 1000) FROM generate_series(1, 50000)"))
        until("the buffer is full", lambda: look()["memory_bytes"] > empty + 131072 + 65536)
        # and more questions, which nobody takes: the buffer to the server, then the client is not read
        c.sock.setblocking(False)
        more = query(f"SELECT '{'q' * 60000}'") * 1000
        sent = 0
        end = time.monotonic() + 2
        while time.monotonic() < end and sent < len(more):
            try:
                sent += c.sock.send(more[sent:sent + 65536])
            except BlockingIOError:
                look()
                time.sleep(0.02)
        assert sent < len(more)
        look()
        assert max(seen) <= bound


class Silent(Played):
    """Takes everything, says nothing."""

    def serve(self, sock):
        while sock.recv(65536):
            pass


def test_a_client_that_has_not_logged_in_is_read_no_further_than_it_must(segue):
    """Whoever reaches segue while the upstream hangs must not fill its memory."""
    with Silent() as upstream:
        proxy = segue(upstream=f"postgresql://postgres@127.0.0.1:{upstream.port}/postgres?sslmode=disable")

        def session():
            return next((r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "stranger"), None)

        with Raw(proxy.port) as c:
            c.send(startup(user="postgres", database="postgres", application_name="stranger"))
            until("it to be seen", session)
            more, sent = query("x" * 60000) * 100, 0
            c.sock.setblocking(False)
            end = time.monotonic() + 2  # as much as segue and the kernel take
            while time.monotonic() < end and sent < len(more):
                try:
                    sent += c.sock.send(more[sent:])
                except BlockingIOError:
                    time.sleep(0.02)
            until("its bytes to come", lambda: session()["memory_bytes"] > 65536)
            assert session()["memory_bytes"] < 300000  # 64 KB, as the buffer grows


def test_memory_of_a_session_is_given_back_when_it_is_idle(db, segue):
    proxy = segue(db, workers=1)
    with proxy.connect(application_name="big") as c:
        def memory():
            return next(r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "big")["memory_bytes"]

        before = memory()
        assert len(c.execute("SELECT repeat('z', 5000000)").fetchone()[0]) == 5000000
        assert c.execute("SELECT length(%s)", ("x" * 3000000,)).fetchone() == (3000000,)
        until("it to be given back", lambda: memory() == before)


# ---- listeners ----


def test_listeners_tell_address_and_queue(db, segue):
    proxy = segue(db, workers=2)
    proxy.connect().close()
    rows = proxy.console("SHOW LISTENERS")
    assert {r["address"] for r in rows} == {f"127.0.0.1:{proxy.port}"}
    assert sorted(r["worker"] for r in rows) == [0, 1]
    assert sum(r["accepted"] for r in rows) == 2
    assert all(r["backlog_now"] == 0 and r["backlog_max"] >= 128 for r in rows)
