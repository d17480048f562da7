"""What a man in the middle, or a client that means harm, tries with the requests for encryption."""

import re
import socket
import ssl
import struct
import threading
import time

import psycopg
import pytest
from lib.played import Played, relay
from lib.rawwire import GSSENC, SSL, Raw, packet, query, startup
from test_tls_legs import client_tls, direct

pytestmark = pytest.mark.one_version


@pytest.fixture
def tls_client(db, certs, segue):
    """A segue that offers TLS; connecting to it by hand."""
    return segue(db, **client_tls(certs))


@pytest.fixture
def hasty(db, certs, segue):
    """The same; a login may take three seconds."""
    return segue(db, login_timeout_ms=3000, **client_tls(certs))


def wrap(raw, certs):
    context = ssl.create_default_context(cafile=str(certs.ca))
    raw.sock = context.wrap_socket(raw.sock, server_hostname="localhost")
    return raw


def test_bytes_behind_a_request_end_the_connection(tls_client, db):
    with Raw(tls_client.port) as c:
        c.send(packet(SSL) + startup(user="postgres", database=db.name))
        assert c.take(1) is None
    tls_client.logged("bytes behind a request for encryption")


def test_a_start_up_packet_sent_before_the_handshake_is_not_taken_for_one_inside(tls_client, db, certs):
    with Raw(tls_client.port) as c:
        assert c.send(packet(SSL)).take(1) == b"S"
        c.send(startup(user="postgres", database=db.name))
        assert c.take(1) in (None, b"\x15")  # a TLS alert, at most
        assert c.error() is None


@pytest.mark.parametrize("code", [SSL, GSSENC])
def test_requests_inside_tls_are_refused(tls_client, certs, code):
    with Raw(tls_client.port) as c:
        assert c.send(packet(SSL)).take(1) == b"S"
        assert wrap(c, certs).send(packet(code)).error()["C"] == "0A000"
        assert c.read() is None


def test_gssenc_is_answered_no_and_tls_may_follow(tls_client, db, certs):
    with Raw(tls_client.port) as c:
        assert c.send(packet(GSSENC)).take(1) == b"N"
        assert c.send(packet(SSL)).take(1) == b"S"
        wrap(c, certs).login(db.name)


def test_a_second_ssl_request_is_refused(db, segue):
    with Raw(segue(db).port) as c:
        assert c.send(packet(SSL)).take(1) == b"N"
        assert c.send(packet(SSL)).error()["C"] == "0A000"


@pytest.mark.parametrize("alpn", [(), ("http/1.1",)])
def test_direct_tls_without_the_protocol_is_closed(tls_client, db, certs, alpn):
    try:
        with direct(tls_client.port, certs, alpn) as c:
            c.send(startup(user="postgres", database=db.name))
            assert c.take(1) is None
    except (ssl.SSLError, ConnectionError):
        pass  # an alert
    tls_client.logged(re.compile("alpn|protocol", re.I))


def test_direct_tls_to_a_segue_without_it_is_closed(db, certs, segue):
    proxy = segue(db)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        direct(proxy.port, certs)
    proxy.logged("TLS at once, which is not offered")


def test_direct_tls_behind_a_request_is_closed(tls_client, db, certs):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        direct(tls_client.port, certs, first=packet(GSSENC))
    direct(tls_client.port, certs).login(db.name)


@pytest.mark.parametrize("data", [b"\x16", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x16\x00\x00\x00\x00\x00", b"\x16" * 4000],
                         ids=["one byte", "a long record", "version 0", "repeated"])
def test_garbage_after_the_first_byte_of_a_handshake_ends_the_connection(tls_client, db, data):
    with Raw(tls_client.port) as c:
        try:
            c.send(data)
            c.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        while c.take(1) is not None:
            pass
    with Raw(tls_client.port) as c:
        c.login(db.name)


def test_a_handshake_byte_by_byte_is_understood(tls_client, db, certs):
    """The client's bytes trickle through a pair of sockets; what comes back is passed on at once."""
    outside = socket.create_connection(("127.0.0.1", tls_client.port), timeout=20)
    outside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    inner, ours = socket.socketpair()
    ours.settimeout(20)

    def up():
        while data := inner.recv(65536):
            for byte in data:
                outside.sendall(bytes([byte]))

    def down():
        while data := outside.recv(65536):
            try:
                inner.sendall(data)
            except BrokenPipeError:
                return

    for way in up, down:
        threading.Thread(target=way, daemon=True).start()
    raw = Raw.__new__(Raw)
    raw.sock, raw.left, raw.key = ours, b"", None
    assert raw.send(packet(SSL)).take(1) == b"S"
    wrap(raw, certs).login(db.name).send(query("SELECT 1"))
    assert raw.until_ready() == "TDCZI"
    raw.sock.close()


def test_a_handshake_that_does_not_go_on_hits_the_login_deadline(hasty):
    begin = time.monotonic()
    with Raw(hasty.port) as c:
        assert c.send(packet(SSL)).take(1) == b"S"
        c.send(b"\x16\x03\x01\x02")
        assert c.take(1) is None
    assert 2.5 < time.monotonic() - begin < 10


def test_a_tls_client_that_sends_nothing_inside_hits_the_login_deadline(hasty, certs):
    begin = time.monotonic()
    with Raw(hasty.port) as c:
        assert c.send(packet(SSL)).take(1) == b"S"
        assert wrap(c, certs).take(1) is None
    assert 2.5 < time.monotonic() - begin < 10


# ---- the upstream's side ----


class Middle(Played):
    """A man in the middle: answers SSLRequest as told; what follows goes to a real server, or nowhere."""

    def __init__(self, answer, server=None):
        self.answer, self.server = answer, server
        self.first = []  # the first bytes of each connection
        super().__init__()

    def serve(self, sock):
        got = sock.recv(8, socket.MSG_PEEK)
        self.first.append(got)
        if got == packet(SSL):
            sock.recv(8)
            if self.answer is not None:
                sock.sendall(self.answer)
        if not self.server:
            while sock.recv(65536):
                pass
            return
        relay(sock, socket.create_connection(("127.0.0.1", self.server)))

    def url(self, mode):
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?sslmode={mode}"


def error_behind(message):
    return b"E" + struct.pack("!I", len(message) + 4) + message


@pytest.mark.parametrize("mode", ["prefer", "require"])
@pytest.mark.parametrize("answer, text", [
    (b"S" + b"R\0\0\0\x08\0\0\0\0", "unencrypted data after SSL response"),
    (b"N" + b"R\0\0\0\x08\0\0\0\0", "unencrypted data after SSL response"),
    (error_behind(b"SFATAL\0C00000\0Mforged\0\0"), "unencrypted data|error response during SSL exchange"),
    (b"E", "error response during SSL exchange"),
    (b"X", "invalid response to SSL negotiation"),
], ids=["S and more", "N and more", "a whole error", "E", "X"])
def test_an_answer_with_bytes_behind_it_or_a_wrong_one_is_an_attack(segue, mode, answer, text):
    with Middle(answer) as middle:
        proxy = segue(upstream=middle.url(mode), upstream_wait_ms=0)
        with pytest.raises(psycopg.OperationalError, match=text) as refused:
            proxy.connect("postgres")
        assert "forged" not in str(refused.value)


def test_required_tls_is_not_given_up_for_an_n(db, segue):
    with Middle(b"N", server=db.cluster.port) as middle:
        proxy = segue(upstream=middle.url("require"), upstream_wait_ms=0)
        with pytest.raises(psycopg.OperationalError, match="SSL was required"):
            proxy.connect("postgres")
        assert set(middle.first) == {packet(SSL)}


def test_preferred_tls_goes_on_plain_after_an_n_and_after_a_failed_handshake(db, segue):
    for answer in b"N", b"S":  # S, and then it talks like a server without TLS
        with Middle(answer, server=db.cluster.port) as middle:
            with segue(upstream=middle.url("prefer")).connect(db.name) as c:
                assert c.execute("SELECT 1").fetchone() == (1,)


def test_an_upstream_that_does_not_answer_ssl_request_hits_the_deadline(segue):
    with Middle(None) as middle:
        proxy = segue(upstream=middle.url("require"), upstream_wait_ms=0, connect_timeout_ms=500)
        begin = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="no answer in time"):
            proxy.connect("postgres")
        assert time.monotonic() - begin < 10
