"""Bytes no driver would send: refused or passed on, never a crash, never somebody else's harm."""

import random
import re
import socket
import struct

import pytest
from lib.each import each
from lib.rawwire import (CANCEL, FLUSH, GSSENC, SSL, STARTUP, SYNC, TERMINATE, Raw, bind, execute, message, packet,
                         parse, query, startup)
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told



@pytest.fixture
def proxy(db, segue):
    return segue(db)


@pytest.fixture
def raw(proxy):
    open_ones = []

    def connect():
        open_ones.append(Raw(proxy.port))
        return open_ones[-1]

    yield connect
    for one in open_ones:
        one.sock.close()
    with proxy.connect() as c:  # whatever was sent: it still serves
        assert c.execute("SELECT 1").fetchone() == (1,)


def state(proxy, name):
    """A client may have its answer a moment before the console says so."""
    return next(r["state"] for r in proxy.console("SHOW SESSIONS") if r["application_name"] == name)


def test_encryption_is_declined_and_plain_text_goes_on(raw, db):
    c = raw()
    assert c.send(packet(GSSENC)).take(1) == b"N"
    assert c.send(packet(SSL)).take(1) == b"N"
    c.login(db.name)


@pytest.mark.parametrize("code", [SSL, GSSENC])
def test_bytes_behind_an_encryption_request_end_the_connection(raw, db, code):
    c = raw().send(packet(code) + startup(user="postgres", database=db.name))
    assert c.take(1) == b"N"
    error = c.error()
    assert (error["C"], error["M"][:31]) == ("08P01", "received unencrypted data after") and "man-in-the-middle" in error["D"]
    assert c.read() is None


def test_second_request_of_a_kind_ends_the_connection(raw):
    c = raw()
    assert c.send(packet(SSL)).take(1) == b"N"
    assert c.send(packet(SSL)).error()["C"] == "0A000"  # PostgreSQL's own answer
    assert c.read() is None


NAMED = b"user\0postgres\0"

BROKEN = {
    "a length of 0": bytes(4), "too short": b"\0\0\0\7", "too long": struct.pack("!I", 10005), "2 GiB": b"\x7f\xff\xff\xff",
    "negative": b"\xff\xff\xff\xff", "TLS at once": b"\x16\x03\x01\x02\x00\x01", "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "no parameters": packet(STARTUP), "an empty list": packet(STARTUP, b"\0"), "a name that does not end": packet(STARTUP, b"user"),
    "a name without a value": packet(STARTUP, b"user\0"), "a value that does not end": packet(STARTUP, NAMED[:-1]),
    "a list that does not end": packet(STARTUP, NAMED), "bytes behind the list": packet(STARTUP, NAMED + b"\0x"),
    "zeros behind the list": packet(STARTUP, NAMED + b"\0\0"), "nobody": startup(database="postgres"),
    "an empty name": startup(user=""), "protocol 0": startup(0, user="postgres"), "protocol 1": startup(1 << 16, user="postgres"),
    "protocol 2": startup(2 << 16, user="postgres"), "protocol 0.1": startup(1, user="postgres"),
    "a list of nobody that ends in another byte": packet(STARTUP, b"database\0postgres\0x"), "protocol 4": startup(4 << 16, user="postgres"),
    "an unknown request": packet(GSSENC + 1), "a short key": packet(CANCEL, b"\0\0\0\1ab"), "a cancel without a key": packet(CANCEL),
    "a long key": packet(CANCEL, bytes(4 + 257)), "a replication of no kind": startup(user="postgres", replication="perhaps"),
    "options of no kind": startup(user="postgres", options="-z"), "an option that there is not": startup(user="postgres", not_there="1"),
}


def last_words(port, data):
    """All that is said, less the length, the place in the sources, and which protocols are known."""
    said = b""
    with Raw(port) as c:
        c.send(data)
        while got := c.take(1):
            said += got
    return re.sub(rb"(?<=E)\0\0..|(?<=\0)[FLR][^\0]*\0|server supports 3[^\n\0]*", b"", said, flags=re.S)


@each(what=BROKEN)
def test_broken_startup_is_refused_in_the_servers_own_words(db, proxy, what):
    assert last_words(proxy.port, BROKEN[what]) == last_words(db.cluster.port, BROKEN[what])


def test_startup_packet_may_be_as_long_as_the_server_takes_it(raw, db):
    most = 4 + 10000
    rest = most - len(startup(user="postgres", database=db.name, options=""))
    c = raw().send(startup(user="postgres", database=db.name, options=" " * rest))
    assert c.until_ready().endswith("ZI")


def test_a_list_may_end_in_another_byte_as_for_the_server(raw, db):
    c = raw().send(packet(STARTUP, b"user\0postgres\0database\0" + db.name.encode() + b"\0x"))
    assert c.until_ready().endswith("ZI")


def test_what_is_in_a_request_for_encryption_is_not_looked_at(raw, db):
    assert raw().send(packet(SSL, b"what")).take(1) == b"N"


def test_startup_byte_by_byte_is_understood(raw, db):
    c = raw()
    for byte in startup(user="postgres", database=db.name):
        c.send(bytes([byte]))
    assert c.until_ready().endswith("ZI")
    for byte in query("SELECT 1") + parse("SELECT 2") + bind() + execute() + SYNC:
        c.send(bytes([byte]))
    assert c.until_ready() == "TDCZI"
    assert c.until_ready() == "12DCZI"


@pytest.mark.parametrize("length", [0, 3, 0x80000000, 0xffffffff])
def test_impossible_message_length_ends_the_session_without_a_word_as_for_the_server(raw, db, length):
    for database, kinds in ((db.name, "TDCZI|"), ("segue", "IZI|")):
        words = query("SELECT 1" if database == db.name else "") + b"Q" + struct.pack("!I", length) + b"SELECT 1\0"
        c = raw().login(database).send(words)
        assert c.until_ready() + c.until_ready() == kinds
    c = raw().login("segue").send(b"?" + struct.pack("!I", length))
    assert c.error()["M"] == "invalid frontend message type 63" and c.read() is None


def test_flush_without_sync_answers_and_stays_open(raw, db, proxy):
    c = raw().login(db.name, application_name="flusher")
    c.send(parse("SELECT 1"), bind(), execute(), FLUSH)
    assert [c.read()[0] for _ in range(4)] == list("12DC")
    assert state(proxy, "flusher") == "active"
    assert c.send(SYNC).until_ready() == "ZI"


def test_sync_inside_copy_in_gets_no_answer(raw, db, proxy):
    db.sql("CREATE TABLE t (id int)")
    c = raw().login(db.name, application_name="copier")
    c.send(parse("COPY t FROM STDIN"), bind(), execute(), SYNC)
    assert [c.read()[0] for _ in range(3)] == list("12G")
    c.send(SYNC, message("d", b"1\n"), SYNC, message("c"), SYNC)
    assert c.until_ready() == "CZI"
    until("idle", lambda: state(proxy, "copier") == "idle")


def test_late_copy_data_after_an_error_is_ignored(raw, db, proxy):
    db.sql("CREATE TABLE t (id int)")
    c = raw().login(db.name, application_name="late")
    c.send(query("COPY t FROM STDIN"))
    assert c.read()[0] == "G"
    c.send(message("d", b"no number\n"), message("d", b"more\n"), message("c"))
    assert c.until_ready() == "EZI"
    c.send(query("COPY t FROM STDIN"), message("d", b"5\n"), message("c"))
    assert c.until_ready() == "GCZI"
    until("idle", lambda: state(proxy, "late") == "idle")


def test_deep_pipeline_of_syncs_is_answered_one_by_one(raw, db):
    c = raw().login(db.name)
    c.send(*[part for _ in range(500) for part in (parse("SELECT 1"), bind(), execute(), SYNC)])
    for _ in range(500):
        assert c.until_ready() == "12DCZI"


def test_queries_sent_with_the_startup_are_kept_for_later(raw, db):
    c = raw().send(startup(user="postgres", database=db.name) + query("SELECT 1") + query("SELECT 2"))
    assert c.until_ready().endswith("ZI")
    assert c.until_ready() == "TDCZI"
    assert c.until_ready() == "TDCZI"


def test_half_closed_client_gets_its_answer(raw, db):
    c = raw().login(db.name)
    c.send(query("SELECT pg_sleep(0.2)"))
    c.sock.shutdown(socket.SHUT_WR)
    assert c.until_ready() == "TDCZI"
    assert c.read() is None


def test_terminate_ends_the_session(raw, db):
    c = raw().login(db.name).send(TERMINATE)
    assert c.read() is None


def test_cancel_with_a_wrong_key_harms_nobody_and_is_closed(raw, db):
    c = raw().login(db.name)
    pid = c.key[:4]
    wrong = raw().send(packet(CANCEL, pid + b"\1\2\3\4"))
    assert wrong.take(1) is None
    assert c.send(query("SELECT pg_sleep(0.1)")).until_ready() == "TDCZI"


def test_long_cancel_keys_of_protocol_3_2_work(raw, db):
    if db.version < 18:
        pytest.skip("protocol 3.2 came with 18")
    c = raw().send(startup(196610, user="postgres", database=db.name))
    assert c.until_ready().endswith("ZI")
    assert len(c.key) == 4 + 32
    c.send(query("SELECT pg_sleep(30)"))
    until("the query to run", lambda: db.sql(
        "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active' AND datname = current_database()"))
    killer = raw().send(packet(CANCEL, c.key))
    assert killer.take(1) is None
    assert c.until_ready() in ("TEZI", "EZI")


def test_random_bytes_never_bring_it_down(raw, db):
    dice = random.Random(7)
    for i in range(60):
        c = raw()
        if i % 2:
            c.login(db.name)
        try:
            c.send(dice.randbytes(dice.randrange(1, 3000)))
        except ConnectionError:
            pass
        c.sock.close()


def test_unknown_message_type_is_the_servers_to_refuse(raw, db):
    c = raw().login(db.name).send(message("?", b"what"))
    assert c.error()["C"] == "08P01"
