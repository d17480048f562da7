"""Settings of the role, of writers and of a file's own statements change neither what segue does nor what a value is."""

import pytest
from lib.wait import until

ITEMS = """
CREATE TABLE items (id bigint PRIMARY KEY, label text NOT NULL DEFAULT E'a\\\\b', n int, at timestamp, f float8);
CREATE INDEX ix_label ON items (label) WHERE label <> E'\\\\';
ALTER TABLE items ADD CHECK (label <> E'\\\\''');
INSERT INTO items SELECT i, 'label ' || i, i, '2026-01-01 12:00'::timestamp + i * interval '1 h', i / 3.0 FROM generate_series(1, 300) i;
"""
# what a role may have set for itself that would break SQL which relies on the defaults
ROLE = {
    "search_path": "''", "statement_timeout": "'2s'", "lock_timeout": "'1ms'",
    "idle_in_transaction_session_timeout": "'50ms'", "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on", "default_transaction_deferrable": "on", "standard_conforming_strings": "off",
    "DateStyle": "'German'", "IntervalStyle": "'iso_8601'", "extra_float_digits": "-15", "bytea_output": "escape",
    "client_encoding": "LATIN1", "quote_all_identifiers": "on", "array_nulls": "off", "transform_null_equals": "on",
    "xmloption": "document", "enable_tidscan": "off", "TimeZone": "'Asia/Tokyo'", "client_min_messages": "debug5",
    "default_tablespace": "elsewhere", "synchronous_commit": "off", "plan_cache_mode": "force_generic_plan", "application_name": "'x'", "work_mem": "'64kB'",
}


def rename(table="items", **how):
    return {"rename_column": {"table": table, "from": "label", "to": "title", **how}}


def migration(*operations, name="m"):
    return {"name": name, "operations": list(operations)}


@pytest.fixture
def role(db):
    """A role that has set everything for itself that can be set."""
    name = f"r_{db.name}"
    db.sql(ITEMS)
    db.sql(f'CREATE ROLE {name} LOGIN; ALTER TABLE items OWNER TO {name}; GRANT CREATE ON SCHEMA public TO {name}; '
           f'GRANT CREATE ON DATABASE "{db.name}" TO {name}')
    for setting, value in ROLE.items():
        db.sql(f'ALTER ROLE {name} SET "{setting}" = {value}')
    yield name
    db.sql(f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")


def test_a_role_may_have_set_anything(db, segue, role):
    db.sql(f"CREATE STATISTICS label_and_n ON label, n FROM items; ALTER STATISTICS label_and_n OWNER TO {role}")
    proxy = segue(upstream=db.url(role))
    table = "public.items"
    proxy.ready(migration(
        rename(table), {"alter_column": {"table": table, "column": "n", "type": "bigint", "up": "n::bigint", "down": "n::int"}},
        {"add_column": {"table": table, "column": {"name": "extra", "type": "text"}, "up": r"replace(label, '\', '/')"}},
        {"create_index": {"name": "ix_n", "table": table, "columns": ["n"]}},
        {"create_table": {"name": "public.made", "columns": [{"name": "id", "type": "int", "pk": True}]}}))
    db.sql("INSERT INTO items (id) VALUES (1001)")
    proxy.cli("cutover", "m")
    proxy.cli("rollback", "m")
    proxy.cli("cutover", "m")
    assert "wrong" not in proxy.cli("doctor", "--json", check=None).out
    proxy.cli("complete", "m", "--force")
    proxy.cli("diff")
    assert "title, n" in db.one("SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxname = 'label_and_n'")
    assert db.one("SELECT count(*) FROM pg_class WHERE reltablespace <> 0 AND relnamespace IN ('public'::regnamespace, 'segue'::regnamespace)") == 0
    assert db.sql("SELECT title, n, extra FROM items WHERE id IN (7, 1001) ORDER BY id") == [("label 7", 7, "label 7"), ("a\\b", None, "a/b")]
    proxy.stop()


def test_what_a_value_is_does_not_depend_on_who_writes(db, segue):
    db.sql(ITEMS)
    proxy = segue(db)
    file = migration(
        {"rename_column": {"table": "items", "from": "at", "to": "moment", "type": "timestamptz",
                           "up": "at::timestamptz", "down": "moment::timestamp"}},
        {"rename_column": {"table": "items", "from": "f", "to": "third", "type": "text", "up": "f::text", "down": "third::float8"}})
    shown = proxy.cli("plan", proxy.file(file)).out
    assert "column at of public.items: under other settings up gives something else for 200 of 200 rows" in shown
    assert "TimeZone UTC and DateStyle ISO, MDY" in shown
    proxy.ready(file)
    conn = proxy.connect()

    def write(first):
        for i, zone in enumerate(("UTC", "America/New_York", "Asia/Tokyo")):
            conn.execute(f"SET TimeZone = '{zone}'; SET extra_float_digits = -10; SET DateStyle = 'SQL, DMY'")
            conn.execute(f"INSERT INTO items (id, at, f) VALUES ({first + i}, '2026-06-01 12:00', 1 / 3.0::float8)")
            conn.execute(f"INSERT INTO items (id, moment, third) VALUES ({first + 10 + i}, '2026-06-01 12:00+00', '0.3333333333333333')")
            conn.execute(f"UPDATE items SET n = 5 WHERE id = {first + i}")
        conn.execute("RESET ALL")
        got = set(conn.execute(f"SELECT at::text, moment::text, f::text, third FROM items WHERE id >= {first}").fetchall())
        assert got == {("2026-06-01 12:00:00", "2026-06-01 12:00:00+00", "0.3333333333333333", "0.3333333333333333")}
        assert proxy.console('VERIFY "m"')[0]["rows_bad"] == 0

    write(1000)
    proxy.cli("cutover", "m")
    write(2000)
    assert "wrong" not in proxy.cli("doctor", "--json", check=None).out  # it knows the guard again, settings and all
    proxy.cli("rollback", "m")


@pytest.mark.one_version
def test_a_setting_that_changes_in_flight_changes_no_value(db, segue):
    """What is filled and verified under other settings than the guard's would be called out of step, or be two things in one column."""
    db.sql(ITEMS)
    proxy = segue(db)
    proxy.console("THROTTLE rows_per_s 1")
    proxy.begin(migration({"rename_column": {"table": "items", "from": "at", "to": "moment", "type": "timestamptz",
                                             "up": "at::timestamptz", "down": "moment::timestamp"}}))
    until("a first batch", lambda: db.one("SELECT sum(rows) FROM segue.progress"))
    proxy.stop()
    assert db.one("SELECT count(*) FROM items WHERE moment IS NULL") > 0
    db.sql(f"ALTER DATABASE \"{db.name}\" SET TimeZone = 'Asia/Tokyo'")
    proxy = segue(db)
    proxy.at_work()
    db.sql("INSERT INTO items (id, at) VALUES (1001, '2026-06-01 12:00')")
    proxy.console("THROTTLE rows_per_s default")
    proxy.wait_phase("m", "ready")
    assert db.one("SELECT count(*) FROM items WHERE moment IS DISTINCT FROM at AT TIME ZONE 'UTC'") == 0
    db.sql("ALTER TABLE items DISABLE TRIGGER ALL; ALTER TABLE items ENABLE ALWAYS TRIGGER \"~segue_guard\"")  # rows are looked at again
    proxy.cli("cutover", "m")
    assert proxy.console('VERIFY "m"')[0]["rows_bad"] == 0


@pytest.mark.one_version
def test_names_of_the_file_mean_what_they_meant_when_it_was_planned(db, segue):
    """The path of the role or the database moves in flight: what is filled, built, verified and turned goes by the plan's, as the guard does."""
    db.sql(ITEMS + "CREATE SCHEMA app; CREATE SCHEMA later; CREATE TABLE log (a text)")
    for schema, with_what in (("app", "upper"), ("later", "reverse")):
        db.sql(f"CREATE FUNCTION {schema}.loud(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT {with_what}(t)'; "
               f"CREATE FUNCTION {schema}.quiet(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(t)'")
    db.sql(f'ALTER DATABASE "{db.name}" SET search_path = app, public')
    proxy = segue(db)
    proxy.console("THROTTLE rows_per_s 1")
    proxy.begin(migration(
        {"add_column": {"table": "items", "column": {"name": "said", "type": "text"}, "up": "loud(label)"}},
        {"alter_column": {"table": "items", "column": "label", "type": "varchar", "up": "loud(label)", "down": "quiet(label)"}},
        {"sql": {"up": "INSERT INTO public.log VALUES (loud('x'))", "onComplete": True}}))
    until("a first batch", lambda: db.one("SELECT sum(rows) FROM segue.progress"))
    for path in ("", "later, public"):
        proxy.stop()
        db.sql(f"ALTER DATABASE \"{db.name}\" SET search_path = {path or chr(39) * 2}")
        proxy = segue(db)
        proxy.at_work()
    proxy.console("THROTTLE rows_per_s default")
    proxy.wait_phase("m", "ready")
    assert db.one("SELECT count(*) FROM items WHERE said <> upper(label)") == 0
    db.sql("INSERT INTO items (id, label) VALUES (1001, 'abc')")
    for turn in ("verify", "cutover", "verify", "rollback", "cutover"):
        proxy.cli(turn, "m")
        db.sql("UPDATE items SET n = n + 1")
    proxy.cli("complete", "m", "--force")
    assert db.one("SELECT count(*) FROM items WHERE said <> label OR said <> upper(said)") == 0
    assert db.one("SELECT a FROM log") == "X"


@pytest.mark.one_version
def test_what_a_files_statements_set_for_their_session_is_gone_after_them(db, segue):
    """As dumps have it: SELECT pg_catalog.set_config('search_path', '', false)."""
    db.sql(ITEMS + "CREATE SCHEMA other; CREATE TABLE log (a int)")
    proxy = segue(db)
    own = [{"sql": {"up": up, "down": "SELECT 1"}} for up in (
        "SELECT set_config('search_path', 'other', false), set_config('lock_timeout', '7s', false)",
        "ALTER TABLE public.log ALTER a SET DEFAULT 3; SELECT set_config('search_path', 'other', false), "
        "set_config('default_transaction_read_only', 'on', false)")]
    proxy.ready(migration(*own, {"create_index": {"name": "ix_n", "table": "public.items", "columns": ["n"]}}, name="own"))
    proxy.cli("abort", "own")
    proxy.ready(migration(rename()))


@pytest.mark.one_version
def test_who_may_write_but_not_call_what_the_guard_calls_is_named(db, segue):
    db.sql(ITEMS + "DROP INDEX ix_label; ALTER TABLE items DROP CONSTRAINT items_label_check; "
           "GRANT SELECT, INSERT, UPDATE ON items TO app; CREATE SCHEMA inner_s; "
           "CREATE FUNCTION inner_s.up(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(t)'; "
           "CREATE FUNCTION inner_s.down(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(t)'; "
           "REVOKE EXECUTE ON FUNCTION inner_s.down FROM PUBLIC")
    proxy = segue(db)
    file = proxy.file(migration(rename(type="text", up="inner_s.up(label)", down="inner_s.down(title)")))
    for grant in ("GRANT USAGE ON SCHEMA inner_s TO app", "GRANT EXECUTE ON FUNCTION inner_s.down(text) TO app"):
        assert grant in proxy.cli("plan", file, check=1).out
        db.sql(grant)
    proxy.cli("start", file)
    with proxy.connect(user="app") as conn:
        conn.execute("INSERT INTO items (id, label) VALUES (1001, 'x')")
        conn.execute("INSERT INTO items (id, title) VALUES (1002, 'Y')")
    assert db.sql("SELECT label, title FROM items WHERE id > 1000 ORDER BY id") == [("x", "X"), ("y", "Y")]
    db.sql("REVOKE EXECUTE ON FUNCTION inner_s.down(text) FROM app")  # as of a role that is given INSERT only now
    wanted = "GRANT EXECUTE ON FUNCTION inner_s.down(text) TO app"
    assert wanted in proxy.cli("doctor", "--json", check=1).out
    proxy.wait_phase("m", "ready")
    refused = proxy.cli("cutover", "m", check=1).err
    assert "a role that may write to public.items may not use what its guard calls" in refused and wanted in refused
    db.sql(wanted)
    assert "lacks privileges" not in proxy.cli("doctor", "--json", check=None).out
    proxy.cli("cutover", "m")


@pytest.mark.one_version
def test_a_server_that_does_not_say_what_its_backends_do_has_one_index_built_after_the_other(db, segue):
    """segue's own connection, which idles between the two, is no backend of an engine before."""
    db.sql(ITEMS)
    db.sql(f'ALTER DATABASE "{db.name}" SET track_activities = off; CREATE INDEX ix_two ON items (lower(label))')
    proxy = segue(db)
    proxy.ready(migration(rename()), timeout=30)
    proxy.cli("abort", "m")
