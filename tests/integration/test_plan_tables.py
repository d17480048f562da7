"""Kinds of tables: who owns the parts of one, whose rows are hidden from whom, which do not outlive a crash."""

import pytest
from lib.wait import until

ROLES = "DO $$ BEGIN CREATE ROLE other_one; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
PARTED = ("CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id); CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (50);"
          "CREATE TABLE t_rest PARTITION OF t DEFAULT; INSERT INTO t SELECT i, i FROM generate_series(1, 99) i;")
OWNED = "ALTER TABLE t OWNER TO app; ALTER TABLE t_low OWNER TO app; ALTER TABLE t_rest OWNER TO app;"
RENAME = {"name": "m", "operations": [{"rename_column": {"table": "t", "from": "n", "to": "m"}}]}
MENDED = {"name": "m", "operations": [{"alter_column": {"table": "t", "column": "n", "nullable": False, "up": "coalesce(n, 0)", "down": "n"}}]}
HIDDEN = {
    "a partition of somebody else's": ("ALTER TABLE t_rest OWNER TO other_one", "partition public.t_rest belongs to another role"),
    "a partition that hides": ("ALTER TABLE t_low ENABLE ROW LEVEL SECURITY; ALTER TABLE t_low FORCE ROW LEVEL SECURITY",
                               "row security of public.t_low would hide rows"),
    "a table that hides": ("ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY",
                           "row security of public.t would hide rows"),
}


def own(db):
    db.sql(f'GRANT CREATE ON DATABASE "{db.name}" TO app; GRANT CREATE ON SCHEMA public TO app')


@pytest.mark.one_version
def test_who_cannot_change_or_see_all_of_a_table_is_told_by_plan(db, segue):
    own(db)
    proxy = segue(upstream=db.url("app"))
    for what, (sql, wanted) in HIDDEN.items():
        db.sql("DROP TABLE IF EXISTS t;" + ROLES + PARTED + OWNED + sql)
        for file in (RENAME, MENDED):
            said = proxy.cli("plan", proxy.file(file), check=1)
            assert wanted in said.out + said.err, f"{what}:\n{said.out}\n{said.err}"
    # who reads no rows may go on
    db.sql("DROP TABLE t; CREATE TABLE t (id int); ALTER TABLE t OWNER TO app; ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
           "ALTER TABLE t FORCE ROW LEVEL SECURITY")
    proxy.cli("plan", proxy.file({"name": "m", "operations": [{"create_index": {"table": "t", "name": "i", "columns": ["id"]}}]}))


def test_rows_that_policies_hide_from_clients_are_filled_and_verified(db, segue):
    """Row security does not bind an owner, be it of the table or of a partition; forced, without being enabled, nobody."""
    own(db)
    db.sql(PARTED + OWNED + "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t_low ENABLE ROW LEVEL SECURITY;"
           "ALTER TABLE t_rest FORCE ROW LEVEL SECURITY; CREATE POLICY p ON t TO scram_user USING (id > 90);"
           "GRANT SELECT, INSERT, UPDATE ON t TO scram_user")
    proxy = segue(upstream=db.url("app"))
    name = proxy.ready(RENAME)
    assert db.one("SELECT count(*) FROM t WHERE m = id AND n = id") == 99
    with db.connect() as client:
        client.execute("SET ROLE scram_user")
        assert client.execute("UPDATE t SET n = -1").rowcount == 9
        client.execute("INSERT INTO t (id, m) VALUES (100, 7)")
    assert db.one("SELECT count(*) FILTER (WHERE m = n), count(*) FILTER (WHERE m = -1) FROM t") == 100
    assert db.one("SELECT count(*) FROM t WHERE m = -1") == 9
    proxy.cli("verify", name)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    assert db.one("SELECT sum(m) FROM t") == sum(range(1, 91)) - 9 + 7


REFERRED = "CREATE UNLOGGED TABLE loose (id int PRIMARY KEY, n int); CREATE TABLE bare (id int); CREATE TABLE t (id int PRIMARY KEY, n int)"
BOUND = {
    "a new table, unlogged": ({"create_table": {"name": "made", "columns": [
        {"name": "id", "type": "int", "references": {"table": "loose", "column": "id"}}]}}, 'of table "loose": it is unlogged'),
    "a new table, no key": ({"create_table": {"name": "made", "columns": [
        {"name": "id", "type": "int", "references": {"table": "bare", "column": "id"}}]}}, "no unique constraint of this column"),
    "a new key": ({"create_constraint": {"name": "k", "table": "t", "type": "foreign_key", "columns": ["n"],
                                         "references": {"table": "loose", "columns": ["id"]}}}, "it is unlogged: table public.t may not"),
}


@pytest.mark.one_version
def test_what_a_foreign_key_may_not_refer_to_is_told_by_plan(db, segue):
    db.sql(REFERRED)
    proxy = segue(db)
    for what, (operation, wanted) in BOUND.items():
        said = proxy.cli("plan", proxy.file({"name": "m", "operations": [operation]}), check=1)
        assert wanted in said.out + said.err, f"{what}:\n{said.out}\n{said.err}"
    # an unlogged table may refer to both
    proxy.cli("plan", proxy.file({"name": "m", "operations": [
        {"create_constraint": {"name": "k", "table": "loose", "type": "foreign_key", "columns": ["n"],
                               "references": {"table": "t", "columns": ["id"]}}}]}))


@pytest.mark.one_version
@pytest.mark.deadline(120)
def test_an_unlogged_table_that_a_crash_empties_goes_on_to_done(private_db, segue):
    db = private_db
    db.sql("CREATE UNLOGGED TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i")
    proxy = segue(db)
    proxy.console("THROTTLE rows_per_s 50")
    assert "it is unlogged" in proxy.cli("plan", proxy.file(RENAME)).out
    name = RENAME["name"]
    proxy.begin(RENAME)
    proxy.wait_phase(name, "backfilling")
    db.cluster.crash()
    db.cluster.start()
    assert db.one("SELECT count(*) FROM t") == 0
    db.sql("INSERT INTO t (id, n) VALUES (1, 1)")
    until("segue to be back", lambda: proxy.cli("throttle", "rows_per_s", "off", check=None).code == 0)
    proxy.wait_phase(name, "ready")
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    assert db.sql("SELECT id, m FROM t") == [(1, 1)]
