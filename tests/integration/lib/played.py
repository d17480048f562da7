"""What a test plays in place of a server: a listener on loopback, each connection in a thread of its own.

    class Silent(Played):
        def serve(self, sock): ...     # the connection is closed behind it

pump(a, b) carries what one socket says to another until it ends; relay(a, b) both ways.
"""

import socket
import threading


def shut(*socks):
    """So that whoever reads or writes them ends."""
    for sock in socks:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def exactly(sock, n):
    """So many bytes. ConnectionError: there are no more of them."""
    out = b""
    while len(out) < n:
        got = sock.recv(n - len(out))
        if not got:
            raise ConnectionError
        out += got
    return out


def pump(a, b):
    """Ends b's input where a's output ends."""
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        shut(a, b)


def relay(a, b):
    threading.Thread(target=pump, args=(b, a), daemon=True).start()
    pump(a, b)


class Played:
    def __init__(self, address="127.0.0.1", port=0):
        self.listener = socket.create_server((address, port))
        self.port = self.listener.getsockname()[1]
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """All at once, so that nobody waits for an answer that does not come."""
        shut(self.listener, *self.sockets)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            try:
                self.serve(sock)
            except OSError:
                pass  # closed meanwhile

    def serve(self, sock):
        raise NotImplementedError
