"""Replication connections: base backups, WAL and logical changes come out of segue as they come out of the server."""

import hashlib
import io
import shutil
import struct
import subprocess
import tarfile

import pytest
from lib.cluster import Cluster, as_user
from lib.rawwire import Raw, query, startup
from lib.standby import Standby
from lib.wait import until

pytestmark = pytest.mark.deadline(120)
DEBIAN = "/usr/lib/postgresql/15/bin"
SEGMENT = 0x1000000  # of WAL, as initdb makes it


@pytest.fixture(scope="module")
def own(clusters, pg_version):
    """A server to itself: nobody else's writes are in its WAL, and a test may stop it."""
    cluster = clusters.private(pg_version)
    yield cluster
    cluster.crash()


def run(*args, **options):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
    return done.stdout


# ---- base backups ----


def base_backup(port, wal="false"):
    """BASE_BACKUP by hand, as archives of tar; the manifest is not among them."""
    archives = []
    with Raw(port, timeout=60) as c:
        c.send(startup(user="postgres", replication="true"))
        c.until_ready()
        c.send(query(f"BASE_BACKUP (CHECKPOINT 'fast', WAL {wal}, WAIT false, MANIFEST 'yes')"))
        while True:
            kind, body = c.read()
            if kind == "d" and body[:1] == b"n":
                archives.append(io.BytesIO())
            elif kind == "d" and body[:1] == b"m":
                archives.append(io.BytesIO())
            elif kind == "d" and body[:1] == b"d":
                archives[-1].write(body[1:])
            elif kind == "E":
                raise AssertionError(body)
            elif kind == "Z":
                break
    assert archives.pop().getvalue().startswith(b"{")
    for archive in archives:
        archive.seek(0)
    return archives


def data_files(archives):
    """Name to hash of every file of the databases."""
    files = {}
    for archive in archives:
        with tarfile.open(fileobj=archive) as tar:
            for member in tar:
                if member.isfile() and member.name.startswith(("base/", "pg_xact/")):
                    files[member.name] = hashlib.sha256(tar.extractfile(member).read()).hexdigest()
    return files


def quiet(cluster):
    """Nothing more is written to its files: all is flushed, autovacuum sleeps."""
    with cluster.connect() as c:
        c.execute("ALTER SYSTEM SET autovacuum = off")
        c.execute("SELECT pg_reload_conf()")
        until("autovacuum to end", lambda: not c.execute(
            "SELECT 1 FROM pg_stat_activity WHERE backend_type LIKE 'autovacuum%%'", ()).fetchall())
        c.execute("CREATE TABLE IF NOT EXISTS backed_up AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i")
        c.execute("VACUUM ANALYZE backed_up")
        c.execute("CHECKPOINT")


def test_a_base_backup_is_the_same_through_segue(own, segue):
    quiet(own)
    proxy = segue(upstream=own.url())
    proxy.logged("engine is connected")
    with own.connect() as c:
        c.execute("CHECKPOINT")
    direct, through = data_files(base_backup(own.port)), data_files(base_backup(proxy.port))
    assert len(direct) > 500
    assert through == direct


def beside(own, name):
    copy = Cluster(own.version, own.folder.parent / f"{own.folder.name}-{name}", own.bin)
    copy.folder.mkdir()
    shutil.chown(copy.folder, *owner(own))
    return copy


def has_all(copy):
    copy.start()
    try:
        with copy.connect() as c:
            assert c.execute("SELECT count(*), sum(i) FROM backed_up").fetchone() == (50000, 1250025000)
    finally:
        copy.crash()


def test_a_base_backup_with_its_wal_makes_a_server(own, segue):
    quiet(own)
    with own.connect() as conn:
        conn.execute("DROP TABLESPACE elsewhere")  # of which there would be an archive by itself
    proxy = segue(upstream=own.url())
    copy = beside(own, "unpacked")
    copy.data.mkdir(mode=0o700)
    (archive,) = base_backup(proxy.port, wal="true")
    with tarfile.open(fileobj=archive) as tar:
        tar.extractall(copy.data)
    run("chown", "-R", ":".join(owner(own)), copy.data)
    has_all(copy)


# of the servers for tests only Debian's brings these programs, and they refuse newer ones
@pytest.mark.versions(15)
def test_pg_basebackup_with_wal_stream_makes_a_server(own, segue):
    quiet(own)
    proxy = segue(upstream=own.url())
    copy = beside(own, "backup")
    run(f"{DEBIAN}/pg_basebackup", "-h", "127.0.0.1", "-p", proxy.port, "-U", "postgres", "-D", copy.data, "-X", "stream", "-c",
        "fast", "--no-sync", cwd="/", **as_user())
    run(f"{DEBIAN}/pg_verifybackup", copy.data, cwd="/", **as_user())
    has_all(copy)


def owner(cluster):
    return cluster.data.owner(), cluster.data.group()


# ---- WAL ----


@pytest.mark.versions(15)
def test_pg_receivewal_writes_the_servers_own_bytes(own, segue, tmp_path):
    proxy = segue(upstream=own.url())
    with own.connect() as c:
        c.execute("SELECT pg_create_physical_replication_slot('received', true)")
        c.execute("CREATE TABLE written AS SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i")
        segment = c.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()[0]
        end = c.execute("SELECT pg_switch_wal()").fetchone()[0]
        c.execute("CREATE TABLE more ()")
        c.execute("SELECT pg_switch_wal()")
        begin = c.execute("SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'received'").fetchone()[0]
    assert begin < end
    run(f"{DEBIAN}/pg_receivewal", "-h", "127.0.0.1", "-p", proxy.port, "-U", "postgres", "-D", tmp_path, "-S", "received",
        "--endpos", after(end), "--no-loop", "--no-sync")
    assert (tmp_path / segment).read_bytes() == (own.data / "pg_wal" / segment).read_bytes()


def test_a_stream_of_wal_is_the_servers_own_bytes(own, segue):
    """As pg_receivewal asks for it, on servers that it would refuse."""
    proxy = segue(upstream=own.url())
    with own.connect() as c:
        c.execute("SELECT pg_create_physical_replication_slot('by_hand', true)")
        c.execute("CREATE TABLE filling (i int, t text)")
        begin = after(c.execute("SELECT pg_switch_wal()").fetchone()[0])
        c.execute("INSERT INTO filling SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i")
        segment = c.execute("SELECT pg_walfile_name(%s::pg_lsn + 1)", (begin,)).fetchone()[0]
        c.execute("SELECT pg_switch_wal()")
    got = bytearray()
    with Raw(proxy.port, timeout=60) as c:
        c.send(startup(user="postgres", replication="true"))
        c.until_ready()
        c.send(query(f"START_REPLICATION SLOT by_hand PHYSICAL {begin}"))
        assert c.read()[0] == "W"
        while len(got) < SEGMENT:
            kind, body = c.read()
            if kind == "d" and body[:1] == b"w":
                got += body[25:]  # begin, end, time
    assert bytes(got[:SEGMENT]) == (own.data / "pg_wal" / segment).read_bytes()


def after(lsn):
    """The beginning of the segment behind."""
    high, low = (int(part, 16) for part in lsn.split("/"))
    return f"{high:X}/{(low // SEGMENT + 1) * SEGMENT:X}"


def test_a_standby_streams_through_segue(own, segue):
    """The server's own receiver, both ways at once: WAL to it, its feedback back."""
    proxy = segue(upstream=own.url())
    standby = Standby(own, via=proxy.port, hot_standby_feedback="on")
    try:
        standby.start()
        with own.connect() as c:
            c.execute("CREATE TABLE streamed AS SELECT i, md5(i::text) AS t FROM generate_series(1, 100000) i")
            end = c.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
            expected = c.execute("SELECT md5(string_agg(t, '' ORDER BY i)) FROM streamed").fetchone()
            standby.has_replayed(end)
            with standby.connect() as s:
                assert s.execute("SELECT md5(string_agg(t, '' ORDER BY i)) FROM streamed").fetchone() == expected
            until("its feedback", lambda: c.execute(
                "SELECT 1 FROM pg_stat_replication WHERE replay_lsn >= %s::pg_lsn", (end,)).fetchall())
        rows = [r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "standby"]
        assert len(rows) == 1 and rows[0]["state"] == "copy"
    finally:
        standby.crash()


# ---- logical ----


def test_pg_recvlogical_gets_the_changes(db, segue, tmp_path):
    proxy = segue(db)
    out = tmp_path / "changes"
    base = [f"{DEBIAN}/pg_recvlogical", "-h", "127.0.0.1", "-p", proxy.port, "-U", "postgres", "-d", db.name, "-S", f"s_{db.name}"]
    run(*base, "--create-slot", "-P", "test_decoding")
    db.sql("CREATE TABLE changed (i int PRIMARY KEY, t text)")
    db.sql("INSERT INTO changed SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 2000) i")
    db.sql("UPDATE changed SET t = 'été' WHERE i <= 10")
    end = db.one("SELECT pg_current_wal_lsn()")
    expected = [row[0] for row in db.sql("SELECT data FROM pg_logical_slot_peek_changes(%s, %s, NULL)", f"s_{db.name}", end)]
    run(*base, "--start", "-f", out, "--endpos", end, "--no-loop", "-s", "1")
    assert out.read_text().splitlines() == expected
    assert len(expected) > 2010
    run(*base, "--drop-slot")


def test_replication_commands_answer_as_directly(db, segue):
    """IDENTIFY_SYSTEM and SHOW on a physical replication connection, whose start-up names no database or any, the console's too."""
    def ask(port, **more):
        with Raw(port) as c:
            c.send(startup(user="postgres", replication="true", **more))
            c.until_ready()
            c.send(query("IDENTIFY_SYSTEM"))
            got = [c.read() for _ in range(2)]
            c.until_ready()
            c.send(query("SHOW wal_segment_size"))
            return struct.unpack("!H", got[1][1][:2]), got[0], [c.read() for _ in range(4)]
    proxy = segue(db)
    assert ask(proxy.port) == ask(proxy.port, database="segue") == ask(db.cluster.port)
