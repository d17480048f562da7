"""An upstream as Neon is: TLS alone, routed by the name in the ClientHello, SCRAM with channel binding."""

import socket
import struct

import psycopg
import pytest
from lib.cluster import SCRAM_PASSWORD, SCRAM_USER
from lib.played import Played, exactly, relay
from lib.rawwire import SSL, packet
from lib.wait import until
from test_tls_legs import client_tls

pytestmark = pytest.mark.newest_unless_told

HOST = "ep-cool-darkness-123456.eu.aws.neon.example"


def server_name(record):
    """The SNI of a ClientHello record; None without."""
    at = 5 + 4 + 2 + 32
    at += 1 + record[at]
    at += 2 + struct.unpack_from("!H", record, at)[0]
    at += 1 + record[at]
    end = at + 2 + struct.unpack_from("!H", record, at)[0]
    at += 2
    while at < end:
        kind, length = struct.unpack_from("!HH", record, at)
        if kind == 0:
            return record[at + 9:at + 4 + length].decode()
        at += 4 + length
    return None


class Router(Played):
    """Answers SSLRequest itself, reads the name, and only then connects to the server of that name."""

    def __init__(self, servers):
        self.servers = servers
        self.names = []
        super().__init__()

    def serve(self, sock):
        if exactly(sock, 8) != packet(SSL):
            return
        sock.sendall(b"S")
        head = exactly(sock, 5)
        record = head + exactly(sock, struct.unpack_from("!H", head, 3)[0])
        name = server_name(record)
        self.names.append(name)
        if name not in self.servers:
            return
        with socket.create_connection(("127.0.0.1", self.servers[name])) as behind:
            behind.sendall(packet(SSL))
            if behind.recv(1) != b"S":
                return
            behind.sendall(record)
            relay(sock, behind)


@pytest.fixture(scope="module")
def neon(clusters, pg_version, certs):
    cluster = clusters.private(pg_version)
    cluster.enable_tls(certs)
    hba = "local all all trust\nhostssl all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
    (cluster.data / "pg_hba.conf").write_text(hba, encoding="utf-8")
    with cluster.connect(sslmode="require") as c:
        c.execute("SELECT pg_reload_conf()")
        c.execute(f"CREATE DATABASE neondb OWNER {SCRAM_USER}")

    def plain_is_refused():
        try:
            cluster.connect(sslmode="disable").close()
        except psycopg.OperationalError:
            return True
        return False

    until("pg_hba.conf", plain_is_refused)
    router = Router({HOST: cluster.port})
    yield router
    router.close()
    cluster.crash()


def url(router, certs, host=HOST, **more):
    words = {"sslmode": "verify-full", "sslrootcert": certs.ca, "channel_binding": "require", "hostaddr": "127.0.0.1", **more}
    password = SCRAM_PASSWORD.replace(" ", "%20")
    return f"postgresql://{SCRAM_USER}:{password}@{host}:{router.port}/neondb?" + "&".join(f"{k}={v}" for k, v in words.items())


def userlist(folder, *lines):
    path = folder / "userlist.txt"
    path.write_text("".join(f'"{name}" "{secret}"\n' for name, secret in lines), encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_password_given_inside_tls_logs_in_with_channel_binding(neon, certs, segue):
    proxy = segue(upstream=url(neon, certs), auth="password", **client_tls(certs))
    with proxy.connect("neondb", user=SCRAM_USER, password=SCRAM_PASSWORD, sslmode="require") as c:
        assert c.execute("SELECT current_user, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())").fetchone() == (
            SCRAM_USER, True)
        c.execute("CREATE TABLE t (a int)")
    assert set(neon.names) == {HOST}
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "scram_user"'):
        proxy.connect("neondb", user=SCRAM_USER, password="wrong", sslmode="require")
    with pytest.raises(psycopg.OperationalError, match="inside TLS only"):
        proxy.connect("neondb", user=SCRAM_USER, password=SCRAM_PASSWORD, sslmode="disable")
    # the control plane speaks libpq to the same URL
    proxy.logged("the engine is connected")


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_scram_with_a_listed_password_logs_in_with_channel_binding(neon, certs, segue, tmp_path, sslmode):
    proxy = segue(upstream=url(neon, certs), auth="scram", auth_file=userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD)),
                  **client_tls(certs))
    binding = {"channel_binding": "require"} if sslmode == "require" else {}
    with proxy.connect("neondb", user=SCRAM_USER, password=SCRAM_PASSWORD, sslmode=sslmode, **binding) as c:
        assert c.execute("SELECT current_user").fetchone() == (SCRAM_USER,)
    for user, password in (SCRAM_USER, "wrong"), ("nobody", SCRAM_PASSWORD):
        with pytest.raises(psycopg.OperationalError, match=f'password authentication failed for user "{user}"'):
            proxy.connect("neondb", user=user, password=password, sslmode=sslmode)


def test_a_host_that_the_router_does_not_know_is_an_error_that_names_it(neon, certs, segue):
    proxy = segue(upstream=url(neon, certs, host="ep-unknown.eu.aws.neon.example"), auth="password", upstream_wait_ms=0,
                  **client_tls(certs))
    with pytest.raises(psycopg.OperationalError, match="ep-unknown"):
        proxy.connect("neondb", user=SCRAM_USER, password=SCRAM_PASSWORD, sslmode="require")
    assert "ep-unknown.eu.aws.neon.example" in neon.names


def test_without_channel_binding_on_offer_a_url_that_requires_it_is_refused(db, certs, segue, tmp_path):
    proxy = segue(upstream=f"{db.url()}?channel_binding=require&sslmode=prefer", auth="scram",
                  auth_file=userlist(tmp_path, (SCRAM_USER, SCRAM_PASSWORD)), upstream_wait_ms=0)
    with pytest.raises(psycopg.OperationalError, match="does not offer channel binding"):
        proxy.connect(user=SCRAM_USER, password=SCRAM_PASSWORD)


def test_with_sslsni_off_the_name_is_not_said_but_checked(neon, certs, segue):
    router = Router({None: neon.servers[HOST]})
    proxy = segue(upstream=url(router, certs, sslsni=0), auth="password", **client_tls(certs))
    proxy.connect("neondb", user=SCRAM_USER, password=SCRAM_PASSWORD, sslmode="require").close()
    assert set(router.names) == {None}
    router.close()


def test_an_upstream_that_lets_everybody_in_is_refused_where_channel_binding_is_required(neon, certs, segue, tmp_path):
    proxy = segue(upstream=url(neon, certs), auth="scram", auth_file=userlist(tmp_path, ("postgres", "pw")), **client_tls(certs))
    with pytest.raises(psycopg.OperationalError, match="without channel binding"):
        proxy.connect("neondb", user="postgres", password="pw", sslmode="require")
