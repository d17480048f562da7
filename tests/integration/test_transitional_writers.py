"""Writers of a transitional revision name both columns in one statement, with values that agree and that do not, in every phase.

What a row must hold afterwards is said by DESIGN's table of the dual-write rules, written down here once more.
"""

import itertools
import sys
import threading
from dataclasses import dataclass
from typing import Callable

import pytest
from lib.operations import new, old
from lib.segue import BUILD, REPO

sys.path.append(str(REPO / "tests"))

from faults.stage import Told  # noqa: E402

pytestmark = pytest.mark.deadline(120)
BEFORE = 200  # rows from before, for those who come while they are not filled


@dataclass(frozen=True)
class Pair:
    """Two columns of one table; o is NULL in all languages when n is, and the other way round."""

    table: str
    operation: dict
    olds: tuple  # what is written to the old column
    news: tuple
    up: Callable
    down: Callable
    columns: str = "label text"
    names: tuple = ("label", "title")

    def follows(self, forward, before, written):
        """The row after a statement that wrote both; before: None for an INSERT."""
        o, n = written
        lead, twin, make, back = (o, n, self.up, self.down) if forward else (n, o, self.down, self.up)
        was_lead, was_twin = (None, None) if before is None else before if forward else before[::-1]
        if twin != make(lead) and not (twin is not None and lead == back(twin)):
            if before is None:
                if twin is None:
                    twin = make(lead)
                else:
                    lead = back(twin)
            elif lead != was_lead:
                twin = make(lead)
            elif twin != was_twin:
                lead = back(twin)
            elif twin is None:
                twin = make(lead)
        return (lead, twin) if forward else (twin, lead)


@dataclass(frozen=True)
class Added(Pair):
    """n is new and follows o until the cut-over, where the statement says nothing else."""

    def follows(self, forward, before, written):
        o, n = written
        if n is None and (forward or before is None):
            n = self.up(o)
        elif forward and before is not None and n == before[1] and o != before[0]:
            n = self.up(o)
        return o, n


@dataclass(frozen=True)
class Going(Pair):
    """n goes: its application's own before the cut-over, and filled for those who do not know it after."""

    def follows(self, forward, before, written):
        o, n = written
        if not forward and before is None and n is None:
            n = self.down(o)
        elif not forward and before is not None and n == before[1] and o != before[0]:
            n = self.down(o)
        return o, n


def kept(function):
    return lambda value: None if value is None else function(value)


OPS = [
    Pair("plain", {"rename_column": {"table": "plain", "from": "label", "to": "title"}},
         (None, "a", "b"), (None, "a", "b"), kept(str), kept(str)),
    Pair("cents", {"rename_column": {"table": "cents", "from": "label", "to": "title", "type": "bigint",
                                     "up": "label * 100", "down": "(title / 100)::integer"}},
         (None, 1, 2), (None, 100, 200, 250), kept(lambda v: v * 100), kept(lambda v: v // 100), "label integer"),
    Pair("cased", {"alter_column": {"table": "cased", "column": "label", "name": "title", "comment": "loud",
                                    "up": "upper(label)", "down": "lower(title)"}},
         (None, "a", "b", "B"), (None, "A", "B", "b"), kept(str.upper), kept(str.lower)),
    Added("added", {"add_column": {"table": "added", "up": "length(label)",
                                   "column": {"name": "title", "type": "integer", "nullable": True}}},
          (None, "a", "bb"), (None, 1, 2, 7), kept(len), None),
    Going("going", {"drop_column": {"table": "going", "column": "title", "down": "upper(label)"}},
          (None, "a", "b"), (None, "A", "B", "own"), None, kept(str.upper), "label text, title text"),
]
MIGRATION = {"name": "transit", "operations": [op.operation for op in OPS]}


class Writers:
    def __init__(self, db, proxy):
        self.db, self.direct = db, db.connect()
        self.via = itertools.cycle((old(proxy), new(proxy), self.direct, proxy.connect()))
        self.ids = itertools.count(10_000)
        self.unfilled = {op.table: iter(range(1, BEFORE + 1)) for op in OPS}
        self.wrong = []

    def insert(self, op, values):
        row = next(self.ids)
        next(self.via).execute(f"INSERT INTO {op.table} (id, label, title) VALUES (%s, %s, %s)", (row, *values))
        return row

    def update(self, op, row, values):
        next(self.via).execute(f"UPDATE {op.table} SET label = %s, title = %s WHERE id = %s", (*values, row))

    def check(self, op, row, want, what):
        got = self.direct.execute(f"SELECT label, title FROM {op.table} WHERE id = %s", (row,)).fetchone()
        if got != want:
            self.wrong.append(f"{what}: {op.table} holds {got}, not {want}")

    def starts(self, op, forward):
        """Rows to update, and what they hold: in step, out of nothing, not filled."""
        for given in ((op.olds[1], op.news[1]), (None, None)):
            row = self.insert(op, given)
            yield row, op.follows(forward, None, given)
        if forward and type(op) is Pair:  # pylint: disable=unidiomatic-typecheck
            row = next(self.unfilled[op.table])
            yield row, self.direct.execute(f"SELECT label, title FROM {op.table} WHERE id = %s", (row,)).fetchone()

    def write(self, phase, forward):
        for op in OPS:
            for values in itertools.product(op.olds, op.news):
                row = self.insert(op, values)
                self.check(op, row, op.follows(forward, None, values), f"{phase}: INSERT {values}")
                for row, before in self.starts(op, forward):
                    self.update(op, row, values)
                    self.check(op, row, op.follows(forward, before, values), f"{phase}: UPDATE {before} to {values}")
        assert not self.wrong, "\n".join(self.wrong)


class Steps:
    """segue stops at points and goes on when told."""

    def __init__(self):
        self.came, self.on = {}, {}
        self.told = Told(self.hear)

    def hear(self, point):
        self.came.setdefault(point, threading.Event()).set()
        self.on.setdefault(point, threading.Event()).wait(60)

    def at(self, point):
        assert self.came.setdefault(point, threading.Event()).wait(30), point

    def go_on(self, point):
        self.on.setdefault(point, threading.Event()).set()


def test_who_writes_both_columns_gets_what_the_table_says_in_every_phase(db, segue):
    for op in OPS:
        db.sql(f"CREATE TABLE {op.table} (id int PRIMARY KEY, {op.columns})")
        db.sql(f"INSERT INTO {op.table} (id, label) SELECT i, %s FROM generate_series(1, {BEFORE}) i", op.olds[1])
    expanded, filling = "phase_before/backfilling", "batch_before"
    steps = Steps()
    proxy = segue(db, start=False, environment={"SEGUE_FAULT": f"{expanded}:tell,{filling}:tell",
                                                "SEGUE_FAULT_SOCKET": steps.told.path})
    proxy.program = BUILD / "faults" / "segue"
    proxy.start()
    proxy.begin(MIGRATION)
    writers = Writers(db, proxy)
    for point in expanded, filling:
        steps.at(point)
        writers.write(point, forward=True)
        steps.go_on(point)
    proxy.wait_phase("transit", "ready")
    writers.write("ready", forward=True)
    proxy.cli("cutover", "transit")
    writers.write("soaking", forward=False)
    proxy.cli("rollback", "transit")
    writers.write("after the way back", forward=True)
    proxy.cli("cutover", "transit")
    writers.write("soaking again", forward=False)
    assert proxy.console("VERIFY transit")[0]["rows_bad"] == 0
    steps.told.close()
