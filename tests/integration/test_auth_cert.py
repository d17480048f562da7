"""auth = cert: a client certificate names the user; segue logs in by the list."""

import signal

import psycopg
import pytest
from lib.auth import PASSWORDS, armed, passwords_of, refused, stored, write_list

pytestmark = pytest.mark.newest_unless_told


@pytest.fixture
def tls_pg(clusters, pg_version, certs):
    return armed(clusters, pg_version, certs)


@pytest.fixture
def believing(segue, tls_pg, certs, tmp_path):
    """A function: segue that believes certificates and logs in with a list of secrets."""

    def start(secrets, **options):
        options = {"failed_login_delay_ms": 0, "client_tls": "verify-full", "client_tls_cert_file": certs.server.cert,
                   "client_tls_key_file": certs.server.key, "client_tls_ca_file": certs.ca,
                   "client_tls_crl_file": certs.crl, **options}
        return segue(upstream=tls_pg.url() + "?sslmode=require&channel_binding=require", auth="cert",
                     auth_file=write_list(tmp_path / "userlist.txt", secrets), **options)

    return start


def shown(pair):
    return {"sslmode": "require", "sslcert": str(pair.cert), "sslkey": str(pair.key)}


def who(proxy, name, pair):
    with proxy.connect("postgres", name, **shown(pair)) as conn:
        return conn.execute("SELECT current_user").fetchone()[0]


def test_a_certificate_with_the_users_name_logs_in_without_a_password(believing, certs):
    proxy = believing(passwords_of("alice"))
    assert who(proxy, "alice", certs.client("alice")) == "alice"


def test_a_map_says_which_users_a_certificate_may_be(believing, certs):
    proxy = believing(passwords_of("alice", "zoe"), cert_map="app.example=alice,app.example=zoe,alice=zoe")
    assert who(proxy, "alice", certs.client("app.example")) == "alice"
    assert who(proxy, "zoe", certs.client("app.example")) == "zoe"
    assert who(proxy, "zoe", certs.client("alice")) == "zoe"
    with refused() as told:  # a name in the map is what the map says, no more
        who(proxy, "alice", certs.client("alice"))
    assert 'certificate authentication failed for user "alice"' in told.text


def test_a_row_of_the_map_is_divided_by_its_last_sign(believing, certs):
    proxy = believing(passwords_of("alice"), cert_map="dc=example=alice,app=dc=alice")
    assert who(proxy, "alice", certs.client("dc=example")) == "alice"
    assert who(proxy, "alice", certs.client("app=dc")) == "alice"
    for cn, user in ("dc", "example=alice"), ("app", "dc=alice"):
        with refused() as told:
            who(proxy, user, certs.client(cn))
        assert f'certificate authentication failed for user "{user}"' in told.text


def test_a_certificate_of_somebody_else_is_refused_with_a_hint(believing, certs):
    proxy = believing(passwords_of("alice", "zoe"))
    with refused() as told:
        who(proxy, "zoe", certs.client("alice"))
    assert 'certificate authentication failed for user "zoe"' in told.text
    assert "HINT:" in told.text and "cert_map" in told.text


def test_no_certificate_a_revoked_one_and_no_tls_are_refused(believing, certs, tmp_path):
    proxy = believing(passwords_of("alice"))
    none = {"sslmode": "require", "sslcert": str(tmp_path / "none.crt"), "sslkey": str(tmp_path / "none.key")}
    with refused() as told:
        proxy.connect("postgres", "alice", password=PASSWORDS["alice"], **none)
    assert "connection requires a valid client certificate" in told.text
    assert "HINT:" in told.text and "sslcert and sslkey" in told.text and "cert_map" not in told.text
    with refused() as told:
        proxy.connect("postgres", "alice", password=PASSWORDS["alice"], sslmode="disable")
    assert "connection requires a valid client certificate" in told.text
    assert "sslmode=require, sslcert and sslkey" in told.text and "cert_map" not in told.text
    with pytest.raises(psycopg.OperationalError):
        proxy.connect("postgres", "app", **shown(certs.revoked))


def test_a_user_whose_password_the_list_does_not_have_is_refused_with_a_hint(believing, certs, tls_pg):
    proxy = believing({"zoe": stored(tls_pg, "zoe")})
    for name in ("alice", "zoe"):  # not in it; with a verifier, from which no key is to be had
        with refused() as told:
            who(proxy, name, certs.client(name))
        assert "segue cannot log in to the upstream" in told.text
        assert "HINT:" in told.text and "auth_file" in told.text


def test_users_of_whom_the_list_has_a_verifier_only_are_counted_at_start_and_reload(believing, tls_pg, tmp_path):
    proxy = believing({"zoe": stored(tls_pg, "zoe"), "mia": stored(tls_pg, "mia"), "ann": "", **passwords_of("alice")})
    log = proxy.logged("in place of the password")
    assert f"2 users in {tmp_path / 'userlist.txt'} have a verifier" in log and "put their passwords there" in log
    write_list(tmp_path / "userlist.txt", passwords_of("alice", "zoe", "mia"))
    proxy.signal(signal.SIGHUP)
    assert proxy.logged("reload: done").count("in place of the password") == 1


def test_the_console_believes_certificates_too(believing, certs):
    proxy = believing(passwords_of("alice"))
    with proxy.connect("segue", "alice", prepare_threshold=None, **shown(certs.client("alice"))) as conn:
        assert conn.execute(b"SHOW STATUS").fetchall() == []
    with refused() as told:
        proxy.connect("segue", "zoe", **shown(certs.client("alice")))
    assert "certificate authentication failed" in told.text
