"""SELECT in its shapes: joins, stars, CTEs, set operations, groups, windows, locks.

What PostgreSQL does not promise to be the same twice is not made: LIMIT comes with a total order, aggregates
that depend on the order have one.
"""

import math

from .expressions import Expressions
from .scope import Level, Output, Relation, columns_of, quoted, reference, written
from .tree import Alt, Items, Opt, Seq, items, opt, seq

ALIASES = ["a", "b", "c", "d", "x", "y", "T1", "t", "notes", "claim", "claim_text", "config_json", "Ü", "racks", "shelves"]


# What the columns of a CTE may be called: much of it is the other side's.
LISTED = ["id", "claim", "claim_text", "config_json", "aggregation", "body", "title", "amount", "value", "depth"]

TURNING = ["crates", "Big Crates", "racks", "shelves"]  # what tables are called before and after

ROWS_MAX = 2000  # of a query, roughly


class Queries(Expressions):
    size = 0  # rows at most of the last query made, roughly
    changing = frozenset()  # names of tables of which a CTE changes rows: nothing else of the statement may, or lock them

    # ---- FROM ----

    def some_table(self, level, migrating=0.75):
        taken = {r.name for r in level.relations}
        wanted = self.dice.random() < migrating
        free = [t for t in self.tables.values() if t.name not in taken]
        usual = [t for t in free if t.migrates == wanted and (t.name != "tags" or self.dice.random() < 0.1)]
        return self.dice.choice(usual or free or list(self.tables.values()))

    def alias(self, level):
        taken = {r.name for r in level.relations}
        return self.dice.choice([a for a in ALIASES if a not in taken])

    def table(self, level, plain=False):
        """A table of FROM: (node, Relation). plain: neither sampled nor its columns renamed."""
        table = self.some_table(level)
        columns, name, schema = columns_of(table), table.name, ""
        shown = written(self.dice, name)
        keys, size = tuple(table.keys), Relation.size
        if self.dice.random() < 0.12:
            shown, schema = seq("public", ".", shown), "public"
        elif table.name in self.ctes:  # then that is what the name means
            columns, keys, size = self.ctes[table.name], (), self.sizes[table.name]
        chance = self.dice.random()
        if not plain and chance < 0.03:
            shown = seq("ONLY", shown)
        elif chance < 0.05:
            shown = seq(shown, "*")
        taken = any(r.name == name for r in level.relations)
        if taken or self.dice.random() < 0.65:
            name, schema = self.alias(level), ""
            shown = seq(shown, self.dice.choice(["", "AS"]), written(self.dice, name))
            if not plain and self.dice.random() < 0.06 and columns:
                renamed = [f"r{i}" for i in range(self.dice.randint(1, len(columns)))]
                shown = seq(shown, "(", items(*renamed), ")")
                columns = [Output(renamed[i] if i < len(renamed) else c.name, c.category) for i, c in enumerate(columns)]
                return shown, Relation(name, columns, size=size)
        if not plain and self.dice.random() < 0.02:
            shown = seq(shown, "TABLESAMPLE bernoulli (100)")
        return shown, Relation(name, columns, table, keys, schema, size)

    def derived(self, level, lateral):
        """A query in FROM."""
        query, outputs = self.select(1, outer=level if lateral else level.outer)
        name = self.alias(level)
        called = seq(self.dice.choice(["", "AS"]), written(self.dice, name))
        if self.version >= 16 and self.dice.random() < 0.2 and all(r.name != "nameless" for r in level.relations):
            name, called = "nameless", ""  # who names it makes a mistake
        node = seq("LATERAL" if lateral else "", "(", query, ")", called)
        return node, Relation(name, outputs, size=self.size)

    def values_list(self, level):
        name = self.alias(level)
        rows = [seq("(", str(i), ",", self.literal("text"), ")") for i in range(1, self.dice.randint(2, 4))]
        node = seq("(", "VALUES", items(*rows), ")", "AS", written(self.dice, name), "(", "id", ",", "env", ")")
        return node, Relation(name, [Output("id", "int"), Output("env", "text")])

    def function(self, level):
        name = self.alias(level)
        if self.dice.random() < 0.5:  # its column is called as it is
            call = self.dice.choice([seq("generate_series", "(", "1", ",", "3", ")"), seq("unnest", "(", "ARRAY[2, 5]", ")")])
            return seq(call, self.dice.choice(["", "AS"]), written(self.dice, name)), Relation(name, [Output(name, "int")], None, (name,), size=3)
        return (seq("generate_series", "(", "1", ",", "3", ")", "AS", written(self.dice, name), "(", "id", ")"),
                Relation(name, [Output("id", "int")], None, ("id",)))

    def from_item(self, level, depth):
        chance = self.dice.random()
        if self.ctes and chance < 0.35:
            cte, columns = self.dice.choice(list(self.ctes.items()))
            name = self.alias(level)
            return seq(written(self.dice, cte), written(self.dice, name)), Relation(name, columns, size=self.sizes[cte])
        if depth > 0 and chance > 0.86:
            return self.derived(level, lateral=bool(level.relations) and self.dice.random() < 0.4)
        if chance > 0.83:
            return self.values_list(level)
        if chance > 0.81:
            return self.function(level)
        return self.table(level)

    def from_clause(self, outer, depth):
        """(node, Level)"""
        level = Level(outer=outer)
        node, relation = self.from_item(level, depth)
        level.relations.append(relation)
        chance = self.dice.random()
        while chance < 0.45 and len(level.relations) < 3:
            node = self.join(node, level, depth)
            chance = self.dice.random()
        if chance > 0.95 and len(level.relations) < 3:  # the last: an ON does not see what is in front of a comma
            other, relation = self.from_item(level, depth)
            if relation.size * self.rows(level) <= ROWS_MAX:
                level.relations.append(relation)
                node = seq(node, ",", other)
        return seq("FROM", node), level

    @staticmethod
    def rows(level):
        return math.prod(relation.size for relation in level.relations)

    def join(self, left, level, depth):
        common = None
        if len(level.relations) == 1 and self.dice.random() < 0.35:
            right, relation = self.table(level)
            common = self._common(level.relations[0], relation)
        else:
            right, relation = self.from_item(level, depth)
        if relation.size * self.rows(level) > ROWS_MAX:
            return left
        first = level.relations[0]
        level.relations.append(relation)
        kind = self.dice.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT OUTER JOIN", "FULL JOIN", "INNER JOIN"])
        if common is not None and self.dice.random() < 0.5 and self._mergeable(first, relation, common):
            level.merged = common
            return seq(left, "NATURAL", kind, right)
        usable = [c for c in common or () if self._mergeable(first, relation, {c})]
        if usable:
            chosen = self.dice.sample(usable, self.dice.randint(1, len(usable)))
            level.merged = set(chosen)
            return seq(left, kind, right, "USING", "(", items(*[written(self.dice, c) for c in chosen]), ")")
        chance = self.dice.random()
        if chance < 0.2:
            return seq(left, "CROSS JOIN", right)
        category = self.dice.choice(["int", "text"])
        one, other = self.column(Level(level.relations[:-1]), category), self.column(Level([relation]), category)
        condition = seq(one, "=", other) if one is not None and other is not None else "true"
        if kind == "FULL JOIN":
            kind = "LEFT JOIN" if condition == "true" else kind
        if level.has(getattr(condition, "parts", ("",))[0] or "") > 1:  # a bare name that both have
            condition = "true" if kind != "FULL JOIN" else condition
        return Alt(seq(left, kind, right, "ON", condition), (seq(left, "CROSS JOIN", right),))

    @staticmethod
    def _common(one, other):
        return {c.name for c in one.columns} & {c.name for c in other.columns}

    @staticmethod
    def _mergeable(one, other, names):
        categories = {r: {c.name: c.category for c in r.columns} for r in ()}
        categories = [{c.name: c.category for c in r.columns} for r in (one, other)]
        twice = any(sum(c.name == n for c in r.columns) > 1 for r in (one, other) for n in names)
        return not twice and all(categories[0][n] == categories[1][n] != "other" for n in names)

    # ---- the list of a SELECT ----

    def item(self, level, number):
        """(node, outputs) of one member."""
        chance = self.dice.random()
        if chance < 0.2 and level.relations:
            return "*", level.star()
        if chance < 0.38 and level.relations:
            relation = self.dice.choice(level.relations)
            name = written(self.dice, relation.name)
            if relation.schema and self.dice.random() < 0.3:
                name = seq(relation.schema, ".", name)
            return seq(name, ".", "*"), relation.columns
        if chance < 0.42:
            whole = self.whole_row(level)
            if whole is not None and self.dice.random() < 0.3:
                return seq("(", whole, ")", "AS", f"e{number}"), [Output(f"e{number}", "other")]
            if whole is not None:
                return seq("(", whole, ")", ".", "*"), []
        category = self.dice.choice(["int", "text", "text", "bool", "num", "json", "time"])
        if chance < 0.7:
            column = self.column(level, category)
            if column is not None:
                shown = column.parts[-1] if isinstance(column, Seq) else column
                return column, [Output(shown, category)] if isinstance(shown, str) and shown.islower() else []
        name = f"e{number}"
        expression = self.expression(category, level, 2)
        return seq(expression, self.dice.choice(["AS", "AS", ""]), name), [Output(name, category)]

    def select_list(self, level):
        nodes, outputs = [], []
        for number in range(self.dice.choice([1, 1, 2, 2, 3, 4])):
            node, more = self.item(level, number)
            nodes.append(node)
            outputs = outputs + more
        return Items(tuple(nodes)), outputs

    def wanted_list(self, level, want):
        nodes = []
        for i, category in enumerate(want):
            nodes.append(seq(self.typed(category, level), f"AS w{i}" if self.dice.random() < 0.3 else ""))
        return Seq((items(*nodes, least=len(nodes)),)), [Output(f"w{i}", c) for i, c in enumerate(want)]

    def typed(self, category, level):
        """An expression of a type that does not depend on how it is made."""
        return seq("(", self.expression(category, level, 1), ")", "::" + {"int": "integer", "num": "numeric(20, 6)", "time": "timestamptz",
                                                                       "json": "jsonb", "bool": "boolean"}.get(category, "text"))

    # ---- ORDER BY, LIMIT, locks ----

    def total_order(self, level, qualified=False):
        """ORDER BY over keys of all relations, or None; `qualified`: what is selected may be called as one."""
        keys = [(r, k) for r in level.relations for k in r.keys]
        if not level.relations or not all(r.keys for r in level.relations) or not level.relations[0].name:
            return None
        nodes = [reference(self.dice, r, k, level.unqualified(k) and not level.merged and not qualified)
                 for r, k in keys]
        return seq("ORDER BY", Items(tuple(nodes), least=len(nodes)))

    def tail(self, level, distinct):
        """(node, is it ordered)"""
        order = None if distinct else self.total_order(level)
        if order is None or self.dice.random() < 0.5:
            return "", False
        limit = opt(self.dice, 0.5, self.dice.choice(["LIMIT 3", "LIMIT 2 OFFSET 1", "FETCH FIRST 2 ROWS ONLY", "OFFSET 2"]))
        return seq(order, limit), True

    def lock(self, level):
        if self.dice.random() > 0.08 or not all(r.table for r in level.relations) or level.merged or self.changing:
            return ""
        of = opt(self.dice, 0.5, "OF", written(self.dice, level.relations[0].name))
        return seq(self.dice.choice(["FOR UPDATE", "FOR SHARE", "FOR NO KEY UPDATE"]), of)

    # ---- queries ----

    def plain_select(self, depth, outer=None, want=None, top=False):
        """(node, outputs, is it ordered)"""
        source, level = self.from_clause(outer, depth)
        self.size = self.rows(level)
        where = opt(self.dice, 0.6, "WHERE", self.expression("bool", level, 2))
        if want is None and self.dice.random() < 0.12:
            node, outputs = self.grouped(level)
            return seq("SELECT", node[0], source, where, node[1]), outputs, False
        listed, outputs = self.wanted_list(level, want) if want else self.select_list(level)
        distinct = "DISTINCT" if self.dice.random() < 0.08 else self.dice.choice(["", "", "", "ALL"])
        if want is None and distinct != "DISTINCT" and self.dice.random() < 0.06:
            listed = Items(listed.items + (self.window(level),))
            outputs = outputs + [Output("w", "int")]
        if any(o.category in ("other", "json") for o in outputs) and distinct == "DISTINCT":
            distinct = ""  # json has no equality
        tail, ordered = self.tail(level, distinct == "DISTINCT")
        lock = self.lock(level) if top and distinct != "DISTINCT" else ""
        return seq("SELECT", distinct, listed, source, where, Opt(tail) if tail else "", lock), outputs, ordered

    def window(self, level):
        order = self.total_order(level)
        if order is None:
            return "count(*) OVER () AS w"
        part = self.column(level, "text", deep=False) or "1"
        return Alt(seq("row_number() OVER", "(", "PARTITION BY", part, order, ")", "AS w"), ("count(*) OVER () AS w",))

    def grouped(self, level):
        """((list, clauses), outputs)"""
        relation = self.dice.choice(level.relations)
        if relation.table and relation.keys and not level.merged and self.dice.random() < 0.3:
            keys = Items(tuple(seq(written(self.dice, relation.name), ".", written(self.dice, k)) for k in relation.keys),
                         least=len(relation.keys))
            return (items(seq(written(self.dice, relation.name), ".", "*"), "count(*) AS n"), seq("GROUP BY", keys)), \
                relation.columns + [Output("n", "int")]
        key = self.column(level, "text", deep=False)
        if key is None:
            return ("count(*) AS n", ""), [Output("n", "int")]
        text = self.column(level, "text", deep=False)
        members = [Alt(seq("string_agg", "(", text, ",", "','", "ORDER BY", text, ")"), ("count(*)",)), "count(*)"]
        whole = self.whole_row(level)
        if whole is not None:
            members.append(seq("count", "(", whole, ")"))
            if relation.keys and len(level.relations) == 1:
                members.append(seq(self.dice.choice(["json_agg", "jsonb_agg"]), "(", whole, self.total_order(level), ")"))
        if self.dice.random() < 0.5:
            return (items(seq(key, "AS k"), *members), seq("GROUP BY", key, opt(self.dice, 0.3, "HAVING count(*) > 1"))), \
                [Output("k", "text")]
        return (items(*members), ""), []

    def set_operation(self, depth, outer):
        kind = self.dice.choice(["UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL"])
        if self.dice.random() < 0.45:  # of stars: the same table twice
            table = self.dice.choice([t for t in self.tables.values() if t.migrates and t.name not in ("kinds", "tags")])
            sides = []
            for _ in range(2):
                relation = Relation(table.name, columns_of(table), table, tuple(table.keys))
                where = opt(self.dice, 0.5, "WHERE", self.expression("bool", Level([relation], outer=outer), 1))
                sides.append(seq("SELECT", "*", "FROM", written(self.dice, table.name), where) if self.dice.random() < 0.8
                             else seq("TABLE", written(self.dice, table.name)))
            self.size = 18
            return seq(sides[0], kind, sides[1]), columns_of(table)
        want = self.dice.sample(["int", "text", "num", "bool", "text"], self.dice.randint(1, 3))
        one, outputs, _ = self.plain_select(0, outer, want)
        other, _, _ = self.plain_select(0, outer, want)
        self.size = ROWS_MAX // 4
        # total orders inside need brackets
        return seq("(", one, ")", kind, "(", other, ")"), outputs

    def select(self, depth, outer=None):
        """(node, outputs)"""
        if self.dice.random() < 0.1:
            return self.set_operation(depth, outer)
        node, outputs, _ = self.plain_select(depth, outer)
        return node, outputs

    def with_clause(self, depth):
        """Fills self.ctes; gives the node. Some are called like tables."""
        members = []
        recursive = self.dice.random() < 0.3
        for _ in range(self.dice.choice([1, 1, 2])):
            # a table that a recursive one is called as would be itself
            name = self.dice.choice(["n", "m", "recent", "claim", "With Q"] + ([] if recursive else ["archive", "words", *TURNING]))
            if name in self.ctes:
                continue
            shown = written(self.dice, name)
            if self.dice.random() < (0.6 if recursive else 0.3):
                query, outputs = self.recursive_query(name) if recursive and self.dice.random() < 0.7 else self.listed_query()
                shown = seq(shown, "(", Items(tuple(written(self.dice, o.name) for o in outputs), least=len(outputs)), ")")
            else:
                query, outputs = self.cte_query(depth)
            kept = self.dice.choice(["", "", "MATERIALIZED", "NOT MATERIALIZED"])
            members.append(seq(shown, "AS", kept, "(", query, ")"))
            self.ctes[name], self.sizes[name] = outputs, self.size
        return seq("WITH", "RECURSIVE" if recursive else "", Items(tuple(members)))

    def listed_query(self):
        """A query whose columns are called by a list beside it: (node, outputs)."""
        want = self.dice.sample(["int", "text", "text", "num"], self.dice.randint(1, 3))
        node, _, _ = self.plain_select(0, None, want)
        return node, [Output(name, category) for name, category in zip(self.dice.sample(LISTED, len(want)), want)]

    def recursive_query(self, name):
        """The same of one that reads itself, which counts to 2 in its first column, beside a table."""
        base, _, _ = self.plain_select(0, None, ["int", "text"])
        size = self.size
        names = self.dice.sample(LISTED, 3)
        table = self.dice.choice([t for t in self.tables.values() if t.migrates and t.keys == ["id"] and t.name not in (name, "tags", *self.ctes)])
        bare = [n if all(c.name != n for c in table.columns) else f"r.{n}" for n in names]
        again = seq("SELECT", bare[0], "+ 1", ",", bare[1], ",", bare[2], "FROM", quoted(name), "r", "JOIN", quoted(table.name), "x ON x.id = 5",
                    "WHERE", bare[0], "< 2")
        self.size = 3 * size
        outputs = [Output(n, category) for n, category in zip(names, ["int", "int", "text"])]
        return seq("SELECT", "0", ",", "b.*", "FROM", "(", base, ")", "b", self.dice.choice(["UNION ALL", "UNION"]), again), outputs

    def cte_query(self, depth):
        return self.select(depth)

    def query(self):
        """A whole SELECT: (node, is it ordered)."""
        self.ctes, self.sizes, self.changing = {}, {}, frozenset()
        head = self.with_clause(1) if self.dice.random() < 0.2 else ""
        if self.dice.random() < 0.12:
            return seq(head, self.set_operation(1, None)[0]), False
        if self.dice.random() < 0.03:
            return seq(head, "TABLE", quoted(self.some_table(Level()).name)), False
        node, _, ordered = self.plain_select(2, top=True)
        return seq(head, node), ordered
