"""A statement that waits at the gate is cancelled as one that waits in the server: it is answered, and never runs."""

import contextlib
import signal
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.answers import kinds
from lib.rawwire import CANCEL, FLUSH, SYNC, TERMINATE, Raw, bind, call, close, execute, parse, query
from lib.tables import RENAME
from lib.wait import until
from test_cancel_requests import cancel
from test_start_rules import held, started_blocked

pytestmark = pytest.mark.one_version
INSERT = "INSERT INTO said VALUES ('it was asked')"
LONG = bind(values=["x" * 3_000_000])
INTO_FUNCTION = 870  # lower(text)
LONGER = query("SELECT pg_sleep(60) /* " + "x" * 32_000_000 + " */")
ON_THE_WAY = 8_000_000  # more than sockets have in them
LONG_SLEEP = query("SELECT pg_sleep(60) /* " + "x" * 400_000 + " */")  # for the request to go behind it

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


class Narrow:
    """A way to the server that takes little at a time. A cancel request waits in it, and what had come before is known."""

    def __init__(self, server_port):
        self.server_port, self.taken, self.before = server_port, 0, None
        self.came, self.go = threading.Event(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def keep(self, _):
        """What comes goes on at once."""

    def _accept(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                client, server = self.listener.accept()[0], socket.create_connection(("127.0.0.1", self.server_port))
                for way in ((client, server), (server, client)):
                    threading.Thread(target=self._pass, args=way, daemon=True).start()

    def _pass(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                if data[4:8] == struct.pack("!I", CANCEL):
                    self.before = self.taken
                    self.came.set()
                    self.go.wait(60)
                self.taken += len(data)
                self.keep(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self):
        self.go.set()
        self.listener.close()


def test_for_one_that_is_longer_than_what_is_read_of_it_the_request_goes_when_it_has_gone_whole(db, segue):
    """While the server reads it, a cancel request would mean nothing."""
    with contextlib.closing(Narrow(db.cluster.port)) as way:
        proxy = segue(upstream=db.url(port=way.port), rules_wait_ms=60000, buffer_bytes_max=65536, inspect_bytes_max=65536)
        with started_blocked(proxy) as blocked, ThreadPoolExecutor() as sending, Raw(proxy.port, timeout=60).login(db.name) as client:
            sent = sending.submit(client.send, LONGER)
            until("it to wait", lambda: len(held(proxy)) == 1)
            cancel(proxy, client.key)
            blocked.release()
            assert way.came.wait(60)
            assert way.before > len(LONGER) - ON_THE_WAY
            until("it to run", lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"))
            way.go.set()
            assert client.error()["C"] == "57014"
            assert client.read() == ("Z", b"I")
            sent.result(20)


class Late(Narrow):
    """The statement is in the server only when that was told to cancel it twice; whatever is told goes on at once."""

    def __init__(self, server_port):
        super().__init__(server_port)
        self.go.set()
        self.told, self.twice = 0, threading.Event()

    def keep(self, data):
        if data[4:8] == struct.pack("!I", CANCEL):
            self.told += 1
        elif data.endswith(b"x */\0"):
            assert self.twice.wait(60)
        if self.told == 2:
            self.twice.set()


def test_a_server_that_had_not_read_the_statement_is_told_again_and_of_no_other(db, segue):
    with contextlib.closing(Late(db.cluster.port)) as way:
        proxy = segue(upstream=db.url(port=way.port), rules_wait_ms=60000, buffer_bytes_max=65536, inspect_bytes_max=65536)
        with started_blocked(proxy) as blocked, Raw(proxy.port, timeout=15).login(db.name) as client:
            client.send(LONG_SLEEP)
            until("it to wait", lambda: len(held(proxy)) == 1)
            cancel(proxy, client.key)
            blocked.release()
            assert client.error()["C"] == "57014"
            assert client.read() == ("Z", b"I")
            client.send(query("SELECT pg_sleep(1.5)"))  # longer than the longest pause in between
            assert client.until_ready() == "TDCZI"
            assert 2 <= way.told < 5


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
