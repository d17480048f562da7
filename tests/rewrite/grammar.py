"""Statements by number: the same seed and number give the same case, whatever came before.

generate(number) gives a Draft: trees, and how they are sent. Draft.case() renders it; Draft.smaller() is what the
shrinker tries.
"""

import random
from dataclasses import dataclass, replace

from .changes import Changes
from .compare import Case
from .play import Step
from .scope import quoted, written
from .tree import Items, opt, reductions, render, seq

GAPS = [" ", " ", " ", " ", "\n", "  ", " /* ü; * */ ", " -- it's a line\n", "\t"]


@dataclass(frozen=True)
class Piece:
    """A step to be."""
    tree: object
    how: str = "simple"
    ordered: bool = False
    shown: bool = True
    data: bytes = None
    shadowed: tuple = ()


@dataclass(frozen=True)
class Draft:
    pieces: tuple
    writes: bool
    noise: int  # 0: single blanks
    alone: bool = False  # outside of a transaction

    def case(self):
        dice = random.Random(self.noise)
        gap = (lambda: dice.choice(GAPS)) if self.noise else None
        steps = []
        for piece in self.pieces:
            text, params = render(piece.tree, piece.how != "simple", gap)
            steps.append(Step(text, piece.how, params, piece.data, piece.ordered, piece.shown, piece.shadowed))
        return Case(steps, self.writes, alone=self.alone)

    def reductions(self):
        if self.noise:
            yield replace(self, noise=0)
        for i, piece in enumerate(self.pieces):
            if len(self.pieces) > 1:
                yield replace(self, pieces=self.pieces[:i] + self.pieces[i + 1:])
        for i, piece in enumerate(self.pieces):
            if piece.how in ("prepared", "binary"):
                yield self._with(i, replace(piece, how="extended"))
            if piece.how == "extended":
                yield self._with(i, replace(piece, how="simple"))
            for less in reductions(piece.tree):
                yield self._with(i, replace(piece, tree=less))

    def _with(self, i, piece):
        return replace(self, pieces=self.pieces[:i] + (piece,) + self.pieces[i + 1:])


class Grammar(Changes):
    """tables: what the side sees. binary: of each name of schema.KINDS, its two values in binary."""

    def __init__(self, seed, tables, version, binary):
        self.seed = seed
        self.tables = tables
        self.version = version
        self.binary = binary
        self.dice = random.Random(0)
        self.ctes, self.sizes = {}, {}
        self.changes = False  # does a CTE write?
        self.changing = frozenset()
        self.extended = False

    def generate(self, number):
        self.dice = random.Random(f"{self.seed}/{number}")
        self.ctes, self.sizes, self.changes = {}, {}, False
        how = self.dice.choice(["simple", "simple", "extended", "binary", "prepared"])
        self.extended = how != "simple"
        kind = self.dice.choices([row[0] for row in KINDS_OF], [row[1] for row in KINDS_OF])[0]
        pieces, writes = getattr(self, "_case_" + kind)(how)
        noise = self.dice.randrange(1, 1 << 30) if self.dice.random() < 0.3 else 0
        return Draft(tuple(pieces), writes or self.changes, noise, kind == "query" and not self.changes)

    # ---- kinds of cases ----

    def _case_query(self, how):
        node, ordered = self.query()
        return [Piece(node, how, ordered)], False

    def change(self):
        self.ctes, self.sizes, self.changing = {}, {}, frozenset()
        head = self.with_clause(1) if self.dice.random() < 0.12 else ""
        return seq(head, self.dice.choices([self.insert, self.update, self.delete, self.merge], [40, 35, 10, 15])[0]())

    def _case_change(self, how):
        return [Piece(self.change(), how)], True

    def cte_query(self, depth):
        """Some CTEs change rows, at the top of a statement only."""
        if depth == 1 and self.dice.random() < 0.08:
            self.changes = True
            shown, relation = self.target(alias=False)
            self.changing |= {relation.table.name, *TIED.get(relation.table.name, ())}
            where = seq("WHERE", self.one_row(relation))
            what = self.dice.choice(["delete", "update"])
            head = seq("DELETE FROM", shown) if what == "delete" else seq(
                "UPDATE", shown, "SET", self.set_list(relation, [], len(relation.keys) == 1))
            self.size = relation.size
            return seq(head, where, "RETURNING", "*"), relation.columns
        return super().cte_query(depth)

    def _case_changes(self, how):
        """Several one after the other, and a look."""
        count = self.dice.choice([2, 2, 3])
        node, ordered = self.query()
        return [Piece(self.change(), how) for _ in range(count)] + [Piece(node, how, ordered)], True

    def _case_drawn(self, _how):
        """Another number for each of several rows, in whatever order; how many there are then, and the same for all."""
        self.extended = False
        tree, shown, column = self.update_drawn()
        return [Piece(tree), Piece(seq("SELECT", "count(*)", ",", "count", "(", "DISTINCT", column, ")", "FROM", shown)),
                Piece(seq("UPDATE", shown, "SET", column, "=", "'same'"))], True

    def _case_message(self, _how):
        """Several statements in one message."""
        self.extended = False
        parts = [self.change() if self.dice.random() < 0.5 else self.query()[0] for _ in range(self.dice.choice([2, 3]))]
        return [Piece(Items(tuple(parts), separator=";"))], True

    def _case_prepare(self, _how):
        self.extended = False
        node = self.change() if self.dice.random() < 0.4 else self.query()[0]
        return [Piece(seq("PREPARE", "q", "AS", node)), Piece("EXECUTE q"), Piece("DEALLOCATE q")], True

    def _case_cursor(self, _how):
        self.extended = False
        node, _ = self.query()
        kind = self.dice.choice(["", "SCROLL", "NO SCROLL", "INSENSITIVE"])
        hold = self.dice.choice(["", "WITHOUT HOLD"])
        return [Piece(seq("DECLARE", "cur", kind, "CURSOR", hold, "FOR", node)), Piece("FETCH ALL FROM cur"),
                Piece("CLOSE cur")], False

    def _case_explain(self, how):
        self.extended = how != "simple"
        options = self.dice.choice(["", "(COSTS OFF)", "ANALYZE", "(ANALYZE, VERBOSE, FORMAT json)", "VERBOSE"])
        node = self.change() if self.dice.random() < 0.5 else self.query()[0]
        return [Piece(seq("EXPLAIN", options, node), how, shown=False)], True

    def _case_create(self, _how):
        """A table or a view over a query, and what is in it."""
        self.extended = False
        node, _, _ = self.plain_select(1)
        kind = self.dice.choice(["CREATE TEMP TABLE", "CREATE TEMPORARY VIEW", "CREATE TABLE", "CREATE MATERIALIZED VIEW"])
        return [Piece(seq(kind, "made", "AS", node)), Piece("SELECT * FROM made")], False

    def _case_temporary(self, how):
        """A temporary table that hides a migrating one. Its name is in doubt for the rest of the session."""
        name = "tags"
        column = self.dice.choice(["label", "title"])
        return [Piece(f"CREATE TEMP TABLE {name} (id int, {column} text)"),
                Piece(f"INSERT INTO {name} VALUES (1, 'hidden')", how, shadowed=(name,)),
                Piece(f"UPDATE {name} SET {column} = 'new'", how, shadowed=(name,)),
                Piece(f"SELECT *, {column} FROM {name}", how, shadowed=(name,))], False

    # ---- COPY ----

    def _copied(self):
        table = self.dice.choice([t for t in self.tables.values() if t.migrates])
        name = written(self.dice, table.name)
        if self.dice.random() < 0.1:
            name = seq("public", ".", name)
        return table, name

    def _copy_list(self, table):
        if self.dice.random() < 0.6:
            return ""
        return seq("(", Items(tuple(written(self.dice, c.name) for c in table.written)), ")")

    def _case_copy_out(self, how):
        table, name = self._copied()
        options = self.dice.choice(["", "(FORMAT csv, HEADER)", "WITH CSV HEADER", "(FORMAT binary)", "WITH (DELIMITER '|', NULL 'nil')"])
        if self.dice.random() < 0.3:
            self.extended = False
            node, ordered = self.query()
            return [Piece(seq("COPY", "(", node, ")", "TO STDOUT", options), ordered=ordered)], False
        if table.name == "events":  # a partitioned table is copied by a query
            return [Piece(seq("COPY", "(", "SELECT", "*", "FROM", name, ")", "TO STDOUT", options))], False
        self.extended = how != "simple"
        how = "extended" if how == "binary" else how
        return [Piece(seq("COPY", name, self._copy_list(table), "TO STDOUT", options), how)], False

    def _case_copy_in(self, _how):
        """Out, away, in again: what came out is what goes in."""
        table, name = self._copied()
        self.extended = False
        if table.name in ("events", "checks", "readings"):  # a NULL for a column with a default is the guard's to decide
            table = self.tables["archive"]
            name = table.name
        if self.dice.random() < 0.08:
            return [Piece(seq("COPY", name, "FROM STDIN"), data=b"1\tnot\tenough\n")], True
        listed = self._copy_list(table)
        options = self.dice.choice(["", "(FORMAT csv, HEADER)", "(FORMAT csv, HEADER match)", "(FORMAT binary)", "CSV"])
        back = opt(self.dice, 0.2, "WHERE", f"{quoted(table.keys[0])} > 2")
        return [Piece(seq("COPY", name, listed, "TO STDOUT", options.replace("HEADER match", "HEADER"))),
                Piece(seq("DELETE FROM", name)), Piece(seq("COPY", name, listed, "FROM STDIN", options, back))], True

    # ---- text that is wrong ----

    def _case_broken(self, how):
        """A word of it is away, twice, or another. Not of what needs its order: which rows have these numbers, or are left;
        nor of an UPDATE with a FROM: without its condition which of several rows that a row meets is anybody's guess."""
        text = ORDERED[0]
        while any(word in text for word in ORDERED) or ("UPDATE" in text and " FROM " in text):
            node = self.change() if self.dice.random() < 0.3 else self.query()[0]
            text, _ = render(node, False)
        words = text.split(" ")
        i = self.dice.randrange(len(words))
        what = self.dice.randrange(3)
        words[i:i + 1] = [] if what == 0 else [words[i], words[i]] if what == 1 else [self.dice.choice([
            "SELECT", "absent", ")", "(", "'", "1", "FROM", "*", ",", "$1", ";", '"', "::nothing"])]
        return [Piece(" ".join(words), "simple" if how == "prepared" else how)], True


ORDERED = ("row_number", "LIMIT", "FETCH", "OFFSET")

# Which of two tables bound by a foreign key is changed first decides what an error says.
TIED = {"checks": ("Order Lines",), "Order Lines": ("checks",)}

# kind and weight
KINDS_OF = [("query", 42), ("change", 30), ("changes", 5), ("drawn", 2), ("message", 4), ("prepare", 3), ("cursor", 2), ("explain", 2),
            ("create", 3), ("temporary", 1), ("copy_out", 3), ("copy_in", 2), ("broken", 5)]

__all__ = ["Draft", "Grammar", "Piece"]
