"""What an operation is, and what all who make some need: which columns are free, and what they are called by then."""

import random
from dataclasses import dataclass, field

from property.schema import COLUMN_NAMES
from property.values import FAMILIES, ident, numbered, quote

# what a foreign key's two sides may become one after the other
COMPARABLE = {"integer": ("bigint",), "text": ("varchar", "varchar(20000)")}
ACTIONS = ("CASCADE", "SET NULL", "RESTRICT", "SET DEFAULT")
REFERENCE = (("match_type", "MATCH", ("SIMPLE", "FULL")), ("on_delete", "ON DELETE", ACTIONS), ("on_update", "ON UPDATE", ("CASCADE", "RESTRICT")))


@dataclass
class Pair:
    """A column and what becomes of it."""

    column: object
    to: str  # the new name; the old one: the type changes under it
    change: object
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

    @property
    def keeps(self):
        """What was different stays so, and its text is the same."""
        return self.change.kind == "identity" or self.change.keeps


KEEP = object()


@dataclass(eq=False)
class Op:
    kind: str
    table: object  # None: of no table
    json: dict
    plain: list
    names: list  # what a refusal of it may name
    pair: Pair = None
    added: dict = None  # name, type, pool, family (of a numbered one), up, reads, default, instant, not_null
    going: dict = None  # name, down
    group: dict = None  # to: name -> (type, pool, not_null, default), up and down: name -> expression
    default: tuple = None  # (column, literal)
    not_null: str = None  # a column that becomes NOT NULL in place
    freed: str = None  # one that ceases to be
    drops: bool = False  # the table
    renamed: str = None  # what the table is called then
    needs: list = field(default_factory=list)  # operations without which it makes no sense
    truths: list = field(default_factory=list)  # queries that say true once it is done

    def text(self):
        return f"{self.kind} {self.table.name if self.table else ''}"


class Base:
    def __init__(self, seed, schema, version):
        self.seed = seed
        self.schema = schema
        self.version = version
        self.dice = None
        dice = random.Random(f"{seed}/focus")  # many operations on one table, or a few on each
        self.focus = dice.choice(schema.tables) if dice.random() < 0.4 else None
        self.taken = set()  # (table, column) that some operation works on
        self.named = set()  # (table, column) that something new is over
        self.moved = {}  # (table, column) -> the operation that gives it another half
        self.gone = set()  # (table, column)
        self.made = set()  # names that operations make
        self.needs = []  # of the operation that is being made
        self.numbers = 0

    def make(self, count, kinds):
        """Several; each has dice of its own, so that some may be left out."""
        out = []
        for number in range(count):
            self.dice = random.Random(f"{self.seed}/operation/{number}")
            for _ in range(30):
                kind = self.dice.choice(kinds)
                table = self.dice.choice(self.schema.tables)
                if self.focus and self.dice.random() < 0.8:
                    table = self.focus
                self.needs = []
                op = getattr(self, kind)(table)
                if op is not None:
                    self.note(op)
                    out.append(op)
                    break
        return out

    def note(self, op):
        op.needs = [need for i, need in enumerate(self.needs) if need not in self.needs[:i]]
        if op.pair:
            self.moved[op.table.name, op.pair.column.name] = op
        going = [op.going["name"]] if op.going else list(op.group["down"]) if op.group else []
        self.gone |= {(op.table.name, name) for name in going}

    # ---- what to work on ----

    def column(self, table, want=lambda c: True, moves=False):
        """moves: into another half, or away."""
        free = [c for c in table.columns if c.tracked and (table.name, c.name) not in self.taken and want(c)
                and not (moves and (table.name, c.name) in self.named)]
        if not free:
            return None
        column = self.dice.choice(free)
        self.taken.add((table.name, column.name))
        return column

    def simple(self, table, want=lambda c: True, moves=False):
        """One that neither is of the key nor refers to one."""
        return self.column(table, lambda c: c is not table.id and not c.part and not c.parent and not c.numbered and want(c), moves)

    def now(self, table, column):
        """Its name as the file leaves it; None: nothing new is to be over it."""
        at = table.name, column.name
        op = self.moved.get(at)
        if at in self.gone or op is not None and not op.pair.keeps:
            return None
        self.named.add(at)
        if op is None:
            return column.name
        self.needs.append(op)
        return op.pair.to

    def nows(self, table, columns):
        """Their names; None: of one there is none."""
        names = [self.now(table, c) for c in columns]
        return None if None in names else names

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

    def linked(self, table, column):
        """Does a foreign key compare it with another column?"""
        referred = [c.parent for t in self.schema.tables for c in t.columns if c.parent]
        return column.parent is not None or table in referred and (column is table.id or column.part)

    def changes(self, table, column, same=False):
        key = column is table.id or column.parent is not None or column.part
        counts = column is table.id and table.key == "serial"  # a default goes through up, which ALTER TYPE does not do
        out = [c for c in FAMILIES[column.family].changes if (not same or c.same) and (not key or c.keeps)
               and (not column.numbered or c.once) and (column.default is None or c.type is None or same and c.up is None)
               and (not counts or c.type in (None, "bigint") or same and c.up is None)]
        if self.linked(table, column):
            out = [c for c in out if c.type in COMPARABLE.get(column.family, ())]
        return out

    def literal(self, column):
        given = [v for v in column.pool if v is not None and len(v) < 100]
        text = self.dice.choice(given) if not column.numbered else numbered(column.family, 999_999_999)
        return f"{quote(text)}::{FAMILIES[column.family].type}"

    # ---- columns that an index may be over ----

    def small(self, table):
        return [c for c in table.columns if c.tracked and not c.big and FAMILIES[c.family].keyed]

    def unique_columns(self, table):
        """Of which the first, or those that a partitioned table wants, are different in each row."""
        small = self.small(table)
        columns = [self.dice.choice([c for c in small if c.numbered])]
        more = [c for c in small if c not in columns]
        if more and self.dice.random() < 0.4:
            columns.append(self.dice.choice(more))
        if self.dice.random() < 0.95:
            columns += [c for c in table.bound() if c not in columns]
        return columns

    # ---- what constraints may say beside their columns ----

    def behaviour(self, references, body=None):
        """What a foreign key of one column does; body: where its deferral is said, if not there."""
        dice, out = self.dice, ""
        for key, word, actions in REFERENCE:
            if dice.random() < 0.3:
                references[key] = dice.choice(actions)
                out += f" {word} {references[key]}"
        return out + self.deferral(references if body is None else body)

    def deferral(self, body):
        if self.dice.random() >= 0.25:
            return ""
        body["deferrable"] = True
        if self.dice.random() < 0.5:
            return " DEFERRABLE"
        body["initially_deferred"] = True
        return " DEFERRABLE INITIALLY DEFERRED"

    def takes_key(self, table):
        """One primary key a table."""
        free = ("key", table.name) not in self.taken
        self.taken.add(("key", table.name))
        return free
