"""Names in what is sent instead of a statement: they mean what they are to mean, in the client's encoding."""

import pytest
from psycopg.errors import UndefinedFunction
from lib.operations import migrated

MIGRATION = {"name": "names", "operations": [{"rename_column": {"table": table, "from": "label", "to": "path"}}
                                             for table in ("sizes", "words", "marks")]}


@pytest.fixture(scope="module")
def proxy(clusters, pg_version, tmp_path_factory):
    def fill(database):
        database.sql('CREATE TABLE sizes (id int PRIMARY KEY, "größe" text, label text)')
        database.sql("CREATE TABLE words (id int PRIMARY KEY, label text)")
        database.sql("CREATE TABLE marks (c int, label text, number xid)")
        database.sql("INSERT INTO sizes VALUES (1, 'weiß', 'a')")
        database.sql("INSERT INTO words VALUES (1, 'a')")
        database.sql("INSERT INTO marks VALUES (1, 'a', '5'), (1, 'b', '5'), (1, 'b', '5'), (2, 'b', '5')")
        database.sql("CREATE TABLE shops (gone int, id int, path text, note text)")
        database.sql("ALTER TABLE shops DROP gone; INSERT INTO shops VALUES (1, 'b', 'n')")
        database.sql("CREATE SEQUENCE drawn")
        database.sql("CREATE FUNCTION loud(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)'; "
                     "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
        database.sql("CREATE FUNCTION draw(text) RETURNS text LANGUAGE sql AS $$ SELECT $1 || nextval('drawn') $$")

    with migrated(clusters.get(pg_version), tmp_path_factory.mktemp("names"), MIGRATION, fill, cut_over=False) as (_, proxy):
        yield proxy


@pytest.mark.one_version
def test_names_beyond_ascii_are_not_put_into_a_text_of_another_encoding(proxy):
    with proxy.connect(client_encoding="LATIN1") as conn, conn.transaction():  # by itself it would be sent again as it is
        assert conn.execute("SELECT * FROM words").fetchall() == [(1, "a")]
        assert conn.execute("SELECT * FROM sizes").fetchall() == [(1, "weiß", "a", "a")]  # as it is: README.md
        assert conn.execute("SELECT w.*, 'ü' FROM words w").fetchall() == [(1, "a", "a", "ü")]
        conn.execute("INSERT INTO sizes VALUES (2, 'groß', 'b')")
    with proxy.connect() as conn:
        assert conn.execute("SELECT * FROM sizes ORDER BY id").fetchall() == [(1, "weiß", "a"), (2, "groß", "b")]


@pytest.mark.one_version
def test_a_call_is_evaluated_for_each_row_whatever_the_columns_that_are_read_are_called(proxy):
    with proxy.connect() as conn:
        rows = conn.execute("UPDATE marks SET label = draw('m') WHERE c = 1 RETURNING label").fetchall()
        assert len(set(rows)) == 3, rows
        conn.execute("UPDATE marks SET label = 'b'")


@pytest.mark.one_version
def test_a_triggers_function_says_nothing_of_a_function_of_its_name(proxy):
    """No statement can call it, and the guard's are made anew at each turn: it is no reason to read all functions again."""
    with proxy.connect() as conn:
        conn.execute("UPDATE words SET label = loud('a') WHERE id = 2")
    (sent,) = [row["sent_instead"] for row in proxy.console("SHOW REWRITES") if "loud" in (row["sent_instead"] or "")]
    assert sent.count("loud(") == 2 and "SELECT" not in sent, sent


@pytest.mark.one_version
def test_rows_with_a_column_that_can_only_be_hashed_are_grouped_by_their_columns_alone(proxy):
    with proxy.connect() as conn, pytest.raises(UndefinedFunction, match="comparison function for type xid"):  # README.md
        conn.execute("SELECT count(*) FROM marks m GROUP BY m")
    with proxy.connect() as conn:
        assert len(conn.execute("SELECT count(*) FROM marks GROUP BY c, label, number").fetchall()) > 1


@pytest.mark.one_version
def test_a_temporary_table_hides_the_one_of_its_name_in_the_message_that_makes_it(proxy):
    with proxy.connect() as conn:
        answer = conn.execute("CREATE TEMP TABLE words AS SELECT 7 AS seven; SELECT * FROM words")
        while answer.nextset():
            pass
        assert answer.fetchall() == [(7,)]


@pytest.mark.one_version
@pytest.mark.parametrize("where, rows", [("EXISTS (SELECT FROM words TABLESAMPLE system (100) JOIN shops s (a) ON path = 'b' AND s.a = o.id)", 1),
                                         ("EXISTS (SELECT FROM words TABLESAMPLE system (100) JOIN shops s (a, b) ON path = s.b)", 1),
                                         ("EXISTS (SELECT FROM words TABLESAMPLE system (100) JOIN shops s (a, b) ON path = s.note)", 0)])
def test_a_list_of_aliases_leaves_a_column_its_name_by_its_place_among_those_that_are_there(proxy, where, rows):
    """The hidden column of that name stays in a table of which a sample is read."""
    with proxy.connect() as conn:
        assert len(conn.execute(f"SELECT o.id FROM shops o WHERE {where}").fetchall()) == rows
