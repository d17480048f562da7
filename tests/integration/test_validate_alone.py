"""VALIDATE CONSTRAINT commits while no writer is under way.

PostgreSQL frees the description of a table under a statement that has begun to look at its CHECKs when a VALIDATE of
another session commits, if a trigger in PL/pgSQL (the guard is one) has run in the session: XX000, "unrecognized token".
"""

import sys

import pytest
from lib.segue import BUILD, REPO
from lib.tables import make_items
from lib.wait import until

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.one_version

NAME = "long"
CHECK = {"name": NAME, "operations": [{"create_constraint": {
    "table": "items", "name": "label_long", "type": "check", "columns": ["label"], "check": "length(label) > 0",
    "up": {"label": "label"}, "down": {"label": "label"}}}]}
WAITS = ("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareRowExclusiveLock' AND relation = 'items'::regclass "
         "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
VALID = "SELECT bool_and(convalidated) FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype = 'c'"


@pytest.fixture
def writer(db, segue):
    """A transaction that has written since a moment before the VALIDATE, and a segue that is at it."""
    make_items(db, 10)
    writer = db.connect(autocommit=False)
    told = Told(lambda _: writer.execute("UPDATE items SET note = 'open' WHERE id = 1"))
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": "long_before/soaking:tell", "SEGUE_FAULT_SOCKET": told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.ready(CHECK)
    proxy.console(f"CUTOVER {NAME}")
    yield writer
    writer.close()
    told.close()


def test_a_writer_under_way_is_waited_for(db, writer):
    until("it to wait for the writer", lambda: db.one(WAITS))
    assert not db.one(VALID)
    writer.commit()
    until("the constraint to be valid", lambda: db.one(VALID))


def test_a_long_transaction_is_not_waited_for_in_the_end(db, writer):
    until("it to wait for the writer", lambda: db.one(WAITS))
    until("the constraint to be valid", lambda: db.one(VALID))
    writer.commit()
