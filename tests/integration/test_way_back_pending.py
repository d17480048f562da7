"""Right after a way back: what it has used up is not built again yet, what it put on is not proven yet."""

import sys
import threading

import psycopg
import pytest
from lib import catalog
from lib.segue import BUILD, REPO
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version
TABLES = ("CREATE TABLE orders (id serial PRIMARY KEY, what text); CREATE TABLE lines (id int, order_id int REFERENCES orders (id));"
          "INSERT INTO orders (what) SELECT 'x' FROM generate_series(1, 20); INSERT INTO lines SELECT i, i FROM generate_series(1, 20) i")
KEY = {"name": "key", "operations": [{"alter_column": {"table": "orders", "column": "id", "type": "bigint", "up": "id", "down": "id"}}]}
BACK = "phase_switched/ready"


def at_the_moment(proxy, going_back, command):
    """The command is the first thing that a migration hears when it is ready again; what it is told."""
    said = {}

    def say():
        try:
            with psycopg.connect(host="127.0.0.1", port=proxy.port, dbname="segue", user="postgres", autocommit=True,
                                 prepare_threshold=None) as conn:
                conn.execute(command.encode())
        except psycopg.Error as error:
            said["no"] = str(error)

    assert going_back.wait(30)
    going_back.clear()
    teller = threading.Thread(target=say, daemon=True)
    teller.start()
    proxy.logged(command)
    proxy.console("SHOW VERSION")  # the one worker has gone on: the engine has it
    return teller, said


def test_a_cutover_waits_for_what_is_built_again_and_an_abort_proves_what_was_put_on(db, segue):
    db.sql(TABLES)
    plain = catalog.whole(db.connect())
    there, on = threading.Event(), threading.Event()
    told = Told(lambda _: (there.set(), on.wait(30), on.clear()))
    proxy = segue(db, start=False, workers=1, environment={"SEGUE_FAULT": f"{BACK}#2:tell,{BACK}#3:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.soaking(KEY)
    for command in "CUTOVER key", "ABORT key":
        back = threading.Thread(target=proxy.cli, args=("rollback", "key"), kwargs={"check": None}, daemon=True)
        back.start()
        teller, said = at_the_moment(proxy, there, command)
        on.set()
        teller.join(30)
        back.join(30)
        if command.startswith("CUTOVER"):
            assert "still being prepared" in said["no"]
            until("it to be built", lambda: proxy.cli("cutover", "key", check=None).code == 0)
        else:
            assert not said
            proxy.wait_phase("key", "aborted")
    assert catalog.difference(catalog.whole(db.connect()), plain) == []
    told.close()


def test_wait_for_ready_waits_for_what_is_built_again(db, segue):
    db.sql(TABLES)
    proxy = segue(db)
    proxy.soaking(KEY)
    db.sql("CREATE FUNCTION later() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(7); END$$;"
           "CREATE EVENT TRIGGER later ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION later()")
    with db.connect() as keeper:
        keeper.execute("SELECT pg_advisory_lock(7)")
        said = proxy.cli("rollback", "key")
        (row,) = proxy.console("SHOW STATUS key")
        assert row["phase"] == "ready" and row["builds_left"] > 0
        assert said.out.splitlines()[-1] == "key: ready"
        assert f"{row['builds_left']:.0f} steps that the way back has used up" in said.err and "segue wait key" in said.err
        refused = proxy.cli("cutover", "key", check=1).err
        assert "still being prepared" in refused and "segue wait" in refused
        assert "key is ready after 1 s" in proxy.cli("wait", "key", "--timeout", "1", check=1).err
        keeper.execute("SELECT pg_advisory_unlock(7)")
    proxy.cli("wait", "key")
    assert proxy.console("SHOW STATUS key")[0]["builds_left"] == 0
    proxy.cli("cutover", "key")


def test_wait_for_ready_waits_for_what_is_proven_again_and_says_where_that_has_stopped(db, segue):
    db.sql(TABLES)
    proxy = segue(db)
    proxy.soaking(KEY)
    proxy.wait("key", lambda row: row["proofs_left"] == 0)
    db.sql("SET session_replication_role = replica; INSERT INTO lines VALUES (99, 99); RESET session_replication_role")
    proxy.cli("rollback", "key")
    stopped = proxy.cli("wait", "key", "--timeout", "30", check=4).err
    assert "lines_order_id_fkey" in stopped and "key stopped (ready)" in stopped
    assert proxy.cli("wait", "key", "--timeout", "30", check=4).err == stopped
    db.sql("DELETE FROM lines WHERE id = 99")
    proxy.cli("resume", "key")
    proxy.cli("wait", "key", "--timeout", "30")
    assert db.one("SELECT convalidated FROM pg_constraint WHERE conname = 'lines_order_id_fkey'")


def test_what_cannot_be_built_again_says_so_and_resume_goes_on(db, segue):
    db.sql(TABLES)
    proxy = segue(db)
    proxy.soaking(KEY)
    db.sql("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not today'; END$$;"
           "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION refuse()")
    proxy.cli("rollback", "key")
    assert "not today" in proxy.wait("key", lambda row: row["error"])["error"]
    refused = proxy.cli("cutover", "key", check=1).err
    assert "not built again" in refused and "not today" in refused and "segue resume" in refused
    (row,) = [r for r in proxy.console("DOCTOR key") if r["weight"] == "wrong"]
    assert (row["finding"], row["command"]) == ("stopped", "segue resume key")
    assert "not today" in proxy.cli("wait", "key", check=4).err
    db.sql("DROP EVENT TRIGGER refuse")
    proxy.cli("resume", "key")
    proxy.cli("wait", "key")
    proxy.cli("cutover", "key")


RENAMED = {"name": "key", "operations": [{"rename_table": {"from": "lines", "to": "rows"}}, *KEY["operations"]]}


@pytest.mark.parametrize("file, gone", [
    (KEY, "DROP TABLE lines"), (KEY, "ALTER TABLE lines DROP CONSTRAINT lines_order_id_fkey"),
    (KEY, "ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE"), (RENAMED, "ALTER TABLE rows DROP CONSTRAINT lines_order_id_fkey")])
def test_a_reference_that_has_gone_in_soak_is_in_the_way_of_nothing(db, segue, file, gone):
    """The turn lets go of it and makes it again by its name; and what is not there is not proven. Nor is the key."""
    db.sql(TABLES)
    proxy = segue(db)
    proxy.soaking(file)
    proxy.wait("key", lambda r: r["proofs_left"] == 0)
    db.sql(gone)
    proxy.cli("rollback", "key")
    proxy.cli("wait", "key", "--timeout", "30")
    assert not proxy.wait("key", lambda r: r["step"] == "" or r["error"])["error"]
    assert db.one("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass('lines')") == 0
    assert db.one("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'orders_pkey'") == "PRIMARY KEY (id)"
    proxy.cli("abort", "key")


def test_a_reference_that_has_another_name_has_not_gone(db, segue):
    """Left as it is, it would refer to the half that an abort drops."""
    db.sql(TABLES)
    proxy = segue(db)
    proxy.soaking(KEY)
    for there, back in (("ALTER TABLE lines RENAME CONSTRAINT lines_order_id_fkey TO own", "ALTER TABLE lines RENAME CONSTRAINT own TO lines_order_id_fkey"),
                        ("ALTER TABLE lines RENAME TO own", "ALTER TABLE own RENAME TO lines")):
        db.sql(there)
        assert "lines" in proxy.cli("rollback", "key", check=4).err
        db.sql(back)
    proxy.cli("rollback", "key")
    proxy.cli("abort", "key")


def test_complete_waits_until_a_reference_that_was_made_again_is_proven(db, segue):
    """There is no way back from contracting: what cannot be proven stops in soak, whoever uses force."""
    db.sql(TABLES)
    proxy = segue(db)
    proxy.ready(KEY)
    db.sql("SET session_replication_role = replica; INSERT INTO lines VALUES (99, 99); RESET session_replication_role")
    proxy.cli("cutover", "key")
    failed = proxy.cli("complete", "key", "--force", check=None)
    assert failed.code in (1, 4) and "lines_order_id_fkey" in failed.err, failed
    assert proxy.phase("key") == "soaking"
    db.sql("DELETE FROM lines WHERE id = 99")
    proxy.cli("resume", "key")
    proxy.cli("complete", "key", "--force")
    assert db.one("SELECT convalidated FROM pg_constraint WHERE conname = 'lines_order_id_fkey'")


def test_a_new_constraint_that_somebody_has_dropped_in_soak_is_not_to_be_proven(db, segue):
    db.sql(TABLES.replace("REFERENCES orders (id)", ""))
    proxy = segue(db)
    proxy.ready({"name": "bound", "operations": [{"create_constraint": {
        "name": "late", "table": "lines", "type": "foreign_key", "columns": ["order_id"], "references": {"table": "orders", "columns": ["id"]}}}]})
    db.sql("INSERT INTO lines VALUES (99, 99)")  # the look at the rows is over, and nothing binds yet
    proxy.cli("cutover", "bound")
    proxy.wait("bound", lambda r: "late" in (r["error"] or ""))
    db.sql("DROP TABLE orders CASCADE")
    proxy.cli("resume", "bound")
    proxy.cli("complete", "bound", "--force", timeout=30)
