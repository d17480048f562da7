"""A server that stands still: connections stay, nobody answers."""

import os
import signal
from pathlib import Path


def freeze(process, on=True):
    """SIGSTOP to a process and its children; freeze(process, False): they go on."""
    own, parents = process.pid, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                pass  # it has ended
    for pid in [own, *(pid for pid, parent in parents.items() if parent == own)]:
        os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)
