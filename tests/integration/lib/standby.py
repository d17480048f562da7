"""Standbys: a streaming one of a running cluster, on every version, and one by hand.

A Standby is made as PostgreSQL's manual tells it for tools of one's own (pg_backup_start, a copy of the files, pg_backup_stop), since
of the servers for tests only Debian's 15 brings pg_basebackup.
"""

import shutil
import struct
import subprocess

from .cluster import Cluster
from .frozen import freeze
from .rawwire import Raw, message, query, startup
from .wait import until

NOT_COPIED = ("./postmaster.pid", "./postmaster.opts", "./pg_wal/*", "./pg_replslot/*")


def copy_running(primary, target):
    """The primary's files as they are while it writes, and the label that makes a recovery of them consistent."""
    with primary.connect() as conn:
        conn.execute("SELECT pg_backup_start('standby', true)")
        excluded = [f"--exclude={name}" for name in NOT_COPIED]
        pack = subprocess.Popen(["tar", "-C", primary.data, *excluded, "--warning=no-file-changed",
                                 "--warning=no-file-removed", "-cf", "-", "."], stdout=subprocess.PIPE)
        unpack = subprocess.run(["tar", "-C", target, "-xpf", "-"], stdin=pack.stdout, check=False)
        pack.stdout.close()
        # 1: a file has changed or gone meanwhile, as is due
        assert pack.wait() in (0, 1) and unpack.returncode == 0, "the copy of the primary has failed"
        label = conn.execute("SELECT labelfile FROM pg_backup_stop()").fetchone()[0]
    (target / "backup_label").write_text(label, encoding="utf-8")


class Standby(Cluster):
    """`via`: the port from which it streams, when it is not the primary's own; further settings as in postgresql.conf."""

    def __init__(self, primary, name="standby", via=None, **settings):
        super().__init__(primary.version, primary.folder.parent / f"{primary.folder.name}-{name}", primary.bin)
        self.primary, self.name = primary, name
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.data.mkdir()
        with primary.connect() as conn:  # the WAL since the copy is kept for it, also while it is away
            conn.execute("SELECT pg_create_physical_replication_slot(%s, true)", (name,))
        copy_running(primary, self.data)
        settings = {"primary_conninfo": f"'host=127.0.0.1 port={via or primary.port} user=postgres application_name={name}'",
                    "primary_slot_name": f"'{name}'", "wal_retrieve_retry_interval": "200", **settings}
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{key} = {value}\n" for key, value in settings.items())
        (self.data / "standby.signal").touch()
        owner = (primary.data.owner(), primary.data.group())
        for path in (self.folder, self.data, self.data / "backup_label", self.data / "standby.signal"):
            shutil.chown(path, *owner)
        self.data.chmod(0o700)

    def start(self):
        super().start()
        self.streams()
        return self

    def streams(self, timeout=60):
        """Waits until the primary sends to it."""
        with self.primary.connect() as conn:
            until(f"{self.name} to stream", lambda: conn.execute(
                "SELECT 1 FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'",
                (self.name,)).fetchone(), timeout)

    def has_replayed(self, lsn=None, timeout=60):
        """Waits until it has all that the primary has written (or this much)."""
        with self.primary.connect() as conn:
            lsn = lsn or conn.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
        with self.connect() as conn:
            until(f"{self.name} to replay {lsn}", lambda: conn.execute(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,)).fetchone()[0], timeout, every=0.05)

    def freeze(self, on=True):
        """SIGSTOP to all its processes: connections stay, nobody answers. freeze(False): they go on."""
        freeze(self.process, on)


def lsn_of(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


class Receiver:
    """A physical stream by hand, that reports what it has when it is told to."""

    def __init__(self, cluster, name):
        self.wire = Raw(cluster.port, timeout=60).send(startup(user="postgres", replication="true", application_name=name))
        self.wire.until_ready()
        with cluster.connect() as conn:
            lsn = conn.execute("SELECT pg_current_wal_flush_lsn()").fetchone()[0]
        self.wire.send(query(f"START_REPLICATION PHYSICAL {lsn}"))
        assert self.wire.read()[0] == "W"

    def report(self, lsn, replayed=None):
        """Standby status update: written, flushed, applied (protocol, streaming replication). 0: never."""
        applied = lsn if replayed is None else replayed
        self.wire.send(message("d", struct.pack("!cQQQQB", b"r", lsn, lsn, applied, 0, 0)))

    def close(self):
        self.wire.__exit__(None, None, None)
