"""Several revisions of an application at work, held to a rate in all, and an oracle of every write that was acknowledged.

A worker is one connection, and owns rows: those seeded whose id is its number modulo the workers', and those it inserts. So
what each row must hold is known without looking. Only a proxy that was killed may cost an error; what was under way then is
read back.
"""

import asyncio
import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass

from lib.wait import Late, until

from . import drivers, schema

NO_ROW = None
BEHIND_S = 0.5
ANSWER_S = 120  # a request that has no answer by then hangs

# role, driver: two revisions, sessions that follow the migration, one that writes both sides' columns, one past segue
WORKERS = [("old", drivers.Asyncpg), ("old", drivers.Asyncpg), ("old", drivers.Psycopg), ("new", drivers.Asyncpg),
           ("new", drivers.Asyncpg), ("new", drivers.Psycopg), ("follow", drivers.Psycopg), ("follow", drivers.Psycopg),
           ("follow", drivers.Asyncpg), ("both", drivers.Asyncpg), ("both", drivers.Psycopg), ("bypass", drivers.Psycopg)]


@dataclass(frozen=True)
class Stage:
    """What clients may rely on. speak: sides whose columns may be named; new: the new revision is deployed; sees: the side
    of a session of each role, by a star ("": it is about to change)."""

    speak: str
    sees: dict
    new: bool = False
    both: bool = False


def settled(side):
    return Stage(side, dict.fromkeys(("old", "new", "follow", "both"), side))


class Worker:
    def __init__(self, traffic, no, role, driver):
        self.traffic, self.no, self.role = traffic, no, role
        self.random = random.Random(f"{traffic.seed} {no}")
        past = role == "bypass"
        options = f"-c segue.schema={role}" if role in ("old", "new") else ""
        self.driver = driver(traffic.server_port if past else traffic.port, traffic.dbname, options)
        self.opened_at = self.due = 0.0
        self.last = 0
        self.rows = {}  # id -> states it may be in, (n, m) or NO_ROW; one where it is certain
        self.mine = []  # ids it has inserted and not deleted
        self.doubt = {}
        self.stage, self.gen = None, -1
        acts = [(self.read, 30), (self.update, 25), (self.insert, 12), (self.note, 8), (self.upsert, 6), (self.several, 5),
                (self.delete, 4), (self.many, 2), *([(self.star, 8)] if driver.stars and not past else [])]
        self.acts, self.weights = zip(*acts)

    # ---- life ----

    def absent(self):
        return self.role == "new" and not self.stage.new

    async def live(self):
        traffic = self.traffic
        while not traffic.over:
            stage, gen, away = traffic.said
            if gen != self.gen and (away or traffic.reconnect_at == gen):
                await self.leave()
            self.stage, self.gen = stage, gen
            if away or self.absent():
                await self.leave()
                await asyncio.sleep(0.02)
                continue
            await self.turn()
            # by the clock, so that a slow answer takes nothing from the rate; but no crowd comes after a long one
            self.due = max(self.due, time.monotonic() - BEHIND_S) + self.random.expovariate(traffic.rate / traffic.active())
            await asyncio.sleep(max(0.0, min(2.0, self.due - time.monotonic())))
        await self.leave()

    async def turn(self):
        act, began = None, time.monotonic()
        try:
            if self.opened_at == 0:
                self.opened_at = time.monotonic()
                await asyncio.wait_for(self.driver.open(), ANSWER_S)
                await self.resolve()
            act = self.random.choices(self.acts, self.weights)[0]
            began = time.monotonic()
            await asyncio.wait_for(act(), ANSWER_S)
            self.settle(certain=True)
            self.traffic.note(began, time.monotonic() - began)
        except AssertionError as wrong:
            self.settle(certain=False)
            self.traffic.wrong.append(f"{self.name(act)}: {wrong}")
            await self.leave()
        except Exception as error:  # whatever a driver raises is what the run is about
            self.settle(certain=False)
            if not self.excused(error):
                text = " ".join(f"{type(error).__name__}: {error}".split())
                self.traffic.errors.append(f"{self.name(act)}: {getattr(error, 'sqlstate', None)} {text}")
            await self.leave()
            await asyncio.sleep(0.05)

    def name(self, act):
        return f"{self.traffic.phase}: {self.role} {type(self.driver).__name__} {act.__name__ if act else 'open'}"

    def excused(self, error):
        """A session of a proxy that was killed is lost, once; and while nobody listens no other can be had."""
        killed = self.traffic.killed_at
        if self.role == "bypass" or not isinstance(error, drivers.LOST) or not (self.driver.lost() or self.traffic.down):
            return False
        if self.traffic.down or self.opened_at <= killed:
            self.traffic.lost += 1
            return True
        return False

    async def leave(self):
        if self.opened_at:
            self.opened_at = 0.0
            try:
                await self.driver.close()
            except drivers.LOST:
                pass  # it is gone already

    # ---- what it knows ----

    def settle(self, certain):
        for number, state in self.doubt.items():
            if certain:
                self.rows[number] = {state}
            else:
                self.rows.setdefault(number, {self.seeded(number)}).add(state)
        self.doubt = {}

    @staticmethod
    def seeded(number):
        return (number, 0) if number < schema.FIRST_NEW else NO_ROW

    def state(self, number):
        """The one state of a row; NO_ROW where it is gone."""
        (state,) = self.rows.get(number, {self.seeded(number)})
        return state

    def some_row(self):
        """An id that is there for certain: one of its own, or one that was seeded."""
        for _ in range(20):
            number = self.random.choice(self.mine) if self.mine and self.random.random() < 0.4 else (
                self.random.randrange(0, self.traffic.rows // len(WORKERS)) * len(WORKERS) + self.no + 1)
            if number <= self.traffic.rows or number >= schema.FIRST_NEW:
                if self.state(number) is not NO_ROW:
                    return number
        raise AssertionError("it finds no row")

    def new_id(self):
        self.last += 1
        return schema.FIRST_NEW + self.no * 10_000_000 + self.last

    def n(self):
        return self.random.randrange(schema.N_MAX)

    def sides(self):
        """What a write names: one side, or both where that is its trade."""
        if self.role == "both" and self.stage.both:
            return self.stage.speak
        own = {"old": self.stage.speak[0], "new": self.stage.speak[-1]}.get(self.role)
        return own or self.random.choice(self.stage.speak)

    @staticmethod
    def writes(sides, number, n):
        """Names and values of the columns of these sides."""
        chosen = schema.columns(sides)
        values = {side: schema.values(side, number, n) for side in sides}
        return list(chosen), [values[side][i] for side, i in chosen.values()]

    async def resolve(self):
        """Reads back what a killed proxy has left in doubt."""
        for number, states in list(self.rows.items()):
            if len(states) > 1:
                got = await self.look(number)
                self.rows[number] = {got}
                assert got in states, f"row {number} is {got}, none of {states}"
                if number >= schema.FIRST_NEW and (got is NO_ROW) == (number in self.mine):
                    (self.mine.remove if got is NO_ROW else self.mine.append)(number)

    async def look(self, number):
        """The row as one side has it, whose columns must agree."""
        side = self.sides()[0]
        names = [f"{name}::bigint" if name == "qty" else name for name in schema.SIDES[side]]
        rows = await self.driver.run(f"SELECT note, {', '.join(names)} FROM {schema.TABLE} WHERE id = $1", number)
        return self.judge(side, number, rows)

    @staticmethod
    def judge(side, number, rows):
        if not rows:
            return NO_ROW
        (note, *got), = rows
        n = got[1] if side == "a" else int(got[1] * 100)
        assert list(got) == schema.values(side, number, n), f"row {number} says {got} on side {side}"
        return n, int(note[1:])

    # ---- what it does ----

    async def read(self):
        number = self.some_row()
        got = await self.look(number)
        assert got == self.state(number), f"row {number} is {got}, not {self.state(number)}"

    async def star(self):
        number = self.some_row()
        names, rows = await self.driver.star(schema.TABLE, number)
        sees = self.stage.sees[self.role]
        sides = [side for side in "ab" if {*names} == {"id", "note", *schema.SIDES[side]} and len(names) == len({*names})]
        assert sides and (not sees or sides == [sees]), f"a star gives {names}, side {sees or 'a or b'}"
        by_name = dict(zip(names, rows[0])) if rows else {}
        got = self.judge(sides[0], number, [[by_name[name] for name in ("note", *schema.SIDES[sides[0]])]] if rows else [])
        assert got == self.state(number), f"row {number} is {got}, not {self.state(number)}"

    async def update(self, number=None):
        number, n = number or self.some_row(), self.n()
        self.doubt[number] = (n, self.state(number)[1])
        names, values = self.writes(self.sides(), number, n)
        assigned = ", ".join(f"{name} = ${i}" for i, name in enumerate(names, 1))
        got = await self.driver.run(f"UPDATE {schema.TABLE} SET {assigned} WHERE id = ${len(names) + 1} RETURNING id", *values, number)
        assert got == [(number,)], f"UPDATE of row {number}: {got}"

    async def note(self):
        number = self.some_row()
        n, m = self.state(number)
        self.doubt[number] = (n, m + 1)
        await self.driver.run(f"UPDATE {schema.TABLE} SET note = $1 WHERE id = $2", f"m{m + 1}", number)

    def insertion(self, sides, number, n, m=0):
        names, values = self.writes(sides, number, n)
        marks = ", ".join(f"${i}" for i in range(1, len(names) + 3))
        return f"INSERT INTO {schema.TABLE} (id, note, {', '.join(names)}) VALUES ({marks})", [number, f"m{m}", *values]

    async def insert(self):
        number, n = self.new_id(), self.n()
        self.doubt[number] = (n, 0)
        sql, values = self.insertion(self.sides(), number, n)
        await self.driver.run(sql, *values)
        self.mine.append(number)

    async def upsert(self):
        number, n, sides = self.some_row(), self.n(), self.sides()
        self.doubt[number] = (n, self.state(number)[1])
        sql, values = self.insertion(sides, number, n)
        taken = ", ".join(f"{name} = EXCLUDED.{name}" for name in schema.columns(sides))
        await self.driver.run(f"{sql} ON CONFLICT (id) DO UPDATE SET {taken}", *values)

    async def delete(self):
        if self.mine:
            number = self.random.choice(self.mine)
            self.doubt[number] = NO_ROW
            await self.driver.run(f"DELETE FROM {schema.TABLE} WHERE id = $1", number)
            self.mine.remove(number)

    async def several(self):
        first, second = self.some_row(), self.some_row()
        async with self.driver.transaction():
            await self.update(first)
            assert await self.look(first) == self.doubt[first], f"row {first} in its own transaction"
            if second != first:
                await self.update(second)

    async def many(self):
        """Rows at once, all with the same columns."""
        sides, new = self.sides(), {self.new_id(): (self.n(), 0) for _ in range(5)}
        self.doubt.update(new)
        made = [self.insertion(sides, number, n) for number, (n, _) in new.items()]
        await self.driver.many(made[0][0], [values for _, values in made])
        self.mine += new


class Traffic:
    """All workers, in a loop of their own in a thread of its own; the others' methods are for the run's thread."""

    def __init__(self, port, server_port, dbname, rows, rate, seed):
        self.port, self.server_port, self.dbname, self.rows, self.rate, self.seed = port, server_port, dbname, rows, rate, seed
        self.said = (settled("a"), 0, False)  # stage, its number, nobody is there
        self.reconnect_at = 0
        self.over, self.down, self.killed_at = False, False, 0.0
        self.phase = "idle"
        self.latencies = defaultdict(list)  # phase -> seconds
        self.errors, self.wrong, self.lost = [], [], 0
        self.workers = [Worker(self, no, role, driver) for no, (role, driver) in enumerate(WORKERS)]
        self.thread = threading.Thread(target=asyncio.run, args=(self._play(),), daemon=True)

    async def _play(self):
        await asyncio.gather(*(worker.live() for worker in self.workers))

    def note(self, began, took):
        self.latencies[self.phase].append(took)

    def active(self):
        stage = self.said[0]
        return sum(worker.role != "new" or stage.new for worker in self.workers)

    def requests(self):
        return sum(map(len, list(self.latencies.values())))

    # ---- what they are told ----

    def start(self):
        self.thread.start()

    def say(self, stage=None, away=False, reconnect=False):
        """Comes back when nothing that was begun before is under way."""
        before, number, _ = self.said
        number += 1
        if reconnect:
            self.reconnect_at = number
        self.said = (stage or before, number, away)
        until(f"all workers to come to stage {number}", lambda: not self.thread.is_alive() or all(
            worker.gen >= number for worker in self.workers), ANSWER_S + 10)
        if not self.thread.is_alive():
            raise Late("the traffic has ended")

    def flows(self, requests):
        """Waits for so many requests more, of whatever outcome is right."""
        before = self.requests()
        until(f"{requests} requests", lambda: self.requests() >= before + requests or self.failures(), 120, every=0.05)

    def stop(self):
        self.over = True
        self.thread.join(ANSWER_S + 10)
        if self.thread.is_alive():
            raise Late("workers hang")

    def kills(self):
        """A context: within it the proxy is killed and comes back."""
        return Outage(self)

    # ---- the oracle ----

    def failures(self):
        return self.errors + self.wrong

    def check(self, db, side):
        """What the database holds against what was acknowledged. The workers have stopped. (rows checked, failures)"""
        failures = []
        bad = db.one(f"SELECT count(*) FROM {schema.TABLE} WHERE {schema.OUT_OF_STEP[side]}")
        seeded = db.one(f"SELECT count(*) FROM {schema.TABLE} WHERE id < {schema.FIRST_NEW}")
        if bad or seeded != self.rows:
            failures.append(f"{bad} rows are out of step, {seeded} of {self.rows} seeded rows are there")
        n_of = schema.N_OF[side]
        stored = {row[0]: (row[1], int(row[2][1:])) for row in db.sql(
            f"SELECT id, {n_of}, note FROM {schema.TABLE} WHERE id >= {schema.FIRST_NEW} OR {n_of} <> id OR note <> 'm0'")}
        checked = 0
        for worker in self.workers:
            for number, states in worker.rows.items():
                checked += 1
                got = stored.pop(number, worker.seeded(number))
                if got not in states:
                    failures.append(f"row {number} of {worker.role} worker {worker.no} is {got}, acknowledged: {states}")
        failures += [f"row {number} is {got}: nobody has written that" for number, got in stored.items()]
        failures += [f"{worker.role} worker {worker.no} has written nothing" for worker in self.workers if not worker.rows]
        return checked, failures


class Outage:
    SETTLED_S = 0.3  # who was refused in the last moment has noticed by then

    def __init__(self, traffic):
        self.traffic = traffic

    def __enter__(self):
        self.traffic.down = True
        return self

    def dead(self):
        """The process has gone: sessions from before are lost."""
        self.traffic.killed_at = time.monotonic()

    def __exit__(self, *_):
        time.sleep(self.SETTLED_S)
        self.traffic.down = False
