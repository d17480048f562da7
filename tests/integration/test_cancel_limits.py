"""Cancel requests are bounded, in all and by address, and go to servers a few at once; a crowd of them is served."""

import contextlib
import socket
import struct

import pytest
from lib.rawwire import CANCEL, packet
from lib.server import Server, url
from lib.wait import until
from test_cancel_requests import PID, cancel, login
from test_limits_sessions import stats

pytestmark = pytest.mark.one_version
AT_ONCE = 64  # of one worker


@pytest.fixture
def server():
    with contextlib.closing(Server(PID, frozen=True)) as server:
        yield server


@pytest.fixture
def crowd():
    """A function: sends a cancel request from this address; the connection."""
    with contextlib.ExitStack() as ends:

        def send(proxy, number, address="127.0.0.1"):
            sock = ends.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=20, source_address=(address, 0)))
            sock.sendall(packet(CANCEL, key(number)))
            return sock

        yield send


def key(number):
    return struct.pack("!II", PID, number)


def test_a_crowd_goes_to_the_server_in_turns_and_all_of_it(server, segue, crowd):
    """Whoever hangs up meanwhile has asked all the same."""
    proxy = segue(upstream=url(server), workers=1)
    number = 3 * AT_ONCE
    clients = [crowd(proxy, n) for n in range(number)]
    until("as many as may go at once", lambda: len(server.cancelled) == AT_ONCE and stats(proxy)["cancels_waiting"] == number - AT_ONCE)
    for client in clients[::2]:
        client.close()
    server.frozen = False
    until("all to be told", lambda: len(server.cancelled) == number)
    assert sorted(server.cancelled) == [key(n) for n in range(number)]
    for client in clients[1::2]:
        assert client.recv(1) == b""
    shown = stats(proxy)
    assert (shown["cancels"], shown["cancels_waiting"], shown["refused_cancels"]) == (number, 0, 0)


def test_what_is_over_the_limit_is_closed_and_leaves_logins_their_room(server, segue, crowd):
    """Half of startup_open_max in all, of one address nine tenths of that."""
    proxy = segue(upstream=url(server), workers=1, startup_open_max=40)
    for n in range(18):
        crowd(proxy, n)
    until("all but two", lambda: len(server.cancelled) == 18)
    assert crowd(proxy, 18).recv(1) == b""
    others = [crowd(proxy, n, "127.0.0.2") for n in (19, 20)]
    until("another address to have the rest", lambda: len(server.cancelled) == 20)
    assert crowd(proxy, 21, "127.0.0.3").recv(1) == b""
    assert stats(proxy)["refused_cancels"] == 2
    with login(proxy):
        pass
    server.frozen = False
    for client in others:
        assert client.recv(1) == b""
    until("room", lambda: stats(proxy)["sessions_startup"] == 0)
    cancel(proxy, key(22))
    assert server.cancelled[-1] == key(22) and len(server.cancelled) == 21


def test_hundreds_of_one_address_at_once_are_served(server, segue, crowd):
    server.frozen, number = False, 800
    proxy = segue(upstream=url(server))
    clients = [crowd(proxy, n) for n in range(number)]
    for client in clients:
        assert client.recv(1) == b""
    assert sorted(server.cancelled) == [key(n) for n in range(number)]
    assert stats(proxy)["refused_cancels"] == 0
