"""Clients of the old schema, of the new one, of both, through segue and past it, each with rows of its own."""

import contextlib
import random
import threading
import time

import psycopg
from lib.wait import SLOW, until

from property.judge import Bad
from property.around import PROTECTED
from property.model import ABSENT
from property.schema import WRITERS_MAX, part_of
from property.statements import Statement, sql_name
from property.tables import quoted
from property.values import ident

TRIES = 12
# a side's writer meets these, and what it writes must be possible in each
FUTURE = {"old": ("before", "forward", "reverse"), "new": ("forward", "reverse", "after"), "both": ("forward", "reverse")}


class Lost(AssertionError):
    """The database holds something else than it has acknowledged."""


class Writer:
    """road: tells modes; tables: [Known]; direct: past segue. ordinary: policies are for it, too; shadows: sessions
    have temporary tables that are called as the real ones are, so that those need their schema."""

    def __init__(self, no, side, direct, connect, tables, road, seed, ordinary=False, shadows=False):
        self.no, self.side, self.direct, self.connect, self.road = no, side, direct, connect, road
        self.tables = [t for t in tables if t.model.names(side, "forward")]
        self.dice = random.Random(f"{seed}/writer/{no}")
        self.ordinary, self.qualifies = ordinary, shadows
        self.turned = set()  # tables that it has found under their new names, past segue
        self.rows = {t.table.name: {} for t in tables}  # number -> states
        self.next = 1000 + no * 100_000
        self.acknowledged = 0
        self.error = None
        self.lost_once = False
        self.conn = None
        self.over = threading.Event()
        self.thread = None
        self.log = []

    @property
    def name(self):
        return f"writer {self.no} ({self.side}, {'past' if self.direct else 'through'} segue)"

    def take(self, known, n, state):
        """A row that was there before becomes this writer's."""
        self.rows[known.table.name][n] = {state}

    def start(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def running(self):
        return self.thread is not None and self.thread.is_alive()

    def stop(self):
        self.over.set()
        if self.thread is not None:
            self.thread.join(60 * SLOW)
            assert not self.thread.is_alive(), f"{self.name} hangs"
        self.thread = None
        self.over = threading.Event()

    def called(self, known):
        """The table's name. Through segue each side has its own, and a transitional writer takes either."""
        if self.direct and known.renamed:
            return known.renamed if known in self.turned else known.table.name
        return known.called(self.side) or self.dice.choice([known.table.name, known.renamed])

    def barred(self, known):
        """Does the server refuse it a COPY?"""
        return self.ordinary and bool(known.table.secured)

    def forget(self, known):
        """A crash has taken the rows."""
        self.rows[known.table.name].clear()

    # ---- the loop ----

    def _run(self):
        while not self.over.is_set() and self.error is None:
            try:
                if self.conn is None:
                    self.conn = self.connect(self)
                    if self.lost_once:
                        self._settle()
                self._step()
                self.acknowledged += 1
            except psycopg.Error as error:
                if not self._turn(error):
                    self._failed(error)
            except Exception as error:  # pylint: disable=broad-except
                self.error = error
            self.over.wait(0.01)
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def _failed(self, error):
        alive = self.conn is not None and not self.conn.broken and not self.conn.closed
        outage = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and not alive
        if not (outage and self.road.outages):
            said = f"{error.sqlstate} {error}" + "".join(f"\n    {line}" for line in self.log[-6:])
            self.error = AssertionError(f"{self.name}: {type(error).__name__}: {said}")
        self.lost_once = True
        if self.conn is not None:
            self.conn.close()
        self.conn = None
        self.over.wait(0.05)

    def _turn(self, error):
        """Past segue a table has the name of the moment; who misses it looks for the other one."""
        renamed = [t for t in self.tables if t.renamed]
        if not (self.direct and renamed and isinstance(error, psycopg.errors.UndefinedTable)):
            return False
        with contextlib.suppress(psycopg.Error):  # a connection that is gone is met by the next statement
            self.conn.rollback()
            here = {row[0] for row in self.conn.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')").fetchall()}
            self.turned = {t for t in renamed if t.renamed in here}
        return True

    def _settle(self):
        """The work of the session that was lost has ended before anything is read."""
        until("the lost session to end", lambda: not self.conn.execute(
            "SELECT 1 FROM pg_stat_activity a, pg_stat_activity me WHERE me.pid = pg_backend_pid() AND a.pid <> me.pid "
            "AND a.datname = me.datname AND a.application_name = %s AND a.backend_start < me.backend_start",
            (f"w{self.no}",), prepare=False).fetchall(), 40)
        self.lost_once = False

    def _step(self):
        chance = self.dice.random()
        if chance < 0.04 and self.qualifies and not self.direct:
            self._shadow()
        elif chance < 0.2:
            self._read()
        elif chance < 0.75:
            self._transaction(1, explicit=False)
        else:
            self._transaction(self.dice.choice([2, 3, 4]), explicit=True)

    # ---- writing ----

    def _transaction(self, count, explicit):
        writes = []  # (known, n, kind, values)
        before = self.road.modes()
        keep = not explicit or self.dice.random() < 0.8
        try:
            if explicit:
                self._say("BEGIN")
            for _ in range(count):
                if explicit and self.dice.random() < 0.1:
                    self._savepoint(writes)
                write = self._choose(writes)
                if write is not None:
                    writes.append(write)
                    self._send(write, writes, before)
            if explicit:
                self._say("COMMIT" if keep else "ROLLBACK")
        except psycopg.Error as error:
            if not isinstance(error, psycopg.errors.UndefinedTable):  # then nothing has happened
                self._book(writes, before, self.road.modes(), certain=False)
            raise
        if keep:
            self._book(writes, before, self.road.modes(), certain=True)

    def _say(self, text):
        self.log.append(text)
        self.conn.execute(text)

    def _savepoint(self, writes):
        """What is written behind it is taken back."""
        write = self._choose(writes)
        if write is None:
            return
        self._say("SAVEPOINT s")
        self._send(write, writes + [write], self.road.modes(), look=False)
        self._say("ROLLBACK TO SAVEPOINT s")

    def _book(self, writes, before, after, certain):
        """Notes what has been acknowledged, or may have happened."""
        modes = before | after
        by_row = {}
        for known, n, kind, values in writes:
            by_row.setdefault((known, n), []).append((kind, self.side, values))
        for (known, n), list_ in by_row.items():
            rows = self.rows[known.table.name]
            states = rows.get(n, {ABSENT})
            new = known.model.outcomes(modes, states, list_, self.road.filled)
            rows[n] = new if certain else new | states

    def _choose(self, earlier):
        """A write that no phase refuses, or None."""
        for _ in range(TRIES):
            known = self.dice.choice(self.tables)
            rows = self.rows[known.table.name]
            taken = {n for k, n, _, _ in earlier if k is known}
            certain = [n for n, states in rows.items() if ABSENT not in states and n not in taken]
            kind = self.dice.choice(["insert", "insert", "update", "update", "update", "update", "upsert", "delete"])
            if kind == "upsert" and known.table.key == "none":
                continue
            if kind in ("update", "delete") or kind == "upsert" and self.dice.random() < 0.5:
                if not certain or kind == "delete" and len(certain) < 4:
                    continue
                n = self.dice.choice(certain)
                if kind == "upsert" and not known.in_place(rows[n], n):
                    continue
            else:
                self.next += 1
                n = self.next
            values = self._values(known, kind, n) if kind != "delete" else {}
            if values is None:
                continue
            states = rows.get(n, {ABSENT})
            if known.model.possible(FUTURE[self.side], states, [(kind, self.side, values)]):
                return known, n, kind, values
        return None

    def _values(self, known, kind, n):
        """{name: literal} under names that are there whatever the mode."""
        names = None
        for mode in FUTURE[self.side]:
            these = known.model.names(self.side, mode)
            names = dict(these) if names is None else {k: v for k, v in names.items() if k in these}
        keys = {k for k, at in names.items() if at in known.key_slots or kind != "update" and at in known.part_slots}
        free = [k for k in names if k not in keys]
        if kind == "update":
            if not free:
                return None
            chosen = self.dice.sample(free, min(len(free), self.dice.choice([1, 1, 1, 2, 3])))
            out = {}
        else:
            chosen = [k for k in free if self._needed(known, names[k]) or self.dice.random() < 0.6]
            if kind == "upsert" and known.table.key == "always" and not chosen:
                if not free:  # the server lets nobody set such a key
                    return None
                chosen = [self.dice.choice(free)]
            out = {known.key_name(self.side, FUTURE[self.side][0]): known.table.id_literal(n)}
            if known.part_slots:
                out[known.name_of(known.part_slots, self.side, FUTURE[self.side][0])] = part_of(n)
        self.next += 1
        try:
            for name in chosen:
                out[name] = known.sources[names[name]].draw(self.dice, self.next)
        except Bad:
            return None
        return out

    @staticmethod
    def _needed(known, at):
        slot = known.slots[at]
        return known.sources[at].always or slot.not_null and None in (slot.defaults.get("forward"), slot.defaults.get("reverse"))

    def _send(self, write, writes, before, look=True):
        known, n, kind, values = write
        statement = Statement(self, known, n, kind, values, self._leaf(known, n, values))
        self.log.append(statement.text())
        del self.log[:-20]
        got = statement.run(self.conn)
        if not look or got is None:
            return
        # what the statement has told of its row
        names, row = got
        mine = [(k, self.side, v) for t, m, k, v in writes if t is known and m == n]
        modes = before | self.road.modes()
        states = known.model.outcomes(modes, self.rows[known.table.name].get(n, {ABSENT}), mine, self.road.filled)
        seen = set().union(*(known.model.seen(self.side, modes, s, names) for s in states if s is not ABSENT))
        if row not in seen:
            raise Lost(f"{self.name}: {statement.text()[:300]} RETURNING {names} gave {row}, not one of {sorted(seen, key=str)[:4]}")

    # ---- reading ----

    def _read(self):
        known = self.dice.choice(self.tables)
        rows = self.rows[known.table.name]
        if not rows:
            return
        n = self.dice.choice(list(rows))
        before = self.road.modes()
        names = sorted(set.intersection(*(set(known.model.names(self.side, m)) for m in FUTURE[self.side])))
        key = known.key_name(self.side, FUTURE[self.side][0])
        name = self._leaf(known, n, {}) or self.called(known)
        table = sql_name(name, self.qualifies or self.dice.random() < 0.15)
        where = f"{ident(name)}." * (self.dice.random() < 0.2) + ident(key)
        sql = f"SELECT {known.model.sql_read(names)} FROM {table} WHERE {where} = %s"
        self.log.append(sql)
        got = self.conn.execute(sql, (known.table.id_literal(n),), prepare=self.dice.random() < 0.3 and not known.retypes).fetchall()
        self._compare(known, n, names, got, before | self.road.modes())
        if self.side == "old" and not self.direct and self.dice.random() < 0.3 and self.road.stars:
            cur = self.conn.execute(f"SELECT * FROM {table} LIMIT 1")
            told = [d.name for d in cur.description]
            if told != [c.name for c in known.table.columns]:
                raise Lost(f"{self.name}: SELECT * of {known.table.name} gives {told}")

    def _shadow(self):
        """A temporary table comes first under its name, whatever becomes of the other one."""
        known, block = self.dice.choice(self.tables), self.dice.random() < 0.5
        name = ident(self.called(known))
        statements = ["BEGIN"] * block + [f"CREATE TEMP TABLE {name} (shadow text)", f"INSERT INTO {name} VALUES ('x')",
                                          f"UPDATE {name} SET shadow = shadow || 'y'"]
        for statement in statements:
            self._say(statement)
        cur = self.conn.execute(f"SELECT * FROM {name}")
        got = [d.name for d in cur.description], cur.fetchall()
        self._say(f"DROP TABLE pg_temp.{name}")
        if block:
            self._say(self.dice.choice(["COMMIT", "ROLLBACK"]))
        if got != (["shadow"], [("xy",)]):
            raise Lost(f"{self.name}: a temporary table {name} has {got}")

    def _compare(self, known, n, names, got, modes):
        rows = self.rows[known.table.name]
        if len(got) > 1:
            raise Lost(f"{self.name}: row {n} of {known.table.name} is there {len(got)} times")
        if not got:
            left = {s for s in rows[n] if s is ABSENT}
        else:
            left = {s for s in rows[n] if s is not ABSENT and tuple(got[0]) in known.model.seen(self.side, modes, s, names)}
        if not left:
            expected = [dict(zip(names, t)) for s in list(rows[n])[:3] for t in (known.model.seen(self.side, modes, s, names) if s else [()])]
            raise Lost(f"{self.name} read in row {n} of {known.table.name} ({quoted(names)}): {got}, not one of {expected}")
        rows[n] = left

    # ---- partitions ----

    def _leaf(self, known, n, values):
        """Now and then one that has the row, or is to have it; None: the whole table."""
        table = known.table
        states = [s for s in self.rows[table.name].get(n, ()) if s is not ABSENT]
        parts = {s[at] for s in states for at in known.part_slots} or {part_of(n)}
        part = next(iter(parts))
        moves = table.part is not None and values.get(table.part.name, part) != part
        if not table.partition or table.leaf_secured or len(parts) > 1 or moves or self.dice.random() > 0.25:
            return None
        return table.leaf(n, part, self.dice)


def shares(writers, known, first):
    """Gives each writer some of the rows that were there before; {number: state} of those that nobody writes."""
    rest = {}
    for n, state in first.items():
        able = [w for w in writers if known in w.tables and w.no == n % WRITERS_MAX]
        if n <= PROTECTED or not able:
            rest[n] = state
        else:
            able[0].take(known, n, state)
    return rest


def wait_for(writers, more, timeout_s=30):
    """Until each has had so many further transactions acknowledged."""
    goal = {w: w.acknowledged + more for w in writers}
    end = time.monotonic() + timeout_s * SLOW
    while any(w.acknowledged < goal[w] and w.error is None and w.tables for w in writers):
        if time.monotonic() > end:
            raise AssertionError("writers stand still: " + ", ".join(f"{w.name} at {w.acknowledged} of {goal[w]}" for w in writers))
        time.sleep(0.01)
    for w in writers:
        if w.error:
            raise w.error
