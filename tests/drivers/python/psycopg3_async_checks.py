"""psycopg 3, asynchronous."""

import asyncio
import sys

import psycopg
from checks import KEPT, TYPES_SQL, check, must, run_async


async def rows(conn, sql, args=None, **options):
    return await (await conn.execute(sql, args, **options)).fetchall()


@check
async def types_in_binary(conn):
    cur = conn.cursor(binary=True)
    await cur.execute(TYPES_SQL, binary=True)
    return await cur.fetchall()


@check
async def cancel_of_a_running_statement(conn):
    task = asyncio.create_task(conn.execute("SELECT pg_sleep(20)"))
    await asyncio.sleep(0.2)
    await asyncio.get_running_loop().run_in_executor(None, conn.cancel)
    try:
        await task
        must(False, "not canceled")
    except psycopg.errors.QueryCanceled as error:
        return error.sqlstate, await rows(conn, "SELECT 'goes on'")


@check
async def many_connections_at_once(conn):
    async def work(i):
        async with await psycopg.AsyncConnection.connect("", autocommit=True) as c:
            return (await rows(c, "SELECT %s::int * 2, pg_sleep(0.01)::text", (i,)))[0][0]

    seen = await asyncio.gather(*(work(i) for i in range(20)))
    must(seen == [i * 2 for i in range(20)])
    return seen


@check
async def notifications(conn):
    await conn.execute("LISTEN driver_news")
    async with await psycopg.AsyncConnection.connect("", autocommit=True) as other:
        await other.execute("NOTIFY driver_news, 'async'")
    notes = conn.notifies()
    note = await notes.__anext__()
    await notes.aclose()
    return note.channel, note.payload


@check
async def copy_in_and_out(conn):
    await conn.execute("CREATE TEMP TABLE c (id int, v text)")
    async with conn.cursor() as cur:
        async with cur.copy("COPY c FROM STDIN") as copy:
            for i in range(5000):
                await copy.write_row((i, "v"))
        async with cur.copy("COPY c TO STDOUT") as copy:
            out = [row async for row in copy.rows()]
    must(len(out) == 5000)
    return out[-1]


@check
async def pipeline_with_an_error_inside(conn):
    await conn.execute("CREATE TEMP TABLE p (id int PRIMARY KEY)")
    async with conn.pipeline() as p:
        for i in range(100):
            await conn.execute("INSERT INTO p VALUES (%s)", (i,))
        await p.sync()
        try:
            await conn.execute("INSERT INTO p VALUES (1)")
            await p.sync()
            must(False, "no error")
        except psycopg.errors.UniqueViolation as error:
            seen = error.sqlstate
        await p.sync()
    return seen, await rows(conn, "SELECT count(*) FROM p")


@check
async def migrating_table(conn):
    return [(await rows(conn, KEPT[0], (i,), prepare=True))[0] for i in range(1, 41)]


async def main():
    return await run_async(lambda: psycopg.AsyncConnection.connect("", autocommit=True))


sys.exit(asyncio.run(main()))
