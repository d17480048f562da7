"""A partition that is attached while others are filled has its rows filled, too; partitions of all levels come and go in all phases."""

import re
import sys

import pytest
from lib import catalog
from lib.operations import complete
from lib.segue import BUILD, REPO
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version
RENAME = {"name": "m", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "title"}}]}


@pytest.fixture
def parts(db):
    db.sql("CREATE TABLE items (id bigint NOT NULL, label text NOT NULL) PARTITION BY RANGE (id)")
    db.sql("CREATE TABLE items_1 PARTITION OF items FOR VALUES FROM (0) TO (100)")
    db.sql("INSERT INTO items SELECT i, 'label ' || i FROM generate_series(1, 50) i")
    return db


@pytest.mark.parametrize("point", ["fill_begun", "fill_mark", "fill_marked"])
def test_a_partition_attached_in_the_backfill_is_filled_before_not_null_is_proven(parts, segue, point):
    def attach(_):
        parts.sql("CREATE TABLE items_2 (LIKE items INCLUDING ALL)")
        parts.sql("INSERT INTO items_2 (id, label) SELECT i, 'label ' || i FROM generate_series(100, 150) i")
        parts.sql("ALTER TABLE items ATTACH PARTITION items_2 FOR VALUES FROM (100) TO (200)")

    told = Told(attach)
    proxy = segue(parts, start=False, environment={"SEGUE_FAULT": f"{point}:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(RENAME)
    assert parts.one("SELECT count(*) FROM items WHERE title = label") == 101
    assert parts.one("SELECT count(*) FROM segue.progress WHERE relation = 'items_2'::regclass AND rows = 51") == 1
    proxy.cli("cutover", "m")
    told.close()


@pytest.mark.parametrize("change", ["DROP COLUMN title", "ADD CHECK (id < 0) NOT VALID", "OWNER TO {other}"])
def test_a_partition_detached_in_the_backfill_is_none_of_its_business_any_more(parts, segue, change):
    """What its owner then makes of it must not stop the fill of all others, with a failure that no resume leaves."""
    owner, other = f"o_{parts.name}", f"a_{parts.name}"
    parts.sql(f"CREATE ROLE {owner} LOGIN; CREATE ROLE {other}; GRANT CREATE ON SCHEMA public TO {owner}; "
              f'GRANT CREATE ON DATABASE "{parts.name}" TO {owner}; '
              "CREATE TABLE items_2 PARTITION OF items FOR VALUES FROM (100) TO (200);"
              "INSERT INTO items SELECT i, 'label ' || i FROM generate_series(100, 150) i;"
              f"ALTER TABLE items OWNER TO {owner}; ALTER TABLE items_1 OWNER TO {owner}; ALTER TABLE items_2 OWNER TO {owner}")

    def detach(_):
        parts.sql("ALTER TABLE items DETACH PARTITION items_2; ALTER TABLE items_2 " + change.format(other=other))

    told = Told(detach)
    proxy = segue(parts, start=False, upstream=parts.url(owner), environment={"SEGUE_FAULT": "fill_begun:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(RENAME)
    assert parts.one("SELECT count(*) FROM items WHERE title = label") == 50
    assert parts.one("SELECT count(*) FROM segue.progress WHERE relation = 'items_2'::regclass") == 0
    proxy.cli("cutover", "m")
    told.close()
    proxy.stop()
    parts.sql(f"DROP OWNED BY {owner}, {other} CASCADE; DROP ROLE {owner}, {other}")


LEVELS = """
CREATE TABLE {s}.events (id int NOT NULL, kind text NOT NULL, n int NOT NULL DEFAULT 3, label text, CONSTRAINT counted CHECK (n > 0)) PARTITION BY RANGE (id);
CREATE TABLE {s}.low PARTITION OF {s}.events FOR VALUES FROM (0) TO (100);
CREATE TABLE {s}.branch PARTITION OF {s}.events FOR VALUES FROM (100) TO (200) PARTITION BY LIST (kind);
CREATE TABLE {s}.branch_a PARTITION OF {s}.branch FOR VALUES IN ('a'); CREATE TABLE {s}.branch_rest PARTITION OF {s}.branch DEFAULT;
CREATE TABLE {s}.leaves PARTITION OF {s}.events FOR VALUES FROM (200) TO (300) PARTITION BY LIST (kind); CREATE TABLE {s}.leaves_rest PARTITION OF {s}.leaves DEFAULT;
CREATE INDEX by_n ON {s}.events (n, label);
INSERT INTO {s}.events SELECT i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, i + 1, 'l' || i FROM generate_series(0, 299) i"""
# phase -> what comes or goes then: a branch with rows, a leaf of a branch, a whole branch, a leaf of a branch
COMES = {
    "backfilling": "CREATE TABLE {s}.late (LIKE {s}.events INCLUDING ALL) PARTITION BY LIST (kind); CREATE TABLE {s}.late_a PARTITION OF {s}.late FOR VALUES IN ('a');"
                   "INSERT INTO {s}.late (id, kind, n, label) SELECT i, 'a', i, 'l' || i FROM generate_series(300, 350) i;"
                   "ALTER TABLE {s}.events ATTACH PARTITION {s}.late FOR VALUES FROM (300) TO (400)",
    "ready": "CREATE TABLE {s}.branch_c (LIKE {s}.events INCLUDING ALL); ALTER TABLE {s}.branch ATTACH PARTITION {s}.branch_c FOR VALUES IN ('c');"
             "INSERT INTO {s}.events (id, kind, n, label) SELECT i, 'c', i, 'l' || i FROM generate_series(120, 125) i",
    "soaking": "ALTER TABLE {s}.events DETACH PARTITION {s}.leaves; DROP TABLE {s}.leaves",
    "ready again": "ALTER TABLE {s}.branch DETACH PARTITION {s}.branch_a; DROP TABLE {s}.branch_a",
}
MANY = {"name": "m", "operations": [
    {"rename_column": {"table": "events", "from": "label", "to": "title"}}, {"alter_column": {"table": "events", "column": "n", "type": "bigint"}},
    {"add_column": {"table": "events", "column": {"name": "size", "type": "int", "nullable": True}, "up": "length(label)"}},
    {"create_constraint": {"table": "events", "name": "key", "type": "primary_key", "columns": ["id", "kind"]}}]}
MANY_PLAIN = ("ALTER TABLE {s}.events RENAME label TO title; ALTER TABLE {s}.events ALTER n TYPE bigint; ALTER TABLE {s}.events ADD size int;"
              "UPDATE {s}.events SET size = length(title); ALTER TABLE {s}.events ADD CONSTRAINT key PRIMARY KEY (id, kind)")


def facts(db, schema):
    """Of all partitions, by their names; of their indexes and constraints PostgreSQL chooses the names."""
    with db.connect(options="-c search_path=") as conn:
        out = {}
        for (name,) in conn.execute("SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND (relispartition OR relkind = 'p')", (schema,)):
            doc = catalog.table(conn, f"{schema}.{name}")
            for part in "indexes", "constraints":
                doc[part] = sorted(re.sub(r"INDEX \S+ ON", "INDEX ON", str(one).replace(f"{schema}.", "")) for one in doc[part].values())
            out[name] = doc
        return out


def test_branches_and_leaves_come_and_go_in_every_phase(db, segue):
    """Several operations on a table of two levels, of which none stays as it was planned."""
    db.sql("CREATE SCHEMA plain")
    for schema in ("public", "plain"):
        db.sql(LEVELS.replace("{s}", schema))

    def change(phase):
        for schema in ("public", "plain"):
            db.sql(COMES[phase].replace("{s}", schema))

    proxy = segue(db)
    proxy.console("THROTTLE rows_per_s 20")
    proxy.begin(MANY)
    proxy.wait_phase("m", "backfilling")
    change("backfilling")
    proxy.console("THROTTLE rows_per_s off")
    proxy.wait_phase("m", "ready")
    for command, phase in (("cutover", "ready"), ("rollback", "soaking"), ("cutover", "ready again")):
        change(phase)
        proxy.cli("wait", "m")
        proxy.cli(command, "m")
        assert proxy.console("VERIFY m")[0]["rows_bad"] == 0
    complete(proxy, "m")
    db.sql(MANY_PLAIN.replace("{s}", "plain"))
    assert catalog.difference(facts(db, "plain"), facts(db, "public")) == []
    rows = [sorted(db.sql(f"SELECT id, kind, n, title, size FROM {schema}.events")) for schema in ("public", "plain")]
    assert rows[0] == rows[1] and len(rows[0]) == 207


def test_a_partition_that_came_empty_is_not_read_before_a_turn(parts, segue):
    db, name = parts, RENAME["name"]
    proxy = segue(db)
    read = "SELECT seq_tup_read > 0 FROM pg_stat_user_tables WHERE relname = %s"
    seen = "SELECT count(*) FROM segue.progress WHERE relation = %s::regclass AND guard IS NOT NULL"
    proxy.ready(RENAME)

    def comes(n):
        db.sql(f"CREATE TABLE items_{n} PARTITION OF items FOR VALUES FROM ({n}00) TO ({n}99)")
        until("it to be seen", lambda: db.one(seen, f"items_{n}"))
        db.sql(f"INSERT INTO items SELECT i, 'new ' || i FROM generate_series({n}00, {n}50) i")

    def turns(n, command):
        proxy.cli(command, name)
        until("what was read to be counted", lambda: db.one("SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = %s", f"items_{n}"))
        assert not db.one(read, f"items_{n}")

    comes(2)
    turns(2, "cutover")
    comes(3)
    turns(3, "rollback")
    # one that has left, was written to, and comes again is looked at
    db.sql("ALTER TABLE items DETACH PARTITION items_3; UPDATE items_3 SET label = 'past' WHERE id = 301; "
           "ALTER TABLE items ATTACH PARTITION items_3 FOR VALUES FROM (300) TO (399)")
    assert "not in step" in proxy.cli("cutover", name, check=1).err
