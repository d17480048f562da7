"""Several hosts and what they are: a primary, a standby of it, roles that are asked for, a failover."""

import re
import shutil
import subprocess
import threading

import psycopg
import pytest
from lib.cluster import Cluster
from lib.rawwire import CANCEL, Raw, packet, query
from lib.wait import until

pytestmark = [pytest.mark.one_version, pytest.mark.deadline(120)]


@pytest.fixture(scope="module")
def pair(clusters, pg_version):
    """A primary and a streaming standby of it, which is a copy of its files. One pair for all: the last test is the
    failover."""
    primary = clusters.private(pg_version)
    folder = primary.folder.parent / f"{primary.folder.name}-standby"
    primary.stop()
    folder.mkdir()
    folder.chmod(0o755)
    standby = Cluster(primary.version, folder, primary.bin)
    subprocess.run(["cp", "-a", str(primary.data), str(standby.data)], check=True)
    shutil.chown(folder, primary.data.owner(), primary.data.group())
    (standby.data / "standby.signal").touch()
    with open(standby.data / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(f"primary_conninfo = 'host=127.0.0.1 port={primary.port} user=postgres'\n")
    primary.start()
    standby.start()
    yield primary, standby
    standby.crash()
    primary.crash()


@pytest.fixture
def primary(pair):
    return pair[0]


@pytest.fixture
def standby(pair):
    return pair[1]


def url(*clusters, target=None, more=""):
    hosts = ",".join(f"127.0.0.1:{c.port}" for c in clusters)
    return f"postgresql://postgres@{hosts}/postgres?application_name=x" + (
        f"&target_session_attrs={target}" if target else "") + more


def port_behind(proxy):
    with proxy.connect("postgres") as c:
        return c.execute("SELECT inet_server_port()").fetchone()[0]


def roles(proxy):
    return [row["role"] for row in proxy.console("SHOW UPSTREAMS")]


def test_each_target_gets_its_kind_of_host(primary, standby, segue):
    for target, port in [("any", standby.port), ("read-write", primary.port), ("primary", primary.port),
                         ("read-only", standby.port), ("standby", standby.port), ("prefer-standby", standby.port)]:
        proxy = segue(upstream=url(standby, primary, target=target))
        assert port_behind(proxy) == port, target
        if target != "any":
            until("both to be asked", lambda: roles(proxy) == ["standby", "read-write"])


def test_the_control_plane_works_on_the_primary(primary, standby, segue):
    proxy = segue(upstream=url(standby, primary))
    until("the engine", lambda: proxy.console("SHOW VERSION")[0]["engine_connected"] == "t"
          or proxy.console("SHOW VERSION")[0]["engine_connected"] is True)


def test_when_no_host_fits_the_error_says_what_each_is(primary, standby, segue):
    proxy = segue(upstream=url(primary, standby, target="read-write"), upstream_wait_ms=300)
    primary.crash()
    with pytest.raises(psycopg.OperationalError) as caught:
        proxy.connect("postgres")
    text = str(caught.value)
    assert "no upstream PostgreSQL is read-write" in text and "is away" in text and "is standby" in text
    assert "SHOW UPSTREAMS" in text
    assert roles(proxy) == ["away", "standby"]
    primary.start()


def test_prefer_standby_takes_the_primary_when_the_standby_is_down(primary, standby, segue):
    proxy = segue(upstream=url(primary, standby, target="prefer-standby"))
    assert port_behind(proxy) == standby.port
    standby.stop()
    assert port_behind(proxy) == primary.port
    standby.start()


def test_a_host_that_cannot_be_asked_is_tried_last_and_logged_once(db, segue):
    """The URL's user is not let in; the clients' own are."""
    upstream = (f"postgresql://scram_user@127.0.0.1:{db.cluster.port},127.0.0.1:{db.cluster.port}/{db.name}"
                "?target_session_attrs=read-write")
    proxy = segue(upstream=upstream)
    with proxy.connect(db.name, user="app") as c:
        c.execute("SELECT 1")
    assert roles(proxy) == ["unknown", "unknown"]
    until("three questions", lambda: proxy.log_text().count("cannot be asked") >= 2)
    with proxy.connect(db.name, user="app") as c:
        c.execute("SELECT 1")
    assert proxy.log_text().count("cannot be asked") == 2  # each host once


def cancel(proxy, key):
    with Raw(proxy.port) as c:
        c.send(packet(CANCEL, key))
        assert c.read() is None


def test_a_cancel_request_goes_to_the_host_of_its_session(primary, standby, segue):
    """The session is on the second host; the first would not know its key."""
    proxy = segue(upstream=url(standby, primary, target="read-write"))
    with Raw(proxy.port).login("postgres") as c:
        c.send(query("SELECT pg_sleep(60)"))
        until("the statement", lambda: running(primary))
        cancel(proxy, c.key)
        assert c.error()["C"] == "57014"
        c.until_ready()


def running(cluster):
    with cluster.connect() as c:
        return c.execute("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'").fetchall()


def test_a_cancel_request_of_another_segue_reaches_every_host(primary, standby, segue):
    one = segue(upstream=url(standby, primary, target="read-write"))
    other = segue(upstream=url(standby, primary))
    with Raw(one.port).login("postgres") as c:
        c.send(query("SELECT pg_sleep(60)"))
        until("the statement", lambda: running(primary))
        cancel(other, c.key)
        assert c.error()["C"] == "57014"


def test_after_a_failover_new_sessions_land_on_the_new_primary(primary, standby, segue):
    """No restart of segue, no error for those that connect meanwhile."""
    proxy = segue(upstream=url(primary, standby, target="read-write"), upstream_wait_ms=60000)
    early = segue(upstream=url(standby))  # its one name leads there before the server is a primary
    early.logged("the server is a standby")
    assert not early.console("SHOW VERSION")[0]["engine_connected"] and port_behind(early) == standby.port
    assert port_behind(proxy) == primary.port
    primary.crash()
    got = []
    waiting = threading.Thread(target=lambda: got.append(port_behind(proxy)))
    waiting.start()
    until("the old primary to be away", lambda: roles(proxy) == ["away", "standby"])
    with standby.connect() as c:
        c.execute("SELECT pg_promote()")
    waiting.join(20)
    assert got == [standby.port]
    assert port_behind(proxy) == standby.port
    with proxy.connect("postgres") as c:
        c.execute("CREATE TABLE written_after_the_failover ()")
    # it works on what is a primary now, as soon as the other one's engine does not
    early.logged(re.compile("engine is connected|another segue"))
