"""Names: how an identifier may be written, and what an unqualified one means at a place of a statement."""

import re
from dataclasses import dataclass, field

from .schema import Table
from .tree import seq

PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
RESERVED = {"select", "from"}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def escaped(name):
    """U&"...", with one letter by its number."""
    return 'U&"' + "\\%04x" % ord(name[0]) + name[1:].replace("\\", "\\\\").replace('"', '""') + '"'


def written(dice, name):
    """One of the ways to write a name."""
    chance = dice.random()
    if chance < 0.01:
        return escaped(name)
    if not PLAIN.fullmatch(name) or name in RESERVED:
        return quoted(name)
    if chance < 0.08:
        return quoted(name)
    return name.upper() if chance < 0.12 else name


@dataclass
class Output:
    """A column of a relation or of a result."""
    name: str
    category: str


@dataclass
class Relation:
    """What stands in FROM. keys: columns that no two of its rows share, () when unknown."""
    name: str  # what qualifies its columns
    columns: list  # of Output
    table: Table = None  # it is one: rows may be locked
    keys: tuple = ()
    schema: str = ""  # may also be written before the name
    size: int = 9  # rows at most, roughly

    def named(self, category):
        """Columns of the category whose name is theirs alone."""
        names = [c.name for c in self.columns]
        return [c for c in self.columns if category in (None, c.category) and names.count(c.name) == 1]


@dataclass
class Level:
    """The relations of one query; outer: the level around it, which its expressions may refer to."""
    relations: list = field(default_factory=list)
    merged: set = field(default_factory=set)  # columns of USING and NATURAL JOIN
    outer: object = None

    def has(self, name):
        return sum(c.name == name for r in self.relations for c in r.columns)

    def unqualified(self, name):
        """Does the bare name mean one thing here?"""
        return self.has(name) == 1 or name in self.merged

    def star(self):
        """The columns of `*`."""
        out, seen = [], set()
        for relation in self.relations:
            for column in relation.columns:
                if column.name in self.merged and column.name not in seen:
                    seen.add(column.name)
                    out.append(column)
        return out + [c for r in self.relations for c in r.columns if c.name not in self.merged]


def columns_of(table):
    return [Output(c.name, c.category) for c in table.columns]


def reference(dice, relation, column, bare):
    """A column as a node. bare: the name alone would do."""
    if bare and dice.random() < 0.5:
        return written(dice, column)
    name = seq(written(dice, relation.name), ".", written(dice, column))
    if relation.schema and dice.random() < 0.15:
        return seq(relation.schema, ".", *name.parts)
    return name
