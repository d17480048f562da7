"""DDL of others on the column that is to lead, while it is on its way: it stays there, and an abort takes it along."""

import pytest

pytestmark = pytest.mark.newest_unless_told

RENAME = {"name": "called", "operations": [{"rename_column": {"table": "bills", "from": "label", "to": "title"}}]}
RETYPE = {"name": "wider", "operations": [
    {"alter_column": {"table": "bills", "column": "label", "type": "varchar(40)", "up": "label", "down": "label"}}]}
FILES = pytest.mark.parametrize(("file", "shown"), [(RENAME, "title"), (RETYPE, "label")], ids=["rename", "retype"])
THINGS = ('GRANT SELECT ("{c}"), UPDATE ("{c}") ON bills TO reader; ALTER TABLE bills ADD CONSTRAINT mine CHECK ("{c}" <> \'never\');'
          'CREATE INDEX mine_too ON bills ("{c}"); COMMENT ON COLUMN bills."{c}" IS \'mine\'; CREATE STATISTICS mine_st ON id, "{c}" FROM bills;'
          'CREATE UNIQUE INDEX mine_one ON bills (id, "{c}"); ALTER TABLE bills ADD CONSTRAINT mine_ref FOREIGN KEY ("{c}") REFERENCES labels NOT VALID;')
VIEW = 'CREATE VIEW mine_view AS SELECT id, "{c}" AS c FROM bills;'
NOT_NULL = 'ALTER TABLE bills ALTER "{c}" SET NOT NULL;'


@pytest.fixture(params=["", "NOT NULL"], ids=["nullable", "not_null"])
def bills(db, request):
    db.sql(f"CREATE TABLE bills (id int PRIMARY KEY, label text {request.param} DEFAULT 'none'); CREATE INDEX early ON bills (label);"
           "CREATE TABLE labels (label varchar(40) PRIMARY KEY); INSERT INTO labels VALUES ('cutover'), ('rollback');"
           "INSERT INTO bills SELECT i, 'l ' || i FROM generate_series(1, 50) AS i")
    return db


def new_of(db):
    return db.one("SELECT attname FROM pg_attribute WHERE attrelid = 'bills'::regclass AND attnum > 2 AND NOT attisdropped")


def turn(proxy, command, name):
    proxy.cli(command, name)
    proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")


@FILES
def test_what_is_made_on_the_new_column_is_there_when_all_is_done(bills, segue, file, shown):
    proxy = segue(bills)
    name = proxy.ready(file)
    bills.sql((THINGS + NOT_NULL + VIEW).format(c=new_of(bills)))
    for command in ("cutover", "rollback", "cutover"):
        turn(proxy, command, name)
        with proxy.connect() as conn:
            conn.execute(f"UPDATE bills SET {'label' if command == 'rollback' else shown} = '{command}' WHERE id = 1")
    proxy.cli("complete", name, "--force")
    assert bills.sql("SELECT a.attname, a.attnotnull, col_description(attrelid, attnum), has_column_privilege('reader', attrelid, attnum, 'SELECT')"
                     " AND has_column_privilege('reader', attrelid, attnum, 'UPDATE')"
                     " FROM pg_attribute a WHERE attrelid = 'bills'::regclass AND attnum > 2 AND NOT attisdropped") == [(shown, True, "mine", True)]
    assert bills.one("SELECT pg_get_indexdef('mine_too'::regclass)").endswith(f"({shown})")
    assert shown in bills.one("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'mine'")
    assert bills.one("SELECT c FROM mine_view WHERE id = 1") == "cutover"
    assert bills.one("SELECT count(*) FROM pg_statistic_ext WHERE stxname = 'mine_st'") == 1


@FILES
@pytest.mark.parametrize("back", [False, True], ids=["ready", "back"])
def test_an_abort_takes_what_is_made_on_the_new_column_along(bills, segue, file, shown, back):
    proxy = segue(bills)
    name = proxy.ready(file)
    if back:
        turn(proxy, "cutover", name)
    column = shown if back else new_of(bills)
    bills.sql((THINGS + NOT_NULL).format(c=column))
    if back:
        turn(proxy, "rollback", name)
    proxy.cli("abort", name)
    assert bills.sql("SELECT attname FROM pg_attribute WHERE attrelid = 'bills'::regclass AND attnum > 1 AND NOT attisdropped") == [("label",)]


@FILES
def test_an_abort_names_the_view_of_the_new_column_and_goes_on_without_it(bills, segue, file, shown):
    proxy = segue(bills)
    name = proxy.ready(file)
    bills.sql(VIEW.format(c=new_of(bills)))
    said = proxy.cli("abort", name, check=4).err
    assert "view mine_view depends on column" in said and "drop that by its name" in said
    bills.sql("DROP VIEW mine_view")
    proxy.cli("resume", name)
    proxy.wait_phase(name, "aborted")
