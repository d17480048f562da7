"""A change of type under the column's own name: both halves, one name, and the place it has always had."""

import ast
import asyncio

import asyncpg
import psycopg
import pytest
from lib import catalog
from lib.operations import connected
from lib.traffic import Pair, Traffic

pytestmark = pytest.mark.newest_unless_told

ITEMS = ("CREATE TABLE items (id bigint PRIMARY KEY, n integer NOT NULL DEFAULT 7, note text, filler text);"
         "ALTER TABLE items ALTER filler SET STORAGE PLAIN;"
         "CREATE INDEX ix_n ON items (n);"
         "INSERT INTO items SELECT i, i, 'note', repeat('f', %s) FROM generate_series(1, %s) i")
WIDEN = {"name": "widen", "operations": [{"alter_column": {"table": "items", "column": "n", "type": "bigint"}}]}
COUNT = Pair(old="n", new="n", old_type="integer", new_type="bigint", old_text=str, new_text=str)


def make(db, rows=300, filler=0):
    db.sql(ITEMS % (filler, rows))


def kind_of(db, column="n", table="items"):
    return db.one(f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{table}'::regclass "
                  f"AND attname = '{column}'")


def names_of(cur):
    return [d.name for d in cur.description]


def test_both_sides_see_one_column_at_its_place_in_every_phase(db, segue):
    make(db)
    proxy = segue(db)
    conn = proxy.connect()
    want = ["id", "n", "note", "filler"]

    def look(kind):
        assert kind_of(db) == kind
        for version in ("old", "new"):
            with proxy.connect(options=f"-c segue.schema={version}") as other:
                cur = other.execute("SELECT * FROM items WHERE id = 5")
                assert names_of(cur) == want and cur.fetchone() == (5, 5, "note", "")
                assert names_of(other.execute("TABLE items")) == want
                assert names_of(other.execute("SELECT items.* FROM items")) == want
                assert other.execute("SELECT x.b FROM items AS x(a, b) WHERE a = 5").fetchone() == (5,)
                assert other.execute("SELECT row_to_json(i) FROM items i WHERE id = 5").fetchone()[0] == {
                    "id": 5, "n": 5, "note": "note", "filler": ""}
                with other.cursor().copy("COPY (SELECT * FROM items WHERE id = 5) TO STDOUT") as copy:
                    assert b"".join(bytes(row) for row in copy) == b"5\t5\tnote\t\n"
        conn.execute("DELETE FROM items WHERE id > 1000")
        conn.execute("INSERT INTO items VALUES (1001, 11, 'a', 'b'), (1002, 12, 'a', 'b')")
        conn.execute("INSERT INTO items (id) VALUES (1003)")
        conn.execute("INSERT INTO items SELECT id + 10, n + 10, note FROM items WHERE id IN (1001, 1002)")
        with conn.cursor().copy("COPY items FROM STDIN") as copy:
            copy.write(b"1004\t14\tc\td\n")
        conn.execute("UPDATE items SET n = n + 1 WHERE id = 1002")
        cur = conn.execute("INSERT INTO items VALUES (1005, 15) RETURNING *")
        assert names_of(cur) == want and cur.fetchone() == (1005, 15, None, None)
        assert conn.execute("SELECT id, n FROM items WHERE id > 1000 ORDER BY id").fetchall() == [
            (1001, 11), (1002, 13), (1003, 7), (1004, 14), (1005, 15), (1011, 21), (1012, 22)]

    look("integer")
    name = proxy.ready(WIDEN)
    look("integer")
    proxy.cli("cutover", name)
    look("bigint")
    assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 0
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        conn.execute("INSERT INTO items VALUES (2000, 5000000000)")
    proxy.cli("rollback", name)
    look("integer")
    proxy.cli("cutover", name)
    look("bigint")
    proxy.cli("complete", name, "--force")
    conn.execute("INSERT INTO items (id, n) VALUES (2000, 5000000000)")
    assert conn.execute("SELECT n FROM items WHERE id IN (5, 2000) ORDER BY id").fetchall() == [(5,), (5000000000,)]
    assert names_of(conn.execute("SELECT * FROM items")) == ["id", "note", "filler", "n"]
    assert catalog.traces(db.connect()) == []


# ---- what the column keeps ----

KEPT = ("CREATE SCHEMA IF NOT EXISTS {s};"
        "CREATE TABLE {s}.items (id bigint PRIMARY KEY, n integer NOT NULL DEFAULT 7, m integer DEFAULT NULL, s serial, env text);"
        "INSERT INTO {s}.items SELECT i, i FROM generate_series(1, 200) i;"
        "GRANT SELECT (n), UPDATE (n) ON {s}.items TO reader; COMMENT ON COLUMN {s}.items.n IS 'how many';"
        "ALTER TABLE {s}.items ALTER n SET STATISTICS 77;"
        "CREATE INDEX ix_n ON {s}.items (n DESC) INCLUDE (env); CREATE UNIQUE INDEX ux_n ON {s}.items (n, id) WHERE n > 3;"
        "CREATE INDEX ix_e ON {s}.items ((n % 10), lower(env)); COMMENT ON INDEX {s}.ix_n IS 'why';"
        "ALTER TABLE {s}.items ADD CONSTRAINT n_key UNIQUE (n) DEFERRABLE, ADD CONSTRAINT positive CHECK (n > 0 AND id > 0);"
        "COMMENT ON CONSTRAINT n_key ON {s}.items IS 'each once'")
KEEP = {"name": "keep", "operations": [
    {"alter_column": {"table": "items", "column": c, "type": "bigint", "up": f"{c}::bigint", "down": f"{c}::integer"}}
    for c in ("n", "m", "s")]}


def compare(db, ddl, table="items"):
    """The table that segue has migrated against the one that a plain ALTER TABLE has changed."""
    with db.connect(options="-c search_path=") as conn:
        conn.execute(ddl)
        want = catalog.table(conn, f"plain.{table}")
        got = catalog.table(conn, f"public.{table}")
    text = repr(want).replace("plain.", "public.")
    assert catalog.difference(ast.literal_eval(text), got) == []


def test_a_retyped_column_keeps_what_a_plain_alter_keeps(db, segue):
    for schema in ("public", "plain"):
        db.sql(KEPT.replace("{s}", schema))
    proxy = segue(db)
    name = proxy.soaking(KEEP)
    proxy.cli("rollback", name)
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    compare(db, "ALTER TABLE plain.items ALTER n TYPE bigint, ALTER m TYPE bigint, ALTER s TYPE bigint")
    assert catalog.traces(db.connect()) == []
    assert db.one("SELECT count(*) FROM items WHERE n = id AND m IS NULL AND s = id") == 200


def test_an_abort_leaves_nothing_of_a_change_of_type(db, segue):
    make(db)
    before = catalog.table(db.connect(), "items")
    proxy = segue(db)
    name = proxy.soaking(WIDEN)
    proxy.cli("rollback", name)
    proxy.cli("abort", name)
    assert catalog.difference(before, catalog.table(db.connect(), "items")) == []
    assert catalog.traces(db.connect()) == []


# ---- under traffic ----


def test_a_change_of_type_goes_its_whole_road_under_traffic(db, segue):
    make(db, 2000, 300)
    proxy = segue(db)
    with Traffic(proxy.connect, COUNT) as traffic:
        traffic.start("old", 2).flows(20)
        name = proxy.ready(WIDEN)
        proxy.cli("cutover", name)
        traffic.start("new", 2).flows(40)
        proxy.cli("rollback", name)
        traffic.flows(40)
        proxy.cli("cutover", name)
        traffic.flows(40)
        proxy.cli("complete", name, "--force")
        traffic.flows(40)
        traffic.stop().verify(db, ["old"])
    assert kind_of(db) == "bigint" and catalog.traces(db.connect()) == []
    assert db.one("SELECT count(*) FROM items WHERE id <= 2000 AND n = id") == 2000


@pytest.mark.one_version
@pytest.mark.parametrize("phase", ["backfilling", "ready", "soaking"])
def test_kill_9_loses_nothing_of_a_change_of_type_in(db, segue, phase):
    make(db, 2000, 3500)
    proxy = segue(db)
    name = WIDEN["name"]
    with Traffic(proxy.connect, COUNT, outages=True) as traffic:
        traffic.start("old", 2).flows(10)
        if phase == "backfilling":
            proxy.console("THROTTLE rows_per_s 50")
            proxy.begin(WIDEN)
            proxy.wait_phase(name, "backfilling")
        else:
            proxy.ready(WIDEN)
            if phase == "soaking":
                proxy.cli("cutover", name)
        traffic.flows(5)
        proxy.kill9()
        db.sql("UPDATE items SET n = -n WHERE id = 2000")
        connected(proxy.start())
        traffic.flows(10)
        proxy.wait_phase(name, ("backfilling", "ready", "soaking"))
        proxy.console("THROTTLE rows_per_s off")
        if proxy.wait_phase(name, ("ready", "soaking"))["phase"] == "ready":
            proxy.cli("cutover", name)
        traffic.flows(10)
        connected(proxy.restart()).wait_phase(name, "soaking")
        proxy.cli("complete", name, "--force")
        traffic.flows(10)
        traffic.stop().verify(db, ["old"])
    assert kind_of(db) == "bigint" and catalog.traces(db.connect()) == []
    assert db.sql("SELECT n FROM items WHERE id IN (1, 2000) ORDER BY id") == [(1,), (-2000,)]


# ---- what clients have prepared ----

CHANGED = "cached plan must not change result type"


def test_what_was_prepared_before_gets_the_servers_own_error_and_what_is_prepared_after_the_new_type(db, segue):
    make(db)
    proxy = segue(db)
    conn, idle = proxy.connect(prepare_threshold=0), proxy.connect(prepare_threshold=0)
    named, star = "SELECT n FROM items WHERE id = %b", "SELECT * FROM items WHERE id = %b"
    put = "INSERT INTO items VALUES (%b, %b, 'p')"
    for c in (conn, idle):
        assert c.execute(named, (5,), binary=True).fetchone() == (5,)
        assert c.execute(star, (5,), binary=True).fetchone()[:2] == (5, 5)
    conn.execute(put, (5001, 51))
    idle.execute(put, (5002, 52))
    name = proxy.ready(WIDEN)
    assert conn.execute(named, (5,), binary=True).fetchone() == (5,)
    assert conn.execute(star, (5,), binary=True).fetchone()[:2] == (5, 5)
    conn.execute(put, (5003, 53))
    proxy.cli("cutover", name)
    for c in (conn, idle):
        for text in (named, star):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match=CHANGED):
                c.execute(text, (5,), binary=True)
    conn.execute(put, (5004, 54))
    again = proxy.connect(prepare_threshold=0)
    cur = again.execute(star, (5,), binary=True)
    assert cur.fetchone()[:2] == (5, 5) and [d.type_code for d in cur.description][:2] == [20, 20]
    proxy.cli("complete", name, "--force")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match=CHANGED):
        again.execute(star, (5,), binary=True)
    assert proxy.connect(prepare_threshold=0).execute(star, (5,), binary=True).fetchone() == (5, "note", "", 5)
    assert db.sql("SELECT id, n, note FROM items WHERE id > 5000 ORDER BY id") == [
        (5001, 51, "p"), (5002, 52, "p"), (5003, 53, "p"), (5004, 54, "p")]


@pytest.mark.one_version
def test_what_is_prepared_on_the_old_side_while_soaking_has_the_types_that_stay(db, segue):
    """The next change of a type is not what its types were told before."""
    make(db)
    proxy = segue(db)
    name = proxy.soaking(WIDEN)
    put = "UPDATE items SET note = %s WHERE id = %s RETURNING id"
    with proxy.connect(options="-c segue.schema=old", prepare_threshold=0) as conn:
        assert conn.execute(put, ("a", 5)).fetchone() == (5,)
        proxy.cli("complete", name, "--force")
        assert conn.execute(put, ("b", 5)).fetchone() == (5,)
        proxy.ready({"name": "on", "operations": [
            {"alter_column": {"table": "items", "column": "n", "type": "numeric"}},
            {"rename_column": {"table": "items", "from": "note", "to": "remark"}}]}) # it is prepared again for that
        assert conn.execute(put, ("c", 5)).fetchone() == (5,)
    assert db.one("SELECT note FROM items WHERE id = 5") == "c"


@pytest.mark.one_version
@pytest.mark.parametrize("end", ["complete", "abort"])
def test_a_type_that_was_told_before_the_end_is_no_broken_message_after_it(db, segue, end):
    """asyncpg leaves the types of parameters to the server, and sends them in binary as it was told once. What it prepares is
    written twice, so it is prepared again when the other half of the rename has gone."""
    make(db)
    proxy = segue(db)
    stays = "remark" if end == "complete" else "note"
    put = f"UPDATE items SET {stays} = $1, n = $2 WHERE id = $3 RETURNING id"

    async def prepared():
        conn = await asyncpg.connect(proxy.url())
        assert await conn.fetchval(put, "first", 1, 5) == 5
        return conn

    async def play():
        name = proxy.ready({"name": "widen", "operations": [
            *WIDEN["operations"], {"rename_column": {"table": "items", "from": "note", "to": "remark"}}]})
        before = [await prepared() for _ in range(2)]
        proxy.cli("cutover", name)
        after = [await prepared() for _ in range(2)]
        if end == "abort":
            proxy.cli("rollback", name)
        proxy.cli(end, name, "--force")
        told, other = (after, before) if end == "complete" else (before, after)
        for conn in told:  # the types are what they were
            async with conn.transaction():
                assert await conn.fetchval(put, "told", 2, 6) == 6
        assert await other[0].fetchval(put, "again", 3, 7) == 7  # asyncpg prepares again by itself
        with pytest.raises(asyncpg.exceptions.InvalidCachedStatementError):
            async with other[1].transaction():
                await other[1].fetchval(put, "never", 4, 8)
        for conn in before + after:
            await conn.close()

    asyncio.run(play())
    assert db.sql(f"SELECT id, {stays}, n FROM items WHERE id BETWEEN 5 AND 8 ORDER BY id") == [
        (5, "first", 1), (6, "told", 2), (7, "again", 3), (8, "note", 8)]


@pytest.mark.one_version
def test_complete_waits_for_who_counts_columns_and_says_who(db, segue):
    make(db)
    proxy = segue(db, quiet_period_s=30)
    name = proxy.soaking(WIDEN)
    proxy.connect(application_name="counter").execute("INSERT INTO items VALUES (1001, 11, 'a', 'b')")
    done = proxy.cli("complete", name, check=1)
    assert "counter" in done.err and "INSERT INTO items VALUES" in done.err
    other = proxy.cli("plan", proxy.file({"name": "y", "operations": [
        {"alter_column": {"table": "items", "column": "n", "type": "text"}}]}), check=1)
    assert 'migration "widen" is soaking on a table of this one' in other.err and "segue_" not in other.err
    assert 'one migration a table at a time: complete "widen" first, or roll it back (segue rollback widen)' in other.err
    proxy.cli("complete", name, "--force")
    plan = proxy.cli("plan", proxy.file({"name": "x", "operations": [
        {"alter_column": {"table": "items", "column": "n", "type": "numeric"}}]})).out
    assert "application counter (positional" in plan
    for told in ("at the cut-over it becomes numeric for everybody", "cached plan must not change result type",
                 "let clients connect anew after the cut-over", "until complete each write also makes bigint of it",
                 "integer out of range", "have such values written after complete only",
                 "complete leaves it behind the other columns", "COPY and INSERT without a list of columns count it there from then on"):
        assert told in " ".join(plan.split()), told


@pytest.mark.one_version
def test_a_partitioned_table_changes_a_type_in_all_its_partitions(db, segue):
    db.sql("CREATE TABLE items (id bigint, n integer NOT NULL, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
           "CREATE TABLE items_b (note text, n integer NOT NULL, id bigint NOT NULL);"
           "CREATE TABLE items_a PARTITION OF items FOR VALUES FROM (0) TO (100);"
           "ALTER TABLE items ATTACH PARTITION items_b FOR VALUES FROM (100) TO (100000);"
           "INSERT INTO items SELECT i, i, 'x' FROM generate_series(1, 300) i")
    proxy = segue(db)
    conn = proxy.connect()
    name = proxy.soaking(WIDEN)
    assert names_of(conn.execute("SELECT * FROM items")) == ["id", "n", "note"]
    assert names_of(conn.execute("SELECT * FROM items_b")) == ["note", "n", "id"]
    conn.execute("INSERT INTO items VALUES (50000, 5, 'y')")
    proxy.cli("rollback", name)
    conn.execute("INSERT INTO items VALUES (50001, 6, 'y')")
    proxy.cli("cutover", name)
    proxy.cli("complete", name, "--force")
    assert [kind_of(db, "n", t) for t in ("items", "items_a", "items_b")] == ["bigint"] * 3
    assert db.one("SELECT sum(n - id) FROM items") == 11 - 100001
    assert catalog.traces(db.connect()) == []
