"""Errors name constraints, indexes and columns as they are called in the end, whichever half the server has looked at first."""

import psycopg
import pytest
from lib.operations import new, old

TABLES = ("CREATE TABLE kinds (id int PRIMARY KEY); INSERT INTO kinds VALUES (1);"
          "CREATE TABLE items (id int PRIMARY KEY, label text CONSTRAINT \"Once (only)\" UNIQUE, kind int CONSTRAINT of_kind REFERENCES kinds,"
          "  n int CONSTRAINT few CHECK (n < 100), code text, size int CONSTRAINT \"größe\" UNIQUE);"
          "CREATE UNIQUE INDEX \"ix \"\"code\"\"\" ON items (code) WHERE n > 0;"
          "INSERT INTO items VALUES (1, 'a', 1, 1, 'x', 1)")
FILE = {"name": "m", "operations": [
    *({"rename_column": {"table": "items", "from": before, "to": after}}
      for before, after in (("id", "ident"), ("label", "title"), ("kind", "sort"), ("n", "m"), ("code", "kode"))),
    {"alter_column": {"table": "items", "column": "size", "type": "bigint"}}]}
SIDES = {old: ("id", "label", "kind", "n", "code"), new: ("ident", "title", "sort", "m", "kode")}
WRONG = {"items_pkey": (1, "b", 1, 1, "y"), "Once (only)": (2, "a", 1, 1, "y"), "of_kind": (2, "b", 7, 1, "y"),
         "few": (2, "b", 1, 100, "y"), 'ix "code"': (2, "b", 1, 1, "x")}


def named(execute):
    with pytest.raises(psycopg.errors.IntegrityError) as caught:
        execute()
    assert "~segue" not in str(caught.value), caught.value
    return caught.value.diag


def all_are_named(proxy):
    for connect, columns in SIDES.items():
        for cursor in psycopg.Cursor, psycopg.ClientCursor:  # by messages of the extended protocol, and by a simple query
            with connect(proxy) as conn:
                for name, values in WRONG.items():
                    sql = f"INSERT INTO items ({', '.join(columns)}) VALUES (%s, %s, %s, %s, %s)"
                    diag = named(lambda: cursor(conn).execute(sql, values))
                    assert diag.constraint_name == name and f'"{name}"' in diag.message_primary, (name, diag.message_primary)
                diag = named(lambda: cursor(conn).execute(f"INSERT INTO items ({columns[0]}, size) VALUES (9, 1)"))
                assert diag.constraint_name == "größe" and "size" in diag.message_detail
    with old(proxy) as latin:
        latin.execute("SET client_encoding = LATIN1")  # in which that name would be other bytes
        with pytest.raises(psycopg.errors.UniqueViolation):
            latin.execute("INSERT INTO items (id, size) VALUES (9, 1)")


def data_stays(proxy, hidden):
    """A value that reads like such a name."""
    with old(proxy) as conn:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation, match=hidden):
            conn.execute(f"SELECT '{hidden}'::int")
        with pytest.raises(psycopg.errors.RaiseException, match=hidden):
            conn.execute(f"DO $$ BEGIN RAISE '{hidden}'; END $$")
        conn.execute("INSERT INTO items (id, label) VALUES (8, %s)", (hidden,))
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            conn.execute("INSERT INTO items (id, label) VALUES (9, %s)", (hidden,))
        assert caught.value.diag.constraint_name == "Once (only)" and f"=({hidden})" in caught.value.diag.message_detail
        conn.execute("DELETE FROM items WHERE id = 8")


def test_an_error_names_what_is_against_it_as_it_is_called_in_the_end(db, segue):
    db.sql(TABLES)
    proxy = segue(db)
    name = proxy.ready(FILE)
    all_are_named(proxy)
    proxy.cli("cutover", name)
    with db.connect() as past, pytest.raises(psycopg.errors.UniqueViolation, match="~segue_") as caught:
        past.execute("INSERT INTO items (id, label) VALUES (2, 'a')")  # which is why
    all_are_named(proxy)
    data_stays(proxy, caught.value.diag.constraint_name)
    proxy.cli("rollback", name)
    proxy.cli("wait", name)
    all_are_named(proxy)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    with new(proxy) as conn:
        assert named(lambda: conn.execute("INSERT INTO items (ident, title) VALUES (2, 'a')")).constraint_name == "Once (only)"
