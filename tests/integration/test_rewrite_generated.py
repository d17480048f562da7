"""A slice of `make rewrite` (tests/rewrite): statements on an expanded schema against the same on one side's own."""

import sys

import pytest
from lib.segue import REPO

sys.path.append(str(REPO / "tests"))

from rewrite import campaign, hand  # noqa: E402
from rewrite.stage import PHASES, Stage, sides  # noqa: E402

pytestmark = [pytest.mark.one_version, pytest.mark.deadline(240)]

STATEMENTS = 100  # of each side in each phase


def told(found):
    return "\n\n".join(f"{number}: {case}\n{difference}" for number, case, difference in found)


def test_a_session_cannot_tell_the_expanded_schema_from_its_own(pg, tmp_path):
    found, reports = [], []
    with Stage(pg, tmp_path) as stage:
        for phase in PHASES:
            stage.enter(phase)
            for side in sides(phase):
                pair = stage.pair(side)
                hand.run(pair, side, pg.version, show=lambda *what: found.append(what), once=True)
                reports.append(campaign.run(pair, stage.grammar(side, 4), range(STATEMENTS)))
                found += reports[-1].found
    assert not found, told(found)
    cases, doubts = sum(r.cases for r in reports), sum(sum(r.doubts.values()) for r in reports)
    assert cases == STATEMENTS * sum(len(sides(phase)) for phase in PHASES)
    assert sum(r.refused for r in reports) < cases / 3, "most statements must mean something"
    assert doubts < cases / 3, "most statements must be understood"
