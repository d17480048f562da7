"""The table that goes to and fro between two sides, the two migrations, and what a row of either side holds.

A row is (n, m): n is in every column that migrates, m in one that does not. So a row shows by itself whether its columns
are in step, and the oracle keeps two numbers for each.
"""

from decimal import Decimal

TABLE = "orders"
SIDES = {"a": ("label", "cents", "qty"), "b": ("title", "price", "qty", "flag")}
CONSTRAINT = {"a": "note_is_short", "b": "note_has_an_end"}
# what belongs to whom: seeded rows to all workers, new ones to who inserts them
FIRST_NEW = 1_000_000_000
N_MAX = 20_000_000

CREATE = f"""
CREATE TABLE {TABLE} (id bigint PRIMARY KEY, label text NOT NULL, cents integer NOT NULL, qty integer NOT NULL, note text,
                      CONSTRAINT {CONSTRAINT["a"]} CHECK (length(note) < 100));
CREATE INDEX orders_cents ON {TABLE} (cents)
"""
FILL = f"INSERT INTO {TABLE} SELECT i, 'v' || i, i, i %% 100000, 'm0' FROM generate_series(%s::bigint, %s::bigint) i"
# The receiver knows no constraint: what the sender adds and drops, it keeps.
RECEIVER = f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, label text, cents integer, qty integer, note text)"

# n of a row as its side has it, and whether its columns say the same
N_OF = {"a": "cents", "b": "(price * 100)::integer"}
OUT_OF_STEP = {
    "a": "label IS DISTINCT FROM 'v' || cents OR qty <> cents % 100000",
    "b": "title IS DISTINCT FROM 'v' || (price * 100)::integer OR qty <> (price * 100)::integer % 100000 "
         "OR flag IS DISTINCT FROM 'f' || id % 10"}


def other(side):
    return "b" if side == "a" else "a"


def migration(number, to):
    """A plain rename, one with expressions, a type under its own name, a column that comes or goes (NOT NULL: who
    does not know it has it filled on either side of the cut-over), a constraint's name."""
    side = other(to)
    typed = {"a": ("price", "cents", "integer", "(price * 100)::integer", "cents / 100.0"),
             "b": ("cents", "price", "numeric(12,2)", "cents / 100.0", "(price * 100)::integer")}[to]
    flag = {"a": {"drop_column": {"table": TABLE, "column": "flag", "down": "'f' || id % 10"}},
            "b": {"add_column": {"table": TABLE, "up": "'f' || id % 10",
                                 "column": {"name": "flag", "type": "text"}}}}[to]
    qty = {"a": ("integer", "qty::integer", "qty::bigint"), "b": ("bigint", "qty::bigint", "qty::integer")}[to]
    return {"name": f"long_{number}_to_{to}", "operations": [
        {"rename_column": {"table": TABLE, "from": SIDES[side][0], "to": SIDES[to][0]}},
        {"rename_column": {"table": TABLE, **dict(zip(("from", "to", "type", "up", "down"), typed))}},
        {"alter_column": {"table": TABLE, "column": "qty", **dict(zip(("type", "up", "down"), qty))}},
        flag,
        {"rename_constraint": {"table": TABLE, "from": CONSTRAINT[side], "to": CONSTRAINT[to]}}]}


def values(side, number, n):
    """Of the columns of a side, in their order."""
    if side == "a":
        return [f"v{n}", n, n % 100000]
    return [f"v{n}", Decimal(n).scaleb(-2), n % 100000, f"f{number % 10}"]


def columns(sides):
    """Of one side, or of both (qty is one column), with the place of each among the values."""
    out = {}
    for side in sides:
        for i, name in enumerate(SIDES[side]):
            out.setdefault(name, (side, i))
    return out
