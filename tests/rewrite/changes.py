"""INSERT, UPDATE, DELETE and MERGE.

Rows that are written do not depend on the order in which they are found: numbers of a sequence are drawn for one
row only, or for rows in the order of VALUES.
"""

from math import inf

from . import schema
from .play import Param
from .queries import TURNING, Queries
from .scope import Level, Relation, columns_of, quoted, written
from .tree import Alt, Grid, Items, Opt, Value, items, opt, seq

OIDS = {"boolean": 16, "smallint": 21, "integer": 23, "bigint": 20, "text": 25, "numeric": 1700, "double precision": 701,
        "jsonb": 3802, "timestamp with time zone": 1184, "date": 1082}


class Changes(Queries):
    # `SET (a, b) = (SELECT ...)`: two of them in the arms of a MERGE can crash PostgreSQL 17 and 18
    row_selects_left = inf

    # ---- values of a column ----

    def value(self, table, column, level=None, single=True):
        """What a column is given. single: for one row, or rows in a known order."""
        node = self._value(table, column, level, single)
        text = node.literal if isinstance(node, Value) else node
        return "'0'" if column.name in DEFAULTED and isinstance(text, str) and text.startswith("NULL") else node

    def _value(self, table, column, level, single):
        chance = self.dice.random()
        if chance < 0.1 and (single or column.name != "low"):
            return "DEFAULT"  # of low it draws a number
        if column.name in table.keys and column.category == "int":
            return str(self.dice.choice([1, 2, 300, 301, 302, 303, 304]))
        if column.name == "region":
            return self.dice.choice(["'eu'", "'us'", "'asia'"])
        if column.name == "check_id" and table.name == "Order Lines":
            return self.dice.choice(["1", "2", "NULL"])
        if column.name.startswith(("k_", "n_")):
            return self.kind_value(column)
        if not single and level is not None and column.category in ("int", "text") and self.dice.random() < 0.25:
            return self.assignable(column, self.not_repeated(column.category, level))
        if self.extended and chance < 0.35 and column.category != "other":
            return self.parameter(column)
        if single and chance < 0.45 and column.category in ("int", "text"):
            node = self.called(column.category, level or Level())
            return seq("coalesce", "(", node, ",", "'0'", ")") if column.name in DEFAULTED else node
        if chance < 0.5 and column.category == "text":
            return self.dice.choice(["NULL", "'x'", "'x' COLLATE \"C\""])
        if column.category == "other":
            return "NULL" if column.type != "date" else "'2026-03-04'"
        if level is not None or chance < 0.75:
            return self.assigned(column, level or Level())
        return self.literal(column.category)

    def assigned(self, column, level):
        return self.assignable(column, self.expression(column.category, level, 1))

    def assignable(self, column, node):
        if column.name in DEFAULTED:
            node = seq("coalesce", "(", node, ",", "'0'", ")")
        if column.type == "integer":
            node = seq("(", node, ")", "::integer")
        if column.type.startswith("character varying"):
            node = seq("left", "(", node, ",", "5", ")")
        return node

    def parameter(self, column):
        """A parameter whose type the server infers, or of the column's own type."""
        kind = column.type.split("(")[0]
        category = column.category
        text = {"int": "4", "text": "p 'ü'", "num": "2.5", "bool": "true", "json": '{"p": [1]}',
                "time": "2026-05-05 05:05:05+00"}[category]
        if self.dice.random() < 0.1:
            return Value("NULL", Param(None, OIDS.get(kind, 0), 0))
        literal = "'" + text.replace("'", "''") + "'"
        return Value(literal, Param(text.encode(), self.dice.choice([0, OIDS.get(kind, 0)]), 0))

    def kind_value(self, column):
        """Of the table of all types: as a literal, or a parameter in text or binary."""
        name = column.name[2:]
        kind, *texts = schema.KINDS[name]
        which = self.dice.randrange(2)
        literal = "'" + texts[which].replace("'", "''") + "'"
        if self.dice.random() < 0.2:
            literal = f"{literal}::{kind}"
        if self.dice.random() < 0.08:
            return Value("NULL", Param(None, 0, 0))
        if self.dice.random() < 0.5:
            return Value(literal, Param(self.binary[name][which], 0, 1))
        return Value(literal, Param(texts[which].encode(), 0, 0))

    def chosen(self, table, least=1):
        """Columns of an INSERT: those without which there is no row, and some others, in any order."""
        needed = [c for c in table.written if c.name in NEEDED.get(table.name, ()) and not c.identity]
        others = [c for c in table.written if c not in needed and not (c.identity and self.dice.random() < 0.9)]
        others = self.dice.sample(others, min(len(others), self.dice.randint(0 if needed else least, min(len(others), 6))))
        both = needed + others
        self.dice.shuffle(both)
        return both

    def target(self, alias=True):
        """(node, Relation) of a table to write to."""
        free = [t for t in self.tables.values() if t.name not in self.changing]
        table = self.dice.choice([t for t in free if self.dice.random() < (0.1 if t.name == "tags" or not t.migrates else 1)]
                                 or free)
        name, shown, qualifier = table.name, written(self.dice, table.name), ""
        if self.dice.random() < 0.1:
            shown, qualifier = seq("public", ".", shown), "public"
        if alias and self.dice.random() < 0.35:
            name = self.dice.choice(["z", "k", "w", "Z z"])
            return seq(shown, "AS", written(self.dice, name)), Relation(name, columns_of(table), table, tuple(table.keys))
        return shown, Relation(name, columns_of(table), table, tuple(table.keys), qualifier)

    # ---- RETURNING ----

    def returning(self, level, more=()):
        if self.dice.random() < 0.35:
            return ""
        level = Level(level.relations + list(more), outer=level.outer)
        chance = self.dice.random()
        if chance < 0.4:
            return Opt(seq("RETURNING", "*"))
        if chance < 0.6:
            return Opt(seq("RETURNING", items(seq(written(self.dice, level.relations[0].name), ".", "*"), "1 AS one")))
        node, _ = self.select_list(level)
        return Opt(seq("RETURNING", node))

    # ---- INSERT ----

    def insert(self):
        shown, relation = self.target()
        table = relation.table
        level = Level([relation])
        chance = self.dice.random()
        if chance < 0.04 and table.name in ("readings", "checks", "words"):
            source, over = "DEFAULT VALUES", ""
        elif chance < 0.3 and table.name not in ("readings", "kinds"):
            source, over = self.insert_select(table), ""
        else:
            source, over = self.insert_values(table)
        conflict = self.on_conflict(relation) if self.dice.random() < 0.3 and not over else ""
        return seq("INSERT INTO", shown, source, conflict, self.returning(level))

    def insert_values(self, table):
        named = self.dice.random() < 0.75
        columns = self.chosen(table) if named else table.written[:self.dice.randint(
            max(1, len(table.written) - 4), len(table.written))]
        if not named and table.name == "readings":
            columns = table.columns[:self.dice.randint(2, 4)]
        over = "OVERRIDING SYSTEM VALUE" if any(c.identity for c in columns) and self.dice.random() < 0.8 else ""
        used = self.dice.sample(range(300, 340), 3)
        rows = []
        for i in range(self.dice.choice([1, 1, 1, 2, 3])):
            row = [self.value(table, c) for c in columns]
            for k, column in enumerate(columns):
                if column.name in table.keys and column.category == "int" and self.dice.random() < 0.8:
                    row[k] = str(used[i])
                if column.name == "run_id" and self.dice.random() < 0.9:
                    row[k] = f"'new {used[i]}'"
            rows.append(tuple(row))
        head = tuple(written(self.dice, c.name) for c in columns) if named else ()

        def form(names, values, over=over):
            listed = seq("(", Items(names), ")") if names else ""
            return seq(listed, over, "VALUES", Items(tuple(seq("(", Items(row), ")") for row in values)))

        return Grid(head, tuple(rows), form), over

    def insert_select(self, table):
        """From a query: stars where the shapes are the same, else a list of the right types."""
        own = written(self.dice, table.name)
        if self.dice.random() < 0.2:
            return self.dice.choice([seq("TABLE", quoted(table.name), "ON CONFLICT DO NOTHING"),
                                     seq("SELECT", "*", "FROM", own, "ON CONFLICT DO NOTHING"),
                                     seq("SELECT", "s", ".", "*", "FROM", own, "s", "WHERE", "false")])
        columns = self.chosen(table)
        if any(c.name.startswith(("k_", "n_")) for c in columns):
            columns = [c for c in columns if c.name in table.keys]
        source, level = self.from_clause(None, 1)
        row = []
        for column in columns:
            if column.name in table.keys and column.category == "int":
                row.append(seq("row_number() OVER", "(", self.total_order(level) or "", ")", "+", "400"))
            elif column.name == "run_id":
                row.append(seq("'r'", "||", "row_number() OVER", "(", self.total_order(level) or "", ")"))
            elif column.name == "region":
                row.append("'eu'")
            elif column.name == "check_id":
                row.append("1")
            elif column.category == "other":
                row.append("DATE '2026-01-05'" if column.type == "date" else "NULL")
            else:
                row.append(self.typed(column.category, level) if column.name not in DEFAULTED
                           else seq("coalesce", "(", self.typed(column.category, level), ",", "'0'", ")"))
        where = opt(self.dice, 0.5, "WHERE", self.expression("bool", level, 1))
        if self.total_order(level) is None:  # numbers of rows would be given in any order
            where = seq(where, "LIMIT 0")
        head = tuple(written(self.dice, c.name) for c in columns)
        return Grid(head, (tuple(row),), lambda names, rows: seq("(", Items(names), ")", "SELECT", Items(rows[0]), source, where))

    def on_conflict(self, relation):
        table = relation.table
        keys = Items(tuple(written(self.dice, k) for k in table.keys), least=len(table.keys))
        chance = self.dice.random()
        if chance < 0.2:
            return Opt("ON CONFLICT DO NOTHING")
        if chance < 0.35:
            return Opt(seq("ON CONFLICT", "(", keys, ")", "DO NOTHING"))
        excluded = Relation("excluded", columns_of(table))
        where = opt(self.dice, 0.25, "WHERE", self.expression("bool", Level([relation, excluded]), 1))
        return Opt(seq("ON CONFLICT", "(", keys, ")", "DO UPDATE SET", self.set_list(relation, [excluded], True), where))

    # ---- UPDATE, DELETE ----

    def set_list(self, relation, more, single):
        table = relation.table
        free = [c for c in table.written if c.name not in table.keys and not c.identity
                and (table.name, c.name) != ("checks", "run_id")]  # two errors at once: unique, and not null
        columns = self.dice.sample(free, min(len(free), self.dice.choice([1, 1, 2, 3])))
        level = Level([relation] + more)
        members, i = [], 0
        while i < len(columns):
            pair = columns[i:i + 2]
            if len(pair) == 2 and self.dice.random() < 0.25:
                members.append(self.set_pair(table, pair, level, single))
                i += 2
            else:
                members.append(seq(written(self.dice, pair[0].name), "=", self.new_value(table, pair[0], level, single)))
                i += 1
        return Items(tuple(members))

    def new_value(self, table, column, level, single):
        if level.relations[1:] and self.dice.random() < 0.5:
            other = [c for c in level.relations[1].named(column.category) if column.category != "other"]
            if level.relations[1].name == "excluded":
                other = [c for c in level.relations[1].columns if c.name == column.name]
            if other:
                name = seq(written(self.dice, level.relations[1].name), ".", written(self.dice, self.dice.choice(other).name))
                return seq("(", name, ")", "::integer") if column.type == "integer" else name
        return self.value(table, column, level, single)

    def set_pair(self, table, pair, level, single):
        names = Items(tuple(written(self.dice, c.name) for c in pair), least=2)
        chance = self.dice.random()
        if chance < 0.35 and self.row_selects_left and all(c.category != "other" for c in pair):
            self.row_selects_left -= 1
            inner = self.table(Level(outer=level), plain=True)
            values = Items(tuple(self.assigned(c, Level([inner[1]], outer=level)) for c in pair), least=2)
            order = self.total_order(Level([inner[1]]), qualified=True)
            tail = seq("FROM", inner[0], order, "LIMIT 1") if order else ""
            return seq("(", names, ")", "=", "(", "SELECT", values, tail, ")")
        row = self.dice.choice(["", "ROW"])
        values = Items(tuple(self.new_value(table, c, level, single) for c in pair), least=2)
        return seq("(", names, ")", "=", row, "(", values, ")")

    def one_row(self, relation):
        """A condition that holds for one row."""
        name = written(self.dice, relation.name)
        return seq(name, ".", written(self.dice, relation.keys[0]), "=", self.dice.choice(["1", "2", "3"]))

    def update(self):
        shown, relation = self.target()
        if self.dice.random() < 0.05:
            shown = seq("ONLY", shown)
        single = self.dice.random() < 0.4 and len(relation.keys) == 1
        level, source, link = Level([relation]), "", ""
        if self.dice.random() < 0.25:
            source, link = self.other(relation, level, "FROM")
        condition = self.expression("bool", level, 2)
        if single:
            condition = seq(self.one_row(relation), "AND", Alt(condition, ("true",)))
        where = seq("WHERE", link, Alt(condition, ("true",))) if link or single or self.dice.random() < 0.7 else ""
        return seq("UPDATE", shown, "SET", self.set_list(relation, level.relations[1:], single), source, where,
                   self.returning(level))

    def update_drawn(self):
        """(an UPDATE that draws numbers for several rows, the table, the column). What it reads beside the table is a constant
        to the planner, or the table's."""
        def free(table):
            return [c for c in table.written if c.type == "text" and c.name not in table.keys + ["run_id", "region"]]

        table = self.dice.choice([t for t in self.tables.values() if free(t) and t.migrates])
        shown, column = written(self.dice, table.name), written(self.dice, self.dice.choice(free(table)).name)
        key = seq(shown, ".", written(self.dice, table.keys[0]))
        source, head = self.dice.choice([("(VALUES (7)) c (org)", ""), ("(SELECT 7 AS org) c", ""), ("abs(-7) c (org)", ""),
                                         ("c", "WITH c AS (SELECT 7 AS org)")])
        given = self.dice.choice(["nextval('ticks')", "c.org || nextval('ticks')::text", "draw('x')", "draw(c.org::text)"])
        where = self.dice.choice(["c.org = 7", "org > 1", seq("org", "<>", key), seq(key, "<", "org")])
        return seq(head, "UPDATE", shown, "SET", column, "=", seq("'v'", "||", given), "FROM", source,
                   opt(self.dice, 0.8, "WHERE", where)), shown, column

    def other(self, relation, level, keyword):
        """Another relation of which each row meets one: (FROM or USING, condition and AND)."""
        table = self.dice.choice([t for t in self.tables.values() if len(t.keys) == 1 and t.name not in self.ctes])
        name = self.dice.choice(["o", "p", "claim"])
        joined = Relation(name, columns_of(table), table, tuple(table.keys))
        level.relations.append(joined)
        link = seq(written(self.dice, name), ".", written(self.dice, table.keys[0]), "=", written(self.dice, relation.name), ".",
                   written(self.dice, relation.keys[0]), "AND")
        return seq(keyword, written(self.dice, table.name), written(self.dice, name)), link

    def delete(self):
        shown, relation = self.target()
        level, source, link = Level([relation]), "", ""
        if self.dice.random() < 0.3:
            source, link = self.other(relation, level, "USING")
        where = seq("WHERE", link, Alt(self.expression("bool", level, 2), ("true",)))
        return seq("DELETE FROM", shown, source, where, self.returning(level))

    # ---- MERGE ----

    def merge(self):
        shown, relation = self.target()
        table = relation.table
        if table.name in ("readings", "kinds", "events"):
            return self.update()
        source = Level()
        if self.dice.random() < 0.5:
            node, other = self.table(source, plain=True)
        else:
            node, other = self.values_list(source)
        key = "id" if not other.keys else other.keys[0]
        if other.name == relation.name:
            return self.delete()
        on = seq(written(self.dice, other.name), ".", written(self.dice, key), "=", written(self.dice, relation.name), ".",
                 written(self.dice, table.keys[0]))
        both = Level([relation, other])
        self.row_selects_left = 1
        count = self.dice.choice([1, 2, 2, 3])
        arms = [self.merge_arm(relation, other, both, 0.4 if i == count - 1 else 0.9) for i in range(count)]
        self.row_selects_left = inf
        tail = self.returning(both) if self.version >= 17 and self.dice.random() < 0.5 else ""
        return seq("MERGE INTO", shown, "USING", node, "ON", on, Items(tuple(arms), separator=" "), tail)

    def merge_arm(self, relation, other, both, conditional):
        """conditional: how often it has a condition; behind one that has none an arm of its kind is refused."""
        chance = self.dice.random()
        level = both
        if chance < 0.5:
            match, does = "WHEN MATCHED", self.dice.choice(["DELETE", "DO NOTHING", "", "", ""])
            if not does:
                does = seq("UPDATE SET", self.set_list(relation, [other], False))
        elif self.version >= 17 and chance < 0.6:
            match, level = "WHEN NOT MATCHED BY SOURCE", Level([relation])
            does = seq("UPDATE SET", self.set_list(relation, [], False))
        else:
            match, level = "WHEN NOT MATCHED", Level([other])
            does = self.dice.choice(["DO NOTHING", "", "", ""]) or self.merge_insert(relation.table, other)
        condition = opt(self.dice, conditional, "AND", self.expression("bool", level, 1))
        return seq(match, condition, "THEN", does)

    def merge_insert(self, table, other):
        columns = self.chosen(table)
        level = Level([other])
        key = "id" if not other.keys else other.keys[0]
        row = []
        for column in columns:
            if column.name in table.keys and column.category == "int":
                row.append(seq(written(self.dice, other.name), ".", written(self.dice, key)))
            elif column.name == "run_id":
                row.append(seq("'m'", "||", written(self.dice, other.name), ".", written(self.dice, key)))
            else:
                row.append(self.value(table, column, level, single=False))
        return Grid(tuple(written(self.dice, c.name) for c in columns), (tuple(row),),
                    lambda names, rows: seq("INSERT", "(", Items(names), ")", "VALUES", "(", Items(rows[0]), ")"))


# Columns with a default: where only one of two twins can be written, the guard takes a NULL for one that nobody wrote.
DEFAULTED = {"aggregation", "config_json", "diagnostics", "counts", "value", "amount", "unit", "uom", "select", "from"}
NEEDED = {"checks": ("id", "run_id"), "archive": ("id", "run_id"), "Order Lines": ("Id",), "events": ("id", "region"),
          "tags": ("id",), "words": ("id",), "notes": ("id",), "people": ("id",), "kinds": ("id",), "readings": (),
          **{name: ("id",) for name in TURNING}}
