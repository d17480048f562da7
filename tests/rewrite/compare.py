"""A case on two connections: one to a schema of one side only, one to the expanded schema.

Each case runs in a transaction that is rolled back, from the same numbers of every sequence. Compared are the
answers of its steps and, where it writes, the tables as the side sees them; where the schema is expanded, the
columns of a plain rename must be the same bytes in every row, too.
"""

import re
import time
from dataclasses import dataclass

from . import rules, schema
from .play import Lost

BEGIN = ("BEGIN; SELECT setval('checks_id_seq', 100, false), setval('readings_id_seq', 100, false), "
         "setval('ticks', 1000, false)")
ORDER = " ORDER BY 1, 2"
APART = rules.APART.encode()
OTHER_NAME = "a table by the other side's name"
OF_BEFORE = "a name that only a new column makes ambiguous"
AMBIGUOUS = b"42702"
MAKES = re.compile(r"\b(CREATE|ALTER|INTO\s+TEMP|DO\s+\$)", re.I)
NAME = "a column's name could mean more than one thing"
ROW_ORDER = "which row of a MERGE fails first"
EXCUSES = (OTHER_NAME, OF_BEFORE, ROW_ORDER)  # of what is no doubt
ABSENT = re.compile(rb'relation "(?:public\.)?(%s)" does not exist' % b"|".join(
    re.escape(name.encode()) for names in schema.turned().items() for name in names))
LISTED = "SELECT '{name}' AS t, ROW({columns})::text AS r FROM public.\"{relation}\" segue_row"


@dataclass
class Case:
    steps: list
    writes: bool = False
    title: str = ""
    alone: bool = False  # one step that reads: it needs no transaction around it

    def __str__(self):
        return "\n".join(f"[{s.how}] {s.sql}" + (f"\n    parameters {s.params}" if s.params else "") for s in self.steps)


@dataclass
class Difference:
    what: str
    expected: object
    got: object
    sent: list  # what the rewriter made of the steps, where there is one
    doubt: str = None  # the SQL layer has left a step as it is, for this reason

    @property
    def excused(self):
        return bool(self.doubt) and self.what != "rows in step"

    def __str__(self):
        lines = [f"{self.what}: expected {self.expected!s:.600}", f"{' ' * len(self.what)}       got {self.got!s:.600}"]
        return "\n".join(lines + [f"  sent {text}" for text in self.sent])


class Pair:
    """tables: what the side sees (schema.tables). subject.rewriter is None where segue rewrites.
    names: what tables are called where the subject is, by what the side calls them, where segue does not put that there.
    filled: the new columns of rows that nobody has written since are."""

    def __init__(self, reference, subject, tables, rewriter, names, filled=True):
        self.reference = reference
        self.subject = subject
        self.sessions = (reference, subject)
        self.tables = tables
        self.rewriter = rewriter
        self.names = names
        self.filled = filled
        self.in_step = rules.in_step_sql(filled)  # by table
        self.doubts = {}  # reason: how often
        self.refused = False  # has the last case ended with an error on both?
        self.made = False  # has the last case made or altered a relation, perhaps?

    def run(self, case):
        """The first difference, or None. Connections that ended are the caller's to replace (play.Lost)."""
        self.refused = False
        if self.made and not self.subject.rewriter:
            self._settle()
        self.made = any(MAKES.search(step.sql) for step in case.steps)
        self.rewriter.expect(case.steps)
        self._both([s.rollback_text() + ("" if case.alone else BEGIN) for s in self.sessions])
        answers = []
        for step in case.steps:
            for session in self.sessions:
                session.begin(step)
            answers.append([session.finish() for session in self.sessions])
        return self._judge(case, answers)

    def rest(self):
        """Ends the last case's transaction, which else ends with the next case: others may wait for its locks."""
        self._both([session.rollback_text() for session in self.sessions])

    def _settle(self):
        """Who has altered a table is not rewritten, and of who has made one names may be in doubt, until rules come that were
        read behind that: then stars show its own columns again, beside a relation that might have one of such a name."""
        self.rest()
        other = schema.names("old" if self.rewriter.side == "new" else "new")["claim"]
        own = schema.names(self.rewriter.side)["claim"]
        beside = "FROM checks c JOIN people p ON p.id = c.id"
        texts = [f"SELECT c.* {beside} WHERE {own} IS NOT NULL", f"SELECT c.* {beside} WHERE {other} IS NOT NULL"]
        shown = self.reference.conn.exec_(texts[0].encode()).nfields
        if not self.filled:  # the other one may not be read
            texts[1] = f"SELECT left(c.env, 1) AS {other}, {', '.join(['1'] * (shown - 1))} {beside} GROUP BY {other}"
        for _ in range(1000):
            if all(self.subject.conn.exec_(text.encode()).nfields == shown for text in (texts[0], *texts)):
                return
            time.sleep(0.01)
        raise AssertionError("no rules come for a session that has made or altered a relation")

    def _both(self, texts):
        """Both work at the same time. Rows of each."""
        for session, text in zip(self.sessions, texts):
            if text:
                session.send(text)
        return [session.rows() if text else [] for session, text in zip(self.sessions, texts)]

    def _judge(self, case, answers):
        sent = [answer["text"] for answer in map(self.rewriter.ask, case.steps)]
        doubt = next((d for d in map(self.rewriter.doubt, case.steps) if d), None)
        if doubt:
            self.doubts[doubt] = self.doubts.get(doubt, 0) + 1
        for i, (one, other) in enumerate(answers):
            if one != other and _through_join(one) != _through_join(other, one):
                excuse = self._excuse(doubt, one, other) or self._names_other(one, other) or self._of_before(one, other) or self._row_order(case.steps[i].sql, one, other)
                return Difference(f"step {i + 1}", *_first(one, other), sent, excuse)
        self.refused = self.subject.failed or (case.alone and answers[0][1][0][0] == "error")
        if self.refused or not case.writes:
            return None
        tables = self._named(case)
        contents, subjects = self._contents(tables, {}), self._contents(tables, self.names)
        steps = [f" UNION ALL {self.in_step[t.name] % self.names.get(t.name, t.name)}" for t in tables if t.name in self.in_step]
        read = "" if self.filled else "/* segue:off */ "  # or both columns may not be read
        rows = self._both([contents + ORDER, read + subjects + "".join(steps) + ORDER])
        apart = [row for row in rows[1] if row[0] == APART and not row[1].endswith(b" 0")]
        if apart:
            return Difference("rows in step", [], apart, sent)
        rows[1] = [row for row in rows[1] if row[0] != APART]
        if rows[0] != rows[1]:
            return Difference("contents", *_first(*rows), sent, None if self._is_about_a_name(doubt) else doubt)
        return None

    def _is_about_a_name(self, doubt):
        """Is a name in doubt that means one thing to the session? One that has not said its side after the cut-over may be
        either revision."""
        return doubt == NAME and not (self.rewriter.follows and self.rewriter.side == "new")

    def _excuse(self, doubt, one, other):
        """The doubt, where it explains this. What is left as it is because of a name may show more columns than the side has;
        it may not be refused, nor mean something else."""
        return None if self._is_about_a_name(doubt) and not _shows_more(one, other) else doubt

    def _names_other(self, one, other):
        """The reason, where the side alone refuses a name that segue serves: both names of a table that changes its name
        work (README.md), and no case drops a table. What came in front of that must be the same. Only a statement with
        a wrong word in it is such."""
        for i, answer in enumerate(one):
            if answer[0] == "error" and ABSENT.fullmatch(dict(answer[1:])["message"] or b"") and one[:i] == other[:i]:
                self.doubts[OTHER_NAME] = self.doubts.get(OTHER_NAME, 0) + 1
                return OTHER_NAME
        return None

    def _of_before(self, one, other):
        """The reason, where the side alone refuses a name that segue serves to a session which has not said its side after the
        cut-over: beside a new column it means what it meant to the revision of before. What came in front must be the same."""
        if not (self.rewriter.follows and self.rewriter.side == "new"):
            return None
        first = next((i for i, answer in enumerate(one) if answer[0] == "error"), None)
        if first is None or one[:first] != other[:first] or not any(("sqlstate", AMBIGUOUS) in answer for answer in one[first:]):
            return None
        self.doubts[OF_BEFORE] = self.doubts.get(OF_BEFORE, 0) + 1
        return OF_BEFORE

    def _row_order(self, sql, one, other):
        """The reason, where a MERGE fails on both, each time for what a row of it can fail for: in which order it meets
        rows is the plan's, and the first that fails says why. What came in front of that must be the same."""
        pairs = [pair for pair in zip(one, other) if pair[0] != pair[1]]
        if len(one) != len(other) or len(pairs) != 1 or {answer[0] for answer in pairs[0]} != {"error"}:
            return None
        codes = {dict(answer[1:])["sqlstate"] for answer in pairs[0]}
        if len(codes) < 2 or not codes <= _merge_codes(sql):
            return None
        self.doubts[ROW_ORDER] = self.doubts.get(ROW_ORDER, 0) + 1
        return ROW_ORDER

    def _named(self, case):
        text = " ".join(step.sql for step in case.steps).lower()
        named = [t for t in self.tables.values() if t.name.lower() in text or "u&" in text]
        return named or list(self.tables.values())

    @staticmethod
    def _contents(tables, names):
        parts = [LISTED.format(name=t.name, relation=names.get(t.name, t.name), columns=", ".join('segue_row."' + c.name.replace('"', '""') + '"' for c in t.columns))
                 for t in tables]
        return " UNION ALL ".join(parts + ["SELECT 'ticks', last_value::text FROM ticks"])


def _shows_more(one, other):
    """Do both give rows, and does a result have more columns here?"""
    kinds = {answer[0] for answer in one + other}
    return "error" not in kinds and any(a[0] == b[0] == "result" and len(a[3]) < len(b[3]) for a, b in zip(one, other))


# What is said of a name that stands behind a join without a name, where it may not be used. Where segue has put a table's
# name in front of it, that is said.
REFERENCE = re.compile(rb'invalid reference to FROM-clause entry for table "[^"]*"')
UNNAMED = b'invalid reference to FROM-clause entry for table "unnamed_join"'


def _through_join(answers, beside=None):
    """The answers; where those beside speak of an unnamed join, with that in the place of a table's name."""
    if beside is None or UNNAMED not in repr(beside).encode():
        return answers
    return tuple(tuple((member[0], REFERENCE.sub(UNNAMED, member[1])) if member[:1] == ("message",) and member[1] else member
                       for member in answer) for answer in answers)


# What a row can fail for, by what an arm of a MERGE does: it is there already, lacks a value, does not meet a CHECK, was
# touched before.
BROKEN, TWICE = {b"23502", b"23505", b"23514"}, {b"21000"}
ARMS = {"INSERT": BROKEN, "UPDATE": BROKEN | TWICE, "DELETE": TWICE}
ARM = re.compile(r"\bTHEN\s+(%s)\b" % "|".join(ARMS))


def _merge_codes(sql):
    arms = ARM.findall(sql) if re.search(r"\bMERGE\s+INTO\b", sql) else []
    return set().union(*(ARMS[arm] for arm in arms))


def _first(one, other):
    """The first members that differ, as deep as the two have the same shape."""
    while isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)) and len(one) == len(other):
        found = next(((a, b) for a, b in zip(one, other) if a != b), None)
        if found is None:
            break
        one, other = found
    return one, other


__all__ = ["BEGIN", "Case", "Difference", "Lost", "Pair"]
