"""What the tests of takeovers share: a successor, how many sockets there are, the protocol packet by packet."""

import contextlib
import fcntl
import os
import socket
import struct
import termios
import threading
from pathlib import Path

import pytest

from .wait import SLOW

MAGIC = 0x53654775
NOBODY = 65534


@pytest.fixture
def successor(segue, db):
    """A function: the segue that takes over from `old`, listening at the same address."""

    def take(old, start=True, arguments=(), **options):
        new = segue(db, start=False, arguments=["--takeover", *arguments], **{**old.options, **options})
        new.port = old.port
        if start:
            new.start()
        return new

    return take


def ended(proxy, within=20):
    """Its exit code, soon."""
    return proxy.process.wait(within * SLOW)


def shown(proxy, process):
    """The row of SHOW TAKEOVER, or None."""
    return next((row for row in proxy.console("SHOW TAKEOVER") if row["process"] == process), None)


def listening(proxy):
    """How many sockets listen on the proxy's port."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(row[1].endswith(f":{proxy.port:04X}") and row[3] == "0A" for row in rows)


def sockets_of(proxy):
    """How many sockets a process has, whatever their state."""
    found = 0
    for fd in Path(f"/proc/{proxy.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found += os.readlink(fd).startswith("socket:")
    return found


# ---- the other side of a takeover, packet by packet ----


class Peer:
    """Speaks to a segue's control socket. What a killed process leaves behind, close() leaves: nothing else."""

    def __init__(self, proxy):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(20 * SLOW)
        self.sock.connect(f"\0segue.127.0.0.1:{proxy.port}")
        self.fds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def say(self, kind, *fields, tail=b""):
        body = b"".join(struct.pack("!I", field) for field in fields) + tail
        self.sock.send(struct.pack("!I", 5 + len(body)) + kind + body)

    def hear(self):
        """Type and fields (REFUSED: its text); None at the end."""
        packet, fds, _, _ = socket.recv_fds(self.sock, 1000, 4)
        self.fds += fds
        if not packet:
            return None
        assert struct.unpack("!I", packet[:4])[0] == len(packet)
        if packet[4:5] == b"X":
            return "X", packet[5:].decode()
        return packet[4:5].decode(), *struct.unpack(f"!{(len(packet) - 5) // 4}I", packet[5:])

    def hello(self, version=1):
        self.say(b"H", MAGIC, version, os.getpid())

    def descriptors(self, speaks=1):
        kind, version, pid, count = self.hear()
        assert (kind, version) == ("W", speaks) and pid
        heard = [self.hear() for _ in range(count)]
        assert sorted(heard) == [("D", 0)] * (count - 1) + [("D", 1)]
        assert len(self.fds) == count
        return count

    def takes_over(self, version):
        """All of it, up to the first report."""
        self.hello(version)
        self.descriptors(version)
        self.say(b"R")
        assert self.hear() == ("G",)
        self.say(b"A")
        assert self.hear()[0] == "S"


class Elder:
    """A process of before, packet by packet: whoever takes over from it, at .port, asks it about cancel requests.

    answers      of each request, in order: what it says of it (ELSEWHERE, HELD, DONE), one after the other
    .asked       (hops, backend, key) of each that came
    """

    ELSEWHERE, HELD, DONE = range(3)

    def __init__(self, version, answers=()):
        self.version, self.answers, self.asked, self.askers = version, list(answers), [], []
        self.clients = socket.socket()
        self.clients.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.clients.bind(("127.0.0.1", 0))
        self.clients.listen()
        self.port = self.clients.getsockname()[1]
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.bind(f"\0segue.127.0.0.1:{self.port}")
        self.control.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _say(self, kind, *fields, fds=()):
        body = b"".join(struct.pack("!I", field) for field in fields)
        socket.send_fds(self.sock, [struct.pack("!I", 5 + len(body)) + kind + body], fds)

    def _hear(self, kind):
        packet = self.sock.recv(1000)
        assert packet[4:5] == kind, packet
        return packet[5:]

    def _serve(self):
        self.sock = self.control.accept()[0]
        self._hear(b"H")
        self._say(b"W", self.version, os.getpid(), 2)
        self._say(b"D", 0, fds=[self.clients.fileno()])
        self._say(b"D", 1, fds=[self.control.fileno()])
        self._hear(b"R")
        self._say(b"G")
        self._hear(b"A")
        self.clients.close()
        self.control.close()
        self._say(b"S", 1, 60, 0)
        with contextlib.suppress(OSError):  # closed
            while packet := self.sock.recv(1000):
                assert packet[4:5] == b"C", packet
                *asker, backend = struct.unpack("!4I", packet[5:21])
                self.askers.append(asker)
                self.asked.append((asker[0], backend, packet[21:]))
                for how in self.answers.pop(0):
                    self.answer(-1, how)

    def answer(self, number, how):
        """What becomes of that request."""
        self._say(b"c", *self.askers[number], how)

    def report(self, sessions):
        """To who has taken over: so many are left."""
        self._say(b"S", sessions, 60, 0)

    def unheard(self):
        """Bytes that nobody has read yet."""
        return struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0" * 4))[0]

    def close(self):
        with contextlib.suppress(OSError):  # it is closed
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(20)
        self.sock.close()


def serves(proxy):
    with proxy.connect() as conn:
        return conn.execute("SELECT 1").fetchone() == (1,)
