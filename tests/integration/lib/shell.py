"""What a person would copy from the screen and run."""

import shlex
import subprocess


def run_psql(command):
    """A psql command as the doctor gives it, by this suite's psql."""
    assert command.startswith("psql ")
    done = subprocess.run(["psql", "-v", "ON_ERROR_STOP=1", *shlex.split(command)[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
