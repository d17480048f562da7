"""A statement that waits at the gate is cancelled as one that waits in the server: it is answered, and never runs."""

import signal
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.answers import kinds
from lib.rawwire import FLUSH, SYNC, TERMINATE, Raw, bind, call, close, execute, parse, query
from lib.tables import RENAME
from lib.wait import until
from test_cancel_requests import cancel
from test_start_rules import held, started_blocked

pytestmark = pytest.mark.one_version
INSERT = "INSERT INTO said VALUES ('it was asked')"
LONG = bind(values=["x" * 3_000_000])
INTO_FUNCTION = 870  # lower(text)
LONGER = query("SELECT pg_sleep(60) /* " + "x" * 32_000_000 + " */")  # than any socket takes at once

# what waits, what follows when its error has been read, and the answers to that
ASKED = {
    "a query": ([query(INSERT)], [query("SELECT 1")], "TDCZI"),
    "with another behind it": ([query(INSERT), query("SELECT 1")], [], "TDCZI"),
    "prepared and executed": ([parse(INSERT), bind(), execute(), SYNC], [query("SELECT 1")], "ZITDCZI"),
    "not in sync": ([parse(INSERT), bind(), execute(), FLUSH], [query(INSERT), close("P"), SYNC, query("SELECT 1")], "ZITDCZI"),
    "in two segments": ([parse("INSERT INTO said VALUES ($1)"), LONG[:70000]], [LONG[70000:], execute(), SYNC], "ZI"),
    "in two syncs": ([parse(INSERT), bind(), execute(), SYNC, parse("SELECT 1"), bind(), execute(), SYNC], [], "ZI12DCZI"),
    "a call": ([call(INTO_FUNCTION, "X")], [query("SELECT 1")], "TDCZI"),
}


@pytest.fixture
def waiting(db, segue):
    """A segue in front of a table, at whose gate everything waits for as long as the test likes."""
    db.sql("CREATE TABLE said (t text)")
    proxy = segue(db, rules_wait_ms=60000)
    with started_blocked(proxy) as blocked:
        yield proxy, blocked


def rest_of(client, asked, expected):
    client.send(*asked)
    got = []
    while kinds(got) != expected:
        got.append(client.read())
        assert got[-1] is not None and got[-1][0] != "E", got
    return kinds(got)


def test_it_is_answered_as_by_the_server(db, waiting):
    proxy, blocked = waiting
    clients = {name: Raw(proxy.port, timeout=60).login(db.name) for name in ASKED}
    for name, client in clients.items():
        client.send(*ASKED[name][0])
    until("all to wait", lambda: len(held(proxy)) == len(ASKED))
    for name, client in clients.items():
        cancel(proxy, client.key)
        error = client.error()
        assert (error["C"], error["S"], error["M"]) == ("57014", "ERROR", "canceling statement due to user request"), name
        if ASKED[name][0][0][:1] in (b"Q", b"F"):
            assert client.read() == ("Z", b"I")
    blocked.release()
    for name, client in clients.items():
        rest_of(client, *ASKED[name][1:])
        client.send(TERMINATE)
        assert client.read() is None, name
    assert db.one("SELECT count(*) FROM said") == 0


def test_only_the_one_that_waits_then_is_cancelled(db, waiting):
    proxy, blocked = waiting
    with Raw(proxy.port, timeout=60).login(db.name) as client:
        client.send(query(INSERT), query(INSERT))
        for _ in range(2):
            until("it to wait", lambda: len(held(proxy)) == 1)
            cancel(proxy, client.key)
            assert client.until_ready() == "EZI"
        cancel(proxy, client.key)  # at rest, as directly: it means nothing to what comes then
        client.send(query(INSERT))
        until("the next to wait", lambda: len(held(proxy)) == 1)
        blocked.release()
        assert client.until_ready() == "CZI"
    assert db.one("SELECT count(*) FROM said") == 1


def test_one_that_is_longer_than_what_is_read_of_it_is_cancelled_once_it_has_gone_whole(db, segue):
    """Before, the server still reads it, and a cancel request would mean nothing."""
    proxy = segue(db, rules_wait_ms=60000, buffer_bytes_max=65536, inspect_bytes_max=65536)
    with started_blocked(proxy) as blocked, ThreadPoolExecutor() as sending:
        clients = [Raw(proxy.port, timeout=30).login(db.name) for _ in range(3)]
        sent = [sending.submit(client.send, LONGER) for client in clients]
        until("all to wait", lambda: len(held(proxy)) == len(clients))
        for client in clients:
            cancel(proxy, client.key)
        blocked.release()
        for client in clients:
            assert client.error()["C"] == "57014"
            assert client.read() == ("Z", b"I")
            assert client.send(query("SELECT 1")).until_ready() == "TDCZI"
        for done in sent:
            done.result(20)


def test_whose_statement_is_cancelled_while_segue_drains_ends_with_it(db, segue):
    """It waits for segue's own question about the search path, which is what the server cancels."""
    db.sql("CREATE TABLE items (id int PRIMARY KEY, label text); CREATE SCHEMA b; CREATE TABLE b.items (id int)")
    proxy = segue(db, drain_timeout_s=60)
    proxy.ready(RENAME)
    with Raw(proxy.port, timeout=20).login(db.name) as client, db.connect() as other:
        pid, = struct.unpack("!I", client.key[:4])
        with other.transaction():
            other.execute("LOCK TABLE pg_catalog.pg_settings IN ACCESS EXCLUSIVE MODE")
            client.send(query("SELECT label FROM items"))
            until("the question to wait", lambda: other.execute("SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", (pid,)).fetchone())
            proxy.signal(signal.SIGTERM)
            proxy.logged("sessions have 60 s")
            other.execute("SELECT pg_cancel_backend(%s)", (pid,))
            assert client.error()["C"] == "57014"
            assert client.read() == ("Z", b"I")
            assert client.error()["C"] == "57P01"
    assert proxy.process.wait(15) == 0
