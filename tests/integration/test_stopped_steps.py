"""A last step that the catalog refuses stops, says what to do, and goes on once that is done."""

import pytest

pytestmark = pytest.mark.one_version

RENAME = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}


@pytest.fixture
def items(db):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text)")
    db.sql("INSERT INTO items SELECT i, 'label ' || i FROM generate_series(1, 50) i")
    return db


def test_a_view_on_the_new_column_stops_abort_until_it_is_gone(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    items.sql("CREATE VIEW v AS SELECT title FROM items")
    proxy.cli("abort", "m", check=4)
    row = proxy.status("m")
    assert row["phase"] == "aborting" and "view v" in row["error"]
    assert row["hint"].endswith("resume tries again")
    proxy.restart()
    items.sql("DROP VIEW v")
    proxy.wait("m", lambda r: r["error"])
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "aborted")


def test_a_view_on_the_old_column_stops_complete_until_it_is_gone(items, segue):
    proxy = segue(items)
    proxy.soaking(RENAME)
    items.sql("CREATE VIEW v AS SELECT label FROM items")
    proxy.cli("complete", "m", "--force", check=4)
    row = proxy.status("m")
    assert row["phase"] == "contracting" and "view v" in row["error"]
    assert row["hint"].endswith("resume tries again")
    items.sql("DROP VIEW v")
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "done")
