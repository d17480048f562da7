"""A slice of `make commands` (tests/commands): contradictory commands at the same moment have one clear outcome."""

import sys

import pytest
from lib.segue import REPO

sys.path.append(str(REPO / "tests"))

from commands.play import PAIRS, Stage  # noqa: E402


@pytest.mark.one_version
@pytest.mark.deadline(150)
def test_contradictory_commands_at_one_moment_have_one_clear_outcome(db, segue):
    stage = Stage(segue(db, **Stage.OPTIONS), db, "slice")
    assert stage.run(len(PAIRS[:8]), 60) == 8
