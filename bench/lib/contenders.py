"""The servers of bench/proxy.py: one PostgreSQL, and the proxies in front of it.

Farm() makes a temporary folder with a certificate and a cluster; farm.start(NAME, tls) starts one
proxy of the table PROXIES in front of it. Everything it started is ended, and the folder removed,
by farm.close(). Programs that refuse root run as user postgres.

`tls`: the client's leg and the server's leg are both encrypted, with the same certificate. HAProxy
cannot speak PostgreSQL's SSLRequest: it passes the client's TLS through to the server.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PGBIN = Path(os.environ.get("PGBIN", "/usr/lib/postgresql/15/bin"))
SESSIONS_MAX = 640  # of the server; every proxy may open as many

PG_SETTINGS = {
    "listen_addresses": "'127.0.0.1'", "max_connections": SESSIONS_MAX, "shared_buffers": "'1GB'",
    "fsync": "off", "max_wal_size": "'8GB'", "checkpoint_timeout": "'30min'", "autovacuum": "off",
    "jit": "off", "ssl": "on", "ssl_cert_file": "'{folder}/server.crt'",
    "ssl_key_file": "'{folder}/server.key'",
}

PGBOUNCER_INI = """\
[databases]
* = host=127.0.0.1 port={upstream}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = session
; a backend a client, as the others have: an old one has all of shared_buffers mapped already
server_lifetime = 0
max_client_conn = 1000
default_pool_size = {sessions}
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
{tls}
"""
PGBOUNCER_TLS = """\
client_tls_sslmode = require
client_tls_cert_file = {folder}/server.crt
client_tls_key_file = {folder}/server.key
server_tls_sslmode = require
"""

HAPROXY_CFG = """\
global
    maxconn 2000
    nbthread {threads}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen pg
    bind 127.0.0.1:{port}
    server pg 127.0.0.1:{upstream}
"""


class Broken(Exception):
    """A server does not do what it should; the text says which and shows its log."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def unprivileged():
    """Arguments of subprocess that drop root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Server:
    """One process that listens: .name .pid .port; the log is read when it goes wrong."""

    def __init__(self, name, command, port, log, drop_root):
        self.name, self.port, self.log = name, port, log
        with open(log, "ab") as out:
            self.process = subprocess.Popen([str(c) for c in command], cwd="/", stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, start_new_session=True,
                                            **(unprivileged() if drop_root else {}))
        self.pid = self.process.pid

    def wait(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise Broken(f"{self.name} does not listen on {self.port}: {self.tail()}")

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])

    def stop(self, sig=signal.SIGINT, seconds=10):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Farm:
    def __init__(self, segue):
        self.segue = Path(segue).resolve()
        self.servers = []
        self.number = 0
        self.folder = Path(tempfile.mkdtemp(prefix="segue-bench-"))

    # ---- the database ----

    def up(self, scale, environment=()):
        """The folder, the certificate, PostgreSQL (with `environment`, of NAME=VALUE), pgbench's tables."""
        self.folder.chmod(0o755)
        self._run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                  "-keyout", self.folder / "server.key", "-out", self.folder / "server.crt")
        (self.folder / "server.key").chmod(0o600)
        (self.folder / "users.txt").write_text('"postgres" ""\n')
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, "postgres", "postgres")
        data = self.folder / "data"
        self._run(PGBIN / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N",
                  drop_root=True)
        with open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{k} = {str(v).format(folder=self.folder)}\n" for k, v in PG_SETTINGS.items())
        self.upstream = free_port()
        postgres = ["env", *environment, PGBIN / "postgres", "-D", data, "-p", self.upstream, "-k", self.folder]
        server = self.postgres = self._launch("postgres", postgres, self.upstream, drop_root=True)
        self._until_it_answers(server)
        self._run(PGBIN / "pgbench", "-i", "-q", "-s", scale, "--no-vacuum", self.dsn(self.upstream, False))
        self._run(PGBIN / "psql", "-X", "-q", "-c", "VACUUM ANALYZE", "-c", "CHECKPOINT", self.dsn(self.upstream, False))

    def _until_it_answers(self, server):
        end = time.monotonic() + 60
        while subprocess.run([PGBIN / "psql", "-X", "-q", "-c", "", self.dsn(self.upstream, False)], cwd="/",
                             capture_output=True, check=False).returncode != 0:
            if time.monotonic() > end or server.process.poll() is not None:
                raise Broken(f"PostgreSQL does not answer: {server.tail()}")
            time.sleep(0.1)

    def _run(self, *command, drop_root=False):
        done = subprocess.run([str(c) for c in command], cwd="/", capture_output=True, text=True, check=False,
                              **(unprivileged() if drop_root else {}))
        if done.returncode != 0:
            raise Broken(f"{command[0]}: {done.stderr.strip()[-500:]}")
        return done.stdout

    @staticmethod
    def dsn(port, tls, database="postgres"):
        return (f"host=127.0.0.1 port={port} dbname={database} user=postgres gssencmode=disable "
                f"sslmode={'require' if tls else 'disable'}")

    # ---- the proxies ----

    def start(self, name, tls):
        """NAME or NAME:THREADS. `direct` is the database itself and has no process (pid None)."""
        kind, _, threads = name.partition(":")
        if kind == "direct":
            return Direct(self.upstream)
        return PROXIES[kind](self, name, int(threads or 1), tls)

    def _launch(self, name, command, port, drop_root=False):
        self.number += 1
        server = Server(name, command, port, self.folder / f"{self.number}-{name.replace(':', '-')}.log", drop_root)
        self.servers.append(server)
        return server

    def _file(self, suffix, text):
        self.number += 1
        path = self.folder / f"{self.number}{suffix}"
        path.write_text(text)
        return path

    def start_segue(self, name, workers, tls, database="postgres"):
        port = free_port()
        mode = "require" if tls else "disable"
        command = [self.segue, "serve", "--listen", f"127.0.0.1:{port}", "--workers", workers, "--upstream",
                   f"postgresql://postgres@127.0.0.1:{self.upstream}/{database}?sslmode={mode}", "--client_tls", mode]
        if tls:
            command += ["--client_tls_cert_file", self.folder / "server.crt",
                        "--client_tls_key_file", self.folder / "server.key"]
        return self._launch(name, command, port).wait()

    def start_pgbouncer(self, name, _threads, tls):
        port = free_port()
        ini = self._file(".ini", PGBOUNCER_INI.format(
            upstream=self.upstream, port=port, folder=self.folder, sessions=SESSIONS_MAX,
            tls=PGBOUNCER_TLS.format(folder=self.folder) if tls else ""))
        return self._launch(name, ["pgbouncer", "-q", ini], port, drop_root=True).wait()

    def start_haproxy(self, name, threads, _tls):
        port = free_port()
        cfg = self._file(".cfg", HAPROXY_CFG.format(threads=threads, port=port, upstream=self.upstream))
        return self._launch(name, ["/usr/sbin/haproxy", "-db", "-q", "-f", cfg], port, drop_root=True).wait()

    def stop(self, server):
        if server.pid is not None:
            server.stop(signal.SIGTERM if server.name.startswith("segue") else signal.SIGINT)
            self.servers.remove(server)

    def close(self):
        for server in reversed(self.servers):
            server.stop()
        self.servers = []
        shutil.rmtree(self.folder, ignore_errors=True)


class Direct:
    """No proxy: the noise gauge."""

    name, pid = "direct", None

    def __init__(self, port):
        self.port = port

    def tail(self):
        return ""


PROXIES = {"segue": Farm.start_segue, "pgbouncer": Farm.start_pgbouncer, "haproxy": Farm.start_haproxy}
