"""SIGHUP with new certificates: who is connected stays, who comes sees the new one."""

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import ssl
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest
from lib.certs import SERVER_NAMES
from lib.resume import SSL_REQUEST, Resumer
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version


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
    return segue(db, **{"client_tls": "require", "client_tls_cert_file": served["cert"], "client_tls_key_file": served["key"],
                        **options})


def reload(proxy, says):
    before = proxy.log_text().count(says)
    proxy.signal(signal.SIGHUP)
    until(says, lambda: proxy.log_text().count(says) > before)


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


def test_who_vouches_for_the_upstream_is_read_again_too(tls_db, segue, certs, tmp_path):
    root = tmp_path / "root.crt"
    shutil.copyfile(certs.other.ca, root)
    proxy = segue(upstream=f"{tls_db.url()}?sslmode=verify-full&sslrootcert={root}")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        proxy.connect(tls_db.name)
    shutil.copyfile(certs.ca, root)
    reload(proxy, "reload: done")
    proxy.connect(tls_db.name).close()


def test_a_broken_file_keeps_the_old_certificate_and_says_so(db, segue, certs, served):
    proxy = start(segue, db, served)
    conn = proxy.connect(sslmode="require")
    before = shown(proxy)
    served["cert"].write_text("-----BEGIN CERTIFICATE-----\nno\n", encoding="ascii")
    reload(proxy, "the old configuration stays")
    proxy.logged(f'cannot load the certificate "{served["cert"]}"')
    assert shown(proxy) == before
    put(served, certs.server)
    shutil.copyfile(certs.client("app").key, served["key"])
    reload(proxy, "the old configuration stays")
    proxy.logged("is not that of the certificate")
    put(served, certs.server)
    served["key"].chmod(0o644)
    reload(proxy, "the old configuration stays")
    proxy.logged("has group or world access")
    assert shown(proxy) == before
    assert conn.execute("SELECT 1").fetchone() == (1,)


@contextmanager
def clients_that_come(proxy, **options):
    """All the time; gives the number of those served. None may see an error."""
    served, errors, stop = [], [], threading.Event()

    def come():
        while not stop.is_set():
            try:
                with proxy.connect(connect_timeout=20, **options) as conn:
                    served.append(conn.execute("SELECT 1").fetchone())
            except psycopg.Error as error:
                errors.append(str(error))
            time.sleep(0.01)

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield served
    finally:
        stop.set()
        thread.join()
    assert errors == []


def bound_by_modes(command):
    """Root reads everything; without this right it is as others are."""
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command] if os.geteuid() == 0 else command


def spoil_directory(path):
    path.unlink()
    path.mkdir()


def spoil_fifo(path):
    path.unlink()
    os.mkfifo(path)


WRONG_KINDS = [spoil_directory, spoil_fifo, lambda path: path.write_bytes(b""), lambda path: path.chmod(0),
               lambda path: path.write_bytes(b"\0nothing"), lambda path: path.unlink()]


def test_a_file_of_any_wrong_kind_keeps_the_old_ones_and_no_client_notices(db, segue, certs, tmp_path):
    """A folder, a FIFO that nobody writes, an empty one, one that may not be read, another's bytes, none."""
    folder = tmp_path / "files"
    files = {name: folder / name for name in ("cert", "key", "ca", "users")}

    def good():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, source in (("cert", certs.server.cert), ("key", certs.server.key), ("ca", certs.ca)):
            shutil.copyfile(source, files[name])
        files["users"].write_text('"postgres" "secret"\n', encoding="ascii")
        for path in files.values():
            path.chmod(0o600)

    good()
    mine = certs.client("postgres")
    proxy = start(segue, db, files, start=False, client_tls_ca_file=files["ca"], auth="scram", auth_file=files["users"])
    command = bound_by_modes(proxy.command())
    proxy.command = lambda: command
    proxy.start()
    with clients_that_come(proxy, sslmode="verify-ca", sslrootcert=str(certs.ca), password="secret",
                           sslcert=str(mine.cert), sslkey=str(mine.key)) as served_so_far:
        for path in files.values():
            for spoil in WRONG_KINDS:
                good()
                spoil(path)
                before, seen = len(proxy.log_text()), len(served_so_far)
                reload(proxy, "the old configuration stays")
                until("a client after it", lambda seen=seen: len(served_so_far) > seen)
                said = [line for line in proxy.log_text()[before:].splitlines() if "reload" in line]
                assert len(said) == 1 and str(path) in said[0], said
        good()
        reload(proxy, "reload: done")


def test_files_swapped_by_a_link_are_taken_together_or_not_at_all(db, segue, certs, tmp_path):
    link, pairs = tmp_path / "now", [certs.server, certs.issue("turn", "localhost", SERVER_NAMES)]
    for number, pair in enumerate(pairs):
        (tmp_path / str(number)).mkdir()
        put({"cert": tmp_path / str(number) / "cert", "key": tmp_path / str(number) / "key"}, pair)

    def point_at(number):
        (tmp_path / "next").symlink_to(tmp_path / str(number))
        os.replace(tmp_path / "next", link)

    point_at(0)
    proxy = start(segue, db, {"cert": link / "cert", "key": link / "key"})
    with clients_that_come(proxy, sslmode="verify-full", sslrootcert=str(certs.ca)):
        for turn in range(200):
            point_at(turn % 2)
            proxy.signal(signal.SIGHUP)
        reload(proxy, "reload: done")
        # that line may be of a signal before the last one
        until("the last ones", lambda: shown(proxy) == certs.fingerprint(pairs[1].cert))
    refused = [line for line in proxy.log_text().splitlines() if "old configuration stays" in line]
    assert all("is not that of the certificate" in line for line in refused)


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
    client = Resumer(proxy)
    reused, session = client.visit()
    assert not reused
    assert [client.visit(session)[0] for _ in range(8)] == [True] * 8
    put(served, certs.issue("again", "localhost", SERVER_NAMES))
    reload(proxy, "reload: done")
    assert [client.visit(session)[0] for _ in range(4)] == [True] * 4


def test_a_session_outlives_one_key_of_tickets_and_no_more(db, segue, served):
    """The next key renews the ticket; what only the first one can read is no error, but begins anew."""
    proxy = start(segue, db, served, workers=2, client_tls_ticket_key_s=5)
    client = Resumer(proxy)
    first = latest = client.visit()[1]

    def renewed():
        nonlocal latest
        reused, latest = client.visit(latest)
        assert reused
        return latest.id != first.id

    until("a new key renews the ticket", renewed, 20)
    assert client.visit(first)[0]
    until("the first key is gone", lambda: not client.visit(first)[0], 20)
    assert client.visit(latest)[0]


@contextmanager
def slow_to_open(path):
    """As on a server of files that hangs: who opens it (an event says so) waits until the block ends (45 s at most)."""
    opened = threading.Event()
    before = signal.signal(signal.SIGIO, lambda *_: opened.set())
    try:
        with open(path, "r+b") as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            yield opened
    finally:
        signal.signal(signal.SIGIO, before)


def test_nobody_but_the_reload_waits_for_its_files(db, segue, served):
    proxy = start(segue, db, served, client_tls="prefer", workers=1)
    with slow_to_open(served["cert"]) as opened:
        proxy.signal(signal.SIGHUP)
        assert opened.wait(20 * SLOW)
        asked = threading.Thread(target=proxy.console, args=("SHOW CONFIG",), daemon=True)
        asked.start()
        asked.join(10 * SLOW)
        waits = asked.is_alive()
    proxy.logged("reload: done")
    assert not waits
