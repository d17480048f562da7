"""A client that does not keep to the protocol, stops in the middle, or sends in pieces."""

import itertools
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


def test_no_type_may_have_an_impossible_length(proxy, db):
    for kind, length in itertools.product(TYPES, [0, 3, 0x40000001, 0x7fffffff, 0x80000000, 0xffffffff]):
        with Raw(proxy.port) as raw:
            raw.login(db.name, application_name="cutter")
            raw.send(kind.encode() + struct.pack("!I", length))
            raw.send(b"x" * 1000)  # where segue lets it pass, the server has limits of its own, by type
            error = raw.error()
            assert error is None or error["C"] == "08P01", (kind, length, error)
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
