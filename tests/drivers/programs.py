"""The drivers: how each one's program is built and run, as rows of a table."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.segue import BUILD

HERE = Path(__file__).resolve().parent
OUT = BUILD / "tests" / "drivers"
JAR = "/usr/share/java/postgresql.jar"
GO = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOCACHE": str(OUT / "go-cache")}


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple
    checks_min: int  # a program that prints fewer has lost some
    build: tuple = ()
    source: str = ""  # what `build` is newer than
    env: tuple = ()
    in_test: bool = False  # part of make test: its packages are there
    libpq: bool = False  # made on libpq


def python(name, checks_min, libpq=False):
    return Program(name, ("/usr/bin/python3", f"python/{name}_checks.py"), checks_min, in_test=True, libpq=libpq)


PROGRAMS = [
    python("psycopg2", 18, libpq=True),
    python("psycopg3", 18, libpq=True),
    python("psycopg3_async", 7, libpq=True),
    python("asyncpg", 13),
    python("sqlalchemy", 2),
    Program("libpq", (str(OUT / "libpq"),), 15, in_test=True, libpq=True, source="c/libpq.c",
            build=("sh", "-c", f"gcc -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Werror -o {OUT}/libpq c/libpq.c "
                               "$(pkg-config --cflags --libs libpq)")),
    Program("node-postgres", ("node", "node/pg.js"), 20, in_test=True),
    Program("postgres.js", ("node", "node/postgres.js"), 14),
    Program("jdbc", ("java", "-cp", f"{OUT}:{JAR}", "Checks"), 20, source="java/Checks.java",
            build=("javac", "-cp", JAR, "-d", str(OUT), "java/Checks.java")),
    Program("dbd-pg", ("perl", "perl/dbd_pg.pl"), 15, libpq=True),
    # not "libpq": to cancel, ruby-pg 1.4.5 reads the key out of libpq 15's own memory
    Program("ruby-pg", ("ruby", "ruby/pg.rb"), 15),
    Program("php-pgsql", ("php", "php/pgsql.php"), 13, libpq=True),
    Program("php-pdo", ("php", "php/pdo.php"), 11, libpq=True),
    Program("pgx", (str(OUT / "pgx"),), 16, source="go/main.go", env=tuple(GO.items()),
            build=("go", "build", "-o", str(OUT / "pgx"), "go/main.go")),
]


def build(program):
    """Compiles what is missing or older than its source."""
    if not program.build:
        return
    OUT.mkdir(parents=True, exist_ok=True)
    stamp = OUT / f"{program.name}.stamp"
    if stamp.exists() and stamp.stat().st_mtime > (HERE / program.source).stat().st_mtime:
        return
    subprocess.run(program.build, cwd=HERE, check=True, env={**os.environ, **dict(program.env)})
    stamp.touch()


def run(program, settings, timeout=120):
    """Lines that the program has printed; what went to stderr and the exit code come as lines of failure."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    env.update({"TZ": "UTC", "LC_ALL": "C.UTF-8", "PGCONNECT_TIMEOUT": "20", **dict(program.env), **settings})
    try:
        done = subprocess.run(program.command, cwd=HERE, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=timeout)
    except subprocess.TimeoutExpired as late:
        return [*(late.stdout or b"").decode("utf-8", "backslashreplace").splitlines(), f"FAILED: it hangs for {timeout} s"]
    lines = done.stdout.decode("utf-8", "backslashreplace").splitlines()
    if done.returncode != 0 and not any(line.startswith("FAILED") for line in lines):
        lines.append(f"FAILED: exit {done.returncode}: {done.stderr.decode('utf-8', 'backslashreplace')[-2000:]}")
    checks = sum(line.startswith("ok ") for line in lines)
    if checks < program.checks_min:
        lines.append(f"FAILED: {checks} checks are ok, there are {program.checks_min}")
    return lines


def run_all(chosen, settings, clean):
    """{program: lines}, with clean() before each."""
    out = {}
    for program in chosen:
        clean()
        out[program.name] = run(program, settings)
    return out


def trouble(lines, reference=None):
    """What failed, else what differs from the reference."""
    bad = [line for line in lines if line.startswith("FAILED")]
    if reference is not None and not bad and lines != reference:
        bad = [f"differs\n    direct  {a}\n    through {b}" for a, b in zip(reference, lines) if a != b]
        bad = bad or ["differs in the number of lines"]
    return bad
