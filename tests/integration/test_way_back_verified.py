"""verify after a way back: what the new application has made NULL is no row that was never filled."""

import pytest
from lib.operations import build, new, old

pytestmark = pytest.mark.one_version
TABLES = "CREATE TABLE {s}.items (id bigint PRIMARY KEY, label text, whole text); INSERT INTO {s}.items VALUES (1, 'a', 'x'), (2, NULL, NULL)"
FILE = {"name": "nulls", "operations": [
    {"add_column": {"table": "items", "column": {"name": "size", "type": "integer", "nullable": True}, "up": "0"}},
    {"alter_column": {"table": "items", "column": "label", "name": "title", "up": "coalesce(label, 'none')", "down": "title"}},
    {"change_columns": {"table": "items", "from": ["whole"], "to": [
        {"name": "l", "type": "text", "nullable": True}, {"name": "r", "type": "text", "nullable": True}],
        "up": {"l": "coalesce(left(whole, 1), '-')", "r": "right(whole, 1)"}, "down": {"whole": "l"}}}]}


def test_nulls_written_in_soak_are_in_step_after_a_rollback_and_bar_no_second_cutover(db, segue):
    build(db, TABLES)
    proxy = segue(db)
    name = proxy.soaking(FILE)
    new(proxy).execute("UPDATE items SET size = NULL, title = NULL, l = NULL, r = NULL WHERE id = 1")
    old(proxy).execute("INSERT INTO items (id, label, whole) VALUES (3, 'c', 'y')")
    proxy.cli("rollback", name)
    assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 0
    db.sql('ALTER TABLE items DISABLE TRIGGER "~segue_guard"; UPDATE items SET label = \'past it\' WHERE id = 1;'
           'ALTER TABLE items ENABLE ALWAYS TRIGGER "~segue_guard"')
    assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 1
    db.sql("UPDATE items SET label = NULL WHERE id = 1")
    assert proxy.console(f'VERIFY "{name}"')[0]["rows_bad"] == 0
    proxy.cli("cutover", name)
