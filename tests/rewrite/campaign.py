"""Runs numbered cases over a pair and shrinks what differs."""

from dataclasses import dataclass, field

from . import compare
from .play import Lost
from .tree import shrink


@dataclass
class Report:
    cases: int = 0
    refused: int = 0  # both sides gave the same error
    doubts: dict = field(default_factory=dict)
    excused: int = 0  # differences of statements that the SQL layer left as they are
    found: list = field(default_factory=list)  # (number, case, difference)

    @property
    def doubted(self):
        """The share of cases that were left as they are, for whatever reason."""
        return sum(n for text, n in self.doubts.items() if text not in compare.EXCUSES) / max(self.cases, 1)

    def __str__(self):
        doubts = ", ".join(f"{n} {text}" for text, n in sorted(self.doubts.items(), key=lambda item: -item[1]))
        return (f"{self.cases:,} cases, {self.refused:,} refused alike; in doubt: {doubts or 'none'} "
                f"({self.excused:,} of those differ); {len(self.found)} differences")


def run(pair, grammar, numbers, found_max=5, shrinks=True, show=None):
    """show: a function that is told of each difference as it is found."""
    report = Report()
    pair.doubts = report.doubts
    for number in numbers:
        draft = grammar.generate(number)
        difference = _judge(pair, draft.case())
        report.cases += 1
        report.refused += pair.refused
        if difference is None:
            continue
        if difference.excused:
            report.excused += 1
            continue
        if shrinks:
            draft = shrink(draft, lambda less: _same_kind(pair, less, difference))
            difference = _judge(pair, draft.case()) or difference
        report.found.append((number, draft.case(), difference))
        if show:
            show(*report.found[-1])
        if len(report.found) >= found_max:
            break
    pair.rest()
    return report


def _judge(pair, case):
    try:
        return pair.run(case)
    except Lost as lost:
        raise AssertionError(f"{lost}\nat\n{case}") from lost


def _same_kind(pair, draft, difference):
    less = _judge(pair, draft.case())
    return less is not None and not less.doubt and less.what.split()[0] == difference.what.split()[0]
