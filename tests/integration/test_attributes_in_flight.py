"""What others set on a column while it is on its way (statistics, storage, comment): it goes with what leads."""

import pytest

pytestmark = pytest.mark.newest_unless_told

RENAME = {"name": "called", "operations": [{"rename_column": {"table": "bills", "from": "label", "to": "title"}}]}
TYPED = {"name": "typed", "operations": [
    {"rename_column": {"table": "bills", "from": "label", "to": "title", "type": "varchar(40)", "up": "label", "down": "title"}}]}
RETYPE = {"name": "wider", "operations": [
    {"alter_column": {"table": "bills", "column": "label", "type": "varchar(40)", "up": "label", "down": "label"}}]}
FILES = pytest.mark.parametrize(("file", "shown"), [(RENAME, "title"), (TYPED, "title"), (RETYPE, "label")], ids=["rename", "typed", "retype"])
OF_TYPE = "ALTER TABLE bills ALTER {c} SET STORAGE EXTERNAL, ALTER {c} SET COMPRESSION pglz;"


def setting(column, n, comment=None):
    text = f"'{comment or n}'" if n else "NULL"
    options = f"SET (n_distinct = {n}, n_distinct_inherited = -0.5)" if n else "RESET (n_distinct, n_distinct_inherited)"
    return (f"ALTER TABLE bills ALTER {column} SET STATISTICS {n or -1}, ALTER {column} {options};"
            f"COMMENT ON COLUMN bills.{column} IS {text};")


def look(db, column, table="bills"):
    """Statistics target, options, comment, storage and compression."""
    return db.sql("SELECT coalesce(attstattarget, -1), coalesce(array_to_string(attoptions, ', '), ''), col_description(attrelid, attnum),"
                  f" attstorage::text, attcompression::text FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = '{column}'")[0]


def as_set(n, comment=None):
    return (n or -1, f"n_distinct={n}, n_distinct_inherited=-0.5" if n else "", comment or (str(n) if n else None))


@pytest.fixture
def bills(db):
    db.sql("CREATE TABLE bills (id int PRIMARY KEY, label text); INSERT INTO bills SELECT i, 'l ' || i FROM generate_series(1, 50) AS i")
    return db


def turn(proxy, command, name):
    proxy.cli(command, name)
    proxy.wait_phase(name, "ready" if command == "rollback" else "soaking")


@FILES
def test_what_is_set_on_the_column_that_leads_goes_with_every_turn(bills, segue, file, shown):
    bills.sql(setting("label", 11))
    proxy = segue(bills)
    name = proxy.ready(file)
    old = OF_TYPE.format(c="label") if file is RENAME else ""
    bills.sql(setting("label", 22, "it''s 100% \\ theirs") + old)
    turn(proxy, "cutover", name)
    of_type = ("e", "p") if file is RENAME else ("x", "")
    assert look(bills, shown) == (*as_set(22, "it's 100% \\ theirs"), *of_type)
    bills.sql(setting(shown, 33))
    turn(proxy, "rollback", name)
    assert look(bills, "label")[:3] == as_set(33)
    bills.sql(setting("label", 0))
    turn(proxy, "cutover", name)
    assert look(bills, shown)[:3] == as_set(0)
    proxy.cli("complete", name, "--force")
    assert look(bills, shown) == (*as_set(0), *of_type)


@FILES
def test_what_is_set_on_the_column_that_is_to_lead_stays(bills, segue, file, shown):
    bills.sql(setting("label", 11))
    proxy = segue(bills)
    name = proxy.ready(file)
    new = bills.one("SELECT attname FROM pg_attribute WHERE attrelid = 'bills'::regclass AND attnum > 2 AND NOT attisdropped")
    bills.sql(setting(f'"{new}"', 44) + OF_TYPE.format(c=f'"{new}"'))
    for command in ("cutover", "rollback", "cutover"):
        turn(proxy, command, name)
    proxy.cli("complete", name, "--force")
    assert look(bills, shown) == (*as_set(44), "e", "p")


@pytest.mark.one_version
@pytest.mark.parametrize("back", [False, True], ids=["complete", "abort"])
def test_a_comment_of_the_file_is_the_new_columns_own(bills, segue, back):
    bills.sql("COMMENT ON COLUMN bills.label IS 'old'")
    proxy = segue(bills)
    name = proxy.ready({"name": "own", "operations": [{"alter_column": {**RETYPE["operations"][0]["alter_column"], "comment": "new"}}]})
    bills.sql("COMMENT ON COLUMN bills.label IS 'older'; ALTER TABLE bills ALTER label SET STATISTICS 7")
    turn(proxy, "cutover", name)
    assert look(bills, "label")[::2] == (7, "new", "")
    bills.sql("COMMENT ON COLUMN bills.label IS 'newer'")
    turn(proxy, "rollback", name)
    assert look(bills, "label")[::2] == (7, "older", "")
    if back:
        proxy.cli("abort", name)
        assert look(bills, "label")[::2] == (7, "older", "")
        return
    turn(proxy, "cutover", name)
    proxy.cli("complete", name, "--force")
    assert look(bills, "label")[::2] == (7, "newer", "")


def as_said(db):
    """Comment and default of the one column."""
    return db.sql("SELECT col_description(attrelid, attnum), (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND"
                  " adnum = attnum) FROM pg_attribute WHERE attrelid = 'bills'::regclass AND attname = 'label'")[0]


def test_what_is_set_on_a_column_that_changes_in_place_stays_with_its_side(bills, segue):
    bills.sql("CREATE SCHEMA elsewhere; CREATE FUNCTION elsewhere.given() RETURNS text LANGUAGE sql AS $$SELECT 'given'$$;"
              "CREATE FUNCTION public.given() RETURNS text LANGUAGE sql AS $$SELECT 'other'$$;"
              "COMMENT ON COLUMN bills.label IS 'old'; ALTER TABLE bills ALTER label SET DEFAULT 'd'")
    proxy = segue(bills)
    name = proxy.ready({"name": "in_place", "operations": [
        {"alter_column": {"table": "bills", "column": "label", "comment": "new", "default": "given()"}}]})
    bills.sql("COMMENT ON COLUMN bills.label IS 'it''s 100% \\ older'; ALTER TABLE bills ALTER label SET DEFAULT elsewhere.given()")
    turn(proxy, "cutover", name)
    assert as_said(bills) == ("new", "given()")
    bills.sql("COMMENT ON COLUMN bills.label IS 'newer'; ALTER TABLE bills ALTER label SET DEFAULT 'f'")
    turn(proxy, "rollback", name)
    assert as_said(bills) == ("it's 100% \\ older", "elsewhere.given()")
    bills.sql("COMMENT ON COLUMN bills.label IS NULL; ALTER TABLE bills ALTER label DROP DEFAULT")
    proxy.kill9()
    proxy.start()
    proxy.at_work()
    turn(proxy, "cutover", name)
    assert as_said(bills) == ("newer", "'f'::text")
    turn(proxy, "rollback", name)
    assert as_said(bills) == (None, None)
    turn(proxy, "cutover", name)
    proxy.cli("complete", name, "--force")
    assert as_said(bills) == ("newer", "'f'::text")


def test_what_is_set_on_a_partition_goes_with_it(db, segue):
    db.sql("CREATE TABLE bills (id int, label text) PARTITION BY RANGE (id); CREATE TABLE bills_a PARTITION OF bills FOR VALUES FROM (0) TO (30);"
           "CREATE TABLE bills_b PARTITION OF bills DEFAULT; INSERT INTO bills SELECT i, 'l ' || i FROM generate_series(1, 50) AS i")
    proxy = segue(db)
    name = proxy.ready(RENAME)
    db.sql(setting("label", 22) + setting("label", 55).replace("bills", "bills_a"))
    turn(proxy, "cutover", name)
    assert look(db, "title")[:3] == as_set(22) and look(db, "title", "bills_a")[:3] == as_set(55)
    assert look(db, "title", "bills_b")[:3] == (22, "", None)
    db.sql(setting("title", 0).replace("bills", "bills_a"))
    turn(proxy, "rollback", name)
    assert look(db, "label", "bills_a")[:3] == look(db, "title", "bills_a")[:3]
