"""psycopg2: simple queries with the values in the text."""

from bed import play, pyformat
from over_psycopg2 import OverPsycopg2
from psycopg2.extras import execute_batch


class Psycopg2(OverPsycopg2):
    remembers = False

    async def many(self, sql, rows):
        """All in one message."""
        with self.conn.cursor() as cur:
            execute_batch(cur, pyformat(sql), rows)


play("psycopg2", Psycopg2)
