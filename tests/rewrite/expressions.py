"""Scalar expressions of a category (schema.CATEGORIES) over the columns in scope."""

import struct

from .play import Param
from .scope import Level, reference, written
from .tree import Alt, Items, Value, items, seq

# category: type names for casts, literals, parameter type, how a parameter is packed in binary
LITERALS = {
    "int": ("integer", ["0", "1", "2", "3", "5", "7"], 23, lambda text: struct.pack("!i", int(text))),
    "text": ("text", ["'claim 1'", "'mean'", "'run3'", "'it''s'", "'ü'", "$$p1$$", "E'tab\\t'", "U&'\\0061b'", "''"], 25, None),
    "num": ("numeric", ["0.25", "1.5", "2", "-1.0"], 701, lambda text: struct.pack("!d", float(text))),
    "bool": ("boolean", ["true", "false"], 16, lambda text: b"\x01" if text == "true" else b"\x00"),
    "json": ("jsonb", ["'{\"n\": 1}'", "'[]'", "'\"x\"'"], 3802, None),
    "time": ("timestamptz", ["'2026-01-01 00:00:00+00'", "'2025-06-01 12:00:00+02'"], 1184, None),
}
SPECIAL_TEXT = {"$$p1$$": "p1", "E'tab\\t'": "tab\t", "U&'\\0061b'": "ab"}


class Expressions:
    """Mixed into the grammar, which has dice, extended, and what queries need."""

    # ---- leaves ----

    def literal(self, category):
        kind, texts, oid, pack = LITERALS[category]
        text = self.dice.choice(texts)
        plain = SPECIAL_TEXT.get(text, text[1:-1].replace("''", "'") if text.startswith("'") else text)
        if self.dice.random() < 0.1:
            return f"NULL::{kind}"
        cast = text if category in ("int", "text", "num", "bool") else f"{text}::{kind}"
        if not self.extended or self.dice.random() < 0.4:
            return cast
        if pack and self.dice.random() < 0.5:
            return Value(cast, Param(pack(plain), oid, 1))
        return Value(cast, Param(plain.encode(), oid, 0))

    def column(self, level, category, deep=True):
        """A reference to a column in scope, or None where there is none of the category."""
        choices, inner = [], []
        while level is not None:
            for relation in level.relations:
                for column in relation.named(category):
                    bare = level.unqualified(column.name) and not any(i.has(column.name) for i in inner)
                    hidden = any(r.name == relation.name for i in inner for r in i.relations)
                    if bare or not hidden:
                        choices.append((relation, column.name, bare, hidden))
            inner.append(level)
            level = level.outer if deep else None
        if not choices:
            return None
        relation, name, bare, hidden = self.dice.choice(choices)
        if hidden:
            return written(self.dice, name)
        return reference(self.dice, relation, name, bare)

    def leaf(self, category, level):
        if self.dice.random() < 0.75:
            column = self.column(level, category)
            if column is not None:
                return column
        return self.literal(category)

    # ---- inner nodes ----

    def expression(self, category, level, depth=2):
        if depth <= 0 or self.dice.random() < 0.45:
            if self.dice.random() < 0.006:
                return self.mistake(level)
            return self.leaf(category, level)
        simple = self.leaf(category, level)
        made = getattr(self, "_" + category)(level, depth - 1)
        return Alt(made, (simple,)) if made is not None else simple

    def mistake(self, level):
        """A name that nothing has: an error with a position."""
        relation = self.dice.choice(level.relations) if level.relations else None
        return seq(written(self.dice, relation.name), ".", "absent") if relation and self.dice.random() < 0.5 else "absent"

    def _case(self, category, level, depth):
        return seq("CASE WHEN", self.expression("bool", level, depth), "THEN", self.expression(category, level, depth), "ELSE",
                   self.expression(category, level, depth), "END")

    def _shared(self, category, level, depth):
        what = self.dice.randrange(3)
        if what == 0:
            return seq("coalesce", "(", self.expression(category, level, depth), ",", self.expression(category, level, depth), ")")
        if what == 1:
            return self._case(category, level, depth)
        return self.scalar_query(category, level, depth)

    def _int(self, level, depth):
        what = self.dice.randrange(7)
        if what < 2:
            return seq("(", self.expression("int", level, depth), self.dice.choice(["+", "-"]),
                       self.expression("int", level, depth), ")")
        if what == 2:
            return seq("length", "(", self.expression("text", level, depth), ")")
        if what == 3 and depth > 0:
            return seq("(", "SELECT count(*)", self.correlated(level), ")")
        if what == 4:
            whole = self.whole_row(level)
            if whole is not None:
                return seq("length", "(", "row_to_json", "(", whole, ")", "::text", ")")
        return self._shared("int", level, depth)

    def _text(self, level, depth):
        what = self.dice.randrange(8)
        if what < 2:
            return seq("(", self.expression("text", level, depth), "||", self.expression("text", level, depth), ")")
        if what == 2:
            return seq(self.dice.choice(["upper", "lower", "reverse", "shout", "md5"]), "(", self.expression("text", level, depth), ")")
        if what == 3:
            return seq("left", "(", self.expression("text", level, depth), ",", "4", ")")
        if what == 4:
            whole = self.whole_row(level)
            if whole is not None:
                return seq(self.dice.choice(["row_to_json", "to_json"]), "(", whole, ")", "::text")
        if what == 5:
            return seq("(", self.expression("json", level, depth), "->>", "'n'", ")")
        return self._shared("text", level, depth)

    def _num(self, level, depth):
        if self.dice.random() < 0.4:
            return seq("(", self.expression("num", level, depth), "*", "1.5", ")")
        return self._shared("num", level, depth)

    def _json(self, level, depth):
        what = self.dice.randrange(4)
        whole = self.whole_row(level)
        if what == 0 and whole is not None:
            return seq("to_jsonb", "(", whole, ")")
        if what < 3:
            return seq("jsonb_build_object", "(", "'n'", ",", self.expression("text", level, depth), ")")
        return self._case("json", level, depth)

    def _time(self, level, depth):
        return self._case("time", level, depth)

    def _bool(self, level, depth):
        what = self.dice.randrange(13)
        category = self.dice.choice(["int", "text", "int", "text", "num"])
        one = self.expression(category, level, depth)
        if what < 3:
            return seq("(", one, self.dice.choice(["=", "<>", "<", ">=", "IS DISTINCT FROM"]),
                       self.expression(category, level, depth), ")")
        if what == 3:
            return seq("(", self.expression("bool", level, depth), self.dice.choice(["AND", "OR"]),
                       self.expression("bool", level, depth), ")")
        if what == 4:
            return seq("(", "NOT", self.expression("bool", level, depth), ")")
        if what == 5:
            return seq("(", one, self.dice.choice(["IS NULL", "IS NOT NULL"]), ")")
        if what == 6:
            return seq("(", one, "BETWEEN", self.expression(category, level, depth), "AND", self.expression(category, level, depth), ")")
        if what == 7:
            return seq(one, "=", "ANY", "(", "ARRAY", "[", Items((one, self.expression(category, level, depth))), "]", ")")
        if what == 8:
            return seq(self.dice.choice(["EXISTS", "NOT EXISTS"]), "(", "SELECT", self.dice.choice(["*", "1", "NULL"]),
                       self.correlated(level), ")")
        if what == 9 and depth > 0:
            return self.membership(level, category, one)
        if what == 10:
            whole = self.whole_row(level)
            if whole is not None:
                return seq("(", whole, self.dice.choice(["IS NULL", "IS NOT NULL", "IS DISTINCT FROM NULL"]), ")")
        if what == 11:
            return seq("(", "(", one, ",", self.expression("int", level, depth), ")", "=", "(",
                       self.expression(category, level, depth), ",", self.expression("int", level, depth), ")", ")")
        return seq("(", self.expression("text", level, depth), "LIKE", "'%1'", ")")

    def called(self, category, level):
        """A call whose effect shows: to be evaluated once, for one row or rows in a known order."""
        what = self.dice.randrange(4)
        if category == "int":
            given = self.leaf("int", level)
            return ("nextval('ticks')", "tick()", seq("draw", "(", "(", given, ")", "::integer", ")"),
                    seq("greatest", "(", "nextval('ticks')", ",", "2", ")"))[what]
        given = self.leaf("text", level)
        return (seq("(", "'v'", "||", "nextval('ticks')", ")"), seq("tell", "(", given, ")"), seq("draw", "(", given, "::text", ")"),
                seq("lower", "(", "mood_of", "(", given, ")", ")", "||", given))[what]

    def not_repeated(self, category, level):
        """What gives the same again, and is evaluated once all the same: segue does not know that of it."""
        number = self.leaf("int", level)
        if category == "int":
            return seq("greatest", "(", number, ",", "2", ")", "+", "1")
        return seq("(", number, self.dice.choice(["IN (1, 4)", "BETWEEN 1 AND 3"]), ")", "||", self.leaf("text", level))

    # ---- with queries inside ----

    def whole_row(self, level):
        """A relation of the innermost level by its name alone, or None."""
        names = [r.name for r in level.relations if not level.has(r.name) and not (level.outer and level.outer.has(r.name))]
        if not names or self.dice.random() < 0.3:
            return None
        return written(self.dice, self.dice.choice(names))

    def correlated(self, level):
        """FROM one table WHERE something that may look outward."""
        node, relation = self.table(Level(outer=level))
        inner = Level([relation], outer=level)
        return seq("FROM", node, "WHERE", self.expression("bool", inner, 1))

    def scalar_query(self, category, level, depth):
        node, relation = self.table(Level(outer=level))
        inner = Level([relation], outer=level)
        own = self.column(inner, category, deep=False)
        if own is None:
            return self._case(category, level, depth)
        function = "bool_or" if category == "bool" else "max"
        if category == "json":
            return self._case(category, level, depth)
        return seq("(", "SELECT", function, "(", own, ")", "FROM", node, "WHERE", self.expression("bool", inner, 1), ")")

    def membership(self, level, category, one):
        node, relation = self.table(Level(outer=level))
        inner = Level([relation], outer=level)
        own = self.column(inner, category, deep=False)
        if own is None:
            return None
        return seq(one, self.dice.choice(["IN", "NOT IN"]), "(", "SELECT", own, "FROM", node, "WHERE",
                   self.expression("bool", inner, 1), ")")

    def list(self, category, level, count):
        return items(*[self.expression(category, level, 1) for _ in range(count)])
