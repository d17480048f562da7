"""The cases written by hand, cases/*.sql.

Cases are separated by an empty line; a case opens with its title, `-- like this`. Statements end with a semicolon
at the end of a line; rows of COPY FROM STDIN follow it up to `\\.`. {claim} is how the session's side calls that column
(schema.names). Directives, each a line `-- @name: value`:

    how      ways to play it, of play.HOW; "simple, extended, binary, prepared" unless told
    doubt    the SQL layer leaves it as it is, for this reason, and it may differ
    untouched  the same, but it must not differ
    unfilled  as untouched, in the backfill alone
    follows  as doubt, of a session of the new side that has not said so
    side     of this side only
    since    of this version of PostgreSQL on
    params   a JSON list: parameters as text, of types that the server infers
    declared  not of a session of the new side that has not said so
    hides    a migrating table that a temporary one of the case hides
    message  all statements in one message
    ordered  the rows' order counts
    shown    no: only whether it fails
    alone    outside of a transaction: it changes nothing
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from . import schema
from .compare import Case
from .play import HOW, Param, Step

FOLDER = Path(__file__).resolve().parent / "cases"
DIRECTIVE = re.compile(r"-- @(\w+)(?:: (.*))?")
COPY = re.compile(r"COPY\b.*\bSTDIN\b", re.I | re.S)
WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY)\b", re.I)


@dataclass
class Written:
    place: str
    title: str
    statements: list = field(default_factory=list)  # (text, rows of COPY or None)
    told: dict = field(default_factory=dict)

    def ways(self):
        if "how" in self.told:
            return [word.strip() for word in self.told["how"].split(",")]
        if "message" in self.told or any(COPY.search(text) for text, _ in self.statements):
            return ["simple"]
        return HOW[1:] if "params" in self.told else HOW

    def case(self, side, how):
        words = schema.names(side)
        pattern = re.compile(r"\{(" + "|".join(words) + r")\}")
        params = tuple(Param(None if p is None else p.encode()) for p in json.loads(self.told.get("params", "[]")))
        steps = []
        for text, rows in self.statements:
            sql = pattern.sub(lambda found: words[found[1]], text)
            steps.append(Step(sql, how, params, None if rows is None else rows.encode(), "ordered" in self.told,
                              self.told.get("shown") != "no", tuple(self.told.get("hides", "").split())))
        if "message" in self.told:
            steps = [Step(" ".join(step.sql for step in steps), how)]
        return Case(steps, any(WRITES.search(step.sql) for step in steps), f"{self.place}: {self.title}",
                    "alone" in self.told)


def cases():
    out = []
    for path in sorted(FOLDER.glob("*.sql")):
        for number, block in enumerate(re.split(r"\n(?:[ ]*\n)+", path.read_text(encoding="utf-8").strip("\n")), 1):
            out.append(_read(f"{path.name} {number}", block.split("\n")))
    return [c for c in out if c.statements]


def _read(place, lines):
    case, text, rows = Written(place, ""), [], None
    for line in lines:
        found = DIRECTIVE.fullmatch(line) if not text else None
        if rows is not None:
            if line == "\\.":
                case.statements[-1] = case.statements[-1][0], "".join(rows)
                rows = None
            else:
                rows.append(line + "\n")
        elif found:
            case.told[found[1]] = found[2] or "yes"
        elif not text and not case.statements and not case.title and line.startswith("-- "):
            case.title = line[3:]
        else:
            text.append(line)
            if line.endswith(";"):
                case.statements.append(("\n".join(text), None))
                if re.search(r"\bFROM STDIN\b", "\n".join(text), re.I) and "again" not in case.told:
                    rows = []
                text = []
    assert not text and rows is None, f"{place}: not ended: {text or rows}"
    assert case.title or not case.statements, f"{place} has no title"
    return case


def unsaid(pair):
    return pair.rewriter.follows and pair.rewriter.side == "new"


def judge(pair, case, told):
    """What is wrong with it, or None."""
    doubts = {pair.rewriter.doubt(step) for step in case.steps} - {None}
    follows = told.get("follows") if unsaid(pair) else None
    expected = {told[name] for name in ("doubt", "untouched", *([] if pair.filled else ["unfilled"])) if name in told} | ({follows} - {None})
    found = pair.run(case)
    if not (expected <= doubts and bool(expected) == bool(doubts)):
        return f"in doubt: {doubts or 'nothing'}, not: {expected or 'nothing'}" + (f"\n{found}" if found else "")
    if found and (not (follows or "doubt" in told) or found.what == "rows in step"):
        return str(found)
    return None


def run(pair, side, version, show=None, once=False):
    """(cases, those that differ). once: each in one of its ways, by its number."""
    count, bad = 0, 0
    for number, written in enumerate(cases()):
        if written.told.get("side", side) != side or int(written.told.get("since", 0)) > version:
            continue
        if "declared" in written.told and unsaid(pair):
            continue
        ways = written.ways()
        for how in ways[number % len(ways):][:1] if once else ways:
            case = written.case(side, how)
            trouble = judge(pair, case, written.told)
            count += 1
            if trouble:
                bad += 1
                if show:
                    show(case.title, case, trouble)
                break
    pair.rest()
    return count, bad
