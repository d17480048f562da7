"""What waits longer than a segue lives: commands that watch a migration, and replication streams."""

import signal
import subprocess
import threading
import time

import pytest
from lib.operations import connected
from lib.rawwire import Raw, query, startup
from lib.segue import PROGRAM
from lib.tables import RENAME, make_items
from lib.takeover import ended, successor  # noqa: F401 - successor is a fixture
from lib.wait import SLOW, until

LOCK = 0x7365677565  # of the engine
DEBIAN = "/usr/lib/postgresql/15/bin"


def command(proxy, *args):
    return subprocess.Popen([str(PROGRAM), *map(str, args), "--server", proxy.server], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def said(process):
    out, err = process.communicate(timeout=60 * SLOW)
    return process.returncode, out, err


@pytest.mark.one_version
def test_commands_that_wait_go_on_waiting_on_the_successor(db, segue, successor):  # noqa: F811
    """Also while it has not read yet what it is asked about: the engine's lock is somebody else's for a while."""
    make_items(db, 400, filler=3500)
    old = segue(db)
    old.console("THROTTLE rows_per_s 5")
    migrate = command(old, "migrate", old.file(RENAME))
    old.wait_phase("rename_label", "backfilling")
    watch = command(old, "status", "--watch")
    until("it to ask", lambda: len([r for r in old.console("SHOW SESSIONS") if r["application_name"] == "segue-cli"]) == 2)
    between = db.connect()
    waiting = threading.Thread(target=between.execute, args=("SELECT pg_advisory_lock(%s)", (LOCK,)))
    waiting.start()
    until("it to wait for the lock", lambda: db.one(
        "SELECT count(*) FROM pg_locks WHERE pid = %s AND locktype = 'advisory' AND NOT granted", between.info.backend_pid))
    new = successor(old)
    waiting.join(20 * SLOW)
    until("both to ask the new one", lambda: len(
        [r for r in new.console("SHOW SESSIONS") if r["application_name"] == "segue-cli"]) == 2)
    time.sleep(1)  # for a look or two at a segue that knows nothing
    assert migrate.poll() is None and watch.poll() is None
    between.close()
    connected(new).wait_phase("rename_label", "backfilling")
    new.console("THROTTLE rows_per_s default")
    code, out, err = said(migrate)
    assert code == 0 and "rename_label: soaking" in out and "Trying to reconnect" in err, (code, out, err)
    new.cli("complete", "rename_label", "--force")
    code, out, err = said(watch)
    assert code == 0 and "Trying to reconnect" in err, (code, out, err)


@pytest.mark.one_version
def test_watching_where_nothing_is_under_way_ends_at_once(db, segue):
    proxy = connected(segue(db))
    assert proxy.cli("status", "--watch").code == 0


# ---- replication ----


@pytest.fixture(scope="module")
def own(clusters, pg_version):
    cluster = clusters.private(pg_version)
    yield cluster
    cluster.crash()


def streaming(port, cluster):
    """A physical stream by hand, which has begun and is waiting for more."""
    c = Raw(port, timeout=60).send(startup(user="postgres", replication="true"))
    c.until_ready()
    with cluster.connect() as conn:
        lsn = conn.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
    c.send(query(f"START_REPLICATION PHYSICAL {lsn}"))
    assert c.read()[0] == "W"
    return c


@pytest.mark.one_version
def test_a_replication_stream_is_told_the_end_at_the_deadline_of_a_drain(own, segue):
    proxy = segue(upstream=own.url(), drain_timeout_s=1)
    with streaming(proxy.port, own) as c:
        began = time.monotonic()
        proxy.signal(signal.SIGTERM)
        assert c.error()["C"] == "57P01" and c.read() is None
        assert time.monotonic() - began > 0.8, "it has the time that all have"
    assert ended(proxy) == 0


@pytest.mark.versions(15)
def test_pg_receivewal_goes_on_through_the_successor(own, segue, tmp_path):
    options = {"takeover_timeout_s": 1, "drain_timeout_s": 1}
    old = segue(upstream=own.url(), **options)
    with own.connect() as c:
        c.execute("SELECT pg_create_physical_replication_slot('kept', true)")
        first = c.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()[0]
    folder = tmp_path / "wal"
    folder.mkdir()
    receiver = subprocess.Popen(
        [f"{DEBIAN}/pg_receivewal", "-h", "127.0.0.1", "-p", str(old.port), "-U", "postgres", "-D", str(folder), "-S", "kept",
         "--no-sync"], stderr=subprocess.PIPE, text=True)
    try:
        def segments(n):
            """So many more are written, and have come whole."""
            for _ in range(n):
                with own.connect() as c:
                    c.execute("SELECT pg_logical_emit_message(false, 'segue', 'more')")
                    last = c.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()[0]
                until(last, lambda: (folder / last).exists())  # noqa: B023
                assert (folder / last).read_bytes() == (own.data / "pg_wal" / last).read_bytes()

        segments(2)
        new = segue(upstream=own.url(), start=False, arguments=["--takeover"], **old.options)
        new.port = old.port
        new.start()
        assert ended(old) == 0
        until("it to be back", lambda: [r for r in new.console("SHOW SESSIONS") if r["state"] == "copy"])
        segments(2)
        names = sorted(p.name for p in folder.iterdir() if not p.name.endswith(".partial"))
        assert names[0] == first and len(names) == 4
    finally:
        receiver.send_signal(signal.SIGINT)
        words = receiver.communicate(timeout=20)[1]
    assert receiver.returncode == 0 and "terminating connection due to administrator command" in words, words
