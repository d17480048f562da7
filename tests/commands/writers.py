"""Writers of the one table, that take whichever column they may read."""

import psycopg
from lib.traffic import Traffic

# the column has gone, or may not be read yet: the writer turns to the other one
TURNS = ("42703", "55000")


class Turning(Traffic):
    """A write whose column goes meanwhile is in doubt, and read back by the other one."""

    def __init__(self, connect, seed):
        super().__init__(connect, outages=True, pause_s=0.01, seed=seed, tolerates=TURNS)

    def _resolve(self, writer, conn):
        writer.revision = self._readable(conn, writer.revision)
        super()._resolve(writer, conn)

    def _readable(self, conn, first):
        second = "new" if first == "old" else "old"
        try:
            conn.execute(f"SELECT {self.pair.column(first)} FROM {self.tables[first]} LIMIT 0")
            return first
        except psycopg.Error as error:
            if error.sqlstate not in TURNS:
                raise
            return second
