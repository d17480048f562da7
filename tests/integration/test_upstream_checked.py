"""A server says at each login what it is: where that is not what target_session_attrs asks for, nobody is let in there.

The servers are played. To who asks them what they are they say what they were; to sessions, what they have become a moment ago."""

import struct

import pytest
from lib.rawwire import Raw, message, startup
from lib.server import Server, url
from lib.wait import until

pytestmark = pytest.mark.one_version


@pytest.fixture
def play():
    servers = []

    def start(**how):
        servers.append(Server(pid=len(servers) + 1, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def begun(proxy, application="client"):
    return Raw(proxy.port, timeout=60).send(startup(user="postgres", database="played", application_name=application))


def login(proxy):
    """(number of the server, types of all messages)."""
    with begun(proxy) as client:
        kinds = client.until_ready()
        return struct.unpack("!I", client.key[:4])[0] if client.key else None, kinds


def in_front_of(segue, *servers, turned, target, **options):
    """A segue that has asked all of them; then `turned` becomes the opposite."""
    proxy = segue(upstream=url(*servers, target_session_attrs=target), **options)
    before, turned.standby_asked = turned.password, turned.standby
    turned.password = False

    def known():
        with begun(proxy) as client:
            client.read()
        return all(row["role"] in ("standby", "read-write") for row in proxy.console("SHOW UPSTREAMS"))

    until("all to be asked", known)
    turned.password, turned.standby = before, not turned.standby
    turned.came.clear()
    turned.said.clear()
    return proxy


@pytest.mark.parametrize("target,standby", [("read-write", True), ("primary", True), ("standby", False), ("read-only", False)])
def test_the_next_host_is_tried_and_the_client_hears_nothing_of_the_first(play, segue, target, standby):
    turned, fit = play(standby=not standby), play(standby=not standby)
    proxy = in_front_of(segue, turned, fit, turned=turned, target=target)
    assert login(proxy) == (2, "RSSSSKZI")
    assert "client" in turned.came
    until("it to be told goodbye", lambda: turned.said == ["X"])


@pytest.mark.parametrize("target", ["any", "prefer-standby"])
def test_where_every_role_will_do_nothing_is_checked(play, segue, target):
    first = play(standby=False, standby_asked=True)
    proxy = segue(upstream=url(first, target_session_attrs=target))
    assert login(proxy) == (1, "RSSSSKZI")


def test_segue_that_logs_in_for_the_client_does_so_on_the_next_host(play, segue, certs):
    """With auth=cert the client has shown segue who it is."""
    turned, fit = play(), play()
    pair = certs.client("postgres")
    proxy = segue(upstream=url(turned, fit, target_session_attrs="read-write"), auth="cert", client_tls="verify-ca",
                  client_tls_cert_file=certs.server.cert, client_tls_key_file=certs.server.key, client_tls_ca_file=certs.ca)

    def server():
        with proxy.connect("played", sslmode="require", sslcert=pair.cert, sslkey=pair.key) as client:
            return client.info.backend_pid

    turned.standby_asked = False
    until("both to be asked", lambda: server() and proxy.log_text().count("read-write, was not asked") == 2)
    assert server() == 1
    turned.standby = True
    assert server() == 2


def test_a_client_that_has_given_its_password_is_sent_away_before_it_has_asked_anything(play, segue):
    turned, fit = play(password=True), play()
    proxy = in_front_of(segue, turned, fit, turned=turned, target="read-write")
    with begun(proxy) as client:
        assert client.read() == ("R", b"\0\0\0\3")
        client.send(message("p", b"secret\0"))
        error = client.error()
        assert error["C"] == "57P03" and "is standby, and read-write was asked for" in error["M"] and "connect again" in error["H"]
    until("it to be told goodbye", lambda: turned.said == ["X"])
    turned.standby_asked = True
    until("the next to land on the other host", lambda: login_without_password(proxy) == 2)


def login_without_password(proxy):
    with begun(proxy) as client:
        kinds = ""
        while got := client.read():
            kinds += got[0]
            if got[0] == "K":
                return struct.unpack("!I", got[1][:4])[0]
            if got == ("R", b"\0\0\0\3"):
                return None
        return None


def test_read_only_by_a_setting_of_its_user_is_no_reason(play, segue):
    servers = [play(read_only=True), play(read_only=True)]
    proxy = segue(upstream=url(*servers, target_session_attrs="read-write"))
    assert login(proxy)[1] == "RSSSSKZI"


def test_a_session_that_may_write_by_a_setting_of_its_own_does_not_take_the_host_away_from_others(play, segue):
    """As options=-cdefault_transaction_read_only=off on a primary that is read-only: it gets no session there, as by libpq."""
    primary, standby = play(read_only=True, read_only_asked=True, writer="writer"), play(standby=True)
    proxy = segue(upstream=url(primary, standby, target_session_attrs="read-only"), upstream_wait_ms=0)
    until("both to be asked", lambda: login(proxy)[0] == 1 and proxy.console("SHOW UPSTREAMS")[1]["role"] == "standby")
    with begun(proxy, "writer") as writer:
        writer.until_ready()
        assert writer.key[:4] == struct.pack("!I", 2)
    assert login(proxy) == (1, "RSSSSKZI")
    assert "read-write" not in proxy.log_text()


def test_an_only_host_is_asked_when_it_has_shown_that_it_does_not_fit_and_not_before(play, segue):
    only = play()
    proxy = segue(upstream=url(only, target_session_attrs="read-write"), upstream_wait_ms=60000)
    assert login(proxy)[0] == login(proxy)[0] == 1
    assert "segue probe" not in only.came
    assert proxy.console("SHOW UPSTREAMS")[0]["role"] == "read-write"
    only.standby = True
    with begun(proxy) as client:  # it waits for a server that is what was asked for
        until("questions", lambda: only.came.count("segue probe") >= 2)
        assert proxy.console("SHOW UPSTREAMS")[0]["role"] == "standby"
        only.standby = False
        assert client.until_ready() == "RSSSSKZI"
