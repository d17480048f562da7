"""Clients of both application revisions, and an oracle of every write that was acknowledged.

Each writer owns its rows, so that what a row must hold is known without looking. The old revision
names the old column, the new one the new column. verify() compares the database with the oracle,
in each column that still exists.
"""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

import psycopg

from .wait import SLOW, until


@dataclass
class Pair:
    """A dual column, and how a value (an int) is written in each of the two."""

    old: str = "label"
    new: str = "title"
    old_type: str = "text"
    new_type: str = "text"
    old_text: Callable[[int], str] = lambda n: f"value {n}"
    new_text: Callable[[int], str] = lambda n: f"value {n}"

    def column(self, revision):
        return self.old if revision == "old" else self.new

    def type(self, revision):
        return self.old_type if revision == "old" else self.new_type

    def columns(self, revision):
        """What this revision writes at once: type by name."""
        return {self.column(revision): self.type(revision)}

    def texts(self, revision, n):
        """A value in each of them."""
        return (self.old_text(n) if revision == "old" else self.new_text(n),)


@dataclass
class Group(Pair):
    """Several columns on either side, each a text with the value in it: "street {n}"."""

    olds: dict = field(default_factory=dict)
    news: dict = field(default_factory=dict)

    def _side(self, revision):
        return self.olds if revision == "old" else self.news

    def columns(self, revision):
        return dict.fromkeys(self._side(revision), "text")

    def texts(self, revision, n):
        return tuple(text.format(n=n) for text in self._side(revision).values())


# As long as it is, it may carry out what it was sent, though nobody hears the answer.
STILL_THERE = ("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND backend_start < "
               "(SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())")
PLAIN = Pair()
JSON = Pair(old="payload", new="body", new_type="jsonb",
            old_text=lambda n: f'{{"n": {n}}}', new_text=lambda n: f'{{"n": {n}}}')
CENTS = Pair(old="cents", new="price", old_type="integer", new_type="numeric(12,2)",
             old_text=str, new_text=lambda n: f"{n // 100}.{n % 100:02d}")


@dataclass
class Writer:
    no: int
    revision: str
    rows: dict = field(default_factory=dict)  # id -> set of values it may hold (one when certain)
    gone: set = field(default_factory=set)  # ids that were deleted for certain
    next_id: int = 0
    acknowledged: int = 0
    backend: int = 0  # of its session
    thread: threading.Thread = None
    stop: threading.Event = field(default_factory=threading.Event)


class Traffic:
    """connect: a function that gives a connection through the proxy. new_table, new_key: what the new revision calls the table
    and its key, which is `id` to the old one."""

    FIRST_ID = 1_000_000
    ABSENT = -1

    def __init__(self, connect, pair=PLAIN, table="items", outages=False, pause_s=0.002, seed=1,
                 tolerates=(), new_table=None, new_key=None):
        self.connect = connect
        self.pair = pair
        self.tables = {"old": table, "new": new_table or table}
        self.keys = {"old": "id", "new": new_key or "id"}
        self.outages = outages  # lost connections are part of the test: outcomes in doubt are read back
        self.tolerates = set(tolerates)  # SQLSTATEs that are part of the test, too
        self.pause_s = pause_s
        self.seed = seed
        self.writers = []
        self.errors = []
        self.lost = []
        self.latencies = []  # (started, seconds)
        self.lock = threading.Lock()

    # ---- starting and stopping ----

    def start(self, revision, count=2):
        for _ in range(count):
            no = len(self.writers)
            writer = Writer(no, revision, next_id=self.FIRST_ID * (no + 1))
            writer.thread = threading.Thread(target=self._run, args=(writer,), daemon=True)
            self.writers.append(writer)
            writer.thread.start()
        return self

    def signal(self, revision=None):
        """They are to stop; who are they?"""
        chosen = [w for w in self.writers if revision in (None, w.revision)]
        for writer in chosen:
            writer.stop.set()
        return chosen

    def stop(self, revision=None):
        for writer in self.signal(revision):
            writer.thread.join(20 * SLOW)
            assert not writer.thread.is_alive(), f"writer {writer.no} hangs"
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for writer in self.signal():
            writer.thread.join(20 * SLOW)

    def acknowledged(self, revision=None):
        return sum(w.acknowledged for w in self.writers if revision in (None, w.revision))

    def flows(self, more=20, revision=None, timeout=20):
        """Waits for this many further acknowledged transactions."""
        before = self.acknowledged(revision)
        until(f"{more} more transactions; errors {self.errors[:3]}",
              lambda: self.acknowledged(revision) >= before + more or (self.errors and not self.outages), timeout)
        if not self.outages:
            self.assert_no_errors()

    def worst_s(self, since=0.0):
        with self.lock:
            return max((took for begun, took in self.latencies if begun + took >= since), default=0.0)

    # ---- one writer ----

    def _run(self, writer):
        dice = random.Random(self.seed * 1000 + writer.no)
        conn = None
        while not writer.stop.is_set():
            doubt = {}
            try:
                if conn is None:
                    conn = self.connect()
                    self._resolve(writer, conn)
                    writer.backend = conn.info.backend_pid
                begun = time.monotonic()
                self._transaction(writer, conn, dice, doubt)
                took = time.monotonic() - begun
                with self.lock:
                    self.latencies.append((begun, took))
                writer.acknowledged += 1
            except psycopg.Error as error:
                self._settle(writer, doubt, certain=False)
                alive = conn is not None and not conn.broken and not conn.closed
                outage = isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)) and not alive
                if not (outage and self.outages) and error.sqlstate not in self.tolerates:
                    with self.lock:
                        self.errors.append(f"{writer.revision} writer {writer.no}: {type(error).__name__}: {error}")
                    break
                if conn is not None:
                    conn.close()
                conn = None
                writer.stop.wait(0.05)
            if self.pause_s:
                writer.stop.wait(self.pause_s)
        if conn is not None:
            conn.close()

    def _transaction(self, writer, conn, dice, doubt):
        table, columns = self.tables[writer.revision], self.pair.columns(writer.revision)
        key = self.keys[writer.revision]
        insert = (f"INSERT INTO {table} ({key}, {', '.join(columns)}) "
                  f"VALUES (%s, {', '.join(f'%s::{kind}' for kind in columns.values())})")
        what = dice.random()
        certain = [i for i, values in writer.rows.items() if len(values) == 1]
        if what < 0.35 or len(certain) < 5:
            row, value = self._new_id(writer), dice.randrange(1, 1_000_000)
            doubt[row] = value
            conn.execute(insert, (row, *self.pair.texts(writer.revision, value)))
        elif what < 0.6:
            row, value = dice.choice(certain), dice.randrange(1, 1_000_000)
            doubt[row] = value
            self._update(conn, writer, row, value)
        elif what < 0.75:
            with conn.transaction():
                for row in dice.sample(certain, 2):
                    doubt[row] = dice.randrange(1, 1_000_000)
                    self._update(conn, writer, row, doubt[row])
        elif what < 0.85:
            row = dice.choice(certain) if dice.random() < 0.5 else self._new_id(writer)
            doubt[row] = value = dice.randrange(1, 1_000_000)
            sets = ", ".join(f"{column} = EXCLUDED.{column}" for column in columns)
            conn.execute(f"{insert} ON CONFLICT ({key}) DO UPDATE SET {sets}", (row, *self.pair.texts(writer.revision, value)))
        elif what < 0.9:
            row = dice.choice(certain)
            doubt[row] = self.ABSENT
            conn.execute(f"DELETE FROM {table} WHERE {key} = %s", (row,))
        else:
            row = dice.choice(certain)
            got = self._read(conn, writer, row)
            (value,) = writer.rows[row]
            # a column that is still being backfilled is not read by the new revision
            if got != self.pair.texts(writer.revision, value):
                with self.lock:
                    self.lost.append(f"{writer.revision} writer {writer.no} read {got} in row {row}, not {value}")
        self._settle(writer, doubt, certain=True)

    def _update(self, conn, writer, row, value):
        sets = ", ".join(f"{name} = %s::{kind}" for name, kind in self.pair.columns(writer.revision).items())
        cur = conn.execute(f"UPDATE {self.tables[writer.revision]} SET {sets} WHERE {self.keys[writer.revision]} = %s",
                           (*self.pair.texts(writer.revision, value), row))
        if cur.rowcount != 1:
            with self.lock:
                self.lost.append(f"row {row} of writer {writer.no} is gone")

    def _selected(self, revision):
        return ", ".join(f"{column}::text" for column in self.pair.columns(revision))

    def _read(self, conn, writer, row):
        return conn.execute(f"SELECT {self._selected(writer.revision)} FROM {self.tables[writer.revision]} "
                            f"WHERE {self.keys[writer.revision]} = %s", (row,)).fetchone()

    @staticmethod
    def _new_id(writer):
        writer.next_id += 1
        return writer.next_id

    def _settle(self, writer, doubt, certain):
        for row, value in doubt.items():
            if not certain:
                writer.rows.setdefault(row, {self.ABSENT}).add(value)
            elif value == self.ABSENT:
                writer.rows.pop(row, None)
                writer.gone.add(row)
            else:
                writer.rows[row] = {value}

    def _resolve(self, writer, conn):
        """Reads back what an outage has left in doubt."""
        if any(len(values) > 1 for values in writer.rows.values()):
            until("the backend from before to end", lambda: not conn.execute(STILL_THERE, (writer.backend,)).fetchone())
        for row, values in list(writer.rows.items()):
            if len(values) == 1:
                continue
            got = self._read(conn, writer, row)
            match = [v for v in values if self._texts_of(writer.revision, v) == got]
            if not match:
                with self.lock:
                    self.lost.append(f"row {row} of writer {writer.no} holds {got}, none of {values}")
                match = list(values)[:1]
            self._settle(writer, {row: match[0]}, certain=True)

    def _texts_of(self, revision, value):
        return None if value == self.ABSENT else self.pair.texts(revision, value)

    # ---- the oracle ----

    def assert_no_errors(self):
        assert not self.errors, f"{len(self.errors)} client errors: {self.errors[:5]}"
        assert not self.lost, f"{len(self.lost)} writes lost: {self.lost[:5]}"

    def verify(self, db, columns=("old", "new")):
        """Compares every row of the writers with the database. Call it when they have stopped."""
        self.assert_no_errors()
        checked = 0
        for revision in columns:
            columns = self._selected(revision)
            stored = {row: tuple(texts) for row, *texts in db.sql(
                f"SELECT {self.keys[revision]}, {columns} FROM {self.tables[revision]} "
                f"WHERE {self.keys[revision]} >= {self.FIRST_ID}")}
            wrong = []
            for writer in self.writers:
                for row, values in writer.rows.items():
                    allowed = {self._texts_of(revision, v) for v in values}
                    if stored.get(row) not in allowed:
                        wrong.append((row, stored.get(row), allowed))
                    checked += 1
                wrong += [(row, stored[row], "deleted") for row in writer.gone if row in stored]
            known = set().union(*(w.rows.keys() | w.gone for w in self.writers))
            wrong += [(row, "not ours") for row in stored if row not in known]
            assert not wrong, f"{columns}: {len(wrong)} rows are not as acknowledged: {wrong[:5]}"
        assert checked > 0, "the oracle knows no write"
        return checked
