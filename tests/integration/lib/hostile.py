"""A relay between segue and PostgreSQL that plays a hostile server: it alters a real server's bytes.

    relay = Hostile(db.cluster.port); proxy = segue(upstream=relay.url(db.name))
    relay.cut = "bytes"           # every byte in a segment of its own; "lumps": much in one; None: as it comes
    relay.alter = function        # (type, body) of each message -> the bytes in its place
    relay.alter = lambda kind, body: Last(b"...") if kind == "C" else message(kind, body)   # and the end after it
    relay.inject(b"...")          # to every session, now
    relay.startups                # the start-up packets that came by

Only clients' sessions are touched; the control plane's (application_name segue) pass as they are.
"""

import select
import socket
import struct
import threading
import time

from .rawwire import message


class Last(bytes):
    """What the server says last: the relay ends the connection behind it."""


class _Link:
    def __init__(self, relay, client):
        self.relay, self.client = relay, client
        self.server = socket.create_connection(("127.0.0.1", relay.server_port), timeout=10)
        self.lock = threading.Lock()  # of whole messages to the client
        for sock in (client, self.server):
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.control = None
        self.waiting = b""  # of the server, not a whole message yet
        self.lump = b""
        threading.Thread(target=self._run, args=(self._forward,), daemon=True).start()
        threading.Thread(target=self._run, args=(self._backward,), daemon=True).start()

    def _run(self, direction):
        try:
            direction()
        except (OSError, ValueError):  # the other direction has closed the sockets
            pass
        self.close()

    def close(self):
        for sock in (self.client, self.server):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        self.relay.links.discard(self)

    def _forward(self):
        while data := self.client.recv(65536):
            if self.control is None:  # segue sends the start-up packet as one
                self.control = b"application_name\0segue\0" in data
                self.relay.startups.append(data)
            self.server.sendall(data)

    def _backward(self):
        while data := self._read():
            if self.control:
                self.client.sendall(data)
                continue
            self.waiting += data
            while (got := self._next()) is not None:
                out = self.relay.alter(*got) if self.relay.alter else message(*got)
                self.send(out)
                if isinstance(out, Last):
                    return

    def _read(self):
        data = self.server.recv(65536)
        if self.relay.cut == "lumps":
            time.sleep(0.01)
            while select.select([self.server], [], [], 0)[0] and (more := self.server.recv(65536)):
                data += more
        return data

    def _next(self):
        """(type, body) of the next whole message."""
        if len(self.waiting) < 5:
            return None
        size = 1 + struct.unpack_from("!I", self.waiting, 1)[0]
        if len(self.waiting) < size:
            return None
        got, self.waiting = self.waiting[:size], self.waiting[size:]
        return chr(got[0]), got[5:]

    def send(self, data):
        with self.lock:
            if self.relay.cut == "bytes":
                for byte in data:
                    self.client.sendall(bytes([byte]))
                return
            self.lump += data
            if self.relay.cut != "lumps" or not self.waiting or isinstance(data, Last):
                self.client.sendall(self.lump)
                self.lump = b""


class Hostile:
    def __init__(self, server_port):
        self.server_port = server_port
        self.cut = None
        self.alter = None
        self.links = set()
        self.startups = []  # first packets of all connections, the control plane's too
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for link in list(self.links):
            link.close()

    def url(self, dbname):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{dbname}?sslmode=disable"

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                self.links.add(_Link(self, client))
            except OSError:
                return

    def inject(self, data):
        for link in list(self.links):
            if not link.control:
                link.send(data)
