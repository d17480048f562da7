"""auth = pass-through: the upstream asks, segue carries, and says clearly where SCRAM cannot be carried."""

import re

import psycopg
import pytest
from lib.auth import PASSWORDS, armed, refused
from lib.rawwire import Raw, message, startup
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told


@pytest.fixture
def armed_pg(clusters, pg_version):
    return armed(clusters, pg_version)


@pytest.fixture
def tls_pg(clusters, pg_version, certs):
    return armed(clusters, pg_version, certs)


def client_tls(certs):
    return {"client_tls_cert_file": certs.server.cert, "client_tls_key_file": certs.server.key}


def who(proxy, name, **options):
    """Logs in and asks the server who came."""
    with proxy.connect("postgres", name, password=PASSWORDS[name], **options) as conn:
        return conn.execute("SELECT current_user").fetchone()[0]


@pytest.mark.parametrize("name", PASSWORDS)
def test_every_method_passes_between_two_plaintext_legs(segue, armed_pg, name):
    proxy = segue(upstream=armed_pg.url())
    assert who(proxy, name) == name


@pytest.mark.parametrize("name", PASSWORDS)
def test_every_method_passes_with_tls_on_the_upstream_leg_alone(segue, tls_pg, name):
    proxy = segue(upstream=tls_pg.url() + "?sslmode=require")
    assert who(proxy, name) == name


@pytest.mark.parametrize("name", PASSWORDS)
def test_every_method_passes_with_tls_on_the_client_leg_alone(segue, armed_pg, certs, name):
    proxy = segue(upstream=armed_pg.url(), **client_tls(certs))
    assert who(proxy, name, sslmode="require") == name


def test_scram_passes_two_tls_legs_for_a_client_without_channel_binding(segue, tls_pg, certs):
    proxy = segue(upstream=tls_pg.url() + "?sslmode=require", **client_tls(certs))
    assert who(proxy, "alice", sslmode="require", channel_binding="disable") == "alice"
    assert who(proxy, "mia", sslmode="require") == "mia"
    assert who(proxy, "tom", sslmode="require") == "tom"


def test_a_client_that_could_bind_is_told_what_to_do_about_two_tls_legs(segue, tls_pg, certs):
    proxy = segue(upstream=tls_pg.url() + "?sslmode=require", failed_login_delay_ms=0, **client_tls(certs))
    with refused() as told:
        who(proxy, "alice", sslmode="require", channel_binding="prefer")
    assert "SCRAM cannot pass through two TLS connections" in told.text
    assert "HINT:" in told.text and "channel_binding=disable" in told.text
    # libpq itself gives up: no mechanism that binds was shown to it
    with refused() as told:
        who(proxy, "alice", sslmode="require", channel_binding="require")
    assert "channel binding" in told.text


@pytest.mark.parametrize("name", ["alice", "mia", "nobody"])
def test_a_failed_login_reads_as_it_does_without_segue(segue, armed_pg, name):
    proxy = segue(upstream=armed_pg.url(), failed_login_delay_ms=0)
    with refused() as direct:
        armed_pg.connect(user=name, password="wrong")
    with refused() as through:
        proxy.connect("postgres", name, password="wrong")
    assert direct.text.replace(str(armed_pg.port), "PORT") == through.text.replace(str(proxy.port), "PORT")


def test_an_upstream_that_must_be_bound_is_refused_with_a_hint(segue, tls_pg):
    proxy = segue(upstream=tls_pg.url() + "?sslmode=require&channel_binding=require", failed_login_delay_ms=0)
    with refused() as told:
        who(proxy, "alice")
    assert "channel_binding=require" in told.text
    assert "HINT:" in told.text and "scram" in told.text


def test_the_console_asks_as_the_upstream_does_once_it_is_somebodys(segue, armed_pg):
    proxy = segue(upstream=armed_pg.url(), failed_login_delay_ms=0, admin_users=",".join(PASSWORDS))
    for name in PASSWORDS:
        with proxy.connect("segue", name, password=PASSWORDS[name], prepare_threshold=None) as conn:
            assert conn.execute(b"SHOW STATUS").fetchall() == []
    with refused() as told:
        proxy.connect("segue", "alice", password="wrong")
    assert 'password authentication failed for user "alice"' in told.text
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        proxy.connect("segue", "alice")


# ---- what is left of a secret ----


SHADOW_BYTES = 1 << 30  # so long a piece is a sanitizer's own


def marks_in(proxy):
    """Which marks are anywhere in the process's memory."""
    found = set()
    with open(f"/proc/{proxy.process.pid}/maps", encoding="ascii") as maps, open(f"/proc/{proxy.process.pid}/mem", "rb") as memory:
        for line in maps:
            span, rights = line.split()[:2]
            begin, end = (int(at, 16) for at in span.split("-"))
            if rights.startswith("rw") and end - begin < SHADOW_BYTES:
                memory.seek(begin)
                found.update(re.findall(rb"<secret \d{5}>", memory.read(end - begin)))
    return found


@pytest.mark.parametrize("size", [2000, 40000])
def test_a_secret_that_comes_in_pieces_is_nowhere_once_the_login_is_over(segue, armed_pg, size):
    """Of a console's, which segue keeps until it is whole: the server's protocol takes it as it comes."""
    proxy = segue(upstream=armed_pg.url(), workers=1, admin_users="mia", failed_login_delay_ms=0)
    secret = b"".join(b"<secret %05d>" % i for i in range(size // 14))
    whole = message("p", secret + b"\0")
    with Raw(proxy.port) as raw:
        raw.send(startup(user="mia", database="segue"))
        assert raw.read()[0] == "R"
        for at in range(0, len(whole), size // 3):
            raw.send(whole[at:at + size // 3])
            if at + size // 3 < len(whole):
                last = re.findall(rb"<secret \d{5}>", whole[:at + size // 3])[-1]
                until("the piece to be kept", lambda mark=last: mark in marks_in(proxy))
        assert raw.error()["C"] == "28P01"
    assert not marks_in(proxy)
