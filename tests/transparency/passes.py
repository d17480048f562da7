"""The same corpus over fresh databases of one name, direct and through segue, and what differs.

A pass is one run of every script and every mode of the player. The database of a pass has a state:
plain (no migration was ever there) or a phase in which two migrations rest, of public.kept (which the
corpus reads and writes) and of public.elsewhere (which it never names). Passes over the same state
must give the same bytes.
"""

import difflib
import itertools
import subprocess
from contextlib import contextmanager
from pathlib import Path

import generate
import play
from lib.cluster import NODE_MODULES, TEMPLATE
from lib.segue import BUILD, Segue

PLAYER = BUILD / "tests" / "player"

BASE = """
CREATE TABLE kept (id int PRIMARY KEY, label text NOT NULL, amount int, note text DEFAULT 'none');
INSERT INTO kept SELECT i, 'label ' || i, i * 100, CASE WHEN i % 3 > 0 THEN 'n' || i END FROM generate_series(1, 50) i;
CREATE TABLE elsewhere (id int PRIMARY KEY, word text);
INSERT INTO elsewhere SELECT i, 'word ' || i FROM generate_series(1, 50) i;
GRANT SELECT, INSERT, UPDATE, DELETE ON kept TO app;
ANALYZE
"""

MIGRATIONS = [
    {"name": "kept_amount", "operations": [{"rename_column": {
        "table": "kept", "from": "amount", "to": "price", "type": "numeric(12,2)",
        "up": "amount / 100.0", "down": "(price * 100)::integer"}}]},
    {"name": "elsewhere_word", "operations": [{"rename_column": {"table": "elsewhere", "from": "word", "to": "term"}}]},
]

STATES = ("plain", "ready", "soaking")

# Every script starts in an empty schema of its own; kept is as at first.
CLEAN = """
DROP SCHEMA IF EXISTS corpus CASCADE;
CREATE SCHEMA corpus;
GRANT ALL ON SCHEMA corpus TO PUBLIC;
DELETE FROM kept WHERE id > 50;
"""


def build_player():
    """Compiles player.c where it is missing or older than its source."""
    source = Path(__file__).with_name("player.c")
    if PLAYER.exists() and PLAYER.stat().st_mtime > source.stat().st_mtime:
        return
    PLAYER.parent.mkdir(parents=True, exist_ok=True)
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libpq"], capture_output=True, text=True, check=True)
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-o", str(PLAYER),
                    str(source), *flags.stdout.split()], check=True)


def newest_libpq():
    """Environment in which a program uses libpq 18 and asks for protocol 3.2."""
    return {"LD_LIBRARY_PATH": str(NODE_MODULES / "pg18" / "native" / "lib"), "PGMAXPROTOCOLVERSION": "latest"}


class Corpus:
    """A cluster, a folder for segue's log, and a selection of scripts and modes."""

    def __init__(self, cluster, folder, scripts, modes, **options):
        """modes: of the player, each (mode, kind of generated statements, environment)."""
        self.cluster = cluster
        self.folder = folder
        self.scripts = scripts
        self.modes = modes
        self.options = options
        self.sent = {"psql": 0, "player": 0}  # in the direct pass of state plain

    def _drop(self):
        with self.cluster.connect() as conn:
            conn.execute("SET client_min_messages = error")
            conn.execute(f"DROP DATABASE IF EXISTS {play.DATABASE} WITH (FORCE)")
            for (role,) in conn.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'corpus%'").fetchall():
                conn.execute(f"DROP ROLE {role}")

    @contextmanager
    def _database(self, state):
        """A fresh database in a state; gives the proxy in front of it."""
        self._drop()
        with self.cluster.connect() as conn:
            conn.execute(f"CREATE DATABASE {play.DATABASE} TEMPLATE {TEMPLATE}")
            conn.execute(f"ALTER DATABASE {play.DATABASE} SET search_path = corpus, public")
        with self.cluster.connect(play.DATABASE) as conn:
            conn.execute(BASE)
        proxy = Segue(self.cluster.url(play.DATABASE), self.folder, **self.options)
        try:
            if state != "plain":
                for migration in MIGRATIONS:
                    (proxy.soaking if state == "soaking" else proxy.ready)(migration)
            yield proxy
            assert state == "plain" or {proxy.phase(m["name"]) for m in MIGRATIONS} == {state}
        except BaseException:
            proxy.kill9()
            raise
        proxy.stop()
        self._drop()

    def _clean(self):
        with self.cluster.connect(play.DATABASE) as conn:
            conn.execute("SET client_min_messages = error")
            conn.execute(CLEAN)

    def run(self, state, through):
        """{name: output} of one pass."""
        out = {}
        with self._database(state) as proxy:
            port = proxy.port if through else self.cluster.port
            for script in self.scripts:
                self._clean()
                out[script.name], sent = play.run_psql(script, port, count=not through and state == "plain")
                self.sent["psql"] += sent
            for mode, kind, env in self.modes:
                self._clean()
                with self.cluster.connect(play.DATABASE) as conn:
                    conn.execute(generate.TABLES)
                name = f"player {mode} {kind}" + (" libpq 18" if env else "")
                out[name] = play.run_player(PLAYER, mode, generate.lines(kind), port, env)
                self.sent["player"] += len(generate.lines(kind)) if not through and state == "plain" else 0
        return out


def differences(direct, through, lines_max=40):
    """Names of what differs, each with the head of a unified diff."""
    out = {}
    for name in direct:
        if direct[name] == through.get(name):
            continue
        texts = [side.get(name, b"").decode("utf-8", "backslashreplace").splitlines() for side in (direct, through)]
        found = difflib.unified_diff(*texts, "direct", "through segue", lineterm="", n=4)
        out[name] = "\n".join(itertools.islice(found, lines_max))
    return out
