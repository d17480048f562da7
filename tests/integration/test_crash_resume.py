"""kill -9 of segue and of PostgreSQL in each phase; started again, it goes on and nothing is lost."""

import re

import psycopg
import pytest
from lib import catalog
from lib.tables import make_items
from lib.traffic import Traffic
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

RICH = ("CREATE INDEX ix_label ON items (label); ALTER TABLE items ALTER label SET NOT NULL, "
        "ADD CONSTRAINT label_long CHECK (length(label) > 0)")
PHASES = ["expanding", "backfilling", "building", "ready", "cutting_over", "soaking", "contracting"]


class Road:
    """Takes a migration to a phase and keeps it there, or catches it in passing."""

    def __init__(self, db, proxy, migration):
        self.db, self.proxy, self.migration = db, proxy, migration
        self.name = migration["name"]
        self.holder = None

    def hold(self):
        """A transaction that keeps DDL on the table away."""
        self.holder = self.db.connect(application_name="holder")
        self.holder.execute("BEGIN")
        self.holder.execute("SELECT 1 FROM items WHERE id = 1 FOR UPDATE")

    def let_go(self):
        if self.holder is not None:
            self.holder.close()
            self.holder = None

    def to(self, phase, traffic=None):
        proxy = self.proxy
        if phase == "expanding":
            self.hold()
            proxy.begin(self.migration)
            proxy.wait_phase(self.name, "expanding")
        elif phase == "backfilling":
            proxy.console("THROTTLE rows_per_s 200")
            proxy.begin(self.migration)
            proxy.wait_phase(self.name, "backfilling")
            until("the fill", lambda: self.db.one("SELECT count(*) FROM items WHERE title IS NOT NULL AND id <= 2000"))
            assert proxy.phase(self.name) == "backfilling"
        elif phase == "building":
            # CREATE INDEX CONCURRENTLY waits for a transaction that has a snapshot
            proxy.begin(self.migration)
            self.holder = self.db.connect(autocommit=False)
            self.holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self.holder.execute("SELECT 1")
            until("the build to wait, or ready", lambda: self.db.one(
                "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE '%create%index concurrently%' "
                "AND pid <> pg_backend_pid() AND state = 'active' AND wait_event_type = 'Lock'")
                or proxy.phase(self.name) == "ready")
        else:
            proxy.ready(self.migration)
        if phase == "cutting_over":
            self.hold()
            proxy.console(f'CUTOVER "{self.name}"')
            proxy.wait_phase(self.name, "cutting_over")
        if phase in ("soaking", "contracting"):
            proxy.cli("cutover", self.name)
        if phase == "contracting":
            traffic.stop("old").start("new", 2)  # the old columns go now
            self.hold()
            proxy.console(f'COMPLETE "{self.name}" FORCE')
            proxy.wait_phase(self.name, "contracting")

    def unthrottle(self):
        try:
            return self.proxy.console("THROTTLE rows_per_s off") is not None
        except psycopg.Error:
            return False  # the engine has just found its connection gone

    def rests(self):
        """Waits until it stays where it is; gives the phase."""
        self.proxy.at_work()
        until("the engine to obey", self.unthrottle, 40)
        return self.proxy.wait_phase(self.name, ("ready", "soaking", "done"))["phase"]

    def to_the_end(self):
        """Whatever phase it is in: on to done."""
        proxy, name = self.proxy, self.name
        phase = self.rests()
        if phase == "ready":
            proxy.cli("cutover", name)
        if phase in ("ready", "soaking"):
            # a complete under way may have been asked for already
            proxy.cli("complete", name, "--force", check=None)
        proxy.wait_phase(name, "done")


def no_backends(db):
    return db.one("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'segue' "
                  "AND datname = current_database()") == 0


def prepared_items(db):
    return make_items(db, 2000, filler=3500, more=RICH)


def assert_all_there(db, rows=2000):
    assert db.one("SELECT count(*) FROM items WHERE id <= %s AND title = 'row ' || id", rows) == rows
    assert catalog.traces(db.connect()) == []
    assert db.one("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0


@pytest.mark.parametrize("phase", PHASES)
def test_kill_9_of_segue_loses_nothing_in(db, segue, phase):
    migration, pair = prepared_items(db)
    proxy = segue(db, cutover_attempts_max=1000)
    road = Road(db, proxy, migration)
    with Traffic(proxy.connect, pair, outages=True) as traffic:
        traffic.start("old", 2).flows(10)
        road.to(phase, traffic)
        traffic.flows(5)
        proxy.kill9()
        # while it is dead, the guard keeps direct writers in step
        db.sql("UPDATE items SET note = 'direct' WHERE id = 2000")
        proxy.start()
        road.let_go()
        traffic.flows(10)
        if phase == "soaking":
            traffic.start("new", 1).flows(10, "new")
        road.rests()
        traffic.stop("old")
        road.to_the_end()
        traffic.start("new", 1).flows(10, "new")
        traffic.stop().verify(db, ["new"])
    assert_all_there(db)


@pytest.mark.one_version
@pytest.mark.parametrize("phase", ["backfilling", "cutting_over"])
def test_kill_9_of_segue_again_and_again_loses_nothing_in(db, segue, phase):
    migration, pair = prepared_items(db)
    proxy = segue(db, cutover_attempts_max=1000)
    road = Road(db, proxy, migration)
    with Traffic(proxy.connect, pair, outages=True) as traffic:
        traffic.start("old", 2).flows(10)
        road.to(phase, traffic)
        for _ in range(4):
            proxy.restart().at_work()
            if phase == "cutting_over" and proxy.phase(road.name) == "ready":
                proxy.console(f'CUTOVER "{road.name}"')
        road.let_go()
        traffic.flows(10)
        traffic.stop()
        road.to_the_end()
        traffic.verify(db, ["new"])
    assert_all_there(db)


@pytest.mark.one_version
@pytest.mark.parametrize("phase", PHASES)
def test_a_crash_of_postgresql_loses_nothing_in(private_db, segue, phase):
    db = private_db
    migration, pair = prepared_items(db)
    proxy = segue(db, cutover_attempts_max=1000)
    road = Road(db, proxy, migration)
    with Traffic(proxy.connect, pair, outages=True) as traffic:
        traffic.start("old", 2).flows(10)
        road.to(phase, traffic)
        traffic.flows(5)
        db.cluster.crash()
        road.let_go()
        assert proxy.running()
        db.cluster.start()
        traffic.flows(10)
        road.rests()
        traffic.stop("old")
        road.to_the_end()
        traffic.start("new", 1).flows(10, "new")
        traffic.stop().verify(db, ["new"])
    assert_all_there(db)


@pytest.mark.one_version
def test_the_watermark_is_gone_on_from(db, segue):
    migration, _ = prepared_items(db)
    proxy = segue(db)
    road = Road(db, proxy, migration)
    road.to("backfilling")
    until("a good part to be filled", lambda: db.one("SELECT count(*) FROM items WHERE title IS NOT NULL") > 300)
    proxy.restart().at_work()
    assert int(proxy.status(road.name)["rows_done"]) >= 250
    # its throttle is durable too
    limit = [float(r["limit"]) for r in proxy.console("SHOW THROTTLE") if r["signal"] == "rows_per_s"]
    assert limit == [200]
    road.to_the_end()
    assert_all_there(db)


@pytest.mark.one_version
def test_sigterm_in_the_middle_of_a_backfill_ends_it_cleanly(db, segue):
    migration, _ = prepared_items(db)
    proxy = segue(db)
    road = Road(db, proxy, migration)
    road.to("backfilling")
    proxy.stop()
    until("its connections to be gone", lambda: no_backends(db))
    proxy.start()
    road.to_the_end()
    assert_all_there(db)


@pytest.mark.one_version
def test_a_second_segue_waits_for_the_first_and_takes_over(db, segue):
    migration, _ = prepared_items(db)
    first = segue(db)
    road = Road(db, first, migration)
    road.to("backfilling")
    second = segue(db)
    second.logged(re.compile("another|advisory lock", re.IGNORECASE))
    # its clients are served all the same
    assert second.connect().execute("SELECT count(*) FROM items").fetchone() == (2000,)
    first.kill9()
    road.proxy = second
    road.to_the_end()
    assert_all_there(db)


@pytest.mark.one_version
def test_commands_given_at_once_after_the_start_are_obeyed(db, segue):
    for _ in range(10):
        proxy = segue(db)
        proxy.console("THROTTLE rows_per_s 100")
        proxy.stop()
        until("its connections to be gone", lambda: no_backends(db))


# verifying, over in an instant otherwise, lasts as long as somebody has the lock
LOCK = 78
HELD_UP = f"""CREATE FUNCTION held_upper(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
    BEGIN
        IF to_regclass('segue.migrations') IS NOT NULL THEN
            IF EXISTS (SELECT FROM segue.migrations WHERE phase = 'verifying') THEN
                PERFORM pg_advisory_xact_lock_shared({LOCK});
            END IF;
        END IF;
        RETURN upper(v);
    END $$"""
UPPER = {"name": "upper", "operations": [{"rename_column": {
    "table": "items", "from": "label", "to": "title", "type": "text", "up": "held_upper(label)", "down": "lower(title)"}}]}


@pytest.mark.one_version
@pytest.mark.parametrize("victim", ["segue", "postgres"])
def test_a_crash_while_verifying_loses_nothing(private_db, segue, victim):
    db = private_db
    make_items(db, 500, more=HELD_UP)
    proxy = segue(db)
    with db.connect() as holder:
        holder.execute(f"SELECT pg_advisory_lock({LOCK})")
        proxy.begin(UPPER)
        proxy.wait_phase("upper", "verifying")
        if victim == "segue":
            proxy.kill9()
        else:
            db.cluster.crash()
            db.cluster.start()
    db.sql("UPDATE items SET label = 'meanwhile' WHERE id = 1")
    if victim == "segue":
        assert db.one("SELECT phase FROM segue.migrations WHERE name = 'upper'") == "verifying"
        proxy.start()
    proxy.wait_phase("upper", "ready")
    status = proxy.status("upper")
    assert int(status["rows_verified"]) == 500 and int(status["rows_bad"]) == 0
    proxy.cli("cutover", "upper")
    proxy.cli("complete", "upper", "--force")
    assert db.one("SELECT title FROM items WHERE id = 1") == "MEANWHILE"
    assert db.one("SELECT count(*) FROM items WHERE title = 'ROW ' || id") == 499


@pytest.mark.one_version
@pytest.mark.parametrize("victim", ["segue", "postgres"])
@pytest.mark.parametrize("command, phase, end", [("ROLLBACK", "reverting", "ready"), ("ABORT", "aborting", "aborted")])
def test_a_crash_on_the_way_back_loses_nothing(private_db, segue, victim, command, phase, end):
    db = private_db
    migration, _ = prepared_items(db)
    proxy = segue(db, cutover_attempts_max=1000)
    road = Road(db, proxy, migration)
    if phase == "reverting":
        proxy.soaking(migration)
        db.sql("UPDATE items SET title = 'by the new' WHERE id = 1")
    else:
        proxy.ready(migration)
        db.sql("UPDATE items SET label = 'by the new' WHERE id = 1")
    road.hold()
    proxy.console(f'{command} "{road.name}"')
    proxy.wait_phase(road.name, phase)
    if victim == "segue":
        proxy.kill9()
        road.let_go()
        proxy.start()
    else:
        db.cluster.crash()
        road.let_go()
        db.cluster.start()
    until("the end of the way back", lambda: db.one(
        "SELECT phase FROM segue.migrations WHERE name = %s", road.name) == end, 40)
    assert db.one("SELECT label FROM items WHERE id = 1") == "by the new"
    assert db.one("SELECT count(*) FROM items WHERE label = 'row ' || id") == 1999
    if phase == "aborting":
        assert catalog.traces(db.connect()) == []
    else:
        road.to_the_end()
        assert db.one("SELECT title FROM items WHERE id = 1") == "by the new"


@pytest.mark.one_version
def test_statistics_that_a_backend_goes_on_making_after_its_segue_was_killed_are_made_once(db, segue):
    """Its own work is no reason to stop: the step's mark comes with it."""
    db.sql("CREATE TABLE items (id int PRIMARY KEY, n int, label text); INSERT INTO items SELECT i, i, 'x' FROM generate_series(1, 50) i;"
           "CREATE STATISTICS st ON n, label FROM items;"
           "CREATE FUNCTION later() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock(7); END$$;"
           "CREATE EVENT TRIGGER later ON ddl_command_start WHEN TAG IN ('CREATE STATISTICS') EXECUTE FUNCTION later()")
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    proxy = segue(db)
    with db.connect() as keeper:  # who waits first goes first, to its COMMIT
        keeper.execute("SELECT pg_advisory_lock(7)")
        proxy.begin({"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]})
        until("the statistics to be made", lambda: db.one(waiting) == 1)
        proxy.restart()
        until("them to be made once more", lambda: db.one(waiting) == 2)
        keeper.execute("SELECT pg_advisory_unlock(7)")
    proxy.wait_phase("m", "ready")
    assert db.one("SELECT count(*) FROM pg_statistic_ext WHERE stxrelid = 'items'::regclass") == 2
