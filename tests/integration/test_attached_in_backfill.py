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
