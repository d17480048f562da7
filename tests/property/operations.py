"""Random operations of a migration file, each with the plain DDL that comes to the same."""

import random
from dataclasses import dataclass, field, replace

from property.schema import COLUMN_NAMES, TABLE_NAMES, columns_of
from property.values import FAMILIES, IDENTITY, Change, ident, numbered, quote

REFERENCE_ACTIONS = (None, None, "CASCADE", "SET NULL", "RESTRICT")


@dataclass
class Pair:
    """A column and what becomes of it."""

    column: object
    to: str  # the new name; the old one: the type changes under it
    change: Change
    type: str  # of the new half
    not_null: bool
    default: object = None  # of the new half: a literal, None, or KEEP
    never: str = None  # a literal that rows may have and that nobody writes: from the cut-over on a check binds all

    @property
    def up(self):
        return (self.change.up or ("{c}" if self.change.kind == "identity" else "{c}::" + self.type)).format(c=ident(self.column.name))

    @property
    def down(self):
        if self.change.down is None and self.change.up is None and self.change.kind != "identity":
            return f"{ident(self.to)}::{FAMILIES[self.column.family].type}"
        return (self.change.down or "{c}").format(c=ident(self.to))


KEEP = object()


@dataclass
class Op:
    kind: str
    table: object  # None: of no table
    json: dict
    plain: list
    names: list  # what a refusal of it may name
    pair: Pair = None
    added: dict = None  # name, family, up, default, not_null
    going: dict = None  # name, down
    group: dict = None  # to: name -> (type, pool), up and down: name -> expression
    default: tuple = None  # (column, literal)
    not_null: str = None  # a column that becomes NOT NULL in place
    freed: str = None  # one that ceases to be
    drops: bool = False  # the table
    renamed: str = None  # what the table is called then
    once: list = field(default_factory=list)

    def text(self):
        return f"{self.kind} {self.table.name if self.table else ''}"


class Maker:
    def __init__(self, seed, schema, version):
        self.seed = seed
        self.schema = schema
        self.version = version
        self.dice = None
        dice = random.Random(f"{seed}/focus")  # many operations on one table, or a few on each
        self.focus = dice.choice(schema.tables) if dice.random() < 0.4 else None
        self.taken = set()  # (table, column) that some operation works on
        self.made = set()  # names that operations make
        self.numbers = 0

    def make(self, count):
        """Several; each has dice of its own, so that some may be left out."""
        out = []
        for number in range(count):
            self.dice = random.Random(f"{self.seed}/operation/{number}")
            for _ in range(30):
                kind = self.dice.choice(KINDS)
                table = self.dice.choice(self.schema.tables)
                if self.focus and self.dice.random() < 0.8:
                    table = self.focus
                op = getattr(self, kind)(table)
                if op is not None:
                    out.append(op)
                    break
        return out

    # ---- what to work on ----

    def column(self, table, want=lambda c: True):
        free = [c for c in table.columns if c.tracked and (table.name, c.name) not in self.taken and want(c)]
        if not free:
            return None
        column = self.dice.choice(free)
        self.taken.add((table.name, column.name))
        return column

    def new_name(self, table):
        there = {c.name for c in table.columns}
        # a column that has the name of its table takes the name from the whole row, for new sessions only
        free = [n for n in COLUMN_NAMES if n not in there and n != table.name and (table.name, n) not in self.made]
        name = self.dice.choice(free)
        self.made.add((table.name, name))
        return name

    def name(self, prefix):
        self.numbers += 1
        return self.dice.choice(["{}_n{}", "{} Ñ {}", "{}{}"]).format(prefix, self.numbers)

    def changes(self, table, column, same=False):
        key = column is table.id or column.parent is not None
        out = [c for c in FAMILIES[column.family].changes if (not same or c.same) and (not key or c.keeps)
               and (not column.numbered or c.once) and (column.default is None or c.type is None or same and c.up is None)]
        return out

    # ---- pairs ----

    def pair_of(self, table, column, change, to):
        kind = change.type or FAMILIES[column.family].type
        not_null = column.not_null
        return Pair(column, to, change, kind, not_null, KEEP)

    def pair_json(self, pair):
        out = {}
        if pair.change.type:
            out["type"] = pair.change.type
        if pair.change.up:
            out["up"] = pair.up
        if pair.change.down:
            out["down"] = pair.down
        return out

    def pair_plain(self, table, pair):
        name, out = pair.column.name, []
        if pair.to != name:
            out.append(f"ALTER TABLE {table.sql_name} RENAME COLUMN {ident(name)} TO {ident(pair.to)}")
        if pair.change.type:
            collate = ' COLLATE "C"' if "COLLATE" in pair.column.options and pair.change.type.startswith(("varchar", "text")) and \
                "[" not in pair.change.type else ""
            using = f"{ident(pair.to)}::{pair.type}" if pair.column.default is not None else f"NULL::{pair.type}"
            out.append(f"ALTER TABLE {table.sql_name} ALTER COLUMN {ident(pair.to)} TYPE {pair.change.type}{collate} USING {using}")
        return out

    def rename_column(self, table):
        column = self.column(table)
        if column is None:
            return None
        # up and down of a rename need a type, and then a default goes through up
        changes = [IDENTITY] * 3 + [replace(c, type=c.type or FAMILIES[column.family].type) for c in self.changes(table, column)
                                    if (c.down is not None or c.up is None) and column.default is None]
        change = self.dice.choice(changes)
        pair = self.pair_of(table, column, change, self.new_name(table))
        return Op("rename_column", table, {"rename_column": {
            "table": table.name, "from": column.name, "to": pair.to, **self.pair_json(pair)}},
            self.pair_plain(table, pair), [column.name, pair.to], pair=pair)

    def alter_pair(self, table):
        """alter_column with a second half, under its own name or a new one, and more changed along."""
        column = self.column(table)
        if column is None:
            return None
        same = self.dice.random() < 0.6
        changes = self.changes(table, column, same)
        if not changes:
            return None
        change = self.dice.choice(changes)
        pair = self.pair_of(table, column, change, column.name if same else self.new_name(table))
        body = {"table": table.name, "column": column.name, **self.pair_json(pair)}
        if not same:
            body["name"] = pair.to
        plain = self.pair_plain(table, pair)
        self.more_of_pair(table, pair, body, plain)
        return Op("alter_pair", table, {"alter_column": body}, plain, [column.name, pair.to], pair=pair)

    def more_of_pair(self, table, pair, body, plain):
        dice, where = self.dice, f"ALTER TABLE {table.sql_name} ALTER COLUMN {ident(pair.to)}"
        if pair.change.kind == "mend" and not pair.not_null and dice.random() < 0.7:
            body["nullable"], pair.not_null = False, True
            plain.append(f"{where} SET NOT NULL")
        elif pair.not_null and pair.column is not table.id and dice.random() < 0.2:
            body["nullable"], pair.not_null = True, False
            plain.append(f"{where} DROP NOT NULL")
        if dice.random() < 0.2 or len(body) == 4 and "up" in body and "down" in body:  # values alone are no change
            body["comment"] = dice.choice(["new", "it's new"])
            plain.append(f"COMMENT ON COLUMN {table.sql_name}.{ident(pair.to)} IS {quote(body['comment'])}")
        if pair.column.default is not None and dice.random() < 0.3:
            body["default"], pair.default = None, None
            plain.append(f"{where} DROP DEFAULT")

    # ---- in place ----

    def alter_default(self, table):
        column = self.column(table, lambda c: not c.numbered and not c.parent)
        if column is None:
            return None
        literal = self.dice.choice([v for v in column.pool if v is None or len(v) < 100])
        if literal is None and column.not_null:
            return None
        literal = self.dice.choice([literal, None]) if not column.not_null else literal
        action = "DROP DEFAULT" if literal is None else f"SET DEFAULT {quote(literal)}"
        return Op("alter_default", table, {"alter_column": {"table": table.name, "column": column.name,
                                                            "default": None if literal is None else quote(literal)}},
                  [f"ALTER TABLE {table.sql_name} ALTER {ident(column.name)} {action}"], [column.name], default=(column.name, literal))

    def alter_comment(self, table):
        column = self.column(table)
        if column is None:
            return None
        text = self.dice.choice(["x", "it's", None])
        return Op("alter_comment", table, {"alter_column": {"table": table.name, "column": column.name, "comment": text}},
                  [f"COMMENT ON COLUMN {table.sql_name}.{ident(column.name)} IS {quote(text)}"], [column.name])

    def alter_nullable(self, table):
        column = self.column(table, lambda c: c is not table.id and (c.not_null or None not in c.pool))
        if column is None:
            return None
        where = f"ALTER TABLE {table.sql_name} ALTER {ident(column.name)}"
        body = {"table": table.name, "column": column.name, "nullable": column.not_null}
        if column.not_null:
            if self.dice.random() < 0.5:
                body["down"] = self.literal(column)
            return Op("alter_nullable", table, {"alter_column": body}, [f"{where} DROP NOT NULL"], [column.name], freed=column.name)
        return Op("alter_nullable", table, {"alter_column": body}, [f"{where} SET NOT NULL"], [column.name], not_null=column.name)

    def change_columns(self, table):
        """One text to two, or two to one."""
        want = lambda c: c.family in ("text", "varchar") and not c.not_null and c.default is None and not c.numbered and not c.parent
        if self.dice.random() < 0.5:
            column = self.column(table, want)
            if column is None:
                return None
            first, rest, c = self.new_name(table), self.new_name(table), ident(column.name)
            to = {first: ("text", ("", "x")), rest: ("text", ("", "yz", "ü"))}
            up = {first: f"left({c}, 1)", rest: f"substr({c}, 2)"}
            down = {column.name: f"coalesce({ident(first)}, '') || coalesce({ident(rest)}, '')"}
        else:
            one, two = self.column(table, want), self.column(table, want)
            if one is None or two is None:
                return None
            name = self.new_name(table)
            to, n = {name: ("text", ("a|b", "|", "x|"))}, ident(name)
            up = {name: f"coalesce({ident(one.name)}, '') || '|' || coalesce({ident(two.name)}, '')"}
            down = {one.name: f"split_part({n}, '|', 1)", two.name: f"substr({n}, length(split_part({n}, '|', 1)) + 2)"}
        body = {"table": table.name, "from": list(down), "up": up, "down": down,
                "to": [{"name": n, "type": kind, "nullable": True} for n, (kind, _) in to.items()]}
        plain = [f"ALTER TABLE {table.sql_name} ADD COLUMN {ident(n)} {kind}" for n, (kind, _) in to.items()]
        plain += [f"ALTER TABLE {table.sql_name} DROP COLUMN {ident(n)}" for n in down]
        if any("GRANT" in text for n in down for text in table.column(n).attributes):  # the new ones get what the old ones had
            plain += [f"GRANT SELECT ({ident(n)}), UPDATE ({ident(n)}) ON {table.sql_name} TO reader" for n in to]
        return Op("change_columns", table, {"change_columns": body}, plain, [*down, *to], group={"to": to, "up": up, "down": down})

    def literal(self, column):
        given = [v for v in column.pool if v is not None and len(v) < 100]
        text = self.dice.choice(given) if not column.numbered else numbered(column.family, 999_999_999)
        return f"{quote(text)}::{FAMILIES[column.family].type}"

    # ---- columns that come and go ----

    def add_column(self, table):
        dice = self.dice
        family = dice.choice([f for f, facts in FAMILIES.items() if not facts.needs or facts.needs in self.schema.types])
        name, kind = self.new_name(table), FAMILIES[family].type
        column = {"name": name, "type": kind, "nullable": dice.random() < 0.6}
        pool = [v for v in FAMILIES[family].pool if len(v) < 1000]
        added = {"name": name, "family": family, "type": kind, "pool": pool, "up": None, "reads": [], "default": None, "instant": None}
        body, plain = {"table": table.name, "column": column}, ""
        how = dice.choice(["default", "default", "up", "both", "nothing"])
        if how in ("default", "both"):
            added["default"] = dice.choice(pool)
            column["default"] = quote(added["default"])
            plain += f" DEFAULT {quote(added['default'])}"
        if how in ("up", "both"):
            source = self.column(table, lambda c: not c.big) or table.id
            body["up"] = self.up_for(source, family, pool)
            added["up"] = body["up"]
            added["reads"] = [source.name] if ident(source.name) in body["up"] else []
        if how == "nothing":
            column["nullable"] = True
        added["not_null"] = not column["nullable"]
        if not column["nullable"]:
            plain += " NOT NULL"
        if how == "default":
            added["instant"] = added["default"]
        statements = [f"ALTER TABLE {table.sql_name} ADD COLUMN {ident(name)} {kind}{plain}"]
        if dice.random() < 0.2:
            column["comment"] = "added"
            statements.append(f"COMMENT ON COLUMN {table.sql_name}.{ident(name)} IS 'added'")
        return Op("add_column", table, {"add_column": body}, statements, [name], added=added)

    def up_for(self, source, family, pool):
        name = ident(source.name)
        if family == "text":
            return f"coalesce({name}::text, 'nothing')"
        if family == "integer":
            return f"coalesce(length({name}::text), 0)"
        if family == "boolean":
            return f"{name} IS NULL"
        return f"{quote(self.dice.choice(pool))}::{FAMILIES[family].type}"

    def drop_column(self, table):
        column = self.column(table, lambda c: c is not table.id)
        if column is None:
            return None
        body, going = {"table": table.name, "column": column.name}, {"name": column.name, "down": None, "reads": []}
        if not column.numbered and not column.parent and (column.not_null and column.default is None or self.dice.random() < 0.4):
            body["down"] = going["down"] = self.literal(column)
            if column.family == "text" and self.dice.random() < 0.5 and table.id.family != "text":
                body["down"] = going["down"] = f"'of ' || {ident(table.id.name)}"
                going["reads"] = [table.id.name]
                if (table.name, table.id.name) in self.taken:
                    return None
                self.taken.add((table.name, table.id.name))
        return Op("drop_column", table, {"drop_column": body},
                  [f"ALTER TABLE {table.sql_name} DROP COLUMN {ident(column.name)}"], [column.name], going=going)

    # ---- constraints and indexes ----

    def small(self, table):
        return [c for c in table.columns if c.tracked and not c.big and FAMILIES[c.family].keyed]

    def unique_names(self, table):
        firsts = [c.name for c in self.small(table) if c.numbered]
        names = [self.dice.choice(firsts)]
        more = [c.name for c in self.small(table) if c.name not in names]
        if more and self.dice.random() < 0.4:
            names.append(self.dice.choice(more))
        return names

    def create_index(self, table):
        dice, name = self.dice, self.name("nix")
        body = {"name": name, "table": table.name}
        if dice.random() < 0.35:
            names, body["unique"] = self.unique_names(table), True
        else:
            small = self.small(table)
            names = [c.name for c in dice.sample(small, min(len(small), dice.choice([1, 1, 2])))]
        sort = dice.choice([None, None, "DESC"])
        body["columns"] = [{"column": n, "sort": sort} if sort else n for n in names]
        where = ""
        if dice.random() < 0.3:
            body["predicate"] = f"{ident(names[0])} IS NOT NULL"
            where = f" WHERE {body['predicate']}"
        method = ""
        if not body.get("unique") and len(names) == 1 and dice.random() < 0.2 and not sort:
            body["method"], method = "hash", " USING hash"
        keys = ", ".join(ident(n) + (f" {sort}" if sort else "") for n in names)
        unique = "UNIQUE " if body.get("unique") else ""
        return Op("create_index", table, {"create_index": body},
                  [f"CREATE {unique}INDEX {ident(name)} ON {table.sql_name}{method} ({keys}){where}"], [name])

    def drop_index(self, table):
        free = [i for i in table.indexes if ("index", i.name) not in self.taken]
        if not free:
            return None
        index = self.dice.choice(free)
        self.taken.add(("index", index.name))
        return Op("drop_index", table, {"drop_index": {"name": index.name}}, [f"DROP INDEX {ident(index.name)}"], [index.name])

    def create_constraint(self, table):
        kind = self.dice.choice(["unique", "check", "check", "foreign_key", "primary_key"])
        name = self.name("new_" + kind)
        body = {"table": table.name, "name": name, "type": kind}
        made = getattr(self, "new_" + kind)(table, body)
        if made is None:
            return None
        return Op("create_constraint", table, {"create_constraint": body},
                  [f"ALTER TABLE {table.sql_name} ADD CONSTRAINT {ident(name)} {made}"], [name])

    def new_unique(self, table, body):
        body["columns"] = self.unique_names(table)
        return f"UNIQUE ({columns_of(body['columns'])})"

    def new_check(self, table, body):
        column = self.dice.choice([c for c in table.columns if c.tracked])
        checks = FAMILIES[column.family].checks
        if not checks:
            return None
        body["check"] = self.dice.choice(checks).format(c=ident(column.name))
        body["columns"] = [column.name]
        return f"CHECK ({body['check']})"

    def new_foreign_key(self, table, body):
        loose = [c for c in table.columns if c.parent]
        if not loose:
            return None
        column = self.dice.choice(loose)
        body["columns"] = [column.name]
        body["references"] = {"table": column.parent.name, "columns": [column.parent.id.name]}
        action = self.dice.choice(REFERENCE_ACTIONS)
        if action:
            body["references"]["on_delete"] = action
        return (f"FOREIGN KEY ({ident(column.name)}) REFERENCES {column.parent.sql_name} ({ident(column.parent.id.name)})"
                + (f" ON DELETE {action}" if action else ""))

    def new_primary_key(self, table, body):
        if table.key not in ("none", "unique"):
            return None
        body["columns"] = [table.id.name]
        return f"PRIMARY KEY ({ident(table.id.name)})"

    def constraint(self, table, want):
        free = [c for c in table.constraints if ("constraint", c.name) not in self.taken and want(c)]
        if not free:
            return None
        constraint = self.dice.choice(free)
        self.taken.add(("constraint", constraint.name))
        return constraint

    def drop_constraint(self, table):
        constraint = self.constraint(table, lambda c: c.kind in ("check", "foreign_key", "unique", "exclude"))
        if constraint is None:
            return None
        many = len(constraint.columns) > 1 or self.dice.random() < 0.2
        body = {"table": table.name, "name": constraint.name}
        if constraint.kind == "check" and self.dice.random() < 0.5:
            column = table.column(constraint.columns[0])
            if column is not table.id:
                body["down"] = {column.name: self.literal(column)} if many else self.literal(column)
        kind = "drop_multicolumn_constraint" if many else "drop_constraint"
        return Op(kind, table, {kind: body}, [f"ALTER TABLE {table.sql_name} DROP CONSTRAINT {ident(constraint.name)}"], [constraint.name])

    def rename_constraint(self, table):
        constraint = self.constraint(table, lambda c: True)
        if constraint is None:
            return None
        name = self.name("renamed")
        return Op("rename_constraint", table, {"rename_constraint": {"table": table.name, "from": constraint.name, "to": name}},
                  [f"ALTER TABLE {table.sql_name} RENAME CONSTRAINT {ident(constraint.name)} TO {ident(name)}"], [constraint.name])

    def create_constraint_up(self, table):
        """A check that rows do not meet: `up` mends them."""
        column = self.column(table, lambda c: c.family in ("text", "varchar", "integer") and c.default is None and not c.numbered
                             and not c.parent)
        if column is None:
            return None
        name, bad, good = self.name("meets"), *{"integer": ("1", "2")}.get(column.family, ("a", "b"))
        c = ident(column.name)
        check = f"{c} <> {quote(bad)}"
        up = f"CASE WHEN {c} = {quote(bad)} THEN {quote(good)} ELSE {c} END"
        pair = Pair(column, column.name, Change("mend", None, up.replace("{", "{{"), c.replace("{", "{{"), same=True),
                    FAMILIES[column.family].type, column.not_null, KEEP, bad)
        body = {"table": table.name, "name": name, "type": "check", "columns": [column.name], "check": check,
                "up": {column.name: up}, "down": {column.name: c}}
        return Op("create_constraint_up", table, {"create_constraint": body},
                  [f"ALTER TABLE {table.sql_name} ADD CONSTRAINT {ident(name)} CHECK ({check})"], [name, column.name], pair=pair)

    # ---- whole things ----

    def set_replica_identity(self, table):
        if ("identity", table.name) in self.taken:
            return None
        self.taken.add(("identity", table.name))
        kind = self.dice.choice(["full", "default"] + ["nothing"] * (not table.published))
        return Op("set_replica_identity", table, {"set_replica_identity": {"table": table.name, "identity": {"type": kind}}},
                  [f"ALTER TABLE {table.sql_name} REPLICA IDENTITY {kind.upper()}"], [table.name])

    def create_table(self, _table):
        name = self.name("made")
        parents = [t for t in self.schema.tables if t.key == "pk" and not t.partition]
        columns = [{"name": "Id", "type": "bigint", "pk": True}, {"name": "é", "type": "text", "nullable": True, "comment": "c"},
                   {"name": "n", "type": "integer", "default": "7", "unique": self.dice.random() < 0.5}]
        plain = ["\"Id\" bigint PRIMARY KEY", "\"é\" text", "n integer DEFAULT 7 NOT NULL" + (" UNIQUE" if columns[2]["unique"] else "")]
        if parents and self.dice.random() < 0.5:
            parent = self.dice.choice(parents)
            if (parent.name, parent.id.name) not in self.taken:
                kind = FAMILIES[parent.id.family].type
                columns.append({"name": "p", "type": kind, "nullable": True, "references": {"table": parent.name, "column": parent.id.name}})
                plain.append(f"p {kind} REFERENCES {parent.sql_name} ({ident(parent.id.name)})")
                self.taken.add((parent.name, parent.id.name))
        return Op("create_table", None, {"create_table": {"name": name, "columns": columns}},
                  [f"CREATE TABLE {ident(name)} ({', '.join(plain)})", f"COMMENT ON COLUMN {ident(name)}.\"é\" IS 'c'"],
                  [name, *(c["references"]["table"] for c in columns if "references" in c)])

    def drop_table(self, table):
        if any(name == table.name for name, _ in self.taken) or len(self.schema.tables) < 2:
            return None
        for column in table.columns:
            self.taken.add((table.name, column.name))
        for one in table.indexes:
            self.taken.add(("index", one.name))
        for one in table.constraints:
            self.taken.add(("constraint", one.name))
        return Op("drop_table", table, {"drop_table": {"name": table.name}}, [f"DROP TABLE {table.sql_name}"], [table.name], drops=True)

    def rename_table(self, table):
        names = [n for n in TABLE_NAMES + ("It's \"new\"", "Items", "größer", "table") if n not in self.made
                 and n not in {t.name for t in self.schema.tables}]
        if (table.name, "") in self.taken:
            return None
        name = self.dice.choice(names)
        self.taken.add((table.name, ""))
        self.made.add(name)
        return Op("rename_table", table, {"rename_table": {"from": table.name, "to": name}},
                  [f"ALTER TABLE {table.sql_name} RENAME TO {ident(name)}"], [table.name, name], renamed=name)

    def create_enum(self, _table):
        name = self.name("kind")
        return Op("create_enum", None, {"create_enum": {"name": name, "values": ["a", "it's", "é"]}},
                  [f"CREATE TYPE {ident(name)} AS ENUM ('a', 'it''s', 'é')"], [name])

    def add_enum_value(self, _table):
        if "enum" not in self.schema.types:
            return None
        value = self.name("v")
        place = self.dice.choice([{}, {"before": "sad"}, {"after": "ok"}])
        words = "".join(f" {k.upper()} {quote(v)}" for k, v in place.items())
        return Op("add_enum_value", None, {"add_enum_value": {"name": "mood", "value": value, **place}},
                  [f"ALTER TYPE mood ADD VALUE {quote(value)}{words}"], ["mood"])

    def remove_enum(self, _table):
        if "enum" not in self.schema.types or ("type", "mood2") in self.taken:
            return None
        self.taken.add(("type", "mood2"))
        return Op("remove_enum", None, {"remove_enum": {"name": "mood2"}}, ["DROP TYPE mood2"], ["mood2"])

    def sql(self, table):
        name = self.name("own")
        pick = self.dice.choice([
            (f"CREATE TABLE {ident(name)} (x int PRIMARY KEY, y text)", f"DROP TABLE {ident(name)}"),
            (f"CREATE FUNCTION {ident(name)}(i int) RETURNS int LANGUAGE sql AS $$ SELECT i + 1 $$", f"DROP FUNCTION {ident(name)}(int)"),
            (f"CREATE DOMAIN {ident(name)} AS integer CHECK (VALUE > 0)", f"DROP DOMAIN {ident(name)}"),
            (f"COMMENT ON TABLE {table.sql_name} IS 'of the file'", f"COMMENT ON TABLE {table.sql_name} IS NULL")])
        body = {"up": pick[0], "down": pick[1]}
        if self.dice.random() < 0.3:
            body = {"up": pick[0], "onComplete": True}
        return Op("sql", None, {"sql": body}, [pick[0]], [name, table.name])


KINDS = ["rename_column"] * 6 + ["alter_pair"] * 8 + ["alter_default", "alter_comment", "alter_nullable", "alter_nullable"] + \
    ["change_columns"] * 12 + ["add_column"] * 4 + ["drop_column"] * 3 + ["create_index"] * 2 + ["drop_index", "create_constraint", "create_constraint"] + \
    ["rename_table"] * 4 + ["drop_constraint"] * 2 + ["rename_constraint", "create_constraint_up", "set_replica_identity", "create_table", "drop_table",
                               "create_enum", "add_enum_value", "remove_enum", "sql"]
