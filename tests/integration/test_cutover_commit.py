"""The connection is lost exactly at the COMMIT of the cut-over: segue believes the marker alone."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.chaos import ChaosRelay
from lib.tables import make_items
from lib.traffic import Pair, Traffic
from lib.wait import until


@pytest.fixture
def relay(pg):
    it = ChaosRelay(pg.port)
    yield it
    it.close()


def reverse(db):
    """Is the guard turned: does the new column lead?"""
    with db.connect() as conn:
        with conn.transaction(force_rollback=True):
            conn.execute("UPDATE items SET label = 'a', title = 'b' WHERE id = 1")
            return conn.execute("SELECT label FROM items WHERE id = 1").fetchone() == ("b",)


@pytest.mark.parametrize("how", ["before", "after", "late"])
def test_a_connection_lost_at_the_commit_leaves_one_truth(db, segue, relay, how):
    migration, pair = make_items(db, 500)
    name = migration["name"]
    # clients go to the server through the relay too, which leaves them alone
    proxy = segue(upstream=relay.url(db.name), cutover_attempts_max=50)
    proxy.ready(migration)
    with Traffic(proxy.connect, pair) as traffic:
        traffic.start("old", 2).flows(20)
        relay.at_commit(how)
        proxy.console(f'CUTOVER "{name}"')
        until("the cut", relay.fired.is_set)
        if how == "late":
            # nobody may believe the old or the new truth before the server has decided
            traffic.pause_s = 0.01
            relay.release()
        # an unanswered COMMIT either happened (soaking) or did not (then it is tried again)
        proxy.wait(name, lambda r: r["phase"] == "soaking" or (r["phase"] == "ready" and not r["error"]), 40)
        if proxy.phase(name) == "ready":
            assert not reverse(db)
            proxy.cli("cutover", name)
        proxy.wait_phase(name, "soaking")
        assert reverse(db)
        traffic.flows(20)
        traffic.start("new", 2).flows(20)
        traffic.stop().verify(db)
    assert db.one("SELECT phase FROM segue.migrations WHERE name = %s", name) == "soaking"
    proxy.cli("complete", name, "--force")
    traffic.verify(db, ["new"])


@pytest.mark.one_version
@pytest.mark.parametrize("how", ["before", "after"])
def test_a_connection_lost_at_the_commit_of_the_way_back_leaves_one_truth(db, segue, relay, how):
    migration, pair = make_items(db, 500)
    proxy = segue(upstream=relay.url(db.name))
    name = proxy.soaking(migration)
    with Traffic(proxy.connect, pair) as traffic:
        traffic.start("old", 1).start("new", 1).flows(20)
        relay.at_commit(how, word=b"ready")
        proxy.console(f'ROLLBACK "{name}"')
        until("the cut", relay.fired.is_set)
        proxy.wait(name, lambda r: r["phase"] in ("ready", "soaking") and not r["error"], 40)
        if proxy.phase(name) == "soaking":
            assert reverse(db)
            proxy.cli("rollback", name)
        proxy.wait_phase(name, "ready")
        assert not reverse(db)
        traffic.flows(20)
        traffic.stop().verify(db)


@pytest.mark.one_version
@pytest.mark.parametrize("how", ["before", "after", "late"])
def test_where_a_table_changes_its_name_no_client_sees_that_the_commit_had_no_answer(db, segue, relay, how):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text)")
    proxy = segue(upstream=relay.url(db.name), cutover_attempts_max=50)
    name = proxy.ready({"name": "turn", "operations": [{"rename_table": {"from": "items", "to": "things"}}]})
    with Traffic(proxy.connect, Pair(new="label"), new_table="things") as traffic:
        traffic.start("old", 2).start("new", 2).flows(20)
        for command, goal, before in (("cutover", "soaking", "ready"), ("rollback", "ready", "soaking")):
            relay.at_commit(how, word=goal.encode())
            proxy.console(f"{command.upper()} {name}")
            until("the cut", relay.fired.is_set)
            relay.release()
            proxy.wait(name, lambda row, ends=(goal, before): row["phase"] in ends and not row["error"], 40)
            traffic.flows(20)
            if proxy.phase(name) == before:
                proxy.cli(command, name)
            assert db.one("SELECT to_regclass('things') IS NOT NULL") == (goal == "soaking")
            traffic.flows(20, "old")
        traffic.stop().verify(db, ["old"])


@pytest.mark.newest_unless_told
@pytest.mark.parametrize("gone", ["DELETE FROM segue.migrations", "DROP SCHEMA segue CASCADE"])
def test_a_server_that_has_never_heard_of_the_turn_has_answered(db, segue, relay, gone):
    """As a standby that was promoted without the last seconds of its primary."""
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text)")
    proxy = segue(upstream=relay.url(db.name))
    name = proxy.ready({"name": "turn", "operations": [{"rename_table": {"from": "items", "to": "things"}}]})
    client = proxy.connect()
    client.execute("SELECT 1")
    relay.refuse(True)
    relay.at_commit("before", word=b"soaking")
    with ThreadPoolExecutor() as pool:
        proxy.console(f"CUTOVER {name}")
        until("the cut", relay.fired.is_set)
        held = pool.submit(client.execute, "SELECT * FROM items")
        db.sql(gone)
        relay.refuse(False)
        try:
            held.result(20)
        finally:
            proxy.stop()
    proxy.logged("no answer to COMMIT")


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no marker today'; END$$;
CREATE TRIGGER refuse BEFORE UPDATE ON segue.migrations FOR EACH ROW
    WHEN (NEW.phase = '{}' AND OLD.phase = '{}') EXECUTE FUNCTION refuse();"""


@pytest.mark.one_version
def test_without_its_marker_nothing_of_a_cutover_or_a_way_back_remains(db, segue):
    migration, _ = make_items(db, 100)
    proxy = segue(db)
    name = proxy.ready(migration)
    for command, to, during, back in (("cutover", "soaking", "cutting_over", "ready"),
                                      ("rollback", "ready", "reverting", "soaking")):
        before = reverse(db)
        db.sql(REFUSE.format(to, during))
        assert "no marker today" in proxy.cli(command, name, check=None).err
        assert proxy.phase(name) == back and reverse(db) == before
        db.sql("DROP FUNCTION refuse CASCADE")
        proxy.cli(command, name)
        assert proxy.phase(name) == to and reverse(db) != before


TWO = """
CREATE TABLE one (id int PRIMARY KEY, n int); CREATE TABLE two (LIKE one INCLUDING ALL); CREATE TABLE stop (at regclass);
INSERT INTO one SELECT i, i FROM generate_series(1, 50) i; INSERT INTO two TABLE one;
CREATE FUNCTION stops() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() c JOIN public.stop s ON s.at = c.objid) THEN RAISE 'not this one'; END IF; END$$;
CREATE EVENT TRIGGER stops ON ddl_command_end EXECUTE FUNCTION stops()"""
# kinds of both columns, and how many transactions have made them so
TURNED = ("SELECT string_agg(format_type(atttypid, NULL), ' ' ORDER BY attrelid), count(DISTINCT xmin::text) FROM pg_attribute "
          "WHERE attrelid IN ('one'::regclass, 'two'::regclass) AND attname = 'n'")


@pytest.mark.one_version
def test_tables_of_one_file_turn_in_one_transaction_or_not_at_all(db, segue):
    """Whichever of them it is that cannot: what was done of the other one by then is undone with it."""
    db.sql(TWO)
    proxy = segue(db)
    name = proxy.ready({"name": "wider", "operations": [
        {"alter_column": {"table": table, "column": "n", "type": "bigint"}} for table in ("one", "two")]})
    for command, phase, kinds in (("cutover", "soaking", "bigint bigint"), ("rollback", "ready", "integer integer")) * 2:
        before, was = db.sql(TURNED), proxy.phase(name)
        for table in ("one", "two"):
            db.sql("INSERT INTO stop VALUES (%s)", table)
            assert "not this one" in proxy.cli(command, name, check=None).err
            assert db.sql(TURNED) == before and proxy.phase(name) == was, table
            db.sql("DELETE FROM stop")
        proxy.cli(command, name)
        assert db.sql(TURNED) == [(kinds, 1)] and proxy.phase(name) == phase


@pytest.mark.one_version
@pytest.mark.parametrize("how", ["ahead", "before", "after"])
def test_a_connection_lost_at_the_commit_of_a_batch_leaves_rows_and_watermark_alike(db, segue, relay, how):
    migration, _ = make_items(db, 2000, filler=3500)
    proxy = segue(upstream=relay.url(db.name))
    proxy.console("THROTTLE rows_per_s 150")
    proxy.begin(migration)
    proxy.wait_phase(migration["name"], "backfilling")
    until("the first batches", lambda: db.one("SELECT count(*) > 100 FROM items WHERE title IS NOT NULL"))
    relay.refuse(True)
    relay.at_commit(how, word=b"segue.progress")
    until("the cut", relay.fired.is_set)
    relay.drop_all(control_only=True)  # batches have a connection of their own: the rest is away, too
    until("its connections to be gone", lambda: not db.one(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'segue' AND datname = current_database()"))
    filled, noted, watermark, left_behind = db.sql("""
        SELECT count(title), (SELECT sum(rows) FROM segue.progress), (SELECT next_block FROM segue.progress),
            count(*) FILTER (WHERE title IS NULL AND ctid < (SELECT format('(%s,0)', next_block)::tid FROM segue.progress))
        FROM items""")[0]
    assert filled == noted and watermark > 0 and left_behind == 0
    relay.refuse(False)
    proxy.console("THROTTLE rows_per_s off")
    proxy.wait_phase(migration["name"], "ready")
    assert db.one("SELECT sum(rows) FROM segue.progress") == 2000


@pytest.mark.one_version
def test_the_server_away_in_every_phase_is_waited_for(db, segue, relay):
    migration, pair = make_items(db, 2000, filler=3500)
    proxy = segue(upstream=relay.url(db.name))
    name = migration["name"]
    proxy.console("THROTTLE rows_per_s 50")

    def away():
        relay.refuse(True)
        relay.drop_all()
        # the console answers without the database
        assert proxy.console("SHOW VERSION")
        relay.refuse(False)

    proxy.begin(migration)
    proxy.wait_phase(name, "backfilling")
    away()
    until("the engine to be back", lambda: proxy.cli("throttle", "rows_per_s", "off", check=None).code == 0, 60)
    proxy.wait_phase(name, "ready")
    away()
    until("the engine to be back", lambda: proxy.cli("cutover", name, check=None).code == 0, 60)
    away()
    until("the engine to be back", lambda: proxy.cli("complete", name, "--force", check=None).code == 0, 60)
    assert proxy.phase(name) == "done"
    assert db.one("SELECT count(*) FROM items WHERE title = 'row ' || id") == 2000
