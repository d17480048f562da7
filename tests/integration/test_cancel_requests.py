"""Cancel requests reach the server on which their session is: whose key it is decides, and where that is not known all are told."""

import struct

import pytest
from lib.names import looks_up_in
from lib.rawwire import CANCEL, Raw, packet, startup
from lib.server import Server, url
from lib.wait import until

pytestmark = pytest.mark.one_version
PID = 77  # all these servers give their sessions the same number
NAME = "db.many.test"


def login(proxy):
    client = Raw(proxy.port).send(startup(user="postgres", database="played"))
    assert client.until_ready().endswith("KZI")
    return client


def cancel(proxy, key):
    """Comes back when segue has told whom it tells."""
    with Raw(proxy.port, timeout=60) as c:
        c.send(packet(CANCEL, key))
        assert c.read() is None


@pytest.fixture
def play():
    servers = []

    def start(**how):
        servers.append(Server(PID, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("tls", [False, True])
def test_of_two_sessions_with_one_number_the_key_says_which(play, segue, certs, tmp_path, tls):
    """Over TLS each server is known by its own name alone."""
    names = ["one.example", "two.example"] if tls else ["127.0.0.1"] * 2
    pairs = [certs.issue(f"{name}-{tmp_path.name}", name, [f"DNS:{name}"]) for name in names] if tls else [None, None]
    servers = [play(pair=pair) for pair in pairs]
    words = {"sslmode": "verify-full", "sslrootcert": certs.ca, "hostaddr": "127.0.0.1,127.0.0.1"} if tls else {}
    proxy = segue(upstream=url(*servers, host=names, load_balance_hosts="random", **words))
    clients, on = [], {}
    while len(on) < 2:  # 1 in 2^n that n are not enough
        clients.append(login(proxy))
        shown = proxy.console("SHOW SESSIONS")
        on = {row["upstream"]: row["id"] for row in shown if row["upstream"]}
    for client in clients:
        cancel(proxy, client.key)
    got = sorted(servers[0].cancelled + servers[1].cancelled)
    assert got == sorted(client.key for client in clients)  # each once, and none at the wrong server
    assert servers[0].cancelled and servers[1].cancelled


def test_a_number_that_is_known_with_another_key_says_nothing(play, segue):
    """As after a takeover: the session is another process's, and one of this process has the same number on another host."""
    near, far = play(), play()
    old, new = segue(upstream=url(far)), segue(upstream=url(near, far))
    theirs, ours = login(old), login(new)
    cancel(new, theirs.key)
    assert far.cancelled == [theirs.key]
    cancel(new, ours.key)
    assert near.cancelled == [theirs.key, ours.key] and far.cancelled == [theirs.key]


def test_a_host_that_takes_the_request_and_does_not_close_keeps_the_others_for_a_while_only(play, segue):
    frozen, far = play(frozen=True), play()
    old, new = segue(upstream=url(far)), segue(upstream=url(frozen, far), connect_timeout_ms=300)
    theirs = login(old)
    with Raw(new.port).send(packet(CANCEL, theirs.key)):
        until("the request to reach the second host", lambda: far.cancelled == [theirs.key])


def test_every_address_of_a_name_is_told(play, segue, tmp_path):
    """They may be different servers, which a name server deals out."""
    one = play()
    two = play(address="127.0.0.2", port=one.port)
    conf, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    conf.write_text("nameserver 127.53.0.54\noptions timeout:1 attempts:1\n", encoding="ascii")
    hosts.write_text(f"127.0.0.1 localhost {NAME}\n127.0.0.2 {NAME}\n", encoding="ascii")
    proxy = looks_up_in(segue(upstream=url(one, host=[NAME]), start=False), conf, hosts)
    proxy.start()
    shown = proxy.console("SHOW UPSTREAMS")[0]["addresses"]
    assert "127.0.0.1" in shown and "127.0.0.2" in shown
    key = struct.pack("!I", PID) + b"none"
    cancel(proxy, key)
    assert one.cancelled == two.cancelled == [key]
