"""An index that somebody else has made under the name that a migration wants is theirs."""

import sys
import threading

import pytest
from lib.segue import BUILD, REPO
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version

FILE = {"name": "m", "operations": [
    {"rename_column": {"table": "items", "from": "label", "to": "title"}},
    {"create_index": {"name": "ix", "table": "items", "columns": ["n"]}},
    {"create_constraint": {"name": "once", "table": "items", "type": "unique", "columns": ["n"]}}]}


def indexes(db):
    return {row[0]: row[1] for row in db.sql("SELECT indexname::text, indexdef FROM pg_indexes WHERE tablename = 'items'")}


@pytest.fixture
def proxy(db, segue):
    db.sql("CREATE TABLE items (id int PRIMARY KEY, label text, n int)")
    db.sql("INSERT INTO items SELECT i, 'l' || i, i FROM generate_series(1, 50) i")
    return segue(db)


def begin_and(db, proxy, ddl):
    """Runs the DDL after the plan, before the indexes are built."""
    holder = db.connect()
    holder.execute("BEGIN")
    holder.execute("SELECT count(*) FROM items")
    proxy.begin(FILE)
    proxy.wait_phase("m", "expanding")
    holder.execute(ddl)
    holder.execute("COMMIT")
    holder.close()


def test_an_index_of_somebody_else_is_not_taken_for_the_migrations_own(db, proxy):
    begin_and(db, proxy, "CREATE INDEX ix ON items (label)")
    before = indexes(db)
    row = proxy.wait("m", lambda r: r["error"])
    assert "public.ix is there already, and this migration has not made it" in row["error"] and "give it another name" in row["hint"]
    proxy.cli("abort", "m")
    assert indexes(db) == before
    db.sql("DROP INDEX ix")
    # what stands for a constraint stays as well, and goes on when the name is free
    begin_and(db, proxy, "ALTER TABLE items ADD CONSTRAINT once UNIQUE (label)")
    proxy.wait("m", lambda r: "public.once" in (r["error"] or ""))
    proxy.cli("abort", "m")
    assert sorted(indexes(db)) == ["items_pkey", "once"] and indexes(db)["once"].endswith("(label)")
    db.sql("ALTER TABLE items RENAME CONSTRAINT once TO theirs")
    begin_and(db, proxy, "ALTER TABLE items RENAME CONSTRAINT theirs TO once")
    proxy.wait("m", lambda r: r["error"])
    db.sql("ALTER TABLE items RENAME CONSTRAINT once TO theirs")
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "ready")
    assert indexes(db)["ix"].endswith("(n)") and indexes(db)["once"].endswith("(n)") and indexes(db)["theirs"].endswith("(label)")
    proxy.cli("abort", "m")
    assert sorted(indexes(db)) == ["items_pkey", "theirs"]


def test_a_name_that_is_taken_while_the_index_waits_for_its_lock_is_not_the_migrations_own(db, proxy):
    with db.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE items IN SHARE UPDATE EXCLUSIVE MODE")
        proxy.begin({"name": "m", "operations": FILE["operations"][1:2]})
        until("the index to wait for its lock", lambda: db.one(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.query LIKE 'CREATE INDEX%'"))
        holder.execute("CREATE INDEX ix ON items (label)")
        holder.execute("COMMIT")
    proxy.wait("m", lambda r: r["error"])
    before = indexes(db)
    proxy.cli("resume", "m")
    proxy.wait("m", lambda r: "this migration has not made it" in (r["error"] or ""))
    proxy.cli("abort", "m")
    assert before["ix"].endswith("(label)") and indexes(db) == before


def test_an_index_whose_mark_was_not_written_is_the_migrations_own(db, proxy):
    proxy.ready(FILE)
    proxy.kill9()
    # as if the kill had come between the index and its mark
    db.sql("DELETE FROM segue.steps s USING segue.begun b WHERE b.migration = s.migration AND b.no = s.no")
    db.sql("UPDATE segue.migrations SET phase = 'backfilling'")
    built = db.one("SELECT 'ix'::regclass::oid")
    proxy.start().at_work()
    proxy.wait_phase("m", "ready")
    assert db.one("SELECT 'ix'::regclass::oid") == built
    proxy.cli("abort", "m")
    until("the indexes to go", lambda: sorted(indexes(db)) == ["items_pkey"])


@pytest.mark.parametrize("operation", FILE["operations"][1:])
def test_an_index_that_is_taken_back_does_not_come_by_a_statement_that_outlived_its_segue(db, proxy, operation):
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE %INDEX%' AND datname = current_database()"
    before = indexes(db)
    with db.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE items IN SHARE UPDATE EXCLUSIVE MODE")
        proxy.begin({"name": "m", "operations": [operation]})
        until("the index to wait for its lock", lambda: db.one(waiting) == 1)
        proxy.kill9()
        proxy.start().at_work()
        proxy.console("ABORT m")
        until("the statement to end", lambda: db.one(waiting) == 0)
        holder.execute("COMMIT")
    proxy.wait_phase("m", "aborted")
    assert indexes(db) == before


@pytest.mark.parametrize("leaf", ["items", "items_1"])
def test_an_index_whose_statement_outlived_its_segue_before_it_had_its_lock_is_the_migrations_own(db, segue, leaf):
    """It is not in the catalog yet, and not among the indexes being built: whoever comes next would ask for it once more."""
    parted = " PARTITION BY RANGE (id); CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM (0) TO (100)" if leaf != "items" else ""
    db.sql(f"CREATE TABLE items (id int PRIMARY KEY, label text, n int){parted}; INSERT INTO items SELECT i, 'l' || i, i FROM generate_series(1, 50) i")
    sent, go_on = threading.Event(), threading.Event()
    told = Told(lambda point: (sent.set(), go_on.wait(60)))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%'"
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": "long_sent/backfilling:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    with db.connect() as holder:
        holder.execute(f"BEGIN; LOCK TABLE {leaf} IN SHARE UPDATE EXCLUSIVE MODE")
        proxy.begin({"name": "m", "operations": FILE["operations"][1:2]})
        assert sent.wait(30), proxy.log_tail()
        until("the index to wait for its lock", lambda: db.one(waiting) == 1)
        proxy.kill9()
        proxy.environment = {}
        proxy.start().at_work()
        until("the next segue to come to it", lambda: db.one(waiting) == 2 or "is waited for" in proxy.log_text())
        assert db.one(waiting) == 1
        holder.execute("COMMIT")
    go_on.set()
    told.close()
    proxy.wait_phase("m", "ready")
    assert indexes(db)["ix"].endswith("(n)")
    proxy.cli("abort", "m")
    assert sorted(indexes(db)) == ["items_pkey"]
