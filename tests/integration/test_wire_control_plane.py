"""What the control plane asks of a server that gives little: few connections, plain start-up packets, tables that last."""

import contextlib
import os
import threading
from pathlib import Path

import pytest
from lib.hostile import Hostile
from lib.tables import RENAME, make_items
from lib.wait import SLOW

CONNECTIONS_MAX = 4


def connections(proxy, port):
    """How many of the process stand; a backend may outlive its own by a moment."""
    inodes = set()
    with open("/proc/net/tcp", encoding="ascii") as table:
        for row in map(str.split, table):
            if row[2].endswith(f":{port:04X}") and row[3] == "01":
                inodes.add(row[9])
    own = []
    for fd in Path(f"/proc/{proxy.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            own.append(os.readlink(fd))
    return sum(f"socket:[{inode}]" in own for inode in inodes)


def watch(proxy, port, counts, over):
    while not over.wait(0.005):
        counts.append(connections(proxy, port))


def test_the_control_plane_has_at_most_four_connections_through_a_whole_migration(db, segue):
    make_items(db, 5000)
    proxy = segue(db)
    counts, over = [], threading.Event()
    watcher = threading.Thread(target=watch, args=(proxy, db.cluster.port, counts, over))
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
