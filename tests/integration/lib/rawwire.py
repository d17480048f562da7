"""A client that speaks the protocol by hand: for what no driver would ever send."""

import socket
import struct

STARTUP = 196608
SSL, GSSENC, CANCEL = 80877103, 80877104, 80877102


def packet(code, body=b""):
    return struct.pack("!II", len(body) + 8, code) + body


def startup(code=STARTUP, **parameters):
    return packet(code, b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0")


def message(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def query(text):
    return message("Q", text.encode() + b"\0")


def parse(text, name="", types=()):
    return message("P", f"{name}\0{text}\0".encode() + struct.pack(f"!H{len(types)}I", len(types), *types))


def bind(name="", portal="", values=(), binary=False):
    """Values are texts; `binary`: what comes back."""
    body = b"".join(struct.pack("!I", len(v)) + v for v in (str(v).encode() for v in values))
    return message("B", f"{portal}\0{name}\0".encode() + struct.pack("!HH", 0, len(values)) + body
                   + (b"\0\1\0\1" if binary else b"\0\0"))


def execute(portal="", rows=0):
    return message("E", f"{portal}\0".encode() + struct.pack("!I", rows))


def describe(kind="S", name=""):
    return message("D", f"{kind}{name}\0".encode())


def close(kind="S", name=""):
    return message("C", f"{kind}{name}\0".encode())


def call(oid, *arguments):
    """FunctionCall with texts."""
    body = b"".join(struct.pack("!I", len(a)) + a for a in (a.encode() for a in arguments))
    return message("F", struct.pack("!IHH", oid, 0, len(arguments)) + body + b"\0\0")


def copy_data(text):
    return message("d", text.encode())


def copy_fail(text):
    return message("f", text.encode() + b"\0")


SYNC, FLUSH, TERMINATE, COPY_DONE = message("S"), message("H"), message("X"), message("c")


class Raw:
    """One connection. `read()` gives (type, body) of the next message, None at the end."""

    def __init__(self, port, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.left = b""
        self.key = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, *parts):
        self.sock.sendall(b"".join(parts))
        return self

    def take(self, n):
        while len(self.left) < n:
            try:
                got = self.sock.recv(65536)
            except ConnectionError:
                got = b""
            if not got:
                return None
            self.left += got
        out, self.left = self.left[:n], self.left[n:]
        return out

    def read(self):
        head = self.take(5)
        if head is None:
            return None
        kind, length = chr(head[0]), struct.unpack("!I", head[1:])[0]
        return kind, self.take(length - 4)

    def until_ready(self):
        """Types up to ReadyForQuery with its status: "TDCZI"."""
        kinds = ""
        while True:
            got = self.read()
            if got is None:
                return kinds + "|"
            kinds += got[0]
            if got[0] == "K":
                self.key = got[1]
            if got[0] == "Z":
                return kinds + got[1].decode()

    def login(self, database, user="postgres", **more):
        self.send(startup(user=user, database=database, **more))
        assert self.until_ready().endswith("ZI")
        return self

    def answers(self):
        """Messages up to ReadyForQuery, that one included, as (type, body)."""
        out = []
        while not out or out[-1][0] != "Z":
            got = self.read()
            assert got is not None, out
            out.append(got)
        return out

    def error(self):
        """Fields of the next ErrorResponse; None when the connection ends first."""
        while True:
            got = self.read()
            if got is None:
                return None
            if got[0] == "E":
                return {chr(f[0]): f[1:].decode(errors="replace") for f in got[1].split(b"\0") if f}
