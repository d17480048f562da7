"""The ways to connect, and the database that the drivers find: a fresh one for each mode.

direct is the reference: every other mode must give the same lines.
"""

import itertools
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from lib.cluster import NODE_MODULES, SCRAM_PASSWORD, SCRAM_USER, TEMPLATE
from lib.segue import PROGRAM, Segue

DATABASE = "drivers"

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
    needs_tls: bool = False

    def may_run(self, program):
        return program.libpq or not self.libpq_only


# libpq 18 under programs that were built with Debian's: it asks for protocol 3.2.
LIBPQ_18 = {"LD_LIBRARY_PATH": str(NODE_MODULES / "pg18" / "native" / "lib"), "PGMAXPROTOCOLVERSION": "latest"}

DIRECT = Mode("direct")
THROUGH = [
    Mode("plain"),
    Mode("moving", moving=True),
    Mode("protocol 3.2", client=LIBPQ_18, libpq_only=True),
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
                with swinging(proxy) as swings:
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
