"""TLS on both legs: every mode of the client's leg with every mode of the upstream's."""

import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import psycopg
import pytest
from lib.cluster import SCRAM_PASSWORD, SCRAM_USER
from lib.rawwire import CANCEL, SSL, Raw, copy_data, packet, query
from lib.wait import free_port, until

pytestmark = pytest.mark.newest_unless_told

LIBPQ18 = Path(__file__).resolve().parents[1] / "node_modules" / "pg18" / "native" / "lib"
MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def upstream(cluster, certs, mode, host="127.0.0.1", **more):
    words = {"sslmode": mode, **more}
    if mode.startswith("verify"):
        words["sslrootcert"] = certs.ca
    return f"postgresql://postgres@{host}:{cluster.port}/postgres?" + "&".join(f"{k}={v}" for k, v in words.items())


def client_tls(certs, mode="prefer"):
    options = {"client_tls": mode, "client_tls_cert_file": certs.server.cert, "client_tls_key_file": certs.server.key}
    if mode.startswith("verify"):
        options["client_tls_ca_file"] = certs.ca
    return options


def client_cert(certs, cn):
    pair = certs.client(cn)
    return {"sslcert": str(pair.cert), "sslkey": str(pair.key)}


def upstream_has_tls(conn):
    return conn.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()[0]


@pytest.mark.parametrize("mode", MODES)
def test_the_upstream_leg_has_tls_as_its_mode_says(tls_pg, certs, segue, mode):
    proxy = segue(upstream=upstream(tls_pg, certs, mode))
    with proxy.connect("postgres") as c:
        assert upstream_has_tls(c) is (mode not in ("disable", "allow"))


@pytest.mark.one_version
@pytest.mark.parametrize("mode", MODES)
def test_an_upstream_without_tls_is_taken_or_refused_as_the_mode_says(db, certs, segue, mode):
    proxy = segue(upstream=upstream(db.cluster, certs, mode), upstream_wait_ms=0)
    if mode in ("disable", "allow", "prefer"):
        with proxy.connect("postgres") as c:
            assert upstream_has_tls(c) is False
    else:
        with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
            proxy.connect("postgres")


@pytest.mark.parametrize("mode", MODES)
def test_an_upstream_that_refuses_plain_text_is_reached_with_tls(tls_only_pg, certs, segue, mode):
    proxy = segue(upstream=upstream(tls_only_pg, certs, mode))
    if mode == "disable":
        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            proxy.connect("postgres")
    else:
        with proxy.connect("postgres") as c:
            assert upstream_has_tls(c) is True


@pytest.mark.one_version
@pytest.mark.parametrize("mode", MODES)
def test_clients_get_tls_as_the_mode_says(db, certs, segue, mode):
    proxy = segue(db, **client_tls(certs, mode))
    cert = client_cert(certs, "postgres")
    if mode == "disable":
        with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
            proxy.connect(sslmode="require")
    else:
        with proxy.connect(sslmode="verify-full", sslrootcert=str(certs.ca), **cert) as c:
            assert c.pgconn.ssl_in_use and c.execute("SELECT 1").fetchone() == (1,)
    if mode in ("disable", "allow", "prefer"):
        with proxy.connect(sslmode="disable") as c:
            assert not c.pgconn.ssl_in_use
    else:
        with pytest.raises(psycopg.OperationalError, match="sslmode=require") as refused:
            proxy.connect(sslmode="disable")
        assert "without TLS" in str(refused.value)


@pytest.mark.one_version
def test_without_a_certificate_of_its_own_segue_offers_no_tls(db, segue):
    proxy = segue(db)
    with Raw(proxy.port) as c:
        assert c.send(packet(SSL)).take(1) == b"N"
        c.login(db.name)


@pytest.mark.one_version
def test_verifying_modes_want_a_client_certificate_and_the_full_one_its_name(db, certs, segue):
    any_of_ours, named = segue(db, **client_tls(certs, "verify-ca")), segue(db, **client_tls(certs, "verify-full"))
    for proxy in any_of_ours, named:
        with pytest.raises(psycopg.OperationalError, match="valid client certificate"):
            proxy.connect(sslmode="require", sslcert="/none")
        with pytest.raises(psycopg.OperationalError):
            proxy.connect(sslmode="require", sslcert=str(certs.revoked.cert), sslkey=str(certs.server.key))
    with any_of_ours.connect(sslmode="require", **client_cert(certs, "somebody")) as c:
        assert c.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match='certificate authentication failed for user "postgres"'):
        named.connect(sslmode="require", **client_cert(certs, "somebody"))


@pytest.mark.one_version
def test_a_server_that_wants_a_client_certificate_is_not_taken_for_one_that_nobody_vouches_for(db, certs, segue):
    proxy = segue(db, **client_tls(certs, "verify-full"))
    for how in ({"sslcert": "/none"}, client_cert(certs, "somebody")):
        url = proxy.url() + "?" + "&".join(f"{k}={v}" for k, v in {"sslmode": "require", **how}.items())
        (row,) = json.loads(proxy.cli("doctor", "--upstream", url, "--json", check=1, server=False).out)
        assert row["finding"] == "client certificate wanted" and "sslcert=FILE and sslkey=FILE" in row["hint"], row


@pytest.mark.one_version
def test_the_map_says_whose_a_common_name_is(db, certs, segue):
    proxy = segue(db, cert_map="somebody=postgres,somebody=app,postgres=app", **client_tls(certs, "verify-full"))
    for user in "postgres", "app":
        with proxy.connect(user=user, sslmode="require", **client_cert(certs, "somebody")) as c:
            assert c.execute("SELECT current_user").fetchone() == (user,)
    with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
        proxy.connect(user="postgres", sslmode="require", **client_cert(certs, "postgres"))


@pytest.mark.one_version
def test_a_wrong_name_or_authority_of_the_upstream_is_refused(tls_pg, certs, segue):
    cases = (
        upstream(tls_pg, certs, "verify-full", host="wrong.example", hostaddr="127.0.0.1"),
        upstream(tls_pg, certs, "verify-ca").replace(str(certs.ca), str(certs.other.ca)),
    )
    for url in cases:
        proxy = segue(upstream=url, upstream_wait_ms=0)
        with pytest.raises(psycopg.OperationalError, match="certificate"):
            proxy.connect("postgres")
    for url, finding, hint in ((cases[0], "certificate refused", "as the certificate does"), (cases[1], "certificate refused", "sslrootcert=FILE"),
                               ("postgresql://postgres@nowhere.invalid/postgres", "host name unknown", "correct the host")):
        (row,) = json.loads(proxy.cli("doctor", "--upstream", url, "--json", check=1, server=False).out)
        assert row["finding"] == finding and hint in row["hint"] and row["command"].startswith("psql "), row
    proxy = segue(upstream=upstream(tls_pg, certs, "verify-ca", host="wrong.example", hostaddr="127.0.0.1"))
    with proxy.connect("postgres") as c:
        assert upstream_has_tls(c)


@pytest.mark.one_version
def test_what_the_doctor_says_to_run_has_the_tls_of_the_url(tls_pg, certs, segue):
    with tls_pg.connect(autocommit=True) as admin:
        admin.execute("CREATE ROLE tls_weak LOGIN")
        try:
            url = upstream(tls_pg, certs, "verify-ca")
            done = segue(upstream=url).cli("doctor", "--upstream", url.replace("postgres@", "tls_weak@"), "--json", check=1, server=False)
            (row,) = [r for r in json.loads(done.out) if r["finding"] == "privilege missing"]
            assert f"?sslmode=verify-ca&sslrootcert={certs.ca}'" in row["command"], row
            mine = client_cert(certs, "tls_weak")
            url = upstream(tls_pg, certs, "verify-ca", host="wrong.example", hostaddr="127.0.0.1", **mine).replace("postgres@", "tls_weak@")
            done = segue(upstream=url).cli("doctor", "--upstream", url, "--json", check=1, server=False)
            (row,) = [r for r in json.loads(done.out) if r["finding"] == "privilege missing"]
            for part in ("hostaddr=127.0.0.1", f"sslcert={mine['sslcert']}", f"sslkey={mine['sslkey']}"):
                assert part in row["command"], row
        finally:
            admin.execute("DROP ROLE tls_weak")


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_large_results_and_copies_pass_through_two_tls_legs(tls_pg, certs, segue, sslmode):
    proxy = segue(upstream=upstream(tls_pg, certs, "verify-full"), **client_tls(certs))
    with proxy.connect("postgres", sslmode=sslmode) as c:
        assert len(c.execute("SELECT repeat('x', 20000000)").fetchone()[0]) == 20000000
        c.execute("CREATE TEMP TABLE t (a text)")
        with c.cursor().copy("COPY t FROM STDIN") as copy:
            for _ in range(50):
                copy.write(("y" * 99999 + "\n") * 4)
        assert c.execute("SELECT count(*), sum(length(a)) FROM t").fetchone() == (200, 200 * 99999)
        with c.cursor().copy("COPY t TO STDOUT") as copy:
            assert sum(len(bytes(part)) for part in copy) == 200 * 100000


def test_a_cancel_request_goes_over_tls_where_the_upstream_has_it(tls_only_pg, certs, segue):
    proxy = segue(upstream=upstream(tls_only_pg, certs, "require"), **client_tls(certs, "require"))
    with proxy.connect("postgres", sslmode="require") as c, tls_only_pg.connect() as watch:

        def cancel():
            until("the statement", lambda: watch.execute(
                "SELECT state = 'active' FROM pg_stat_activity WHERE pid = %s", (c.info.backend_pid,)).fetchone()[0])
            c.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            c.execute("SELECT pg_sleep(30)")
        canceller.join()


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_the_last_words_of_a_server_arrive_while_it_is_written_to(tls_pg, certs, segue, mode):
    """It does not read any more: writing fails before its words are read."""
    proxy = segue(upstream=upstream(tls_pg, certs, mode))
    done = threading.Event()

    def write(to):
        try:
            while not done.is_set():
                to.sendall(copy_data("x" * 8000 + "\n"))
        except OSError:
            pass

    with tls_pg.connect() as other, Raw(proxy.port).login("postgres") as c:
        c.send(query("CREATE TEMP TABLE t (a text)")).until_ready()
        assert c.send(query("COPY t FROM STDIN")).read()[0] == "G"
        writer = threading.Thread(target=write, args=(c.sock,))
        writer.start()
        try:
            time.sleep(0.2)
            other.execute("SELECT pg_terminate_backend(%s)", (struct.unpack("!I", c.key[:4])[0],))
            assert (c.error() or {}).get("C") == "57P01"
        finally:
            done.set()
            writer.join()


@pytest.mark.parametrize("tls", [False, True], ids=["plaintext", "tls"])
def test_a_cancel_request_whose_sender_closes_at_once_arrives(tls_only_pg, certs, segue, tls):
    """As tokio-postgres does. The way to the upstream, a handshake long, goes on without its client."""
    proxy = segue(upstream=upstream(tls_only_pg, certs, "require"), **client_tls(certs))
    with Raw(proxy.port).login("postgres") as c:
        c.send(query("SELECT pg_sleep(30)"))
        with tls_only_pg.connect() as watch:
            until("the statement", lambda: watch.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'").fetchone() == (1,))
        sender = direct(proxy.port, certs) if tls else Raw(proxy.port)
        sender.send(packet(CANCEL, c.key))
        sender.sock.close()
        assert c.error()["C"] == "57014"
        assert c.until_ready() == "ZI"


def direct(port, certs, alpn=("postgresql",), first=b""):
    """TLS without having asked for it; `first`: a request, refused with N, before that."""
    context = ssl.create_default_context(cafile=str(certs.ca))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    raw = Raw.__new__(Raw)
    raw.sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    raw.left, raw.key = b"", None
    if first:
        assert raw.send(first).take(1) == b"N"
    raw.sock = context.wrap_socket(raw.sock, server_hostname="localhost")
    return raw


@pytest.mark.one_version
def test_direct_tls_is_understood_with_its_protocol_named(db, certs, segue):
    proxy = segue(db, **client_tls(certs, "require"))
    with direct(proxy.port, certs) as c:
        assert c.sock.selected_alpn_protocol() == "postgresql"
        c.login(db.name).send(query("SELECT 1"))
        assert c.until_ready() == "TDCZI"


@pytest.mark.versions(18)
def test_libpq_18_connects_with_direct_negotiation_on_both_legs(tls_pg, certs, segue):
    proxy = segue(upstream=upstream(tls_pg, certs, "verify-full"), upstream_tls_negotiation="direct", **client_tls(certs))
    done = subprocess.run(
        ["/usr/lib/postgresql/15/bin/psql", "-XAtc", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
         f"host=localhost hostaddr=127.0.0.1 port={proxy.port} user=postgres dbname=postgres sslmode=verify-full "
         f"sslrootcert={certs.ca} sslnegotiation=direct"],
        capture_output=True, text=True, env={**os.environ, "LD_LIBRARY_PATH": str(LIBPQ18)}, timeout=30)
    assert (done.stdout, done.returncode) == ("t\n", 0), done.stderr


@pytest.mark.versions(15)
def test_direct_negotiation_with_an_upstream_that_does_not_know_it_is_an_error(tls_pg, certs, segue):
    proxy = segue(upstream=upstream(tls_pg, certs, "require"), upstream_tls_negotiation="direct", upstream_wait_ms=0)
    with pytest.raises(psycopg.OperationalError, match="cannot connect to the upstream"):
        proxy.connect("postgres")


@pytest.mark.one_version
def test_a_unix_socket_upstream_needs_no_tls(db, segue):
    folder = db.one("SHOW unix_socket_directories")
    proxy = segue(upstream=f"postgresql://postgres@/{db.name}?host={folder}&port={db.cluster.port}&sslmode=require")
    with proxy.connect(db.name) as c:
        assert c.execute("SELECT inet_client_addr()").fetchone() == (None,)


@pytest.mark.one_version
def test_new_files_take_effect_on_sighup_and_a_bad_one_changes_nothing(db, certs, segue, tmp_path):
    import shutil
    import signal

    cert, key = tmp_path / "cert", tmp_path / "key"
    shutil.copy(certs.server.cert, cert), shutil.copy(certs.server.key, key)
    proxy = segue(db, client_tls="require", client_tls_cert_file=cert, client_tls_key_file=key)

    def shown():
        with direct(proxy.port, certs) as c:
            return c.sock.getpeercert(binary_form=True)

    first = shown()
    with proxy.connect(sslmode="require") as old:
        cert.write_text("not a certificate")
        proxy.signal(signal.SIGHUP)
        proxy.logged("the old configuration stays")
        assert shown() == first
        renewed = certs.issue("renewed", "localhost", ("DNS:localhost",))
        shutil.copy(renewed.cert, cert), shutil.copy(renewed.key, key)
        proxy.signal(signal.SIGHUP)
        until("the new certificate", lambda: shown() != first)
        assert old.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.one_version
@pytest.mark.parametrize("options, text", [
    ({"client_tls": "require"}, "there is no certificate"),
    ({"auth": "scram"}, "no user list"),
    ({"auth": "password"}, "inside TLS only"),
    ({"auth": "cert"}, "cannot show certificates"),
    ({"client_tls_cert_file": "/nowhere", "client_tls_key_file": "/nowhere"}, '"/nowhere": No such file'),
])
def test_options_that_contradict_stop_the_start(segue, options, text):
    proxy = segue(upstream=f"postgresql://postgres@127.0.0.1:{free_port()}/postgres", start=False, **options)
    done = subprocess.run(proxy.command(), capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and text in done.stderr
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr


def test_scram_passes_with_the_users_password_over_plain_and_tls_legs(tls_pg, certs, segue):
    proxy = segue(upstream=upstream(tls_pg, certs, "disable"), **client_tls(certs))
    for sslmode in "disable", "require":
        with proxy.connect("postgres", user=SCRAM_USER, password=SCRAM_PASSWORD, sslmode=sslmode) as c:
            assert c.execute("SELECT current_user").fetchone() == (SCRAM_USER,)


@pytest.mark.one_version
def test_unix_sockets_have_no_tls_and_are_not_refused_for_it(db, certs, segue, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sockets")
    proxy = segue(db, arguments=["--listen", f"127.0.0.1:0,{folder}:6432"], **client_tls(certs, "verify-full"))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(f"{folder}/.s.PGSQL.6432")
        sock.sendall(packet(SSL))
        assert sock.recv(1) == b"N"
    with psycopg.connect(host=str(folder), port=6432, dbname=db.name, user="postgres") as c:
        assert c.execute("SELECT 1").fetchone() == (1,)
    assert proxy.running()
