"""Options of the sockets of both legs, and how connections end: the server's last words, half-closed sockets, crashes."""

import ctypes
import os
import signal
import socket
import threading

import pytest
from lib.played import Played
from lib.rawwire import COPY_DONE, SYNC, TERMINATE, Raw, bind, copy_data, execute, parse, query, startup
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.one_version

PIDFD_GETFD = 438  # of every architecture
TCP_USER_TIMEOUT = 18


def sockets_of(pid):
    """Copies of a process's TCP connections, by the port of the other end."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
        except FileNotFoundError:
            continue
        fd = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
        if fd < 0:
            continue
        one = socket.socket(fileno=fd)
        try:
            found.setdefault(one.getpeername()[1], []).append(one)
        except OSError:
            one.close()  # it listens, or has ended
    os.close(pidfd)
    return found


def options(one):
    return {
        "keepalive": one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        "idle": one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        "user_timeout": one.getsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT),
        "nodelay": one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY),
    }


def test_keepalive_and_user_timeout_are_set_on_both_legs(db, segue):
    proxy = segue(db, keepalive_s=77, user_timeout_ms=12345)
    proxy.logged("engine is connected")
    with Raw(proxy.port).login(db.name) as c:
        found = sockets_of(proxy.process.pid)
        wanted = {"keepalive": 1, "idle": 77, "user_timeout": 12345, "nodelay": 1}
        [client] = found[c.sock.getsockname()[1]]
        assert options(client) == wanted
        to_server = [options(one) for one in found[db.cluster.port]]
        assert to_server.count(wanted) == 1  # the others are the engine's
        for some in found.values():
            for one in some:
                one.close()


def test_without_options_the_system_decides(db, segue):
    proxy = segue(db, keepalive_s=0, user_timeout_ms=0)
    with Raw(proxy.port).login(db.name) as c:
        found = sockets_of(proxy.process.pid)
        with open("/proc/sys/net/ipv4/tcp_keepalive_time", encoding="ascii") as system:
            idle = int(system.read())
        [client] = found[c.sock.getsockname()[1]]
        assert options(client) == {"keepalive": 1, "idle": idle, "user_timeout": 0, "nodelay": 1}
        for some in found.values():
            for one in some:
                one.close()


# ---- the server's last words ----


def last_words(raw):
    """What comes until the connection ends: types with severity and SQLSTATE."""
    got = []
    while (one := raw.read()) is not None:
        if one[0] in "EN":
            fields = {chr(f[0]): f[1:].decode() for f in one[1].split(b"\0") if f}
            got.append((one[0], fields["V"], fields["C"], fields["M"]))
        else:
            got.append((one[0], one[1]))
    return got


@pytest.fixture(scope="module")
def own(clusters, pg_version):
    """A server that the tests below stop and kill, one after the other."""
    cluster = clusters.private(pg_version)
    yield cluster
    cluster.crash()


def both(cluster, proxy, dbname="postgres"):
    """An idle session and one inside a statement, directly and through segue."""
    sessions = [Raw(port).login(dbname) for port in (cluster.port, proxy.port) for _ in range(2)]
    for busy in sessions[1::2]:
        busy.send(query("SELECT pg_sleep(60)"))
    with cluster.connect() as c:
        until("the statements", lambda: c.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'").fetchone() == (2,))
    return sessions


def test_a_fast_shutdown_says_the_same_through_segue(own, segue):
    proxy = segue(upstream=own.url())
    idle, busy, idle_through, busy_through = both(own, proxy)
    own.stop()
    assert last_words(idle_through) == last_words(idle)
    words = last_words(busy_through)
    assert words == last_words(busy) and words[-1][:3] == ("E", "FATAL", "57P01")
    own.start()


def test_an_immediate_shutdown_says_the_same_through_segue(own, segue):
    proxy = segue(upstream=own.url())
    idle, busy, idle_through, busy_through = both(own, proxy)
    own.crash()
    words = last_words(idle_through)
    assert words == last_words(idle) and words[-1][2] == "57P01"
    assert last_words(busy_through) == last_words(busy)
    own.start()


def test_a_crash_of_a_backend_says_the_same_to_all_others(own, segue):
    proxy = segue(upstream=own.url(), upstream_wait_ms=60000)
    idle, busy, idle_through, busy_through = both(own, proxy)
    with own.connect() as c:
        pid = c.execute("SELECT pg_backend_pid()").fetchone()[0]
        os.kill(pid, signal.SIGKILL)
    words = last_words(idle_through)
    assert words == last_words(idle) and words[-1][2] == "57P02"
    assert last_words(busy_through) == last_words(busy)
    with proxy.connect("postgres") as c:  # waits while it recovers
        assert c.execute("SELECT 1").fetchone() == (1,)


def test_a_terminated_backend_says_why_and_the_connection_ends(db, segue):
    proxy = segue(db)
    with Raw(proxy.port).login(db.name) as c:
        c.send(query("SELECT pg_terminate_backend(pg_backend_pid())"))
        words = last_words(c)
        assert words[-1][:3] == ("E", "FATAL", "57P01")


# ---- half-closed sockets ----


def after_closing(port, *sent):
    """What comes back to a client that sends all at once and closes its side; of keys and parameters the types alone."""
    with Raw(port) as c:
        c.send(*sent)
        c.sock.shutdown(socket.SHUT_WR)
        got = []
        while message := c.read():
            got.append(message if message[0] not in "SK" else message[0])
        return got


@pytest.mark.parametrize("asked", [
    [query("SELECT 40 + 2"), query("SELECT pg_sleep(0.1), 43")],
    [query("SELECT 40 + 2"), TERMINATE],
    [query("SELEC"), query("BEGIN"), query("SELECT 1")],
    [parse("SELECT 1"), bind(), execute(), SYNC, query("SELECT 2")[:-3]],
    [query("CREATE TABLE half (i int)"), query("COPY half FROM STDIN"), copy_data("1\n"), COPY_DONE],
], ids=["queries", "terminate", "errors", "cut short", "copy"])
def test_a_client_that_closes_its_side_with_the_startup_is_answered_as_directly(db, segue, asked):
    sent = [startup(user="postgres", database=db.name), *asked]
    direct = after_closing(db.cluster.port, *sent)
    db.sql("DROP TABLE IF EXISTS half")
    assert after_closing(segue(db).port, *sent) == direct
    assert len(direct) > 5


@pytest.mark.parametrize("cut", [copy_data("2\n3\n")[:7], SYNC[:3], parse("SELECT 1")[:8], query("SELECT 1")[:8], bind()[:6]],
                         ids=["data", "no header", "a parse", "a query", "a bind"])
@pytest.mark.parametrize("ready", [False, True], ids=["at rest", "in a migration"])
def test_a_message_that_is_cut_short_in_a_copy_is_judged_as_directly(db, segue, cut, ready):
    """By its type, before it is whole."""
    db.sql("CREATE TABLE half (i int)")
    proxy = segue(db)
    if ready:
        make_items(db, 5)
        proxy.ready(RENAME)

    def words(port):
        with Raw(port).login(db.name) as c:
            assert c.send(query("COPY half FROM STDIN")).read()[0] == "G"
            c.send(copy_data("1\n"), cut)
            c.sock.shutdown(socket.SHUT_WR)
            return last_words(c)

    direct = words(db.cluster.port)
    assert words(proxy.port) == direct
    assert direct[-1][:3] == ("E", "FATAL", "08P01")


def test_a_client_that_has_closed_its_sending_side_gets_all_of_a_long_answer(db, segue):
    proxy = segue(db)
    with Raw(proxy.port, timeout=60).login(db.name) as c:
        c.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)"))
        c.sock.shutdown(socket.SHUT_WR)
        rows = 0
        while (got := c.read()) is not None:
            rows += got[0] == "D"
        assert rows == 20000


class HalfClosing(Played):
    """Plays a server behind a relay that closes its sending side after the login, and goes on reading."""

    def __init__(self, port):
        self.behind, self.heard = port, []
        super().__init__()

    def serve(self, client):
        server = socket.create_connection(("127.0.0.1", self.behind))
        threading.Thread(target=self.back, args=(server, client), daemon=True).start()
        heard = b""
        try:
            while data := client.recv(65536):
                heard += data
                server.sendall(data)
        except OSError:
            pass
        self.heard.append(heard)
        server.close()

    @staticmethod
    def back(server, client):
        try:
            while data := server.recv(65536):
                client.sendall(data)
                if data.endswith(b"Z\0\0\0\5I"):
                    client.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_server_that_closes_its_sending_side_ends_the_session(db, segue):
    """Nothing can be answered any more: the client is told by the end of its connection, what came before included."""
    relay = HalfClosing(db.cluster.port)
    proxy = segue(upstream=f"postgresql://postgres@127.0.0.1:{relay.port}/{db.name}")
    with Raw(proxy.port).login(db.name) as c:
        assert c.read() is None
    until("the upstream connection to be closed", lambda: relay.heard)
    relay.close()
