"""A last step that the catalog refuses stops, says what to do, and goes on once that is done."""

import re

import pytest
from lib.operations import connected
from lib.wait import SLOW, until
from test_cutover_locks import in_background

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
    connected(proxy).wait("m", lambda r: r["error"])
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "aborted")


def test_a_row_that_stops_the_fill_is_told_by_where_it_is(items, segue):
    items.sql("INSERT INTO items SELECT i, repeat('x', 1000) FROM generate_series(51, 500) i;"
              "CREATE FUNCTION strict() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM 1 / (NEW.id - 499); RETURN NEW; END$$;"
              "CREATE TRIGGER strict BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION strict();"
              "ALTER TABLE items ENABLE ALWAYS TRIGGER strict")
    proxy = segue(items)
    proxy.begin(RENAME)
    row = proxy.wait("m", lambda r: r["error"])
    assert row["phase"] == "backfilling" and "division by zero" in row["error"]
    where = re.search(r"of a row of public.items with (ctid >= '\(\d+,0\)' AND ctid < '\(\d+,0\)'), to be mended; resume", row["hint"])
    assert where, row
    assert (499,) in items.sql(f"SELECT id FROM items WHERE {where[1]}")
    items.sql("DELETE FROM items WHERE id = 499")
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "ready")


def test_a_failure_that_cannot_be_written_is_shown_and_written_as_soon_as_it_can_be(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    items.sql("CREATE VIEW v AS SELECT title FROM items")
    items.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no room'; END$$;"
              "CREATE TRIGGER refuse BEFORE UPDATE ON segue.migrations FOR EACH ROW WHEN (NEW.error IS NOT NULL)"
              " EXECUTE FUNCTION refuse()")
    assert "view v" in proxy.cli("abort", "m", check=4).err
    assert items.one("SELECT error FROM segue.migrations") is None
    items.sql("DROP FUNCTION refuse CASCADE")
    until("the failure to be written", lambda: "view v" in (items.one("SELECT error FROM segue.migrations") or ""))
    items.sql("DROP VIEW v")
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "aborted")


def test_a_migration_that_could_not_be_written_is_none(items, segue):
    proxy = segue(items)
    proxy.cli("throttle", "workers", "2")  # there is a schema segue
    items.sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no room'; END$$;"
              "CREATE TRIGGER refuse BEFORE INSERT ON segue.migrations FOR EACH ROW EXECUTE FUNCTION refuse()")
    assert "no room" in proxy.cli("start", proxy.file(RENAME), "--detach", check=1).err
    assert proxy.console("SHOW STATUS") == [] and "no migration \"m\"" in proxy.cli("abort", "m", check=1).err
    items.sql("DROP FUNCTION refuse CASCADE")
    proxy.ready(RENAME)


def test_a_view_that_comes_while_complete_waits_stops_it_until_it_is_gone(items, segue):
    """One that is there before bars the way: test_ddl_in_flight."""
    proxy = segue(items)
    proxy.soaking(RENAME)
    with items.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT count(*) FROM items")
        thread, out = in_background(proxy, "complete", "m", "--force")
        proxy.wait_phase("m", "contracting")
        items.sql("CREATE VIEW v AS SELECT label FROM items")
        holder.execute("COMMIT")
    thread.join(60 * SLOW)
    assert out and out[0].code == 4, out
    row = proxy.status("m")
    assert row["phase"] == "contracting" and "view v" in row["error"]
    assert row["hint"].endswith("resume tries again")
    items.sql("DROP VIEW v")
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "done")
