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


def _required(up):
    return {"alter_column": {"table": "items", "column": "at", "nullable": False, "up": up, "down": "at"}}


TIMES = {
    "now()": (_required("coalesce(at, now())"), 3),
    "CURRENT_TIMESTAMP": (_required("coalesce(at, CURRENT_TIMESTAMP(0))"), 3),
    "a text": (_required("coalesce(at, 'now'::timestamptz)"), 3),
    "of a new type": ({"alter_column": {"table": "items", "column": "at", "type": "date", "up": "coalesce(at::date, current_date)",
                                        "down": "at::timestamptz"}}, 3),
    "a split": ({"change_columns": {"table": "items", "from": ["label"], "to": [{"name": "a", "type": "text", "nullable": True},
                                                                                {"name": "b", "type": "timestamptz", "nullable": True}],
                                    "up": {"a": "label", "b": "now()"}, "down": {"label": "a"}}}, 50),
}


def test_plan_refuses_up_that_gives_the_time_for_rows_that_are_there(db, segue):
    """now() is the same all through the transaction of the look, and another one for verify."""
    db.sql(SCHEMA + "; ALTER TABLE items ADD at timestamptz DEFAULT '2020-01-01'; UPDATE items SET at = NULL WHERE id < 4")
    proxy = segue(db)
    for operation, rows in TIMES.values():
        said = " ".join(proxy.cli("plan", proxy.file({"name": "timed", "operations": [operation]}), check=1).out.split())
        assert f"gives another value at another time, for {rows} of 50 rows looked at" in said and ".json:" in said, said
        assert "let it give a constant or another column in place of the time" in said, said
    new = {"add_column": {"table": "items", "column": {"name": "seen", "type": "timestamptz", "nullable": False}, "up": "now()"}}
    proxy.cli("plan", proxy.file({"name": "new", "operations": [new]}))  # what is there is not compared
    db.sql("UPDATE items SET at = '2020-01-01' WHERE id < 4")
    path = proxy.file({"name": "timed", "operations": [_required("coalesce(at, now())")]})
    said = " ".join(proxy.cli("plan", path).out.split())
    assert "none of 50 rows looked at gets another value by that" in said and "down asks" not in said, said
    back = {"alter_column": {"table": "items", "column": "at", "type": "date", "up": "at::date", "down": "coalesce(at::timestamptz, now())"}}
    split = {"change_columns": {"table": "items", "from": ["at"], "to": [{"name": n, "type": "date", "nullable": True} for n in ("day", "same")],
                                "up": {"day": "at::date", "same": "at::date"}, "down": {"at": "coalesce(day::timestamptz, now())"}}}
    for operation in back, split:
        said = " ".join(proxy.cli("plan", proxy.file({"name": "back", "operations": [operation]})).out.split())
        assert "down asks for the time" in said and "up asks" not in said, said


def test_where_it_changes_later_the_refusal_names_the_expression(db, segue):
    db.sql(SCHEMA + ";" + LATER + "ALTER TABLE items ADD id2 int DEFAULT 1")
    proxy = segue(db)
    name = proxy.ready({"name": "later", "operations": [
        {"rename_column": {"table": "items", "from": "label", "to": "code", "type": "text", "up": "read_from(label)", "down": "'x'"}},
        {"rename_column": {"table": "items", "from": "note", "to": "remark", "type": "text", "up": "note || ''", "down": "remark"}},
        {"alter_column": {"table": "items", "column": "id2", "type": "text", "up": "read_from(id2::text)", "down": "1"}}]})
    db.sql("UPDATE setting SET v = 2")
    proxy.cli("verify", name, check=1)
    refused = proxy.cli("cutover", name, check=1).err
    assert "the last verify found 50 rows not in step" in refused
    assert '(or one of these, whatever it is declared, does not give the same each time: up of "code": read_from(label)' in refused, refused
    assert '; up of "id2": read_from(id2::text))' in refused, refused
    db.sql("UPDATE setting SET v = 1")
    proxy.cli("verify", name)
    proxy.cli("cutover", name)
