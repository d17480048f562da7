"""Migrations of two tables, one after the other, so that their names swing between two sides without end.

Side a is (label, cents), side b is (title, price): a plain rename, and one that changes its type. The programs are told what
holds (Stage) before what they may rely on ends, and go on meanwhile.
"""

import random
import time
from collections import Counter
from dataclasses import dataclass, replace


SEEDED = 300
TABLES = f"""
CREATE TABLE items (id bigint PRIMARY KEY, note text, stamp timestamptz NOT NULL DEFAULT now(), label text, cents int);
CREATE TABLE plain (id bigint PRIMARY KEY, note text, label text);
INSERT INTO items SELECT i, 'note ' || i, now(), 'v' || i, i FROM generate_series(1, {SEEDED}) i;
INSERT INTO plain SELECT i, 'note ' || i, 'v' || i FROM generate_series(1, {SEEDED}) i
"""
TEXT = {"a": "label", "b": "title"}
COUNT = {"a": "cents", "b": "price"}
TYPED = {"a": {"type": "integer", "up": "(price * 100)::integer", "down": "cents / 100.0"},
         "b": {"type": "numeric(12,2)", "up": "cents / 100.0", "down": "(price * 100)::integer"}}
# of a side's columns, what an oracle wants to see: the text and the count of a row in both tables
SEEN = {"a": "label, cents", "b": "title, (price * 100)::integer"}

# A table has at most 1600 columns in its life, and each migration takes two of items.
MIGRATIONS_MAX = 700


def migration(number, side):
    other = "b" if side == "a" else "a"
    return {"name": f"swing_{number}", "operations": [
        {"rename_column": {"table": "items", "from": TEXT[other], "to": TEXT[side]}},
        {"rename_column": {"table": "items", "from": COUNT[other], "to": COUNT[side], **TYPED[side]}},
        {"rename_column": {"table": "plain", "from": TEXT[other], "to": TEXT[side]}}]}


@dataclass(frozen=True)
class Stage:
    """What clients may rely on: names that they may say, the side that a session of each kind sees ("-": it moves)."""

    speak: tuple
    follow: str
    old: str
    new: str
    hold: tuple = ()

    def line(self, gen):
        return (f"{gen} speak={','.join(self.speak)} follow={self.follow} old={self.old} new={self.new} "
                f"hold={','.join(self.hold)}")


class Swings:
    """`tell(line, gen)` comes back when every program is past what held before."""

    def __init__(self, proxy, db, seed, tell):
        self.proxy, self.db, self.tell = proxy, db, tell
        self.random = random.Random(seed)
        self.side, self.number, self.gen = "a", 0, 0
        self.stage = None
        self.counts = Counter()
        self.failures = []

    def say(self, stage):
        self.gen += 1
        self.stage = stage
        self.tell(stage.line(self.gen), self.gen)

    def start(self):
        self.db.sql(TABLES)
        self.say(Stage((self.side,), self.side, self.side, self.side))

    def run(self, seconds):
        """Whole migrations; the last one is left where both sides stand."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.number < MIGRATIONS_MAX:
            self.one()
        self.one(last=True)

    def dwell(self):
        time.sleep(self.random.uniform(0.02, 0.2))

    def one(self, last=False):
        side, other = self.side, "b" if self.side == "a" else "a"
        self.number += 1
        name = f"swing_{self.number}"
        # the new revision comes when its columns may be read
        self.say(Stage((side,), side, side, "-", hold=("new",)))
        self.proxy.ready(migration(self.number, other))
        self.counts["migrations"] += 1
        both = Stage((side, other), side, side, other)
        self.say(both)
        self.dwell()
        for _ in range(self.random.choice((0, 1, 1, 2))):
            self.edge(both, other, "cutover", name)
            self.edge(both, side, "rollback", name)
        if last or self.random.random() < 0.7:
            self.edge(both, other, "cutover", name)
            if last:
                return
            # nobody says an old name any more, as when the old revision is gone; stars go on
            self.say(Stage((other,), other, "-", other))
            self.act("complete", name)
            self.side = other
            self.say(Stage((other,), other, other, other))
        else:
            self.say(Stage((side,), side, side, "-", hold=("new",)))
            self.act("abort", name)
            self.say(Stage((side,), side, side, side))
        self.dwell()

    def edge(self, both, sees, command, name):
        """A cut-over, or back: what a session that follows sees is in motion."""
        self.say(replace(both, follow="-"))
        self.act(command, name)
        self.say(replace(both, follow=sees))
        self.dwell()
        self.in_step()

    def act(self, command, name):
        self.proxy.cli(command, name, *(["--force"] if command in ("complete", "abort") else []))
        self.counts[command] += 1

    # ---- the oracle ----

    def in_step(self):
        """Both sides say the same, of every row that is committed."""
        bad = self.db.sql("SELECT 'items', id, label, title, cents, price FROM items WHERE label IS DISTINCT FROM title "
                          "OR cents IS DISTINCT FROM (price * 100)::integer UNION ALL "
                          "SELECT 'plain', id, label, title, 0, 0 FROM plain WHERE label IS DISTINCT FROM title")
        if bad:
            self.failures.append(f"{len(bad)} rows are not in step, such as {bad[:3]}")

    def check(self, rows):
        """`rows`: {table: {id: n}} of what was acknowledged to the programs, and nothing else may be there."""
        self.in_step()
        for table, known in rows.items():
            known = {**{i: i for i in range(1, SEEDED + 1)}, **known}
            for side in "ab":
                seen = SEEN[side] if table == "items" else f"{TEXT[side]}, substr({TEXT[side]}, 2)::integer"
                stored = {row[0]: row[1:] for row in self.db.sql(f"SELECT id, note, {seen} FROM {table}")}
                wrong = [(i, stored.get(i), n) for i, n in known.items() if stored.get(i) != (f"note {i}", f"v{n}", n)]
                wrong += [(i, stored[i], "nobody's") for i in stored.keys() - known.keys()]
                if wrong:
                    self.failures.append(f"{table}, side {side}: {len(wrong)} of {len(known)} rows are not as acknowledged, "
                                         f"such as {wrong[:3]}")
        return sum(len(known) for known in rows.values())
