"""Cancel requests go along the chain of takeovers: what processes say to each other of them (test_standby_turns.py: real ones)."""

import contextlib
import struct

import pytest
from lib.rawwire import CANCEL, Raw, packet, query
from lib.server import Server, url
from lib.takeover import Elder, Peer, serves
from lib.wait import until
from test_cancel_held import LONG_SLEEP
from test_cancel_requests import PID, cancel
from test_start_rules import held, started_blocked

pytestmark = pytest.mark.one_version
RUNS = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"
KEYS = [struct.pack("!I", PID) + bytes([n]) * size for n, size in enumerate((4, 32, 256, 4))]


@pytest.fixture
def behind(segue):
    """A function: a segue that has taken over from an Elder, and the server that it leads to."""
    with contextlib.ExitStack() as ends:

        def start(version, answers=()):
            server = ends.enter_context(contextlib.closing(Server(PID)))
            elder = ends.enter_context(contextlib.closing(Elder(version, answers)))
            proxy = segue(upstream=url(server), start=False, arguments=["--takeover"])
            proxy.port = elder.port
            proxy.start()
            return proxy, elder, server

        yield start


def test_who_does_not_know_of_cancel_requests_is_not_asked(behind):
    proxy, elder, server = behind(2)
    cancel(proxy, KEYS[0])
    assert server.cancelled == [KEYS[0]] and not elder.asked


def test_the_server_is_told_of_what_no_process_holds(behind):
    """Of what none answers in time, too. Who asked need not wait once it is known to be held."""
    silent, elsewhere, held, done = KEYS
    proxy, elder, server = behind(3, [(), (Elder.ELSEWHERE,), (Elder.HELD, Elder.ELSEWHERE, Elder.DONE), (Elder.HELD,), ()])
    with Raw(proxy.port).send(packet(CANCEL, silent)) as waiting:
        until("it to be asked", lambda: elder.asked)
        for key in (elsewhere, held, done):
            cancel(proxy, key)
        assert waiting.read() is None
    until("the server to be told", lambda: sorted(server.cancelled) == sorted([silent, elsewhere, held]))
    assert elder.asked[:4] == [(0, PID, key[4:]) for key in KEYS]
    elder.answer(3, Elder.DONE)


def test_the_server_is_told_again_for_as_long_as_what_was_held_goes_on(behind):
    """It may not have read that yet when it is told."""
    key, goes_on = KEYS[2], (Elder.HELD, Elder.ELSEWHERE)
    ended = [(Elder.HELD, Elder.DONE)], [(Elder.ELSEWHERE,)], [()]
    for answers, told in *(([goes_on, goes_on, *end], 2) for end in ended), ([goes_on] * 4, 4):
        proxy, elder, server = behind(3, answers)
        cancel(proxy, key)
        until("it to have an end", lambda: len(elder.asked) == len(answers) and len(proxy.console("SHOW SESSIONS")) == 1)
        assert server.cancelled == [key] * told


def test_who_asks_again_is_told_whether_the_same_goes_on(segue, db):
    """Only of what was held, and for whoever was the last to ask."""
    proxy = segue(db, rules_wait_ms=60000, buffer_bytes_max=65536, inspect_bytes_max=65536)
    with started_blocked(proxy) as blocked, Raw(proxy.port, timeout=20).login(db.name) as client, Peer(proxy) as peer:
        client.send(LONG_SLEEP)
        until("it to wait", lambda: len(held(proxy)) == 1)
        peer.takes_over(3)

        def says():
            while (words := peer.hear())[0] != "c":
                pass
            return words[4]

        def asks(number, again=0):
            peer.say(b"C", 0, again << 31, number, *struct.unpack("!I", client.key[:4]), tail=client.key[4:])
            return says()

        assert asks(1) == Elder.HELD
        assert (asks(2), says()) == (Elder.HELD, Elder.DONE)  # one is enough
        blocked.release()
        assert says() == Elder.ELSEWHERE
        for _ in range(2):
            assert (asks(2, again=1), says()) == (Elder.HELD, Elder.ELSEWHERE)
        assert (asks(1, again=1), says()) == (Elder.HELD, Elder.DONE)
        until("it to run", lambda: db.one(RUNS))
        db.one("SELECT pg_cancel_backend(%s)", *struct.unpack("!I", client.key[:4]))
        assert client.until_ready() == "TEZI"
        client.send(query("SELECT pg_sleep(60)"))
        until("it to run", lambda: db.one(RUNS))
        assert (asks(2, again=1), says()) == (Elder.HELD, Elder.DONE)
        assert asks(3) == Elder.ELSEWHERE


def test_a_predecessor_that_ends_is_asked_no_more(behind):
    proxy, elder, server = behind(3)
    elder.close()
    until("it to be gone", lambda: all(row["process"] == "this" for row in proxy.console("SHOW TAKEOVER")))
    cancel(proxy, KEYS[0])
    assert server.cancelled == [KEYS[0]] and not elder.asked


def test_a_successor_that_asks_and_does_not_read_takes_nothing_from_anybody(segue, db):
    """What cannot be told is kept for a while, and not all of it; who reads again is answered."""
    old = segue(db, takeover_timeout_s=3600)
    with old.connect() as session, Peer(old) as peer:
        peer.takes_over(3)
        for number in range(3000):
            peer.say(b"C", 7, 1, number, PID, tail=KEYS[2][4:])
        assert session.execute("SELECT 1").fetchone() == (1,)
        answered = set()
        while len(answered) < 200:
            answered.add(peer.hear())
        assert all(words[1:3] == (7, 1) and words[4] == Elder.ELSEWHERE for words in answered if words[0] == "c")
        assert session.execute("SELECT 1").fetchone() == (1,)
        while peer.hear()[0] != "S":
            pass
    old.logged("has taken over")


def test_a_successor_that_stands_still_is_told_when_it_goes_on(behind):
    """Dropped, it would take for gone what the processes before it still have."""
    old, elder, _ = behind(3)
    with Peer(old) as peer:
        peer.takes_over(3)
        for number in range(1000):  # each is passed on at once
            elder.report(1 + number % 2)
        elder.report(5)
        until("all to be heard", lambda: not elder.unheard())
        while (heard := peer.hear()) and heard[1] < 5:
            pass
        assert heard and heard[0] == "S", heard
