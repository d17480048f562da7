"""The operation `sql`: the file's own statements, when they run, what they may not do."""

import re

import pytest
from lib import catalog
from lib.wait import until

SCHEMA = """
CREATE TABLE items (id int PRIMARY KEY, label text, n int);
CREATE TABLE log (id bigserial PRIMARY KEY, what text);
CREATE INDEX ix_n ON items (n);
INSERT INTO items SELECT i, 'l' || i, i FROM generate_series(1, 50) i;
"""
FILE = {"name": "own", "operations": [
    {"create_table": {"name": "kinds", "columns": [{"name": "id", "type": "int", "pk": True}, {"name": "name", "type": "text"}]}},
    {"sql": {"up": "INSERT INTO kinds VALUES (1, 'one'), (2, 'it''s; two'); -- both",
             "down": "DELETE FROM kinds"}},
    {"sql": {"up": "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.what := 'x'; RETURN NEW; END $$;"
                   "CREATE TRIGGER touched BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION touch()",
             "down": "DROP TRIGGER touched ON log; DROP FUNCTION touch()"}},
    {"add_column": {"table": "items", "column": {"name": "size", "type": "int", "nullable": True}}},
    {"sql": {"up": "ALTER INDEX ix_n RENAME TO ix_items_n; COMMENT ON TABLE log IS 'of the new revision'", "onComplete": True}}]}
PLAIN = """
CREATE TABLE kinds (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO kinds VALUES (1, 'one'), (2, 'it''s; two');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.what := 'x'; RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE items ADD size int;
ALTER INDEX ix_n RENAME TO ix_items_n;
"""


def whole(db):
    with db.connect() as conn:
        return catalog.whole(conn)


def one(operation):
    return {"name": "m", "operations": [{"sql": operation}]}


def test_statements_run_when_they_should_and_are_taken_back(db, copy, segue):
    db.sql(SCHEMA)
    copy.sql(SCHEMA)
    before = whole(db)
    proxy = segue(db)
    shown = proxy.cli("plan", proxy.file(FILE)).out
    assert "SHARE ROW EXCLUSIVE on public.log" in shown and "ALTER INDEX ix_n RENAME" in shown
    proxy.ready(FILE)
    assert db.one("SELECT count(*) FROM kinds") == 2
    assert db.one("SELECT to_regclass('ix_n') IS NOT NULL")
    proxy.cli("abort", "own", "--force")
    assert catalog.difference(before, whole(db)) == []
    proxy.done(FILE)
    assert db.one("SELECT obj_description('log'::regclass, 'pg_class')") == "of the new revision"
    copy.sql(PLAIN)
    assert catalog.difference(whole(copy), whole(db)) == []


def test_nothing_runs_twice_when_segue_dies_while_a_statement_runs(db, segue):
    """The backend outlives its segue, and ends its transaction when the next segue is there already."""
    db.sql(SCHEMA)
    proxy = segue(db)
    with db.connect() as gatekeeper:
        gatekeeper.execute("SELECT pg_advisory_lock(77)")
        up = "INSERT INTO log (what) VALUES ('once'); SET LOCAL search_path = public; SELECT pg_sleep(0) FROM log; " \
             "DO $$ BEGIN WHILE NOT pg_try_advisory_lock_shared(77) LOOP PERFORM pg_sleep(0.02); END LOOP; END $$"
        proxy.begin(one({"up": up, "down": "DELETE FROM log"}))
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_try_advisory_lock_shared(77)%' AND state = 'active' AND pid <> pg_backend_pid()"
        until("the statement to run", lambda: db.one(running) == 1)
        proxy.kill9()
        proxy.start()
        until("the next one to want it, too", lambda: "again" in proxy.log_text() or db.one(running) == 2)
        gatekeeper.execute("SELECT pg_advisory_unlock(77)")
    proxy.wait_phase("m", "ready")
    assert db.one("SELECT count(*) FROM log") == 1
    proxy.cli("abort", "m")
    assert db.one("SELECT count(*) FROM log") == 0


@pytest.mark.one_version
def test_what_fails_leaves_nothing_behind_and_down_is_not_run_for_it(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    proxy.begin(one({"up": "INSERT INTO log (what) VALUES ('a'); SELECT 1 / (SELECT 0)", "down": "INSERT INTO log (what) VALUES ('down')"}))
    row = proxy.wait("m", lambda r: r["error"])
    assert "division by zero" in row["error"] and row["phase"] == "expanding"
    proxy.cli("abort", "m")
    assert db.one("SELECT count(*) FROM log") == 0
    assert proxy.phase("m") == "aborted"


@pytest.mark.one_version
@pytest.mark.parametrize("first", ["", "DO $$ BEGIN RAISE WARNING 'it takes long'; END $$; ", "SELECT repeat('x', 100000); "])
def test_a_long_statement_can_be_aborted(db, segue, first):
    """Of several the server may have told the first ones before the last has begun."""
    db.sql(SCHEMA)
    proxy = segue(db)
    proxy.begin(one({"up": f"INSERT INTO log (what) VALUES ('a'); {first}SELECT pg_sleep(600)", "down": "INSERT INTO log (what) VALUES ('down')"}))
    until("it to sleep", lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
                                        "AND datname = current_database()") == 1)
    assert proxy.console("SHOW MIGRATIONS")[0]["phase"] == "expanding"  # the engine goes on meanwhile
    proxy.cli("abort", "m")
    assert proxy.phase("m") == "aborted"
    assert db.one("SELECT count(*) FROM log") == 0


REFUSED = {
    "syntax": ({"up": "SELEC 1"}, "operations[0].sql.up: "),
    "transaction control": ({"up": "SELECT 1; COMMIT"}, "statement 2, transaction control"),
    "concurrently": ({"up": "CREATE INDEX CONCURRENTLY i ON items (n)"}, "use create_index"),
    "index build": ({"up": "CREATE INDEX i ON items (n)"}, "nobody could write to the table while it is built"),
    "add column": ({"up": "ALTER TABLE items ADD c int"}, "use add_column"),
    "validation": ({"up": "ALTER TABLE items ADD CHECK (n > 0)"}, "use create_constraint"),
    "drop table": ({"up": "DROP TABLE items", "onComplete": True}, "use drop_table"),
    "in down": ({"up": "SELECT 1", "down": "DROP TABLE items"}, "operations[0].sql.down, statement 1, DROP"),
    "cascade": ({"up": "DROP TYPE IF EXISTS x CASCADE"}, "CASCADE drops what the file does not name"),
    "system catalog": ({"up": "ALTER TABLE pg_class SET (fillfactor = 50)"}, "it is not a user's"),
    "a type that is not there": ({"up": "SELECT 1; ALTER TYPE missing ADD VALUE 'x'"}, "statement 2, ALTER TYPE: there is no type missing"),
    "a type that is not in its schema": ({"up": "SELECT 1", "down": "ALTER TYPE segue_x.missing RENAME TO other"}, "there is no type segue_x.missing"),
    "a relation that is not there": ({"up": "SELECT 1;\nALTER TABLE missing SET (fillfactor = 90)"},
                                     "6: operations[0].sql.up: statement 2, ALTER TABLE: there is no relation missing"),
    "a relation that is not in its schema": ({"up": "SELECT 1", "down": "DROP INDEX other.ix_n"}, "statement 1, DROP: there is no relation other.ix_n"),
    "a relation that is to be referred to": ({"up": "CREATE TABLE n (id int REFERENCES missing)"}, "CREATE TABLE: there is no relation missing"),
    "a relation that is made behind": ({"up": "COMMENT ON TABLE n IS 'x'; SELECT now()"}, "COMMENT: there is no relation n"),
    "segue's own": ({"up": "DELETE FROM segue.migrations"}, "schema segue is segue's own"),
}


@pytest.mark.one_version
def test_what_would_hold_up_the_application_is_refused(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    before = whole(db)
    for what, (operation, wanted) in REFUSED.items():
        shown = proxy.cli("plan", proxy.file(one(operation)), check=None)
        assert wanted in shown.out + shown.err, f"{what}: {wanted!r} is not in\n{shown.out}\n{shown.err}"
    proxy.cli("start", proxy.file(one(REFUSED["drop table"][0])), check=1)
    rename = {"rename_column": {"table": "items", "from": "label", "to": "title"}}
    migrating = {"name": "m", "operations": [rename, {"sql": {"up": "ALTER TABLE items ALTER n SET DEFAULT 1"}}]}
    assert "the file changes this table by another operation" in proxy.cli("plan", proxy.file(migrating), check=1).out
    between = {"name": "m", "operations": [rename, {"sql": {"up": "SELECT 1"}},
                                           {"add_column": {"table": "items", "column": {"name": "c", "type": "int", "nullable": True}}}]}
    assert "it stands between two operations on public.items" in proxy.cli("plan", proxy.file(between), check=1).out
    made = [{"create_enum": {"name": "mood", "values": ["a"]}},
            {"sql": {"up": "ALTER TYPE mood ADD VALUE 'b'; CREATE TYPE c AS (x int); ALTER TYPE c RENAME TO d; ALTER TYPE d ADD ATTRIBUTE y int"}}]
    made += [{"create_table": {"name": "kinds", "columns": [{"name": "id", "type": "serial", "pk": True}]}},
             {"add_column": {"table": "log", "column": {"name": "no", "type": "serial"}}},
             {"sql": {"up": "ALTER TABLE kinds SET (fillfactor = 90); ALTER SEQUENCE kinds_id_seq CACHE 2; COMMENT ON INDEX kinds_pkey IS 'x'; "
                            "CREATE VIEW v AS SELECT 1 AS a; ALTER VIEW v RENAME TO w; GRANT SELECT ON w TO app; CREATE TABLE n (id int PRIMARY KEY,"
                            "of int REFERENCES n); CREATE INDEX n_of ON n (of); COMMENT ON INDEX n_of IS 'x'; ALTER TABLE IF EXISTS missing RENAME TO"
                            " other; DROP VIEW IF EXISTS missing; ALTER TYPE mood RENAME VALUE 'b' TO 'c'; ALTER SEQUENCE log_no_seq CACHE 2; DO ''",
                      "down": "DROP TRIGGER g ON of_the_do; DROP VIEW w"}},
             {"sql": {"up": "COMMENT ON TABLE of_the_do IS 'x'"}},
             {"sql": {"up": "DROP VIEW w", "onComplete": True}}]
    proxy.cli("plan", proxy.file({"name": "m", "operations": made}))
    behind = [{"sql": {"up": "ALTER SEQUENCE kinds_id_seq CACHE 2"}}, made[2]]
    refused = proxy.cli("plan", proxy.file({"name": "m", "operations": behind}), check=1).out
    assert "ALTER SEQUENCE: there is no relation kinds_id_seq" in refused and "make it in front of this" in refused
    merged = proxy.cli("plan", proxy.file(one({"up": "MERGE INTO items i USING log l ON l.id = i.id WHEN MATCHED THEN DELETE"}))).out
    assert "MERGE: a WHEN MATCHED without AND writes every row" in merged
    opaque = proxy.cli("plan", proxy.file(one({"up": "DO 'BEGIN END'"}))).out
    assert "cannot be looked into" in opaque and 'there is no "down"' in opaque
    after = whole(db)
    before["schemas"] = after["schemas"]
    assert catalog.difference(before, after) == []


@pytest.mark.one_version
def test_a_strong_lock_is_taken_behind_the_gate(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    with proxy.connect(autocommit=False) as client:
        client.execute("INSERT INTO log (what) VALUES ('open')")
        proxy.begin(one({"up": "ALTER TABLE log ALTER what SET DEFAULT 'w'", "down": "ALTER TABLE log ALTER what DROP DEFAULT"}))
        proxy.wait("m", lambda r: r["blockers"])
        with proxy.connect() as other:
            other.execute("SET statement_timeout = '10s'")
            assert other.execute("SELECT count(*) FROM log").fetchone() == (0,)
        client.commit()
    proxy.wait_phase("m", "ready")
    with db.connect() as conn:
        assert catalog.table(conn, "log")["columns"]["what"]["default"] == "'w'::text"
    proxy.cli("abort", "m")
    with db.connect() as conn:
        assert catalog.table(conn, "log")["columns"]["what"]["default"] is None


SLEEPS = {"one statement": "SELECT pg_sleep(1.5)", "all of them": "SELECT pg_sleep(0.4); SELECT pg_sleep(0.4); SELECT pg_sleep(0.4); SELECT pg_sleep(0.4)"}


@pytest.mark.one_version
@pytest.mark.parametrize("of", SLEEPS)
def test_what_takes_longer_than_the_gate_under_its_lock_is_not_tried_for_ever(db, segue, of):
    db.sql(SCHEMA)
    proxy = segue(db, gate_hold_max_ms=700)
    file = {"up": f"ALTER TABLE log ALTER what SET DEFAULT 'w'; {SLEEPS[of]}", "down": f"ALTER TABLE log ALTER what DROP DEFAULT; {SLEEPS[of]}"}
    proxy.begin(one(file))
    row = proxy.wait("m", lambda r: r["error"])
    assert "not done within the 700 ms of gate_hold_max_ms" in row["error"] and "more of gate_hold_max_ms" in row["hint"], row
    attempts = proxy.console("SHOW ATTEMPTS")
    assert [a["outcome"] for a in attempts] == ["slow"] * 3 and all(float(a["lock_ms"]) < 1300 for a in attempts), attempts
    assert db.one("SELECT column_default FROM information_schema.columns WHERE table_name = 'log' AND column_name = 'what'") is None
    # no way back is barred by it: neither before it has run nor after
    proxy.cli("abort", "m")
    proxy.options["gate_hold_max_ms"] = 5000
    proxy.restart().at_work()
    proxy.ready({**one(file), "name": "n"})
    proxy.options["gate_hold_max_ms"] = 700
    proxy.restart().at_work()
    proxy.console("ABORT n")
    proxy.wait("n", lambda r: "gate_hold_max_ms" in (r["error"] or ""))
    proxy.options["gate_hold_max_ms"] = 5000
    proxy.restart().at_work()
    proxy.console("RESUME n")
    proxy.wait_phase("n", "aborted")


@pytest.mark.one_version
def test_an_identity_is_given_to_a_column_in_an_instant(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    file = "SELECT pg_relation_filenode('items')"
    before = db.one(file)
    up = "ALTER TABLE items ALTER id ADD GENERATED {} AS IDENTITY {}"
    warned = proxy.cli("plan", proxy.file(one({"up": up.format("ALWAYS", "")}))).out
    assert "428C9" in warned and "counts from the beginning" in warned and "ACCESS EXCLUSIVE on public.items" in warned
    given = one({"up": up.format("BY DEFAULT", "(START WITH 100)"), "down": "ALTER TABLE items ALTER id DROP IDENTITY"})
    quiet = proxy.cli("plan", proxy.file(given)).out
    assert "428C9" not in quiet and "counts from the beginning" not in quiet
    proxy.ready(given)
    with proxy.connect() as conn:
        assert conn.execute("INSERT INTO items (label) VALUES ('counted') RETURNING id").fetchone() == (100,)
    assert db.one(file) == before
    proxy.cli("abort", "m")
    assert db.one("SELECT attidentity FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'id'") in ("", b"")


def test_what_is_tried_again_says_why_and_how_often(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    with db.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("UPDATE items SET n = 0 WHERE id = 7")
        proxy.begin(one({"up": "UPDATE items SET n = n + 1", "down": "UPDATE items SET n = n - 1"}))
        proxy.wait("m", lambda row: re.search(r"tried again, [2-9] times so far: .*lock timeout.*\(55P03\)", row["blockers"] or ""))
        holder.execute("ROLLBACK")
    proxy.wait_phase("m", "ready")
    assert not proxy.status("m")["blockers"]
    assert db.one("SELECT sum(n) FROM items") == sum(range(2, 52))


def test_what_can_never_succeed_at_the_end_is_skipped(db, segue):
    db.sql(SCHEMA)
    proxy = segue(db)
    name = proxy.soaking({"name": "m", "operations": [
        {"rename_column": {"table": "items", "from": "label", "to": "title"}},
        {"sql": {"up": "ALTER TABLE log ALTER COLUMN nopee SET STATISTICS 100", "onComplete": True}}]})
    assert "has not stopped at statements" in proxy.cli("resume", name, "--skip", check=1).err
    proxy.cli("complete", name, "--force", check=4)
    row = proxy.wait(name, lambda row: row["error"])
    assert row["phase"] == "contracting" and "nopee" in row["error"] and "resume --skip" in row["hint"]
    assert "resume --skip" in proxy.cli("doctor", name, check=None).out
    proxy.cli("resume", name, "--skip")
    proxy.wait_phase(name, "done")
    proxy.logged("skipped, as somebody has asked")
    assert db.one("SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0"
                  " AND NOT attisdropped") == ["id", "n", "title"]
