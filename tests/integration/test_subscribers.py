"""A published table has subscribers, which need the new columns before the first row with them comes: plan says so, and how."""

import re

import pytest
from lib.wait import until

TABLE = "CREATE TABLE items (id int PRIMARY KEY, label text, n int)"
FILE = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "the title"}},
                                    {"alter_column": {"table": "items", "column": "n", "type": "bigint", "up": "n", "down": "n"}}]}


def statements(plan):
    """What plan says is to be run there: before start, and before the cut-over."""
    hint = plan.partition("publication pub sends it")[2]
    found = re.findall(r'ALTER TABLE public\.items (?:ADD|ALTER) COLUMN (?:"[^"]+"|\w+)(?: TYPE)? \w+', hint)
    return [s for s in found if " TYPE " not in s], [s for s in found if " TYPE " in s]


@pytest.fixture
def subscribed(db, copy):
    """Two databases of one cluster: the slot is made by hand, or the subscription would wait for itself."""
    for one in (db, copy):
        one.sql(TABLE)
    db.sql("INSERT INTO items VALUES (1, 'first', 1)")
    db.sql("CREATE PUBLICATION pub FOR TABLE items")
    slot = f"sub_{db.name}"[:60]
    db.sql(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    copy.sql(f"CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port={db.cluster.port} user=postgres dbname={db.name}' PUBLICATION pub "
             f"WITH (create_slot = false, slot_name = '{slot}', copy_data = true)")
    yield db, copy
    copy.sql("ALTER SUBSCRIPTION sub DISABLE")
    copy.sql("ALTER SUBSCRIPTION sub SET (slot_name = NONE)")
    copy.sql("DROP SUBSCRIPTION sub")
    until("the slot to be free", lambda: db.one(f"SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{slot}'"))
    db.sql(f"SELECT pg_drop_replication_slot('{slot}')")


def comes_over(db, copy, i, column, n):
    db.sql(f'INSERT INTO items (id, "{column}", n) VALUES ({i}, \'row\', {n})')
    until("the row to come over", lambda: copy.one(f'SELECT "{column}" = \'row\' AND n = {n} FROM items WHERE id = {i}'))


def test_a_subscriber_that_does_what_plan_says_goes_on_through_the_migration(subscribed, segue):
    db, copy = subscribed
    proxy = segue(db)
    comes_over(db, copy, 2, "label", 2)
    done = proxy.cli("plan", proxy.file(FILE))
    assert "publication pub sends it" in done.out
    before, turn = statements(done.out)
    assert len(before) == 2 and len(turn) == 1, done.out
    copy.sql("; ".join(before))
    proxy.ready(FILE)
    comes_over(db, copy, 3, "label", 3)
    copy.sql("; ".join(turn))
    proxy.cli("cutover", "m")
    comes_over(db, copy, 4, "the title", 4)
    proxy.cli("complete", "m", "--force")
    proxy.wait_phase("m", "done")
    comes_over(db, copy, 5, "the title", 6_000_000_000)


@pytest.mark.one_version
def test_plan_warns_of_what_is_published_and_of_what_a_subscription_fills(subscribed, segue):
    db, copy = subscribed
    said = segue(copy)
    out = said.cli("plan", said.file(FILE)).out
    assert "subscription sub fills it" in out and "still sends label" in out and "sends it: a subscriber" not in out
    db.sql("DROP PUBLICATION pub")
    proxy = segue(db)
    for publication, warned in (("FOR ALL TABLES", True), ("FOR TABLE items (id, n)", False), ("FOR TABLES IN SCHEMA public", True)):
        db.sql(f"CREATE PUBLICATION pub {publication}")
        out = proxy.cli("plan", proxy.file({"name": "a", "operations": [{"add_column": {"table": "items", "column": {
            "name": "more", "type": "text", "nullable": True}}}]})).out
        assert ("ALTER TABLE public.items ADD COLUMN more text" in out.partition("publication pub sends it")[2]) == warned, out
        db.sql("DROP PUBLICATION pub")
