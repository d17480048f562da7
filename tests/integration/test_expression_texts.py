"""Expressions of a file as their author may write them, beside whatever else the table has."""

import pytest

pytestmark = pytest.mark.one_version


@pytest.fixture
def items(db):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text, note text)")
    db.sql("INSERT INTO items SELECT i, 'label ' || i, 'note' FROM generate_series(1, 50) i")
    return db


def migration(*operations):
    return {"name": "m", "operations": list(operations)}


def rename(**how):
    return {"rename_column": {"table": "items", "from": "label", "to": "title", **how}}


def add(name, **how):
    up = {"up": how.pop("up")} if "up" in how else {}
    return {"add_column": {"table": "items", "column": {"name": name, "type": "text", **how}, **up}}


def test_a_comment_at_the_end_of_an_expression_reaches_no_further(items, segue):
    proxy = segue(items)
    proxy.done(migration(rename(type="varchar(20) -- type", up="label::varchar(20) -- up", down="title::text -- down"),
                         add("a", default="upper('a') -- default"),
                         add("b", default="'b' -- default"),
                         add("c", up="label || '-' -- up")))
    assert items.sql("SELECT title, a, b, c FROM items WHERE id = 7") == [("label 7", "A", "b", "label 7-")]


def test_a_writer_with_backslash_escapes_writes_through_the_guard(items, segue):
    proxy = segue(items)
    proxy.ready(migration(rename(type="text", up=r"replace(label, '\', '/')", down=r"replace(title, '/', '\')")))
    conn = proxy.connect()
    conn.execute("SET standard_conforming_strings = off")
    conn.execute("INSERT INTO items (id, label) VALUES (101, E'a\\\\b')")
    conn.execute("INSERT INTO items (id, title) VALUES (102, 'c/d')")
    assert items.sql("SELECT label, title FROM items WHERE id > 100 ORDER BY id") == [("a\\b", "a/b"), ("c\\d", "c/d")]


def test_an_added_column_may_read_one_that_is_renamed_after_it(items, segue):
    proxy = segue(items)
    proxy.ready(migration(add("c", up="upper(label)"), rename()))
    conn = proxy.connect()
    conn.execute("INSERT INTO items (id, title) VALUES (101, 'abc')")
    conn.execute("UPDATE items SET title = 'new' WHERE id = 1")
    assert items.sql("SELECT label, c FROM items WHERE id IN (1, 101) ORDER BY id") == [("new", "NEW"), ("abc", "ABC")]
    assert proxy.console('VERIFY "m"')[0]["rows_bad"] == 0


@pytest.mark.parametrize("name", ["r", "x", "seen", "failed", "first", "stop", "o", "c", "t", "s"])
def test_the_look_at_the_rows_minds_no_name_of_a_column(db, segue, name):
    db.sql(f"CREATE TABLE items (id int, label text, {name} int)")
    db.sql("INSERT INTO items SELECT i, '{}', i FROM generate_series(1, 5) i")
    proxy = segue(db)
    plan = proxy.cli("plan", proxy.file(migration(rename(type="jsonb", up=f"label::jsonb || to_jsonb({name})",
                                                               down="title::text"))))
    assert "REFUSED" not in plan.out and "could not" not in plan.out
