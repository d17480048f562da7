"""The upstream's host name, and a name server that never answers: segue waits for it on no thread that others wait for.

Its /etc/resolv.conf leads to a socket of the test that is never read (lib/names.py)."""

import os
import socket
import time

import psycopg
import pytest
from lib.names import looks_up_in
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version
HOST = "db.silent.test"
SOON_S = 3  # far less than what the resolver would take: 5 times 30 s


@pytest.fixture
def silent(segue, tmp_path):
    """A function that starts a segue for which HOST is 127.0.0.1 as long as `hosts` says so, and then a riddle."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.53.0.53", 53))
        conf, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
        conf.write_text("nameserver 127.53.0.53\n", encoding="ascii")

        def start(db, known=True, asks="", **options):
            hosts.write_text(f"127.0.0.1 localhost {HOST if known else ''}\n", encoding="ascii")
            proxy = segue(upstream=db.url().replace("127.0.0.1", HOST) + asks, start=False, environment={"RES_OPTIONS": "timeout:30 attempts:5"},
                          **options)
            looks_up_in(proxy, conf, hosts)
            proxy.asked = lambda: server.recvfrom(512, socket.MSG_DONTWAIT | socket.MSG_PEEK)
            proxy.forget = lambda: os.truncate(hosts, 0)
            proxy.learn = lambda: hosts.write_text(f"127.0.0.1 {HOST}\n", encoding="ascii")
            began = time.monotonic()
            proxy.start()
            proxy.listened_s = time.monotonic() - began
            return proxy

        yield start


def is_asked(proxy):
    try:
        return proxy.asked()
    except BlockingIOError:
        return None


def stops_soon(proxy):
    began = time.monotonic()
    proxy.stop()
    assert time.monotonic() - began < SOON_S * SLOW


def ended(db):
    """The engine's sessions are ended."""
    return db.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'segue' AND datname = "
                  "current_database()")


@pytest.mark.parametrize("asks", ["", "?target_session_attrs=read-write"])
def test_segue_listens_and_stops_while_the_name_server_is_silent(db, silent, asks):
    proxy = silent(db, known=False, asks=asks, upstream_wait_ms=500)
    until("the name server to be asked", lambda: is_asked(proxy))
    assert proxy.listened_s < SOON_S * SLOW
    with pytest.raises(psycopg.OperationalError, match="cannot be resolved: no answer yet from the name server"):
        proxy.connect()
    assert proxy.console("SHOW VERSION")[0]["engine_connected"] is False
    proxy.logged("the engine cannot work: no connection")
    stops_soon(proxy)


def test_a_name_server_that_falls_silent_freezes_nobody(db, silent):
    make_items(db, 50)
    proxy = silent(db, rules_wait_ms=500)
    proxy.ready(RENAME)
    client = proxy.connect()
    proxy.forget()
    assert ended(db)
    until("the name server to be asked", lambda: is_asked(proxy))
    client.execute("UPDATE items SET label = 'goes on' WHERE id = 1")
    with proxy.connect() as another:  # where the upstream is, is remembered
        assert another.execute("SELECT label FROM items WHERE id = 1").fetchone() == ("goes on",)
    assert not proxy.console("SHOW VERSION")[0]["engine_connected"]
    proxy.logged("the engine cannot work: no connection")
    began = time.monotonic()
    refused = proxy.cli("cutover", RENAME["name"], check=None)
    assert refused.code and "no connection" in refused.err, refused
    assert time.monotonic() - began < SOON_S * SLOW
    stops_soon(proxy)
