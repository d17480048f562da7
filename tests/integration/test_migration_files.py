"""Migration files as files: YAML and JSON say the same, and what is wrong is told with line and path."""

import json

import pytest
from lib.tables import make_items

pytestmark = pytest.mark.one_version
YAML = """\
# the label becomes a title
name: rename_label
operations:
  - rename_column: {table: items, from: label, to: title}
  - add_column:
      table: items
      column: {name: size, type: int, nullable: true}
      up: |
        -- of the label
        length(label)
"""
JSON = {"name": "rename_label", "operations": [
    {"rename_column": {"table": "items", "from": "label", "to": "title"}},
    {"add_column": {"table": "items", "column": {"name": "size", "type": "int", "nullable": True},
                    "up": "-- of the label\nlength(label)\n"}}]}

WRONG = {
    "tab": ("name: m\noperations:\n\t- sql: {}\n", "wrong.yaml:3: ", "indent with blanks"),
    "unknown field": ("name: m\noperations:\n  - rename_column:\n      table: items\n      form: label\n",
                      "wrong.yaml:5: operations[0].rename_column.form: unknown field", "allowed here: table, from, to"),
    "misplaced field": ("name: m\noperations:\n  - rename_column: {table: items, from: label, to: title}\n    up: label\n",
                        "wrong.yaml:3: operations[0]: an operation is an object with one of", "rename_column"),
    "alias": ("name: &n m\noperations: []\n", "wrong.yaml:1: name: anchors are not taken", "write out"),
    "no such column": ("name: m\noperations:\n  - rename_column:\n      table: items\n\n      from: lable\n      to: title\n",
                       "wrong.yaml:6: operations[0].rename_column.from: ", 'has no column "lable"'),
    "another column": ("name: m\noperations:\n  - drop_column: {table: items, column: nothing}\n",
                       "wrong.yaml:3: operations[0].drop_column.column: ", "hint: its columns: id, label"),
    "a slip": ("name: m\noperations:\n  - drop_column: {table: items, column: lable}\n",
               "wrong.yaml:3: operations[0].drop_column.column: ", 'hint: did you mean "label"?'),
    "truth": ("name: m\noperations:\n  - sql:\n      up: SELECT 1\n      onComplete: yes\n",
              "wrong.yaml:5: operations[0].sql.onComplete: yes without quotes", "true or false"),
}


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_yaml_and_json_give_the_same_plan_and_yaml_runs(db, segue, tmp_path):
    make_items(db, 50)
    proxy = segue(db)
    plans = [proxy.cli("plan", write(tmp_path, name, text)).out for name, text in
             (("m.yaml", YAML), ("m.json", json.dumps(JSON)), ("migration", YAML), ("odd.YML", json.dumps(JSON)))]
    assert plans[0] == plans[1] == plans[2] == plans[3]
    assert "length(label)" in plans[0]
    proxy.cli("migrate", write(tmp_path, "m.yaml", YAML))
    assert db.one("SELECT count(*) FROM items WHERE title = label AND size = length(label)") == 50
    # the name is found in YAML, too: before the catalog is looked at, which no longer fits
    assert "is already soaking" in proxy.cli("start", tmp_path / "m.yaml", check=1).err


def test_what_is_wrong_in_yaml_is_told_with_line_and_path(db, segue, tmp_path):
    make_items(db, 1)
    proxy = segue(db)
    for what, (text, *wanted) in WRONG.items():
        refused = proxy.cli("plan", write(tmp_path, "wrong.yaml", text), check=1).err
        for word in wanted:
            assert word in refused, f"{what}: {word!r} is not in\n{refused}"
