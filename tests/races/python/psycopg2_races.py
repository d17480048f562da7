"""psycopg2: simple queries with the values in the text."""

from contextlib import asynccontextmanager

import psycopg2
from bed import Driver, play, pyformat
from psycopg2.extras import execute_batch


class Psycopg2(Driver):
    remembers = False

    async def open(self, options):
        self.conn = psycopg2.connect("", options=options)
        self.conn.autocommit = True

    async def run(self, sql, args):
        with self.conn.cursor() as cur:
            cur.execute(pyformat(sql), args)
            return ([column.name for column in cur.description], cur.fetchall()) if cur.description else ([], [])

    async def many(self, sql, rows):
        """All in one message."""
        with self.conn.cursor() as cur:
            execute_batch(cur, pyformat(sql), rows)

    @asynccontextmanager
    async def transaction(self):
        self.conn.autocommit = False
        try:
            yield
            self.conn.commit()
        except BaseException:
            self.conn.rollback()
            raise
        finally:
            self.conn.autocommit = True

    async def close(self):
        self.conn.close()


play("psycopg2", Psycopg2)
