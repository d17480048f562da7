"""Throwaway PostgreSQL clusters.

A Cluster is one data directory in a temporary folder and the postmaster on it, run as an
unprivileged user (PostgreSQL refuses root), on a free loopback port. Each version is initialised
once a session; further clusters of it are copies.
"""

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from .wait import free_port, until

NODE_MODULES = Path(__file__).resolve().parents[2] / "node_modules"

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "max_connections": "200",
    "wal_level": "logical",
    "max_prepared_transactions": "20",
    "fsync": "off",
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


def versions():
    """Versions to run on, oldest first: SEGUE_PG, by default Debian's and the newest."""
    return [int(v) for v in os.environ.get("SEGUE_PG", "15,18").split(",")]


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
        copy = self.root / f"pg{version}"
        shutil.copytree(native, copy, symlinks=True)
        return copy / "bin"


class Cluster:
    def __init__(self, version, folder, bin_dir):
        self.version = version
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.bin = Path(bin_dir)
        self.port = free_port()
        self.log = self.folder / "log"
        self.process = None

    def _run(self, *args):
        done = subprocess.run([str(a) for a in args], cwd=self.folder, capture_output=True, text=True, **as_user())
        if done.returncode != 0:
            raise RuntimeError(f"{args[0]}: {done.stdout}{done.stderr}")

    fresh = {}  # server programs -> a data folder as initdb makes it: a copy costs a twentieth

    def init(self):
        made = self.fresh.get(self.bin)
        if made is None or not made.exists():  # it went with the clusters it was made for
            self._run(self.bin / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C", "--no-sync")
            made = self.fresh[self.bin] = self.folder.parent / f"initdb-{self.version}"
            subprocess.run(["cp", "-a", self.data, made], check=True)
        else:
            subprocess.run(["cp", "-a", made, self.data], check=True)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{k} = {v}\n" for k, v in SETTINGS.items())
        (self.data / "pg_hba.conf").write_text(HBA, encoding="utf-8")

    def start(self):
        log = open(self.log, "ab")
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

    def prepare(self):
        """Users and the template of the tests' databases."""
        with self.connect() as conn:
            conn.execute(f"CREATE ROLE {SCRAM_USER} LOGIN PASSWORD '{SCRAM_PASSWORD}'")
            conn.execute("SET password_encryption = 'md5'")
            conn.execute(f"CREATE ROLE {MD5_USER} LOGIN PASSWORD '{MD5_PASSWORD}'")
            conn.execute("CREATE ROLE app LOGIN")
            conn.execute("CREATE ROLE reader NOLOGIN")
            conn.execute(f"CREATE DATABASE {TEMPLATE}")
        with self.connect(TEMPLATE) as conn:
            conn.execute("CREATE EXTENSION citext")
            conn.execute(f"GRANT CREATE ON SCHEMA public TO {SCRAM_USER}, {MD5_USER}, app")


class Clusters:
    """All clusters of a session: shared ones by version, and private copies for crashing."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="segue-itest-"))
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
            cluster.prepare()
            self.shared[version] = cluster
        return self.shared[version]

    def private(self, version):
        """A cluster that the caller may crash."""
        cluster = Cluster(version, self._folder(f"p{version}"), self.installs.bin(version))
        cluster.init()
        self.running.append(cluster)
        cluster.start()
        cluster.prepare()
        return cluster

    def with_tls(self, version, certs, required=False):
        """A shared cluster that speaks TLS; required: over TCP nothing else."""
        key = version, required
        if key not in self.tls:
            self.tls[key] = self.private(version)
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
        """Runs text on a connection of its own; rows of the last result, or []."""
        with self.cluster.connect(self.name) as conn:
            cur = conn.execute(text, args or None)
            while cur.nextset():
                pass
            return cur.fetchall() if cur.description else []

    def one(self, text, *args):
        """First column of the first row."""
        rows = self.sql(text, *args)
        return rows[0][0] if rows else None

    def psql(self, *args, **options):
        return subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *args, self.url()], check=True,
                              capture_output=True, text=True, **options)

    def close(self):
        for conn in self.opened:
            conn.close()
