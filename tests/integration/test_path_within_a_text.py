"""Which table a name means in a text that moves the search path: of each of its statements by itself.

Schema a has the table that migrates, b another one of the same name. A row by its places is what nothing but a list of columns
keeps right while the new column is there beside the old one: sent as it is, it has values in wrong ones, and nobody notices.
"""

import psycopg
import pytest
from lib.each import each

RENAME = {"name": "rename_label",
          "operations": [{"rename_column": {"table": "a.items", "from": "label", "to": "title"}}]}
ROW = "INSERT INTO items VALUES (7, 'n', 't')"
RIGHT, OTHER = ("a", "n", "t"), ("b", "n", "t")
TEXTS = {  # by a session whose path is a, b
    f"{ROW}; SET search_path = b": RIGHT,
    f"{ROW}; SELECT set_config('search_path', 'b', false)": RIGHT,
    f"{ROW}; RESET search_path": RIGHT,
    f"{ROW}; SET ROLE NONE": RIGHT,
    f"{ROW}; DISCARD PLANS; EXECUTE one": RIGHT,
    f"SET search_path = a; {ROW}": RIGHT,
    f"SET search_path = b; {ROW}": OTHER,
    f"SET search_path = b; SET search_path = a, b; {ROW}": RIGHT,
    f"SET search_path = a; SET search_path = b, a; {ROW}": OTHER,
    f"SET LOCAL search_path = a; {ROW}": RIGHT,
    f"BEGIN; SET LOCAL search_path = a; {ROW}; COMMIT": RIGHT,
    f"BEGIN; SET LOCAL search_path TO b, a; {ROW}; COMMIT": OTHER,
    f"COMMIT; SET search_path = a; {ROW}": RIGHT,
    f"SELECT set_config('search_path', 'a', false); {ROW}": RIGHT,
    f"SELECT set_config('search_path', 'b', true); {ROW}": OTHER,
    f"SELECT set_config('work_mem', '1MB', true); {ROW}; SELECT set_config('search_path', 'b', true)": RIGHT,
    f"SELECT set_config('search_path', 'b', true); {ROW}; SELECT set_config('work_mem', '1MB', true)": OTHER,
    f"RESET search_path; {ROW}": RIGHT,
    f"RESET ALL; {ROW}": RIGHT,
    f"SET search_path = b; RESET ALL; {ROW}": RIGHT,
    f"EXECUTE one; {ROW}": RIGHT,
    f"DO $$BEGIN PERFORM 1; END$$; {ROW}": RIGHT,
    f"SET search_path = b; EXECUTE one; {ROW}": OTHER,
}


@pytest.fixture
def two(db):
    for schema, more in (("a", "note"), ("b", "other")):
        db.sql(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.items (id bigint, label text, {more} text)")
    return db


@pytest.fixture
def two_in_soak(two, segue):
    proxy = segue(two, workers=1)
    proxy.soaking(RENAME)
    return two, proxy


def test_each_statement_of_a_text_has_its_own_path(two_in_soak):
    two, proxy = two_in_soak
    wrong = []
    for text, meant in TEXTS.items():
        with proxy.connect(options="-c search_path=a,b") as conn:
            conn.execute("PREPARE one AS SELECT 1")
            assert conn.execute("SELECT count(*) FROM items").fetchone() == (0,)  # its path has been asked for
            conn.execute(text)
            got = conn.execute("SELECT 'a', note, title FROM a.items UNION ALL SELECT 'b', label, other FROM b.items").fetchall()
            if got != [meant]:
                wrong.append((text, got))
            two.sql("TRUNCATE a.items, b.items")
    assert not wrong


IN_DOUBT = ("(SELECT '{}')", "current_setting('application_name')")


@each(to=IN_DOUBT, side=("old", "new"))
def test_behind_what_nobody_knows_values_go_to_no_wrong_column(two_in_soak, to, side):
    """Set to what only the server knows, it is this table's as well as another one's. Where that lacks a column, the server says so."""
    db, proxy = two_in_soak
    with proxy.connect(options=f"-c search_path=a,b -c segue.schema={side}") as conn:
        def to_schema(schema):
            conn.execute(f"SET application_name = '{schema}'")
            conn.execute(f"SELECT set_config('search_path', {to.format(schema)}, true); {ROW}")

        to_schema("a")
        assert db.sql("SELECT label, note, title FROM a.items") == [("n", "t", "n") if side == "old" else ("t", "n", "t")]
        if side == "new":
            with pytest.raises(psycopg.errors.UndefinedColumn):
                to_schema("b")
        else:  # to the old side all columns stand where they stood
            to_schema("b")
        assert db.sql("SELECT label, other FROM b.items") == ([("n", "t")] if side == "old" else [])
    db.sql("TRUNCATE a.items, b.items")
