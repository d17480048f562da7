"""What segue says itself means PostgreSQL's functions and operators; what the file says means the user's."""

import pytest
from lib import traps
from lib.operations import complete, connected
from lib.wait import until

pytestmark = pytest.mark.one_version

FILE = {"name": "m", "operations": [
    {"create_enum": {"name": "mood", "values": ["calm", "cross"]}},
    {"create_table": {"name": "kinds", "columns": [{"name": "id", "type": "bigint", "pk": True}]}},
    {"rename_column": {"table": "items", "from": "label", "to": "title"}},
    {"rename_column": {"table": "items", "from": "cents", "to": "price", "type": "bigint", "up": "twice(cents)", "down": "half(price)"}},
    {"alter_column": {"table": "items", "column": "id", "type": "bigint", "up": "same(id)", "down": "back(id)"}},
    {"alter_column": {"table": "items", "column": "note", "nullable": False, "up": "said(note)",
                      "check": {"name": "note_ok", "constraint": "fine(note)"}}},
    {"add_column": {"table": "items", "column": {"name": "of", "type": "text", "nullable": True}, "up": "said(note)"}},
    {"create_constraint": {"table": "items", "name": "cents_once", "type": "unique", "columns": ["serial"]}},
    {"create_index": {"name": "ix", "table": "items", "columns": ["note"], "predicate": "fine(note)"}},
    {"sql": {"up": "INSERT INTO seen VALUES (said('up'))", "down": "DELETE FROM seen"}}],
    "version_table": {"alembic": {"from": ["a1"], "to": "b2"}}}

TABLES = """
CREATE TABLE items (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, label text, cents int, note text, serial int);
CREATE TABLE lines (item int REFERENCES items, n int);
CREATE TABLE seen (what text); CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('a1');
CREATE FUNCTION twice(n int) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT pg_catalog.int8mul(n::pg_catalog.int8, 2::pg_catalog.int8)';
CREATE FUNCTION half(n bigint) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT pg_catalog.int8div(n, 2::pg_catalog.int8)::pg_catalog.int4';
CREATE FUNCTION same(n int) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT n::pg_catalog.int8';
CREATE FUNCTION back(n bigint) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n::pg_catalog.int4';
CREATE FUNCTION said(t text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT pg_catalog.concat(t)';
CREATE FUNCTION fine(t text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT t IS NOT NULL';
INSERT INTO items (label, cents, note, serial) SELECT 'l' || i, i, 'n' || i, i FROM generate_series(1, 200) i;
INSERT INTO lines SELECT id, 1 FROM items;
"""

MORE = {"name": "more", "operations": [
    {"rename_table": {"from": "lines", "to": "parts"}},
    {"change_columns": {"table": "items", "from": ["label", "note"], "to": [{"name": "whole", "type": "text", "nullable": True}],
                        "up": {"whole": "said(label)"}, "down": {"label": "said(whole)", "note": "said(whole)"}}},
    {"alter_column": {"table": "items", "column": "seen", "type": "timestamptz", "up": "moment(seen)", "down": "written(seen)"}},
    {"alter_column": {"table": "items", "column": "ring", "type": "kind", "up": "ring::kind", "down": "ring::text", "default": "'low'"}},
    {"drop_column": {"table": "items", "column": "serial", "down": "zero()"}},
    {"create_constraint": {"table": "parts", "name": "referred", "type": "foreign_key", "columns": ["n"],
                           "references": {"table": "sorts", "columns": ["id"]}}},
    {"create_table": {"name": "extra", "columns": [{"name": "id", "type": "bigserial", "pk": True}, {"name": "kind", "type": "kind"},
                                                   {"name": "sort", "type": "bigint", "references": {"table": "sorts", "column": "id"}}]}},
    {"add_enum_value": {"name": "kind", "value": "high", "after": "low"}},
    {"remove_enum": {"name": "idle"}},
    {"drop_index": {"name": "of_sort"}},
    {"drop_table": {"name": "waste"}},
    {"rename_constraint": {"table": "sorts", "from": "positive", "to": "above"}},
    {"set_replica_identity": {"table": "sorts", "identity": {"type": "full"}}},
    {"sql": {"up": "ALTER TABLE waste2 ADD n int", "down": "ALTER TABLE waste2 DROP n"}}]}

MORE_TABLES = """
CREATE TYPE kind AS ENUM ('low'); CREATE TYPE idle AS ENUM ('x'); CREATE TABLE waste (id int); CREATE TABLE waste2 (id int);
CREATE TABLE sorts (id bigint PRIMARY KEY, mood kind DEFAULT 'low', CONSTRAINT positive CHECK (id > 0)); CREATE INDEX of_sort ON sorts (mood);
ALTER TABLE items ADD seen text, ADD ring text DEFAULT 'low'; UPDATE items SET seen = '2024-01-02 03:04:05', ring = 'low';
CREATE FUNCTION moment(t text) RETURNS timestamptz LANGUAGE sql AS 'SELECT t::pg_catalog.timestamptz' STABLE;
CREATE FUNCTION written(t timestamptz) RETURNS text LANGUAGE sql AS 'SELECT t::pg_catalog.text' STABLE;
CREATE FUNCTION zero() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 0'; CREATE VIEW serials AS SELECT serial FROM items;
"""

LOOKS = ("SHOW STATUS", "SHOW USAGE", "SHOW HISTORY", "SHOW ATTEMPTS", "SHOW THROTTLE", "DOCTOR", "EVIDENCE m", "VERIFY m", "SNAPSHOT", "VERSIONS")


def test_better_fitting_functions_and_operators_of_a_schema_are_not_called(db, segue):
    db.sql(TABLES)
    proxy = segue(db)
    caught = traps.lay(db)
    proxy.ready(FILE)
    clients = db.connect()
    clients.execute("INSERT INTO items (label, cents, note, serial) VALUES ('x', 7, 'n', 900)")
    for look in LOOKS:
        proxy.console(look)
    proxy.cli("cutover", "m")
    clients.execute("INSERT INTO items (title, price, note, serial) VALUES ('y', 8, 'n', 901)")
    proxy.console("VERIFY m")
    connected(proxy.restart()).cli("rollback", "m")
    until("what the way back has used up", lambda: proxy.cli("cutover", "m", check=None).code == 0, every=0.1)
    complete(proxy, "m")
    assert db.one("SELECT pg_catalog.string_agg(x, ' ' ORDER BY x) FROM (SELECT pg_catalog.concat(title, price) AS x FROM items "
                  "WHERE serial IN (900, 901)) s") == "x14 y8"
    assert not caught(), "\n".join(line for line in proxy.log_text().splitlines() if "captured" in line)


def test_making_a_plan_calls_none_of_them_even_where_they_come_first(db, segue):
    db.sql(TABLES + MORE_TABLES)
    proxy = segue(db)
    files = proxy.file(FILE), proxy.file(MORE)

    def plans():
        shown = [proxy.cli("plan", file, check=None) for file in files]
        return [one.out + one.err for one in shown]

    before = plans()
    assert "start would refuse" not in before[0] and len(before[1].splitlines()) > 20, before
    caught = traps.lay(db)
    assert plans() == before
    traps.lay_in_front(db)
    connected(proxy.restart())
    # the guard's path is the role's, and what is new goes into the first schema of it: all else is as it was
    assert [one.replace("front, pg_catalog, public", "public").replace("front.", "public.") for one in plans()] == before
    assert not caught()
