"""How TLS connections end: closed in one direction, cut without a word, ended by the server. And new keys while nothing ends."""

import ctypes
import socket
import ssl
import struct

import psycopg
import pytest
from lib.rawwire import SSL, Raw, packet, query
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version


class Wrapped:
    """TLS by hand over a socket, so that each way can be closed by itself."""

    def __init__(self, sock):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.sock, self.incoming, self.outgoing = sock, ssl.MemoryBIO(), ssl.MemoryBIO()
        sock.sendall(packet(SSL))
        assert sock.recv(1) == b"S"
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self._turn(self.tls.do_handshake)

    def _turn(self, step, *args):
        while True:
            try:
                return step(*args)
            except ssl.SSLWantReadError:
                self._flush()
                got = self.sock.recv(65536)
                if not got:
                    self.incoming.write_eof()
                self.incoming.write(got)
            finally:
                self._flush()

    def _flush(self):
        if self.outgoing.pending:  # not even nothing may be sent when that direction is closed
            self.sock.sendall(self.outgoing.read())

    def sendall(self, data):
        self._turn(self.tls.write, data)

    def recv(self, size):
        try:
            return self._turn(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""

    def close_one_way(self):
        """close_notify, then the end of TCP in this direction."""
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.unwrap()
        self._flush()
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()


@pytest.fixture
def proxy(segue, tls_db, certs):
    return segue(tls_db, upstream=tls_db.url() + "?sslmode=require", client_tls="require",
                 client_tls_cert_file=certs.server.cert, client_tls_key_file=certs.server.key)


@pytest.fixture
def client(proxy, tls_db):
    raw = Raw(proxy.port)
    raw.sock = Wrapped(raw.sock)
    raw.login(tls_db.name)
    yield raw
    raw.sock.close()


def pid(client):
    return struct.unpack("!I", client.key[:4])[0]


def test_a_client_that_closes_its_direction_gets_its_answer_and_the_end(client):
    client.send(query("SELECT pg_sleep(0.2)"))
    client.sock.close_one_way()
    assert client.until_ready() == "TDCZI"
    assert client.read() is None


def test_a_client_cut_without_close_notify_gets_its_answer_too(client):
    client.send(query("SELECT pg_sleep(0.2)"))
    client.sock.sock.shutdown(socket.SHUT_WR)
    assert client.until_ready() == "TDCZI"
    assert client.read() is None


def test_a_client_cut_without_close_notify_is_rolled_back(client, tls_db):
    tls_db.sql("CREATE TABLE t (a int)")
    assert client.send(query("BEGIN; INSERT INTO t VALUES (1)")).until_ready() == "CCZT"
    client.sock.sock.shutdown(socket.SHUT_WR)
    assert client.read() is None
    until("the backend's end", lambda: not tls_db.one("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid(client)))
    assert tls_db.one("SELECT count(*) FROM t") == 0


def test_the_last_words_of_a_server_come_before_the_end(client, tls_db):
    tls_db.sql("SELECT pg_terminate_backend(%s)", pid(client))
    assert client.error()["C"] == "57P01"
    assert client.sock.recv(1) == b""  # close_notify, which OpenSSL tells from a cut


def test_what_the_upstream_has_against_our_certificate_is_said(segue, tls_db, certs):
    url = tls_db.url() + f"?sslmode=require&sslcert={certs.revoked.cert}&sslkey={certs.revoked.key}"
    with pytest.raises(psycopg.OperationalError, match="cannot connect to the upstream.*alert certificate revoked"):
        segue(upstream=url).connect(tls_db.name)


# ---- new keys ----


class Updating:
    """TLS by libssl itself: Python's module cannot change the keys of a connection."""

    KEY_UPDATE = 24  # type of the handshake message
    lib = ctypes.CDLL("libssl.so.3")
    for name, result, *arguments in (
            ("TLS_client_method", ctypes.c_void_p), ("SSL_CTX_new", ctypes.c_void_p, ctypes.c_void_p),
            ("SSL_CTX_free", None, ctypes.c_void_p), ("SSL_new", ctypes.c_void_p, ctypes.c_void_p),
            ("SSL_free", None, ctypes.c_void_p), ("SSL_set_fd", ctypes.c_int, ctypes.c_void_p, ctypes.c_int),
            ("SSL_connect", ctypes.c_int, ctypes.c_void_p), ("SSL_get_version", ctypes.c_char_p, ctypes.c_void_p),
            ("SSL_write", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int),
            ("SSL_read", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int),
            ("SSL_key_update", ctypes.c_int, ctypes.c_void_p, ctypes.c_int),
            ("SSL_do_handshake", ctypes.c_int, ctypes.c_void_p)):
        getattr(lib, name).restype, getattr(lib, name).argtypes = result, arguments
    told = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_ubyte),
                            ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p)

    def __init__(self, sock):
        self.sock, self.updates = sock, 0  # updates: that came from the other side
        sock.sendall(packet(SSL))
        assert sock.recv(1) == b"S"
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(20 * SLOW), 0))
        sock.settimeout(None)
        self.context = self.lib.SSL_CTX_new(self.lib.TLS_client_method())
        self.ssl = self.lib.SSL_new(self.context)
        self.callback = self.told(self._tell)
        self.lib.SSL_set_msg_callback(ctypes.c_void_p(self.ssl), self.callback)
        assert self.lib.SSL_set_fd(self.ssl, sock.fileno()) == 1 and self.lib.SSL_connect(self.ssl) == 1
        assert self.lib.SSL_get_version(self.ssl) == b"TLSv1.3"

    def _tell(self, written, _version, kind, message, _len, _ssl, _argument):
        self.updates += not written and kind == 22 and message[0] == self.KEY_UPDATE

    def update(self, requested):
        assert self.lib.SSL_key_update(self.ssl, int(requested)) == 1 and self.lib.SSL_do_handshake(self.ssl) == 1

    def sendall(self, data):
        assert self.lib.SSL_write(self.ssl, data, len(data)) == len(data)

    def recv(self, size):
        into = ctypes.create_string_buffer(size)
        got = self.lib.SSL_read(self.ssl, into, size)
        return into.raw[:max(got, 0)]

    def close(self):
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(self.context)
        self.sock.close()


def unread(proxy, client):
    """Bytes that the proxy has not taken from this client's connection."""
    ends = f":{proxy.port:04X}", f":{client.getsockname()[1]:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    (queues,) = [row[4] for row in rows if (row[1][-5:], row[2][-5:]) == ends]
    return int(queues.split(":")[1], 16)


def test_keys_that_change_while_a_session_is_held_at_the_gate_cost_it_nothing(segue, db, certs):
    make_items(db, rows=10)
    proxy = segue(db, workers=1, cutover_drain_ms=15000, gate_hold_max_ms=20000, transaction_age_max_ms=600000,
                  client_tls_cert_file=certs.server.cert, client_tls_key_file=certs.server.key)
    name = proxy.ready(RENAME)

    with proxy.connect() as holder, Raw(proxy.port) as raw:
        tcp, raw.sock = raw.sock, Updating(raw.sock)
        raw.login(db.name)
        asked = 0

        def held():
            return [row for row in proxy.console("SHOW SESSIONS") if row["state"] == "held"]

        def asks_and_is_held():
            nonlocal asked
            asked += 1
            raw.send(query("SELECT id FROM items LIMIT 0"))
            return held()

        holder.execute("BEGIN")
        holder.execute("SELECT count(*) FROM items")
        proxy.console(f"CUTOVER {name}")
        until("it to be held", asks_and_is_held)
        for i in range(1, 7):
            raw.sock.update(requested=i % 2)
            raw.send(query(f"UPDATE items SET note = 'key {i}' WHERE id = {i}"))
        until("all to be read", lambda: unread(proxy, tcp) == 0)
        assert len(held()) == 1
        holder.execute("COMMIT")
        assert [raw.until_ready() for _ in range(asked + 6)] == ["TCZI"] * asked + ["CZI"] * 6
        assert raw.sock.updates > 0  # both have new ones
        raw.sock.update(requested=True)
        assert raw.send(query("SELECT repeat('x', 100000)")).until_ready() == "TDCZI"
    proxy.wait_phase(name, "soaking")
    assert db.one("SELECT count(*) FROM items WHERE note = 'key ' || id") == 6
