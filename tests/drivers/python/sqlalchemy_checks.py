"""SQLAlchemy over psycopg2, and asynchronous over asyncpg: pools, reflection, upserts, streams."""

import asyncio
import json

import sqlalchemy as sa
from checks import KEPT, check, environment, must, run_async
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import create_async_engine

META = sa.MetaData()
ITEMS = sa.Table("sa_items", META, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20), unique=True),
                 sa.Column("data", pg.JSONB), sa.Column("tags", pg.ARRAY(sa.Text)), sa.Column("at", sa.DateTime(timezone=True)),
                 sa.Column("price", sa.Numeric(10, 2)), sa.Column("blob", sa.LargeBinary))
ROW = {"name": "n", "data": {"k": [1, None]}, "tags": ["a", None], "price": "12.50", "blob": b"\x00\x01"}


def synchronous():
    engine = sa.create_engine(f"postgresql+psycopg2://{environment('PGUSER')}@", pool_size=3, pool_pre_ping=True)
    META.create_all(engine)
    seen = []
    with engine.begin() as conn:
        conn.execute(ITEMS.insert(), [{**ROW, "name": f"n{i}"} for i in range(300)])
        stmt = pg.insert(ITEMS).values(name="n1", data={})
        conn.execute(stmt.on_conflict_do_update(index_elements=["name"], set_={"data": {"up": 1}}))
        seen.append(conn.execute(sa.select(ITEMS.c.data).where(ITEMS.c.name == "n1")).scalar_one())
    try:
        with engine.begin() as conn:
            with conn.begin_nested() as nested:
                nested.rollback()
            conn.execute(ITEMS.insert(), {"name": "n2"})
        must(False, "no error")
    except sa.exc.IntegrityError as error:
        seen.append((error.orig.pgcode, error.orig.diag.constraint_name))
    with engine.connect() as conn:
        result = conn.execution_options(stream_results=True, max_row_buffer=50).execute(sa.select(ITEMS).order_by(ITEMS.c.id))
        seen.append([tuple(result.fetchone()), sum(1 for _ in result)])
    inspector = sa.inspect(engine)
    seen.append([(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns("sa_items")])
    seen.append(inspector.get_unique_constraints("sa_items"))
    seen.append([tuple(r) for r in engine.connect().execute(sa.text("SELECT label, amount FROM kept ORDER BY id LIMIT 3"))])
    META.drop_all(engine)
    engine.dispose()
    return json.dumps(seen, default=lambda v: v.tobytes().hex() if isinstance(v, memoryview) else str(v))


@check
def over_psycopg2(_):
    return synchronous()


@check
async def over_asyncpg(_):
    # asyncpg itself reads the rest of the environment
    engine = create_async_engine(f"postgresql+asyncpg://{environment('PGUSER')}@/", pool_size=3,
                                 connect_args={"password": environment("PGPASSWORD")})
    seen = []
    async with engine.begin() as conn:
        await conn.run_sync(META.create_all)
        await conn.execute(ITEMS.insert(), [{**ROW, "name": f"n{i}", "price": i} for i in range(300)])

    async def one(i):
        async with engine.connect() as conn:
            return (await conn.execute(sa.select(ITEMS.c.price).where(ITEMS.c.name == f"n{i}"))).scalar_one()

    seen.append([str(v) for v in await asyncio.gather(*(one(i) for i in range(30)))])
    async with engine.connect() as conn:
        try:
            await conn.execute(ITEMS.insert(), {"name": "n2"})
        except sa.exc.IntegrityError as error:
            seen.append(error.orig.sqlstate)
        await conn.rollback()
        stream = await conn.stream(sa.select(ITEMS.c.id, ITEMS.c.tags, ITEMS.c.data).order_by(ITEMS.c.id))
        seen.append([tuple(r) async for r in stream][-1])
        seen.append([tuple(r) for r in await conn.execute(sa.text(KEPT[0].replace("%s", ":id")), {"id": 5})])
        must(len(seen) == 4)
    async with engine.begin() as conn:
        await conn.run_sync(META.drop_all)
    await engine.dispose()
    return seen


class Nothing:
    async def close(self):
        pass


async def nothing():
    return Nothing()


raise SystemExit(asyncio.run(run_async(nothing)))
