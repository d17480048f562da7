"""How TLS connections end: closed in one direction, cut without a word, ended by the server."""

import socket
import ssl
import struct

import psycopg
import pytest
from lib.rawwire import SSL, Raw, packet, query
from lib.wait import until

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
