"""A TLS client that keeps its session. Python's own: libpq has none."""

import socket
import ssl
import struct

SSL_REQUEST = struct.pack("!II", 8, 80877103)


class Resumer:
    """TLS 1.2: the ticket comes with the handshake, and the session's id is made of it."""

    def __init__(self, proxy):
        self.port = proxy.port
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2

    def visit(self, session=None):
        """Was it resumed? And what to come back with."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            plain.sendall(SSL_REQUEST)
            assert plain.recv(1) == b"S"
            with self.context.wrap_socket(plain, session=session) as tls:
                return tls.session_reused, tls.session
