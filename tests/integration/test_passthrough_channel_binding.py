"""SCRAM passes through unless it would have to bind two TLS connections into one."""

import time

import psycopg
import pytest
from lib.cluster import MD5_PASSWORD, MD5_USER, SCRAM_PASSWORD, SCRAM_USER
from lib.rawwire import Raw, message, startup
from test_tls_legs import client_tls, upstream

pytestmark = pytest.mark.newest_unless_told

SCRAM = {"user": SCRAM_USER, "password": SCRAM_PASSWORD}


@pytest.fixture
def both(tls_pg, certs, segue):
    return segue(upstream=upstream(tls_pg, certs, "require"), **client_tls(certs))


def test_plus_is_not_shown_to_a_client_whose_channel_is_another(both, tls_pg):
    def mechanisms(port):
        with Raw(port) as c:
            kind, body = c.send(startup(user=SCRAM_USER, database="postgres")).read()
            assert (kind, body[:4]) == ("R", b"\0\0\0\x0a")
            return body[4:]

    assert mechanisms(both.port) == b"SCRAM-SHA-256\0\0"


def test_a_plain_client_passes_to_an_upstream_with_tls(both):
    with both.connect("postgres", sslmode="disable", **SCRAM) as c:
        assert c.execute("SELECT current_user").fetchone() == (SCRAM_USER,)


def test_a_tls_client_that_does_not_bind_passes_to_an_upstream_with_tls(both):
    with both.connect("postgres", sslmode="require", channel_binding="disable", **SCRAM) as c:
        assert c.execute("SELECT current_user").fetchone() == (SCRAM_USER,)


def test_a_tls_client_that_would_have_bound_is_told_what_to_do(both):
    with pytest.raises(psycopg.OperationalError, match="cannot pass through two TLS connections") as refused:
        both.connect("postgres", sslmode="require", **SCRAM)
    assert "auth of segue to scram or password" in str(refused.value)
    assert "channel_binding=disable" in str(refused.value)


def test_a_client_that_prefers_tls_comes_in_by_its_second_attempt_and_at_once(tls_pg, certs, segue):
    proxy = segue(upstream=upstream(tls_pg, certs, "require"), failed_login_delay_ms=1000, **client_tls(certs))
    begin = time.monotonic()
    for _ in range(5):
        with proxy.connect("postgres", sslmode="prefer", **SCRAM) as c:
            assert not c.pgconn.ssl_in_use
    assert time.monotonic() - begin < 1 + 2 + 4 + 5  # refusals that counted as failed logins would cost 5 s more


def test_a_wrong_password_is_the_upstreams_own_error(both):
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "scram_user"'):
        both.connect("postgres", sslmode="disable", user=SCRAM_USER, password="wrong")


def test_md5_passes_through_two_tls_legs(both):
    with both.connect("postgres", sslmode="require", user=MD5_USER, password=MD5_PASSWORD) as c:
        assert c.execute("SELECT current_user").fetchone() == (MD5_USER,)


def test_required_channel_binding_of_the_upstreams_url_cannot_pass_through(tls_pg, certs, segue):
    proxy = segue(upstream=upstream(tls_pg, certs, "require", channel_binding="require"), **client_tls(certs))
    for sslmode in "disable", "require":
        with pytest.raises(psycopg.OperationalError, match="channel_binding=require") as refused:
            proxy.connect("postgres", sslmode=sslmode, **SCRAM)
        assert "scram or password" in str(refused.value)


def test_an_oversized_sasl_message_is_refused(both):
    with Raw(both.port) as c:
        c.send(startup(user=SCRAM_USER, database="postgres"))
        assert c.read()[0] == "R"
        c.send(message("p", b"x" * 70000))
        assert c.error()["C"] == "08P01"


def test_a_query_sent_ahead_of_the_login_is_answered_after_it(both):
    with Raw(both.port) as c:
        c.send(startup(user="postgres", database="postgres"), message("Q", b"SELECT 1\0"))
        assert c.until_ready().endswith("ZI")
        assert c.until_ready() == "TDCZI"


@pytest.mark.one_version
def test_failed_logins_are_answered_later_and_later_up_to_a_cap(db, segue):
    proxy = segue(db, failed_login_delay_ms=200, workers=1)
    took = []
    for _ in range(4):
        begin = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            proxy.connect(user=SCRAM_USER, password="wrong")
        took.append(time.monotonic() - begin)
    assert took[0] >= 0.2 and took[1] >= 0.4 and took[2] >= 0.8 and took[3] >= 1.6
    begin = time.monotonic()
    with proxy.connect(**SCRAM):
        assert time.monotonic() - begin < 3.2  # who knows the password does not wait: so long it would be
