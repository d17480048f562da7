"""The programs of `make races`: one a driver, each with several connections, told over standard input what they may do."""

import os
import queue
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from lib.segue import BUILD
from lib.wait import SLOW

HERE = Path(__file__).resolve().parent
OUT = BUILD / "tests" / "races"
JAR = "/usr/share/java/postgresql.jar"


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple
    build: tuple = ()
    source: str = ""


def python(name):
    return Program(name.replace("_", "-"), ("/usr/bin/python3", f"python/{name}_races.py"))


PROGRAMS = [
    python("asyncpg"),
    python("psycopg3"),
    python("psycopg2"),
    python("sql_prepare"),
    python("sqlalchemy"),
    Program("node-postgres", ("node", "node/pg_races.js")),
    Program("postgres.js", ("node", "node/postgres_races.js")),
    Program("jdbc", ("java", "-Xmx128m", "-cp", f"{OUT}:{JAR}", "Races"), source="java/Races.java",
            build=("javac", "-cp", JAR, "-d", str(OUT), "java/Races.java")),
]


def build(program):
    """Compiles what is missing or older than its source."""
    if not program.build:
        return
    OUT.mkdir(parents=True, exist_ok=True)
    stamp = OUT / f"{program.name}.stamp"
    if stamp.exists() and stamp.stat().st_mtime > (HERE / program.source).stat().st_mtime:
        return
    subprocess.run(program.build, cwd=HERE, check=True)
    stamp.touch()


class Running:
    """A program that runs, and what it has said."""

    def __init__(self, program, number, seed, settings):
        self.program = program
        self.at, self.come = 0, threading.Condition()
        self.problems, self.rows, self.counts = [], {"items": {}, "plain": {}}, None
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        env.update({"TZ": "UTC", "LC_ALL": "C.UTF-8", "RACES_PROGRAM": str(number), "RACES_SEED": str(seed), **settings})
        self.errors = queue.SimpleQueue()
        self.process = subprocess.Popen(program.command, cwd=HERE, env=env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "at":
                with self.come:
                    self.at = int(rest)
                    self.come.notify_all()
            elif word == "row":
                table, number, n = rest.split()
                self.rows[table][int(number)] = int(n)
            elif word == "done":
                self.counts = {k: int(v) for k, v in (pair.split("=") for pair in rest.split())}
            else:
                self.problems.append(line.rstrip("\n"))
        with self.come:
            self.at = float("inf")  # who has ended holds nobody up
            self.come.notify_all()

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.put(line.rstrip("\n"))

    def order(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended: finish() says so

    def wait(self, gen):
        with self.come:
            if not self.come.wait_for(lambda: self.at >= gen, 60 * SLOW):
                raise AssertionError(f"{self.program.name} does not come to stage {gen}, it is at {self.at}: a session hangs")

    def finish(self):
        self.order("stop")
        try:
            code = self.process.wait(60 * SLOW)
        except subprocess.TimeoutExpired:
            self.problems.append("it does not come to its end")
            self.kill()
            return
        for reader in self.readers:
            reader.join(10)
        if code != 0 or self.counts is None:
            errors = []
            while not self.errors.empty():
                errors.append(self.errors.get())
            self.problems.append(f"exit {code}: {' / '.join(errors[-15:])}")
        elif self.counts["statements"] < 20:
            self.problems.append(f"it has done nothing: {self.counts}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
