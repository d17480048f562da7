"""What the console says of TLS, and of an engine without its connection."""

import psycopg
import pytest
from lib.cluster import MD5_USER
from lib.rawwire import Raw, query
from lib.wait import free_port, until

pytestmark = pytest.mark.one_version


@pytest.fixture(scope="module")
def tls_pg(clusters, pg_version, certs):
    cluster = clusters.private(pg_version)
    cluster.enable_tls(certs)
    yield cluster
    cluster.crash()


def legs(proxy):
    return {r["leg"]: r for r in proxy.console("SHOW TLS")}


def test_both_legs_show_mode_certificate_and_handshakes(tls_pg, certs, segue):
    proxy = segue(upstream=f"postgresql://postgres@127.0.0.1:{tls_pg.port}/postgres?sslmode=require",
                  client_tls="prefer", client_tls_cert_file=certs.server.cert, client_tls_key_file=certs.server.key)
    with psycopg.connect(proxy.url("postgres"), sslmode="require", application_name="secure"):
        row = next(r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "secure")
        assert row["tls_client"].startswith("TLSv1.3 TLS_") and row["tls_server"].startswith("TLSv1.3 TLS_")
    with psycopg.connect(proxy.url("postgres"), sslmode="disable", application_name="plain"):
        row = next(r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "plain")
        assert row["tls_client"] == "" and row["tls_server"].startswith("TLSv1.3")
    now = legs(proxy)
    client, upstream = now["client"], now["upstream"]
    assert (client["mode"], client["active"], upstream["mode"], upstream["active"]) == ("prefer", True, "require", True)
    # the console's own connection uses TLS too
    assert client["handshakes"] == 2 and upstream["handshakes"] == 2 and client["failed"] == upstream["failed"] == 0
    assert len(client["fingerprint"]) == 64 and client["not_before"] < client["not_after"]
    assert client["issuer"] and upstream["subject"] is None
    with Raw(proxy.port) as raw:
        raw.send(b"\x16\x03\x01\x00\x05nonsense")
        assert raw.take(100) is None
    until("the failure", lambda: legs(proxy)["client"]["failed"] == 1)
    # who does not trust the certificate is told about that, and not that nobody runs there
    refused = proxy.cli("status", "--server", proxy.url("segue") + f"?sslmode=verify-full&sslrootcert={certs.server.cert}", check=3).err
    assert "certificate" in refused and "hint: name the host" in refused and "sslrootcert" in refused


def test_a_refused_login_is_counted_once_whatever_the_upstream_was_asked_over(tls_pg, certs, segue):
    rules = tls_pg.data / "pg_hba.conf"
    rules.write_text("host all banned 127.0.0.1/32 reject\n" + rules.read_text())
    with tls_pg.connect() as c:
        c.execute("SELECT pg_reload_conf()")
    proxy = segue(upstream=f"postgresql://postgres@127.0.0.1:{tls_pg.port}/postgres?sslmode=prefer", failed_login_delay_ms=0,
                  client_tls="prefer", client_tls_cert_file=certs.server.cert, client_tls_key_file=certs.server.key)
    refused = {"a wrong password": {"user": MD5_USER, "password": "wrong"},
               "a user who is refused over both kinds of connection": {"user": "banned"},
               "what comes behind the yes": {"user": "postgres", "dbname": "nowhere"}}
    for count, (what, who) in enumerate(refused.items(), 1):
        with pytest.raises(psycopg.OperationalError):
            proxy.connect(**{"dbname": "postgres", **who}, sslmode="require")
        failed = {r["stat"]: r["value"] for r in proxy.console("SHOW STATS")}["logins_failed"]
        assert failed == count, what


def test_without_tls_there_is_a_row_a_leg_and_nothing_in_it(db, segue):
    now = legs(segue(db))
    assert now["client"]["active"] is False and now["client"]["fingerprint"] is None
    assert now["upstream"]["handshakes"] == 0


def test_status_says_when_the_engine_has_no_connection(segue):
    proxy = segue(upstream=f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")
    with proxy.connect("segue") as c:
        notices = []
        c.add_notice_handler(lambda d: notices.append((d.severity, d.message_primary)))
        for topic in ("STATUS", "MIGRATIONS", "THROTTLE"):
            c.execute(f"SHOW {topic}")
            severity, text = notices.pop()
            assert severity == "WARNING" and "engine has no connection" in text
        c.execute("SHOW STATS")
        assert not notices
    with Raw(proxy.port).login("segue") as raw:
        raw.send(query("SHOW STATUS"))
        assert raw.until_ready() == "NTCZI"


def test_status_still_shows_the_migrations_after_the_connection_is_lost(private_db, segue):
    private_db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text)")
    proxy = segue(private_db)
    proxy.ready({"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]})
    private_db.cluster.crash()
    until("the loss", lambda: not proxy.console("SHOW VERSION")[0]["engine_connected"], 30)
    assert proxy.console("SHOW STATUS")[0]["phase"] == "ready"
    assert proxy.console("SHOW MIGRATIONS")[0]["migration"] == "m"
