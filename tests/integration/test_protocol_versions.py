"""Protocol 3.0 and 3.2: what client and server agree on is theirs; segue passes it on."""

import os
import signal
import subprocess

import pytest
from lib.cluster import NODE_MODULES
from lib.rawwire import CANCEL, Raw, packet, query, startup
from lib.wait import until

V3_2 = 3 << 16 | 2
LIBPQ_18 = NODE_MODULES / "pg18" / "native" / "lib"


def psql_18(port, dbname, *args, **environment):
    """Debian's psql on the libpq of PostgreSQL 18."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(LIBPQ_18), **environment}
    return subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-d",
                             dbname, *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(process):
    out, err = process.communicate(timeout=30)
    return process.returncode, out.strip(), err.strip()


def protocol_of(proxy, database):
    return [row["protocol"] for row in proxy.console("SHOW SESSIONS") if row["database"] == database]


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_libpq_18_is_served_and_can_cancel(db, segue, version):
    proxy = segue(db)
    process = psql_18(proxy.port, db.name, "-c", "SELECT pg_sleep(60)", PGMAXPROTOCOLVERSION=version)
    until("the statement", lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' "
                                          "AND state = 'active' AND datname = current_database()"))
    assert protocol_of(proxy, db.name) == [version]  # that the client asks for
    process.send_signal(signal.SIGINT)
    code, _, err = answer(process)
    assert code != 0 and "canceling statement due to user request" in err


def test_libpq_18_that_insists_on_3_2_gets_what_the_server_can(db, segue):
    """As on a direct connection: a session on 18, a refusal by libpq before."""
    proxy = segue(db)
    both = [answer(psql_18(port, db.name, "-c", "SELECT 42", PGMAXPROTOCOLVERSION="3.2", PGMINPROTOCOLVERSION="3.2"))
            for port in (db.cluster.port, proxy.port)]
    assert both[0][:2] == both[1][:2]
    assert both[1][:2] == ((0, "42") if db.version >= 18 else (2, ""))
    assert both[0][2].replace(str(db.cluster.port), "X") == both[1][2].replace(str(proxy.port), "X")


def beginning(port, start):
    """The server's first messages up to ReadyForQuery, without what differs between any two sessions."""
    with Raw(port) as c:
        c.send(start)
        got = []
        while True:
            one = c.read()
            if one is None or one[0] == "Z":
                return got
            if one[0] != "K":
                got.append(one)
            else:
                got.append(("K", len(one[1])))


STARTS = [(V3_2, {}), (V3_2 + 7, {}), (196608, {"_pq_.segue_test": "1"}), (V3_2, {"_pq_.a": "x", "_pq_.b": "y"})]


@pytest.mark.parametrize("code, more", STARTS, ids=["3.2", "3.9", "option", "3.2 and options"])
def test_negotiation_of_the_protocol_is_the_servers(db, segue, code, more):
    start = startup(code, user="postgres", database=db.name, **more)
    direct, through = beginning(db.cluster.port, start), beginning(segue(db).port, start)
    assert through == direct
    negotiated = bool(more) or code > V3_2 or (code == V3_2 and db.version < 18)
    assert (through[0][0] == "v") == negotiated
    if more:
        assert b"_pq_." in through[0][1]


@pytest.mark.versions(18)
def test_a_key_of_3_2_is_long_and_cancels(db, segue):
    proxy = segue(db)
    with Raw(proxy.port) as c:
        c.send(startup(V3_2, user="postgres", database=db.name))
        assert c.until_ready().endswith("ZI")
        assert len(c.key) > 8
        c.send(query("SELECT pg_sleep(60)"))
        until("the statement", lambda: db.one("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' "
                                              "AND state = 'active' AND datname = current_database()"))
        wrong = c.key[:-1] + bytes([c.key[-1] ^ 1])
        for key in (wrong, c.key[:8], c.key):
            with Raw(proxy.port) as other:
                other.send(packet(CANCEL, key))
                assert other.read() is None
        assert c.error()["C"] == "57014"


def test_a_protocol_that_is_not_3_is_refused(db, segue):
    proxy = segue(db)
    with Raw(proxy.port) as c:
        c.send(startup(4 << 16, user="postgres", database=db.name))
        assert c.error()["C"] == "0A000"


def test_cancel_requests_beside_many_sessions_reach_the_right_one(db, segue):
    proxy = segue(db, workers=3)
    clients = [Raw(proxy.port).login(db.name) for _ in range(6)]
    for c in clients:
        c.send(query("SELECT pg_sleep(60)"))

    def asleep():
        return db.one("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND "
                      "datname = current_database() AND state = 'active'")

    until("all statements", lambda: asleep() == 6)
    with Raw(proxy.port) as other:
        other.send(packet(CANCEL, clients[3].key))
        assert other.read() is None
    assert clients[3].error()["C"] == "57014"
    until("the others alone", lambda: asleep() == 5)
    for c in clients:
        with Raw(proxy.port) as other:
            other.send(packet(CANCEL, c.key))
            assert other.read() is None
        c.sock.close()


# ---- the console ----


def negotiated(port, code, **more):
    """What a NegotiateProtocolVersion of the console says: the version, and options that it does not know."""
    said = [body for kind, body in beginning(port, startup(code, user="postgres", database="segue", **more)) if kind == "v"]
    assert len(said) < 2
    return [(int.from_bytes(body[:4], "big"), body[8:].rstrip(b"\0").split(b"\0")[:body[7]]) for body in said]


@pytest.mark.versions(15)  # a server that knows 3.0 alone: what it says of it is not for a client of the console
def test_the_console_negotiates_for_itself(db, segue, certs):
    for proxy in (segue(db), segue(db, admin_users="postgres")):
        assert negotiated(proxy.port, V3_2) == []
        assert negotiated(proxy.port, V3_2 + 7) == [(V3_2, [])]
        assert negotiated(proxy.port, 196608, **{"_pq_.a": "x"}) == [(196608, [b"_pq_.a"])]
        assert negotiated(proxy.port, V3_2 + 1, **{"_pq_.a": "x", "_pq_.b": ""}) == [(V3_2, [b"_pq_.a", b"_pq_.b"])]
    proxy = segue(db, auth="password", client_tls_cert_file=certs.server.cert, client_tls_key_file=certs.server.key)
    code, out, err = answer(psql_18(proxy.port, "segue", "-c", "SHOW VERSION", PGSSLMODE="require", PGPASSWORD="x",
                                    PGMAXPROTOCOLVERSION="3.2", PGMINPROTOCOLVERSION="3.2"))
    assert (code, err) == (0, "") and out.startswith("segue ")
