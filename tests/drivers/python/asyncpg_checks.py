"""asyncpg: its own implementation of the protocol, binary throughout, statements prepared and cached."""

import asyncio
import io
import sys

import asyncpg
from checks import KEPT, TYPES_SQL, check, environment, must, run_async

KEPT = [text.replace("%s", "$1") for text in KEPT]


@check
async def types(conn):
    row = await conn.fetchrow(TYPES_SQL)
    must(len(row) == 30 and row["null_int"] is None)
    return list(row.items())


@check
async def parameters_of_all_kinds(conn):
    return tuple(await conn.fetchrow(
        "SELECT $1::int8, $2::float8, $3::text, $4::text, $5::bool, $6::bytea, $7::int4[], $8::jsonb, $9::numeric, $10::date",
        1, -2.5, "té'xt", None, True, b"\x00\xff", [1, None], '{"k": [1]}', 10**30, None))


@check
async def errors_with_their_fields(conn):
    await conn.execute("CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))")
    seen = []
    for sql, args in (("SELEC 1", ()), ("SELECT nosuch", ()), ("INSERT INTO e VALUES (2, $1)", (None,)),
                      ("INSERT INTO e VALUES (3, $1)", ("no",)), ("SELECT 1/$1::int", (0,))):
        try:
            await conn.fetch(sql, *args)
            must(False, sql)
        except asyncpg.PostgresError as error:
            seen.append((error.sqlstate, error.message, error.detail, error.position, error.table_name, error.column_name,
                         error.constraint_name, type(error).__name__))
    must([s[0] for s in seen] == ["42601", "42703", "23502", "23514", "22012"])
    return seen


@check
async def cancel_by_the_driver(conn):
    try:  # asyncpg sends a cancel request when its own timeout has passed
        await conn.fetch("SELECT pg_sleep(20)", timeout=0.2)
        must(False, "no timeout")
    except asyncio.TimeoutError:
        pass
    try:
        return await conn.fetchval("SELECT 'goes on'")
    except asyncpg.QueryCanceledError:  # the request was late and met this statement; it cannot meet another
        return await conn.fetchval("SELECT 'goes on'")


@check
async def cancel_by_another(conn):
    pid = conn.get_server_pid()
    task = asyncio.create_task(conn.fetch("SELECT pg_sleep(20)"))
    other = await connect()
    await asyncio.sleep(0.2)
    await other.execute(f"SELECT pg_cancel_backend({pid})")
    await other.close()
    try:
        await task
    except asyncpg.QueryCanceledError as error:
        return error.sqlstate


@check
async def notices_and_notifications(conn):
    seen, came = [], asyncio.Event()
    conn.add_log_listener(lambda _, m: seen.append((m.severity, m.sqlstate, m.message)))

    def note(_conn, _pid, channel, payload):
        seen.append((channel, payload))
        came.set()

    await conn.add_listener("driver_news", note)
    await conn.execute("DO $$ BEGIN RAISE NOTICE 'hear'; END $$")
    await conn.execute("SELECT pg_notify('driver_news', 'payload')")
    await asyncio.wait_for(came.wait(), 10)
    await asyncio.sleep(0)
    must(len(seen) == 2)
    return sorted(seen)


@check
async def copy_in_and_out(conn):
    await conn.execute("CREATE TEMP TABLE c (id int, v text)")
    seen = [await conn.copy_records_to_table("c", records=[(i, f"v{i}") for i in range(10000)])]
    out = io.BytesIO()
    seen.append(await conn.copy_from_query("SELECT * FROM c ORDER BY id LIMIT $1", 3, output=out, format="csv"))
    try:
        await conn.copy_to_table("c", source=io.BytesIO(b"x\ty\n" * 5000))
        must(False, "no error")
    except asyncpg.PostgresError as error:
        seen.append(error.sqlstate)
    return seen, out.getvalue(), await conn.fetchval("SELECT count(*) FROM c")


@check
async def prepared_statements(conn):
    stmt = await conn.prepare("SELECT $1::int + id FROM generate_series(1, 3) id")
    seen = [[r[0] for r in await stmt.fetch(i)] for i in range(10)]
    types = [(p.name, a.name) for p, a in zip(stmt.get_parameters(), [x.type for x in stmt.get_attributes()])]
    return seen, types, await conn.fetchval("SELECT count(*) > 0 FROM pg_prepared_statements")


@check
async def executemany_as_one_batch(conn):
    await conn.execute("CREATE TEMP TABLE m (id int PRIMARY KEY, v text)")
    await conn.executemany("INSERT INTO m VALUES ($1, $2)", [(i, "x" * (i % 50)) for i in range(3000)])
    try:
        await conn.executemany("INSERT INTO m VALUES ($1, $2)", [(i, "y") for i in range(5000, 2990, -1)])
        must(False, "no error")
    except asyncpg.UniqueViolationError as error:
        return error.constraint_name, tuple(await conn.fetchrow("SELECT count(*), max(id) FROM m"))


@check
async def transactions_and_savepoints(conn):
    await conn.execute("CREATE TEMP TABLE t (id int PRIMARY KEY)")
    async with conn.transaction(isolation="serializable"):
        await conn.execute("INSERT INTO t VALUES (1)")
        try:
            async with conn.transaction():
                await conn.execute("INSERT INTO t VALUES (1)")
        except asyncpg.UniqueViolationError:
            pass
        await conn.execute("INSERT INTO t VALUES (2)")
    return [r[0] for r in await conn.fetch("SELECT id FROM t ORDER BY id")]


@check
async def cursors(conn):
    async with conn.transaction():
        total = 0
        async for row in conn.cursor("SELECT i, repeat('x', 100) FROM generate_series(1, 10000) i", prefetch=77):
            total += row[0]
        cur = await conn.cursor("SELECT generate_series(1, 100)")
        await cur.forward(10)
        return total, [r[0] for r in await cur.fetch(3)], (await cur.fetchrow())[0]


@check
async def big_values_and_many_parameters(conn):
    value = "z" * 3_000_000
    back = await conn.fetchval("SELECT $1::text || 'e'", value)
    must(back == value + "e")
    count = 30000
    marks = ",".join(f"${i}::int" for i in range(1, count + 1))
    return len(back), await conn.fetchval(f"SELECT cardinality(ARRAY[{marks}])", *range(count))


@check
async def settings_reset(conn):
    seen = [conn.get_settings().client_encoding]
    await conn.execute("SET work_mem = '5MB'; SET application_name = 'x'")
    seen.append(conn.get_settings().application_name)
    await conn.reset()
    return seen, await conn.fetchval("SHOW work_mem"), conn.get_settings().application_name


@check
async def migrating_table(conn):
    seen = [tuple(await conn.fetchrow(KEPT[0], i)) for i in range(1, 41)]
    tr = conn.transaction()
    await tr.start()
    seen.append(await conn.fetchval(KEPT[1], 3))
    await tr.rollback()
    return seen


async def connect():
    # asyncpg knows the environment of libpq, but for the root certificate's name of a later version
    return await asyncpg.connect(timeout=20, user=environment("PGUSER"), password=environment("PGPASSWORD"))


sys.exit(asyncio.run(run_async(connect)))
