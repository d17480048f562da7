"""psql through the proxy, as a person would use it."""

import os
import pty
import select
import signal
import subprocess

import pytest
from lib.wait import until

pytestmark = pytest.mark.one_version


@pytest.fixture
def proxy(db, segue):
    return segue(db)


def psql(proxy, *args, stdin=None, dbname=None):
    done = subprocess.run(["psql", "-XAt", "-v", "ON_ERROR_STOP=1", proxy.url(dbname), *args], input=stdin,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_copy_from_and_to_a_file(proxy, tmp_path):
    data = tmp_path / "in.csv"
    data.write_text("".join(f"{i},x{i}\n" for i in range(1000)))
    out = psql(proxy, "-c", "CREATE TABLE t (id int, v text)", "-c", rf"\copy t FROM '{data}' CSV",
               "-c", rf"\copy t TO '{tmp_path}/out.csv' CSV", "-c", "SELECT count(*) FROM t")
    assert out.splitlines()[-1] == "1000"
    assert (tmp_path / "out.csv").read_text() == data.read_text()


def test_describing_tables_preparing_statements_and_cursors(proxy):
    out = psql(proxy, stdin="CREATE TABLE t (id int PRIMARY KEY);\n\\d t\nPREPARE p AS SELECT 5;\nEXECUTE p;\n"
                            "BEGIN;\nDECLARE c CURSOR FOR SELECT generate_series(1, 3);\nFETCH ALL FROM c;\nCOMMIT;\n")
    assert out.splitlines() == ["CREATE TABLE", "id|integer||not null|", "PREPARE", "5", "BEGIN", "DECLARE CURSOR",
                                "1", "2", "3", "COMMIT"]


class Terminal:
    """psql on a terminal of its own: interactive, Ctrl-C included."""

    def __init__(self, proxy):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp("psql", ["psql", "-nXAt", "-P", "pager=off", proxy.url()])
        self.seen = ""

    def type(self, text):
        self.seen = ""
        os.write(self.fd, text.encode())

    def sees(self, text):
        def look():
            if select.select([self.fd], [], [], 0)[0]:
                self.seen += os.read(self.fd, 65536).decode()
            return text in self.seen

        until(f"{text!r} on the terminal", look)

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(proxy):
    one = Terminal(proxy)
    yield one
    one.close()


def test_interrupt_cancels_the_query_and_the_session_goes_on(terminal, db):
    terminal.type("SELECT pg_sleep(60);\n")
    until("the query to run", lambda: db.sql(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active' "
        "AND datname = current_database()"))
    terminal.type("\x03")
    terminal.sees("canceling statement due to user request")
    terminal.type("SELECT 'still ' || 'here';\n")
    terminal.sees("still here")


def test_watch_repeats_until_interrupted(terminal):
    terminal.type("SELECT 'ti' || 'ck' \\watch 0.1\n")
    terminal.sees("tick")
    terminal.seen = ""
    terminal.sees("tick")
    terminal.type("\x03")
    terminal.type("SELECT 'af' || 'ter';\n")
    terminal.sees("after")


def test_console_answers_psql(proxy):
    assert psql(proxy, "-c", "SHOW VERSION", "-c", ";", "-c", "SHOW SESSIONS", dbname="segue")
