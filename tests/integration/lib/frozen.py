"""What stands still: a server (connections stay, nobody answers), threads of a segue."""

import contextlib
import ctypes
import os
import re
import signal
from pathlib import Path

from .wait import until


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


SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # of ptrace(2)
ALL_THREADS = 0x40000000  # __WALL of waitpid(2)


def waits_for_clients(task):
    try:
        return re.search("epoll|ep_poll", (task / "wchan").read_text())
    except FileNotFoundError:  # one that looked up a name, and has ended since
        return False


@contextlib.contextmanager
def stopped_workers(proxy):
    """A segue's threads that wait for clients stand still, the others go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def ptrace(request, tid):
        assert libc.ptrace(request, tid, None, None) == 0, os.strerror(ctypes.get_errno())

    def waiting():
        tids = [int(task.name) for task in Path(f"/proc/{proxy.process.pid}/task").iterdir() if waits_for_clients(task)]
        return len(tids) == proxy.options["workers"] and tids

    tids = until("all workers to wait for clients", waiting, 60)
    for tid in tids:
        ptrace(SEIZE, tid)
        ptrace(INTERRUPT, tid)
        os.waitpid(tid, ALL_THREADS)
    try:
        yield
    finally:
        for tid in tids:
            ptrace(DETACH, tid)
