"""asyncpg: every statement is prepared and cached by the driver, results come in binary."""

import asyncpg
from bed import Driver, play


class Asyncpg(Driver):
    own_acts = ("prepared",)

    async def open(self, options):
        self.statements = {}
        self.conn = await asyncpg.connect(server_settings={"options": options} if options else None, timeout=60)

    async def run(self, sql, args):
        # fetch() gives no columns where there are no rows
        rows = await self.conn.fetch(sql, *args)
        if rows or "*" not in sql:
            return (list(rows[0].keys()) if rows else []), [tuple(row.values()) for row in rows]
        statement = await self.conn.prepare(sql)
        return [a.name for a in statement.get_attributes()], []

    async def many(self, sql, rows):
        await self.conn.executemany(sql, rows)

    def transaction(self):
        return self.conn.transaction()

    async def prepared(self):
        """One that the application itself keeps: none of its columns is a migration's."""
        number = self.worker.row()
        if number:
            if "note" not in self.statements:
                self.statements["note"] = await self.conn.prepare("SELECT note FROM items WHERE id = $1")
            got = await self.statements["note"].fetchval(number)
            assert got == f"note {number}", f"{got} in row {number}"

    async def close(self):
        await self.conn.close(timeout=10)


play("asyncpg", Asyncpg, threads=False)
