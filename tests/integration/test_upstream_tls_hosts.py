"""Several hosts and TLS: each is verified by its own name, and waiting works as in plain text."""


import psycopg
import pytest
from lib.churn import Churn
from lib.rawwire import CANCEL, Raw, packet, query
from lib.wait import free_port, until

pytestmark = pytest.mark.one_version


@pytest.fixture(scope="module")
def tls_pg(clusters, pg_version, certs):
    cluster = clusters.private(pg_version)
    cluster.enable_tls(certs, required=True)
    yield cluster
    cluster.crash()


def url(certs, *hosts, mode="verify-full", **more):
    """hosts: (name, port), all of them at 127.0.0.1."""
    words = {
        "host": ",".join(name for name, _ in hosts), "port": ",".join(str(port) for _, port in hosts),
        "hostaddr": ",".join("127.0.0.1" for _ in hosts), "user": "postgres", "dbname": "postgres", "sslmode": mode,
        "sslrootcert": certs.ca, **more,
    }
    return " ".join(f"{word}={value}" for word, value in words.items())


def works(proxy):
    with proxy.connect("postgres") as c:
        return c.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)


def test_the_second_host_is_verified_by_its_own_name(tls_pg, certs, segue):
    assert works(segue(upstream=url(certs, ("no-such-name.example", free_port()), ("localhost", tls_pg.port))))


def test_a_host_whose_certificate_is_anothers_is_passed_over(tls_pg, certs, segue):
    proxy = segue(upstream=url(certs, ("no-such-name.example", tls_pg.port), ("localhost", tls_pg.port)))
    assert works(proxy)
    assert [row["sessions"] for row in proxy.console("SHOW UPSTREAMS")][0] == 0
    assert "no-such-name.example" in proxy.console("SHOW UPSTREAMS")[0]["last_error"]


def test_a_certificate_that_does_not_fit_is_not_waited_for(tls_pg, certs, segue):
    """Time would not cure it."""
    proxy = segue(upstream=url(certs, ("no-such-name.example", tls_pg.port)), upstream_wait_ms=60000)
    with pytest.raises(psycopg.OperationalError, match="no-such-name.example"):
        proxy.connect("postgres", connect_timeout=20)


def test_hosts_are_asked_over_tls_what_they_are(tls_pg, certs, segue):
    proxy = segue(upstream=url(certs, ("localhost", free_port()), ("localhost", tls_pg.port),
                               target_session_attrs="read-write"))
    assert works(proxy)
    until("both", lambda: [row["role"] for row in proxy.console("SHOW UPSTREAMS")] == ["away", "read-write"])


def test_a_cancel_request_finds_its_host_over_tls(tls_pg, certs, segue):
    proxy = segue(upstream=url(certs, ("localhost", free_port()), ("localhost", tls_pg.port)))
    with Raw(proxy.port).login("postgres") as c:
        c.send(query("SELECT pg_sleep(60)"))
        with tls_pg.connect(sslmode="require") as direct:
            until("the statement", lambda: direct.execute(
                "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'").fetchall())
        with Raw(proxy.port) as other:
            other.send(packet(CANCEL, c.key))
            assert other.read() is None
        assert c.error()["C"] == "57014"


def test_a_restart_of_a_tls_upstream_costs_connecting_clients_no_error(tls_pg, certs, segue):
    proxy = segue(upstream=url(certs, ("localhost", tls_pg.port)), upstream_wait_ms=60000)
    clients = Churn(proxy, "postgres")
    for _ in range(2):
        clients.more()
        tls_pg.stop()
        tls_pg.start()
    clients.more()
    clients.stop()
    assert not [e for e in clients.errors if "terminating connection" not in e], clients.errors[:3]
