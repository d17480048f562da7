"""The lock behind a VALIDATE is asked for within a tenth of a second, however many partitions there are: their clients wait as long."""

import sys
import time

import pytest
from lib.segue import BUILD, REPO
from lib.wait import SLOW, until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version
PARTS = 10
CHECK = {"name": "m", "operations": [{"create_constraint": {
    "table": "items", "name": "label_long", "type": "check", "columns": ["label"], "check": "length(label) > 0",
    "up": {"label": "label"}, "down": {"label": "label"}}}]}
LOCKS = ("SELECT relation::regclass::text, granted FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND locktype = 'relation' "
         "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
VALID = "SELECT bool_and(convalidated) FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'c'"


def test_locks_that_come_one_by_one_are_not_kept_longer_than_one(db, segue):
    db.sql("CREATE TABLE items (id int, label text) PARTITION BY LIST (id)")
    for i in range(PARTS):
        db.sql(f"CREATE TABLE items_{i} PARTITION OF items FOR VALUES IN ({i})")
        db.sql(f"INSERT INTO items VALUES ({i}, 'label')")
    writers = {f"items_{i}": db.connect(autocommit=False) for i in range(PARTS)}
    told = Told(lambda _: [conn.execute(f"UPDATE {name} SET label = 'open'") for name, conn in writers.items()])
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": "long_before/soaking:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(CHECK)
    proxy.console("CUTOVER m")
    began, kept = {}, [0.0]

    def look():
        """Ends each writer when it was waited for for a while; notes for how long the table's own lock was kept."""
        locks, now = dict(db.sql(LOCKS)), time.monotonic()
        for name in [name for name in began if name not in locks]:
            del began[name]
        for name, granted in locks.items():
            waited = now - began.setdefault(name, now)
            if name == "items" and granted:
                kept.append(waited)
            elif not granted and waited > 0.06 and name in writers:
                writers.pop(name).commit()
        return db.one(VALID)

    until("the constraint to be valid", look, every=0.005)
    assert 0.02 < max(kept) < 0.3 * SLOW
    told.close()
