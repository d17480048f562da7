"""PREPARE and EXECUTE as SQL. A star that lists columns which have gone is an error, as without segue: then it prepares again."""

import psycopg2
from bed import play, pyformat
from over_psycopg2 import OverPsycopg2


class SqlPrepare(OverPsycopg2):
    statements_max = 40

    async def open(self, options):
        self.names, self.number = {}, 0
        await super().open(options)

    def execute(self, cur, sql, args):
        self.prepare(cur, sql)
        try:
            self.execute_prepared(cur, sql, args)
        except psycopg2.errors.FeatureNotSupported:
            if self.conn.info.transaction_status != 0 or "*" not in sql:
                raise
            self.worker.bed.counts["changed"] += 1
            cur.execute(f"DEALLOCATE {self.names.pop(sql)}")
            self.prepare(cur, sql)
            self.execute_prepared(cur, sql, args)

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

    def execute_prepared(self, cur, sql, args):
        cur.execute(pyformat(f"EXECUTE {self.names[sql]}({', '.join('$1' for _ in args)})"), args)


play("sql-prepare", SqlPrepare)
