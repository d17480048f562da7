"""SIGHUP with new certificates: who is connected stays, who comes sees the new one."""

import hashlib
import shutil
import signal
import socket
import ssl
import struct

import psycopg
import pytest
from lib.certs import SERVER_NAMES
from lib.wait import until

pytestmark = pytest.mark.one_version

SSL_REQUEST = struct.pack("!II", 8, 80877103)


@pytest.fixture
def served(certs, tmp_path):
    """Copies of the server's files, to be overwritten."""
    files = {"cert": tmp_path / "server.crt", "key": tmp_path / "server.key"}
    put(files, certs.server)
    return files


def put(files, pair):
    for end, source in (("cert", pair.cert), ("key", pair.key)):
        shutil.copyfile(source, files[end])
        files[end].chmod(0o600)


def start(segue, db, served, **options):
    return segue(db, client_tls="require", client_tls_cert_file=served["cert"], client_tls_key_file=served["key"],
                 **options)


def reload(proxy, says):
    before = proxy.log_text().count(says)
    proxy.signal(signal.SIGHUP)
    until(says, lambda: proxy.log_text().count(says) > before, 10)


def shown(proxy):
    """The certificate that a new client sees, as a fingerprint."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()


def test_a_new_certificate_is_shown_to_new_clients_and_the_old_ones_stay(db, segue, certs, served):
    proxy = start(segue, db, served)
    assert shown(proxy) == certs.fingerprint(certs.server.cert)
    conn = proxy.connect(sslmode="require")
    conn.execute("CREATE TEMP TABLE mine AS SELECT 42 AS n")
    new = certs.issue("renewed", "localhost", SERVER_NAMES)
    put(served, new)
    reload(proxy, "reload: done")
    assert shown(proxy) == certs.fingerprint(new.cert)
    assert conn.execute("SELECT n FROM mine").fetchone() == (42,)
    assert conn.execute("SELECT sum(n) FROM generate_series(1, 200000) n").fetchone() == (20000100000,)
    proxy.connect(sslmode="verify-full", sslrootcert=str(certs.ca)).close()


def test_a_broken_file_keeps_the_old_certificate_and_says_so(db, segue, certs, served):
    proxy = start(segue, db, served)
    conn = proxy.connect(sslmode="require")
    before = shown(proxy)
    served["cert"].write_text("-----BEGIN CERTIFICATE-----\nno\n", encoding="ascii")
    reload(proxy, "the old configuration stays")
    assert f'cannot load the certificate "{served["cert"]}"' in proxy.log_text()
    assert shown(proxy) == before
    put(served, certs.server)
    shutil.copyfile(certs.client("app").key, served["key"])
    reload(proxy, "the old configuration stays")
    assert "is not that of the certificate" in proxy.log_text()
    put(served, certs.server)
    served["key"].chmod(0o644)
    reload(proxy, "the old configuration stays")
    assert "has group or world access" in proxy.log_text()
    assert shown(proxy) == before
    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_clients_revoked_since_are_refused_after_a_reload(db, segue, certs, served, tmp_path):
    crl = tmp_path / "clients.crl"
    shutil.copyfile(certs.other.crl, crl)
    app = certs.other.issue("app", "app", usage="clientAuth")
    proxy = start(segue, db, served, client_tls_ca_file=certs.other.ca, client_tls_crl_file=crl)
    give = {"sslmode": "require", "sslcert": str(app.cert), "sslkey": str(app.key)}
    conn = proxy.connect(**give)
    certs.other.revoke(app)
    shutil.copyfile(certs.other.crl, crl)
    proxy.connect(**give).close()
    reload(proxy, "reload: done")
    with pytest.raises(psycopg.OperationalError, match="revoked"):
        proxy.connect(**give)
    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_session_is_resumed_over_a_reload(db, segue, certs, served):
    """One ticket fits every worker, and the next context."""
    proxy = start(segue, db, served, workers=2)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # the ticket comes with the handshake

    def visit(session):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as plain:
            plain.sendall(SSL_REQUEST)
            assert plain.recv(1) == b"S"
            with context.wrap_socket(plain, session=session) as tls:
                return tls.session_reused, tls.session

    reused, session = visit(None)
    assert not reused
    assert [visit(session)[0] for _ in range(8)] == [True] * 8
    put(served, certs.issue("again", "localhost", SERVER_NAMES))
    reload(proxy, "reload: done")
    assert [visit(session)[0] for _ in range(4)] == [True] * 4
