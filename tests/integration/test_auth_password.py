"""auth = password: the client gives its password inside TLS, and the upstream is the judge of it."""

import psycopg
import pytest
from lib import rawwire
from lib.auth import PASSWORDS, SECRETS, armed, refused

pytestmark = pytest.mark.newest_unless_told


@pytest.fixture
def tls_pg(clusters, pg_version, certs):
    return armed(clusters, pg_version, certs)


@pytest.fixture
def asking(segue, tls_pg, certs):
    """A function: segue that asks for passwords; `upstream`: what its URL says of TLS."""

    def start(upstream="sslmode=require&channel_binding=require", **options):
        options = {"failed_login_delay_ms": 0, "client_tls_cert_file": certs.server.cert,
                   "client_tls_key_file": certs.server.key, **options}
        return segue(upstream=f"{tls_pg.url()}?{upstream}", auth="password", **options)

    return start


def who(proxy, name, **options):
    options = {"sslmode": "require", "password": PASSWORDS[name], **options}
    with proxy.connect("postgres", name, **options) as conn:
        return conn.execute("SELECT current_user").fetchone()[0]


@pytest.mark.parametrize("name", ["alice", "zoe"])
def test_a_password_inside_tls_logs_in_upstream_with_channel_binding(asking, name):
    proxy = asking()
    assert who(proxy, name) == name
    assert who(proxy, name) == name


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_password_answers_whatever_the_upstream_asks(asking, name):
    proxy = asking("sslmode=disable")
    assert who(proxy, name, password=PASSWORDS[name] or "any") == name


def test_a_wrong_password_and_an_unknown_user_read_as_without_segue(asking, tls_pg):
    proxy = asking()
    for name in ("alice", "nobody"):
        with refused() as direct:
            tls_pg.connect(user=name, password="wrong", sslmode="require")
        with refused() as through:
            proxy.connect("postgres", name, password="wrong", sslmode="require")
        assert direct.text.replace(str(tls_pg.port), "PORT") == through.text.replace(str(proxy.port), "PORT")


def test_outside_tls_no_password_is_asked_for_and_the_hint_says_why(asking, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sockets")
    proxy = asking(arguments=["--listen", f"127.0.0.1:0, {folder}:6432"])
    with rawwire.Raw(proxy.port) as raw:
        raw.send(rawwire.startup(user="alice", database="postgres"))
        kind, body = raw.read()
    fields = {chr(f[0]): f[1:].decode() for f in body.split(b"\0") if f}
    assert kind == "E" and fields["C"] == "28000"
    assert "inside TLS only" in fields["M"] and "sslmode=require" in fields["H"]
    with refused() as told:
        who(proxy, "alice", sslmode="disable")
    assert "sslmode=require" in told.text and "Unix" not in told.text
    proxy.logged('nobody can log in over the Unix sockets in listen: auth is "password"')
    with refused() as told:
        psycopg.connect(host=str(folder), port=6432, dbname="postgres", user="alice", password=PASSWORDS["alice"])
    assert "a Unix socket has no TLS: connect over TCP with sslmode=require, or let segue have another auth" in told.text


def test_the_console_asks_for_the_password_too(asking):
    proxy = asking()
    with proxy.connect("segue", "alice", password=PASSWORDS["alice"], sslmode="require", prepare_threshold=None) as conn:
        assert conn.execute(b"SHOW STATUS").fetchall() == []
    with refused() as told:
        proxy.connect("segue", "alice", password="wrong", sslmode="require")
    assert 'password authentication failed for user "alice"' in told.text


def test_no_secret_reaches_the_log(asking):
    proxy = asking(log_level="debug")
    assert who(proxy, "alice") == "alice"
    with refused():
        proxy.connect("postgres", "alice", password="a wrong one", sslmode="require")
    proxy.logged("password authentication failed")
    proxy.stop()
    for secret in (*SECRETS, "a wrong one"):
        assert secret not in proxy.log_text()
