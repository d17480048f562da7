"""Random operations of a migration file, each with the plain DDL that comes to the same."""

from property.op_columns import Columns
from property.op_constraints import Constraints
from property.op_tables import Tables

KINDS = ["rename_column"] * 7 + ["alter_pair"] * 8 + ["alter_bound"] * 2 + ["alter_default", "alter_comment", "alter_nullable", "alter_nullable"] + \
    ["change_columns"] * 8 + ["add_column"] * 6 + ["drop_column"] * 3 + ["create_index"] * 4 + ["create_constraint"] * 5 + \
    ["set_replica_identity"] * 2 + ["create_table"] * 2 + ["create_constraint_up"] * 2 + ["rename_table"] * 3 + ["drop_constraint"] * 2 + \
    ["drop_index", "rename_constraint", "index_of_made", "drop_table", "create_enum", "add_enum_value", "remove_enum", "sql"]


class Maker(Columns, Constraints, Tables):
    """What one operation has made, another one may use."""

    def __init__(self, seed, schema, version):
        super().__init__(seed, schema, version)
        self.enums, self.tables, self.uniques = [], [], []

    def make(self, count, kinds=KINDS):
        return super().make(count, kinds)

    def note(self, op):
        super().note(op)
        if op.kind == "create_enum":
            self.enums.append(op)
        if op.kind == "create_table":
            self.tables.append(op)
        if op.kind in ("create_index", "create_constraint") and self.may_identify(op, op.table):
            self.uniques.append(op)
        if op.drops:
            self.gone |= {(op.table.name, c.name) for c in op.table.columns}
