"""The first moments of a segue: statements wait until it has read from the database what is in flight."""

import hashlib
import socket
import sys
import threading
import time

import psycopg
import pytest
from lib.answers import kinds
from lib.chaos import ChaosRelay
from lib.cluster import MD5_PASSWORD, MD5_USER
from lib.operations import connected
from lib.rawwire import SYNC, TERMINATE, Raw, bind, execute, message, parse, query, startup
from lib.segue import BUILD, REPO
from lib.tables import RENAME, make_items
from lib.takeover import ended, successor  # noqa: F401 - successor is a fixture
from lib.wait import SLOW, until
from test_wire_flow import is_held

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

# who is not to wait may be late all the same where others use the machine, but not each time
TRIES = 5
OLD = ["id", "label", "note", "filler"]
NEW = ["id", "note", "filler", "title"]


class Blocked:
    """The engine of a segue that is started meanwhile waits before it has asked for anything."""

    def __init__(self, proxy):
        self.there, self.go = threading.Event(), threading.Event()
        self.told = Told(lambda _: (self.there.set(), self.go.wait(60 * SLOW)))
        proxy.program = BUILD / "faults" / "segue"
        proxy.environment = {"SEGUE_FAULT": "lock_before:tell", "SEGUE_FAULT_SOCKET": self.told.path}

    def release(self):
        self.go.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()
        self.told.close()


class Asking(threading.Thread):
    """A client that connects and asks once; what it sees of the columns, and when."""

    def __init__(self, proxy, statement="SELECT * FROM items"):
        super().__init__(daemon=True)
        self.proxy, self.statement = proxy, statement
        self.logged_in, self.seen, self.error, self.took = threading.Event(), None, None, 0
        self.start()

    def run(self):
        try:
            with self.proxy.connect() as conn:
                self.logged_in.set()
                began = time.monotonic()
                self.seen = [c.name for c in conn.execute(self.statement).description]
                self.took = time.monotonic() - began
        except psycopg.Error as error:
            self.error = error

    def answer(self):
        self.join(60 * SLOW)
        assert self.error is None and not self.is_alive(), self.error
        return self.seen


def soonest(proxy, statement, columns):
    """The shortest time in which one of several clients has had its answer; all see these columns, in whatever order."""
    clients = []
    for _ in range(TRIES):
        clients.append(Asking(proxy, statement))
        assert sorted(clients[-1].answer()) == columns
    return min(client.took for client in clients)


def held(proxy):
    return [row for row in proxy.console("SHOW SESSIONS") if row["state"] == "held"]


def started_blocked(proxy):
    """Starts it while its engine can read nothing."""
    proxy.kill9()
    blocked = Blocked(proxy)
    proxy.start()
    assert blocked.there.wait(20 * SLOW)
    return blocked


def test_the_first_statements_after_a_start_are_rewritten_as_all_others(db, segue):
    make_items(db, 100)
    proxy = segue(db, rules_wait_ms=60000)
    name = proxy.ready(RENAME)
    for columns, go_on in ((OLD, ["cutover", name]), (NEW, ["complete", name, "--force"]), (NEW, None)):
        with started_blocked(proxy) as blocked:
            clients = [Asking(proxy), Asking(proxy, "SELECT * FROM items LIMIT 1")]
            until("them to log in and wait", lambda: len(held(proxy)) == 2)  # noqa: B023
            assert all(client.logged_in.is_set() for client in clients)
            blocked.release()
            assert [client.answer() for client in clients] == [columns] * 2
        if go_on:
            connected(proxy).cli(*go_on)


def test_where_there_is_nothing_statements_wait_only_until_that_is_known(db, segue):
    proxy = segue(db, rules_wait_ms=60000)
    with started_blocked(proxy) as blocked:
        client = Asking(proxy, "SELECT 1 AS one")
        until("it to wait", lambda: len(held(proxy)) == 1)
        blocked.release()
        assert client.answer() == ["one"]
    assert soonest(proxy, "SELECT 1 AS one", ["one"]) < 1 * SLOW
    assert "pass as they are" not in proxy.log_text()


def test_past_the_bound_statements_pass_as_they_are_with_a_warning_and_rules_come_later(db, segue):
    make_items(db, 100)
    proxy = segue(db, rules_wait_ms=1500, workers=1)
    proxy.ready(RENAME)
    with started_blocked(proxy) as blocked:
        first = Asking(proxy)
        assert sorted(first.answer()) == sorted({*OLD, *NEW}) and 1.4 < first.took
        assert soonest(proxy, "SELECT * FROM items", sorted({*OLD, *NEW})) < 0.3 * SLOW
        assert proxy.log_text().count("statements pass as they are") == 1
        blocked.release()
    until("the rules", lambda: Asking(proxy).answer() == OLD)


@pytest.mark.one_version
def test_who_has_sent_more_at_once_than_segue_remembers_is_not_kept_waiting_for_good(db, segue):
    """The server skips nine queries behind an error, of which segue goes on believing that one will be answered."""
    make_items(db, 10)
    proxy = segue(db, rules_wait_ms=0)
    proxy.ready(RENAME)
    with started_blocked(proxy) as blocked, Raw(proxy.port).login(db.name) as odd:
        assert odd.send(parse("no SQL"), *[query("SELECT 1")] * 9, SYNC).until_ready() == "EZI"
        blocked.release()
        until("the rules", lambda: Asking(proxy).answer() == OLD)
        assert odd.send(query("SELECT * FROM items WHERE id = 1")).until_ready() == "TDCZI"


def md5_answer(body, password=MD5_PASSWORD):
    """To AuthenticationMD5Password."""
    inner = hashlib.md5((password + MD5_USER).encode()).hexdigest()
    return message("p", b"md5" + hashlib.md5(inner.encode() + body[4:]).hexdigest().encode() + b"\0")


@pytest.mark.one_version
def test_a_statement_sent_with_the_password_waits_and_the_login_goes_on(db, segue):
    """What the server says to the password is the login's, whatever waits behind it."""
    proxy = segue(db, rules_wait_ms=60000, failed_login_delay_ms=1000)
    with started_blocked(proxy) as blocked, Raw(proxy.port) as c, Raw(proxy.port) as closed, Raw(proxy.port) as wrong:
        for client in (c, closed, wrong):
            client.send(startup(user=MD5_USER, database=db.name))
        began = time.monotonic()
        wrong.send(md5_answer(wrong.read()[1], "wrong"), query("SELECT 1"))
        assert wrong.error()["C"] == "28P01"
        assert time.monotonic() - began > 0.9  # as any other that failed
        for client in (c, closed):
            client.send(md5_answer(client.read()[1]), query("SELECT 1"))
        closed.sock.shutdown(socket.SHUT_WR)
        for client in (c, closed):
            assert client.until_ready().endswith("KZI")
        until("them to wait", lambda: len(held(proxy)) == 2)
        blocked.release()
        for client in (c, closed):
            assert client.until_ready() == "TDCZI"
        assert closed.read() is None


@pytest.mark.one_version
def test_nobody_waits_when_told_not_to(db, segue):
    proxy = segue(db, rules_wait_ms=0)
    with started_blocked(proxy):
        assert Asking(proxy, "SELECT 1 AS one").answer() == ["one"]


@pytest.mark.one_version
def test_nobody_waits_where_the_control_plane_is_not_let_in(db, segue):
    """`reader` has no login: the database serves clients, and segue will never know."""
    proxy = segue(upstream=db.url().replace("postgres@", "reader@"), rules_wait_ms=60000)
    client = Asking(proxy, "SELECT 1 AS one")
    assert client.answer() == ["one"]
    proxy.logged("cannot be read")


@pytest.mark.one_version
def test_a_database_that_comes_back_long_after_the_start_is_read_before_the_first_statement(private_db, private_pg, segue):
    make_items(private_db, 100)
    proxy = segue(private_db, upstream_wait_ms=60000)
    proxy.ready(RENAME)
    proxy.kill9()
    private_db.close()
    private_pg.stop()
    proxy.start()
    until("attempts of the engine", lambda: proxy.log_text().count("the engine cannot work") >= 3)
    clients = [Asking(proxy) for _ in range(3)]
    private_pg.start()
    assert [client.answer() for client in clients] == [OLD] * 3
    assert "pass as they are" not in proxy.log_text()


class ComesUp(ChaosRelay):
    """Nobody finds anybody before the engine has said that it did not."""

    proxy = None

    @property
    def refusing(self):
        return not self.proxy or "the engine cannot work" not in self.proxy.log_text()

    @refusing.setter
    def refusing(self, _):
        pass


@pytest.mark.one_version
def test_a_database_that_comes_back_just_after_the_engine_has_asked_is_asked_again(db, segue):
    """It serves others, but it does not keep segue out."""
    make_items(db, 100)
    first = segue(db)
    first.ready(RENAME)
    first.kill9()
    relay = ComesUp(db.cluster.port)
    proxy = relay.proxy = segue(upstream=relay.url(db.name), start=False, rules_wait_ms=60000)
    proxy.start()
    assert [Asking(proxy).answer() for _ in range(3)] == [OLD] * 3
    assert proxy.log_text().count("the engine cannot work") == 1
    assert "pass as they are" not in proxy.log_text()


@pytest.mark.one_version
def test_a_takeover_shows_every_client_the_same_columns(db, segue, successor):  # noqa: F811
    make_items(db, 100)
    old = segue(db, rules_wait_ms=60000)
    old.ready(RENAME)
    stop, seen, errors, waits = threading.Event(), set(), [], []

    def connect_and_ask():
        while not stop.is_set():
            try:
                with old.connect() as conn:
                    began = time.monotonic()
                    seen.add(tuple(c.name for c in conn.execute("SELECT * FROM items LIMIT 1").description))
                    waits.append(time.monotonic() - began)
            except psycopg.Error as error:
                errors.append(error)

    threads = [threading.Thread(target=connect_and_ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        new = old
        for _ in range(3):
            new = successor(new)
            before = len(waits)
            until("clients of the new process", lambda: len(waits) > before + 20)  # noqa: B023
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors and seen == {tuple(OLD)}
    assert "pass as they are" not in new.log_text()
    print(f"{len(waits)} statements, the longest took {max(waits) * 1000:.0f} ms")


@pytest.mark.one_version
def test_who_has_just_taken_over_reads_what_is_in_flight_before_it_is_taken_over(db, segue, successor):  # noqa: F811
    """Two who start segue at once: the clients of the first one stay with a process that has no engine any more."""
    make_items(db, 100)
    old = segue(db, rules_wait_ms=10000)
    old.ready(RENAME)
    first = successor(old, start=False)
    with Blocked(first) as blocked:
        first.start()
        assert blocked.there.wait(20 * SLOW)
        client = Asking(first)
        assert client.logged_in.wait(20 * SLOW)
        until("it to be held", lambda: held(first))
        second = successor(first, start=False)
        starting = threading.Thread(target=second.start)
        starting.start()
        first.logged("it was given")
        client.join(0.5)
        blocked.release()
        assert client.answer() == OLD
        starting.join()
    assert Asking(second).answer() == OLD
    assert ended(first) == 0 and "pass as they are" not in first.log_text()


# ---- clients that close their side while they wait ----


def rest_of(raw):
    """All that comes to its end, types of keys and parameters alone."""
    got = []
    while message := raw.read():
        got.append(message if message[0] not in "SK" else message[0])
    return got


ASKED = {
    "query": [query("SELECT 40 + 2")],
    "several": [query("SELECT 1"), query("SELEC"), query("SELECT 2")],
    "extended": [parse("SELECT 3"), bind(), execute(), SYNC],
    "terminate": [query("SELECT 4"), TERMINATE],
    "cut short": [query("SELECT 5"), query("SELECT 6")[:-3]],
}


@pytest.mark.one_version
def test_who_closes_its_side_while_it_is_held_is_answered_as_directly(db, segue):
    """Behind a login that is over (held), and with everything in one go (pending)."""
    hello = startup(user="postgres", database=db.name)
    proxy = segue(db, rules_wait_ms=60000)

    def conversations(port, wait):
        clients = [Raw(port, timeout=60) for _ in range(2 * len(ASKED))]
        for client, asked in zip(clients, ASKED.values()):
            client.login(db.name).send(*asked).sock.shutdown(socket.SHUT_WR)
        for client, asked in zip(clients[len(ASKED):], ASKED.values()):
            client.send(hello, *asked).sock.shutdown(socket.SHUT_WR)
        wait()
        try:
            return [rest_of(client) for client in clients]
        finally:
            for client in clients:
                client.sock.close()

    direct = conversations(db.cluster.port, lambda: None)
    assert all(direct)
    with started_blocked(proxy) as blocked:

        def wait():
            until("all to wait", lambda: len(held(proxy)) == 2 * len(ASKED))
            blocked.release()

        assert conversations(proxy.port, wait) == direct


@pytest.mark.one_version
def test_who_is_gone_while_it_is_held_leaves_nothing_behind(db, segue):
    db.sql("CREATE TABLE said (t text)")
    proxy = segue(db, rules_wait_ms=60000)
    with started_blocked(proxy) as blocked:
        client = Raw(proxy.port).login(db.name).send(query("INSERT INTO said VALUES ('it was asked')"))
        until("it to wait", lambda: len(held(proxy)) == 1)
        client.sock.close()
        blocked.release()
    until("the statement to run, as directly", lambda: db.one("SELECT count(*) FROM said") == 1)
    until("the session to end", lambda: len(proxy.console("SHOW SESSIONS")) <= 1)


@pytest.mark.one_version
def test_who_closes_its_side_at_the_gate_of_a_cutover_is_answered_behind_it(db, segue):
    make_items(db, 10)
    proxy = segue(db, cutover_drain_ms=20000, gate_hold_max_ms=40000)
    name = proxy.ready(RENAME)
    with proxy.connect(autocommit=False) as blocker, Raw(proxy.port) as idle, Raw(proxy.port) as busy, Raw(proxy.port) as probe:
        blocker.execute("UPDATE items SET note = 'blocks' WHERE id = 1")
        for client in (idle, busy, probe):
            client.login(db.name, application_name="probe" if client is probe else "client")
        cutover = threading.Thread(target=proxy.cli, args=("cutover", name))
        cutover.start()
        until("the gate", lambda: is_held(proxy, probe, "probe", query("SELECT count(*) FROM items")))
        idle.send(query("SELECT * FROM items WHERE id = 2")).sock.shutdown(socket.SHUT_WR)
        busy.send(query("SELECT pg_sleep(0.5)"), query("SELECT * FROM items WHERE id = 3")).sock.shutdown(socket.SHUT_WR)
        until("all to be held", lambda: len(held(proxy)) == 3)
        blocker.commit()
        cutover.join()
        assert kinds(rest_of(idle)) == "TDCZI"
        assert kinds(rest_of(busy)) == "TDCZITDCZI"
