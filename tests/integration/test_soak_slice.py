"""A slice of `make soak` (tests/soak): storms, killed clients, backends, connections and servers; nothing is left behind."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))

from lib.segue import BUILD  # noqa: E402
from soak import parse_arguments, soak  # noqa: E402


@pytest.mark.deadline(180)
def test_storms_and_kills_of_everything_leave_no_leak_no_stuck_session_and_no_wrong_answer():
    words = ["--seconds", "7", "--sessions", "60", "--processes", "2", "--build", str(BUILD)]
    assert soak(parse_arguments(words)) == []
