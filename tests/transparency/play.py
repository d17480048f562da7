"""Plays the corpus against one address and gives what a person would have seen.

A file of sql/ may open with lines `-- env: NAME=value`: variables of libpq for its psql. `-- user: NAME`
says who runs it (postgres otherwise), `-- slow` keeps it out of the slice of make test.
"""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import generate

HERE = Path(__file__).resolve().parent
DATABASE = "corpus"
FILE_S_MAX = 120
NOT_INHERITED = re.compile(r"PG[A-Z]+|PSQL.*|LC_.*|LANG")
SENT = "********* QUERY **********"


@dataclass
class Script:
    name: str
    text: str
    env: dict = field(default_factory=dict)
    user: str = "postgres"
    slow: bool = False


def parse(name, text):
    script = Script(name, text)
    for line in text.splitlines():
        if line.startswith("-- env: "):
            key, _, value = line[8:].partition("=")
            script.env[key] = value
        elif line.startswith("-- user: "):
            script.user = line[9:].strip()
        elif line == "-- slow":
            script.slow = True
        else:
            break
    return script


def scripts():
    """Every script: those written by hand, then the generated ones."""
    out = [parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("sql/*.sql"))]
    return out + [Script(name, text) for name, text in generate.files().items()]


def environment(port, extra):
    out = {k: v for k, v in os.environ.items() if not NOT_INHERITED.fullmatch(k)}
    out.update({"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": DATABASE, "LC_ALL": "C.UTF-8",
                "PGCONNECT_TIMEOUT": "20", **extra})
    return out


def run_psql(script, port, count=False):
    """(output, statements sent) of one script; the count is 0 unless asked for."""
    with tempfile.TemporaryDirectory(prefix="segue-corpus-") as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script.text, encoding="utf-8")
        log = Path(folder) / "sent"
        args = ["psql", "-X", "-a", "-v", "VERBOSITY=verbose", "-U", script.user, "-f", "script.sql"]
        done = subprocess.run(args + (["-L", str(log)] if count else []), cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(port, script.env),
                              timeout=FILE_S_MAX)
        sent = log.read_text(encoding="utf-8", errors="replace").count(SENT) if count else 0
    return done.stdout + b"exit %d\n" % done.returncode, sent


def run_player(player, mode, statements, port, extra=None):
    """Output of the player of the extended protocol (player.c) for statements of one line each."""
    done = subprocess.run([str(player), mode], input="\n".join(statements).encode() + b"\n", stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=environment(port, {"PGUSER": "postgres", **(extra or {})}),
                          timeout=FILE_S_MAX)
    return done.stdout + b"exit %d\n" % done.returncode
