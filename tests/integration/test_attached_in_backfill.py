"""A partition that is attached while others are filled has its rows filled, too."""

import sys

import pytest
from lib.segue import BUILD, REPO

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
