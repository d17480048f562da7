"""Version tables of Alembic, drizzle and the application's own: moved on at the cut-over, and back."""

import hashlib

import pytest
from lib.versions import Alembic, Drizzle, DrizzleKit

ITEMS = "CREATE TABLE items (id bigint PRIMARY KEY, label text)"
RENAME = [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]


def migration(**version):
    return {"name": "m", "operations": RENAME, "version_table": version}


def plan_says(proxy, **version):
    out = proxy.cli("plan", proxy.file(migration(**version)), check=1)
    return out.out + out.err


@pytest.mark.one_version
def test_alembic_goes_on_from_where_the_cut_over_has_left_it(db, segue, tmp_path):
    alembic = Alembic(tmp_path / "alembic", db.url())
    alembic.revision("aaa", None, f'op.execute("{ITEMS}")')
    alembic.run("upgrade", "head")
    proxy = segue(db)
    file = migration(alembic={"from": ["aaa"], "to": "bbb"})
    assert "it holds aaa" in plan_says(proxy, alembic={"from": ["zzz"], "to": "bbb"})
    too_long = plan_says(proxy, alembic={"from": ["aaa"], "to": "b" * 33})
    assert "version_table.alembic.to: the cut-over could not write it: value too long" in too_long
    proxy.soaking(file)
    assert db.sql("SELECT version_num FROM alembic_version") == [("bbb",)]
    proxy.cli("rollback", "m")
    assert db.sql("SELECT version_num FROM alembic_version") == [("aaa",)]
    proxy.cli("cutover", "m")
    proxy.cli("complete", "m")
    # the revision that the migration has carried out, then one that really runs
    alembic.revision("bbb", "aaa", "op.alter_column('items', 'label', new_column_name='title')")
    alembic.revision("ccc", "bbb", "op.execute('UPDATE items SET title = title')")
    alembic.run("upgrade", "head")
    assert alembic.run("current").split()[0] == "ccc"
    # the version table is a table like others: what Alembic does past segue is drift of what it changes only
    assert proxy.cli("diff").out == ""


@pytest.mark.one_version
def test_drizzle_goes_on_from_where_the_cut_over_has_left_it(db, segue, tmp_path):
    drizzle = Drizzle(tmp_path / "drizzle")
    drizzle.add("0000_begin", 1700000000000, ITEMS)
    drizzle.migrate(db.url())
    sql = "ALTER TABLE items RENAME label TO title; -- what segue does"
    entry = {"from": 1700000000000, "when": 1700000001000, "hash": hashlib.sha256(sql.encode()).hexdigest()}
    proxy = segue(db)
    assert "its last entry is of 1700000000000" in plan_says(proxy, drizzle={**entry, "from": 0})
    assert "later than" in plan_says(proxy, drizzle={**entry, "when": 1})
    assert "there is no table" in plan_says(proxy, drizzle={**entry, "table": "nope.t"})
    proxy.soaking(migration(drizzle=entry))
    rows = "SELECT created_at, hash FROM drizzle.__drizzle_migrations ORDER BY 1"
    assert db.sql(rows)[1:] == [(1700000001000, entry["hash"])]
    proxy.cli("rollback", "m")
    assert len(db.sql(rows)) == 1
    # somebody else was there in between: the cut-over gives up, and changes nothing
    db.sql("INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('x', 1700000000500)")
    assert "expects 1700000000000" in proxy.cli("cutover", "m", check=4).err
    db.sql("DELETE FROM drizzle.__drizzle_migrations WHERE hash = 'x'")
    proxy.cli("cutover", "m")
    proxy.cli("complete", "m")
    drizzle.add("0001_title", 1700000001000, sql, "0000_begin")
    drizzle.add("0002_more", 1700000002000, "ALTER TABLE items ADD more int", "0001_title")
    drizzle.migrate(db.url())
    assert [at for at, _ in db.sql(rows)] == [1700000000000, 1700000001000, 1700000002000]
    assert db.one("SELECT count(*) FROM information_schema.columns WHERE column_name = 'more'") == 1


@pytest.mark.one_version
def test_drizzle_kit_takes_the_database_for_migrated_after_the_cut_over_and_not_before(db, segue, tmp_path):
    kit = DrizzleKit(tmp_path / "project", db.url())
    begin = kit.generate("begin", "label: text('label')")
    kit.run("migrate")
    title = kit.generate("title", "title: text('title')", renames=True)
    assert 'RENAME COLUMN "label" TO "title"' in title["sql"]
    proxy = segue(db)
    proxy.ready(migration(drizzle={"from": begin["when"], "when": title["when"], "hash": title["hash"]}))
    rows = "SELECT created_at, hash FROM drizzle.__drizzle_migrations ORDER BY 1"
    kit.run("migrate", check=1)  # it runs the entry, which PostgreSQL refuses: the column is there already
    assert db.sql(rows) == [(begin["when"], begin["hash"])]
    proxy.cli("cutover", "m")
    assert db.sql(rows)[1:] == [(title["when"], title["hash"])]
    proxy.cli("complete", "m", "--force")
    kit.run("migrate")
    assert len(db.sql(rows)) == 2
    assert "No changes detected" in kit.run("push")
    assert proxy.cli("lint", "--drizzle", kit.folder, "--server", proxy.server, server=False).code == 0


def test_a_table_of_ones_own_is_moved_by_ones_own_statements(db, segue):
    db.sql(ITEMS + "; CREATE TABLE version (v int); INSERT INTO version VALUES (41)")
    proxy = segue(db)
    own = {"table": "version", "up": "UPDATE version SET v = 42 WHERE v = 41", "down": "UPDATE version SET v = 41 WHERE v = 42"}
    for change, want in (({"up": "SELECT 1"}, "version_table.sql.up: one INSERT, UPDATE or DELETE is wanted"),
                         ({"down": "DELETE FROM items"}, "version_table.sql.down: it writes items"),
                         ({"up": own["up"] + "; " + own["up"]}, "one INSERT, UPDATE or DELETE is wanted"),
                         ({"up": "UPDATE version SET w = 1"}, 'column "w" of relation "version" does not exist'),
                         ({"table": "nope", "up": "DELETE FROM nope", "down": "DELETE FROM nope"}, "there is no table nope")):
        assert want in plan_says(proxy, sql={**own, **change})
    proxy.soaking(migration(sql=own))
    assert db.one("SELECT v FROM version") == 42
    proxy.cli("rollback", "m")
    assert db.one("SELECT v FROM version") == 41
    db.sql("UPDATE version SET v = 7")
    assert "has changed no row" in proxy.cli("cutover", "m", check=4).err
    assert db.one("SELECT v FROM version") == 7 and proxy.phase("m") == "ready"
