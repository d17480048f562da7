"""A TCP relay between segue and PostgreSQL that misbehaves at a chosen moment.

The control plane's connections are told from clients' by their application_name (`segue`). The
transaction of the cut-over is known by the word `soaking` that it writes into segue.migrations.

    relay = ChaosRelay(cluster.port); segue(upstream=relay.url("db"))
    relay.at_commit("before")   # the COMMIT never reaches the server, the connection is cut
    relay.at_commit("after")    # it does, the answer is swallowed, the connection is cut
    relay.at_commit("ahead")    # not even the message that holds the word reaches the server
    relay.at_commit("late")     # segue's side is cut at once, the COMMIT arrives at relay.release()
    relay.at_answer()           # the answer to the next message vanishes, whatever it is
    relay.refuse(True); relay.drop_all()
"""

import socket
import struct
import threading

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102


class _Link:
    """One connection: two sockets, two threads."""

    def __init__(self, relay, client):
        self.relay = relay
        self.client = client
        self.server = socket.create_connection(("127.0.0.1", relay.server_port), timeout=10)
        for sock in (client, self.server):
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.control = False  # a connection of the control plane
        self.started = False  # the start-up packet has been seen
        self.pending = b""  # frontend bytes that are not a whole message yet
        self.transaction = b""  # frontend bytes since BEGIN
        self.swallow = False
        threading.Thread(target=self._forward, daemon=True).start()
        threading.Thread(target=self._backward, daemon=True).start()

    def close_client(self):
        _close(self.client)

    def close(self):
        _close(self.client)
        _close(self.server)
        self.relay.forget(self)

    def _forward(self):
        try:
            while data := self.client.recv(65536):
                if self.started and not self.control:
                    self.server.sendall(data)
                    continue
                self.pending += data
                while (message := self._next()) is not None:
                    if not self._pass(message):
                        return
        except OSError:
            pass
        if not self.swallow:
            self.close()

    def _next(self):
        """One whole frontend message, or None."""
        offset = 1 if self.started else 0
        if len(self.pending) < offset + 4:
            return None
        size = offset + struct.unpack_from("!I", self.pending, offset)[0]
        if len(self.pending) < size:
            return None
        message, self.pending = self.pending[:size], self.pending[size:]
        return message

    def _pass(self, message):
        """Forwards a message, or does what was asked for. False: this direction has ended."""
        if not self.started:
            code = struct.unpack_from("!I", message, 4)[0]
            if code not in (SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST):
                self.started = True
                self.control = b"application_name\0segue\0" in message
            self.server.sendall(message)
            if self.started and not self.control and self.pending:
                self.server.sendall(self.pending)
                self.pending = b""
            return True
        if self.relay.how == "answer" and not self.swallow and self.relay.wanted(b""):
            self.swallow = True  # the rest of what belongs to it is sent, too
        text = message[5:].upper() if message[:1] in (b"Q", b"P") else b""
        if b"BEGIN" in text or b"START TRANSACTION" in text:
            self.transaction = b""
        self.transaction += message
        if (b"COMMIT" in text or self.relay.how == "ahead") and self.relay.wanted(self.transaction):
            return self._strike(message)
        self.server.sendall(message)
        return True

    def _strike(self, message):
        how = self.relay.how
        if how in ("before", "ahead"):
            self.relay.fired.set()
            self.close()
            return False
        self.swallow = True
        if how == "late":
            self.relay.fired.set()
            self.close_client()
            self.relay.released.wait(30)
            self.server.sendall(message)
            return False
        self.server.sendall(message)
        return False  # "after": _backward cuts when the answer comes

    def _backward(self):
        try:
            while data := self.server.recv(65536):
                if self.swallow:
                    self.relay.fired.set()
                    break
                self.client.sendall(data)
        except OSError:
            pass
        self.close()


def _close(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


class ChaosRelay:
    def __init__(self, server_port):
        self.server_port = server_port
        self.links = set()
        self.lock = threading.Lock()
        self.refusing = False
        self.how = None
        self.word = b""
        self.times = 0
        self.fired = threading.Event()
        self.released = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, dbname, user="postgres"):
        return f"postgresql://{user}@127.0.0.1:{self.port}/{dbname}"

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.refusing:
                _close(client)
                continue
            try:
                link = _Link(self, client)
            except OSError:
                _close(client)
                continue
            with self.lock:
                self.links.add(link)

    def forget(self, link):
        with self.lock:
            self.links.discard(link)

    def at_commit(self, how, word=b"soaking", times=1):
        """Strike at the COMMIT of the next control plane transaction whose messages hold `word`."""
        assert how in ("before", "after", "late", "ahead", "answer")
        self.fired.clear()
        self.released.clear()
        self.how, self.word, self.times = how, word, times

    def at_answer(self):
        """Swallow the answer to what the control plane sends next, and cut the connection."""
        self.at_commit("answer", word=b"")

    def wanted(self, transaction):
        with self.lock:
            if self.times > 0 and self.word in transaction:
                self.times -= 1
                return True
            return False

    def release(self):
        self.released.set()

    def refuse(self, on):
        self.refusing = on

    def drop_all(self, control_only=False):
        with self.lock:
            links = [link for link in self.links if link.control or not control_only]
        for link in links:
            link.close()

    def close(self):
        self.refusing = True
        _close(self.listener)
        self.released.set()
        self.drop_all()
