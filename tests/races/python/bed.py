"""What all Python programs of `make races` share: the stage they play on, their rows, what they do to them.

A program gets lines on standard input and answers on standard output (README.md). A worker is one connection with rows of
its own, so that it knows what each of them holds. A driver is a class that connects and runs statements (Driver).
"""

import asyncio
import contextlib
import datetime
import os
import random
import re
import sys
import threading
import time
from collections import Counter
from decimal import Decimal

# The two sides between which the tables swing: which columns of items and plain stand last.
SIDES = {"a": ("label", "cents"), "b": ("title", "price")}
FRONT = ["id", "note", "stamp"]
ROLES = ("follow", "follow", "old", "new")
PAUSE_S = 0.004
SHOWN_MAX = 20  # problems a program tells; it counts the others


def amount(side, n):
    return n if side == "a" else Decimal(n).scaleb(-2)


class Stage:
    """One line of standard input."""

    def __init__(self, line):
        number, *words = line.split()
        self.gen = int(number)
        said = dict(word.split("=") for word in words)
        self.speak = said.pop("speak").split(",")
        self.hold = said.pop("hold").split(",")
        self.sees = said  # role -> its side, "-" while that may change


class Driver:
    """A connection of one driver. `remembers`: what a star gives may be what it was when it was prepared."""

    remembers = True
    own_acts = ()

    def __init__(self, worker):
        self.worker = worker

    async def open(self, options):
        raise NotImplementedError

    async def run(self, sql, args):
        """Names of the columns ([] if there are none) and rows."""
        raise NotImplementedError

    async def many(self, sql, rows):
        for row in rows:
            await self.run(sql, row)

    def transaction(self):
        raise NotImplementedError

    def settings(self, stage):
        """Called in front of each transaction."""

    async def close(self):
        pass


class Worker:
    def __init__(self, bed, no, driver):
        self.bed, self.no, self.role = bed, no, ROLES[no % len(ROLES)]
        self.base = (int(os.environ["RACES_PROGRAM"]) + 1) * 10_000_000 + no * 1_000_000
        self.last = 0
        self.random = random.Random(f"{os.environ['RACES_SEED']} {bed.name} {no}")
        self.items, self.plain = {}, {}
        self.driver = driver(self)
        self.acts = [self.star, self.star, self.fresh_star, self.stars, self.named, self.insert, self.insert, self.update,
                     self.update, self.upsert, self.delete, self.several, self.batch, self.put_plain, self.star_plain,
                     *(getattr(self.driver, name) for name in self.driver.own_acts)]
        self.stage, self.opened_at = None, 0

    # ---- life ----

    async def live(self):
        opened = False
        while True:
            stage = self.bed.enter(self.no)
            if stage is None:
                break
            if self.role in stage.hold:
                await asyncio.sleep(PAUSE_S)
                continue
            self.stage = stage
            try:
                if not opened:
                    await self.driver.open("" if self.role == "follow" else f"-c segue.schema={self.role}")
                    opened, self.opened_at = True, self.bed.ends
                self.driver.settings(stage)
                act = self.random.choice(self.acts)
                await act()
            except AssertionError as wrong:
                self.bed.tell("wrong", f"{self.role} {act.__name__} gen {stage.gen}: {wrong}")
            except Exception as error:  # whatever a driver raises is what the run is about
                text = " ".join(f"{type(error).__name__}: {error}".split())
                code = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
                # as without segue, once for each end of a migration, where the driver does not prepare again by itself
                if code == "0A000" and act != self.several and self.opened_at < self.bed.ends:
                    self.bed.counts["changed"] += 1
                else:
                    self.bed.tell("error", f"{self.role} {act.__name__ if opened else 'open'} gen {stage.gen}: {code} {text}")
                opened = False
                with contextlib.suppress(Exception):
                    await self.driver.close()
            await asyncio.sleep(self.random.random() * 2 * PAUSE_S)
        if opened:
            await self.driver.close()

    async def run(self, sql, *args):
        self.bed.counts["statements"] += 1
        return await self.driver.run(sql, list(args))

    # ---- what it knows ----

    def new_id(self):
        self.last += 1
        return self.base + self.last

    def value(self):
        return self.random.randrange(1, 1_000_000)

    def side(self):
        return self.random.choice(self.stage.speak)

    def row(self):
        return self.random.choice(list(self.items)) if self.items else None

    def arguments(self, side, number, n):
        return [number, f"note {number}", f"v{n}", amount(side, n)]

    def check(self, names, rows, wanted, tail=2, fresh=False):
        """Whole rows (by id) as one side has them; a fresh statement's side is that of the session."""
        front = FRONT if tail == 2 else FRONT[:2]
        sides = [side for side, last in SIDES.items() if list(names) == front + list(last[:tail])]
        assert sides, f"columns {names}"
        side = sides[0]
        sees = self.stage.sees[self.role]
        if sees != "-" and (fresh or not self.driver.remembers):
            assert side == sees, f"columns {names} in a session that sees side {sees}"
        got = {}
        for row in rows:
            assert len(row) == len(names), f"row {row}"
            got[row[0]] = row
        assert len(got) == len(rows) and got.keys() == wanted.keys(), f"rows {sorted(got)}, not {sorted(wanted)}"
        for number, n in wanted.items():
            row = list(got[number])
            if tail == 2:
                stamp = row.pop(2)
                assert isinstance(stamp, datetime.datetime), f"stamp {stamp!r}"
            expected = self.arguments(side, number, n)[:2 + tail]
            assert row == expected and [type(v) for v in row] == [type(v) for v in expected], \
                f"row {row}, not {expected}; columns {names}"

    # ---- what it does ----

    async def star(self):
        number = self.row()
        if number:
            self.check(*await self.run("SELECT * FROM items WHERE id = $1", number), {number: self.items[number]})

    async def fresh_star(self):
        """A text that nobody has prepared before."""
        number = self.row()
        if number:
            text = f"SELECT i.* FROM items i WHERE id = $1 /* {self.last} {self.random.random()} */"
            self.check(*await self.run(text, number), {number: self.items[number]}, fresh=True)

    async def stars(self):
        low = self.base + self.random.randrange(max(1, self.last))
        wanted = {number: n for number, n in self.items.items() if low <= number < low + 20}
        self.check(*await self.run("SELECT * FROM items WHERE id >= $1 AND id < $2 ORDER BY id", low, low + 20), wanted)

    async def named(self):
        number, side = self.row(), self.side()
        if number:
            text, count = SIDES[side]
            names, rows = await self.run(f"SELECT id, note, {text}, {count} FROM items WHERE id = $1", number)
            expected = self.arguments(side, number, self.items[number])
            assert list(names) == ["id", "note", text, count] and [list(row) for row in rows] == [expected], \
                f"{names} {rows}, not {expected}"

    def insert_text(self, side):
        text, count = SIDES[side]
        return f"INSERT INTO items (id, note, {text}, {count}) VALUES ($1, $2, $3, $4)"

    async def insert(self):
        number, n, side = self.new_id(), self.value(), self.side()
        got = await self.run(self.insert_text(side) + " RETURNING *", *self.arguments(side, number, n))
        self.items[number] = n
        self.check(*got, {number: n})

    async def update(self, star=True):
        number, n, side = self.row(), self.value(), self.side()
        if number:
            text, count = SIDES[side]
            names, rows = await self.run(f"UPDATE items SET {text} = $1, {count} = $2 WHERE id = $3 RETURNING "
                                         + ("*" if star else "id"), f"v{n}", amount(side, n), number)
            self.items[number] = n
            if star:
                self.check(names, rows, {number: n})
            else:
                assert [list(row) for row in rows] == [[number]], f"{names} {rows}"

    async def upsert(self):
        known = self.row()
        number = known if known and self.random.random() < 0.5 else self.new_id()
        n, side = self.value(), self.side()
        text, count = SIDES[side]
        await self.run(self.insert_text(side) + f" ON CONFLICT (id) DO UPDATE SET {text} = EXCLUDED.{text}, "
                       f"{count} = EXCLUDED.{count}", *self.arguments(side, number, n))
        self.items[number] = n

    async def delete(self):
        number = self.row()
        if number and len(self.items) > 10:
            names, rows = await self.run("DELETE FROM items WHERE id = $1 RETURNING id", number)
            del self.items[number]
            assert [list(row) for row in rows] == [[number]], f"{names} {rows}"

    async def several(self):
        """A transaction; a star that the driver had prepared before the end of a migration may not be used in it."""
        kept = dict(self.items)
        try:
            async with self.driver.transaction():
                await self.update(star=False)
                await self.named()
                await self.fresh_star()
                await self.upsert()
                await self.fresh_star()
        except BaseException:
            self.items = kept
            raise

    async def batch(self):
        side = self.side()
        new = {self.new_id(): self.value() for _ in range(5)}
        self.bed.counts["statements"] += len(new)
        await self.driver.many(self.insert_text(side), [self.arguments(side, number, n) for number, n in new.items()])
        self.items.update(new)

    async def put_plain(self):
        """Without a list of columns: the renamed one is the last on either side."""
        number, n = self.new_id(), self.value()
        got = await self.run("INSERT INTO plain VALUES ($1, $2, $3) RETURNING *", number, f"note {number}", f"v{n}")
        self.plain[number] = n
        self.check(*got, {number: n}, tail=1)

    async def star_plain(self):
        if self.plain:
            number = self.random.choice(list(self.plain))
            self.check(*await self.run("SELECT * FROM plain WHERE id = $1", number), {number: self.plain[number]}, tail=1)


class Bed:
    """The stage, the counts, and who has come to which stage."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()
        self.counts = Counter(statements=0, error=0, wrong=0, changed=0)
        self.stage, self.over = None, False
        self.at, self.told = {}, 0
        self.ends = 0  # of migrations, begun so far: two sides were said, and now it is one

    def say(self, line):
        with self.lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def tell(self, what, text):
        self.counts[what] += 1
        if self.counts[what] <= SHOWN_MAX:
            self.say(f"{what} {text}")

    def listen(self):
        said = 1
        for line in sys.stdin:
            if line.strip() == "stop":
                break
            stage = Stage(line)
            self.ends += len(stage.speak) < said
            said = len(stage.speak)
            self.stage = stage
        self.over = True

    def enter(self, no):
        """The stage for one transaction of a worker; None at the end. What was before is over for it."""
        stage = self.stage
        if self.over:
            return None
        self.at[no] = stage.gen
        gen = min(self.at.values())
        if gen > self.told and gen == stage.gen:
            self.told = gen
            self.say(f"at {gen}")
        return stage


def play(name, driver, threads=True, count=4):
    """The program: `count` workers, each in a thread of its own, or all in one loop."""
    bed = Bed(name)
    workers = [Worker(bed, no, driver) for no in range(count)]
    bed.at = {no: 0 for no in range(count)}
    threading.Thread(target=bed.listen, daemon=True).start()
    while bed.stage is None and not bed.over:
        time.sleep(0.01)
    if threads:
        running = [threading.Thread(target=lambda w=w: asyncio.run(w.live())) for w in workers]
        for one in running:
            one.start()
        for one in running:
            one.join()
    else:
        async def all_of_them():
            await asyncio.gather(*(w.live() for w in workers))

        asyncio.run(all_of_them())
    for worker in workers:
        for table in ("items", "plain"):
            for number, n in getattr(worker, table).items():
                bed.say(f"row {table} {number} {n}")
    bed.say("done " + " ".join(f"{what}={count}" for what, count in bed.counts.items()))


def pyformat(sql):
    """$1, $2 ... as %s: the statements here have their parameters in order."""
    return re.sub(r"\$\d+", "%s", sql)
