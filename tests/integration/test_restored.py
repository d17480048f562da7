"""A database that was dumped in the middle of migrations, and restored: its tables have other oids than segue remembers."""

import json
import subprocess

import pytest
from lib.operations import connected
from lib.shell import run_psql
from lib.store import newest, take_back_to

PLACES = {"filling": "backfilling", "waiting": "ready", "turned": "soaking"}


def migration(table):
    return {"name": table, "operations": [{"rename_column": {"table": table, "from": "label", "to": "title"}},
                                          {"create_index": {"name": f"ix_{table}", "table": table, "columns": ["title"]}}]}


def columns(db, table):
    return {row[0] for row in db.sql("SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT "
                                     "attisdropped", table)}


def restore(db, copy):
    dump = subprocess.run([db.cluster.bin / "pg_dump", "--no-owner", db.url()], capture_output=True, text=True, check=True).stdout
    done = subprocess.run([db.cluster.bin / "psql", "-q", "-v", "ON_ERROR_STOP=1", copy.url()], input=dump, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.versions(15)  # the others come without pg_dump
def test_what_was_restored_in_the_middle_is_told_and_nothing_of_it_is_filled_or_dropped(db, copy, segue):
    for table in PLACES:
        db.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, label text); INSERT INTO {table} SELECT i, 'row ' || i FROM generate_series(1, 300) i")
    source = segue(db)
    source.soaking(migration("turned"))
    source.ready(migration("waiting"))
    source.cli("throttle", "rows_per_s", "5")
    source.begin(migration("filling"))
    source.wait("filling", lambda row: row["rows_done"])
    source.stop()
    copy.sql("CREATE TABLE before_it (id int)")  # whatever the order: no oid is what it was
    restore(db, copy)
    proxy = connected(segue(copy))
    for command, table in (("abort", "filling"), ("resume", "filling"), ("cutover", "waiting"), ("rollback", "waiting"),
                           ("rollback", "turned"), ("complete", "turned")):
        said = proxy.cli(command, table, *["--force"][:command == "complete"], check=0 if command == "resume" else 1)
        assert command == "resume" or "dumped in the middle of this migration, and restored" in said.err, said
    row = proxy.wait("filling", lambda row: row["error"])
    assert "restored" in row["error"] and "segue doctor" in row["hint"] and row["phase"] == "backfilling"
    assert proxy.status("filling")["rows_done"] < 300
    # nobody has lost anything, and both sides are in step by the guards
    with proxy.connect() as client:
        for table, phase in PLACES.items():
            assert proxy.phase(table) == phase and columns(copy, table) == {"id", "label", "title"}
            client.execute(f"UPDATE {table} SET {'title' if phase == 'soaking' else 'label'} = 'written' WHERE id = 300")
            assert copy.sql(f"SELECT label, title FROM {table} WHERE id = 300") == [("written", "written")]
    found = {row["migration"]: row for row in json.loads(proxy.cli("doctor", "--json", check=1).out) if row["finding"] == "restored"}
    assert found.keys() == PLACES.keys() and "backfilling" in found["filling"]["what"]
    for table, row in found.items():
        run_psql(row["command"])
        proxy.cli(*(("complete", table, "--force") if table == "turned" else ("abort", table)))
        assert columns(copy, table) == {"id", "title" if table == "turned" else "label"}
        assert copy.sql("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass", table) == []
    assert not [r for r in json.loads(proxy.cli("doctor", "--json", check=None).out) if r["finding"] in ("restored", "left over")]
    proxy.cli("throttle", "rows_per_s", "off")
    assert proxy.done(migration("filling")) and columns(copy, "filling") == {"id", "title"}


ADDED = {"name": "added", "operations": [{"add_column": {"table": "added", "column": {"name": "extra", "type": "int", "nullable": True}}}]}
CHECKED = {"name": "checked", "operations": [
    {"create_constraint": {"name": "positive", "table": "checked", "type": "check", "columns": ["n"], "check": "n > 0"}}]}


@pytest.mark.versions(15)
def test_a_table_that_had_no_guard_yet_or_needs_none_is_known_for_restored(db, copy, segue):
    for table in ("added", "checked", "early"):
        db.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, label text, n int); INSERT INTO {table} VALUES (1, 'one', 1)")
    source = segue(db, lock_timeout_ms=100)
    source.ready(ADDED)
    source.soaking(CHECKED)
    with db.connect() as holder, holder.transaction():
        holder.execute("UPDATE early SET n = 2")
        source.begin(migration("early"))
        source.wait("early", lambda row: row["phase"] == "expanding" and row["blockers"])
        source.stop()
        copy.sql("CREATE TABLE before_it (id int)")
        restore(db, copy)
    proxy = connected(segue(copy))
    for command, name in (("abort", "added"), ("cutover", "added"), ("rollback", "checked"), ("complete", "checked"), ("abort", "early")):
        said = proxy.cli(command, name, *["--force"][:command == "complete"], check=1).err
        assert "dumped in the middle of this migration, and restored" in said, said
    assert columns(copy, "added") == {"id", "label", "n", "extra"}
    found = {row["migration"]: row for row in json.loads(proxy.cli("doctor", "--json", check=1).out) if row["finding"] == "restored"}
    assert found.keys() == {"added", "checked", "early"}
    for name, row in found.items():
        run_psql(row["command"])
        proxy.cli(*(("complete", name, "--force") if name == "checked" else ("abort", name)))
        assert columns(copy, name) == {"id", "label", "n"}
    assert copy.one("SELECT count(*) FROM pg_constraint WHERE conname = 'positive'") == 1
    assert not [r for r in json.loads(proxy.cli("doctor", "--json", check=None).out) if r["finding"] in ("restored", "left over")]
    assert proxy.done({**migration("early"), "name": "again"}) and columns(copy, "early") == {"id", "title", "n"}


RELATIONS_BORN_SINCE = 12  # of the store


@pytest.mark.versions(15)
def test_a_doctor_knows_a_restored_table_of_an_older_store_by_its_guard_and_tells_what_it_cannot_see(db, copy, segue):
    for table in ("waiting", "added"):
        db.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, label text); INSERT INTO {table} VALUES (1, 'one')")
    source = segue(db)
    source.ready(migration("waiting"))
    source.ready(ADDED)
    source.stop()
    copy.sql("CREATE TABLE before_it (id int)")
    restore(db, copy)
    copy.keeps = False
    for version in range(newest(copy) - 1, 0, -1):
        take_back_to(copy, version)
        rows = json.loads(source.cli("doctor", "--json", "--upstream", copy.url(), check=1, server=False).out)
        found = {(row["migration"], row["finding"]): row for row in rows}
        older = found["", "an older store"]
        assert f"(version {version})" in older["what"]
        assert ("waiting", "restored") in found
        if version < RELATIONS_BORN_SINCE:
            assert ("added", "table gone") in found and "is seen only by its guard" in older["hint"]
        else:
            assert ("added", "restored") in found and "by its guard" not in older["hint"]
        assert not {finding for _, finding in found} & {"not looked at", "state not readable"}, rows
    run_psql(found["waiting", "restored"]["command"])
    proxy = connected(segue(copy))
    proxy.cli("abort", "waiting")
    assert columns(copy, "waiting") == {"id", "label"}
    assert not [r for r in json.loads(proxy.cli("doctor", "--json", check=None).out) if r["finding"] in ("restored", "an older store")]
