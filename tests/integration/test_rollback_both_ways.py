"""Abort, rollback, complete: what is kept, what is gone, what is refused."""

import json

import pytest
from lib import catalog
from lib.tables import KINDS, RENAME, make_items, out_of_step
from lib.traffic import PLAIN, Traffic
from lib.wait import until

pytestmark = pytest.mark.one_version
RICH = """
CREATE INDEX ix_label ON items (label);
ALTER TABLE items ALTER label SET NOT NULL, ALTER label SET DEFAULT 'none',
    ADD CONSTRAINT label_long CHECK (length(label) > 0), ADD CONSTRAINT label_n UNIQUE (label, id);
COMMENT ON COLUMN items.label IS 'the label';"""


def whole(db):
    with db.connect() as conn:
        return catalog.whole(conn)


@pytest.mark.parametrize("phase", ["expanding", "backfilling", "ready"])
def test_abort_leaves_the_catalog_as_it_was(db, segue, phase):
    make_items(db, 1000, filler=3500, more=RICH)
    before = whole(db)
    proxy = segue(db)
    migration = {"name": "many", "operations": RENAME["operations"] + [
        {"add_column": {"table": "items", "column": {"name": "size", "type": "int"}, "up": "length(label)"}},
        {"create_table": {"name": "fresh", "columns": [{"name": "id", "type": "bigserial", "pk": True}]}},
        {"create_index": {"name": "ix_note", "table": "items", "columns": ["note"]}}]}
    proxy.console("THROTTLE rows_per_s 20")
    proxy.begin(migration)
    if phase == "ready":
        proxy.console("THROTTLE rows_per_s off")
    proxy.wait("many", lambda r: r["phase"] == phase or (phase == "expanding" and r["phase"] == "backfilling"))
    proxy.cli("abort", "many")
    assert proxy.phase("many") == "aborted"
    assert catalog.difference(before, whole(db)) == []
    assert catalog.traces(db.connect()) == []


def test_rollback_before_cutover_is_an_abort(db, segue):
    make_items(db, 100, more=RICH)
    before = whole(db)
    proxy = segue(db)
    proxy.ready(RENAME)
    proxy.cli("rollback", "rename_label")
    assert proxy.phase("rename_label") == "aborted"
    assert catalog.difference(before, whole(db)) == []


def test_abort_under_traffic_loses_nothing(db, segue):
    make_items(db, 1000)
    proxy = segue(db)
    with Traffic(proxy.connect) as traffic:
        traffic.start("old", 3).flows(20)
        proxy.ready(RENAME)
        traffic.flows(20)
        proxy.cli("abort", "rename_label")
        traffic.flows(20)
        traffic.stop().verify(db, ["old"])


@pytest.mark.parametrize("kind", KINDS)
def test_rollback_after_cutover_keeps_the_writes_of_both_sides(db, segue, kind):
    migration, pair = make_items(db, 1000, kind)
    name = migration["name"]
    proxy = segue(db)
    with Traffic(proxy.connect, pair) as traffic:
        traffic.start("old", 2).flows(20)
        proxy.soaking(migration)
        traffic.start("new", 2).flows(50, "new")
        traffic.flows(20, "old")
        proxy.cli("rollback", name)
        assert proxy.phase(name) == "ready"
        # both revisions go on; the old column leads again
        traffic.flows(40)
        traffic.stop("new")
        proxy.cli("cutover", name)
        traffic.flows(20)
        proxy.cli("rollback", name)
        proxy.cli("abort", name)
        traffic.flows(20, "old")
        traffic.stop().verify(db, ["old"])
    assert catalog.traces(db.connect()) == []


def test_the_way_back_gives_the_old_column_its_default_and_constraints(db, segue):
    make_items(db, 100, more=RICH)
    before = whole(db)
    proxy = segue(db)
    name = proxy.soaking(RENAME)
    conn = proxy.connect()
    conn.execute("INSERT INTO items (id) VALUES (1001)")
    assert db.sql("SELECT label, title FROM items WHERE id = 1001") == [("none", "none")]
    proxy.cli("rollback", name)
    conn.execute("INSERT INTO items (id) VALUES (1002)")
    assert db.sql("SELECT label, title FROM items WHERE id = 1002") == [("none", "none")]
    proxy.cli("abort", name)
    db.sql("DELETE FROM items WHERE id > 1000")
    assert catalog.difference(before, whole(db)) == []


def test_complete_leaves_no_trace_but_the_schema_segue(db, segue):
    make_items(db, 1000, more=RICH)
    proxy = segue(db)
    proxy.done(RENAME)
    assert catalog.traces(db.connect()) == []
    assert db.one("SELECT phase FROM segue.migrations WHERE name = 'rename_label'") == "done"
    columns = [c for (c,) in db.sql("SELECT attname FROM pg_attribute WHERE attrelid = 'items'::regclass "
                                    "AND attnum > 0 AND NOT attisdropped ORDER BY 1")]
    assert columns == ["filler", "id", "note", "title"]
    # everything else is the application's again, and may go with the schema
    db.sql("DROP SCHEMA segue CASCADE")
    proxy.connect().execute("INSERT INTO items (id, title) VALUES (1001, 'x')")


def test_complete_is_refused_while_old_names_are_used_and_names_who(db, segue):
    make_items(db, 100)
    proxy = segue(db, quiet_period_s=900)
    name = proxy.soaking(RENAME)
    conn = proxy.connect(application_name="old revision")
    conn.execute("UPDATE items SET label = 'x' WHERE id = 1")
    refused = proxy.cli("complete", name, check=1).err
    assert "old revision" in refused and "postgres" in refused and "UPDATE items SET label" in refused
    assert "127.0.0.1" in refused
    assert proxy.phase(name) == "soaking"
    assert int(proxy.status(name)["old_names_last_s"]) < 60 * 6
    proxy.cli("complete", name, "--force")
    assert proxy.phase(name) == "done"


def test_complete_goes_on_after_the_quiet_period(db, segue):
    make_items(db, 100)
    proxy = segue(db, quiet_period_s=1)
    name = proxy.soaking(RENAME)
    proxy.connect().execute("UPDATE items SET label = 'x' WHERE id = 1")
    until("the quiet period to pass", lambda: proxy.cli("complete", name, check=None).code == 0)
    assert proxy.phase(name) == "done"


def test_complete_is_not_refused_for_those_that_use_new_names(db, segue):
    make_items(db, 100)
    proxy = segue(db, quiet_period_s=3600)
    conn = proxy.connect()
    conn.execute("UPDATE items SET label = 'x' WHERE id = 1")
    name = proxy.soaking(RENAME)
    conn.execute("UPDATE items SET title = 'y' WHERE id = 1")
    done = proxy.cli("complete", name, check=None)
    if done.code:
        # nothing but the time since the cut-over may be the reason
        assert "UPDATE items SET title" not in done.err and "UPDATE items SET label" not in done.err
    else:
        assert proxy.phase(name) == "done"


def test_complete_right_after_the_cutover_is_refused(db, segue):
    make_items(db, 100)
    proxy = segue(db, quiet_period_s=900)
    name = proxy.soaking(RENAME)
    refused = proxy.cli("complete", name, check=1).err
    assert "cut-over was only" in refused and "quiet_period_s" in refused and "--force" in refused
    assert proxy.phase(name) == "soaking"


def test_rollback_said_twice_does_not_abort(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    name = proxy.soaking(RENAME)
    proxy.connect().execute("UPDATE items SET title = 'new' WHERE id = 1")
    proxy.cli("rollback", name)
    refused = proxy.cli("rollback", name, check=1).err
    assert "rolled back already" in refused and "ABORT" in refused
    assert proxy.phase(name) == "ready"
    assert db.one("SELECT title FROM items WHERE id = 1") == "new"
    proxy.cli("abort", name)
    assert proxy.phase(name) == "aborted"


CREATES = {"name": "creates", "operations": [
    {"create_table": {"name": "fresh", "columns": [{"name": "id", "type": "int", "pk": True}]}}]}


def test_abort_is_refused_while_a_created_table_has_rows(db, segue):
    proxy = segue(db)
    proxy.ready(CREATES)
    proxy.connect().execute("INSERT INTO fresh VALUES (1)")
    assert "fresh" in proxy.cli("abort", "creates", check=1).err
    assert proxy.phase("creates") == "ready" and db.one("SELECT count(*) FROM fresh") == 1
    proxy.cli("abort", "creates", "--force")
    assert proxy.phase("creates") == "aborted" and db.one("SELECT to_regclass('fresh')") is None


@pytest.mark.parametrize("forced", [False, True])
def test_a_row_on_its_way_into_a_created_table_when_abort_looked_goes_only_with_force(db, segue, forced):
    proxy = segue(db)
    proxy.ready(CREATES)
    with proxy.connect(autocommit=False) as writer:
        writer.execute("INSERT INTO fresh VALUES (1)")
        proxy.console("ABORT creates" + " FORCE" * forced)
        proxy.wait_phase("creates", "aborting")
        writer.commit()
    if not forced:
        row = proxy.wait("creates", lambda r: r["error"])
        assert "rows have come into table public.fresh" in row["error"] and "segue abort creates --force" in row["hint"], row
        assert "it is aborting" in proxy.cli("abort", "creates", check=1).err  # said once more it is no force
        assert db.one("SELECT count(*) FROM fresh") == 1
        proxy.restart().at_work()
        proxy.console("RESUME creates")
        proxy.wait("creates", lambda r: r["error"])
        db.sql("DELETE FROM fresh; ALTER TABLE fresh ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; INSERT INTO fresh VALUES (2)")
        proxy.console("RESUME creates")
        proxy.wait("creates", lambda r: "rows have come" in (r["error"] or ""))
        proxy.console("ABORT creates FORCE")
    proxy.wait_phase("creates", "aborted")
    assert db.one("SELECT to_regclass('fresh')") is None


def test_abort_drops_a_created_table_that_is_empty(db, segue):
    proxy = segue(db)
    proxy.ready(CREATES)
    proxy.cli("abort", "creates")
    assert db.one("SELECT to_regclass('fresh')") is None


def test_of_a_paused_migration_that_is_verified_nothing_else_begins(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready({"name": "wide", "operations": [{"alter_column": {"table": "items", "column": "id", "type": "bigint", "up": "id", "down": "id::int"}}]})
    proxy.cli("pause", "wide")
    proxy.kill9()
    # as if the kill had come between the index of the new half, in ready after a way back, and its mark
    db.sql("DELETE FROM segue.steps s USING segue.begun b WHERE b.migration = s.migration AND b.no = s.no")
    proxy.start().at_work()
    (row,) = proxy.console("VERIFY wide")
    assert (int(row["rows_verified"]), int(row["rows_bad"])) == (100, 0)
    assert int(proxy.status("wide")["builds_left"]) > 0
    proxy.cli("resume", "wide")
    proxy.wait("wide", lambda r: int(r["builds_left"]) == 0)


def test_after_an_abort_the_migration_may_start_again(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    proxy.cli("abort", "rename_label")
    done = proxy.cli("start", proxy.file(RENAME), check=None)
    if done.code != 0:
        # a name is used once: then under another one
        assert "rename_label" in done.err
        proxy.cli("start", proxy.file({**RENAME, "name": "again"}))
    assert out_of_step(db, PLAIN) == 0


def test_json_output_of_status_is_json(db, segue):
    make_items(db, 100)
    proxy = segue(db)
    proxy.ready(RENAME)
    got = json.loads(proxy.cli("status", "rename_label", "--json").out)
    assert "ready" in json.dumps(got)
