"""A segue that takes over what a newer one has planned leaves it alone, and says why."""

import json

import pytest
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.one_version
NAME = RENAME["name"]


def with_field(db, name, on=True):
    change = "plan || '{\"waits\": true}'" if on else "plan - 'waits'"
    db.sql(f"UPDATE segue.migrations SET plan = {change} WHERE name = '{name}'")


def test_a_plan_with_something_unknown_is_not_acted_upon(db, segue):
    make_items(db, 50)
    proxy = segue(db, rules_wait_ms=500)
    proxy.done({**RENAME, "name": "before"})
    db.sql("ALTER TABLE items RENAME title TO label")
    proxy.ready(RENAME)
    proxy.stop()
    with_field(db, NAME)
    with_field(db, "before")
    proxy.start()
    client = proxy.connect()
    client.execute("UPDATE items SET label = 'goes on' WHERE id = 1")
    wanted = f'migration "{NAME}": its plan has a field "waits", which this segue does not know'
    proxy.logged(wanted)
    proxy.logged("a newer segue has planned it")
    until("the doctor to know", lambda: wanted.partition(": ")[2] in proxy.cli("doctor", check=None).out)
    assert proxy.cli("cutover", NAME, check=1).err
    assert db.one(f"SELECT phase FROM segue.migrations WHERE name = '{NAME}'") == "ready"
    # the one that has ended is in nobody's way
    with_field(db, NAME, on=False)
    proxy.wait_phase(NAME, "ready")
    proxy.cli("cutover", NAME)
    assert db.one("SELECT title FROM items WHERE id = 1") == "goes on"


def test_a_newer_store_is_not_touched(db, segue):
    make_items(db, 50)
    proxy = segue(db, rules_wait_ms=500)
    proxy.ready(RENAME)
    proxy.stop()
    db.sql("INSERT INTO segue.store (version) SELECT max(version) + 1 FROM segue.store")
    proxy.start()
    proxy.logged("schema segue was made by a newer segue")
    proxy.logged("start that one again")
    for upstream in [], ["--upstream", db.url()]:
        rows = json.loads(proxy.cli("doctor", *upstream, "--json", check=1).out)
        (row,) = [r for r in rows if r["finding"] == "a newer store"]
        assert row["weight"] == "wrong" and "made by a newer segue" in row["what"] and row["hint"] == "run that segue, or a later one"
    db.sql("DELETE FROM segue.store WHERE version = (SELECT max(version) FROM segue.store)")
    proxy.wait_phase(NAME, "ready")
