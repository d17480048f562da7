"""A client that does not keep to the protocol, stops in the middle, or sends in pieces."""

import itertools
import socket
import struct

import pytest
from lib.rawwire import COPY_DONE, SYNC, Raw, bind, copy_data, execute, parse, query, startup
from lib.wait import until

pytestmark = pytest.mark.one_version
TYPES = "QPBEDCSHFXdcfp?"


@pytest.fixture
def proxy(db, segue):
    return segue(db)


def sessions(proxy):
    return [r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "cutter"]


def told(port, database, words):
    """What is said to that until the end: types, and of errors severity, SQLSTATE and text."""
    with Raw(port) as raw:
        raw.login(database, application_name="cutter")
        raw.send(words)
        raw.sock.shutdown(socket.SHUT_WR)
        out = []
        while (got := raw.read()) is not None:
            fields = {chr(f[0]): f[1:].decode() for f in got[1].split(b"\0") if f} if got[0] == "E" else {}
            out.append((got[0], *(fields.get(key) for key in "SCM")))
        return out


@pytest.mark.parametrize("migrating", [False, True], ids=["idle", "migrating"])
@pytest.mark.parametrize("before", [b"", query("SELECT 1"), query("BEGIN"), parse("SELECT 1"), parse("SELEC"), query("COPY t FROM STDIN")],
                         ids=["alone", "behind a query", "in a transaction", "behind a parse", "behind a failure", "in a copy"])
def test_no_type_may_have_an_impossible_length(proxy, db, before, migrating):
    """What the server says to that goes by the type; it ends the session, often without a word."""
    db.sql("CREATE TABLE t (id int PRIMARY KEY)")
    if migrating:
        proxy.ready({"name": "m", "operations": [{"rename_column": {"table": "t", "from": "id", "to": "no"}}]})
    lengths = [0, 3, 0x80000000, 0xffffffff]
    if b"COPY" not in before:  # there the server looks at the type alone, and segue waits for the text
        lengths += [0x40000001, 0x7fffffff]
    for kind, length in itertools.product(TYPES, lengths):
        words = before + kind.encode() + struct.pack("!I", length) + b"x" * 1000
        assert told(proxy.port, db.name, words) == told(db.cluster.port, db.name, words), (kind, length)
    with proxy.connect() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    until("the sessions to be gone", lambda: not sessions(proxy))


def test_a_client_that_stops_anywhere_leaves_nothing_behind(proxy, db):
    db.sql("CREATE TABLE t (id int)")
    words = (startup(user="postgres", database=db.name, application_name="cutter") + query("SELECT 1") +
             parse("SELECT 2", "s") + bind("s") + execute() + SYNC + query("COPY t FROM STDIN") + copy_data("1\n") + COPY_DONE)
    for length in range(0, len(words), 5):
        raw = Raw(proxy.port).send(words[:length])
        if length % 2:
            raw.sock.shutdown(1)  # half-closed first, so that nothing is lost
            while raw.take(1):
                pass
        raw.sock.close()
    until("the backends to be gone", lambda: db.one(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cutter'") == 0)
    until("the sessions to be gone", lambda: not sessions(proxy))
    assert db.one("SELECT count(*) FROM t") <= len(words) / 5


def test_sessions_that_send_by_turns_get_their_own_answers(proxy, db):
    def words(i):
        return query(f"SELECT {i}") + parse(f"SELECT {i} + 1000") + bind() + execute() + SYNC

    raws = [Raw(proxy.port).login(db.name) for _ in range(8)]
    texts = [words(i + 100) for i in range(len(raws))]
    assert len({len(t) for t in texts}) == 1
    for position in range(len(texts[0])):
        for raw, text in zip(raws, texts):
            raw.send(text[position:position + 1])
    for i, raw in enumerate(raws):
        heard = []
        while [kind for kind, _ in heard].count("Z") < 2:
            heard.append(raw.read())
        rows = [body[6:] for kind, body in heard if kind == "D"]
        assert rows == [str(i + 100).encode(), str(i + 1100).encode()]
        raw.sock.close()
