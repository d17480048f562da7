"""A primary that becomes a standby, and a standby that becomes the primary, in the middle of migrations."""

import pytest
from lib.standby import Standby
from lib.tables import RENAME, make_items, out_of_step
from lib.traffic import PLAIN
from lib.wait import until

pytestmark = [pytest.mark.one_version, pytest.mark.deadline(120)]
NAME = RENAME["name"]


def url(db, *clusters):
    return f"postgresql://postgres@{','.join(f'127.0.0.1:{c.port}' for c in clusters)}/{db.name}"


def connected(proxy):
    return proxy.console("SHOW VERSION")[0]["engine_connected"]


def test_a_migration_goes_on_where_the_primary_is_and_waits_where_there_is_none(private_pg, private_db, segue):
    primary, db = private_pg, private_db
    make_items(db, 200)
    standby = Standby(primary).start()
    proxy = segue(upstream=url(db, primary, standby))
    only = segue(upstream=url(db, standby))  # its one host is a standby
    proxy.ready(RENAME)
    standby.has_replayed()
    try:
        # the data plane works; the engine says what it waits for, and refuses what it cannot do
        with only.connect(db.name) as client:
            assert client.execute("SELECT count(label) FROM items").fetchone() == (200,)
        only.logged("the server is a standby")
        assert "the server is a standby" in only.cli("cutover", NAME, check=1).err
        assert "a standby" in only.cli("doctor", check=1).out
        # what was the primary becomes a standby of what was its standby
        primary.stop()
        until("it to notice", lambda: not connected(proxy))
        with standby.connect() as conn:
            conn.execute("SELECT pg_promote()")
        (primary.data / "standby.signal").touch()
        with open(primary.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(f"primary_conninfo = 'host=127.0.0.1 port={standby.port} user=postgres'\n")
        primary.start()
        owner = until("the engine to be on the new primary", lambda: next(filter(connected, (proxy, only)), None), 60)
        row = owner.status(NAME)
        assert row["phase"] == "ready" and not row["error"]
        owner.cli("cutover", NAME)
        with owner.connect(db.name) as client:
            if client.execute("SELECT NOT pg_is_in_recovery()").fetchone()[0]:
                client.execute("UPDATE items SET title = 'promoted' WHERE id = 1")
        with standby.connect(db.name) as conn:
            assert conn.execute("SELECT count(*) FROM items WHERE label IS DISTINCT FROM title").fetchone() == (0,)
        owner.cli("complete", NAME, "--force")
    finally:
        standby.crash()
