"""A server that does not keep to the protocol: what it says is passed on or ends the session, never more."""

import struct

import pytest
from lib.hostile import Hostile, Last
from lib.rawwire import Raw, message, query, startup
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version
READY = message("Z", b"I")


@pytest.fixture
def relay(db):
    with Hostile(db.cluster.port) as one:
        yield one


@pytest.fixture
def proxy(relay, db, segue):
    return segue(upstream=relay.url(db.name), upstream_wait_ms=200)


def at(kind, instead):
    """Alters messages of one type: bytes, or a function of the message."""
    def alter(got, body):
        if got != kind:
            return message(got, body)
        return instead if isinstance(instead, bytes) else instead(message(got, body))
    return alter


def said(raw):
    """All bytes up to the end of the connection."""
    out = raw.left
    while True:
        try:
            got = raw.sock.recv(65536)
        except ConnectionError:
            got = b""
        if not got:
            return out
        out += got


def serves_on(proxy, relay, db):
    relay.alter = None
    with Raw(proxy.port) as fresh:
        fresh.login(db.name)
        assert fresh.send(query("SELECT 1")).until_ready() == "TDCZI"
    until("the session to be gone", lambda: not [
        r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "victim"])


def header(kind, length, body=b""):
    return kind + struct.pack("!I", length) + body


# In place of the CommandComplete of a statement; the session must end, whatever reached the client.
ENDS = {
    "a length of 0": header(b"C", 0, b"SELECT 1\0"),
    "a length of 3": header(b"C", 3),
    "a negative length": header(b"C", 0x80000000, b"SELECT 1\0"),
    "the greatest length": header(b"C", 0xffffffff),
    "the end within 1 GB": Last(header(b"d", 0x3fffffff, b"x" * 100)),
    "the end within a header": Last(b"C\0\0"),
    "the end within a body": Last(header(b"C", 100, b"SELECT")),
    "the end within a row": Last(header(b"D", 1000, b"\0\1\0\0")),
    "the end within an error": Last(header(b"E", 60, b"SFATAL\0C57P01\0Mter")),
    "the end within ReadyForQuery": Last(b"Z\0\0\0\5"),
    "the end behind a whole message": Last(message("C", b"SELECT 1\0")),
}

# In place of the same; the client must get it to the byte, and the session goes on.
PASSES = {
    "an unknown type": message("y", b"what is that"),
    "type 0": message("\0", b"nothing"),
    "type 255": header(b"\xff", 8, b"high"),
    "an error without SQLSTATE": message("E", b"SERROR\0Mboom\0\0"),
    "an error without fields": message("E", b"\0"),
    "an error without a body": message("E"),
    "an error that does not end": message("E", b"SERROR\0C12345\0Mno end"),
    "an error with a short SQLSTATE": message("E", b"SERROR\0C1\0\0"),
    "an error of many fields": message("E", b"".join(bytes([65 + i % 50]) + b"x" * 30 + b"\0" for i in range(300)) + b"\0"),
    "a tag that does not end": message("C", b"DISCARD ALL"),
    "an empty tag": message("C"),
    "a notice without an end": message("N", b"SNOTICE"),
    "a parameter without a value": message("S", b"application_name"),
    "a parameter too long": message("S", b"application_name\0" + b"v" * 5000 + b"\0"),
    "a notification without a channel": message("A", b"\0\0"),
    "a key too short": message("K", b"\0\0"),
    "a key too long": message("K", b"k" * 300),
    "an authentication request": message("R", b"\0\0\0\5salt"),
    "CopyInResponse out of place": message("G", b"\0\0\0") + message("E", b"SERROR\0\0"),
    "a row of no columns": message("D", b"\xff\xff"),
    "a length of nothing but itself": header(b"3", 4),
}


def test_what_cannot_go_on_ends_the_session_alone(proxy, relay, db):
    for name, end in ENDS.items():
        with Raw(proxy.port) as raw:
            raw.login(db.name, application_name="victim")
            relay.alter = at("C", end)
            raw.send(query("SELECT 1"))
            assert READY not in said(raw), name
        serves_on(proxy, relay, db)


def test_what_was_said_in_front_of_what_cannot_go_on_is_heard(proxy, relay, db):
    tag = message("C", b"SELECT 1\0")
    with Raw(proxy.port) as raw:
        raw.login(db.name, application_name="victim")
        relay.alter = at("C", tag + header(b"Z", 0))
        raw.send(query("SELECT 1"))
        assert said(raw).endswith(tag)
    serves_on(proxy, relay, db)


def test_what_is_odd_passes_to_the_byte_and_the_session_goes_on(proxy, relay, db):
    for name, odd in PASSES.items():
        relay.alter = None
        with Raw(proxy.port) as raw:
            raw.login(db.name, application_name="victim")
            relay.alter = at("C", odd)
            raw.send(query("SELECT 1"))
            heard = b""
            while not heard.endswith(READY):
                got = raw.sock.recv(65536)
                assert got, f"{name}: ended after {heard!r}"
                heard += got
            assert heard.endswith(odd + READY), name
            relay.alter = None
            assert raw.send(query("SELECT 1")).until_ready() == "TDCZI", name
    serves_on(proxy, relay, db)


def test_an_odd_readyforquery_is_passed_and_is_no_safe_point(proxy, relay, db):
    for number, status in enumerate((b"", b"\0", b"?", b"IE", b"I" * 3000)):
        name = f"victim {number}"  # the one before may still be shown
        relay.alter = None
        with Raw(proxy.port) as raw:
            raw.login(db.name, application_name=name)
            relay.alter = at("Z", message("Z", status))
            raw.send(query("SELECT 1"))
            assert [raw.read()[0] for _ in range(4)] == list("TDCZ")
            row = next(r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == name)
            assert row["state"] != "idle", status
            relay.alter = None
            assert raw.send(query("SELECT 1")).until_ready() == "TDCZI"
    serves_on(proxy, relay, db)


def test_a_second_readyforquery_that_nobody_asked_for_does_no_harm(proxy, relay, db):
    with Raw(proxy.port) as raw:
        raw.login(db.name, application_name="victim")
        relay.alter = at("Z", READY * 3)
        raw.send(query("SELECT 1"))
        assert [raw.until_ready() for _ in range(3)] == ["TDCZI", "ZI", "ZI"]
        relay.alter = None
        assert raw.send(query("SELECT 1")).until_ready() == "TDCZI"
    serves_on(proxy, relay, db)


# In place of AuthenticationOk, or before it.
BEFORE_LOGIN = {
    "zeros": Last(b"\0" * 100),
    "a web server": Last(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "TLS": Last(b"\x15\x03\x01\0\2\2\x28"),
    "an error of protocol 2": Last(b"Ecould not fork new process\n\0"),
    "an error without SQLSTATE": Last(message("E", b"SFATAL\0Mgo away\0\0")),
    "an error that does not end": Last(header(b"E", 50, b"SFATAL\0C")),
    "an authentication of 2 GB": Last(header(b"R", 0x7fffffff, b"\0\0\0\5")),
    "an authentication without a kind": Last(message("R")),
    "an authentication never heard of": Last(message("R", b"\0\0\1\0")),
    "a negative length": Last(header(b"R", 0xfffffff0)),
    "nothing": Last(b""),
}


def login_among(proxy, db, relay, alter):
    """What a client hears that logs in meanwhile; a server that waits behind its garbage is left alone."""
    relay.alter = alter
    with Raw(proxy.port) as raw:
        raw.sock.settimeout(2 * SLOW)
        raw.send(startup(user="postgres", database=db.name, application_name="victim"))
        try:
            return said(raw)
        except TimeoutError:
            return b""


def test_garbage_before_authentication_ends_the_login_alone(proxy, relay, db):
    for name, garbage in BEFORE_LOGIN.items():
        assert READY not in login_among(proxy, db, relay, at("R", garbage)), name
        serves_on(proxy, relay, db)


BEHIND_LOGIN = [Last(b"\0" * 64), Last(b"Z\0\0\0\0"), Last(b"S\0\0\0\4"), Last(message("v", b"\0\3\0\2\xff\xff\xff\xff")),
                Last(message("E", b"SERROR\0Mhalfway\0\0")), Last(message("N")), Last(header(b"K", 0x80000000))]


def test_garbage_behind_authentication_harms_this_login_alone(proxy, relay, db):
    for garbage in BEHIND_LOGIN:
        assert READY not in login_among(proxy, db, relay, at("R", lambda ok, g=garbage: Last(ok + g)))
        serves_on(proxy, relay, db)
