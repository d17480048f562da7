"""INSERT ... ON CONFLICT while a unique index has a twin on the new column."""

import threading

import psycopg
import pytest

pytestmark = pytest.mark.one_version

RENAME = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}
SESSIONS = 6


@pytest.fixture
def items(db):
    """`wait` is the slow index entry that opens the moment between check and insertion."""
    db.sql("""CREATE FUNCTION wait(v bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
              IF v > 100 THEN PERFORM pg_sleep(0.2); END IF; RETURN v; END $$""")
    db.sql("CREATE TABLE items (id bigint, label text)")
    db.sql("CREATE INDEX items_wait ON items (wait(id))")
    db.sql("CREATE UNIQUE INDEX items_label ON items (label)")
    return db


def upsert_at_once(proxy, action):
    errors = []

    def insert(i):
        with proxy.connect() as conn:
            try:
                conn.execute(f"INSERT INTO items (id, label) VALUES ({101 + i}, 'same') ON CONFLICT {action}")
            except psycopg.Error as error:
                errors.append(error.sqlstate)

    threads = [threading.Thread(target=insert, args=(i,)) for i in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_the_plan_warns_of_the_one_error_a_twin_can_cause_and_no_row_is_lost(items, segue):
    proxy = segue(items)
    assert "can end with 23505" in proxy.cli("plan", proxy.file(RENAME)).out
    proxy.ready(RENAME)
    assert set(upsert_at_once(proxy, "(label) DO NOTHING")) <= {"23505"}
    assert items.sql("SELECT label, title FROM items") == [("same", "same")]


def test_on_conflict_do_nothing_without_columns_minds_no_twin(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    assert upsert_at_once(proxy, "DO NOTHING") == []
    assert items.sql("SELECT label, title FROM items") == [("same", "same")]
