"""What the programs over psycopg2 share: connections of autocommit, and transactions on them."""

from contextlib import asynccontextmanager

import psycopg2
from bed import Driver, pyformat


class OverPsycopg2(Driver):
    async def open(self, options):
        self.conn = psycopg2.connect("", options=options)
        self.conn.autocommit = True

    async def run(self, sql, args):
        with self.conn.cursor() as cur:
            self.execute(cur, sql, args)
            return ([column.name for column in cur.description], cur.fetchall()) if cur.description else ([], [])

    def execute(self, cur, sql, args):
        cur.execute(pyformat(sql), args)

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
