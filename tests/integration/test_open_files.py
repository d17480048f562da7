"""The limit of open files: raised for the sessions that are allowed, and what happens when it is reached."""

import os
import resource
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from lib.rawwire import Raw
from lib.takeover import Peer, serves
from lib.wait import until

pytestmark = pytest.mark.one_version


def limits(proxy):
    return resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)


def start(segue, db, soft, hard, **options):
    """segue with these limits of open files."""
    proxy = segue(db, start=False, **options)
    command = proxy.command()
    proxy.command = lambda: ["prlimit", f"--nofile={soft}:{hard}", *command]
    return proxy.start()


def test_the_limit_is_raised_as_far_as_the_sessions_want_and_the_system_allows(db, segue, tmp_path):
    path = tmp_path / "segue.json"
    path.write_text('{"sessions_max": 1000, "startup_open_max": 100}', encoding="ascii")
    proxy = start(segue, db, 70, 3000, arguments=["-c", path])
    assert limits(proxy) == (2420, 3000)
    assert "open files" not in proxy.log_text()
    path.write_text('{"sessions_max": 2000, "startup_open_max": 100}', encoding="ascii")
    proxy.signal(signal.SIGHUP)
    proxy.logged("reload: done")
    assert limits(proxy) == (3000, 3000)
    proxy.logged("sessions_max is 2000, which takes 4000 open files, and the limit is 3000")
    with psycopg.connect(proxy.url()) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def held(proxy):
    return {int(fd) for fd in os.listdir(f"/proc/{proxy.process.pid}/fd")}


def cpu_ticks(proxy):
    stat = Path(f"/proc/{proxy.process.pid}/stat").read_text(encoding="ascii")
    return sum(map(int, stat.rpartition(")")[2].split()[11:13]))


def test_who_comes_when_no_open_file_is_left_waits_and_costs_nothing(db, segue):
    proxy = segue(db, upstream_wait_ms=60000)
    proxy.logged("the engine is connected")
    hard = limits(proxy)[1]
    with proxy.connect() as first, ThreadPoolExecutor() as pool:
        last = min(set(range(hard)) - held(proxy))
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (last + 1, hard))
        half = pool.submit(proxy.connect)  # is let in, and has no connection upstream
        until("the last one is taken", lambda: last in held(proxy))
        with socket.create_connection(("127.0.0.1", proxy.port)), Peer(proxy) as successor:
            successor.hello()
            proxy.logged("cannot accept: Too many open files")
            ticks = cpu_ticks(proxy)
            assert first.execute("SELECT count(pg_sleep(0.5))").fetchone() == (1,)
            assert cpu_ticks(proxy) - ticks < 10
            resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
            assert half.result(60).execute("SELECT 1").fetchone() == (1,)
            with Raw(proxy.port).login(db.name):
                pass
            successor.descriptors()


def test_a_takeover_for_which_no_open_file_is_left_is_refused_with_the_reason(db, segue):
    proxy = segue(db)
    proxy.logged("the engine is connected")
    before, hard = held(proxy), limits(proxy)[1]
    with Peer(proxy) as peer:
        until("it is let in", lambda: len(held(proxy)) > len(before))
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (min(set(range(hard)) - held(proxy)), hard))
        peer.hello()
        assert peer.hear() == ("X", "cannot copy the listening sockets: Too many open files")
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert serves(proxy)
