"""Which ciphers either leg speaks, and lists that nobody can have meant."""

import signal
import socket
import ssl
import subprocess

import psycopg
import pytest
from lib.wait import until
from test_tls_reload import SSL_REQUEST

pytestmark = pytest.mark.one_version

CLIENT_12, UPSTREAM_12 = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
CLIENT_13, UPSTREAM_13 = "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"


@pytest.fixture
def start(segue, tls_db, certs):
    def start(options="", **more):
        return segue(upstream=f"{tls_db.url()}?sslmode=require{options}", client_tls="require",
                     client_tls_cert_file=certs.server.cert, client_tls_key_file=certs.server.key, **more)
    return start


def spoken(proxy):
    with psycopg.connect(proxy.url(), sslmode="require", application_name="secure"):
        row = next(r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "secure")
        return row["tls_client"], row["tls_server"]


def offered(proxy, **limits):
    """What a client gets that speaks TLS 1.2 only, and these ciphers; None: no connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(limits.get("ciphers", "ALL"))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        try:
            with context.wrap_socket(plain) as tls:
                return tls.cipher()[0]
        except ssl.SSLError:
            return None


def test_each_leg_speaks_the_ciphers_it_is_told(start):
    proxy = start(client_tls13_ciphers=CLIENT_13, upstream_tls13_ciphers=UPSTREAM_13, client_tls_ciphers=CLIENT_12)
    assert spoken(proxy) == (f"TLSv1.3 {CLIENT_13}", f"TLSv1.3 {UPSTREAM_13}")
    assert offered(proxy) == CLIENT_12
    assert offered(proxy, ciphers=UPSTREAM_12) is None


def versions_of_segue(tls_db):
    with tls_db.connect() as conn:
        return {row[0] for row in conn.execute("SELECT version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                                               " WHERE application_name = 'segue'")}


def test_each_leg_speaks_the_versions_it_is_told(start, tls_db):
    """The option is both legs' and the engine's own, what the URL says the upstream's alone."""
    proxy = start(tls_version_max="TLSv1.2")
    assert [leg.split()[0] for leg in spoken(proxy)] == ["TLSv1.2", "TLSv1.2"]
    until("the engine's own connection", lambda: versions_of_segue(tls_db) == {"TLSv1.2"})
    assert [leg.split()[0] for leg in spoken(start("&ssl_max_protocol_version=TLSv1.2"))] == ["TLSv1.3", "TLSv1.2"]
    proxy = start(tls_version_min="TLSv1.3")
    assert offered(proxy) is None
    proxy.logged("tls_version_min and tls_version_max")


def test_an_upstream_that_speaks_tls_1_2_only_is_spoken_to_by_its_own_list(private_pg, segue, certs):
    private_pg.enable_tls(certs)
    with private_pg.connect() as conn:
        conn.execute("ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'")
        conn.execute("SELECT pg_reload_conf()")
    url = f"postgresql://postgres@127.0.0.1:{private_pg.port}/postgres?sslmode=require"
    proxy = segue(upstream=url, upstream_tls_ciphers=UPSTREAM_12)
    until("the new configuration", lambda: server_of(proxy) == f"TLSv1.2 {UPSTREAM_12}")


def server_of(proxy):
    with psycopg.connect(proxy.url("postgres"), application_name="secure"):
        return next(r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "secure")["tls_server"]


WRONG = [("client_tls_ciphers", "HIGH:NONSENSE"), ("client_tls_ciphers", "TLS_AES_128_GCM_SHA256"),
         ("upstream_tls_ciphers", "NONSENSE"), ("client_tls13_ciphers", f"{CLIENT_13}:NONSENSE"),
         ("upstream_tls13_ciphers", CLIENT_12), ("client_tls_ciphers", "x" * 1000)]


@pytest.mark.parametrize("option, value", WRONG, ids=[f"{o}-{v[:30]}" for o, v in WRONG])
def test_a_list_with_a_word_that_openssl_does_not_know_is_refused(segue, db, option, value):
    proxy = segue(db, start=False, **{option: value})
    done = subprocess.run(proxy.command(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f'"{option}"' in done.stderr and "a list of ciphers" in done.stderr


def test_words_that_take_away_may_name_what_is_not_there(start):
    proxy = start(client_tls_ciphers="HIGH:!aNULL:!RC4:!NOSUCH:@STRENGTH")
    assert offered(proxy) is not None


def test_a_reload_takes_new_lists_and_keeps_the_old_ones_where_they_are_wrong(start, tmp_path):
    config = tmp_path / "segue.json"
    config.write_text(f'{{"client_tls13_ciphers": "{CLIENT_13}"}}', encoding="ascii")
    proxy = start(arguments=["-c", str(config)])
    assert spoken(proxy)[0] == f"TLSv1.3 {CLIENT_13}"

    def reload(text, says):
        config.write_text(text, encoding="ascii")
        before = proxy.log_text().count(says)
        proxy.signal(signal.SIGHUP)
        until(says, lambda: proxy.log_text().count(says) > before)

    reload('{"client_tls13_ciphers": "NONSENSE"}', "the old configuration stays")
    assert spoken(proxy)[0] == f"TLSv1.3 {CLIENT_13}"
    reload(f'{{"client_tls13_ciphers": "{UPSTREAM_13}"}}', "reload: done")
    assert spoken(proxy)[0] == f"TLSv1.3 {UPSTREAM_13}"
