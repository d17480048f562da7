"""The engine's connection is lost while it idles: that is noticed, and the next command is obeyed."""

import time

import pytest
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.one_version
NAME = RENAME["name"]


def lose(db):
    """Ends the engine's backends; segue is told nothing but the end of its socket."""
    with db.connect() as conn:
        pids = [pid for (pid,) in conn.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()")]
        assert pids
        conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", (pids,))
        until("its backends to be gone", lambda: conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", (pids,)).fetchone() == (0,))


def connected(proxy):
    return proxy.console("SHOW VERSION")[0]["engine_connected"]


def backends(db):
    return db.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()")


def test_the_loss_is_noticed_logged_in_the_servers_words_and_made_up_for(db, segue):
    proxy = segue(db)
    proxy.at_work()
    with proxy.connect() as client:
        client.execute("SELECT 1")
        lose(db)
        proxy.logged("the engine lost its connection: terminating connection due to administrator command (57P01)")
        until("the next connection", lambda: backends(db) == 1 and connected(proxy))
    assert proxy.log_text().count("lost its connection") == 1


def test_a_server_that_goes_to_sleep_is_not_woken_before_somebody_comes(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.at_work()
    lose(db)
    proxy.logged("the engine lost its connection")
    end = time.monotonic() + 3 # longer than it waits to see who has stayed
    while time.monotonic() < end:
        assert backends(db) == 0
        time.sleep(0.1)
    with proxy.connect() as client:
        assert client.execute("SELECT count(*) FROM items").fetchone() == (10,)
        until("the engine", lambda: backends(db) == 1 and connected(proxy))
    lose(db)
    until("the loss", lambda: not backends(db))
    proxy.ready(RENAME) # a command waits for nobody
    lose(db)
    until("the engine, unasked, while a migration is in flight", lambda: backends(db) > 0)
    proxy.cli("abort", NAME)


def test_while_the_server_is_away_the_engine_says_so_unasked(private_db, segue):
    proxy = segue(private_db)
    proxy.at_work()
    private_db.cluster.crash()
    until("the loss", lambda: not connected(proxy))
    private_db.cluster.start()
    until("the engine", lambda: connected(proxy))
    assert proxy.log_text().count("lost its connection") == 1


def test_a_server_that_ends_each_connection_at_once_is_asked_less_and_less(db, segue):
    proxy = segue(db)
    proxy.at_work()
    began = time.monotonic()
    with proxy.connect():
        for losses in (1, 2, 3):
            lose(db)
            until("the loss", lambda: proxy.log_text().count("lost its connection") == losses)
            until("the next connection", lambda: connected(proxy))
    assert time.monotonic() - began > 0.5 + 1 + 2


def test_the_first_command_after_the_loss_is_obeyed(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    for command, phase in (("cutover", "soaking"), ("rollback", "ready"), ("verify", "ready"), ("cutover", "soaking")):
        lose(db)
        proxy.cli(command, NAME)
        assert proxy.phase(NAME) == phase
    lose(db)
    proxy.cli("complete", NAME, "--force")
    assert proxy.phase(NAME) == "done"


def test_the_first_command_after_a_restart_of_the_server_is_obeyed(private_db, segue):
    db = private_db
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    for command, phase in (("cutover", "soaking"), ("rollback", "ready")):
        db.cluster.crash()
        db.cluster.start()
        proxy.cli(command, NAME)
        assert proxy.phase(NAME) == phase
