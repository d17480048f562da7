"""segue's advisory locks are of fixed keys, and any role may take them: who cannot write the store is no segue."""

import contextlib
import json
import re

import pytest
from lib.tables import RENAME
from lib.wait import until

pytestmark = pytest.mark.one_version
LOCK = int.from_bytes(b"segue", "big")  # proxy/engine/store.h
BATCH, LONG, FOLLOWS, TURNS = (LOCK + n for n in range(1, 5))
NAMES = {"name": "names", "operations": [{"rename_table": {"from": "items", "to": "things"}}]}


@pytest.fixture
def owner(db):
    """segue's role, which may not end backends of others."""
    name = f"owner_{db.name}"
    db.sql(f"CREATE ROLE {name} LOGIN; GRANT CREATE ON DATABASE {db.name} TO {name}; GRANT CREATE ON SCHEMA public TO {name}; "
           f"SET ROLE {name}; CREATE TABLE items (id int PRIMARY KEY, label text); INSERT INTO items VALUES (1, 'a')")
    yield name
    db.sql(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


@contextlib.contextmanager
def held(db, *keys, user="app", mode="_shared"):
    """By a role that may connect and no more, under segue's name."""
    with db.connect(user=user, application_name="segue") as conn:
        for key in keys:
            conn.execute(f"SELECT pg_advisory_lock{mode}(%s)", (key,))
        yield conn.info.backend_pid


def found(proxy, finding):
    return [r for r in json.loads(proxy.cli("doctor", "--json", check=None).out) if r["finding"] == finding]


def test_a_mark_of_another_role_does_not_keep_the_engine_from_the_store(db, segue, owner):
    proxy = segue(upstream=db.url(owner))
    proxy.ready(RENAME)
    proxy.cli("cutover", RENAME["name"])
    proxy.stop()
    with held(db, BATCH, FOLLOWS, TURNS) as pid:
        proxy.start()
        proxy.wait_phase(RENAME["name"], "soaking")
        client = proxy.connect(user="app")
        db.sql("GRANT SELECT ON items TO app")
        assert len(client.execute("SELECT * FROM items").fetchone()) == 2
        (row,) = found(proxy, "lock of another role")
        assert row["weight"] == "wrong" and f"backend {pid} (segue, user app, from " in row["what"]
        assert f"pg_terminate_backend({pid})" in row["command"]
        # it neither follows, nor does it turn anything
        proxy.cli("rollback", RENAME["name"])
        proxy.cli("abort", RENAME["name"])
        proxy.ready(NAMES)
        proxy.cli("cutover", "names")
    assert not found(proxy, "lock of another role")


def test_the_lock_itself_with_another_role_is_told_and_the_store_followed(db, segue, owner):
    proxy = segue(upstream=db.url(owner))
    proxy.ready(RENAME)
    proxy.cli("cutover", RENAME["name"])
    db.sql("GRANT SELECT ON items TO app")
    proxy.stop()
    with held(db, LOCK) as pid:
        proxy.start()
        text = proxy.logged(re.compile("role app, which is no segue's"))
        assert f"SELECT pg_terminate_backend({pid})" in text and "another segue" not in text
        client = proxy.connect(user="app")
        assert len(client.execute("SELECT * FROM items").fetchone()) == 2
        (row,) = found(proxy, "lock of another role")
        assert row["weight"] == "wrong" and f"pg_terminate_backend({pid})" in row["command"]
        with proxy.connect("segue") as conn:
            notices = []
            conn.add_notice_handler(lambda d: notices.append(d.message_primary))
            conn.execute("SHOW STATUS")
        assert "role app, which is no segue's" in notices[-1]
    until("it to be at work", lambda: not found(proxy, "lock of another role"))
    proxy.cli("rollback", RENAME["name"])


def test_a_batch_of_a_superusers_engine_goes_on_and_keeps_no_other_from_the_store(db, segue, owner):
    """The server hides from segue's role since when that backend is there."""
    proxy = segue(upstream=db.url(owner))
    proxy.ready(RENAME)
    proxy.stop()
    with held(db, BATCH, user="postgres") as pid:
        proxy.start()
        proxy.logged(f"backend {pid} of another engine goes on")
        proxy.wait_phase(RENAME["name"], "ready")
        proxy.cli("cutover", RENAME["name"])


@pytest.mark.parametrize("key", [BATCH, LONG], ids=["batch", "long"])
def test_who_keeps_the_engine_from_a_mark_is_named_and_all_else_goes_on(db, segue, owner, key):
    proxy = segue(upstream=db.url(owner))
    proxy.at_work()
    index = {"create_index": {"name": "labels", "table": "items", "columns": ["id"]}}
    with held(db, key, mode="") as pid:
        proxy.begin({**RENAME, "operations": [*RENAME["operations"], index]})
        said = proxy.wait(RENAME["name"], lambda r: f"backend {pid}" in r["blockers"], timeout=20)["blockers"]
        assert "user app" in said and "has taken an advisory lock of segue's (55P03)" in said
        proxy.cli("pause", RENAME["name"])
        proxy.cli("resume", RENAME["name"])
    proxy.wait_phase(RENAME["name"], "ready")


def test_who_keeps_two_segues_from_asking_each_other_is_named(db, segue, owner):
    first = segue(upstream=db.url(owner), cutover_attempts_max=2)
    first.ready(NAMES)
    with held(db, FOLLOWS, mode="") as pid:
        second = segue(upstream=db.url(owner))
        second.logged(re.compile(f"is not known here: backend {pid} .* has taken an advisory lock of segue's"))
    second.logged("rules as the other segue has them")
    with held(db, TURNS) as pid:
        said = first.cli("cutover", "names", check=None).err
        assert f"backend {pid} (segue, user app" in said and first.phase("names") == "ready", said
    first.cli("cutover", "names")
