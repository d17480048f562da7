"""Plays the corpus against one address and gives what a person would have seen.

A file of sql/ opens with comments; those that mean something are `-- variant: NAME VARIABLE=value`, once for
each way to run it, with a variable of libpq that psql finds in its environment.
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

# The one filter: psql tells where it could not connect, and the ports are not the same.
PORT = re.compile(rb'(server at "127\.0\.0\.1", port )\d+')


@dataclass
class Script:
    name: str
    text: str
    env: dict = field(default_factory=dict)


def variants(name, text):
    """The scripts that a file is: one, or one a variant."""
    out = []
    for line in text.splitlines():
        found = re.fullmatch(r"-- variant: (\w+)(?: (\w+)=(.*))?", line)
        if found:
            out.append(Script(f"{name} {found[1]}", text, {found[2]: found[3]} if found[2] else {}))
    return out or [Script(name, text)]


def scripts():
    """Every script: those written by hand, then the generated ones."""
    out = [v for path in sorted(HERE.glob("sql/*.sql")) for v in variants(path.stem, path.read_text(encoding="utf-8"))]
    return out + [Script(name, text) for name, text in generate.files().items()]


def environment(port, extra):
    out = {k: v for k, v in os.environ.items() if not NOT_INHERITED.fullmatch(k)}
    out.update({"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGDATABASE": DATABASE, "PGUSER": "postgres", "LC_ALL": "C.UTF-8",
                "PGCONNECT_TIMEOUT": "20", **extra})
    return out


def run_psql(script, port, count=False):
    """(output, statements sent) of one script; the count is 0 unless asked for."""
    with tempfile.TemporaryDirectory(prefix="segue-corpus-") as folder:
        path = Path(folder) / "script.sql"
        path.write_text(script.text, encoding="utf-8")
        log = Path(folder) / "sent"
        args = ["psql", "-X", "-a", "-v", "VERBOSITY=verbose", "-f", "script.sql"]
        done = subprocess.run(args + (["-L", str(log)] if count else []), cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(port, script.env),
                              timeout=FILE_S_MAX)
        sent = log.read_text(encoding="utf-8", errors="replace").count(SENT) if log.exists() else 0
    return PORT.sub(rb"\1N", done.stdout) + b"exit %d\n" % done.returncode, sent


def run_player(player, mode, statements, port, extra=None):
    """Output of the player of the extended protocol (player.c) for statements of one line each."""
    done = subprocess.run([str(player), mode], input="\n".join(statements).encode() + b"\n", stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=environment(port, extra or {}),
                          timeout=FILE_S_MAX)
    return done.stdout + b"exit %d\n" % done.returncode
