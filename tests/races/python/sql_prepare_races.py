"""PREPARE and EXECUTE as SQL. A star that lists columns which have gone is an error, as without segue: then it prepares again."""

from contextlib import asynccontextmanager

import psycopg2
from bed import Driver, play, pyformat


class SqlPrepare(Driver):
    statements_max = 40

    async def open(self, options):
        self.names, self.number = {}, 0
        self.conn = psycopg2.connect("", options=options)
        self.conn.autocommit = True

    async def run(self, sql, args):
        with self.conn.cursor() as cur:
            self.prepare(cur, sql)
            try:
                self.execute(cur, sql, args)
            except psycopg2.errors.FeatureNotSupported:
                if self.conn.info.transaction_status != 0 or "*" not in sql:
                    raise
                self.worker.bed.counts["changed"] += 1
                cur.execute(f"DEALLOCATE {self.names.pop(sql)}")
                self.prepare(cur, sql)
                self.execute(cur, sql, args)
            return ([column.name for column in cur.description], cur.fetchall()) if cur.description else ([], [])

    def prepare(self, cur, sql):
        if sql in self.names:
            return
        if len(self.names) >= self.statements_max:
            cur.execute("DEALLOCATE ALL")
            self.names = {}
        self.number += 1
        name = f"s{self.number}"
        cur.execute(f"PREPARE {name} AS {sql}")
        self.names[sql] = name

    def execute(self, cur, sql, args):
        cur.execute(pyformat(f"EXECUTE {self.names[sql]}({', '.join('$1' for _ in args)})"), args)

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


play("sql-prepare", SqlPrepare)
