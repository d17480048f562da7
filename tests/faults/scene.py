"""What is migrated in a cell: the tables, the file, what must be there at the end."""

from dataclasses import dataclass, field

from lib.traffic import PLAIN, Group, Pair

NAME = "faulty"
ROWS = 300
ENDS = ("aborted", "done")
OWN = {"sql": {"up": "INSERT INTO kinds VALUES ('from the file')", "down": "DELETE FROM kinds WHERE label = 'from the file'"}}
RENAME = {"rename_column": {"table": "items", "from": "label", "to": "title"}}
SIZE = {"add_column": {"table": "items", "up": "length(label)",
                       "column": {"name": "size", "type": "integer", "nullable": True}}}
ITEMS = f"""
CREATE TABLE kinds (label text PRIMARY KEY);
INSERT INTO kinds VALUES ('kind');
CREATE TABLE items (id bigint PRIMARY KEY, label text NOT NULL, note text, filler text);
ALTER TABLE items ALTER filler SET STORAGE PLAIN;
CREATE INDEX ix_label ON items (label);
ALTER TABLE items ADD CONSTRAINT label_long CHECK (length(label) > 0);
INSERT INTO items SELECT i, 'row ' || i, 'note', repeat('f', 1700) FROM generate_series(1, {ROWS}) i;
"""


@dataclass(frozen=True)
class Flow:
    """A table that clients write, with an oracle; of the rows up to ROWS they write none."""

    pair: Pair
    made: dict  # by column, of either revision: an expression of id
    table: str = "items"
    new_table: str = ""

    def name(self, revision):
        return self.new_table if revision == "new" and self.new_table else self.table

    def as_made(self, revision):
        return " AND ".join(f"{column} = {self.made[column]}" for column in self.pair.columns(revision))


@dataclass(frozen=True)
class Scene:
    name: str
    tables: str
    operations: list
    flows: tuple = (Flow(PLAIN, dict.fromkeys(("label", "title"), "'row ' || id")),)
    more: dict = field(default_factory=dict)  # of the file
    kinds: int = 2  # rows of kinds after done: statements of the file run once
    kept: dict = field(default_factory=dict)  # by the end, a query: what nobody has written is the same, whatever the road
    touches: dict = field(default_factory=dict)  # by revision, statements with one parameter, 1..20: what clients do beside

    @property
    def file(self):
        return {"name": NAME, "operations": self.operations, **self.more}


FEW = Scene("few", ITEMS, [
    OWN, RENAME, SIZE,
    {"create_table": {"name": "remarks", "columns": [
        {"name": "id", "type": "bigint", "pk": True},
        {"name": "item", "type": "bigint", "nullable": True, "references": {"table": "items", "column": "id"}}]}},
    {"create_table": {"name": "alone", "columns": [{"name": "id", "type": "bigint", "pk": True}]}},
    {"create_index": {"name": "items_note", "table": "items", "columns": ["note"]}}])

KEPT = ("SELECT (SELECT string_agg(concat_ws(',', id, code, kind, coalesce(note, 'none'), feels, n, m, a, b), ';' ORDER BY id) "
        "FROM goods), (SELECT string_agg(concat_ws(',', o.id, what, l.id), ';' ORDER BY l.id) FROM orders o JOIN lines l "
        "ON l.order_id = o.id), (SELECT version_num FROM alembic_version)")
TOUCHES = ("UPDATE orders SET what = 'order ' || id WHERE id = %s", "UPDATE goods SET m = m, note = note WHERE id = %s")

# what FEW has not: keys with what refers to them, constraints that come and go, whole things
MANY = Scene("many", ITEMS + """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE shade AS ENUM ('light', 'dark');
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('a1');
CREATE TABLE orders (id serial PRIMARY KEY, what text);
CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES orders (id));
CREATE TABLE goods (id int PRIMARY KEY, code text NOT NULL, old_code text NOT NULL, kind text, note text, feels mood,
    n int, m int, a int, b int, CONSTRAINT goods_m CHECK (m > 0), CONSTRAINT goods_ab CHECK (a = b),
    CONSTRAINT goods_long CHECK (length(code) > 0));
CREATE INDEX goods_n ON goods (n);
CREATE TABLE old_stuff (id int PRIMARY KEY, tone shade);
INSERT INTO orders (what) SELECT 'order ' || i FROM generate_series(1, 20) i;
INSERT INTO lines SELECT i, 1 + i % 20 FROM generate_series(1, 60) i;
INSERT INTO goods SELECT i, 'c' || i, 'o' || i, 'kind', nullif('n' || i, 'n7'), 'sad', i, i, i, i FROM generate_series(1, 20) i;
INSERT INTO old_stuff VALUES (1, 'dark');
""", [
    OWN, RENAME,
    {"sql": {"up": "INSERT INTO kinds VALUES ('at the end')", "onComplete": True}},
    {"alter_column": {"table": "orders", "column": "id", "type": "bigint", "up": "id", "down": "id"}},
    {"create_constraint": {"table": "goods", "name": "n_small", "type": "check", "check": "n < 1000"}},
    {"create_constraint": {"table": "goods", "name": "of_kind", "type": "foreign_key", "columns": ["kind"],
                           "references": {"table": "kinds", "columns": ["label"]}}},
    {"create_constraint": {"table": "goods", "name": "code_once", "type": "unique", "columns": ["code"]}},
    {"alter_column": {"table": "goods", "column": "note", "nullable": False, "up": "coalesce(note, 'none')", "down": "note"}},
    {"alter_column": {"table": "goods", "column": "kind", "default": "'kind'", "comment": "of kinds"}},
    {"drop_column": {"table": "goods", "column": "old_code", "down": "'code of ' || id"}},
    {"drop_constraint": {"table": "goods", "name": "goods_m", "up": "m", "down": "greatest(m, 1)"}},
    {"drop_multicolumn_constraint": {"table": "goods", "name": "goods_ab", "up": {"a": "a", "b": "b"}, "down": {"b": "a"}}},
    {"create_enum": {"name": "order_state", "values": ["new", "paid"]}},
    {"add_enum_value": {"name": "mood", "value": "fine"}},
    {"remove_enum": {"name": "shade"}},
    {"drop_table": {"name": "old_stuff"}},
    {"drop_index": {"name": "goods_n"}},
    {"rename_constraint": {"table": "goods", "from": "goods_long", "to": "goods_is_long"}},
    {"set_replica_identity": {"table": "goods", "identity": {"type": "full"}}}],
    more={"version_table": {"alembic": {"from": ["a1"], "to": "b2"}}}, kinds=3,
    kept=dict.fromkeys(ENDS, KEPT), touches=dict.fromkeys(("old", "new"), TOUCHES))

# tables under two names, columns split and merged: what has no other half of its own
PEOPLE = Group(olds={"name": "P{n} Q{n}", "street": "S {n}", "city": "C{n}"},
               news={"first": "P{n}", "last": "Q{n}", "address": "S {n}, C{n}"})
SPLIT = {"change_columns": {
    "table": "people", "from": ["name"],
    "to": [{"name": "first", "type": "text", "default": "'No'"}, {"name": "last", "type": "text", "nullable": True}],
    "up": {"first": "split_part(name, ' ', 1)", "last": "nullif(split_part(name, ' ', 2), '')"},
    "down": {"name": "concat_ws(' ', first, last)"}}}
MERGE = {"change_columns": {
    "table": "people", "from": ["street", "city"], "to": [{"name": "address", "type": "text"}],
    "up": {"address": "concat_ws(', ', street, city)"},
    "down": {"street": "split_part(address, ', ', 1)", "city": "split_part(address, ', ', 2)"}}}
RENAME_TABLES = [{"rename_table": {"from": "items", "to": "things"}}, {"rename_table": {"from": "logs", "to": "events"}}]
NAMES = Scene("names", ITEMS + f"""
CREATE TABLE parts (id int PRIMARY KEY, item bigint REFERENCES items (id) ON DELETE CASCADE);
INSERT INTO parts SELECT i, i FROM generate_series(1, 20) i;
CREATE TABLE logs (id int PRIMARY KEY, what text) PARTITION BY RANGE (id);
CREATE TABLE logs_low PARTITION OF logs FOR VALUES FROM (0) TO (10);
CREATE TABLE logs_rest PARTITION OF logs DEFAULT;
INSERT INTO logs SELECT i, 'log ' || i FROM generate_series(1, 20) i;
CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, street text, city text NOT NULL, note text, filler text,
    CONSTRAINT named CHECK (name <> ''));
ALTER TABLE people ALTER filler SET STORAGE PLAIN;
CREATE INDEX people_name ON people (name);
INSERT INTO people SELECT i, 'P' || i || ' Q' || i, 'S ' || i, 'C' || i, 'note', repeat('f', 1700)
    FROM generate_series(1, {ROWS}) i;
""", [
    OWN, *RENAME_TABLES, SPLIT, MERGE,
    {"add_column": {"table": "things", "column": {"name": "more", "type": "int", "nullable": True, "default": "7"}}},
    {"create_index": {"name": "things_note", "table": "things", "columns": ["note"]}},
    {"create_index": {"name": "people_last", "table": "people", "columns": ["last", "first"]}},
    {"create_constraint": {"name": "first_named", "table": "people", "type": "check", "check": "first <> ''"}}],
    flows=(Flow(Pair(new="label"), {"label": "'row ' || id"}, "items", "things"),
           Flow(PEOPLE, {"name": "'P' || id || ' Q' || id", "street": "'S ' || id", "city": "'C' || id", "first": "'P' || id",
                         "last": "'Q' || id", "address": "'S ' || id || ', C' || id"}, "people")),
    kept={end: f"SELECT (SELECT string_agg(concat_ws(',', id, what), ';' ORDER BY id) FROM {logs}), (SELECT count(*) FROM "
               f"parts JOIN {items} i ON i.id = item)" for end, logs, items in zip(ENDS, ("logs", "events"), ("items", "things"))},
    touches={"old": ("UPDATE logs SET what = 'log ' || id WHERE id = %s", "UPDATE parts SET item = item WHERE id = %s"),
             "new": ("UPDATE events SET what = 'log ' || events.id WHERE id = %s",)})

SCENES = {scene.name: scene for scene in (FEW, MANY, NAMES)}
