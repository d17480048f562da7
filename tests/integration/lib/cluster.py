"""Throwaway PostgreSQL clusters.

A Cluster is one data directory in a temporary folder and the postmaster on it, run as an
unprivileged user (PostgreSQL refuses root), on a free loopback port. Each version is initialised
once; all clusters of it are copies, also in other processes of the same run of pytest (SHARED).
"""

import contextlib
import fcntl
import functools
import getpass
import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from select import select

import psycopg
from psycopg.pq import TransactionStatus

from .wait import Late, free_port, until

NODE_MODULES = Path(__file__).resolve().parents[2] / "node_modules"

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "max_connections": "200",
    "wal_level": "logical",
    "max_prepared_transactions": "20",
    "fsync": "off",
    "allow_in_place_tablespaces": "on",
    "track_activity_query_size": "8kB",  # the looks of segue, whole
    "full_page_writes": "off",
    "shared_buffers": "'64MB'",
    "max_wal_size": "'512MB'",
    "jit": "off",
    "timezone": "'UTC'",
    "log_min_messages": "warning",
    "password_encryption": "'scram-sha-256'",
    "update_process_title": "off",
}

# Passwords of the users that must log in over TCP; everybody else is trusted.
SCRAM_USER, SCRAM_PASSWORD = "scram_user", "scram secret"
MD5_USER, MD5_PASSWORD = "md5_user", "md5 secret"

HBA = f"""\
local all         all                       trust
host  all         {SCRAM_USER} 127.0.0.1/32 scram-sha-256
host  all         {MD5_USER}   127.0.0.1/32 md5
host  all         all          127.0.0.1/32 trust
host  replication all          127.0.0.1/32 trust
"""

TEMPLATE = "itest_template"

IDLE = TransactionStatus.IDLE

# The variable that names the folder of what all processes of a run use; without it each makes its own.
SHARED = "SEGUE_TEST_SHARED"


def once(own, name, make):
    """The folder `name` of what is shared, made by the first who asks: make(folder)."""
    shared = Path(os.environ.get(SHARED) or own)
    made = shared / name
    with open(shared / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            half = shared / f"{name}.half"
            shutil.rmtree(half, ignore_errors=True)
            make(half)
            half.rename(made)
    return made


# Where files cost least, and how much of it, and of memory, must be left: many times what small clusters need.
MEMORY, MEMORY_BYTES_MIN = "/dev/shm", 8 << 30

# What would hold a database, in spite of FORCE.
HOLDERS = ("SELECT EXISTS (SELECT FROM pg_prepared_xacts WHERE database = %s) OR "
           "EXISTS (SELECT FROM pg_replication_slots WHERE database = %s)")

# What is there for the next who uses the session, or shows in the next session only.
LASTING = re.compile(r"(?:^|;)\s*(?:SET|RESET|LISTEN|PREPARE|LOAD|BEGIN|DECLARE)\b|\bTEMP|set_config|advisory|"
                     r"ALTER\s+(?:ROLE|USER|DATABASE|SYSTEM)", re.I)


def in_memory():
    """The folder of a file system in memory, where there is one with room; else None."""
    try:
        room = os.statvfs(MEMORY)
        free = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(encoding="ascii"), re.M)
    except OSError:
        return None
    return MEMORY if free and min(room.f_bavail * room.f_frsize, int(free[1]) << 10) >= MEMORY_BYTES_MIN else None


def told_versions():
    """SEGUE_PG, as it is; empty: nothing is told."""
    return os.environ.get("SEGUE_PG", "")


def versions():
    """Versions to run on, oldest first: SEGUE_PG, by default Debian's and the newest."""
    return [int(v) for v in (told_versions() or "15,18").split(",")]


def unprivileged():
    """Name of the user that runs PostgreSQL."""
    if os.geteuid() != 0:
        return getpass.getuser()
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
            return name
        except KeyError:
            continue
    raise RuntimeError("no unprivileged user to run PostgreSQL as")


def as_user():
    """Arguments of subprocess that drop root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(unprivileged())
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _may_run(path):
    try:
        return subprocess.run([path, "--version"], cwd="/", capture_output=True, **as_user()).returncode == 0
    except OSError:
        return False


class Installs:
    """Where the server programs of a version are, readable for the unprivileged user."""

    def __init__(self, root):
        self.root = root
        self.found = {}

    def bin(self, version):
        if version not in self.found:
            self.found[version] = self._find(version)
        return self.found[version]

    def _find(self, version):
        debian = Path(f"/usr/lib/postgresql/{version}/bin")
        if (debian / "postgres").exists():
            return debian
        native = NODE_MODULES / f"pg{version}" / "native"
        if not (native / "bin" / "postgres").exists():
            raise RuntimeError(f"PostgreSQL {version} is not installed (make servers)")
        if _may_run(native / "bin" / "postgres"):
            return native / "bin"
        # a checkout under a folder that only root may enter
        return once(self.root, f"pg{version}", lambda copy: shutil.copytree(native, copy, symlinks=True)) / "bin"


class Kept:
    """A session that is kept for one statement after the other: to begin one costs more than most statements."""

    def __init__(self, connect):
        self.connect = connect
        self.conn = None
        self.used = threading.Lock()

    def run(self, call):
        """call(connection): the one that is kept, or one of its own while another thread uses that."""
        if not self.used.acquire(blocking=False):
            with self.connect() as conn:
                return call(conn)
        try:
            if not self._idle():
                self._end()
                self.conn = self.connect(prepare_threshold=None)
            return call(self.conn)
        finally:
            self.used.release()

    def _idle(self):
        """It lives, and nothing is under way: not even word of its end is there to be read."""
        return self.conn is not None and self.conn.info.transaction_status == IDLE and not select([self.conn], [], [], 0)[0]

    def _end(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def close(self):
        with self.used:
            self._end()


class Cluster:
    def __init__(self, version, folder, bin_dir):
        self.version = version
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.bin = Path(bin_dir)
        self.port = free_port()
        self.log = self.folder / "log"
        self.process = None
        self.kept = Kept(self.connect)
        self.lent = itertools.count(1)
        self.spare = []  # names of databases that are as the template is

    def _run(self, *args):
        done = subprocess.run([str(a) for a in args], cwd=self.folder, capture_output=True, text=True, **as_user())
        if done.returncode != 0:
            raise RuntimeError(f"{args[0]}: {done.stdout}{done.stderr}")

    def init(self):
        """The data folder, with the users and the template of the tests."""
        made = once(self.folder.parent, f"cluster-{self.version}", self._make)
        subprocess.run(["cp", "-a", made / "data", self.data], check=True)

    def _make(self, folder):
        """Such a data folder from nothing, in `folder`."""
        folder.mkdir(mode=0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, unprivileged())
        maker = Cluster(self.version, folder, self.bin)
        maker.initdb(SETTINGS)
        maker.start()
        try:
            maker.prepare()
        finally:
            maker.stop()

    def initdb(self, settings, *words):
        self._run(self.bin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
                  "--no-sync", *words)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{k} = {v}\n" for k, v in settings.items())
        (self.data / "pg_hba.conf").write_text(HBA, encoding="utf-8")

    def start(self, log=None):
        """log: an open file for what the server says, in place of its own; closed here."""
        log = log or open(self.log, "ab")
        self.process = subprocess.Popen(
            [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", str(self.folder)],
            cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, **as_user())
        log.close()
        until(f"PostgreSQL {self.version} to accept connections", self._answers, 60)

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"PostgreSQL {self.version} ended: {self.log_tail()}")
        try:
            with self.connect("postgres", connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def stop(self):
        """Fast shutdown."""
        self._end(signal.SIGINT)

    def crash(self):
        """Immediate shutdown: the next start recovers from the WAL."""
        self._end(signal.SIGQUIT)

    def _end(self, sig):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(sig)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def log_tail(self, lines=40):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def url(self, dbname="postgres", user="postgres", port=None):
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{dbname}"

    def connect(self, dbname="postgres", user="postgres", **options):
        """A direct connection, autocommit unless told otherwise."""
        options.setdefault("autocommit", True)
        return psycopg.connect(host="127.0.0.1", port=self.port, dbname=dbname, user=user, **options)

    def enable_tls(self, certs, required=False, pair=None):
        """Turns ssl on in a running private cluster, with the run's certificates (or `pair`).

        Client certificates are judged by the run's authority and its CRL, where a client gives one.
        required: pg_hba.conf refuses TCP without TLS from now on.
        """
        pair = pair or certs.server
        for source, name in ((pair.cert, "server.crt"), (pair.key, "server.key"), (certs.ca, "root.crt"),
                             (certs.crl, "root.crl")):
            target = self.data / name
            shutil.copyfile(source, target)
            target.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(target, unprivileged(), unprivileged())
        if required:
            hba = HBA.replace("host ", "hostssl ")
            (self.data / "pg_hba.conf").write_text(hba, encoding="utf-8")
        with self.connect() as conn:
            for setting in ("ssl_ca_file = 'root.crt'", "ssl_crl_file = 'root.crl'", "ssl = on"):
                conn.execute(f"ALTER SYSTEM SET {setting}")
            conn.execute("SELECT pg_reload_conf()")
        until("PostgreSQL to speak TLS", self._speaks_tls)

    def _speaks_tls(self):
        try:
            with self.connect(sslmode="require") as conn:
                return conn.pgconn.ssl_in_use
        except psycopg.OperationalError:
            return False

    # ---- databases ----

    def warm(self):
        """The first session of a database writes down what each one must know of the catalog (pg_internal.init), which takes
        it longer than all else. A start of the server removes that file; the template's is copied with it to all databases."""
        with self.connect(TEMPLATE):
            pass
        self._deserted(TEMPLATE)
        return self

    def lend(self):
        """A database as the template is: a new one, or one in which nothing was written."""
        if not self.spare:
            name = f"t{os.getpid()}_{next(self.lent)}"
            self.kept.run(lambda conn: conn.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy"))
            self.spare.append(name)
        database = Database(self, self.spare.pop())
        database.lent_at = self._written()
        return database

    def _written(self):
        """Grows with each transaction in the cluster that writes, whatever becomes of it."""
        return self._one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")

    @contextlib.contextmanager
    def database(self):
        """Such a database until the block ends."""
        database = self.lend()
        try:
            yield database
        finally:
            self._take_back(database)

    def _take_back(self, database):
        """Drops it, unless nothing was written since it was lent and nobody has stayed."""
        database.close()
        try:
            if self._written() == database.lent_at and self._deserted(database.name):
                self.spare.append(database.name)
            else:
                self._drop(database.name)
        except psycopg.OperationalError:
            pass  # the test has crashed its server and left it so

    def _deserted(self, name):
        try:  # who has been told to end may be a moment behind
            until("all to be gone", lambda: self._one(
                "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = %s)", name), 0.3, every=0.005)
        except Late:
            return False
        return not self._one(HOLDERS, name, name)

    def _drop(self, name):
        if self._one(HOLDERS, name, name):
            with self.connect(name) as inside:
                for (gid,) in inside.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()").fetchall():
                    inside.execute(f"ROLLBACK PREPARED '{gid}'")
                inside.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                               "WHERE database = current_database()")
        self.kept.run(lambda conn: conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    def _one(self, text, *args):
        """First column of the first row, asked of the database postgres."""
        return self.kept.run(lambda conn: conn.execute(text, args or None).fetchone()[0])

    def prepare(self):
        """Users and the template of the tests' databases."""
        with self.connect() as conn:
            conn.execute(f"CREATE ROLE {SCRAM_USER} LOGIN PASSWORD '{SCRAM_PASSWORD}'")
            conn.execute("SET password_encryption = 'md5'")
            conn.execute(f"CREATE ROLE {MD5_USER} LOGIN PASSWORD '{MD5_PASSWORD}'")
            conn.execute("CREATE ROLE app LOGIN")
            conn.execute("CREATE ROLE reader NOLOGIN")
            conn.execute("CREATE TABLESPACE elsewhere LOCATION ''")
            conn.execute(f"CREATE DATABASE {TEMPLATE}")
        with self.connect(TEMPLATE) as conn:
            conn.execute("CREATE EXTENSION citext")
            conn.execute(f"GRANT CREATE ON SCHEMA public TO {SCRAM_USER}, {MD5_USER}, app")


class Clusters:
    """All clusters of a session: shared ones by version, and private copies for crashing."""

    def __init__(self, where=None):
        self.root = Path(tempfile.mkdtemp(prefix="segue-itest-", dir=where))
        self.root.chmod(0o755)
        self.installs = Installs(self.root)
        self.shared = {}
        self.tls = {}
        self.running = []

    def _folder(self, name):
        folder = Path(tempfile.mkdtemp(prefix=name + "-", dir=self.root))
        if os.geteuid() == 0:
            shutil.chown(folder, unprivileged())
        return folder

    def get(self, version):
        if version not in self.shared:
            cluster = Cluster(version, self._folder(f"c{version}"), self.installs.bin(version))
            cluster.init()
            self.running.append(cluster)
            cluster.start()
            self.shared[version] = cluster.warm()
        return self.shared[version]

    def private(self, version):
        """A cluster that the caller may crash."""
        cluster = Cluster(version, self._folder(f"p{version}"), self.installs.bin(version))
        cluster.init()
        self.running.append(cluster)
        cluster.start()
        return cluster

    def with_tls(self, version, certs, required=False):
        """A shared cluster that speaks TLS; required: over TCP nothing else."""
        key = version, required
        if key not in self.tls:
            self.tls[key] = self.private(version).warm()
            self.tls[key].enable_tls(certs, required=required)
        return self.tls[key]

    def close(self):
        for cluster in self.running:
            cluster._end(signal.SIGQUIT)
        shutil.rmtree(self.root, ignore_errors=True)


class Database:
    """One test's database on a cluster."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.opened = []
        self.kept = Kept(functools.partial(cluster.connect, name))
        self.keeps = True  # False: nobody may stand beside segue

    @property
    def version(self):
        return self.cluster.version

    def url(self, user="postgres", port=None):
        return self.cluster.url(self.name, user, port)

    def connect(self, user="postgres", **options):
        """A direct connection (not through segue); closed with the test."""
        conn = self.cluster.connect(self.name, user, **options)
        self.opened.append(conn)
        return conn

    def sql(self, text, *args):
        """Runs text on a session that nobody else uses at that time; rows of the last result, or []."""
        def run(conn):
            cur = conn.execute(text, args or None)
            while cur.nextset():
                pass
            return cur.fetchall() if cur.description else []

        if self.keeps and not LASTING.search(text):
            return self.kept.run(run)
        self.kept.close()
        with self.cluster.connect(self.name) as conn:
            return run(conn)

    def one(self, text, *args):
        """First column of the first row."""
        rows = self.sql(text, *args)
        return rows[0][0] if rows else None

    def psql(self, *args, **options):
        return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *args, self.url()], check=True,
                              capture_output=True, text=True, **options)

    def close(self):
        self.kept.close()
        for conn in self.opened:
            conn.close()
