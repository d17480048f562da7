"""Two segues on one database: the one without the advisory lock changes nothing, and its clients have the rules all the same."""

import psycopg
import pytest
from lib.wait import until

pytestmark = pytest.mark.one_version
NAMES = {"name": "names", "operations": [{"rename_table": {"from": "orders", "to": "sold"}},
                                         {"add_column": {"table": "orders", "column": {
                                             "name": "at", "type": "int", "nullable": True, "default": "1"}}}]}


@pytest.fixture
def orders(db):
    db.sql("CREATE TABLE orders (id int PRIMARY KEY, note text); INSERT INTO orders SELECT i, 'o' || i FROM generate_series(1, 9) i")
    return db


def sees(client, *names):
    """Both names of the table, and as many columns as its side has."""
    def look():
        try:
            return [len(client.execute(f"SELECT * FROM {name} WHERE id = 1").fetchone()) for name in names]
        except psycopg.errors.UndefinedTable:
            return None
    return look


def test_who_comes_second_has_the_rules_of_what_the_first_one_does(orders, segue):
    first = segue(orders)
    first.ready(NAMES)
    second = segue(orders, rules_wait_ms=60000)
    client = second.connect(prepare_threshold=None)
    assert sees(client, "orders", "sold")() == [2, 2]
    second.logged("another segue is at work")
    first.cli("cutover", "names")
    until("the names after the cut-over", lambda: sees(client, "orders", "sold")() == [3, 3])
    assert second.phase("names") == "soaking"
    first.cli("rollback", "names")
    until("the names after the way back", lambda: sees(client, "orders", "sold")() == [2, 2])
    refused = second.cli("cutover", "names", check=None)
    assert refused.code and "another segue is at work" in refused.err
    first.cli("abort", "names")
    until("no rules", lambda: sees(client, "sold")() is None)
    assert sees(client, "orders")() == [2]


def test_one_that_has_lost_the_lock_learns_what_the_other_has_done(orders, segue):
    old = segue(orders)
    old.ready(NAMES)
    client = old.connect(prepare_threshold=None)
    old.freeze()
    new = segue(orders)
    orders.one("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
               "AND (classid::bigint << 32 | objid::bigint) = x'7365677565'::bigint")
    new.logged("engine is connected")
    until("the second to lead", lambda: new.phase("names") == "ready")
    new.cli("cutover", "names")
    old.signal(18)  # SIGCONT
    until("the names after the cut-over", lambda: sees(client, "orders", "sold")() == [3, 3])
    client.execute("INSERT INTO orders (id, note) VALUES (10, 'by the old name')")
    new.cli("rollback", "names")
    until("the names after the way back", lambda: sees(client, "orders", "sold")() == [2, 2])
    new.stop()
    until("the first to lead again", lambda: old.phase("names") == "ready" and not old.cli("cutover", "names", check=None).code)
    assert sees(client, "orders", "sold")() == [3, 3] and orders.one("SELECT count(*) FROM sold") == 10
