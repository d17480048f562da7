"""What is done to partitions while a key of their table is in flight: by people, by what maintains them, by nobody's fault."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from lib.operations import build, same_as_plain
from lib.segue import BUILD, REPO
from lib.wait import until
from test_partitions_key_column import EVENTS, KINDS, RENAMED, TABLES, WIDER, partition, settled

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.newest_unless_told

KEYS = ("SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'p' AND conrelid::regclass::text IN"
        " ('events', 'branch', 'events_1', 'branch_1', 'branch_rest', 'turned')")


def half_detached(db, partition):
    """DETACH ... CONCURRENTLY that has been given up."""
    with db.connect(autocommit=False) as holder, db.connect(options="-c statement_timeout=200") as conn:
        holder.execute("SELECT FROM events LIMIT 1")
        with pytest.raises(psycopg.errors.QueryCanceled):
            conn.execute(f"ALTER TABLE events DETACH PARTITION {partition} CONCURRENTLY")
        holder.rollback()
    assert db.one("SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = %s::regclass", partition)


def back_again(db, partition, bounds):
    """What the hint says, and attached as it was."""
    db.sql(f"ALTER TABLE public.events DETACH PARTITION public.{partition} FINALIZE")
    db.sql(f"ALTER TABLE events ATTACH PARTITION {partition} FOR VALUES {bounds}")


@pytest.mark.newest_unless_told
def test_while_a_partition_is_on_its_way_out_nothing_is_begun_and_nothing_turns(db, segue):
    build(db, EVENTS)
    told = Told(lambda point: half_detached(db, "turned"))
    proxy = segue(db, start=False, cutover_attempts_max=1,
                  environment={"SEGUE_FAULT": "gate_closed/cutting_over:tell,gate_look/reverting:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    file = proxy.file(RENAMED)

    def refused(command, argument, partition):
        done = proxy.cli(command, argument, check=None)
        said = done.out + done.err
        assert done.code != 0 and f"partition public.{partition} is being detached from public.events" in said, said
        assert f"ALTER TABLE public.events DETACH PARTITION public.{partition} FINALIZE" in said, said
        assert len(db.sql(KEYS)) == 6

    half_detached(db, "events_1")
    refused("plan", file, "events_1")
    refused("start", file, "events_1")
    back_again(db, "events_1", "FROM (0) TO (100)")
    name = proxy.ready(RENAMED)
    for turn, phase in (("cutover", "ready"), ("rollback", "soaking")):
        half_detached(db, "events_1")
        refused(turn, name, "events_1")
        back_again(db, "events_1", "FROM (0) TO (100)")
        settled(proxy, db, name, 8 if turn == "cutover" else 4)
        refused(turn, name, "turned")  # in the last moment
        assert proxy.phase(name) == phase
        assert (db.one("SELECT lock_ms FROM segue.attempts ORDER BY at DESC LIMIT 1") > 0) == (turn == "cutover")  # seen before, nobody is held
        back_again(db, "turned", "FROM (200) TO (300)")
        proxy.cli("resume", name, check=None)
        settled(proxy, db, name, 8 if turn == "cutover" else 4)
        proxy.cli(turn, name)
        assert len(db.sql(KEYS)) == 6
    told.close()
    proxy.cli("abort", name)


MARKS = ("SELECT c.relname::text, c.relreplident::text, x.relname::text, i.indisreplident, i.indisclustered FROM pg_class c JOIN pg_index i"
         " ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid WHERE (i.indisreplident OR i.indisclustered)"
         " AND c.relnamespace = 'public'::regnamespace ORDER BY 1")


@pytest.mark.newest_unless_told
@pytest.mark.parametrize("kind", KINDS)
def test_marks_of_a_partitions_key_stay_on_it_whenever_they_were_set(db, segue, kind):
    build(db, EVENTS)
    db.sql("CREATE PUBLICATION everything FOR TABLE public.events, plain.events")
    for schema in ("public", "plain"):
        db.sql(f"ALTER TABLE {schema}.events_1 REPLICA IDENTITY USING INDEX events_1_pkey")
    proxy = segue(db)
    name = proxy.ready(KINDS[kind][0])
    for schema in ("public", "plain"):
        db.sql(f"ALTER TABLE {schema}.branch REPLICA IDENTITY USING INDEX branch_pkey; ALTER TABLE {schema}.turned CLUSTER ON own_name;"
               f"ALTER TABLE {schema}.branch_1 REPLICA IDENTITY USING INDEX branch_1_pkey; ALTER TABLE {schema}.branch_1 CLUSTER ON branch_1_pkey")
    marks = db.sql(MARKS)
    for turn, waiting in (("cutover", 4), ("rollback", 8), ("cutover", 4)):
        proxy.cli(turn, name)
        assert db.sql(MARKS) == marks, turn
        with proxy.connect() as conn:
            assert conn.execute("UPDATE events SET label = 'again' WHERE at < 150").rowcount == 150
        settled(proxy, db, name, waiting)
    proxy.cli("complete", name, "--force")
    same_as_plain(db, KINDS[kind][1], *TABLES)
    assert len(marks) == 4 and db.sql(MARKS) == marks


@pytest.mark.newest_unless_told
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_somebody_drops_is_missed_in_ready_and_made_again_by_the_way_back(db, segue, kind):
    """As that of any table; nothing says of it how its parts were called. Their names may be too long for that, or taken."""
    build(db, EVENTS)
    db.sql("ALTER TABLE public.events ADD CONSTRAINT above CHECK (id > 0)")
    proxy = segue(db)
    name = proxy.ready(KINDS[kind][0])
    drop = "ALTER TABLE public.events DROP CONSTRAINT {}"
    for constraint, back in (("above", "CHECK (id > 0)"), ("events_key", "PRIMARY KEY (id, at) INCLUDE (note) WITH (fillfactor = 70)")):
        db.sql(drop.format(constraint))
        said = proxy.cli("cutover", name, check=1).err
        assert f"constraint {constraint} on table public.events: it was dropped, renamed or altered" in said and "make it as it was" in said, said
        db.sql(f"ALTER TABLE public.events ADD CONSTRAINT {constraint} {back}")
    db.sql("COMMENT ON CONSTRAINT events_key ON public.events IS 'the key'; COMMENT ON INDEX public.events_key IS 'its index'")
    proxy.cli("cutover", name)
    settled(proxy, db, name, 4)
    long = [(leaf, "p" * 60 + leaf[-1]) for leaf in ("branch_1", "branch_rest")]
    db.sql(drop.format("events_key") + ";CREATE TABLE public.events_1_pkey ();" + ";".join(f"ALTER TABLE public.{leaf} RENAME TO {to}" for leaf, to in long))
    assert len(db.sql(KEYS)) == 0
    proxy.cli("rollback", name)
    db.sql(";".join(f"ALTER TABLE public.{to} RENAME TO {leaf}" for leaf, to in long))
    assert len(db.sql(KEYS)) == 6
    said = "SELECT obj_description('events_key'::regclass), obj_description(oid, 'pg_constraint'), pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'events_key' AND connamespace = 'public'::regnamespace"
    assert db.sql(said) == [("its index", "the key", "PRIMARY KEY (id, at) INCLUDE (note)")]
    settled(proxy, db, name, 8)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    assert len(db.sql(KEYS)) == 6


ATTEMPTS = "SELECT count(*) FROM segue.attempts WHERE kind <> 'step'"


@pytest.mark.newest_unless_told
def test_an_upsert_that_has_not_come_to_its_lock_yet_is_waited_for(db, segue):
    build(db, EVENTS)
    proxy = segue(db, cutover_drain_ms=300)
    name = proxy.ready(RENAMED)
    for turn, key in (("cutover", "id"), ("rollback", "ident")):
        before = db.one(ATTEMPTS)
        with proxy.connect() as conn, ThreadPoolExecutor() as pool:
            backend = conn.execute("SELECT pg_backend_pid()").fetchone()[0]
            os.kill(backend, signal.SIGSTOP)
            try:
                upsert = pool.submit(conn.execute, f"INSERT INTO events ({key}, at) VALUES (7, 7) ON CONFLICT ({key}, at) DO NOTHING")
                until("it to be on its way", lambda: any(row["state"] == "active" for row in proxy.console("SHOW SESSIONS")))
                turned = pool.submit(proxy.cli, turn, name)
                until("an attempt", lambda seen=before: db.one(ATTEMPTS) > seen)
            finally:
                os.kill(backend, signal.SIGCONT)
            upsert.result(30)  # of a key that has turned before it: 42P10
            turned.result(60)


@pytest.mark.newest_unless_told
def test_an_index_that_a_late_partition_cannot_get_says_why(db, segue):
    build(db, EVENTS)
    proxy = segue(db)
    name = proxy.soaking(RENAMED)
    settled(proxy, db, name, 4)
    db.sql("CREATE FUNCTION closed() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no index before midnight'; END$$;"
           "CREATE EVENT TRIGGER closed ON ddl_command_start WHEN tag IN ('CREATE INDEX') EXECUTE FUNCTION closed()")
    partition(db, "filled", 300, rows=5)
    proxy.wait(name, lambda row: "no index before midnight" in row["blockers"], what="the cause in the status")
    said = proxy.cli("rollback", name, check=None)
    assert said.code != 0 and "partition public.filled has come with rows" in said.err and "no index before midnight" in said.err, said
    assert "segue resume" in said.err
    found = [row for row in proxy.console("DOCTOR") if row["finding"] == "index not built"]
    assert found and "public.filled" in found[0]["what"] and "resume" in found[0]["command"], found
    db.sql("DROP EVENT TRIGGER closed")
    proxy.cli("resume", name)
    settled(proxy, db, name, 5)
    until("the cause to go", lambda: proxy.status(name)["blockers"] == "")
    proxy.cli("rollback", name)


@pytest.mark.one_version
def test_who_has_a_partition_locked_does_not_keep_the_engine_from_looking_for_indexes(db, segue):
    build(db, EVENTS)
    proxy = segue(db)
    name = proxy.ready(RENAMED)
    shown = set()
    with db.connect() as holder:
        holder.execute("BEGIN; LOCK TABLE events_1")
        for _ in range(3):  # it looks every other second
            proxy.wait(name, lambda r: r["updated_at"] not in shown)
            shown.add(proxy.status(name)["updated_at"])
    assert "55P03" not in proxy.log_text(), proxy.log_tail()


@pytest.mark.newest_unless_told
def test_a_partition_that_is_dropped_while_it_is_looked_at_is_none_any_more(db, segue):
    build(db, EVENTS)
    db.sql("CREATE FUNCTION held(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS"
           " $$BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN $1; END$$")
    proxy = segue(db)
    name = proxy.soaking({"name": "keys", "operations": [{"alter_column": {"table": "events", "column": "id", "type": "bigint",
                                                                           "up": "held(id)", "down": "held(id)::int"}}]})
    settled(proxy, db, name, 4)
    partition(db, "one", 300, rows=5)
    partition(db, "two", 400, rows=5)
    settled(proxy, db, name, 6)
    with db.connect() as holder, ThreadPoolExecutor() as pool:
        holder.execute("SELECT pg_advisory_lock(77)")
        back = pool.submit(proxy.cli, "rollback", name, check=None)
        asked = until("a look at a partition", lambda: db.one("SELECT query FROM pg_stat_activity WHERE wait_event = 'advisory'"))
        db.sql("DROP TABLE public.two" if "public.one" in asked else "DROP TABLE public.one")
        holder.execute("SELECT pg_advisory_unlock(77)")
        said = back.result(60)
    assert said.code == 0, said


@pytest.mark.newest_unless_told
def test_segue_gives_way_before_the_server_ends_a_statement_of_others(db, segue):
    build(db, EVENTS)
    proxy = segue(db)
    name = proxy.soaking(RENAMED)
    settled(proxy, db, name, 4)
    patient = {"options": "-c deadlock_timeout=5s"}
    with proxy.connect(autocommit=False, **patient) as client, db.connect(**patient) as keeper, ThreadPoolExecutor() as pool:
        client.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class")  # which CREATE INDEX CONCURRENTLY waits for
        partition(db, "filled", 300, rows=5)
        until("the index to wait, and not to look for a deadlock any more", lambda: db.one(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'virtualxid' AND NOT granted AND waitstart < clock_timestamp() - interval '1.2 s'"))
        detached = pool.submit(keeper.execute, "ALTER TABLE public.events DETACH PARTITION public.filled")
        until("it to wait for segue", lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                                                     keeper.info.backend_pid))
        client.execute("SELECT count(*) FROM events")
        client.commit()
        detached.result(30)
    proxy.cli("rollback", name)


@pytest.mark.one_version
def test_what_came_to_depend_on_a_partition_is_named_without_cascade(db, segue):
    build(db, EVENTS)
    proxy = segue(db)
    name = proxy.ready(RENAMED)
    db.sql("CREATE TABLE refs (a int, b int, CONSTRAINT to_leaf FOREIGN KEY (a, b) REFERENCES events_1 (id, at))")
    said = proxy.cli("cutover", name, check=1).err
    assert "constraint to_leaf on table public.refs came after the migration was planned" in said and "CASCADE" not in said, said
    db.sql("DROP TABLE refs; CREATE TABLE made (LIKE events INCLUDING ALL)")
    proxy.cli("cutover", name)
    attach = "ALTER TABLE events ATTACH PARTITION made FOR VALUES FROM (300) TO (400)"
    with pytest.raises(psycopg.errors.DatatypeMismatch, match="must be marked NOT NULL"):
        db.sql(attach)  # its key is of the other side
    db.sql(f"DROP TABLE made; CREATE TABLE made (LIKE events INCLUDING ALL); {attach}")
    db.sql("CREATE VIEW seen AS SELECT id FROM events_1")
    said = proxy.cli("complete", name, "--force", check=1).err
    assert "on view public.seen came after the migration was planned" in said and "CASCADE" not in said, said
    assert proxy.phase(name) == "soaking"  # while there is a way back
    db.sql("DROP VIEW seen")
    proxy.cli("complete", name, "--force")


@pytest.mark.one_version
def test_the_doctor_cleans_what_a_detached_partition_has_kept(db, segue):
    build(db, EVENTS)
    db.sql("CREATE TABLE before (LIKE events INCLUDING ALL)")
    proxy = segue(db)
    name = proxy.ready(WIDER)
    with pytest.raises(psycopg.errors.DatatypeMismatch, match="is missing column"):
        db.sql("ALTER TABLE events ATTACH PARTITION before FOR VALUES FROM (300) TO (400)")
    db.sql("CREATE TABLE beside (LIKE events INCLUDING ALL); ALTER TABLE events ATTACH PARTITION beside FOR VALUES FROM (300) TO (400)")
    db.sql("ALTER TABLE events DETACH PARTITION beside; ALTER TABLE events DETACH PARTITION turned")

    def left():
        return [row for row in proxy.console("DOCTOR") if row["finding"] == "left over"]

    assert {row["what"].split()[0] for row in left() if row["what"].endswith(" on public.turned")} == {"column", "constraint", "index"}
    while left():
        seen = len(left())
        subprocess.run(left()[0]["command"], shell=True, check=True)
        assert len(left()) < seen
    shape = "SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1"
    assert db.sql(shape.replace("%s", "'public.turned'")) == db.sql(shape.replace("%s", "'plain.turned'"))
    proxy.cli("abort", name)
