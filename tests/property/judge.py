"""What the server makes of literals and expressions, asked once each, on a database that nobody migrates."""

import threading

import psycopg
from lib.wait import until

from property.values import ident, quote


class Bad(Exception):
    """The server refuses the value."""


class Judge:
    """connect: gives a connection. Outlives the server's restarts."""

    def __init__(self, connect):
        self.connect = connect
        self.conn = None
        self.lock = threading.Lock()
        self.known = {}

    def _ask(self, sql):
        def once():
            try:
                if self.conn is None or self.conn.closed or self.conn.broken:
                    self.conn = self.connect()
                return [self.conn.execute(sql.encode()).fetchone()[0]]
            except psycopg.OperationalError as error:
                if self.conn is not None and not self.conn.broken:
                    raise Bad(str(error)) from None
                self.conn = None
                return None
            except psycopg.Error as error:
                raise Bad(str(error)) from None

        return until("the judge's server", once, 60)[0]

    def ask(self, sql):
        with self.lock:
            if sql not in self.known:
                try:
                    self.known[sql] = self._ask(sql), None
                except Bad as error:
                    self.known[sql] = None, error
            value, error = self.known[sql]
        if error:
            raise error
        return value

    def text(self, kind, literal):
        """How the server writes a value of the type."""
        if literal is None:
            return None
        return self.ask(f"SELECT ({quote(literal)}::{kind})::text")

    def value(self, expression, kind, columns):
        """columns: {name: (type, text)}."""
        given = ", ".join(f"{quote(text)}::{type_} AS {ident(name)}" for name, (type_, text) in columns.items())
        return self.ask(f"SELECT (({expression})::{kind})::text FROM (SELECT {given}) s")

    def close(self):
        if self.conn is not None:
            self.conn.close()
