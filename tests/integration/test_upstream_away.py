"""An upstream that is away, starting or restarting: new sessions wait, then are told in words."""

import socket
import threading
import time

import psycopg
import pytest
from lib.churn import Churn
from lib.played import Played, relay
from lib.rawwire import SSL, Raw, message, packet, startup
from lib.wait import free_port, until

pytestmark = pytest.mark.one_version


def url(*ports, options=""):
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://postgres@{hosts}/postgres{options}"


def first_error(proxy):
    """The error a client gets, and after how long."""
    begun = time.monotonic()
    with Raw(proxy.port) as c:
        c.send(startup(user="postgres", database="postgres"))
        return c.error(), time.monotonic() - begun


def test_a_refused_connection_is_said_in_words_after_the_wait(segue):
    port = free_port()
    proxy = segue(upstream=url(port), upstream_wait_ms=2000)
    error, took = first_error(proxy)
    assert error["C"] == "57P03"
    assert f'"127.0.0.1", port {port}: connection refused' in error["M"]
    assert "Is PostgreSQL running there" in error["H"] and "has waited 2000 ms" in error["H"]
    assert 1.9 < took < 10


def test_a_name_that_does_not_resolve_is_said_in_words(segue):
    proxy = segue(upstream="postgresql://postgres@no-such-host.invalid/postgres", upstream_wait_ms=0)
    error, _ = first_error(proxy)
    assert error["C"] == "57P03"
    assert '"no-such-host.invalid"' in error["M"] and "cannot be resolved" in error["M"]
    assert "host name" in error["H"]


def test_a_pooler_as_upstream_is_warned_of(segue):
    host = "ep-quiet-sun-1234-pooler.eu-central-1.aws.neon.tech"
    proxy = segue(upstream=f"postgresql://u:hidden_password@{host}/d?sslmode=require&hostaddr=127.0.0.1&port={free_port()}")
    proxy.logged(f'the upstream "{host}" is a pooler')
    proxy.logged('take "-pooler" out of the host name')
    assert "hidden_password" not in proxy.log_text()


def test_a_server_that_does_not_answer_is_a_timeout_in_words(segue):
    with socket.socket() as full:  # a queue that is full: the kernel drops what comes
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        proxy = segue(upstream=url(full.getsockname()[1]), upstream_wait_ms=0, connect_timeout_ms=300)
        error, took = first_error(proxy)
        assert error["C"] == "57P03" and "no answer in time" in error["M"]
        assert "firewall" in error["H"]
        assert 0.25 < took < 10
        for filler in fillers:
            filler.close()


def test_every_host_that_was_tried_is_named(segue):
    one, two = free_port(), free_port()
    error, _ = first_error(segue(upstream=url(one, two), upstream_wait_ms=0))
    assert f"port {one}: connection refused; " in error["M"] and f"port {two}: connection refused" in error["M"]


def test_the_first_host_is_down_and_the_second_serves(db, segue):
    proxy = segue(upstream=url(free_port(), db.cluster.port))
    with proxy.connect(db.name) as c:
        assert c.execute("SELECT current_database()").fetchone() == (db.name,)
    down, up = proxy.console("SHOW UPSTREAMS")
    assert "refused" in down["last_error"] and up["last_error"] == ""
    assert up["addresses"] == f"127.0.0.1:{db.cluster.port}"


def test_sessions_are_counted_by_host(db, segue):
    proxy = segue(upstream=url(db.cluster.port, free_port()))
    with proxy.connect(db.name), proxy.connect(db.name):
        assert [row["sessions"] for row in proxy.console("SHOW UPSTREAMS")] == [2, 0]
    until("none", lambda: proxy.console("SHOW UPSTREAMS")[0]["sessions"] == 0)


def test_random_balance_reaches_every_host(db, segue):
    proxy = segue(upstream=f"postgresql://postgres@127.0.0.1:{db.cluster.port},localhost:{db.cluster.port}/{db.name}"
                           "?load_balance_hosts=random&hostaddr=127.0.0.1,127.0.0.1")
    conns = [proxy.connect() for _ in range(24)]
    assert all(row["sessions"] > 0 for row in proxy.console("SHOW UPSTREAMS"))  # else: 1 in 2^23
    for conn in conns:
        conn.close()


def test_clients_wait_for_a_server_that_is_started_meanwhile(private_pg, segue):
    private_pg.stop()
    proxy = segue(upstream=private_pg.url(), upstream_wait_ms=60000)
    got = []
    waiting = [threading.Thread(target=lambda: got.append(proxy.connect().execute("SELECT 1").fetchone()))
               for _ in range(5)]
    for one in waiting:
        one.start()
    until("the clients to wait", lambda: len(sessions(proxy)) == 5)
    private_pg.start()
    for one in waiting:
        one.join(20)
    assert got == [(1,)] * 5


def sessions(proxy):
    return [row for row in proxy.console("SHOW SESSIONS") if row["state"] == "startup"]


def test_a_waiting_client_that_goes_away_frees_its_place(segue):
    proxy = segue(upstream=url(free_port()), upstream_wait_ms=60000, startup_open_max=2)
    with Raw(proxy.port) as c:
        c.send(startup(user="postgres", database="postgres"))
        until("the client to wait", lambda: len(sessions(proxy)) == 1)
    until("its place to be free", lambda: not sessions(proxy))


def test_a_drivers_connect_timeout_ends_its_wait(segue):
    proxy = segue(upstream=url(free_port()), upstream_wait_ms=60000)
    begun = time.monotonic()
    with pytest.raises(psycopg.OperationalError, match="timeout"):
        proxy.connect("postgres", connect_timeout=2)
    assert time.monotonic() - begun < 15
    until("its place to be free", lambda: not sessions(proxy))


def test_the_login_deadline_bounds_the_wait(segue):
    proxy = segue(upstream=url(free_port()), upstream_wait_ms=60000, login_timeout_ms=500)
    error, took = first_error(proxy)
    assert error["C"] == "57P03" and took < 10


def test_a_cancel_request_does_not_wait(segue):
    proxy = segue(upstream=url(free_port()), upstream_wait_ms=60000)
    with Raw(proxy.port) as c:
        c.send(b"\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02")
        assert c.read() is None


def test_waiting_clients_are_told_when_segue_ends(segue):
    import signal

    proxy = segue(upstream=url(free_port()), upstream_wait_ms=60000)
    with Raw(proxy.port) as c:
        c.send(startup(user="postgres", database="postgres"))
        until("the client to wait", lambda: len(sessions(proxy)) == 1)
        proxy._drop_console()
        proxy.signal(signal.SIGTERM)
        assert c.error()["C"] == "57P01"


class Moody(Played):
    """Plays a server that says "starting up" (or hangs up) to the first clients and then is one: relays."""

    def __init__(self, port, mood, times, at_once=False):
        """`at_once`: to the SSLRequest."""
        self.port_behind, self.mood, self.left, self.at_once = port, mood, times, at_once
        self.refused, self.hang_up = 0, False
        super().__init__()

    def serve(self, client):
        if self.left > 0:
            self.left -= 1
            self.refused += 1
            if client.recv(10000) == packet(SSL) and not self.hang_up and not self.at_once:
                client.sendall(b"N")
                client.recv(10000)
            client.sendall(self.mood)
            return
        relay(client, socket.create_connection(("127.0.0.1", self.port_behind)))


def fatal(code, text):
    return message("E", b"SFATAL\0VFATAL\0C" + code.encode() + b"\0M" + text.encode() + b"\0\0")


# what a postmaster says that cannot fork, in whatever language, is no message: an error of protocol 2
UNFORKED = "could not fork new process for connection: Resource temporarily unavailable"
UNFORKED_ABROAD = "Évidemment, pas de processus"


def unforked(text):
    return f"E{text}\n\0".encode()


@pytest.mark.parametrize("mood", [fatal("57P03", "the database system is starting up"),
                                  unforked(UNFORKED), unforked(UNFORKED_ABROAD),
                                  message("v", b"\0\3\0\0\0\0\0\0") + fatal("57P03", "the database system is shutting down"),
                                  b""], ids=["starting", "unforked", "abroad", "negotiated", "closed"])
def test_a_server_that_takes_no_sessions_yet_is_asked_again(db, segue, mood):
    moody = Moody(db.cluster.port, mood, 3)
    proxy = segue(upstream=url(moody.port))
    until("the engine to have been refused, or let in", lambda: moody.refused)
    moody.left = 3
    with proxy.connect(db.name) as c:
        assert c.execute("SELECT 1").fetchone() == (1,)
    assert moody.left == 0
    moody.close()


def test_a_server_that_cannot_fork_is_asked_again_where_tls_is_asked_for(tls_only_pg, segue):
    moody = Moody(tls_only_pg.port, unforked(UNFORKED), 3, at_once=True)
    proxy = segue(upstream=url(moody.port, options="?sslmode=require"))
    until("the engine to have been refused, or let in", lambda: moody.refused)
    moody.left = 3
    with proxy.connect("postgres") as c:
        assert c.execute("SELECT 1").fetchone() == (1,)
    assert moody.left == 0
    moody.left = 1000000
    error, _ = first_error(segue(upstream=url(moody.port, options="?sslmode=require"), upstream_wait_ms=400))
    assert error["C"] == "57P03" and error["M"].endswith("server sent an error response during SSL exchange")
    moody.close()


@pytest.mark.parametrize("mood, says", [
    (fatal("57P03", "the database system is starting up"), "the database system is starting up"),
    (unforked(UNFORKED), UNFORKED), (unforked("\x1b[31m" + UNFORKED_ABROAD), "?[31m" + UNFORKED_ABROAD),
], ids=["starting", "unforked", "abroad"])
def test_a_server_that_goes_on_starting_is_quoted_after_the_wait(db, segue, mood, says):
    moody = Moody(db.cluster.port, mood, 1000000)
    error, _ = first_error(segue(upstream=url(moody.port), upstream_wait_ms=400))
    assert error["C"] == "57P03" and error["M"].endswith(says)
    assert "takes no sessions yet" in error["H"]
    moody.close()


def test_other_refusals_pass_as_they_are(db, segue):
    moody = Moody(db.cluster.port, fatal("53300", "sorry, too many clients already"), 1000000)
    error, _ = first_error(segue(upstream=url(moody.port)))
    assert (error["C"], error["M"]) == ("53300", "sorry, too many clients already")
    moody.close()


def test_a_server_that_closes_on_an_ssl_request_is_asked_again(db, segue):
    moody = Moody(db.cluster.port, b"", 1)
    moody.hang_up = True
    proxy = segue(upstream=url(moody.port))
    until("the engine to have been refused", lambda: moody.refused)
    moody.left = 3
    with proxy.connect(db.name) as c:
        assert c.execute("SELECT 1").fetchone() == (1,)
    assert moody.left == 0
    moody.close()


def test_a_restart_costs_connecting_clients_time_and_no_error(private_pg, segue):
    """Those that are connected get the server's own words; those that connect get a session."""
    proxy = segue(upstream=private_pg.url(), upstream_wait_ms=60000)
    connected = Raw(proxy.port).login("postgres")
    clients = Churn(proxy, None)
    clients.more()
    private_pg.stop()
    assert connected.error()["C"] == "57P01"
    assert connected.read() is None
    private_pg.start()
    clients.more()
    clients.stop()
    assert not [e for e in clients.errors if "terminating connection" not in e], clients.errors[:3]


def test_a_name_that_cannot_be_resolved_is_logged_once(segue):
    """However often it is looked up while a client waits."""
    proxy = segue(upstream=f"postgresql://postgres@{'x' * 70}.invalid/postgres", upstream_wait_ms=3500)
    with pytest.raises(psycopg.OperationalError, match="cannot be resolved"):
        proxy.connect()
    assert proxy.logged("cannot resolve upstream").count("cannot resolve upstream") == 1
