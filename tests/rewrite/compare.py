"""A case on two connections: one to a schema of one side only, one to the expanded schema.

Each case runs in a transaction that is rolled back, from the same numbers of every sequence. Compared are the
answers of its steps and, where it writes, the tables as the side sees them; where the schema is expanded, the
columns of a plain rename must be the same bytes in every row, too.
"""

from dataclasses import dataclass

from . import rules
from .play import Lost

BEGIN = ("BEGIN; SELECT setval('checks_id_seq', 100, false), setval('readings_id_seq', 100, false), "
         "setval('ticks', 1000, false)")
LISTED = "SELECT '{name}' AS t, ROW({columns})::text AS r FROM public.\"{name}\" segue_row"


@dataclass
class Case:
    steps: list
    writes: bool = False
    title: str = ""

    def __str__(self):
        return "\n".join(f"[{s.how}] {s.sql}" + (f"\n    parameters {s.params}" if s.params else "") for s in self.steps)


@dataclass
class Difference:
    what: str
    expected: object
    got: object
    sent: list  # what the rewriter made of the steps, where there is one
    doubt: str = None  # the SQL layer has left a step as it is, for this reason

    def __str__(self):
        lines = [f"{self.what}: expected {self.expected!s:.600}", f"{' ' * len(self.what)}       got {self.got!s:.600}"]
        return "\n".join(lines + [f"  sent {text}" for text in self.sent])


class Pair:
    """tables: what the side sees (schema.tables). subject.rewriter is None where segue rewrites."""

    def __init__(self, reference, subject, tables, rewriter):
        self.reference = reference
        self.subject = subject
        self.tables = tables
        self.rewriter = rewriter
        self.in_step = rules.in_step_sql()
        self.doubts = {}  # reason: how often
        self.refused = False  # has the last case ended with an error on both?

    def run(self, case):
        """The first difference, or None. Connections that ended are the caller's to replace (play.Lost)."""
        answers, self.refused = [], False
        for session in (self.reference, self.subject):
            session.run(BEGIN)
            answers.append([session.play(step) for step in case.steps])
        try:
            return self._judge(case, *answers)
        finally:
            for session in (self.reference, self.subject):
                session.rollback()

    def _judge(self, case, expected, got):
        sent = [answer["text"] for answer in map(self.rewriter.ask, case.steps)]
        doubt = next((d for d in map(self.rewriter.doubt, case.steps) if d), None)
        if doubt:
            self.doubts[doubt] = self.doubts.get(doubt, 0) + 1
        for i, (one, other) in enumerate(zip(expected, got)):
            if one != other:
                return Difference(f"step {i + 1}", *_first(one, other), sent, doubt)
        self.refused = self.subject.failed
        if self.refused or not case.writes:
            return None
        apart = [row for row in self.subject.run(self.in_step) if row[1] != b"0"]
        if apart:
            return Difference("rows in step", [], apart, sent)
        rows = [session.run(self._contents(case)) for session in (self.reference, self.subject)]
        if rows[0] != rows[1]:
            return Difference("contents", *_first(*rows), sent, doubt)
        return None

    def _contents(self, case):
        text = " ".join(step.sql for step in case.steps).lower()
        named = [t for t in self.tables.values() if t.name.lower() in text or "u&" in text]
        parts = [LISTED.format(name=t.name, columns=", ".join('segue_row."' + c.name.replace('"', '""') + '"' for c in t.columns))
                 for t in named or self.tables.values()]
        return " UNION ALL ".join(parts + ["SELECT 'ticks', last_value::text FROM ticks"]) + " ORDER BY 1, 2"


def _first(one, other):
    """The first members that differ, as deep as the two have the same shape."""
    while isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)) and len(one) == len(other):
        found = next(((a, b) for a, b in zip(one, other) if a != b), None)
        if found is None:
            break
        one, other = found
    return one, other


__all__ = ["BEGIN", "Case", "Difference", "Lost", "Pair"]
