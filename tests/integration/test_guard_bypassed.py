"""Rows written past the guard after the last verify may not be lost unnoticed."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from lib.wait import until

pytestmark = pytest.mark.one_version

RENAME = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}


@pytest.fixture
def items(db):
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text)")
    db.sql("INSERT INTO items SELECT i, 'label ' || i FROM generate_series(1, 50) i")
    return db


@pytest.fixture
def parts(db):
    db.sql("CREATE TABLE items (id bigint, label text) PARTITION BY RANGE (id)")
    db.sql("CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM (0) TO (100)")
    db.sql("INSERT INTO items SELECT i, 'label ' || i FROM generate_series(1, 50) i")
    return db


def restore_data(db, column):
    """As pg_restore --disable-triggers does."""
    db.sql("ALTER TABLE items DISABLE TRIGGER ALL")
    db.sql(f"INSERT INTO items (id, {column}) VALUES (1001, 'past the guard')")
    db.sql("ALTER TABLE items ENABLE TRIGGER ALL")


def test_a_guard_that_was_off_is_noticed_before_cutover_and_complete(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    restore_data(items, "label")
    refused = proxy.cli("cutover", "m", check=1)
    assert "guard of public.items" in refused.err and "ENABLE ALWAYS" in refused.err
    items.sql('ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"')
    proxy.cli("verify", "m", check=None)
    assert "not in step" in proxy.cli("cutover", "m", check=1).err
    items.sql("UPDATE items SET id = id WHERE id = 1001")
    proxy.cli("verify", "m")
    proxy.cli("cutover", "m")
    assert items.one("SELECT title FROM items WHERE id = 1001") == "past the guard"
    items.sql("DELETE FROM items WHERE id = 1001")
    restore_data(items, "label")
    assert "guard of public.items" in proxy.cli("complete", "m", check=1).err
    # force is about people who use old names, not about rows that may be lost
    assert "guard of public.items" in proxy.cli("complete", "m", "--force", check=1).err


def test_a_trigger_that_came_behind_the_guard_is_noticed_and_so_are_the_rows_that_it_wrote(items, segue):
    """No name of ASCII letters comes there; in other languages many do."""
    proxy = segue(items)
    proxy.ready(RENAME)
    items.sql("CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.label := upper(NEW.label); RETURN NEW; END$$;"
              'CREATE TRIGGER "Änderung" BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION shout()')
    items.sql("UPDATE items SET label = 'late' WHERE id = 7")
    refused = proxy.cli("cutover", "m", check=1).err
    assert 'trigger "Änderung" of public.items runs after the guard' in refused and 'ALTER TRIGGER "Änderung" ON public.items RENAME TO' in refused
    items.sql('ALTER TRIGGER "Änderung" ON items RENAME TO change')
    assert "rows there are not in step" in proxy.cli("cutover", "m", check=1).err
    items.sql("UPDATE items SET label = 'latest' WHERE id = 7")
    proxy.cli("cutover", "m")
    assert items.one("SELECT title FROM items WHERE id = 7") == "LATEST"


def test_rows_of_an_attached_partition_are_looked_at_before_cutover(parts, segue):
    proxy = segue(parts)
    proxy.ready(RENAME)
    parts.sql("CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (100) TO (200)")
    parts.sql("INSERT INTO items (id, label) VALUES (150, 'guarded')")
    parts.sql("CREATE TABLE items_3 (id bigint, label text, title text)")
    parts.sql("INSERT INTO items_3 SELECT i, 'label ' || i FROM generate_series(200, 210) i")
    parts.sql("ALTER TABLE items ATTACH PARTITION items_3 FOR VALUES FROM (200) TO (300)")
    refused = proxy.cli("cutover", "m", check=1)
    assert "items_3" in refused.err
    parts.sql("UPDATE items_3 SET id = id")
    proxy.cli("cutover", "m")
    assert parts.one("SELECT count(*) FROM items WHERE label IS DISTINCT FROM title") == 0


def attach(db, name, column, first):
    """A partition whose rows were written before it was one."""
    db.sql(f"CREATE TABLE {name} (id bigint, label text, title text)")
    db.sql(f"INSERT INTO {name} (id, {column}) SELECT i, 'label ' || i FROM generate_series({first}, {first + 10}) i")
    db.sql(f"ALTER TABLE items ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({first + 100})")


def test_rows_of_a_partition_attached_in_soak_are_not_lost_with_either_side(parts, segue):
    proxy = segue(parts)
    proxy.soaking(RENAME)
    attach(parts, "items_3", "label", 200)
    assert "items_3" in proxy.cli("complete", "m", "--force", check=1).err
    assert "items_3" in proxy.cli("rollback", "m", check=1).err
    parts.sql("UPDATE items_3 SET title = label")
    attach(parts, "items_4", "title", 300)
    assert "items_4" in proxy.cli("rollback", "m", check=1).err
    parts.sql("UPDATE items_4 SET id = id")
    proxy.cli("rollback", "m")
    assert parts.one("SELECT count(*) FROM items WHERE label = 'label ' || id AND label = title") == 72
    proxy.cli("cutover", "m")
    # while a complete that was asked for waits for its lock
    with parts.connect() as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items_1")
        parts.sql("CREATE TABLE items_5 (id bigint, label text, title text)")
        parts.sql("INSERT INTO items_5 (id, label) VALUES (400, 'label 400')")
        proxy.console("COMPLETE m FORCE")
        proxy.wait("m", lambda r: r["phase"] == "contracting")
        parts.sql("ALTER TABLE items ATTACH PARTITION items_5 FOR VALUES FROM (400) TO (500)")
    row = proxy.wait("m", lambda r: r["error"])
    assert "items_5" in row["error"] and row["phase"] == "contracting"
    parts.sql("UPDATE items_5 SET title = label")
    proxy.cli("resume", "m")
    proxy.wait_phase("m", "done")
    assert parts.one("SELECT count(*) FROM items WHERE title = 'label ' || id") == 73


def while_detached(db, write):
    db.sql("ALTER TABLE items DETACH PARTITION items_1")
    db.sql(write)
    db.sql("ALTER TABLE items ATTACH PARTITION items_1 FOR VALUES FROM (0) TO (100)")


def test_rows_written_to_a_partition_while_it_was_detached_are_looked_at(parts, segue):
    proxy = segue(parts)
    proxy.ready(RENAME)
    while_detached(parts, "INSERT INTO items_1 (id, label) VALUES (60, 'label 60')")
    refused = proxy.cli("cutover", "m", check=1)
    assert "the guard was away from public.items_1" in refused.err and "UPDATE the new columns" in refused.err
    parts.sql("UPDATE items_1 SET id = id")
    proxy.cli("cutover", "m")
    while_detached(parts, "UPDATE items_1 SET label = 'old' WHERE id = 60")
    for command in (("complete", "m", "--force"), ("rollback", "m")):
        assert "away from public.items_1" in proxy.cli(*command, check=1).err
    parts.sql("UPDATE items_1 SET title = label")
    # nothing was written: nobody is kept
    while_detached(parts, "SELECT")
    proxy.cli("rollback", "m")
    assert parts.one("SELECT count(*) FROM items WHERE label = title") == 51


def test_a_guard_that_was_made_again_is_noticed(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    guard = items.one("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = '~segue_guard'")
    items.sql('DROP TRIGGER "~segue_guard" ON items')
    said = proxy.cli("cutover", "m", check=1).err
    assert "the guard of items is not there any more" in said.replace("public.", "") and "segue doctor" in said, said
    items.sql("INSERT INTO items (id, label) VALUES (1001, 'past the guard')")
    items.sql(guard)
    items.sql('ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"')
    assert "the guard was away from public.items" in proxy.cli("cutover", "m", check=1).err
    items.sql("UPDATE items SET id = id WHERE id = 1001")
    proxy.cli("cutover", "m")
    assert items.one("SELECT title FROM items WHERE id = 1001") == "past the guard"


def off_for(db, write, relation="items"):
    """As whoever types what the doctor says, and not that it is verified then."""
    db.sql(f"ALTER TABLE {relation} DISABLE TRIGGER ALL")
    db.sql(write)
    db.sql(f'ALTER TABLE {relation} ENABLE TRIGGER ALL; ALTER TABLE {relation} ENABLE ALWAYS TRIGGER "~segue_guard"')


def away(proxy):
    return [r for r in json.loads(proxy.cli("doctor", "--json", check=None).out) if r["finding"] == "guard was away"]


def test_a_guard_that_was_off_and_is_on_always_again_is_noticed(items, segue):
    proxy = segue(items)
    proxy.ready(RENAME)
    off_for(items, "UPDATE items SET label = 'new' WHERE id = 1")
    finding = away(proxy)[0]
    assert finding["command"] == "segue verify m" and finding["what"].startswith("the guard was away from public.items")
    refused = proxy.cli("cutover", "m", check=1)
    assert "the guard was away from public.items" in refused.err and "UPDATE the new columns" in refused.err
    items.sql("UPDATE items SET title = label WHERE id = 1")
    proxy.cli("verify", "m")
    assert away(proxy) == []
    proxy.cli("cutover", "m")
    # segue's own turn has written the guard anew
    assert away(proxy) == []
    off_for(items, "UPDATE items SET title = 'newer' WHERE id = 1")
    for command in (("complete", "m", "--force"), ("rollback", "m")):
        assert "the guard was away from public.items" in proxy.cli(*command, check=1).err
    items.sql("UPDATE items SET label = title WHERE id = 1")
    proxy.cli("rollback", "m")
    assert items.one("SELECT label FROM items WHERE id = 1") == "newer"


def test_rows_of_a_large_table_whose_guard_was_off_are_left_to_a_verify(db, segue):
    """The engine would answer nobody while it reads them in one statement."""
    db.sql("CREATE TABLE items (id bigint PRIMARY KEY, label text, filler text)")
    db.sql("ALTER TABLE items ALTER filler SET STORAGE PLAIN; INSERT INTO items SELECT i, 'l', repeat('f', 4500) FROM generate_series(1, 9000) i")
    proxy = segue(db)
    proxy.ready(RENAME)
    for column, command in (("title", ("cutover", "m")), ("label", ("complete", "m", "--force"))):
        off_for(db, "SELECT")
        refused = proxy.cli(*command, check=1).err
        assert "the guard was away from public.items for a time" in refused and "`segue verify m`" in refused, refused
        off_for(db, f"UPDATE items SET {column} = 'other' WHERE id = 1")
        proxy.cli("verify", "m", check=1)
        db.sql(f"UPDATE items SET {column} = 'l' WHERE id = 1")
        proxy.cli("verify", "m")
        proxy.cli(*command)


def test_a_guard_that_was_off_on_one_partition_is_noticed(parts, segue):
    proxy = segue(parts)
    proxy.ready(RENAME)
    off_for(parts, "UPDATE items_1 SET label = 'new' WHERE id = 1", "items_1")
    assert "the guard was away from public.items_1" in proxy.cli("cutover", "m", check=1).err
    parts.sql("UPDATE items_1 SET title = label WHERE id = 1")
    proxy.cli("cutover", "m")
    assert parts.one("SELECT title FROM items WHERE id = 1") == "new"


@pytest.mark.parametrize("cut_over", [False, True], ids=["ready", "soaking"])
def test_a_row_written_past_the_guard_does_not_lose_the_truth_when_it_changes_its_partition(parts, segue, cut_over):
    """To the partition that gets it, the move is an INSERT that writes both halves."""
    parts.sql("CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (100) TO (300) PARTITION BY HASH (id)")
    parts.sql("CREATE TABLE items_2_0 PARTITION OF items_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0)")
    parts.sql("CREATE TABLE items_2_1 PARTITION OF items_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
    proxy = segue(parts)
    (proxy.soaking if cut_over else proxy.ready)(RENAME)
    truth, follower = ("title", "label") if cut_over else ("label", "title")
    off_for(parts, f"UPDATE items_1 SET {truth} = 'new' WHERE id IN (1, 2)", "items_1")
    parts.sql("UPDATE items SET id = 150 WHERE id = 1")
    assert parts.sql("SELECT label, title FROM items WHERE id = 150") == [("new", "new")]
    # where it stays, whoever had the guard off still says which half is right
    parts.sql("UPDATE items SET id = 60 WHERE id = 2")
    assert parts.one(f"SELECT {follower} FROM items WHERE id = 60") == "label 2"
    assert "the guard was away from public.items_1" in proxy.cli(*(("rollback", "m") if cut_over else ("cutover", "m")), check=1).err
    # a half that nobody has written is not the truth
    off_for(parts, f"INSERT INTO items_1 (id, {follower}) VALUES (61, 'only here')", "items_1")
    parts.sql("UPDATE items SET id = 161 WHERE id = 61")
    assert parts.sql("SELECT label, title FROM items WHERE id = 161") == [("only here", "only here")]


def test_a_guard_that_was_off_behind_the_back_of_a_verify_is_noticed(parts, segue):
    """A verify has seen what was there before it began."""
    parts.sql("CREATE FUNCTION waits(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS "
              "'BEGIN IF t = $$held$$ THEN PERFORM pg_advisory_xact_lock_shared(77); END IF; RETURN t; END'")
    parts.sql("CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (100) TO (200)")
    parts.sql("INSERT INTO items VALUES (100, 'held')")
    proxy = segue(parts)
    change = {"table": "items", "column": "label", "name": "title", "up": "waits(label)", "down": "title"}
    proxy.ready({"name": "m", "operations": [{"alter_column": change}]})
    with parts.connect() as other, ThreadPoolExecutor() as pool:
        other.execute("SELECT pg_advisory_lock(77)")
        verify = pool.submit(proxy.cli, "verify", "m")
        proxy.wait("m", lambda r: r["step"] == "verify public.items_2")
        off_for(parts, "UPDATE items_1 SET label = 'new' WHERE id = 1", "items_1")
        other.execute("SELECT pg_advisory_unlock(77)")
        verify.result()
    assert "the guard was away from public.items_1" in proxy.cli("cutover", "m", check=1).err
    parts.sql("UPDATE items_1 SET title = label WHERE id = 1")
    proxy.cli("cutover", "m")


def test_a_foreign_partition_is_refused(parts, segue):
    parts.sql("CREATE FOREIGN DATA WRAPPER nowhere")
    parts.sql("CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere")
    parts.sql("CREATE FOREIGN TABLE items_far PARTITION OF items FOR VALUES FROM (900) TO (999) SERVER nowhere")
    proxy = segue(parts)
    assert "items_far is a foreign table" in proxy.cli("start", proxy.file(RENAME), "--detach", check=1).err


@pytest.mark.parametrize("make", ["CREATE TABLE kid () INHERITS (items)", "CREATE TABLE kid (LIKE items); ALTER TABLE kid INHERIT items"])
def test_a_table_that_has_come_to_inherit_is_refused(items, segue, make):
    """Rows that a SELECT of the table gives, and no guard: they would lose what is only in the column that goes."""
    proxy = segue(items)
    proxy.ready(RENAME)
    items.sql(make)
    items.sql("INSERT INTO kid (id, label) VALUES (5000, 'old name')")
    refused = proxy.cli("cutover", "m", check=1)
    assert "public.kid inherits from public.items" in refused.err and "NO INHERIT" in refused.err
    items.sql("ALTER TABLE kid NO INHERIT items")
    proxy.cli("cutover", "m")
    items.sql("ALTER TABLE kid INHERIT items")
    for command in (("rollback", "m"), ("complete", "m", "--force")):
        assert "public.kid inherits from public.items" in proxy.cli(*command, check=1).err
    items.sql("DROP TABLE kid")
    proxy.cli("complete", "m", "--force")


def test_an_abort_does_not_take_what_only_a_table_that_has_come_to_inherit_has(items, segue):
    """No guard has brought it to the old column."""
    proxy = segue(items)
    proxy.ready(RENAME)
    items.sql("CREATE TABLE kid () INHERITS (items); INSERT INTO kid (id, title) VALUES (5000, 'new name')")
    refused = proxy.cli("abort", "m", check=1)
    assert "public.kid inherits from public.items" in refused.err and "NO INHERIT" in refused.err
    assert proxy.phase("m") == "ready"
    items.sql("ALTER TABLE kid NO INHERIT items")
    proxy.cli("abort", "m")
    assert items.sql("SELECT id, title FROM kid") == [(5000, "new name")]


@pytest.mark.parametrize("command", ["cutover", "rollback", "complete", "abort"])
def test_a_table_that_comes_to_inherit_while_a_turn_waits_for_its_lock_is_refused_under_it(items, segue, command):
    """What looks before the lock cannot see it yet."""
    proxy = segue(items, lock_timeout_ms=20000, gate_hold_max_ms=30000)
    {"cutover": proxy.ready, "abort": proxy.ready}.get(command, proxy.soaking)(RENAME)
    items.sql("CREATE TABLE kid (LIKE items)")
    with items.connect() as other, ThreadPoolExecutor() as pool:
        other.execute("BEGIN; ALTER TABLE kid INHERIT items")
        asked = pool.submit(proxy.cli, command, "m", *(["--force"] if command == "complete" else []), check=None)
        until("the lock", lambda: items.one("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'items'::regclass "
                                   "AND mode = 'AccessExclusiveLock')"))
        other.execute("COMMIT")
        refused = "public.kid inherits from public.items"
        assert refused in proxy.wait("m", lambda r: r["error"])["error"]
        items.sql("ALTER TABLE kid NO INHERIT items")
        if command in ("complete", "abort"):
            proxy.cli("resume", "m")
        asked.result()
    proxy.wait_phase("m", {"cutover": "ready", "rollback": "soaking", "complete": "done", "abort": "aborted"}[command])
