"""Columns that are only added: with `up`, with a default, and what a fill may not overwrite."""

import pytest
from lib.wait import until

pytestmark = pytest.mark.one_version


def migration(column, up=None, name="added"):
    operation = {"table": "items", "column": column}
    if up:
        operation["up"] = up
    return {"name": name, "operations": [{"add_column": operation}]}


@pytest.fixture
def items(db):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text, note text)")
    db.sql("INSERT INTO items SELECT i, 'label ' || i, 'note' FROM generate_series(1, 500) i")
    return db


SIZE = {"name": "size", "type": "integer", "nullable": True}


def test_an_added_column_follows_its_up_until_cutover(items, segue):
    proxy = segue(items)
    proxy.ready(migration(SIZE, "length(label)"))
    assert items.one("SELECT count(*) FROM items WHERE size IS DISTINCT FROM length(label)") == 0
    conn = proxy.connect()
    conn.execute("INSERT INTO items (id, label) VALUES (1001, 'four')")
    conn.execute("INSERT INTO items (id, label, size) VALUES (1002, 'four', 77)")
    conn.execute("UPDATE items SET label = 'sixsix' WHERE id = 1")
    conn.execute("UPDATE items SET label = 'sixsix', size = 77 WHERE id = 2")
    conn.execute("UPDATE items SET size = 77 WHERE id = 3")
    conn.execute("UPDATE items SET note = 'touched' WHERE id IN (3, 4)")
    got = dict(items.sql("SELECT id, size FROM items WHERE id IN (1, 2, 3, 4, 1001, 1002)"))
    assert got == {1: 6, 2: 77, 3: 77, 4: len("label 4"), 1001: 4, 1002: 77}


def test_an_added_column_is_the_new_applications_own_after_cutover(items, segue):
    proxy = segue(items)
    proxy.soaking(migration(SIZE, "length(label)"))
    conn = proxy.connect()
    conn.execute("INSERT INTO items (id, label) VALUES (1001, 'four')")
    conn.execute("UPDATE items SET label = 'sixsix' WHERE id = 1")
    conn.execute("UPDATE items SET size = NULL WHERE id = 2")
    got = dict(items.sql("SELECT id, size FROM items WHERE id IN (1, 2, 1001)"))
    assert got == {1: len("label 1"), 2: None, 1001: 4}


def test_an_added_not_null_column_is_not_null_at_the_end(items, segue):
    proxy = segue(items)
    proxy.done(migration({"name": "size", "type": "integer"}, "length(label)"))
    assert items.one("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'size'")
    assert items.one("SELECT count(*) FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'c'") == 0


def test_a_null_for_a_column_that_is_to_be_not_null_is_refused(items, segue):
    items.sql("UPDATE items SET label = NULL WHERE id = 7")
    proxy = segue(items)
    sized = migration({"name": "size", "type": "integer"}, "length(label)")
    refused = proxy.cli("start", proxy.file(sized), check=1).err
    assert "size" in refused and "NULL" in refused
    items.sql("UPDATE items SET label = 'seven' WHERE id = 7")
    proxy.ready(sized)


def test_a_null_that_comes_after_the_plan_stops_the_migration_and_resume_goes_on(items, segue):
    holder = items.connect(autocommit=False)
    holder.execute("UPDATE items SET label = NULL WHERE id = 7")
    proxy = segue(items)
    proxy.begin(migration({"name": "size", "type": "integer"}, "length(label)"))
    proxy.wait("added", lambda r: r["phase"] == "expanding")
    holder.commit()
    row = proxy.wait("added", lambda r: r["error"])
    assert row["phase"] not in ("ready", "soaking", "done")
    assert "size" in row["error"] and "NULL" in row["error"].upper()
    items.sql("UPDATE items SET label = 'seven' WHERE id = 7")
    proxy.cli("resume", "added")
    proxy.wait("added", lambda r: r["phase"] == "ready")


@pytest.mark.parametrize("default, stored", [("'blue'", "blue"), ("upper('blue')", "BLUE")])
def test_a_default_reaches_old_rows_and_new_ones(items, segue, default, stored):
    proxy = segue(items)
    name = proxy.ready(migration({"name": "colour", "type": "text", "default": default}))
    proxy.connect().execute("INSERT INTO items (id, label) VALUES (1001, 'four')")
    proxy.cli("cutover", name)
    proxy.connect().execute("INSERT INTO items (id, label) VALUES (1002, 'four')")
    proxy.cli("complete", name, "--force")
    assert items.sql("SELECT DISTINCT colour FROM items") == [(stored,)]
    assert items.one("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'colour'")
    assert "blue" in items.one("SELECT column_default FROM information_schema.columns "
                               "WHERE table_name = 'items' AND column_name = 'colour'")


def test_a_volatile_default_gives_each_row_a_value_of_its_own(items, segue):
    proxy = segue(items)
    proxy.done(migration({"name": "token", "type": "uuid", "default": "gen_random_uuid()"}))
    assert items.one("SELECT count(DISTINCT token) FROM items") == 500


def test_a_constant_default_costs_no_rewrite(items, segue):
    before = items.one("SELECT pg_relation_filenode('items')")
    proxy = segue(items)
    proxy.done(migration({"name": "flag", "type": "boolean", "default": "false"}))
    assert items.one("SELECT pg_relation_filenode('items')") == before
    assert items.one("SELECT count(*) FROM items WHERE xmax::text <> '0'") == 0
    assert items.sql("SELECT DISTINCT flag FROM items") == [(False,)]


def test_a_comment_of_an_added_column_is_there(items, segue):
    segue(items).done(migration({**SIZE, "comment": "how long; it's counted"}, "length(label)"))
    assert items.one("SELECT col_description('items'::regclass, attnum) FROM pg_attribute "
                     "WHERE attrelid = 'items'::regclass AND attname = 'size'") == "how long; it's counted"


def test_the_fill_never_overwrites_what_a_new_schema_writer_wrote(db, segue):
    """up loses the case, so that the fill cannot know the writer's value from the old column."""
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text, other text, filler text)")
    db.sql("INSERT INTO items SELECT i, 'Label ' || i, 'x', repeat('f', 700) FROM generate_series(1, 5000) i")
    proxy = segue(db)
    proxy.begin({"name": "lossy", "operations": [
        {"rename_column": {"table": "items", "from": "label", "to": "title", "type": "text",
                           "up": "lower(label)", "down": "title"}},
        {"rename_column": {"table": "items", "from": "other", "to": "another"}}]})
    until("the guard", lambda: db.one("SELECT count(*) FROM pg_trigger WHERE tgname = '~segue_guard'"), every=0.001)
    conn = db.connect()
    rows = range(5000, 0, -50)
    for row in rows:
        conn.execute("UPDATE items SET title = %s WHERE id = %s", (f"MiXed {row}", row))
    # out of step again in the other column: the fill comes by once more
    with conn.transaction():
        conn.execute('ALTER TABLE items DISABLE TRIGGER "~segue_guard"')
        conn.execute("UPDATE items SET another = NULL WHERE title LIKE 'MiXed%'")
        conn.execute('ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"')
    proxy.wait_phase("lossy", "ready")
    proxy.cli("verify", "lossy", check=None)
    got = dict(db.sql("SELECT id, title FROM items WHERE title LIKE 'MiXed%' AND label = title"))
    assert got == {row: f"MiXed {row}" for row in rows}
    assert db.one("SELECT count(*) FROM items WHERE title NOT LIKE 'MiXed%' AND title <> lower(label)") == 0


def test_verify_counts_a_null_where_not_null_is_to_be(items, segue):
    proxy = segue(items)
    proxy.ready(migration({"name": "size", "type": "integer"}, "length(label)"))
    proof = items.one("SELECT conname FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'c'")
    # in step, for length(NULL) is NULL, and yet not what the column is to hold
    items.sql(f'ALTER TABLE items DROP CONSTRAINT "{proof}"; UPDATE items SET label = NULL, size = NULL WHERE id = 7')
    proxy.cli("verify", "added", check=None)
    assert items.one("SELECT row(bad, nulls) FROM segue.verifications ORDER BY id DESC LIMIT 1") == ("0", "1")
    assert items.one("SELECT sample->0->>'id' FROM segue.verifications ORDER BY id DESC LIMIT 1") == "7"
    assert "1 rows not in step" in proxy.cli("cutover", "added", check=1).err


def test_a_constant_up_serves_old_inserts_after_the_cutover_when_the_column_is_not_null(items, segue):
    proxy = segue(items)
    name = proxy.soaking({"name": "added", "operations": [
        {"add_column": {"table": "items", "up": "5", "column": {"name": "size", "type": "integer"}}},
        {"add_column": {"table": "items", "up": "6", "column": {"name": "free", "type": "integer", "nullable": True}}}]})
    with proxy.connect(options="-c segue.schema=old") as conn:
        conn.execute("INSERT INTO items (id, label) VALUES (1001, 'four')")
        conn.execute("INSERT INTO items (id, label) VALUES (1, 'upserted') ON CONFLICT (id) DO UPDATE SET label = EXCLUDED.label")
    assert items.sql("SELECT size, free FROM items WHERE id IN (1, 1001) ORDER BY id") == [(5, 6), (5, None)]
    proxy.cli("complete", name, "--force")
