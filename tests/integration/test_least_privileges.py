"""The role that README.md names is enough, and what it lacks is said by plan."""

import contextlib
import json
import re
import threading

import psycopg
import pytest
from lib.chaos import ChaosRelay
from lib.each import each
from lib.standby import Receiver
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

SCHEMA = """
CREATE TABLE kinds (id int PRIMARY KEY);
CREATE TABLE items (id serial PRIMARY KEY, label text NOT NULL DEFAULT 'none', kind int REFERENCES kinds, n int,
                    UNIQUE (label), CHECK (label <> ''));
CREATE INDEX ix_kind ON items (kind);
INSERT INTO kinds VALUES (1);
INSERT INTO items (label, kind, n) SELECT 'l' || i, 1, i FROM generate_series(1, 50) i;
"""
FILE = {"name": "m", "operations": [
    {"rename_column": {"table": "items", "from": "label", "to": "title"}},
    {"rename_column": {"table": "items", "from": "kind", "to": "sort"}},
    {"alter_column": {"table": "items", "column": "n", "type": "bigint", "up": "n::bigint", "down": "n::int"}},
    {"add_column": {"table": "items", "column": {"name": "extra", "type": "jsonb"}, "up": "segue.json_or_wrap(label)"}},
    {"create_index": {"name": "ix_n", "table": "items", "columns": ["n"]}}]}


@pytest.fixture
def owner(db):
    """No superuser, no member of anything: it owns the tables and may create in the database."""
    name = f"owner_{db.name}"
    db.sql(SCHEMA)
    db.sql(f'CREATE ROLE {name} LOGIN; ALTER TABLE items OWNER TO {name}; ALTER TABLE kinds OWNER TO {name}; '
           f'GRANT CREATE ON DATABASE "{db.name}" TO {name}; REVOKE CREATE ON SCHEMA public FROM PUBLIC')
    yield name
    db.sql(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def test_a_role_that_may_not_move_a_version_table_on_is_told_by_plan(db, segue, owner):
    db.sql(f"CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('a'); CREATE SCHEMA drizzle;"
           f"CREATE TABLE drizzle.__drizzle_migrations (id serial, hash text, created_at bigint); GRANT USAGE ON SCHEMA drizzle TO {owner};"
           f"GRANT SELECT ON alembic_version, drizzle.__drizzle_migrations TO {owner}; GRANT CREATE ON SCHEMA public TO {owner}")
    proxy = segue(upstream=db.url(owner))
    for table, version in (("public.alembic_version", {"alembic": {"from": ["a"], "to": "b"}}),
                           ("drizzle.__drizzle_migrations", {"drizzle": {"from": 0, "when": 1, "hash": "0" * 64}})):
        said = proxy.cli("plan", proxy.file({**FILE, "version_table": version}), check=1).err
        grant = f"GRANT SELECT, INSERT, DELETE ON {table} TO {owner}"
        assert "permission denied" in said and grant in said, said
        db.sql(grant)
        if "drizzle" in version:  # the number of the new entry, which only the cut-over would take
            said = proxy.cli("plan", proxy.file({**FILE, "version_table": version}), check=1).err
            grant = f"GRANT USAGE ON SEQUENCE drizzle.__drizzle_migrations_id_seq TO {owner}"
            assert "permission denied for sequence" in said and grant in said, said
            db.sql(grant)
        proxy.cli("plan", proxy.file({**FILE, "version_table": version}))


def test_a_schema_that_it_may_not_use_any_more_is_said_once(db, segue, owner):
    """Sizes are looked at every other second."""
    shop = f"shop_{db.name}"
    db.sql(f"GRANT CREATE ON SCHEMA public TO {owner}; CREATE SCHEMA {shop}; CREATE TABLE {shop}.items (id int PRIMARY KEY, label text);"
           f"ALTER TABLE {shop}.items OWNER TO {owner}; GRANT USAGE, CREATE ON SCHEMA {shop} TO {owner}")
    proxy = segue(upstream=db.url(owner))
    name = proxy.ready({"name": "m", "operations": [{"rename_column": {"table": f"{shop}.items", "from": "label", "to": "title"}}]})
    db.sql(f"REVOKE USAGE ON SCHEMA {shop} FROM {owner}")
    words = f"permission denied for schema {shop}"
    assert words in proxy.wait(name, lambda r: r["error"])["error"]
    until("three more looks", lambda: db.cluster.log.read_text(errors="replace").count(words) > 3)
    assert sum("stopped" in line for line in proxy.log_text().splitlines() if words in line) == 1, proxy.log_tail()
    db.sql(f"GRANT USAGE ON SCHEMA {shop} TO {owner}")
    proxy.cli("resume", name)
    proxy.wait(name, lambda r: not r["error"])
    proxy.cli("abort", name)


def test_the_owner_of_the_tables_carries_a_migration_to_its_end(db, segue, owner):
    db.sql("GRANT SELECT, INSERT, UPDATE ON items TO app")
    proxy = segue(upstream=db.url(owner))
    grant = f"GRANT CREATE ON SCHEMA public TO {owner}"
    assert grant in proxy.cli("plan", proxy.file(FILE), check=1).out
    db.sql(grant)
    proxy.ready(FILE)
    with proxy.connect(user="app") as conn:
        conn.execute("INSERT INTO items (id, label, kind) VALUES (101, 'old', 1)")
        conn.execute("INSERT INTO items (id, title, sort) VALUES (102, 'new', 1)")
    proxy.cli("cutover", "m")
    proxy.cli("rollback", "m")
    proxy.cli("cutover", "m")
    proxy.cli("complete", "m", "--force")
    assert db.sql("SELECT title, sort, extra FROM items WHERE id > 100 ORDER BY id") == [
        ("old", 1, {"segue_invalid_json": "old"}), ("new", 1, {"segue_invalid_json": "new"})]
    proxy.stop()


@pytest.mark.parametrize("more", [[], [{"rename_table": {"from": "kinds", "to": "sorts"}}]], ids=["columns", "a table's name"])
def test_a_role_that_becomes_another_as_it_logs_in_knows_its_own_backends(db, segue, owner, pg, more):
    """What such a role makes is the group's; but the group is no member of the role, and the server hides from it what the role's backends do."""
    login = f"login_{db.name}"
    db.sql(f'CREATE ROLE {login} LOGIN IN ROLE {owner}; ALTER ROLE {login} SET role = {owner}; GRANT CREATE ON SCHEMA public TO {owner}')
    with contextlib.closing(ChaosRelay(pg.port)) as relay:
        proxy = segue(upstream=relay.url(db.name, login))
        made = {"create_table": {"name": "made", "columns": [{"name": "id", "type": "int", "pk": True}]}}
        proxy.ready({"name": "m", "operations": [*FILE["operations"], made, *more]})
        assert "bypass" not in proxy.cli("doctor").out
        def ended():
            return db.cluster.log.read_text(errors="replace").count("terminating connection due to administrator command")

        before = ended()
        relay.at_commit("late", word=b"soaking")  # the backend goes on, with its locks, until somebody ends it
        proxy.console("CUTOVER m")
        until("the cut", relay.fired.is_set)
        until("it to be ended", lambda: ended() > before)
        proxy.wait("m", lambda row: row["phase"] == "ready" and not row["error"])
        proxy.at_work()
        relay.release()
        proxy.cli("cutover", "m")
        proxy.cli("rollback", "m")
        proxy.cli("cutover", "m")
        proxy.cli("complete", "m")
        proxy.stop()
    assert db.sql("SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class WHERE relname IN ('items', 'made', 'migrations')") == [(owner,)]
    db.sql(f"DROP OWNED BY {login}; DROP ROLE {login}")


FAR = {"table": "the far.kinds", "column": "id"}
FRESH = {"create_constraint": {"name": "fresh", "table": "items", "type": "foreign_key", "columns": ["sort"],
                               "references": {"table": FAR["table"], "columns": ["id"]}}}
# what it takes of the other table -> operations; what is new has its rows looked at before
TO_ANOTHERS = {
    "SELECT, REFERENCES": (
        FRESH,
        {"add_column": {"table": "items", "column": {"name": "extra", "type": "int", "nullable": True, "references": {"name": "fresh", **FAR}},
                        "up": "sort"}},
        {"alter_column": {"table": "items", "column": "sort", "references": {"name": "fresh", **FAR}}}),
    "REFERENCES": (
        {"create_table": {"name": "made", "columns": [{"name": "id", "type": "int", "references": FAR}]}},
        {"rename_column": {"table": "items", "from": "far", "to": "farther"}},
        {"alter_column": {"table": "items", "column": "far", "type": "bigint", "up": "far::bigint", "down": "far::int"}},
        {"drop_constraint": {"table": "items", "name": "items_far_fkey"}}),
    "": ({"drop_column": {"table": "items", "column": "far", "down": "1"}},),
}


def obeyed(db, proxy, file):
    """Plan refuses with what to type, until nothing is missing."""
    typed = []
    while (done := proxy.cli("plan", file, check=None)).code:
        grants = re.findall("(GRANT .*)", done.out + done.err)
        assert grants and not set(grants) & set(typed), done
        db.sql("; ".join(grants))
        typed += grants
    return typed


@pytest.fixture
def theirs(db, segue, owner):
    db.sql(f"GRANT CREATE ON SCHEMA public TO {owner}")
    return segue(upstream=db.url(owner))


@each(case=[(takes, operation) for takes, operations in TO_ANOTHERS.items() for operation in operations])
def test_a_foreign_key_to_anothers_table_takes_what_plan_says_and_no_more(db, theirs, owner, case):
    takes, operation = case
    db.sql('DROP SCHEMA IF EXISTS "the far" CASCADE; DROP TABLE IF EXISTS made; ALTER TABLE items DROP COLUMN IF EXISTS far,'
           ' DROP COLUMN IF EXISTS farther, DROP COLUMN IF EXISTS extra, DROP COLUMN IF EXISTS sort; CREATE SCHEMA "the far";'
           'CREATE TABLE "the far".kinds (id int PRIMARY KEY); INSERT INTO "the far".kinds VALUES (1);'
           'ALTER TABLE items ADD sort int DEFAULT 1, ADD far int DEFAULT 1 CONSTRAINT items_far_fkey REFERENCES "the far".kinds')
    proxy, file = theirs, {"name": f"m{db.one('SELECT txid_current()')}", "operations": [operation]}
    typed = [f'GRANT {takes} ON "the far".kinds TO {owner}'] if takes else []
    assert sorted(obeyed(db, proxy, proxy.file(file))) == [*typed, f'GRANT USAGE ON SCHEMA "the far" TO {owner}']
    name = file["name"]
    proxy.ready(file)
    proxy.cli("cutover", name)
    proxy.cli("rollback", name)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    assert proxy.phase(name) == "done"


@pytest.mark.one_version
def test_a_foreign_key_to_rows_that_its_role_does_not_see_is_refused(db, theirs, owner):
    db.sql(f"CREATE TABLE others (id int PRIMARY KEY); ALTER TABLE others ENABLE ROW LEVEL SECURITY; GRANT ALL ON others TO {owner}")
    key = {**FRESH["create_constraint"], "columns": ["kind"], "references": {"table": "others", "columns": ["id"]}}
    refused = theirs.cli("plan", theirs.file({"name": "m", "operations": [{"create_constraint": key}]}), check=1).err
    assert "row security of public.others would hide rows that are referred to" in refused and "BYPASSRLS" in refused


def in_transaction(proxy, pid, least_s):
    """For how long the session with this backend is in one, as soon as that is long enough."""
    (row,) = [r for r in proxy.console("SHOW SESSIONS") if str(r["backend_pid"]) == str(pid)]
    return float(row["in_transaction_s"]) if float(row["in_transaction_s"]) >= least_s else None


def test_blockers_of_other_roles_are_named_with_what_to_grant(db, segue, owner):
    db.sql(f"GRANT SELECT ON items TO app; GRANT CREATE ON SCHEMA public TO {owner}")
    proxy = segue(upstream=db.url(owner), cutover_attempts_max=1, cutover_drain_ms=50)
    proxy.ready(FILE)
    with db.connect("app", application_name="nightly report") as holder:
        holder.execute("BEGIN; SELECT count(*) FROM items")
        refused = proxy.cli("cutover", "m", check=4).err
        pid = holder.info.backend_pid
        for text in refused, proxy.status("m")["blockers"]:
            assert f"pid {pid} (nightly report, user app, ?, ?, " in text and re.search(r"at least [0-9.]+ s in transaction\): <", text) and "GRANT pg_monitor" in text
        hidden = [r for r in json.loads(proxy.cli("doctor", "--json", check=1).out) if r["finding"] == "hidden blockers"]
        assert f"GRANT pg_monitor TO {owner}" in hidden[0]["command"] and str(pid) in hidden[0]["what"]
        holder.execute("COMMIT")
    with proxy.connect(user="app", application_name="a report through it") as holder:
        holder.execute("BEGIN; SELECT count(*) FROM items")
        pid = holder.info.backend_pid
        began_s = float(until("its transaction to be an old one", lambda: in_transaction(proxy, pid, 0.3)))
        refused = proxy.cli("cutover", "m", check=4).err
        for text in refused, proxy.status("m")["blockers"]:
            told = re.search(rf"pid {pid} \(a report through it, user app, 127.0.0.1 through segue, transaction, ([0-9.]+) s in", text)
            assert told and began_s <= float(told[1]) <= in_transaction(proxy, pid, 0), text
        (one,) = [b for b in proxy.console("SHOW ATTEMPTS")[-1]["blockers"] if b["pid"] == pid]
        assert (one["client_addr"], one["through_segue"], one["backend_type"]) == ("127.0.0.1", True, None)
        holder.execute("COMMIT")
    proxy.cli("cutover", "m")
    assert not proxy.status("m")["blockers"]
    proxy.stop()


def outcomes(db, kind="cutover"):
    return [o for (o,) in db.sql(f"SELECT outcome FROM segue.attempts WHERE kind = '{kind}' ORDER BY at")]


@pytest.fixture
def aged(db, segue, owner):
    """What other roles do is hidden, and half a second is an old transaction."""
    db.sql(f"GRANT SELECT ON items TO app; GRANT CREATE ON SCHEMA public TO {owner}")
    proxy = segue(upstream=db.url(owner), transaction_age_max_ms=500, cutover_attempts_max=60, cutover_backoff="50ms", cutover_drain_ms=50)
    proxy.ready(FILE)
    return proxy


def test_nobody_is_held_up_for_a_transaction_whose_age_only_segues_own_session_tells(db, aged):
    with aged.connect(user="app") as holder:
        holder.execute("BEGIN; SELECT count(*) FROM items")
        pid = holder.info.backend_pid
        until("its transaction to be an old one", lambda: in_transaction(aged, pid, 0.6))
        aged.console("CUTOVER m")
        (one,) = until("an attempt to be shown", lambda: aged.console("SHOW ATTEMPTS")[-1]["blockers"])
        assert set(outcomes(db)) == {"blocked"} and one["pid"] == pid and one["age_s"] >= 0.6
        holder.execute("COMMIT")
    aged.wait_phase("m", "soaking")


def test_a_hidden_transaction_is_as_old_as_segue_has_seen_it_hold_the_table(db, aged):
    with db.connect("app", application_name="nightly report") as holder:
        holder.execute("BEGIN; SELECT count(*) FROM items")
        aged.console("CUTOVER m")
        until("it to be an old one", lambda: outcomes(db)[-1:] == ["blocked"])
        met = len(outcomes(db))
        until("more attempts", lambda: len(outcomes(db)) > met + 2)
        assert set(outcomes(db)[met:]) == {"blocked"}  # and not once more behind the gate
        (one,) = aged.console("SHOW ATTEMPTS")[-1]["blockers"]
        assert one["pid"] == holder.info.backend_pid and one["age_s"] is None and one["held_s"] >= 0.5
        assert re.search(r"nightly report, user app, \?, \?, at least [0-9.]+ s in transaction\)", aged.status("m")["blockers"])
        holder.execute("COMMIT; BEGIN; SELECT count(*) FROM items")  # another transaction of the same backend, and a young one
        until("an attempt behind the gate", lambda: outcomes(db)[-1] != "blocked")
        holder.execute("COMMIT")
    aged.wait_phase("m", "soaking")


@pytest.mark.one_version
def test_a_role_that_may_not_silence_triggers_any_more_fills_the_rest_with_them(db, segue, owner):
    db.sql("INSERT INTO items (label, kind, n) SELECT 'm' || i, 1, i FROM generate_series(1, 3000) i")
    db.sql(f"ALTER ROLE {owner} SUPERUSER; GRANT CREATE ON SCHEMA public TO {owner}")
    proxy = segue(upstream=db.url(owner))
    proxy.console("THROTTLE rows_per_s 1")
    proxy.begin(FILE)
    until("a first batch", lambda: db.one("SELECT sum(rows) FROM segue.progress"))
    db.sql(f"ALTER ROLE {owner} NOSUPERUSER")
    proxy.console("THROTTLE rows_per_s default")
    assert "session_replication_role" in proxy.wait("m", lambda r: r["error"])["error"]
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "ready")


@pytest.mark.one_version
def test_an_autovacuum_steps_aside_for_a_role_that_may_not_see_that_it_is_one(private_db, segue):
    db = private_db
    make_items(db, 2000)
    name = f"owner_{db.name}"
    db.sql(f'CREATE ROLE {name} LOGIN; ALTER TABLE items OWNER TO {name}; '
           f'GRANT CREATE ON DATABASE "{db.name}" TO {name}; GRANT CREATE ON SCHEMA public TO {name}')
    proxy = segue(upstream=db.url(name), cutover_attempts_max=3)
    proxy.ready(RENAME)
    with db.cluster.connect() as conn:
        for setting in ("autovacuum_naptime = 1", "autovacuum_vacuum_cost_delay = '100ms'", "autovacuum_vacuum_cost_limit = 1"):
            conn.execute(f"ALTER SYSTEM SET {setting}")
        conn.execute("SELECT pg_reload_conf()")
    db.sql("UPDATE items SET label = label")
    db.kept.close()  # at its end a session reports what it has written
    until("an autovacuum", lambda: db.one("SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = 'items'::regclass"))
    proxy.cli("cutover", RENAME["name"])


@pytest.mark.one_version
def test_a_doctor_invents_nothing_of_what_is_hidden_and_knows_segue_by_any_role(db, segue, owner):
    db.sql(f"GRANT CREATE ON SCHEMA public TO {owner}")
    proxy = segue(upstream=db.url(owner))

    def found(finding, *words):
        return [r["what"] for r in json.loads(proxy.cli("doctor", *words, "--json", check=None).out) if r["finding"] == finding]

    with db.connect("app", application_name="dump", autocommit=False) as holder:
        holder.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        holder.execute("SELECT 1")
        who = f"pid {holder.info.backend_pid} (dump, user app"
        proxy.begin(FILE)
        (blocked,) = until("the build to wait", lambda: found("blocked"))
        assert f"{who}, ?, ?, ? s in transaction): <insufficient privilege>" in blocked
        until("the build to be a long one", lambda: db.one(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'segue' AND query ~ 'CONCURRENTLY' "
            "AND datname = current_database() AND xact_start < clock_timestamp() - interval '5.1 s'"))
        superuser = "--upstream", db.url()
        (blocked,) = found("blocked", *superuser)
        assert f"{who}, 127.0.0.1, idle in transaction, " in blocked
        assert found("long transaction", *superuser) == []
        db.sql("GRANT USAGE ON SCHEMA segue TO app; GRANT SELECT ON ALL TABLES IN SCHEMA segue TO app")
        anybody = "--upstream", db.url("app")  # what the engine does is hidden from this one
        assert found("phase", *anybody) and found("hidden blockers", *anybody) == []
    proxy.wait_phase("m", "ready")


@pytest.mark.one_version
def test_a_long_statement_of_an_engine_of_another_role_is_let_be(db, segue, owner):
    with db.connect(application_name="segue") as other:
        other.execute("SELECT pg_advisory_lock_shared(x'7365677567'::bigint)")  # its mark

        def sleep():
            with contextlib.suppress(psycopg.Error):
                other.execute("SELECT pg_sleep(600)")

        asleep = threading.Thread(target=sleep, daemon=True)
        asleep.start()
        until("it to sleep", lambda: db.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"))
        segue(upstream=db.url(owner)).at_work()
        assert asleep.is_alive()
        db.one(f"SELECT pg_cancel_backend({other.info.backend_pid})")
        asleep.join(20)


def test_who_holds_the_lock_and_is_hidden_comes_from_nowhere(db, segue, owner):
    with db.connect("app", application_name="nosy") as holder:
        holder.execute("SELECT pg_advisory_lock(x'7365677565'::bigint)")
        proxy = segue(upstream=db.url(owner))
        where = f"backend {holder.info.backend_pid}, from ?, since ?"
        proxy.logged(f"role app, which is no segue's, has taken segue's advisory lock ({where})")
        said = proxy.cli("doctor", check=1).out
        assert f"backend {holder.info.backend_pid} (nosy, user app, from ?, since ?)" in said
    proxy.at_work()


def test_a_standby_of_another_role_is_nowhere_and_not_on_the_servers_machine(db, segue, owner, pg):
    db.sql(f"GRANT CREATE ON SCHEMA public TO {owner}")
    proxy = segue(upstream=db.url(owner), cutover_replicas_wait_ms=400)
    proxy.ready(FILE)
    standby = Receiver(pg, "eu_replica")
    try:
        until("the standby", lambda: db.one("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"))
        assert "standby eu_replica (?, ?): how far" in proxy.cli("cutover", "m", "--wait-replicas", check=4).err
    finally:
        standby.close()


@pytest.mark.parametrize("asked", [False, True])
def test_versions_that_it_may_not_read_hide_nothing_else_that_lint_finds(db, segue, owner, tmp_path, asked):
    db.sql("CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('a')")
    proxy = segue(upstream=db.url(owner))
    folder, versions = tmp_path / "folder", tmp_path / "versions"
    folder.mkdir()
    versions.mkdir()
    (folder / "a.json").write_text("{")
    done = proxy.cli("lint", folder, *(["--alembic", versions] if asked else []), check=1)
    assert f"error: {folder}" in done.out and "permission denied for table alembic_version" in done.out, done.out + done.err
    assert ("error" if asked else "warning") + ": permission denied" in done.out
    (folder / "a.json").write_text(json.dumps(FILE))
    assert proxy.cli("lint", folder, *(["--alembic", versions] if asked else []), check=None).code == (1 if asked else 0)
