"""Constraints of partitioned tables: unique, primary and foreign keys, without a scan under a lock."""

import psycopg
import pytest
from lib.segue import BUILD
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

SCHEMA = """
CREATE SCHEMA {s};
CREATE TABLE {s}.kinds (id int PRIMARY KEY);
INSERT INTO {s}.kinds SELECT generate_series(0, 9);
CREATE TABLE {s}.events (id bigint, at int NOT NULL, kind int, code text) PARTITION BY RANGE (at);
CREATE TABLE {s}.events_1 PARTITION OF {s}.events FOR VALUES FROM (0) TO (100);
CREATE TABLE {s}.branch PARTITION OF {s}.events FOR VALUES FROM (100) TO (200) PARTITION BY LIST (kind);
CREATE TABLE {s}.branch_1 PARTITION OF {s}.branch FOR VALUES IN (1);
CREATE TABLE {s}.branch_rest PARTITION OF {s}.branch DEFAULT;
CREATE TABLE {s}.turned (code text, gone int, kind int, at int NOT NULL, id bigint);
ALTER TABLE {s}.turned DROP gone;
ALTER TABLE {s}.events ATTACH PARTITION {s}.turned FOR VALUES FROM (200) TO (300);
INSERT INTO {s}.events SELECT i, i, i % 10, 'c' || i FROM generate_series(0, 299) i;
"""
CONSTRAINTS = """
SELECT k.conrelid::regclass::text, k.conname, replace(pg_get_constraintdef(k.oid), %s || '.', ''), k.convalidated, k.coninhcount, k.conislocal,
       (SELECT conname FROM pg_constraint p WHERE p.oid = k.conparentid), (SELECT indisvalid FROM pg_index WHERE indexrelid = k.conindid),
       (SELECT concat(reltablespace, ' ', reloptions) FROM pg_class WHERE oid = k.conindid)
FROM pg_constraint k WHERE k.connamespace = %s::regnamespace AND k.contype IN ('p', 'u', 'f') ORDER BY 1, 2, 3
"""
COLUMNS = "SELECT attrelid::regclass::text, attname, attnotnull FROM pg_attribute WHERE attnum > 0 AND attrelid::regclass::text ~ %s ORDER BY 1, 2"


def build(db, *schemas):
    for schema in schemas:
        db.sql(SCHEMA.replace("{s}", schema).replace("CREATE SCHEMA public;", ""))


def constraints(db, schema="public"):
    """By their table without its schema; foreign keys of the server's own on the other side's partitions are none of ours."""
    with db.connect() as conn:
        conn.execute(f"SET search_path = {schema}")
        return conn.execute(CONSTRAINTS.replace("%s", f"'{schema}'")).fetchall()


def indexes(db):
    return db.sql("SELECT indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")


def not_null(db):
    return db.sql(COLUMNS.replace("%s", "'^(events|branch|turned)'"))


def constraint(name, kind, *columns, **more):
    return {"create_constraint": {"name": name, "table": "public.events", "type": kind, "columns": list(columns), **more}}


KEYS = {"name": "keys", "operations": [constraint("events_pkey", "primary_key", "id", "at", "kind"),
                                       constraint("once", "unique", "code", "kind", "at", index_parameters={
                                           "tablespace": "elsewhere", "storage_parameters": "fillfactor = 70"})]}
PLAIN = "ALTER TABLE {s}.events ADD PRIMARY KEY (id, at, kind); ALTER TABLE {s}.events ADD CONSTRAINT once UNIQUE (code, kind, at) WITH (fillfactor = 70) USING INDEX TABLESPACE elsewhere"


def test_a_partitioned_table_gets_keys_as_by_plain_ddl(db, segue):
    build(db, "public", "plain")
    before, null_before = indexes(db), not_null(db)
    proxy = segue(db)
    name = proxy.ready(KEYS)
    db.sql("CREATE TABLE public.late PARTITION OF public.events FOR VALUES FROM (300) TO (400);"
           "CREATE TABLE plain.late PARTITION OF plain.events FOR VALUES FROM (300) TO (400)")
    with proxy.connect() as conn:
        conn.execute("INSERT INTO public.events VALUES (1000, 350, 1, 'late')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("INSERT INTO public.events VALUES (1001, 150, 1, 'c151'), (1002, 151, 1, 'c151')")
    proxy.cli("cutover", name)
    db.sql(PLAIN.replace("{s}", "plain"))
    assert constraints(db) == constraints(db, "plain")
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    db.sql("DROP TABLE public.late")
    assert indexes(db) == before and not_null(db) == null_before
    proxy.done(KEYS)
    db.sql("DROP TABLE plain.late")
    assert constraints(db) == constraints(db, "plain")
    # what it is for: somebody may refer to it
    db.sql("CREATE TABLE public.notes (id bigint, at int, kind int, FOREIGN KEY (id, at, kind) REFERENCES public.events)")


@pytest.mark.one_version
@pytest.mark.deadline(180)
def test_killed_at_any_piece_of_a_key_it_goes_on_or_goes_back(db, segue):
    build(db, "public", "plain")
    db.sql(PLAIN.replace("{s}", "plain"))
    wanted, before = constraints(db, "plain"), constraints(db)
    proxy = segue(db, start=False)
    proxy.program = BUILD / "faults" / "segue"
    for n, point in enumerate(("gate_committed/backfilling#3", "gate_ran/backfilling#4", "long_done/backfilling#6", "mark_after/backfilling#8")):
        proxy.environment = {"SEGUE_FAULT": f"{point}:die"}
        proxy.start().at_work()
        proxy.begin(KEYS)
        until(f"it to die at {point}", lambda: not proxy.running())
        proxy.environment = {}
        proxy.restart().at_work()
        if n % 2 == 0:
            proxy.wait_phase("keys", "ready")
            assert constraints(db) == wanted, point
        proxy.cli("abort", "keys")
        assert constraints(db) == before and not [row for row in indexes(db) if row[0] != "kinds_pkey"], point
        proxy.stop()


@pytest.mark.one_version
def test_a_key_that_the_server_would_not_make_is_refused(db, segue):
    build(db, "public")
    proxy = segue(db)
    done = proxy.cli("plan", proxy.file({"name": "m", "operations": [constraint("once", "unique", "code")]}), check=1)
    assert "must include all partitioning columns" in done.err and "RANGE (at)" in done.err
    db.sql("ALTER TABLE public.events_1 ADD PRIMARY KEY (id)")
    done = proxy.cli("plan", proxy.file(KEYS), check=1)
    assert "partition public.events_1 has a primary key of its own" in done.out
    db.sql("ALTER TABLE public.events_1 DROP CONSTRAINT events_1_pkey; INSERT INTO public.events (id, at, kind, code) SELECT id, at, kind, code FROM public.turned WHERE at = 250")
    proxy.begin(KEYS)
    assert "rows do not meet constraint" in proxy.wait("keys", lambda r: r["error"])["error"]
    proxy.cli("abort", "keys")


def test_a_unique_constraint_follows_its_column(db, segue):
    build(db, "public")
    db.sql("ALTER TABLE public.events ADD CONSTRAINT once UNIQUE NULLS NOT DISTINCT (code, kind, at) INCLUDE (id) WITH (fillfactor = 70) DEFERRABLE;"
           "COMMENT ON CONSTRAINT once ON public.events IS 'kept'")
    before = constraints(db)
    proxy = segue(db)
    rename = {"name": "m", "operations": [{"rename_column": {"table": "public.events", "from": "code", "to": "label"}}]}
    name = proxy.ready(rename)
    for command in ("cutover", "rollback", "abort"):
        proxy.cli(command, name)
    assert constraints(db) == before
    proxy.done(rename)
    db.sql("ALTER TABLE public.events RENAME label TO code")
    after = constraints(db)
    assert [(row[0], *row[2:6]) for row in after] == [(row[0], *row[2:6]) for row in before]
    assert [row[1] for row in after if row[0] == "events"] == ["once"]
    assert db.one("SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'once' AND conrelid = 'public.events'::regclass") == "kept"


@pytest.mark.one_version
def test_rows_of_partitions_are_mended_on_the_way_back(db, segue):
    build(db, "public")
    db.sql("ALTER TABLE public.events ALTER code SET NOT NULL; CREATE INDEX mine ON public.events (id)")
    before = indexes(db)
    proxy = segue(db)
    frees = {"name": "m", "operations": [{"alter_column": {"table": "public.events", "column": "code", "nullable": True, "down": "'none'"}}]}
    name = proxy.soaking(frees)
    with proxy.connect() as conn:
        conn.execute("INSERT INTO public.events VALUES (1, 50, 1), (2, 150, 1), (3, 250, 1)")
    proxy.cli("rollback", name)
    assert db.one("SELECT count(*) FROM public.events WHERE code = 'none'") == 3
    proxy.cli("abort", name)
    assert indexes(db) == before
    proxy.done(frees)
    assert indexes(db) == before


FOREIGN = {"name": "refers", "operations": [constraint("of_kind", "foreign_key", "kind", references={
    "table": "public.kinds", "columns": ["id"], "on_delete": "CASCADE"})]}


def test_a_partitioned_table_gets_a_foreign_key(db, segue):
    build(db, "public", "plain")
    before = constraints(db)
    proxy = segue(db)
    name = proxy.soaking(FOREIGN)
    with proxy.connect() as conn, pytest.raises(psycopg.errors.ForeignKeyViolation):
        conn.execute("INSERT INTO public.events VALUES (1, 150, 77, 'x')")
    proxy.cli("rollback", name)
    with proxy.connect() as conn:
        conn.execute("INSERT INTO public.events VALUES (1, 150, 77, 'x')")
    assert constraints(db) == before
    proxy.cli("abort", name)
    proxy.begin(FOREIGN)
    assert "do not meet constraint of_kind" in proxy.wait(name, lambda r: r["error"])["error"]
    db.sql("DELETE FROM public.events WHERE kind = 77")
    proxy.cli("resume", name)
    proxy.wait_phase(name, "ready")
    proxy.cli("cutover", name)
    proxy.wait(name, lambda r: r["phase"] == "soaking" and "validat" not in (r["step"] or ""))
    db.sql("CREATE TABLE public.late PARTITION OF public.events FOR VALUES FROM (300) TO (400);"
           "CREATE TABLE plain.late PARTITION OF plain.events FOR VALUES FROM (300) TO (400)")
    proxy.cli("complete", name, "--force")
    db.sql("ALTER TABLE plain.events ADD CONSTRAINT of_kind FOREIGN KEY (kind) REFERENCES plain.kinds (id) ON DELETE CASCADE")
    assert constraints(db) == constraints(db, "plain")
    db.sql("DELETE FROM public.kinds WHERE id = 5")
    assert db.one("SELECT count(*) FROM public.events WHERE kind = 5") == 0


@pytest.mark.versions(15, 16, 17)
def test_the_way_back_leaves_a_check_of_its_name_that_came_with_a_partition(db, segue):
    build(db, "public")
    proxy = segue(db)
    name = proxy.soaking(FOREIGN)
    db.sql("CREATE TABLE public.late (LIKE public.events); ALTER TABLE public.late ADD CONSTRAINT of_kind CHECK (id > 0);"
           "ALTER TABLE public.events ATTACH PARTITION public.late FOR VALUES FROM (300) TO (400)")
    proxy.cli("rollback", name)
    assert db.sql("SELECT conrelid::regclass::text FROM pg_constraint WHERE conname = 'of_kind'") == [("late",)]
    proxy.cli("abort", name)


@pytest.mark.versions(15, 16, 17)
def test_no_row_is_read_under_the_lock_for_a_foreign_key(db, segue):
    build(db, "public")
    quiet = {"name": "quiet", "operations": [constraint("read_not_here", "foreign_key", "kind", references={"table": "public.kinds"})]}
    # the server says at DEBUG1 that it reads rows for one
    proxy = segue(db, upstream=db.url() + "?options=-clog_min_messages%3Ddebug1", quiet_period_s=1)
    name = proxy.soaking(quiet)

    def reads():
        return db.cluster.log.read_text(errors="replace").count('validating foreign key constraint "read_not_here"')

    until("the parts to be validated", lambda: db.one(
        "SELECT bool_and(convalidated) AND count(*) = 4 FROM pg_constraint WHERE conname = 'read_not_here' AND contype = 'f'"))
    db.sql("CREATE TABLE public.late PARTITION OF public.events FOR VALUES FROM (300) TO (400); INSERT INTO public.events VALUES (1, 350, 3, 'late')")
    refused = proxy.cli("complete", name, "--force", check=1).err
    assert "partition public.late came after the cut-over" in refused and "NOT VALID" in refused
    assert proxy.phase(name) == "soaking"  # nothing is dropped, and there is a way back
    until("the doctor to say so, too", lambda: "partition public.late came after the cut-over" in proxy.cli("doctor", check=None).out)
    db.sql("ALTER TABLE public.late ADD CONSTRAINT read_not_here FOREIGN KEY (kind) REFERENCES public.kinds NOT VALID;"
           "ALTER TABLE public.late VALIDATE CONSTRAINT read_not_here")
    before = reads()
    proxy.cli("complete", name, "--force")
    assert before >= 4 and reads() == before
    assert [row[3] for row in constraints(db) if row[1] == "read_not_here"] == [True] * 7


@pytest.mark.versions(15, 18)
def test_a_foreign_key_that_is_dropped_comes_back_as_often_as_wanted(db, segue):
    build(db, "public")
    db.sql("ALTER TABLE public.events ADD CONSTRAINT of_kind FOREIGN KEY (kind) REFERENCES public.kinds ON DELETE CASCADE DEFERRABLE;"
           "COMMENT ON CONSTRAINT of_kind ON public.events IS 'kept'")
    before = constraints(db)
    proxy = segue(db)
    drops = {"name": "m", "operations": [{"drop_constraint": {"table": "public.events", "name": "of_kind"}}]}
    name = proxy.ready(drops)
    conn = proxy.connect()
    for row in (1000, 2000):
        proxy.cli("cutover", name)
        conn.execute(f"INSERT INTO public.events VALUES ({row}, 50, 77, 'free'), ({row}, 150, 77, 'free'), ({row}, 250, 77, 'free')")
        proxy.cli("rollback", name)
        for at in (50, 150, 250):
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                conn.execute(f"INSERT INTO public.events VALUES (9999, {at}, 77, 'bound')")
    proxy.console(f"ABORT {name}")
    assert "of_kind" in proxy.wait(name, lambda row: row["error"])["error"]
    conn.execute("DELETE FROM public.events WHERE code = 'free'")
    proxy.cli("resume", name)
    proxy.wait_phase(name, "aborted")
    assert constraints(db) == before
    assert db.one("SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'of_kind' AND conrelid = 'public.events'::regclass") == "kept"
    proxy.cli("abort", proxy.ready({**drops, "name": "early"}))
    assert constraints(db) == before
    proxy.done({**drops, "name": "gone"})
    assert [row for row in constraints(db) if row[1] == "of_kind"] == []


REFERS = """
CREATE TABLE {s}.keys (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE {s}.keys_low PARTITION OF {s}.keys FOR VALUES FROM (0) TO (10);
CREATE TABLE {s}.keys_rest PARTITION OF {s}.keys DEFAULT;
CREATE TABLE {s}.lines (id int PRIMARY KEY, key int CONSTRAINT of_key REFERENCES {s}.keys ON DELETE SET NULL, other int CONSTRAINT of_other REFERENCES {s}.keys);
INSERT INTO {s}.keys SELECT generate_series(0, 20); INSERT INTO {s}.lines SELECT i, i, 20 - i FROM generate_series(0, 20) i;
"""


@pytest.mark.versions(15, 18)
def test_a_column_that_refers_to_a_partitioned_table_takes_its_foreign_key_along(db, segue):
    db.sql("CREATE SCHEMA plain;" + REFERS.replace("{s}", "public") + REFERS.replace("{s}", "plain"))
    proxy = segue(db)
    name = proxy.ready({"name": "m", "operations": [
        {"rename_column": {"table": "lines", "from": "key", "to": "of"}}, {"drop_constraint": {"table": "lines", "name": "of_other"}}]})
    conn = proxy.connect()
    for command in ("cutover", "rollback", "cutover"):
        proxy.cli(command, name)
        for column in ("key", "of"):
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                conn.execute(f"INSERT INTO lines (id, {column}) VALUES (100, 100)")
        key = {"rollback": 5}.get(command, 15)
        conn.execute(f"INSERT INTO keys VALUES ({key + 100}); UPDATE lines SET key = {key + 100} WHERE id = {key}; DELETE FROM keys WHERE id = {key + 100}")
        assert conn.execute(f"SELECT key, of FROM lines WHERE id = {key}").fetchall() == [(None, None)]
    proxy.cli("complete", name, "--force")
    db.sql("ALTER TABLE plain.lines RENAME key TO of; ALTER TABLE plain.lines DROP CONSTRAINT of_other")

    def facts(schema):  # PostgreSQL before 18 validates the whole, and leaves its parts NOT VALID
        return [(row[0], row[2].replace(" NOT VALID", ""), *row[4:7]) for row in constraints(db, schema)]

    assert facts("public") == facts("plain") and [row[3] for row in constraints(db) if row[1] == "of_key"] == [True]
    assert db.one("SELECT count(*) FROM pg_constraint WHERE conname LIKE '~segue%'") == 0
