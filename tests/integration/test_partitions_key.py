"""Constraints of partitioned tables: unique, primary and foreign keys, without a scan under a lock."""

import psycopg
import pytest
from lib.segue import BUILD
from lib.wait import until

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
       (SELECT conname FROM pg_constraint p WHERE p.oid = k.conparentid), (SELECT indisvalid FROM pg_index WHERE indexrelid = k.conindid)
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
                                       constraint("once", "unique", "code", "kind", "at")]}
PLAIN = "ALTER TABLE {s}.events ADD PRIMARY KEY (id, at, kind); ALTER TABLE {s}.events ADD CONSTRAINT once UNIQUE (code, kind, at)"


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
    proxy = segue(db, upstream=db.url() + "?options=-clog_min_messages%3Ddebug1")
    name = proxy.soaking(quiet)

    def reads():
        return db.cluster.log.read_text(errors="replace").count('validating foreign key constraint "read_not_here"')

    until("the parts to be validated", lambda: db.one(
        "SELECT bool_and(convalidated) AND count(*) = 4 FROM pg_constraint WHERE conname = 'read_not_here' AND contype = 'f'"))
    db.sql("CREATE TABLE public.late PARTITION OF public.events FOR VALUES FROM (300) TO (400); INSERT INTO public.events VALUES (1, 350, 3, 'late')")
    proxy.cli("complete", name, "--force", check=4)
    row = proxy.wait(name, lambda r: r["error"])
    assert "partition late came after the cut-over" in row["error"] and "NOT VALID" in row["hint"]
    db.sql("ALTER TABLE public.late ADD CONSTRAINT read_not_here FOREIGN KEY (kind) REFERENCES public.kinds NOT VALID;"
           "ALTER TABLE public.late VALIDATE CONSTRAINT read_not_here")
    before = reads()
    proxy.cli("resume", name)
    proxy.wait_phase(name, "done")
    assert before >= 4 and reads() == before
    assert [row[3] for row in constraints(db) if row[1] == "read_not_here"] == [True] * 7
