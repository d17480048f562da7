"""Indexes of partitioned tables: built partition by partition while clients write, attached, and taken back."""

import itertools
import sys
import threading

import psycopg
import pytest
from lib.segue import BUILD, REPO
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.newest_unless_told

# {s}: the schema, so that plain DDL can be run beside; a branch in another schema, columns in another order, a name that is cut
SCHEMA = """
CREATE SCHEMA {s}; CREATE SCHEMA {s}_far;
CREATE TABLE {s}.events (id bigint, at int NOT NULL, kind text, n int) PARTITION BY RANGE (at);
CREATE TABLE {s}.events_1 PARTITION OF {s}.events FOR VALUES FROM (0) TO (100);
CREATE TABLE {s}_far.branch PARTITION OF {s}.events FOR VALUES FROM (100) TO (200) PARTITION BY LIST (kind);
CREATE TABLE {s}.branch_a PARTITION OF {s}_far.branch FOR VALUES IN ('a');
CREATE TABLE {s}_far.branch_rest PARTITION OF {s}_far.branch DEFAULT;
CREATE TABLE {s}.turned (n int, gone int, kind text, at int NOT NULL, id bigint);
ALTER TABLE {s}.turned DROP gone;
ALTER TABLE {s}.events ATTACH PARTITION {s}.turned FOR VALUES FROM (200) TO (300);
CREATE TABLE {s}."long {l} name" PARTITION OF {s}.events FOR VALUES FROM (300) TO (400);
INSERT INTO {s}.events SELECT i, i, chr(97 + i % 3), i FROM generate_series(0, 399) i;
""".replace("{l}", "é" * 25)
INDEX = {"create_index": {"name": "ix", "table": "public.events", "columns": ["n", "kind"]}}
FILE = {"name": "m", "operations": [INDEX]}
PLAIN = "CREATE INDEX ix ON {s}.events (n, kind)"
INDEXES = ("SELECT replace(n.nspname, %s, 's'), c.relname, replace(replace(pg_get_indexdef(c.oid), %s || '_far.', 'f.'), %s || '.', 's.'), i.indisvalid, c.relispartition "
           "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
           "WHERE n.nspname IN (%s, %s || '_far') ORDER BY 1, 2, 3")


def indexes(db, schema="public"):
    return [row for row in db.sql(INDEXES.replace("%s", f"'{schema}'"))]


def build(db, *schemas):
    for schema in schemas or ("public",):
        db.sql(SCHEMA.replace("{s}", schema).replace("CREATE SCHEMA public;", ""))


class Writer(threading.Thread):
    """A client that writes to all partitions, one after the other, until it is told to stop."""

    def __init__(self, proxy):
        super().__init__(daemon=True)
        self.conn, self.over, self.rows, self.failed = proxy.connect(), threading.Event(), 0, None
        self.start()

    def run(self):
        try:
            for i in itertools.cycle(range(0, 400, 7)):
                if self.over.is_set():
                    return
                self.conn.execute("INSERT INTO public.events (id, at, kind, n) VALUES (%s, %s, 'w', %s)", (i, i, i))
                self.rows += 1
        except psycopg.Error as e:
            self.failed = e

    def stop(self):
        self.over.set()
        self.join(20)
        self.conn.close()
        assert self.failed is None and self.rows, self.failed


def test_every_partition_gets_its_index_while_clients_write(db, segue):
    build(db, "public", "plain")
    proxy = segue(db)
    writer = Writer(proxy)
    proxy.begin(FILE)
    proxy.wait("m", lambda r: r["phase"] in ("backfilling", "verifying", "ready"))
    db.sql("CREATE TABLE public.late PARTITION OF public.events FOR VALUES FROM (400) TO (500);"
           "CREATE TABLE plain.late PARTITION OF plain.events FOR VALUES FROM (400) TO (500)")
    proxy.wait_phase("m", "ready")
    until("a few more writes", lambda rows=writer.rows: writer.rows > rows + 20)
    writer.stop()
    db.sql(PLAIN.replace("{s}", "plain"))
    made = indexes(db)
    assert made == indexes(db, "plain") and len(made) == 8 and all(row[3] for row in made)
    assert db.one("SELECT count(*) FROM public.events WHERE kind = 'w'") == writer.rows
    proxy.cli("cutover", "m")
    proxy.cli("rollback", "m")
    assert indexes(db) == made
    proxy.cli("abort", "m")
    assert indexes(db) == []
    assert db.one("SELECT count(*) FROM segue.pieces") == 0
    proxy.done(FILE)
    assert indexes(db) == made


POINTS = ["gate_ran/backfilling", "gate_committed/backfilling", "gate_committed/backfilling#2", "long_sent/backfilling#2",
          "long_done/backfilling", "mark_before/backfilling#2", "mark_after/backfilling", "gate_ran/backfilling#3",
          "gate_committed/backfilling#3", "mark_before/backfilling#6"]


@pytest.mark.one_version
@pytest.mark.deadline(180)
def test_killed_at_any_piece_it_goes_on_or_goes_back(db, segue):
    build(db, "public", "plain")
    db.sql(PLAIN.replace("{s}", "plain"))
    db.sql("CREATE INDEX theirs ON public.turned (n, kind); COMMENT ON INDEX public.theirs IS 'kept'")
    wanted, before = indexes(db, "plain"), indexes(db)
    wanted = sorted((row[0], "theirs", row[2].replace("turned_n_kind_idx", "theirs"), *row[3:]) if row[1] == "turned_n_kind_idx" else row
                    for row in wanted)
    proxy = segue(db, start=False)
    proxy.program = BUILD / "faults" / "segue"
    for n, point in enumerate(POINTS):
        proxy.environment = {"SEGUE_FAULT": f"{point}:die"}
        proxy.start().at_work()
        proxy.begin(FILE)
        until(f"it to die at {point}", lambda: not proxy.running())
        proxy.environment = {}
        proxy.restart().at_work()
        if n % 2 == 0:
            proxy.wait_phase("m", "ready")
            assert sorted(indexes(db)) == wanted, point
            proxy.environment = {"SEGUE_FAULT": ("long_done/aborting:die", "gate_ran/aborting:die", "long_sent/aborting:die")[n // 2 % 3]}
            proxy.restart().at_work()
            proxy.console("ABORT m")
            until(f"the way back from {point} to die", lambda: not proxy.running())
            proxy.environment = {}
            proxy.restart().at_work()
            proxy.wait_phase("m", "aborted")
        else:
            proxy.cli("abort", "m")
        assert indexes(db) == before, point
        assert db.one("SELECT obj_description('public.theirs'::regclass, 'pg_class')") == "kept", point
        proxy.stop()


# what a backend that was lost would make of the pieces of the step that is next, if it is of that kind
PIECES = """
SELECT replace(replace(replace(s->'sql'->>%s, ' CONCURRENTLY', ''), '{index}', quote_ident(x.name)), '{partition}', c.oid::regclass::text)
FROM segue.migrations m, jsonb_array_elements(m.plan->'steps') s, pg_partition_tree('public.events') t JOIN pg_class c ON c.oid = t.relid,
  LATERAL (SELECT CASE s->>'kind' WHEN 'leaves' THEN format('%%s_%%s', s->>'index_name', c.oid)
                                  ELSE format('~segue_%%s_%%s_%%s', c.oid, m.id, s->>'no') END AS name) x
WHERE s->>'kind' = %s AND t.isleaf AND (s->>'no')::int = (SELECT min((n->>'no')::int) FROM jsonb_array_elements(m.plan->'steps') n
  WHERE n->>'stage' = 'build' AND NOT EXISTS (SELECT FROM segue.steps d WHERE d.migration = m.id AND d.no = (n->>'no')::int))"""
BIGINT = {"name": "m", "operations": [{"alter_column": {"table": "events", "column": "id", "type": "bigint", "up": "id", "down": "id"}}]}


@pytest.mark.one_version
@pytest.mark.parametrize("kind, text, file", [("partitions", 2, FILE), ("leaves", 0, BIGINT)])
def test_what_a_backend_that_was_lost_has_made_between_two_looks_is_taken_up(db, segue, kind, text, file):
    """It was not in the catalog yet when that was read, and its backend had ended when it was asked for."""
    db.sql("CREATE TABLE public.events (id int, at int, n int, kind text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);"
           "CREATE TABLE public.events_1 PARTITION OF public.events FOR VALUES FROM (0) TO (100);"
           "CREATE TABLE public.events_2 PARTITION OF public.events FOR VALUES FROM (100) TO (200);"
           "INSERT INTO public.events (id, at) SELECT i, i FROM generate_series(0, 199) i")
    made = []

    def make(_):
        with db.connect() as conn:
            for (sql,) in [] if made else conn.execute(PIECES, (text, kind)).fetchall():
                conn.execute(sql)
                made.append(sql)

    told = Told(make)
    faults = ",".join(f"long_before/backfilling#{n}:tell" for n in range(1, 9))
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": faults, "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(file)
    assert len(made) == 2
    proxy.logged("already exists: on with it")
    proxy.cli("cutover", "m")
    proxy.cli("rollback", "m")
    proxy.cli("abort", "m")
    assert db.sql("SELECT relname FROM pg_class WHERE relname ~ '^~segue'") == []
    told.close()


@pytest.mark.one_version
@pytest.mark.parametrize("goes", ["DROP TABLE public.events_1", "ALTER TABLE public.events DETACH PARTITION public.events_1"])
def test_a_partition_that_goes_while_the_gate_is_waited_for_stops_nothing(db, segue, goes):
    db.sql("CREATE TABLE public.events (id int, at int, n int, kind text) PARTITION BY RANGE (at);"
           "CREATE TABLE public.events_1 PARTITION OF public.events FOR VALUES FROM (0) TO (100);"
           "CREATE TABLE public.events_2 PARTITION OF public.events FOR VALUES FROM (100) TO (200)")

    def go(_):
        with db.connect() as conn:
            conn.execute(goes)

    told = Told(go)
    # the first gate is for the index of the table, the second one for its pieces
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": "gate_before/backfilling#2:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(FILE)
    proxy.logged("a partition has gone; on with the others")
    assert db.sql("SELECT indrelid::regclass::text FROM pg_index WHERE indisvalid AND indrelid <> 'public.events'::regclass"
                  " AND indrelid IN (SELECT inhrelid FROM pg_inherits)") == [("events_2",)]
    assert db.sql("SELECT relname FROM pg_class WHERE relname ~ '^~segue'") == []
    told.close()


def test_what_is_there_is_used_and_given_back(db, segue):
    build(db)
    db.sql("CREATE INDEX same ON public.events_1 (n, kind); CREATE INDEX other ON public.turned (n DESC, kind);"
           "CREATE UNIQUE INDEX one ON public.branch_a (n, kind); COMMENT ON INDEX public.same IS 'theirs'")
    before, kept = indexes(db), db.one("SELECT 'public.same'::regclass::oid")
    proxy = segue(db)
    name = proxy.ready(FILE)
    assert db.one("SELECT 'public.same'::regclass::oid") == kept
    assert db.sql("SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = 'public.same'::regclass") == [("ix",)]
    assert [row[1] for row in indexes(db) if row[4] and row[1] in ("same", "other", "one")] == ["same"]
    assert not [row for row in indexes(db) if not row[3]]
    # a partition that leaves takes its index along
    db.sql("ALTER TABLE public.events DETACH PARTITION public.turned")
    proxy.cli("abort", name)
    left = [row for row in indexes(db) if row[1] == "turned_n_kind_idx"]
    assert len(left) == 1 and not left[0][4]
    assert [row for row in indexes(db) if row not in left] == before
    assert db.one("SELECT obj_description('public.same'::regclass, 'pg_class')") == "theirs"


def test_an_index_that_became_a_part_is_to_its_partition_again_what_it_was(db, segue):
    build(db)
    db.sql("ALTER TABLE public.events_1 ALTER n SET NOT NULL, ALTER kind SET NOT NULL; CREATE UNIQUE INDEX same ON public.events_1 (n, kind, at)")
    before = indexes(db)
    proxy = segue(db)
    unique = {"name": "m", "operations": [{"create_index": {**INDEX["create_index"], "columns": ["n", "kind", "at"], "unique": True}}]}
    name = proxy.ready(unique)
    assert db.one("SELECT relispartition FROM pg_class WHERE oid = 'public.same'::regclass")
    db.sql("ALTER TABLE public.events_1 CLUSTER ON same, REPLICA IDENTITY USING INDEX same")
    proxy.cli("abort", name)
    assert indexes(db) == before
    assert db.sql("SELECT indisclustered, indisreplident FROM pg_index WHERE indexrelid = 'public.same'::regclass") == [(True, True)]
    # what goes on to the end leaves no note of it
    db.sql("ALTER TABLE public.events_1 SET WITHOUT CLUSTER, REPLICA IDENTITY DEFAULT")
    proxy.ready(unique)
    assert db.one("SELECT count(*) FROM segue.pieces") == 1
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    assert db.one("SELECT count(*) FROM segue.pieces") == 0


@pytest.mark.one_version
def test_a_partition_with_twins_stops_the_build_and_nothing_is_left_of_it(db, segue):
    build(db)
    db.sql("INSERT INTO public.events SELECT * FROM public.events WHERE at = 250")
    proxy = segue(db)
    unique = {"name": "m", "operations": [{"create_index": {"name": "ix", "table": "public.events", "columns": ["n", "at", "kind"],
                                                            "unique": True}}]}
    proxy.begin(unique)
    row = proxy.wait("m", lambda r: r["error"])
    assert "could not create unique index" in row["error"] and "public.turned" in row["error"]
    assert "invalid" not in proxy.cli("doctor", check=None).out
    db.sql("DELETE FROM public.turned WHERE ctid = (SELECT max(ctid) FROM public.turned WHERE at = 250)")
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "ready")
    with pytest.raises(psycopg.errors.UniqueViolation):
        db.sql("INSERT INTO public.events SELECT * FROM public.events WHERE at = 150")
    proxy.cli("abort", "m")
    assert indexes(db) == []
    # one of that name that somebody else makes meanwhile is theirs
    holder = db.connect()
    holder.execute("BEGIN; LOCK TABLE public.events IN ROW EXCLUSIVE MODE")
    proxy.begin(FILE)
    until("it to wait", lambda: db.one("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareLock'"))
    holder.execute("CREATE INDEX ix ON ONLY public.events (n)")
    holder.execute("COMMIT")
    holder.close()
    proxy.wait("m", lambda r: "this migration has not made it" in (r["error"] or ""))
    proxy.cli("abort", "m")
    assert [row[1] for row in indexes(db)] == ["ix"]


@pytest.mark.one_version
def test_what_the_server_would_not_make_is_said_by_plan(db, segue):
    build(db)
    proxy = segue(db)
    for columns, wanted in ((["n", "kind"], "RANGE (at)"), (["n", "at"], "LIST (kind)"), (["n", "at", "kind"], None)):
        unique = proxy.file({"name": "m", "operations": [
            {"create_index": {"name": "ix", "table": "public.events", "columns": columns, "unique": True}}]})
        done = proxy.cli("plan", unique, check=None)
        assert ("must include all partitioning columns" in done.err and wanted in done.err) if wanted else done.code == 0, done.err
    plan = proxy.cli("plan", proxy.file(FILE)).out
    assert "CREATE INDEX ix ON ONLY public.events" in plan and "ATTACH PARTITION" in plan and "CONCURRENTLY" in plan
    # what a partition's part is to its partition would go with it
    db.sql("CREATE UNIQUE INDEX u ON public.events (at, n, kind); ALTER TABLE public.events_1 ALTER n SET NOT NULL, ALTER kind SET NOT NULL;"
           "ALTER TABLE public.events_1 REPLICA IDENTITY USING INDEX events_1_at_n_kind_idx; ALTER TABLE public.turned CLUSTER ON turned_at_n_kind_idx")
    retypes = {"name": "r", "operations": [{"alter_column": {"table": "public.events", "column": "n", "type": "bigint", "up": "n", "down": "n::int"}}]}
    assert "its part is the replica identity of public.events_1" in proxy.cli("plan", proxy.file(retypes), check=1).out
    gone = proxy.cli("plan", proxy.file({"name": "g", "operations": [{"drop_index": {"name": "public.u"}}]}), check=1).out
    assert "it is the replica identity of public.events_1" in gone
    db.sql("ALTER TABLE public.events_1 REPLICA IDENTITY DEFAULT")
    db.sql("ALTER TABLE public.events_1 ALTER n DROP NOT NULL")
    assert "clustering mark of public.turned" in proxy.cli("plan", proxy.file(retypes)).out
    db.sql("ALTER SCHEMA public OWNER TO app; ALTER TABLE public.events OWNER TO app; ALTER TABLE public.events_1 OWNER TO app;"
           "ALTER TABLE public_far.branch OWNER TO app; ALTER TABLE public.branch_a OWNER TO app; ALTER TABLE public.turned OWNER TO app;"
           "ALTER TABLE public_far.branch_rest OWNER TO app; GRANT CREATE ON DATABASE " + db.name + " TO app;"
           "GRANT USAGE ON SCHEMA public_far TO app")
    db.sql("DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE %s OWNER TO app', oid::regclass) FROM pg_class WHERE relname LIKE 'long%' AND relkind = 'r'); END $$")
    proxy.stop()
    theirs = segue(db, upstream=db.url(user="app"))
    assert "GRANT CREATE ON SCHEMA public_far TO app" in theirs.cli("plan", theirs.file(FILE), check=1).out


@pytest.mark.one_version
def test_an_index_of_a_partitioned_table_is_dropped_with_its_parts(db, segue):
    build(db)
    db.sql(PLAIN.replace("{s}", "public") + "; CREATE INDEX other ON public.events (id)")
    others = [row for row in indexes(db) if "(id)" in row[2]]
    proxy = segue(db)
    going = {"name": "gone", "operations": [{"drop_index": {"name": "public.ix"}}]}
    plan = proxy.cli("plan", proxy.file(going)).out
    assert "those of all partitions with it" in plan and "the way back afterwards: CREATE INDEX ix ON public.events" in plan
    refused = proxy.cli("plan", proxy.file({"name": "part", "operations": [{"drop_index": {"name": "public.events_1_n_kind_idx"}}]}), check=1).out
    assert "it is the part of index public.ix" in refused
    writer = Writer(proxy)
    name = proxy.soaking(going)
    assert len(indexes(db)) > len(others)
    # who reads has a lock: complete waits for it, and for nothing longer than its lock_timeout
    holder = db.connect()
    holder.execute("BEGIN; SELECT count(*) FROM public.branch_a")
    proxy.console(f"COMPLETE {name} FORCE")
    until("complete to be in the way of nobody", lambda: [a for a in proxy.console(f"SHOW ATTEMPTS {name}") if a["outcome"] != "done"])
    assert len(indexes(db)) > len(others)
    holder.execute("COMMIT")
    holder.close()
    proxy.wait_phase(name, "done")
    writer.stop()
    assert indexes(db) == others


def test_columns_of_a_partitioned_table_take_their_indexes_along(db, segue):
    build(db)
    db.sql("CREATE INDEX ix ON public.events (kind DESC, lower(kind), n) INCLUDE (id) WITH (fillfactor = 60) WHERE n > 3;"
           "CREATE INDEX bare ON public.events (n); COMMENT ON INDEX public.bare IS 'kept'")
    before = indexes(db)
    proxy = segue(db)
    writer = Writer(proxy)
    name = proxy.ready({"name": "m", "operations": [
        {"alter_column": {"table": "public.events", "column": "n", "type": "bigint", "up": "n", "down": "n::int"}},
        {"rename_column": {"table": "public.events", "from": "id", "to": "no"}}]})
    for command in ("cutover", "rollback", "abort"):
        proxy.cli(command, name)
    assert indexes(db) == before
    proxy.done({"name": "m", "operations": [
        {"alter_column": {"table": "public.events", "column": "n", "type": "bigint", "up": "n", "down": "n::int"}}]})
    writer.stop()
    after = indexes(db)
    assert [(row[0], *row[2:]) for row in after if row[1] in ("ix", "bare")] == [(row[0], *row[2:]) for row in before if row[1] in ("ix", "bare")]
    assert sorted(row[2].partition(" USING ")[2] for row in after) == sorted(row[2].partition(" USING ")[2] for row in before)
    assert all(row[3] for row in after) and not [row for row in after if "~segue" in row[1]]
    assert db.one("SELECT obj_description('public.bare'::regclass, 'pg_class')") == "kept"
    db.sql("CREATE TABLE public.more PARTITION OF public.events FOR VALUES FROM (500) TO (600)")
    assert len([row for row in indexes(db) if "s.more" in row[2]]) == 2


@pytest.mark.parametrize("column", ["n", "at"], ids=["an index", "a key"])
@pytest.mark.one_version
def test_where_a_part_of_an_index_is_stored_is_told(db, segue, column):
    db.sql("CREATE TABLE parts (n int, at int, CONSTRAINT k PRIMARY KEY (at, n)) PARTITION BY HASH (n); CREATE INDEX i ON parts (at) WITH (fillfactor = 80);"
           "CREATE TABLE part_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE part_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
    proxy = segue(db)
    file = proxy.file({"name": "m", "operations": [{"rename_column": {"table": "parts", "from": "at", "to": "on"}}]})
    assert "the new one is as the whole" not in proxy.cli("plan", file).out
    index, rest = {"n": ("i", "part_1_at_idx"), "at": ("k", "part_1_pkey")}[column]
    db.sql(f"COMMENT ON INDEX {rest} IS 'of this part'")
    assert f"its part public.{rest} of public.part_1 has a comment of its own" in " ".join(proxy.cli("plan", file).out.split())
    db.sql(f"COMMENT ON INDEX {rest} IS NULL; ALTER INDEX {rest} SET TABLESPACE elsewhere; ALTER INDEX {rest} SET (fillfactor = 60)")
    said = " ".join(proxy.cli("plan", file).out.split())
    assert f"index {index}: its part public.{rest} of public.part_1 has a tablespace and storage parameters of its own; the new one is as the whole" in said, said


TWINS = ("CREATE INDEX packed ON public.events_1 (n, kind) WITH (fillfactor = 70); CREATE INDEX marked ON public.turned (n, kind);"
         "ALTER TABLE public.turned CLUSTER ON marked; CREATE INDEX taken ON public.branch_a (n, kind); CREATE INDEX other ON public.branch_a (kind, n);"
         "ALTER TABLE public.events_1 ADD CONSTRAINT own UNIQUE (n, kind, at)")


@pytest.mark.one_version
def test_an_equal_index_of_a_partition_that_cannot_be_the_part_is_named(db, segue):
    build(db)
    db.sql(TWINS)
    proxy = segue(db)

    def told(operation, code=0):
        return " ".join(proxy.cli("plan", proxy.file({"name": "m", "operations": [operation]}), check=code).out.split())

    shown = told(INDEX)
    for name, relation, why in (("packed", "events_1", "it has other storage parameters"),
                                ("marked", "turned", "it is the replica identity, or the clustering mark")):
        assert f"index {name} of {relation}" in shown, shown
        assert f"cannot be it, since {why}: a second one is built" in shown
    assert "index taken of" not in shown and "index other of" not in shown and "index own of" not in shown
    packed = {"create_index": {**INDEX["create_index"], "storage_parameters": "fillfactor = 70"}}
    assert "index marked of" in told(packed) and "index packed of" not in told(packed)
    unique = {"create_index": {**INDEX["create_index"], "columns": ["n", "kind", "at"], "unique": True}}
    assert "since it is constraint own: a second one is built" in told(unique)
    constraint = {"create_constraint": {"name": "once", "table": "public.events", "type": "unique", "columns": ["n", "kind", "at"]}}
    assert "index own of" in told(constraint) and "index packed of" not in told(constraint)


@pytest.mark.newest_unless_told
def test_a_relation_that_an_event_trigger_does_not_find_stops_the_step(db, segue):
    build(db)
    db.sql("CREATE FUNCTION audited() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN"
           " IF current_query() LIKE '%CONCURRENTLY%' THEN PERFORM FROM audit; END IF; END$$;"
           "CREATE EVENT TRIGGER audited ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION audited()")
    proxy = segue(db)
    proxy.begin(FILE)
    row = proxy.wait("m", lambda r: r["error"], timeout=10)
    assert 'relation "audit" does not exist' in row["error"], row
    db.sql("DROP EVENT TRIGGER audited")
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "ready")
