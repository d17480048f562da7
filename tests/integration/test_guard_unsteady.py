"""`up` and `down` by functions that say IMMUTABLE and give another value each time: the backfill's own row would look like a
change of the new column, and the guard would write the old one anew."""

import pytest
from lib.each import each

pytestmark = pytest.mark.one_version
SCHEMA = """
CREATE FUNCTION marked(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 || random(); END';
CREATE TABLE items (id int PRIMARY KEY, label text, note text);
INSERT INTO items SELECT i, 'label ' || i, 'note ' || i FROM generate_series(1, 50) i"""
LATER = """
CREATE TABLE setting (v int); INSERT INTO setting VALUES (1);
CREATE FUNCTION read_from(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 || (SELECT v FROM setting); END';"""
TWO = [{"name": n, "type": "text", "nullable": True} for n in ("a", "b")]
CASES = {
    "a column": ("up", {"rename_column": {"table": "items", "from": "label", "to": "code", "type": "text", "up": "marked(label)",
                                          "down": "left(code, 1)"}}),
    "under its own name": ("up", {"alter_column": {"table": "items", "column": "label", "type": "varchar", "up": "marked(label)",
                                                   "down": "left(label, 1)"}}),
    "a split": ("up", {"change_columns": {"table": "items", "from": ["label"], "to": TWO, "up": {"a": "marked(label)", "b": "label"},
                                          "down": {"label": "a"}}}),
    "a column that goes": ("down", {"drop_column": {"table": "items", "column": "label", "down": "marked(note)"}}),
}


@each(case=CASES)
def test_plan_refuses_what_is_not_the_same_when_it_is_asked_again(pg, segue, case):
    word, operation = CASES[case]
    with pg.database() as db:
        db.sql(SCHEMA)
        proxy = segue(db)
        path = proxy.file({"name": "unsteady", "operations": [operation]})
        said = " ".join(proxy.cli("plan", path, check=1).out.split())
        assert word in said and "gives another value when it is asked again, for 50 of 50 rows looked at" in said, said
        proxy.cli("start", path, check=1)
        assert db.one("SELECT count(*) FROM items WHERE label = 'label ' || id") == 50


def test_where_it_changes_later_the_refusal_names_the_expression(db, segue):
    db.sql(SCHEMA + ";" + LATER)
    proxy = segue(db)
    name = proxy.ready({"name": "later", "operations": [
        {"rename_column": {"table": "items", "from": "label", "to": "code", "type": "text", "up": "read_from(label)", "down": "'x'"}},
        {"rename_column": {"table": "items", "from": "note", "to": "remark", "type": "text", "up": "note || ''", "down": "remark"}}]})
    db.sql("UPDATE setting SET v = 2")
    proxy.cli("verify", name, check=1)
    refused = proxy.cli("cutover", name, check=1).err
    assert "the last verify found 50 rows not in step" in refused
    assert '(or one of these, whatever it is declared, does not give the same each time: up of "code": read_from(label))' in refused, refused
    db.sql("UPDATE setting SET v = 1")
    proxy.cli("verify", name)
    proxy.cli("cutover", name)
