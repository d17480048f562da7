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


_held = []  # sockets, until the process ends


def free_port():
    """A port of loopback that nobody else gets: a socket stays bound to it, which does not listen.

    Who sets SO_REUSEADDR may listen there beside it, now and after a restart; until then connections are refused.
    """
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    _held.append(s)
    return s.getsockname()[1]
