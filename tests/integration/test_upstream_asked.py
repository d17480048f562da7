"""When hosts are asked what they are: while sessions want to go somewhere, and not for nothing."""

import socket
import time

import pytest
from lib.played import Played, relay
from lib.wait import SLOW, free_port, until

pytestmark = [pytest.mark.one_version, pytest.mark.deadline(120)]
QUIET_S = 4.5  # more than two pauses between questions


class Door(Played):
    """Leads to a server and counts who comes through it."""

    def __init__(self, port):
        self.port_behind, self.came = port, 0
        super().__init__()

    def serve(self, client):
        self.came += 1
        relay(client, socket.create_connection(("127.0.0.1", self.port_behind)))


@pytest.fixture
def door(db):
    with Door(db.cluster.port) as door:
        yield door


def url(db, *ports, target="read-write"):
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://postgres@{hosts}/{db.name}?target_session_attrs={target}"


def stays_quiet(door):
    came, end = door.came, time.monotonic() + QUIET_S * SLOW
    while door.came == came and time.monotonic() < end:
        time.sleep(0.05)
    return door.came == came


@pytest.mark.parametrize("hosts", [1, 2])
def test_nobody_comes_to_a_server_on_which_nobody_logs_in(db, door, segue, hosts):
    proxy = segue(upstream=url(db, *([free_port(), door.port][-hosts:])))
    proxy.at_work()
    assert stays_quiet(door)
    before = door.came
    for _ in range(3):  # the first waits for what the server says it is
        with proxy.connect() as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
    assert hosts > 1 or door.came == before + 3  # an only host tells each of them itself
    until("it to be left alone again", lambda: stays_quiet(door), 60)
    with proxy.connect() as client:
        assert client.execute("SELECT 1").fetchone() == (1,)


def test_the_first_login_waits_for_the_answer_and_not_for_an_upstream_that_is_away(db, door, segue):
    """upstream_wait_ms is about a server that is away: without any, too, it is known what a host is before it is refused."""
    proxy = segue(upstream=url(db, door.port, free_port()), upstream_wait_ms=0)
    proxy.at_work()
    with proxy.connect() as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    assert [row["role"] for row in proxy.console("SHOW UPSTREAMS")][0] == "read-write"


class Silent(Played):
    """Takes connections and says nothing."""

    def serve(self, client):
        while client.recv(1000):
            pass


def test_a_host_that_was_away_is_not_waited_for_again(db, door, segue):
    """Where nobody has logged in for a while, and the standby that is preferred is still away."""
    with Silent() as away:
        proxy = segue(upstream=url(db, away.port, door.port, target="prefer-standby"))

        def hosts():
            return proxy.console("SHOW UPSTREAMS")

        proxy.connect().close()  # this one waits until both were asked
        assert [row["role"] for row in hosts()] == ["away", "read-write"]
        until("nobody to ask any more", lambda: min(row["asked_s_ago"] for row in hosts()) > 6, 60)
        began = time.monotonic()
        proxy.connect().close()
        assert time.monotonic() - began < 1 * SLOW


def test_while_sessions_log_in_hosts_are_asked(db, door, segue):
    proxy = segue(upstream=url(db, door.port, free_port()))
    proxy.at_work()
    before, logins = door.came, 0

    def asked_again():
        nonlocal logins
        with proxy.connect() as client:
            assert client.execute("SELECT 1").fetchone() == (1,)
        logins += 1
        return door.came - before - logins >= 3

    until("three questions", asked_again, 30, every=0.1)
