"""SQLAlchemy: SELECT * as text, and rows by the ORM: a class a side, inserts with RETURNING."""

import contextlib
import re

import sqlalchemy as sa
from bed import SIDES, Driver, amount, play
from sqlalchemy.orm import Session, declarative_base


def mapped(side):
    text, count = SIDES[side]
    kind = sa.Integer if side == "a" else sa.Numeric(12, 2)
    return type(f"Item{side}", (declarative_base(),), {
        "__tablename__": "items", "__mapper_args__": {"eager_defaults": True},
        "id": sa.Column(sa.BigInteger, primary_key=True, autoincrement=False), "note": sa.Column(sa.Text),
        "stamp": sa.Column(sa.DateTime(timezone=True), server_default=sa.func.now()),
        "text": sa.Column(text, sa.Text), "count": sa.Column(count, kind)})


ITEMS = {side: mapped(side) for side in SIDES}


class SqlAlchemy(Driver):
    remembers = False
    own_acts = ("add", "change", "select")

    async def open(self, options):
        self.engine = sa.create_engine("postgresql+psycopg2://", connect_args={"options": options}, pool_size=1,
                                       max_overflow=0)
        self.inside = None

    async def run(self, sql, args):
        text = sa.text(re.sub(r"\$(\d+)", r":p\1", sql))
        values = {f"p{i + 1}": value for i, value in enumerate(args)}
        with contextlib.ExitStack() as stack:
            conn = self.inside or stack.enter_context(self.engine.begin())
            got = conn.execute(text, values)
            return (list(got.keys()), [tuple(row) for row in got]) if got.returns_rows else ([], [])

    async def many(self, sql, rows):
        text = sa.text(re.sub(r"\$(\d+)", r":p\1", sql))
        with self.engine.begin() as conn:
            conn.execute(text, [{f"p{i + 1}": value for i, value in enumerate(row)} for row in rows])

    @contextlib.asynccontextmanager
    async def transaction(self):
        with self.engine.begin() as self.inside:
            try:
                yield
            finally:
                self.inside = None

    async def add(self):
        worker, side = self.worker, self.worker.side()
        new = {worker.new_id(): worker.value() for _ in range(3)}
        worker.bed.counts["statements"] += 1
        with Session(self.engine) as session:
            rows = [ITEMS[side](id=number, note=f"note {number}", text=f"v{n}", count=amount(side, n))
                    for number, n in new.items()]
            session.add_all(rows)
            session.flush()
            assert all(row.stamp is not None for row in rows)
            session.commit()
        worker.items.update(new)

    async def change(self):
        worker, side = self.worker, self.worker.side()
        number, n = worker.row(), worker.value()
        if number:
            worker.bed.counts["statements"] += 2
            with Session(self.engine) as session:
                row = session.get(ITEMS[side], number)
                was = worker.items[number]
                assert (row.text, row.count) == (f"v{was}", amount(side, was)), f"row {row.text} {row.count}, not {was}"
                row.text, row.count = f"v{n}", amount(side, n)
                session.commit()
            worker.items[number] = n

    async def select(self):
        worker, side = self.worker, self.worker.side()
        worker.bed.counts["statements"] += 1
        with Session(self.engine) as session:
            model = ITEMS[side]
            query = sa.select(model).where(model.id >= worker.base, model.id < worker.base + 30)
            got = {row.id: row.text for row in session.scalars(query)}
        wanted = {number: f"v{n}" for number, n in worker.items.items() if number < worker.base + 30}
        assert got == wanted, f"{got}, not {wanted}"

    async def close(self):
        self.engine.dispose()


play("sqlalchemy", SqlAlchemy)
