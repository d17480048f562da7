"""Random tables: what an application has before it migrates. The same seed gives the same statements."""

import random
from dataclasses import dataclass, field

from property import around
from property.values import FAMILIES, KEYS, TYPES, ident, numbered, quote

TABLE_NAMES = ("items", "Order Lines", "größe", "user", "json", "log_entries", "T" + "x" * 60, "select", "a", "über alles")
COLUMN_NAMES = ("label", "Kind", "order", "naïve", "with space", 'quo"te', "CamelCase", "n" * 62, "value", "text", "date", "x", "y",
                "user", "created", "payload", "amount", "state", "from", "größe", "№", "tag", "a.b", "Select", "old", "new", "excluded")
ROWS = (0, 1, 30, 120, 400)
WRITERS_MAX = 12
SPLIT_AT = 50  # the first number of the second range
REFERRED = ("pk", "identity", "always", "serial", "composite")  # keys


@dataclass
class Column:
    name: str
    family: str
    type: str
    pool: list  # literals that may be written; None among them where NULL may be
    not_null: bool = False
    default: str = None  # a literal
    numbered: bool = False  # each row has another value
    big: bool = False  # values that no btree takes
    parent: object = None  # a Table, of which it is a foreign key
    mate: object = None  # another column, which refers to the same table with it
    beside: bool = False  # the other one
    part: bool = False  # of the key, beside the id; what a list partitions by
    tracked: bool = True  # False: written by the server, the oracle does not look
    attributes: list = field(default_factory=list)  # statements
    options: str = ""  # in CREATE TABLE

    @property
    def key(self):
        return self.family if self.family in KEYS else None


@dataclass
class Constraint:
    name: str
    kind: str  # unique, check, foreign_key, primary_key, exclude
    columns: list
    expression: str = ""
    identity: bool = False  # its index may be the replica identity


@dataclass
class Index:
    name: str
    columns: list
    sql: str
    identity: bool = False


@dataclass
class Table:
    name: str
    columns: list
    key: str  # pk, identity, always, serial, composite, unique, none
    partition: str = ""  # hash, list, range
    deep: bool = False  # a range of which the rest has partitions, as that of each list has
    constraints: list = field(default_factory=list)
    indexes: list = field(default_factory=list)
    before: list = field(default_factory=list)  # statements in front of CREATE TABLE
    after: list = field(default_factory=list)
    rows: int = 0
    published: bool = False
    unlogged: bool = False
    secured: str = ""  # enabled, forced: row security
    leaf_secured: bool = False
    referable: bool = False  # by one column of a foreign key, or two
    others: list = field(default_factory=list)  # names of what else is over columns: statistics, indexes of partitions

    @property
    def id(self):
        return self.columns[0]

    @property
    def sql_name(self):
        return ident(self.name)

    @property
    def part(self):
        return next((c for c in self.columns if c.part), None)

    def bound(self):
        """Columns without which nothing is unique over all partitions."""
        return {"": [], "list": [self.id, self.part]}.get(self.partition, [self.id])

    def link(self, column):
        """A foreign key's columns, on either side."""
        two = column.mate is not None
        return [column] + [column.mate] * two, [column.parent.id] + [column.parent.part] * two

    def leaf(self, n, part, dice):
        """A partition of some level that has the row; None: nobody knows."""
        name = self.name[:40]
        if self.partition == "list":
            return name + ("_p0" if part == "p0" else dice.choice([" Rest", "_rest_0"]))
        if self.partition == "range" and self.id.family != "text":
            return name + ("_low" if n < SPLIT_AT else "_rest")
        return None

    def column(self, name):
        return next(c for c in self.columns if c.name == name)

    def tracked(self):
        return [c for c in self.columns if c.tracked]

    def used(self, name):
        """Is a constraint or an index over the column?"""
        return any(name in x.columns for x in self.constraints + self.indexes)

    def id_literal(self, n):
        return numbered(self.id.family, n)


@dataclass
class Schema:
    types: list
    tables: list

    def table(self, name):
        return next(t for t in self.tables if t.name == name)

    def sql(self):
        out = [statement for kind in self.types for statement in TYPES[kind]]
        for table in self.tables:
            out += table.before + [create(table)] + partitions(table)
        for table in self.tables:
            out += table.after
        return out


# ---- statements ----


def create(table):
    parts = []
    for c in table.columns:
        text = f"{ident(c.name)} {c.type}{c.options}"
        if c.default is not None:
            text += f" DEFAULT {quote(c.default)}"
        parts.append(text + (" NOT NULL" if c.not_null else ""))
    by = {"hash": f" PARTITION BY HASH ({ident(table.id.name)})", "range": f" PARTITION BY RANGE ({ident(table.id.name)})",
          "list": f" PARTITION BY LIST ({ident(table.columns[1].name)})" if table.partition == "list" else "", "": ""}
    return f"CREATE {'UNLOGGED ' * table.unlogged}TABLE {table.sql_name} ({', '.join(parts)}){by[table.partition]}"


def partitions(table):
    name = table.name[:40]
    one = lambda suffix, bound: f"CREATE TABLE {ident(name + suffix)} PARTITION OF {table.sql_name} {bound}"
    if table.partition == "hash":
        return [one(f"_{i}", f"FOR VALUES WITH (MODULUS 3, REMAINDER {i})") for i in range(3)]
    if table.partition == "range":
        low, mid = (quote(table.id_literal(n)) for n in (0, SPLIT_AT))
        below = f" PARTITION BY HASH ({ident(table.id.name)})" * table.deep
        return [one("_low", f"FOR VALUES FROM ({low}) TO ({mid})"), one("_rest", "DEFAULT" + below)] + [
            f"CREATE TABLE {ident(f'{name}_rest_{i}')} PARTITION OF {ident(name + '_rest')} FOR VALUES WITH (MODULUS 2, REMAINDER {i})"
            for i in range(2 * table.deep)]
    if table.partition == "list":
        return [one("_p0", "FOR VALUES IN ('p0')"), one(" Rest", f"DEFAULT PARTITION BY HASH ({ident(table.id.name)})"),
                f"CREATE TABLE {ident(name + '_rest_0')} PARTITION OF {ident(name + ' Rest')} FOR VALUES WITH (MODULUS 1, REMAINDER 0)"]
    return []


def leaf_of(table):
    """A partition that has rows, or None."""
    return {"hash": table.name[:40] + "_0", "range": table.name[:40] + "_low", "list": table.name[:40] + "_p0"}.get(table.partition)


def columns_of(names):
    return ", ".join(map(ident, names))


# ---- generating ----


class Maker:
    def __init__(self, seed):
        self.seed = seed
        self.dice = random.Random(f"{seed}/schema")
        self.types = []
        self.tables = []
        self.names = 0

    def name(self, prefix):
        self.names += 1
        return prefix + self.dice.choice(["_{}", " Über {}", "_X{}", "_{}"]).format(self.names)

    def make(self):
        names = self.dice.sample(TABLE_NAMES, self.dice.choice([1, 2, 2, 3, 3, 4]))
        for name in names:
            self.tables.append(self.table(name))
        return Schema(self.types, self.tables)

    def table(self, name):
        dice = self.dice
        partition = dice.choice(["", "", "", "", "", "hash", "list", "range"])
        keys = ["pk", "pk", "pk", "identity", "always", "serial", "composite", "unique", "none"]
        key = dice.choice({"": keys, "hash": ["pk", "none", "unique"], "range": ["pk", "none"], "list": ["composite", "composite", "none"]}[partition])
        names = dice.sample(COLUMN_NAMES, dice.randint(4, 10))
        table = Table(name, [self.id_column(key, names.pop())], key, partition, rows=dice.choice(ROWS),
                      deep=dice.random() < 0.5, unlogged=around.unlogged(self.seed, name, partition))
        table.referable = key in REFERRED and not table.unlogged and table.rows >= 30
        if key == "composite" or partition == "list":
            table.columns.append(Column(names.pop(), "text", "text", ["p0", "p1"], not_null=True, part=True))
        for column in names:
            table.columns.append(self.column(column, table))
            if table.columns[-1].parent and table.columns[-1].parent.part:
                table.columns.append(self.beside(table.columns[-1]))
        if dice.random() < 0.4:
            table.columns.append(self.touched(table))
        self.key_constraint(table)
        if dice.random() < 0.2:
            self.dependent(table)
        for _ in range(dice.randint(0, 5)):
            self.adorn(table)
        if dice.random() < 0.25:
            self.statistics(table)
        if dice.random() < 0.2:
            self.identify(table)
        if partition and dice.random() < 0.15:
            self.own_index(table)
        for column in table.columns:
            table.after += column.attributes
        around.secure(self.seed, table, leaf_of(table))
        around.overlook(self.seed, table)
        return table

    def id_column(self, key, name):
        family = self.dice.choice(["integer", "bigint"] if key in ("identity", "always", "serial") else KEYS)
        column = Column(name, family, FAMILIES[family].type, [], not_null=True, numbered=True)
        if key == "serial":
            column.type = {"integer": "serial", "bigint": "bigserial"}[family]
        if key in ("identity", "always"):
            column.options = " GENERATED ALWAYS AS IDENTITY" if key == "always" else " GENERATED BY DEFAULT AS IDENTITY"
        return column

    def column(self, name, table):
        dice = self.dice
        parents = [t for t in self.tables if t.referable] + [table] * (table.referable and not table.partition and not table.part)
        if parents and dice.random() < 0.2:
            parent = dice.choice(parents)
            pool = [parent.id_literal(n) for n in ((2, 4) if parent.part else range(1, 6))]
            column = Column(name, parent.id.family, FAMILIES[parent.id.family].type, pool, parent=parent)
        else:
            family = dice.choice(list(FAMILIES))
            facts = FAMILIES[family]
            if facts.needs and facts.needs not in self.types:
                self.types.append(facts.needs)
            column = Column(name, family, facts.type, list(facts.pool), numbered=facts.number is not None and dice.random() < 0.2)
            column.big = any(len(v) > 1000 for v in facts.pool) and dice.random() < 0.5
            if not column.big:
                column.pool = [v for v in column.pool if len(v) <= 1000]
        chance = dice.random()
        if chance < 0.3:
            column.not_null = True
        elif chance < 0.8:
            column.pool = column.pool + [None]
        if not column.numbered and not column.parent and dice.random() < 0.3:
            column.default = dice.choice([v for v in column.pool if v is not None and len(v) < 100])
        self.attributes(table, column)
        return column

    def beside(self, column):
        """Of a foreign key over two columns: whatever is written into one, the other one fits."""
        pool = [part_of(2)] + [None] * (self.dice.random() < 0.5)
        column.mate = Column(self.name("beside"), "text", "text", pool, parent=column.parent, beside=True)
        return column.mate

    def attributes(self, table, column):
        dice, on = self.dice, f"{table.sql_name}"
        name = ident(column.name)
        choices = {
            f"COMMENT ON COLUMN {on}.{name} IS 'what it''s for'": 0.15,
            f"GRANT SELECT ({name}), UPDATE ({name}) ON {on} TO reader": 0.1,
            f"ALTER TABLE {on} ALTER {name} SET STATISTICS 77": 0.1,
        }
        if column.family in ("text", "bytea", "jsonb"):
            choices[f"ALTER TABLE {on} ALTER {name} SET STORAGE EXTERNAL"] = 0.1
        column.attributes += [statement for statement, chance in choices.items() if dice.random() < chance]
        if column.family == "text" and not column.parent and dice.random() < 0.15:
            column.options = ' COLLATE "C"'

    def touched(self, table):
        column = Column("touched at", "timestamptz", "timestamp with time zone", [], tracked=False, options=" DEFAULT now()")
        function = self.name("touch")
        table.before.append(f"CREATE FUNCTION {ident(function)}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                            "NEW.\"touched at\" := clock_timestamp(); RETURN NEW; END $$")
        table.after.append(f"CREATE TRIGGER {ident(self.name('before'))} BEFORE INSERT OR UPDATE ON {table.sql_name} FOR EACH ROW "
                           f"EXECUTE FUNCTION {ident(function)}()")
        return column

    def dependent(self, table):
        """What plan must refuse to lose, once a column of it goes."""
        column = self.dice.choice([c for c in table.columns if c.tracked])
        what, name = self.dice.choice(["view", "generated", "when", "publication"]), self.name("dep")
        if what == "view":
            table.after.append(f"CREATE VIEW {ident(name)} AS SELECT {ident(column.name)} AS shown FROM {table.sql_name}")
        elif what == "generated" and column.family in ("text", "varchar"):
            table.columns.append(Column("made of it", "integer", "integer", [], tracked=False,
                                        options=f" GENERATED ALWAYS AS (length({ident(column.name)})) STORED"))
        elif what == "when" and not table.partition:
            table.before.append(f"CREATE FUNCTION {ident(name)}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
            table.after.append(f"CREATE TRIGGER {ident(name)} AFTER UPDATE OF {ident(column.name)} ON {table.sql_name} FOR EACH ROW "
                               f"EXECUTE FUNCTION {ident(name)}()")
        elif what == "publication" and table.key in ("pk", "serial", "composite") and not table.unlogged:  # without a key nobody could update it
            table.published = True
            table.after.append(f"CREATE PUBLICATION {ident(name)} FOR TABLE {table.sql_name}")

    def statistics(self, table):
        """Extended: of columns, of an expression, or both."""
        dice, name = self.dice, self.name("stats")
        ordered = [c for c in table.columns if c.tracked and FAMILIES[c.family].keyed]
        columns = dice.sample(ordered, min(len(ordered), dice.choice([2, 2, 3])))
        texts = [c for c in table.columns if c.tracked and c.family in ("text", "varchar")]
        what, kinds = [ident(c.name) for c in columns], dice.choice(["", " (ndistinct)", " (dependencies, mcv)", " (ndistinct, mcv)"])
        if texts and dice.random() < 0.3:
            what.append(f"lower({ident(dice.choice(texts).name)})")
            if dice.random() < 0.3:
                what, kinds = what[-1:], ""
        if len(what) < 2 and "(" not in what[0]:
            return
        table.others.append(name)
        table.after.append(f"CREATE STATISTICS {ident(name)}{kinds} ON {', '.join(what)} FROM {table.sql_name}")
        if dice.random() < 0.3:
            table.after.append(f"ALTER STATISTICS {ident(name)} SET STATISTICS 50")
        if dice.random() < 0.3:
            table.after.append(f"COMMENT ON STATISTICS {ident(name)} IS 'what goes together'")

    def identify(self, table):
        """An index as replica identity."""
        free = [x.name for x in table.constraints + table.indexes if x.identity]
        if free and not table.partition:
            table.after.append(f"ALTER TABLE {table.sql_name} REPLICA IDENTITY USING INDEX {ident(self.dice.choice(free))}")

    def own_index(self, table):
        """Of a partition, and of no other one: an index of the whole table like it makes it a part of itself."""
        small = [c for c in table.columns if c.tracked and not c.big and FAMILIES[c.family].keyed]
        name = self.name("own")
        table.others.append(name)
        table.after.append(f"CREATE INDEX {ident(name)} ON {ident(leaf_of(table))} ({ident(self.dice.choice(small).name)})")

    # ---- what is over columns ----

    def add_constraint(self, table, kind, columns, definition, expression="", name=None):
        name = name or self.name({"unique": "uq", "check": "ck", "foreign_key": "fk", "primary_key": "pk", "exclude": "ex"}[kind])
        identity = kind in ("unique", "primary_key") and "DEFERRABLE" not in definition and self.strict(table, columns)
        table.constraints.append(Constraint(name, kind, columns, expression, identity))
        table.after.append(f"ALTER TABLE {table.sql_name} ADD CONSTRAINT {ident(name)} {definition}")
        if self.dice.random() < 0.1:
            table.after.append(f"COMMENT ON CONSTRAINT {ident(name)} ON {table.sql_name} IS 'a rule'")

    def key_constraint(self, table):
        columns = [c.name for c in table.columns[:2 if table.key == "composite" else 1]]
        if table.key == "unique":
            self.index(table, columns, f"CREATE UNIQUE INDEX {{}} ON {table.sql_name} ({columns_of(columns)})")
        elif table.key != "none":
            self.add_constraint(table, "primary_key", columns, f"PRIMARY KEY ({columns_of(columns)})")
        for c in table.columns:
            if c.parent and not c.beside:
                self.foreign_key(table, c)

    def foreign_key(self, table, column):
        """Nobody deletes what is referred to: actions are only to be kept."""
        dice = self.dice
        ours, theirs = ([c.name for c in columns] for columns in table.link(column))
        one = f" ({ident(dice.choice(ours))})"
        actions = ["", "", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE", " ON DELETE SET NULL" + one,
                   " ON DELETE SET NULL" + one, " ON DELETE SET DEFAULT", " ON DELETE SET DEFAULT" + one]
        self.add_constraint(table, "foreign_key", ours, f"FOREIGN KEY ({columns_of(ours)}) REFERENCES {column.parent.sql_name} "
                            f"({columns_of(theirs)}){dice.choice(actions)}{dice.choice(['', '', ' DEFERRABLE INITIALLY DEFERRED'])}")

    @staticmethod
    def strict(table, columns):
        return all(table.column(name).not_null for name in columns)

    def index(self, table, columns, sql, name=None):
        name = name or self.name("ix")
        identity = "UNIQUE" in sql and "WHERE" not in sql and self.strict(table, columns)
        table.indexes.append(Index(name, columns, sql, identity))
        table.after.append(sql.format(ident(name)))
        if self.dice.random() < 0.1:
            table.after.append(f"COMMENT ON INDEX {ident(name)} IS 'why'")

    def adorn(self, table):
        dice = self.dice
        columns = [c for c in table.columns if c.tracked]
        small = [c for c in columns if not c.big and FAMILIES[c.family].keyed]
        column = dice.choice(columns)
        what = dice.choice(["check", "check2", "unique", "unique2", "btree", "btree2", "partial", "expression", "method", "exclude"])
        getattr(self, "adorn_" + what)(table, column, small or columns[:1])

    def adorn_check(self, table, column, _small):
        checks = FAMILIES[column.family].checks
        if checks:
            expression = self.dice.choice(checks).format(c=ident(column.name))
            self.add_constraint(table, "check", [column.name], f"CHECK ({expression})", expression)

    def adorn_check2(self, table, column, _small):
        other = self.dice.choice([c for c in table.columns if c.tracked])
        checks, others = FAMILIES[column.family].checks, FAMILIES[other.family].checks
        if checks and others and other is not column:
            expression = f"{checks[0].format(c=ident(column.name))} OR {others[0].format(c=ident(other.name))}"
            self.add_constraint(table, "check", [column.name, other.name], f"CHECK ({expression})", expression)

    def unique_columns(self, table, small, more):
        """None: nothing that may be unique."""
        firsts = [c.name for c in small if c.numbered and c is not table.id]
        if not firsts:
            return None
        names = [self.dice.choice(firsts)]
        names += [c.name for c in self.dice.sample(small, min(more, len(small))) if c.name not in names]
        return names + [c.name for c in table.bound() if c.name not in names]

    def adorn_unique(self, table, _column, small, more=0):
        names = self.unique_columns(table, small, more)
        if not names:
            return
        if self.dice.random() < 0.4:
            where = "" if self.dice.random() < 0.6 or table.partition else f" WHERE {ident(names[0])} IS NOT NULL"
            self.index(table, names, f"CREATE UNIQUE INDEX {{}} ON {table.sql_name} ({columns_of(names)}){where}")
        else:
            more = self.dice.choice(["", "", " DEFERRABLE"])
            self.add_constraint(table, "unique", names, f"UNIQUE ({columns_of(names)}){more}")

    def adorn_unique2(self, table, column, small):
        self.adorn_unique(table, column, small, more=1)

    def adorn_btree(self, table, _column, small, n=1):
        names = [c.name for c in self.dice.sample(small, min(n, len(small)))]
        sort = self.dice.choice(["", " DESC", " NULLS FIRST", " DESC NULLS LAST"])
        keys = ", ".join(ident(x) + (sort if i == 0 else "") for i, x in enumerate(names))
        include = ""
        others = [c for c in small if c.name not in names]
        if others and self.dice.random() < 0.2:
            include = f" INCLUDE ({ident(others[0].name)})"
            names.append(others[0].name)
        self.index(table, names, f"CREATE INDEX {{}} ON {table.sql_name} ({keys}){include}")

    def adorn_btree2(self, table, column, small):
        self.adorn_btree(table, column, small, 2)

    def adorn_partial(self, table, column, small):
        key = self.dice.choice(small)
        checks = FAMILIES[column.family].checks
        where = checks[0].format(c=ident(column.name)) if checks and self.dice.random() < 0.5 else f"{ident(column.name)} IS NOT NULL"
        self.index(table, list({key.name, column.name}), f"CREATE INDEX {{}} ON {table.sql_name} ({ident(key.name)}) WHERE {where}")

    def adorn_expression(self, table, column, _small):
        over = {"text": ("lower({c})", "length({c})"), "varchar": ("upper({c})", "({c} || 'x')"), "integer": ("({c} % 10)", "({c} IS NULL)"),
                "jsonb": ("({c} ->> 'n')",), "numeric": ("abs({c})",), "date": ("(extract(year FROM {c}))",), "bytea": ("length({c})",)}
        chosen = over.get(column.family)
        if chosen and not column.big:
            keys = self.dice.choice(chosen).format(c=ident(column.name))
            self.index(table, [column.name], f"CREATE INDEX {{}} ON {table.sql_name} ({keys})")

    def adorn_method(self, table, column, small):
        facts = FAMILIES[column.family]
        if facts.gin:
            self.index(table, [column.name], f"CREATE INDEX {{}} ON {table.sql_name} USING gin ({ident(column.name)})")
            return
        column = self.dice.choice(small)
        if column.family in ("integer", "bigint", "date", "text", "uuid"):
            method = self.dice.choice(["hash", "brin"])
            self.index(table, [column.name], f"CREATE INDEX {{}} ON {table.sql_name} USING {method} ({ident(column.name)})")

    def adorn_exclude(self, table, _column, small):
        names = self.unique_columns(table, small, 0)
        if names and not table.partition:
            self.add_constraint(table, "exclude", names, f"EXCLUDE USING btree ({ident(names[0])} WITH =)")


def rows_sql(table, seed):
    """(statements, {number: {column: literal}}) of the rows that are there before."""
    dice = random.Random(f"{seed}/rows/{table.name}")
    known, out, values = {}, [], []
    columns = table.tracked()
    overriding = " OVERRIDING SYSTEM VALUE" if table.key == "always" else ""
    for n in range(1, table.rows + 1):
        row = {c.name: dice.choice(c.pool) if not c.numbered else numbered(c.family, n) for c in columns}
        row[table.id.name] = table.id_literal(n)
        if table.part:
            row[table.part.name] = part_of(n)
        known[n] = row
        values.append("(" + ", ".join(quote(row[c.name]) for c in columns) + ")")
    for i in range(0, len(values), 50):
        out.append(f"INSERT INTO {table.sql_name} ({columns_of(c.name for c in columns)}){overriding} VALUES "
                   + ", ".join(values[i:i + 50]))
    return out, known


def part_of(n):
    return f"p{n % 2}"
