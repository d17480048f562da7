"""Statements that went out before segue knew of a migration, and have not come to the table when expand adds its columns.

They were not rewritten: behind the columns their stars would show both sides, and a prepared one would be refused.
"""

import os
import signal
import threading
from contextlib import contextmanager

import psycopg
import pytest
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.one_version

NAME = RENAME["name"]
COLUMNS = ["id", "label", "note", "filler"]
ADDED = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'title'"


@pytest.fixture
def proxy(db, segue):
    make_items(db, 10)
    return segue(db, workers=2)


@contextmanager
def asleep(conn):
    """The session's backend does not run: what is sent to it is not read."""
    os.kill(conn.info.backend_pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(conn.info.backend_pid, signal.SIGCONT)


def expands_behind(db, proxy, conn, statement):
    """The answer to what was sent to a backend that slept while expand wanted to add its columns."""
    answers = []
    asks = threading.Thread(target=lambda: answers.append(statement(conn)))
    with asleep(conn):
        asks.start()
        until("the statement to be sent", lambda: any(
            row["state"] == "active" for row in proxy.console("SHOW SESSIONS") if row["backend_pid"] == conn.info.backend_pid))
        proxy.begin(RENAME)
        proxy.logged("sent before segue knew of the migration")
        assert not db.one(ADDED)
    asks.join(60)
    proxy.wait_phase(NAME, "ready")
    return answers[0]


def test_a_star_on_its_way_shows_what_was_there(db, proxy):
    with proxy.connect() as conn:
        def star(conn):
            cursor = conn.execute("SELECT * FROM items WHERE id = 1")
            return [column.name for column in cursor.description]

        assert expands_behind(db, proxy, conn, star) == COLUMNS


def test_a_prepared_statement_on_its_way_is_not_refused(db, proxy):
    with proxy.connect() as conn:
        cursor = conn.cursor()

        def upsert(_):
            try:
                return cursor.execute("INSERT INTO items VALUES (1, 'x', 'y', 'z') ON CONFLICT (id) DO UPDATE SET note = 'w' "
                                      "RETURNING *", prepare=True).fetchall()
            except psycopg.Error as error:
                return error.sqlstate

        assert upsert(conn) == [(1, "row 1", "w", "")]
        assert expands_behind(db, proxy, conn, upsert) == [(1, "row 1", "w", "")]


def test_a_long_statement_of_before_holds_expand_up_for_a_while_only(db, proxy):
    with proxy.connect() as conn, db.connect() as holds:
        holds.execute("SELECT pg_advisory_lock(1)")
        asks = threading.Thread(target=lambda: conn.execute("SELECT pg_advisory_lock(1)"))
        asks.start()
        until("it to wait", lambda: db.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = %s",
                                           conn.info.backend_pid))
        proxy.begin(RENAME)
        proxy.wait_phase(NAME, "verifying")  # and not ready, while something is older than the backfill
        assert asks.is_alive()
        holds.execute("SELECT pg_advisory_unlock(1)")
        asks.join(60)
