"""What the control plane asks of a server that gives little: few connections, plain start-up packets, tables that last."""

import threading

import pytest
from lib.hostile import Hostile
from lib.tables import RENAME, make_items
from lib.wait import SLOW

CONNECTIONS_MAX = 4


def watch(db, counts, over):
    with db.connect() as conn:
        while not over.wait(0.005):
            counts.append(conn.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'segue%' AND datname = current_database()"
            ).fetchone()[0])


def test_the_control_plane_has_at_most_four_connections_through_a_whole_migration(db, segue):
    make_items(db, 5000)
    proxy = segue(db)
    counts, over = [], threading.Event()
    watcher = threading.Thread(target=watch, args=(db, counts, over))
    watcher.start()
    try:
        proxy.done(RENAME)
    finally:
        over.set()
        watcher.join(20 * SLOW)
    assert 1 <= max(counts) <= CONNECTIONS_MAX


@pytest.mark.one_version
def test_the_control_plane_sends_its_settings_by_set_not_at_start_up(db, segue):
    make_items(db, 100)
    with Hostile(db.cluster.port) as relay:
        segue(upstream=relay.url(db.name)).done(RENAME)
        mine = [p for p in relay.startups if b"application_name\0segue" in p]
        assert mine
        for packet in mine:
            words = packet[8:].rstrip(b"\0").split(b"\0")
            assert set(words[::2]) <= {b"user", b"database", b"application_name", b"client_encoding"}


@pytest.mark.one_version
def test_all_state_of_a_migration_is_in_logged_tables(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    kept = db.sql("SELECT relname, relpersistence FROM pg_class WHERE relnamespace = 'segue'::regnamespace AND relkind IN ('r', 'S')")
    assert len(kept) > 1 and {persistence for _, persistence in kept} == {"p"}
