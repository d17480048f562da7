"""verify counts every row once, whatever becomes of its table between two ranges of blocks."""

import sys

import psycopg
import pytest
from lib.operations import unguarded
from lib.segue import BUILD, REPO
from lib.tables import make_items

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
