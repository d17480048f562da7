"""Conversations by hand, direct and through segue: the same bytes come back, and segue knows where the session stands."""

import pytest
from lib.conversations import CONVERSATIONS, hold, ways
from lib.hostile import Hostile
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told


def state(proxy):
    return [row["state"] for row in proxy.console("SHOW SESSIONS") if row["application_name"] == "talker"]


def compare(db, proxy, every_way, but=None):
    with db.connect() as conn:
        for name, parts in CONVERSATIONS.items():
            if name == but:
                continue
            conn.execute("TRUNCATE copied")
            direct, raw = hold(db.cluster.port, db.name, name, parts)
            raw.sock.close()
            for way, sent in ways(name, parts) if every_way else [("message by message", parts)]:
                what = f"{name}, {way}"
                conn.execute("TRUNCATE copied")
                through, raw = hold(proxy.port, db.name, what, sent)
                assert through == direct, what
                until(f"the session to be at rest: {what}", lambda: state(proxy) == ["idle"], every=0.002)
                raw.sock.close()
                until("the session to end", lambda: not state(proxy), every=0.002)


@pytest.fixture
def tables(db):
    make_items(db, 20)
    db.sql("CREATE TABLE copied (id int); CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    return db


def test_conversations_sound_the_same_as_direct(tables, segue):
    compare(tables, segue(tables), every_way=True)


def test_conversations_sound_the_same_while_a_migration_is_ready(tables, segue):
    proxy = segue(tables)
    proxy.ready(RENAME)
    compare(tables, proxy, every_way=False)


@pytest.mark.one_version
@pytest.mark.parametrize("cut", ["bytes", "lumps"])
def test_conversations_sound_the_same_when_the_server_is_cut_into(tables, segue, cut):
    with Hostile(tables.cluster.port) as relay:
        proxy = segue(upstream=relay.url(tables.name))
        relay.cut = cut
        compare(tables, proxy, every_way=False, but="a long text")
