"""The guard compares with PostgreSQL's own operators, whatever operators a database has."""

import pytest
from lib.tables import TO_JSON

pytestmark = pytest.mark.one_version

RENAME = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}
MOOD = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE FUNCTION same_mood(mood, mood) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR = (LEFTARG = mood, RIGHTARG = mood, FUNCTION = same_mood);
CREATE TABLE items (id int PRIMARY KEY, label mood);
INSERT INTO items VALUES (1, 'sad')"""


def test_an_equal_of_the_database_does_not_hide_a_row_from_the_guard(db, segue):
    db.sql(MOOD)
    proxy = segue(db)
    proxy.ready(RENAME)
    db.sql("UPDATE items SET label = 'glad'")
    assert db.one("SELECT title::text FROM items") == "glad"
    proxy.cli("cutover", "m")
    db.sql("UPDATE items SET title = 'sad'")
    assert db.one("SELECT label::text FROM items") == "sad"


TRAPS = """
CREATE SCHEMA odd;
CREATE FUNCTION odd.never(pg_catalog.text, pg_catalog.text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION odd.never(jsonb, jsonb) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR odd.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = odd.never);
CREATE OPERATOR odd.= (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = odd.never);"""


def test_text_that_is_no_json_comes_back_as_it_was_whatever_operators_a_schema_of_the_path_has(db, segue):
    db.sql("CREATE TABLE items (id int PRIMARY KEY, payload text); INSERT INTO items VALUES (1, 'no json'), (2, '{\"a\": 1}')")
    db.sql(TRAPS)
    proxy = segue(db)
    name = proxy.ready(TO_JSON)
    db.sql(f"ALTER DATABASE {db.name} SET search_path = odd, pg_catalog, public")
    unwrapped = "SELECT pg_catalog.string_agg(segue.json_unwrap(body), ' ' ORDER BY id) FROM items"
    assert db.connect().execute(unwrapped).fetchone() == ('no json {"a": 1}',)
    proxy.restart().at_work()
    proxy.cli("cutover", name)
    db.connect().execute("UPDATE items SET body = segue.json_or_wrap('not this either') WHERE id = 1")
    assert db.one("SELECT payload FROM items WHERE id = 1") == "not this either"


def foreign_key(column, table, key):
    return {"create_constraint": {"table": "items", "name": f"of_{column}", "type": "foreign_key", "columns": [column],
                                  "references": {"name": f"of_{column}", "table": table, "columns": [key]}}}


def test_rows_that_refer_to_nothing_are_looked_for_by_the_operator_of_the_key(db, segue):
    """One of the path that fits the types better would run as segue's role, and tell it what it likes."""
    db.sql("CREATE TABLE seen (what text);"
           "CREATE TABLE kinds (code varchar(20) PRIMARY KEY, folded citext UNIQUE, n bigint UNIQUE);"
           "CREATE TABLE items (id int PRIMARY KEY, kind varchar(10), folded citext, n int);"
           "INSERT INTO kinds VALUES ('a', 'A', 1), ('b', 'B', 2);"
           "INSERT INTO items SELECT i, 'a', 'a', 1 FROM generate_series(1, 9) i")
    for left, right in (("varchar", "varchar"), ("varchar", "text"), ("text", "varchar")):
        db.sql(f"CREATE FUNCTION trap({left}, {right}) RETURNS bool LANGUAGE plpgsql AS "
               "$$BEGIN INSERT INTO public.seen VALUES ('trapped'); RETURN false; END$$;"
               f"CREATE OPERATOR public.= (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = trap)")
    proxy = segue(db)
    for column, key in (("kind", "code"), ("folded", "folded"), ("n", "n")):
        proxy.ready({"name": column, "operations": [foreign_key(column, "kinds", key)]})
        assert db.sql("SELECT what FROM seen") == [], column
        proxy.cli("abort", column)
    # of a table of the same file
    made = {"create_table": {"name": "made", "columns": [{"name": "code", "type": "varchar(20)", "pk": True}]}}
    proxy.begin({"name": "both", "operations": [made, foreign_key("kind", "made", "code")]})
    proxy.wait("both", lambda r: r["error"] or r["phase"] == "ready")
    assert db.sql("SELECT what FROM seen") == []
