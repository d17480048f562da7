"""What others do to the tables of a migration, and make under its names."""

import time

import psycopg
import pytest
from lib.tables import RENAME, make_items
from lib.wait import SLOW, until

pytestmark = pytest.mark.one_version
MADE = {"create_table": {"name": "made", "columns": [{"name": "id", "type": "int", "pk": True}]}}
BIGINT = {"alter_column": {"table": "items", "column": "id", "type": "bigint", "up": "id::bigint", "down": "id::int"}}


def test_who_has_locked_a_table_for_himself_keeps_nobody_else_waiting(db, segue):
    make_items(db, 100)
    db.sql("CREATE TABLE other (id int, label text); CREATE TABLE kept (LIKE items)")
    proxy = segue(db)
    proxy.ready(RENAME)
    with db.connect() as keeper:
        keeper.execute("BEGIN; LOCK TABLE items, kept IN ACCESS EXCLUSIVE MODE")
        until("the engine to meet the lock", lambda: db.one(
            "SELECT count(*) FROM pg_locks WHERE relation = 'items'::regclass AND NOT granted"))
        began = time.monotonic()
        proxy.console("PAUSE rename_label")
        proxy.ready({"name": "o", "operations": [{"rename_column": {"table": "other", "from": "label", "to": "title"}}]})
        proxy.cli("cutover", "o")
        assert time.monotonic() - began < 20 * SLOW
        for table, told in ("kept", "lock timeout"), ("items", 'migration "rename_label" is ready on a table of this one'):
            refused = proxy.cli("plan", proxy.file({"name": "x", "operations": [{"rename_column": {
                "table": table, "from": "note", "to": "n", "type": "varchar"}}]}), check=None)
            assert told in refused.out + refused.err
    proxy.console("RESUME rename_label")
    proxy.cli("cutover", "rename_label")


@pytest.mark.versions(15, 16, 17)  # from 18 on it locks the table, and is waited for there
def test_a_grant_that_is_committed_while_a_step_waits_for_it_stops_nothing(db, segue):
    """It locks no table: it is met in the catalog, and what the server says then is an internal error."""
    make_items(db, 10)
    proxy = segue(db, lock_timeout_ms=900)
    with db.connect(autocommit=False) as granting:
        granting.execute("GRANT SELECT ON items TO app")
        proxy.begin(RENAME)
        until("the step to wait for it", lambda: db.one(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT granted AND locktype = 'transactionid' "
            "AND datname = current_database()"))
        granting.commit()
    proxy.wait_phase("rename_label", "ready")
    assert "tuple concurrently updated" in str(proxy.console("SHOW ATTEMPTS rename_label"))


def test_an_abort_leaves_what_others_have_made_under_its_names(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    name = "rename_label"
    with db.connect() as other:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM items LIMIT 1")
        proxy.begin({"name": name, "operations": [*RENAME["operations"], MADE]})
        other.execute("ALTER TABLE items ADD title text DEFAULT 'theirs'")
        other.execute("CREATE TABLE made AS SELECT 1 AS theirs")
        other.execute("COMMIT")
    proxy.wait(name, lambda row: "already exists" in (row["error"] or ""))
    proxy.cli("abort", name)
    assert db.sql("SELECT DISTINCT title, theirs FROM items, made") == [("theirs", 1)]


def test_what_has_segue_in_its_name_is_not_segues_for_that(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    db.sql("ALTER TABLE items ADD CONSTRAINT since_segue CHECK (id > 5) NOT VALID")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.sql("CREATE UNIQUE INDEX CONCURRENTLY segue_once ON items (note)")
    proxy.cli("cutover", "rename_label")


@pytest.mark.parametrize("command", ["abort", "complete"])
def test_a_table_that_is_gone_ends_the_migration_and_one_of_its_name_is_left_alone(db, segue, command):
    make_items(db, 10)
    proxy = segue(db)
    name = proxy.ready(RENAME) if command == "abort" else proxy.soaking(RENAME)
    db.sql("ALTER TABLE items RENAME TO parked")
    if command == "abort":
        assert "has got another name" in proxy.cli("cutover", name, check=1).err
    assert "has got another name" in proxy.cli(command, name, "--force", check=4).err
    db.sql("DROP TABLE parked; CREATE TABLE items AS SELECT 1 AS id, 'mine' AS label, 'mine' AS title")
    proxy.cli("resume", name)
    proxy.wait_phase(name, "aborted" if command == "abort" else "done")
    assert db.sql("SELECT * FROM items") == [(1, "mine", "mine")]
    proxy.logged("not there any more")


def test_an_event_trigger_that_refuses_ddl_stops_a_step_and_not_the_way_on(db, segue):
    db.sql("CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items SELECT generate_series(1, 10)")
    proxy = segue(db)
    name = proxy.ready({"name": "wide", "operations": [BIGINT]})
    db.sql("CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no ddl today'; END $$; "
           "CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION no()")
    assert "no ddl today" in proxy.cli("cutover", name, check=4).err
    with proxy.connect() as conn:
        conn.execute("UPDATE items SET id = 11 WHERE id = 1")  # the gate is open
    db.sql("DROP EVENT TRIGGER no")
    proxy.cli("cutover", name)
    assert db.one("SELECT max(id) FROM items") == 11


def test_a_table_without_room_for_another_column_is_refused(db, segue):
    db.sql("CREATE TABLE items (id int, label text); ALTER TABLE items " + ", ".join(f"ADD c{i} bool" for i in range(1598)))
    db.sql("ALTER TABLE items DROP c7")
    proxy = segue(db)
    assert "1600 columns and would get 1 more" in proxy.cli("plan", proxy.file(RENAME), check=1).out
