"""From a table and the operations on it to the oracle's model of it, and to values that its writers may draw."""

from property.judge import Bad
from property.model import ABSENT, MODES, Dual, Group, Model, Slot
from property.op import KEEP
from property.schema import part_of
from property.values import FAMILIES, ident, numbered

LATER = ("reverse", "after")
FIRST = ("before", "forward")


class Source:
    """Literals for a slot. via: the slot of which `up` makes them, so that the old type can always hold them."""

    def __init__(self, pool, family=None, via=None):
        self.pool, self.family, self.via = pool, family, via
        self.always = False  # left out it would be a NULL, and those may not become the same value

    def draw(self, dice, number):
        if self.via:
            source, expression, kind, name, type_, judge = self.via
            text = judge.text(type_, source.draw(dice, number))
            return judge.value(expression, kind, {name: (type_, text)})
        return numbered(self.family, number) if self.family else dice.choice(self.pool)


class Known:
    """A table of a case: what the oracle and the writers need."""

    def __init__(self, table, ops, judge):
        self.table = table
        self.ops = [op for op in ops if op.table is table]
        self.judge = judge
        self.slots, self.duals, self.sources = [], [], []
        self.at = {}
        self.dropped = any(op.drops for op in self.ops)
        self.renamed = next((op.renamed for op in self.ops if op.renamed), None)
        for column in table.tracked():
            self.at[column.name] = len(self.slots)
            self.slots.append(Slot(column.name, None if self.dropped else column.name, FAMILIES[column.family].type, column.not_null,
                                   dict.fromkeys(MODES, column.default)))
            self.sources.append(Source(column.pool, column.family if column.numbered else None))
        for op in self.ops:
            self.apply(op)
        # a type changes under its name: what a client has prepared is of the type before
        self.retypes = any(d.same and self.slots[d.source].type != self.slots[d.target].type for d in self.duals)
        self.model = Model(judge, self.slots, self.duals)
        self.key_slots = self.halves(table.id)
        self.part_slots = self.halves(table.part) if table.part else []
        self.model.moved_by = self.at[table.part.name] if table.partition == "list" else None

    def halves(self, column):
        """The slots of a column and of what follows it."""
        at = self.at[column.name]
        return [at] + [d.target for d in self.duals if d.source == at and d.target is not None]

    def apply(self, op):
        if op.pair:
            self.pair(op.pair)
        if op.added:
            self.added(op.added)
        if op.going:
            self.going(op.going)
        if op.group:
            self.group(op.group)
        if op.default:
            slot = self.slots[self.at[op.default[0]]]
            slot.defaults.update(dict.fromkeys(LATER, op.default[1]))
        if op.not_null:
            self.slots[self.at[op.not_null]].not_null = True

    def pair(self, pair):
        name, source = pair.column.name, self.at[pair.column.name]
        slot, same = self.slots[source], pair.to == pair.column.name
        default = slot.defaults["before"] if pair.default is KEEP else pair.default
        new = Slot(name if same else None, pair.to, pair.type, pair.not_null, dict.fromkeys(LATER, default))
        slot.new = name if same else None
        slot.defaults = dict.fromkeys(FIRST, slot.defaults["before"])
        target = len(self.slots)
        self.slots.append(new)
        plain = pair.change.kind == "identity"
        strict = {"forward": slot.not_null and not new.not_null, "reverse": new.not_null and not slot.not_null} if not plain else {}
        self.duals.append(Dual(source, target, pair.up, pair.down, {name: source}, {pair.to: target}, plain, same, strict))
        if pair.never is not None:
            self.sources[source].pool = [v for v in pair.column.pool if v != pair.never]
        self.sources[source].always = pair.column.numbered and pair.change.kind == "mend"
        if same:
            self.sources.append(self.sources[source])
        else:
            self.sources.append(Source(None, None, (self.sources[source], pair.up, pair.type, name, slot.type, self.judge)))
            self.sources[target].always = self.sources[source].always

    def added(self, added):
        default = added["default"]
        target = len(self.slots)
        self.slots.append(Slot(None, added["name"], added["type"], added["not_null"],
                               dict.fromkeys(("forward",) + LATER if added["instant"] is not None else LATER, default),
                               added["instant"]))
        pool = list(added["pool"] or []) + ([] if added["not_null"] else [None])
        self.sources.append(Source(pool, added["family"]))
        if added["up"]:
            self.duals.append(Dual(None, target, added["up"], None, {n: self.at[n] for n in added["reads"]}, {}))

    def going(self, going):
        at = self.at[going["name"]]
        self.slots[at].new = None
        if going["down"]:
            default = self.slots[at].defaults["before"]
            self.slots[at].defaults = dict.fromkeys(FIRST, default)
            self.duals.append(Dual(at, None, None, going["down"], {}, {n: self.at[n] for n in going["reads"]}))

    def group(self, group):
        """Nobody writes a NULL here: in an INSERT that is what was left out."""
        olds = {name: self.at[name] for name in group["down"]}
        for at in olds.values():
            self.slots[at].new = None
            self.sources[at] = Source([v for v in self.sources[at].pool if v is not None])
        news = {}
        for name, (kind, pool, strict, default) in group["to"].items():
            news[name] = len(self.slots)
            self.slots.append(Slot(None, name, kind, strict, dict.fromkeys(LATER, default)))
            self.sources.append(Source(list(pool)))
        self.duals.append(Group({news[n]: e for n, e in group["up"].items()}, {olds[n]: e for n, e in group["down"].items()}, olds, news))

    def called(self, side):
        """The table's name for a side; None: both have to be tried."""
        if self.renamed is None or side == "old":
            return self.table.name
        return self.renamed if side == "new" else None

    # ---- rows ----

    def key_text(self, n):
        return self.judge.text(FAMILIES[self.table.id.family].type, self.table.id_literal(n))

    def first_state(self, row):
        """Of a row that was there before: {column: literal}."""
        out = [None] * len(self.slots)
        for name, at in self.at.items():
            out[at] = self.judge.text(self.slots[at].type, row[name])
        return self.model.refilled(out)

    def key_name(self, side, mode):
        """What a side calls the key; a transitional writer takes the old name."""
        return self.name_of(self.key_slots, side, mode)

    def name_of(self, slots, side, mode):
        names = {at: name for name, at in self.model.names("old" if side == "both" else side, mode).items()}
        return next(names[at] for at in slots if at in names)

    def in_place(self, states, n):
        """Has the row the key with which it was made, in each of these states?"""
        return all(s is ABSENT or s[at] == part_of(n) for s in states for at in self.part_slots)

    def mend_pools(self):
        """Literals go whose other half the server refuses, or which a NOT NULL of it would."""
        for dual in self.duals:
            if dual.source is None or dual.target is None:
                continue
            source = self.sources[dual.source]
            if source.pool is not None and not source.family:
                source.pool[:] = [v for v in source.pool if self.survives(dual, v)] or source.pool

    def survives(self, dual, literal):
        """There and back, and once more."""
        row = [None] * len(self.slots)
        try:
            row[dual.source] = self.judge.text(self.slots[dual.source].type, literal)
            for _ in range(2):
                row[dual.target] = self.model.up(dual, row)
                if row[dual.target] is None and self.slots[dual.target].not_null:
                    return False
                row[dual.source] = self.model.up(dual, row, "down")
                if row[dual.source] is None and self.slots[dual.source].not_null:
                    return False
            if dual.same:
                self.judge.text(self.slots[dual.target].type, literal)
        except Bad:
            return False
        return True


def quoted(names):
    return ", ".join(map(ident, names))
