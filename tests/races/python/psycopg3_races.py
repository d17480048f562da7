"""psycopg 3: prepares at the first use, pipelines, results as text and in binary."""

from contextlib import asynccontextmanager

import psycopg
from bed import Driver, play, pyformat


class Psycopg3(Driver):
    own_acts = ("pipeline",)

    async def open(self, options):
        self.conn = psycopg.connect("", options=options, autocommit=True, prepare_threshold=0)

    async def run(self, sql, args):
        cur = self.conn.execute(pyformat(sql), args, binary=self.worker.random.random() < 0.5)
        return self.result(cur)

    @staticmethod
    def result(cur):
        return ([column.name for column in cur.description], cur.fetchall()) if cur.description else ([], [])

    async def many(self, sql, rows):
        with self.conn.cursor() as cur:
            cur.executemany(pyformat(sql), rows)

    @asynccontextmanager
    async def transaction(self):
        with self.conn.transaction():
            yield

    async def pipeline(self):
        worker = self.worker
        number, side = worker.new_id(), worker.side()
        n = worker.value()
        insert = pyformat(worker.insert_text(side) + " RETURNING *")
        with self.conn.pipeline():
            cursors = [self.conn.execute(insert, worker.arguments(side, number, n)),
                       *(self.conn.execute("SELECT * FROM items WHERE id = %s", [number]) for _ in range(3)),
                       self.conn.execute("SELECT note FROM items WHERE id = %s", [number])]
        worker.bed.counts["statements"] += len(cursors)
        worker.items[number] = n
        for cur in cursors[:-1]:
            worker.check(*self.result(cur), {number: n})
        assert cursors[-1].fetchall() == [(f"note {number}",)]

    async def close(self):
        self.conn.close()


play("psycopg3", Psycopg3)
