"""The ways to connect, and the database that the drivers find: a fresh one for each mode.

direct is the reference: every other mode must give the same lines.
"""

import itertools
import os
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from lib.cluster import NODE_MODULES, SCRAM_PASSWORD, SCRAM_USER, TEMPLATE
from lib.segue import PROGRAM, Segue

DATABASE = "drivers"
CONSOLE_PASSWORD = "console secret"  # where segue asks for one

KEPT = f"""
CREATE TABLE kept (id int PRIMARY KEY, label text NOT NULL, amount int);
INSERT INTO kept SELECT i, 'label ' || i, i * 100 FROM generate_series(1, 50) i;
GRANT SELECT, INSERT, UPDATE, DELETE ON kept TO {SCRAM_USER};
"""

# What a program leaves behind goes with its schema; large objects have none.
CLEAN = f"""
SET client_min_messages = error;
DROP SCHEMA IF EXISTS work CASCADE;
CREATE SCHEMA work AUTHORIZATION {SCRAM_USER};
DELETE FROM kept WHERE id > 50;
SELECT lo_unlink(oid) FROM pg_largeobject_metadata
"""

MIGRATION = {"name": "kept_amount", "operations": [{"rename_column": {
    "table": "kept", "from": "amount", "to": "price", "type": "numeric(12,2)",
    "up": "amount / 100.0", "down": "(price * 100)::integer"}}]}


@contextmanager
def database(cluster):
    """A fresh database; unqualified names of the drivers go to schema work."""
    with cluster.connect() as conn:
        conn.execute("SET client_min_messages = error")
        conn.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")
        conn.execute(f"ALTER DATABASE {DATABASE} SET search_path = work, public")
    with cluster.connect(DATABASE) as conn:
        conn.execute(KEPT)
    yield
    with cluster.connect() as conn:
        conn.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def clean(cluster):
    """Before each program."""
    with cluster.connect(DATABASE) as conn:
        conn.execute(CLEAN)


@dataclass(frozen=True)
class Mode:
    name: str
    options: dict = field(default_factory=dict)  # of segue
    upstream: str = ""  # parameters of its URL
    client: dict = field(default_factory=dict)  # variables of the programs
    moving: bool = False  # a migration is cut over and rolled back again and again
    libpq_only: bool = False

    def may_run(self, program):
        return program.libpq or not self.libpq_only


# libpq 18 under programs that were built with Debian's: it asks for protocol 3.2.
LIBPQ_18 = {"LD_LIBRARY_PATH": str(NODE_MODULES / "pg18" / "native" / "lib"), "PGMAXPROTOCOLVERSION": "latest"}

DIRECT = Mode("direct")


def through(cluster, certs, folder):
    """The modes that go through segue. Turns TLS on in the cluster."""
    cluster.enable_tls(certs)
    users = folder / "users.txt"
    users.write_text(f'"{SCRAM_USER}" "{SCRAM_PASSWORD}"\n"postgres" "{CONSOLE_PASSWORD}"\n', encoding="utf-8")
    users.chmod(0o600)
    offered = {"client_tls": "require", "client_tls_cert_file": certs.server.cert, "client_tls_key_file": certs.server.key}
    asked = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(certs.ca)}
    both = {"options": {**offered, "auth": "scram", "auth_file": users},
            "upstream": f"?sslmode=verify-full&sslrootcert={certs.ca}"}
    return [
        Mode("plain"),
        Mode("moving", moving=True),
        Mode("protocol-3.2", client=LIBPQ_18, libpq_only=True),
        Mode("tls", options=offered, upstream="?sslmode=disable", client=asked),
        Mode("tls-scram", client=asked, **both),
        Mode("tls-scram-moving", client=asked, moving=True, **both),
        Mode("tls-scram-direct-3.2", client={**asked, **LIBPQ_18, "PGSSLNEGOTIATION": "direct"}, libpq_only=True, **both),
    ]


def settings(port, mode):
    """Variables of libpq; every program takes its connection from them."""
    return {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": SCRAM_USER, "PGPASSWORD": SCRAM_PASSWORD,
            "PGDATABASE": DATABASE, "PGSSLMODE": "disable", **mode.client}


@contextmanager
def enter(mode, cluster, folder):
    """The programs' environment for a mode, while segue runs as it asks for."""
    with database(cluster):
        if mode is DIRECT:
            yield settings(cluster.port, mode)
            return
        proxy = Segue(cluster.url(DATABASE) + mode.upstream, folder, **mode.options)
        try:
            if mode.moving:
                with console_password(), swinging(proxy) as swings:
                    yield settings(proxy.port, mode)
                assert next(swings) >= 4, "hardly a cut-over"
            else:
                yield settings(proxy.port, mode)
        except BaseException:
            print(proxy.log_tail(20))
            proxy.kill9()
            raise
        proxy.stop()


@contextmanager
def console_password():
    """For the console and the commands: libpq finds it in the environment, where it is asked for it."""
    os.environ["PGPASSWORD"] = CONSOLE_PASSWORD
    try:
        yield
    finally:
        del os.environ["PGPASSWORD"]


@contextmanager
def swinging(one):
    """Cut-overs and rollbacks, one after the other, as long as the block runs: the gate closes and opens."""
    one.ready(MIGRATION)
    stop, swings = threading.Event(), itertools.count()

    def swing():
        for command in itertools.cycle(("cutover", "rollback")):
            if stop.is_set() and command == "cutover":
                return
            subprocess.run([str(PROGRAM), command, MIGRATION["name"], "--server", one.server], capture_output=True,
                           timeout=60)
            next(swings)

    thread = threading.Thread(target=swing)
    thread.start()
    try:
        yield swings
    finally:
        stop.set()
        thread.join()
