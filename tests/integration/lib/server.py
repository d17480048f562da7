"""A server that a test plays: it says of itself what the test wants, and answers nothing but errors."""

import os
import select
import ssl
import struct

from .played import Played, exactly
from .rawwire import CANCEL, SSL, STARTUP, message

SEGUES = ("segue", "segue probe", "")  # what segue's own connections call themselves


class Server(Played):
    """Lets everybody in and keeps the cancel requests that it gets.

    pid          of all its sessions
    pair         .cert .key: it speaks TLS, and nothing else
    frozen       it leaves cancel requests open, until that is taken back
    standby, read_only    what it says of itself; standby_asked (None: the same), read_only_asked: to who asks it what it is
    writer       application_name of sessions that are never read-only: they have said so themselves
    password     it asks for one, in clear text
    .cancelled   bodies of cancel requests;  .came    application_name of each who was let in;  .said    types of clients' messages
    """

    def __init__(self, pid=77, pair=None, frozen=False, standby=False, standby_asked=None, read_only=False,
                 read_only_asked=False, writer=None, password=False, **where):
        self.pid, self.frozen, self.context = pid, frozen, None
        self.standby, self.standby_asked, self.read_only, self.password = standby, standby_asked, read_only, password
        self.read_only_asked, self.writer = read_only_asked, writer
        self.cancelled, self.came, self.said = [], [], []
        if pair:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(pair.cert, pair.key)
        super().__init__(**where)

    def serve(self, sock):
        code, body = self._packet(sock)
        if code == SSL:
            sock.sendall(b"S" if self.context else b"N")
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            code, body = self._packet(sock)
        if code == CANCEL:
            self.cancelled.append(body)
            while self.frozen and not (select.select([sock], [], [], 0.02)[0] and not sock.recv(100)):
                pass
        elif code == STARTUP:
            words = body.split(b"\0")
            self._session(sock, dict(zip(words[::2], words[1::2])).get(b"application_name", b"").decode())

    def _packet(self, sock):
        length, code = struct.unpack("!II", exactly(sock, 8))
        return code, exactly(sock, length - 8)

    def _message(self, sock):
        kind, length = struct.unpack("!cI", exactly(sock, 5))
        exactly(sock, length - 4)
        return kind.decode()

    def _statuses(self, application):
        asks = application == "segue probe"
        read_only = self.read_only_asked if asks else self.read_only and application != self.writer
        standby = self.standby if self.standby_asked is None or not asks else self.standby_asked
        on = {"in_hot_standby": standby, "default_transaction_read_only": read_only}
        words = {"server_version": "18.0", "client_encoding": "UTF8", **{k: "on" if v else "off" for k, v in on.items()}}
        return b"".join(message("S", f"{k}\0{v}\0".encode()) for k, v in words.items())

    def _session(self, sock, application):
        ready = message("Z", b"I")
        if self.password and application not in SEGUES:
            sock.sendall(message("R", b"\0\0\0\3"))
            assert self._message(sock) == "p"
        self.came.append(application)
        sock.sendall(message("R", bytes(4)) + self._statuses(application) + message("K", struct.pack("!I", self.pid) + os.urandom(4)) + ready)
        while True:
            kind = self._message(sock)
            if application not in SEGUES:
                self.said.append(kind)
            if kind == "X":
                return
            sock.sendall(message("E", b"SERROR\0VERROR\0C0A000\0Mnot here\0\0") + ready)


def url(*servers, **words):
    return " ".join(["host=" + ",".join(words.pop("host", ["127.0.0.1"] * len(servers))),
                     "port=" + ",".join(str(server.port) for server in servers), "user=postgres", "dbname=played",
                     *(f"{word}={value}" for word, value in words.items())])
