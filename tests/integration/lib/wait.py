"""Waiting with a deadline. Nothing in the suite sleeps for a fixed time in the hope of something."""

import os
import socket
import time

# Sanitizer builds are several times slower; every deadline is multiplied by this.
SLOW = 6.0 if os.environ.get("SEGUE_BUILD", "build").rstrip("/").split("-")[-1] in ("asan", "tsan") else 1.0


class Late(AssertionError):
    """A wait has passed its deadline."""


def until(what, probe, timeout=20.0, every=0.02):
    """Calls probe() until it gives something true, and gives that. `what` names it in the error."""
    end = time.monotonic() + timeout * SLOW
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > end:
            raise Late(f"waited {timeout * SLOW:.0f} s for: {what}")
        time.sleep(every)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
