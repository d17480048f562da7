"""The oracle: what a row may hold after a write, by the dual-write rules (DESIGN 5, proxy/engine/guard.c).

A slot is a column of the table while old and new stand side by side. A state is a tuple of the slots' values as the
server writes them; ABSENT is a row that is not there. As the moment at which a write met a cut-over cannot be known, a
row has a set of states; an answer that was read makes it smaller.

Modes: before (no guard yet, or none any more, old names), forward, reverse, after (new names only).
"""

from dataclasses import dataclass, field

from property.judge import Bad
from property.values import ident

ABSENT = None
MODES = ("before", "forward", "reverse", "after")
STATES_MAX = 200


@dataclass
class Slot:
    old: str  # what the old application calls it, None: it does not know it
    new: str
    type: str
    not_null: bool = False
    defaults: dict = field(default_factory=dict)  # mode -> literal; none: NULL
    instant: str = None  # what rows have that were there before the column was


@dataclass
class Dual:
    """source, target: places of slots; either None where the column is only added or only goes."""

    source: int
    target: int
    up: str  # an expression over `reads`
    down: str
    reads: dict  # name -> slot, for up
    back: dict  # name -> slot, for down
    plain: bool = False
    same: bool = False  # both halves have one name
    stricter: dict = field(default_factory=dict)  # mode -> the truth is NOT NULL, what follows is not

    @property
    def rank(self):
        return 3 if self.target is None else 2 if self.source is None else 0 if self.plain else 1


@dataclass
class Group:
    """Columns split or merged: a side is in step as a whole. up: {new slot: expression}, down: {old slot: expression}."""

    up: dict
    down: dict
    reads: dict  # old name -> slot
    back: dict
    source = target = None
    plain = same = False
    rank = 1


class Model:
    def __init__(self, judge, slots, duals):
        self.judge = judge
        self.slots = slots
        self.duals = sorted(duals, key=lambda d: d.rank)
        self.same = {d.source: d.target for d in duals if d.same}
        self.moved_by = None  # the slot by which a row has its partition

    # ---- names ----

    def names(self, side, mode):
        """name -> slot, for a side: old, new, or both (a transitional writer)."""
        out = {}
        waits = set(self.same) if mode in ("reverse", "after") else set(self.same.values())
        for i, slot in enumerate(self.slots):
            if i in waits:
                continue
            if slot.old is not None and side in ("old", "both") and mode != "after":
                out[slot.old] = i
            if slot.new is not None and side in ("new", "both") and mode != "before":
                out[slot.new] = i
        return out

    # ---- the rules ----

    def up(self, dual, row, which="up"):
        expression, reads, into = (dual.up, dual.reads, dual.target) if which == "up" else (dual.down, dual.back, dual.source)
        return self.value(expression, reads, into, row)

    def value(self, expression, reads, into, row):
        return self.judge.value(expression, self.slots[into].type, {n: (self.slots[i].type, row[i]) for n, i in reads.items()})

    def in_step(self, dual, row, mode):
        """Of a pair."""
        forward = mode == "forward"
        source, target = (dual.source, dual.target) if forward else (dual.target, dual.source)
        if row[target] == self.up(dual, row, "up" if forward else "down"):
            return True
        return not dual.plain and row[target] is not None and row[source] == self.up(dual, row, "down" if forward else "up")

    def pair(self, dual, row, before, mode):
        forward = mode == "forward"
        source, target = (dual.source, dual.target) if forward else (dual.target, dual.source)
        there, back = ("up", "down") if forward else ("down", "up")
        strict = dual.stricter.get(mode)
        if self.in_step(dual, row, mode) and not (strict and row[source] is None):
            return
        if before is None:
            if row[target] is not None:
                row[source] = self.up(dual, row, back)
            else:
                row[target] = self.up(dual, row, there)
                if strict and row[source] is None:
                    row[source] = self.up(dual, row, back)
        elif row[source] != before[source]:
            row[target] = self.up(dual, row, there)
        elif row[target] != before[target]:
            row[source] = self.up(dual, row, back)
        elif row[target] is None:
            row[target] = self.up(dual, row, there)

    def side(self, group, row, which):
        """What one side of a group becomes by the other: {slot: text}."""
        expressions, reads = (group.up, group.reads) if which == "up" else (group.down, group.back)
        return {at: self.value(expression, reads, at, row) for at, expression in expressions.items()}

    def group(self, group, row, before, mode):
        there, back = ("up", "down") if mode == "forward" else ("down", "up")
        follows, leads = (group.up, group.down) if mode == "forward" else (group.down, group.up)
        made, given = self.side(group, row, there), self.side(group, row, back)
        written = any(row[at] is not None for at in follows)
        if before is None and written and mode == "forward" and self.left_out(group, row, made, given):
            for at, text in self.side(group, row, back).items():
                row[at] = text
            return
        if all(row[at] == text for at, text in made.items()) or written and all(row[at] == text for at, text in given.items()):
            return
        if before is None:
            changes = given if written else made
        elif any(row[at] != before[at] for at in leads):
            changes = made
        elif any(row[at] != before[at] for at in follows):
            if all(before[at] is None for at in follows):  # it counts as not filled: what was left out is made first
                for at in (at for at in follows if row[at] is None):
                    row[at] = made[at]
                given = self.side(group, row, back)
            changes = given
        else:
            changes = {} if written else made
        for at, text in changes.items():
            row[at] = text

    def left_out(self, group, row, made, given):
        """Of an INSERT that writes the new side before the cut-over: are there members that it leaves out and that have a
        default? They get it, unless the statement has written the old side, too, and that is in step."""
        fits = any(all(row[at] == text for at, text in side.items()) for side in (made, given))
        if fits and any(row[at] is not None for at in group.down):
            return False
        missing = [at for at in group.up if row[at] is None and self.slots[at].defaults.get("after") is not None]
        for at in missing:
            row[at] = self.judge.text(self.slots[at].type, self.slots[at].defaults["after"])
        return bool(missing)

    def added(self, dual, row, before, mode):
        if mode == "reverse":
            needed = self.slots[dual.target].not_null and self.slots[dual.target].defaults.get("reverse") is None
            if before is None and row[dual.target] is None and (dual.reads or needed):
                row[dual.target] = self.up(dual, row)
            return
        if row[dual.target] is None:
            row[dual.target] = self.up(dual, row)
        elif dual.reads and before is not None and row[dual.target] == before[dual.target] and any(
                row[i] != before[i] for i in dual.reads.values()):
            row[dual.target] = self.up(dual, row)

    def going(self, dual, row, before, mode):
        at = dual.source
        if mode == "forward" and not self.slots[at].not_null:
            return
        if before is None:
            if row[at] is None:
                row[at] = self.up(dual, row, "down")
        elif mode == "reverse" and row[at] == before[at] and any(row[i] != before[i] for i in dual.back.values()):
            row[at] = self.up(dual, row, "down")

    def guard(self, row, before, mode):
        if mode not in ("forward", "reverse"):
            return tuple(row)
        for dual in self.duals:
            if isinstance(dual, Group):
                self.group(dual, row, before, mode)
            elif dual.target is None:
                self.going(dual, row, before, mode)
            elif dual.source is None:
                self.added(dual, row, before, mode)
            else:
                self.pair(dual, row, before, mode)
        return tuple(row)

    def refilled(self, row):
        """What rows are that nobody has written but by old names: as the backfill leaves them."""
        row = list(row)
        for i, slot in enumerate(self.slots):
            if slot.instant is not None:
                row[i] = self.judge.text(slot.type, slot.instant)
        for dual in self.duals:
            if isinstance(dual, Group):
                for at, text in self.side(dual, row, "up").items():
                    row[at] = text
            elif dual.target is not None:
                row[dual.target] = self.up(dual, row)
        return tuple(row)

    # ---- writes ----

    def assigned(self, side, mode, values):
        """{name: literal} as {slot: text}."""
        names = self.names(side, mode)
        return {names[n]: self.judge.text(self.slots[names[n]].type, v) for n, v in values.items()}

    def insert(self, side, mode, values):
        row = [None] * len(self.slots)
        for i, slot in enumerate(self.slots):
            row[i] = self.judge.text(slot.type, slot.defaults.get(mode))
        for i, text in self.assigned(side, mode, values).items():
            row[i] = text
        return self.guard(row, None, mode)

    def mirrored(self, mode, values, side):
        """What segue may write in place of an INSERT that gives one half of a plain rename a NULL: both."""
        names, more = self.names("both", mode), {}
        for dual in self.duals:
            if dual.plain and mode in ("forward", "reverse"):
                old, new = self.slots[dual.source].old, self.slots[dual.target].new
                for one, other in ((old, new), (new, old)):
                    if one in values and values[one] is None and other not in values and other in names:
                        more[other] = None
        return more

    def update(self, side, mode, before, values):
        row = list(before)
        for i, text in self.assigned(side, mode, values).items():
            row[i] = text
        after = self.guard(row, before, mode)
        if self.moved_by is not None and after[self.moved_by] != before[self.moved_by]:
            return self.guard(list(after), None, mode)  # the server takes it from one partition, and inserts it into the other
        return after

    def write(self, mode, kind, side, before, values):
        """States after one write of a row that was `before`; raises Bad where the server would refuse."""
        if kind == "delete":
            return {ABSENT}
        if kind == "insert" or (kind == "upsert" and before is ABSENT):
            out = {self.insert(side, mode, values)}
            more = self.mirrored(mode, values, side)
            if more:
                out.add(self.insert("both", mode, {**values, **more}))
        elif before is ABSENT:
            return {ABSENT}
        elif kind == "upsert":
            # the row that is proposed must be one, too
            out = set()
            excluded = {self.insert(side, mode, values)}
            more = self.mirrored(mode, values, side)
            if more:
                excluded.add(self.insert("both", mode, {**values, **more}))
            names = self.names(side, mode)
            if not self.legal(excluded):
                raise Bad("a NULL where none may be")
            for row in excluded:
                after = list(before)
                for name in values:
                    after[names[name]] = row[names[name]]
                out.add(self.guard(after, before, mode))
        else:
            out = {self.update(side, mode, before, values)}
        if mode == "before":
            return {self.refilled(row) for row in out}
        return out

    def outcomes(self, modes, states, writes, ready=True):
        """States after writes (kind, side, values) of one row that were made in one of the modes."""
        out = set()
        for mode in modes:
            now = set(states)
            for kind, side, values in writes:
                now = {after for before in now for after in self.write(mode, kind, side, before, values)}
            out |= now
        if not ready:
            out |= {self.refilled(row) for row in out if row is not ABSENT}
        assert len(out) <= STATES_MAX, "too many states to tell anything"
        return out

    def legal(self, states):
        """May every slot of these rows be what it is?"""
        return all(row is ABSENT or all(row[i] is not None for i, slot in enumerate(self.slots) if slot.not_null) for row in states)

    def possible(self, modes, states, writes):
        """Would no mode refuse it? A writer asks before it writes."""
        try:
            return all(self.legal(self.outcomes({mode}, states, writes)) for mode in modes)
        except (Bad, KeyError):
            return False

    # ---- reading ----

    def seen(self, side, modes, row, names):
        """The tuples that a read of columns may give."""
        out = set()
        for mode in modes:
            at = self.names(side, mode)
            if all(n in at for n in names):
                out.add(tuple(row[at[n]] for n in names))
        return out

    def sql_read(self, names):
        return ", ".join(f"{ident(n)}::text" for n in names)
