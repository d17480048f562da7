"""A slice of `make soak` (tests/soak): storms, killed clients, backends, connections and servers; nothing is left behind."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))

from lib.segue import BUILD  # noqa: E402
from lib.wait import SLOW, free_port  # noqa: E402
from soak import HERE, parse_arguments, soak  # noqa: E402


@pytest.mark.deadline(180)
def test_storms_and_kills_of_everything_leave_no_leak_no_stuck_session_and_no_wrong_answer():
    words = ["--seconds", "7", "--sessions", "60", "--processes", "2", "--build", str(BUILD)]
    assert soak(parse_arguments(words)) == []


def test_clients_that_are_told_two_things_at_once_hear_both(tmp_path):
    """A storm just before the end: both orders are in the pipe before the first one is read."""
    arguments = {"port": free_port(), "sessions": 3, "seed": 1, "dbname": "none", "acks": tmp_path / "acks", "life": 5, "think": 1}
    words = [f"--{name}={value}" for name, value in arguments.items()]
    clients = subprocess.Popen([sys.executable, HERE / "load.py", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert clients.stdout.readline()  # it listens
        clients.stdin.write(b"storm\nstop\n")
        clients.stdin.flush()
        assert clients.wait(20 * SLOW) == 0
    finally:
        clients.kill()
        clients.communicate()
