"""verify counts every row once, whatever becomes of its table between two ranges of blocks."""

import sys
import threading

import psycopg
import pytest
from lib.operations import unguarded
from lib.segue import BUILD, REPO
from lib.tables import RENAME, make_items

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.newest_unless_told
NAME = "checked"
FILE = {"name": NAME, "operations": [{"rename_column": {
    "table": "items", "from": "label", "to": "title", "type": "text", "up": "same(label)", "down": "title"}}]}
SAME = "CREATE OR REPLACE FUNCTION same(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN {} RETURN $1; END$$;"


class Meanwhile:
    """Runs statements before the third range of a pass."""

    def __init__(self, db, proxy):
        self.db, self.proxy, self.sql = db, proxy, []
        self.told = Told(lambda _: self.db.sql(self.sql.pop()))
        proxy.environment = {"SEGUE_FAULT": "verify_range/ready#3:tell", "SEGUE_FAULT_SOCKET": self.told.path}
        proxy.program = BUILD / "faults" / "segue"

    def verify(self, sql):
        self.sql.append(sql)
        self.proxy.restart().at_work()
        row, = self.proxy.console(f"VERIFY {NAME}")
        assert not self.sql
        return int(row["rows_verified"]), int(row["rows_bad"])


def test_every_row_is_counted_though_the_table_is_rewritten_or_called_otherwise(db, segue):
    make_items(db, 3000, filler=3500, more=SAME.format(""))
    proxy = segue(db)
    proxy.ready(FILE)
    meanwhile = Meanwhile(db, proxy)
    unguarded(db.connect(), "items", "UPDATE items SET title = 'smuggled' WHERE id = 1501; DELETE FROM items WHERE id <= 1500")

    # another table has the name for a moment; then it is in another schema
    assert meanwhile.verify("ALTER TABLE items RENAME TO gone; CREATE TABLE items AS SELECT * FROM gone LIMIT 0") == (1500, 1)
    db.sql("DROP TABLE items; ALTER TABLE gone RENAME TO items; CREATE SCHEMA far")
    assert meanwhile.verify("ALTER TABLE items SET SCHEMA far") == (1500, 1)
    db.sql("ALTER TABLE far.items SET SCHEMA public")
    # its last rows come into blocks that were read
    assert meanwhile.verify("VACUUM FULL items") == (1500, 1)
    assert db.one("SELECT jsonb_array_length(sample) FROM segue.verifications ORDER BY began_at DESC LIMIT 1") == 1
    # what an expression calls does not find something: no partition that was dropped
    with pytest.raises(psycopg.errors.UndefinedTable, match="nowhere"):
        meanwhile.verify(SAME.format("PERFORM FROM nowhere;"))
    meanwhile.told.close()


def test_a_row_written_past_the_guard_is_found_wherever_an_update_takes_it(db, segue):
    make_items(db, 3000, filler=3500, more=SAME.format(""))
    proxy = segue(db)
    proxy.ready(FILE)
    meanwhile = Meanwhile(db, proxy)
    unguarded(db.connect(), "items", "UPDATE items SET label = 'new' WHERE id = 2999")
    db.sql("CLUSTER items USING items_pkey")  # at its end: there is no room for it in the blocks that are there
    assert meanwhile.verify("UPDATE items SET note = 'seen' WHERE id = 2999") == (3000, 1)
    assert "2999" in db.one("SELECT sample::text FROM segue.verifications ORDER BY began_at DESC LIMIT 1")
    # who holds what the verify sees is ended: it looks anew
    holder = ("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'segue' "
              "AND state = 'idle in transaction' AND datname = current_database()")
    assert meanwhile.verify(holder) == (3000, 1)
    db.sql("UPDATE items SET title = label WHERE id = 2999")
    assert meanwhile.verify("UPDATE items SET note = 'seen' WHERE id < 10") == (3000, 0)
    # what was seen is read without
    assert meanwhile.verify(f"DO $$BEGIN ASSERT NOT EXISTS ({holder}); END$$") == (3000, 0)
    proxy.cli("cutover", NAME)
    assert db.one("SELECT title FROM items WHERE id = 2999") == "new"
    meanwhile.told.close()


def test_who_was_in_its_way_is_not_told_for_ever(db, segue):
    make_items(db)
    proxy = segue(db)
    proxy.soaking(RENAME)
    holder = db.connect(autocommit=False)
    holder.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
    verify = threading.Thread(target=proxy.cli, args=("verify", RENAME["name"]))
    verify.start()
    proxy.wait(RENAME["name"], lambda row: "tried again, 1 times so far" in (row["blockers"] or ""))
    holder.rollback()
    verify.join()
    proxy.wait(RENAME["name"], lambda row: not row["blockers"])
