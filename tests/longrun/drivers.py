"""A connection of each driver that the application's revisions use; statements have $1, $2 ... in order."""

import re
from contextlib import asynccontextmanager

import asyncpg
import psycopg

LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, psycopg.OperationalError, psycopg.InterfaceError, OSError)


class Asyncpg:
    """Prepares and caches every statement, results come in binary."""

    stars = False  # what it has prepared it would prepare again after `complete`, as without segue

    def __init__(self, port, dbname, options):
        self.where = {"host": "127.0.0.1", "port": port, "user": "postgres", "database": dbname, "timeout": 60}
        if options:
            self.where["server_settings"] = {"options": options}
        self.conn = None

    async def open(self):
        self.conn = await asyncpg.connect(**self.where)

    async def run(self, sql, *args):
        return [tuple(row.values()) for row in await self.conn.fetch(sql, *args)]

    async def many(self, sql, rows):
        await self.conn.executemany(sql, rows)

    def transaction(self):
        return self.conn.transaction()

    def lost(self):
        return self.conn is None or self.conn.is_closed()

    async def close(self):
        if self.conn and not self.conn.is_closed():
            await self.conn.close(timeout=10)


class Psycopg:
    """Server-side prepared statements from the first use; COPY for many rows."""

    stars = True

    def __init__(self, port, dbname, options):
        self.where = {"host": "127.0.0.1", "port": port, "user": "postgres", "dbname": dbname, "connect_timeout": 60,
                      "options": options}
        self.conn = None

    async def open(self):
        self.conn = await psycopg.AsyncConnection.connect(**self.where, autocommit=True, prepare_threshold=0)

    async def run(self, sql, *args):
        cur = await self.conn.execute(re.sub(r"\$\d+", "%s", sql), args)
        return await cur.fetchall() if cur.description else []

    async def star(self, table, number):
        """Names of the columns, and rows: a text that is not prepared."""
        cur = await self.conn.execute(f"SELECT * FROM {table} WHERE id = %s", (number,), prepare=False)
        return [column.name for column in cur.description], await cur.fetchall()

    async def many(self, sql, rows):
        table, names = re.match(r"INSERT INTO (\w+) \(([^)]*)\)", sql).groups()
        async with self.conn.cursor() as cur, cur.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                await copy.write_row(row)

    @asynccontextmanager
    async def transaction(self):
        async with self.conn.transaction():
            yield

    def lost(self):
        return self.conn is None or self.conn.closed or self.conn.broken

    async def close(self):
        if self.conn:
            await self.conn.close()
