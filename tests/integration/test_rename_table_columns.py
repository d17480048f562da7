"""A table and its columns under new names in one file: each revision, one that is halfway there, and who bypasses segue."""

import itertools
import threading

import psycopg
import pytest
from lib import catalog
from lib.answers import stat
from lib.operations import connected, new, old
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

SCHEMA = """
CREATE TABLE orders (id int PRIMARY KEY, note text NOT NULL, n int DEFAULT 1, gone text DEFAULT 'g', CONSTRAINT noted CHECK (note <> ''));
CREATE INDEX orders_note ON orders (note); COMMENT ON COLUMN orders.note IS 'said'; GRANT SELECT (note) ON orders TO app;
CREATE TABLE items (id int PRIMARY KEY, of int REFERENCES orders);
INSERT INTO orders SELECT i, 'w' || i, i FROM generate_series(1, 50) i; INSERT INTO items SELECT i, i FROM generate_series(1, 50) i;
"""
FILE = {"name": "both", "operations": [
    {"rename_column": {"table": "orders", "from": "note", "to": "remark"}},
    {"rename_table": {"from": "orders", "to": "sold"}},
    {"rename_column": {"table": "sold", "from": "n", "to": "total", "type": "bigint", "up": "n", "down": "total"}},
    {"add_column": {"table": "sold", "column": {"name": "extra", "type": "int", "nullable": True}, "up": "n + 1"}},
    {"drop_column": {"table": "sold", "column": "gone", "down": "'g'"}},
    {"create_index": {"table": "sold", "name": "sold_extra", "columns": ["extra", "remark"]}},
    {"create_constraint": {"table": "sold", "name": "few", "type": "check", "columns": ["total"], "check": "total < 100000000"}}]}
PLAIN = """
ALTER TABLE orders RENAME note TO remark; ALTER TABLE orders RENAME TO sold; ALTER TABLE sold RENAME n TO total;
ALTER TABLE sold ALTER total TYPE bigint, ALTER total SET DEFAULT 1::bigint; ALTER TABLE sold ADD extra int;
ALTER TABLE sold DROP gone; CREATE INDEX sold_extra ON sold (extra, remark); ALTER TABLE sold ADD CONSTRAINT few CHECK (total < 100000000)
"""


class Clients:
    """One of each kind, which write and read until they are told to stop."""

    numbers = itertools.count(1)

    def __init__(self, db, proxy, *kinds):
        self.db, self.proxy = db, proxy
        self.stop = threading.Event()
        self.done, self.errors = dict.fromkeys(kinds, 0), []
        self.threads = [threading.Thread(target=self.run, args=(kind, 10**6 * next(self.numbers))) for kind in kinds]
        for thread in self.threads:
            thread.start()

    def run(self, kind, row):
        try:
            with getattr(self, f"{kind}_connection")() as conn:
                while not self.stop.wait(0.005):
                    row += 1
                    getattr(self, kind)(conn, row)
                    self.done[kind] += 1
        except Exception as error:  # noqa: BLE001: whatever a client sees is the test's result
            self.errors.append((kind, repr(error)))

    def old_connection(self):
        return self.proxy.connect(prepare_threshold=0, application_name="the old one", options="-c segue.schema=old")

    def old(self, conn, row):
        conn.execute("INSERT INTO orders VALUES (%s, %s, %s)", (row, f"w{row}", row))
        said = conn.execute("UPDATE orders SET note = orders.note || '+' WHERE id = %s RETURNING orders.*", (row,)).fetchone()
        assert said == (row, f"w{row}+", row, "g"), said
        assert conn.execute("SELECT note, gone FROM public.orders WHERE orders.note = %s", (f"w{row}+",)).fetchall() == [(f"w{row}+", "g")]

    def new_connection(self):
        return self.proxy.connect(prepare_threshold=0, application_name="the new one", options="-c segue.schema=new")

    def new(self, conn, row):
        conn.execute("INSERT INTO sold (id, remark, total, extra) VALUES (%s, %s, %s, %s)", (row, f"w{row}", row, row + 1))
        said = conn.execute("UPDATE sold SET remark = sold.remark || '+' WHERE id = %s RETURNING *", (row,)).fetchone()
        assert sorted(map(str, said)) == sorted((str(row), f"w{row}+", str(row), str(row + 1))), said
        assert conn.execute("SELECT s.remark FROM public.sold s WHERE s.id = %s", (row,)).fetchall() == [(f"w{row}+",)]

    def halfway_connection(self):
        return self.proxy.connect(prepare_threshold=None)

    def halfway(self, conn, row):
        """Follows the migration, and has learnt a part of the names."""
        conn.execute(f"INSERT INTO orders (id, remark, n, extra) VALUES ({row}, 'w{row}', {row}, {row + 1})".encode())
        conn.execute(f"UPDATE sold SET note = sold.remark || '+' WHERE sold.id = {row}".encode())
        said = conn.execute(f"SELECT orders.remark, orders.note, o.extra FROM orders JOIN sold o ON o.id = orders.id WHERE o.id = {row}".encode()).fetchone()
        assert said == (f"w{row}+", f"w{row}+", row + 1), said

    def past_connection(self):
        return self.db.connect()

    def past(self, conn, row):
        """Without segue: by the name that the table has at the moment, and columns of either side."""
        column = ("note", "remark")[row % 2]
        for name in ("orders", "sold", "orders", "sold"):  # it may turn between two of them
            try:
                conn.execute(f"INSERT INTO {name} (id, {column}, n) VALUES (%s, %s, %s)", (row, f"w{row}", row))
                break
            except psycopg.errors.UndefinedTable:
                continue
        for name in ("orders", "sold", "orders", "sold"):
            try:
                said = conn.execute(f"UPDATE {name} SET {column} = {name}.{column} || '+' WHERE id = %s RETURNING note, remark", (row,)).fetchone()
                assert said == (f"w{row}+", f"w{row}+"), said
                return
            except psycopg.errors.UndefinedTable:
                continue
        raise AssertionError("the table has neither name")

    def moves(self):
        """Waits until each of them has done more."""
        before = dict(self.done)
        until("all clients to go on", lambda: self.errors or all(self.done[kind] > n + 2 for kind, n in before.items()))
        assert not self.errors, self.errors

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads)
        assert not self.errors, self.errors
        return sum(self.done.values())


def in_step(proxy, name):
    row, = proxy.console(f"VERIFY {name}")
    return row["rows_bad"] == 0 and row["rows_verified"] > 50


@pytest.mark.deadline(150)
def test_writers_of_both_revisions_go_on_through_every_turn_and_lose_nothing(db, copy, segue):
    db.sql(SCHEMA)
    copy.sql(SCHEMA)
    proxy = segue(db, quiet_period_s=900)
    clients = Clients(db, proxy, "old")
    name = proxy.ready(FILE)
    late = Clients(db, proxy, "new", "halfway", "past")
    for turn in ("cutover", "rollback", "cutover"):
        clients.moves()
        late.moves()
        until("the turn", lambda what=turn: proxy.cli(what, name, check=None).code == 0, every=0.1)
        assert in_step(proxy, name)
    clients.moves()
    late.moves()
    refused = proxy.cli("complete", name, check=1).err
    assert "old names are still in use" in refused and "the old one" in refused and "the new one" not in refused, refused
    rows = clients.end() + late.end()
    last = Clients(db, proxy, "new")
    last.moves()
    connected(proxy).cli("complete", name, "--force")
    last.moves()
    last.end()
    assert db.one("SELECT count(*) FROM sold WHERE remark = 'w' || id || '+' AND total = id") >= rows > 40
    assert db.one("SELECT count(*) FROM sold WHERE remark <> 'w' || id || CASE WHEN id > 50 THEN '+' ELSE '' END OR total <> id") == 0
    assert db.one("SELECT count(*) FROM sold WHERE extra <> total + 1 OR id <= 50 AND extra IS NULL") == 0
    copy.sql(PLAIN)
    with db.connect() as one, copy.connect() as other:
        ours, theirs = catalog.whole(one), catalog.whole(other)
        ours.pop("rows"), theirs.pop("rows")
        assert catalog.difference(theirs, ours) == []
        assert catalog.traces(one) == []


@pytest.mark.one_version
def test_what_each_side_sees_from_expand_to_the_end(db, copy, segue):
    schema = SCHEMA.replace("FROM generate_series(1, 50) i; INSERT", "FROM generate_series(1, 3000) i; INSERT")
    db.sql(schema)
    copy.sql(schema)
    proxy = segue(db)
    proxy.console("THROTTLE rows_per_s 10")
    proxy.begin(FILE)
    proxy.wait_phase("both", "backfilling")
    with proxy.connect(prepare_threshold=None) as client:  # who comes too early, by either name of the table
        for sql in ("SELECT remark FROM sold", "SELECT orders.extra FROM orders", "UPDATE sold SET n = 1 WHERE remark = 'x'"):
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as early:
                client.execute(sql)
            assert "both" in early.value.diag.message_primary, early.value
        client.execute("INSERT INTO sold (id, remark) VALUES (5000, 'early')")
        assert client.execute("SELECT * FROM sold WHERE sold.note = 'early'").fetchone() == (5000, "early", 1, "g")
    proxy.console("THROTTLE rows_per_s off")
    proxy.wait_phase("both", "ready")
    sides = {"old": (old, "id, note, n, gone"), "new": (new, "id, remark, total, extra")}
    for turn in ("cutover", "rollback", "cutover", "restart", None):
        for open_, columns in sides.values():
            with open_(proxy) as client:
                for table in ("orders", "sold"):
                    for prepare in (False, True):
                        cur = client.execute(f"SELECT {table}.* FROM {table} WHERE {table}.id = %s", (7,), prepare=prepare)
                        assert [c.name for c in cur.description] == columns.split(", "), (turn, table)
                        cur = client.execute(f"SELECT note, remark FROM {table} WHERE id = 5000", prepare=prepare)
                        assert cur.fetchone() == ("early", "early")
        if turn == "restart":
            connected(proxy.restart()).wait_phase("both", "soaking")
        elif turn:
            until("the turn", lambda what=turn: proxy.cli(what, "both", check=None).code == 0, every=0.1)
    # the doctor calls the table as it is called now
    db.sql('ALTER TABLE sold DISABLE TRIGGER "~segue_guard"')
    said = proxy.cli("doctor", check=None).out
    assert "ALTER TABLE public.sold ENABLE ALWAYS TRIGGER" in said and "public.orders ENABLE" not in said, said
    db.sql('ALTER TABLE sold ENABLE ALWAYS TRIGGER "~segue_guard"')
    assert in_step(proxy, "both")
    until("the turn", lambda: proxy.cli("rollback", "both", check=None).code == 0, every=0.1)
    db.sql("DELETE FROM orders WHERE id = 5000")
    proxy.cli("abort", "both")
    with db.connect() as one, copy.connect() as other:
        assert catalog.difference(catalog.whole(other), catalog.whole(one)) == []
        assert one.execute("SELECT array_agg(o ORDER BY id)::text FROM orders o").fetchall() == \
            other.execute("SELECT array_agg(o ORDER BY id)::text FROM orders o").fetchall()
        assert catalog.traces(one) == []


R = {"name": "m", "operations": [{"rename_column": {"table": "t", "from": "s", "to": "x"}}, {"rename_table": {"from": "t", "to": "u"}}]}
# what calls the table by {t} and leaves a doubt about its columns -> the answer
IN_DOUBT = {
    "SELECT label({t}) FROM {t} WHERE id = 1": ("1",),
    "SELECT {t}.label FROM public.{t} WHERE public.{t}.id = 1": ("1",),
    "SELECT num_nonnulls({t}) FROM {t} WHERE id = 1": (1,),
    "SELECT lag({t}) OVER (ORDER BY id) IS NULL FROM {t} LIMIT 1": (True,),
    "SELECT first_value({t}) OVER () IS NULL, id FROM {t} WHERE id = 2": (False, 2),
    "SELECT nullif({t}, {t}) IS NULL, label({t}.*) FROM {t} WHERE id = 3": (True, "3"),
    "UPDATE {t} SET n = 1 WHERE label({t}) = '4' RETURNING n, {t}.id": (1, 4),
    "WITH d AS (DELETE FROM {t} WHERE id = 4 RETURNING {t}) SELECT (d.{t}).id FROM d": (4,),
    "INSERT INTO {t} (id) VALUES (4) RETURNING label({t})": ("4",),
    "SELECT label(public.{t}.*), ((public.{t}.*)) AS x FROM public.{t} WHERE id = 1": ("1", 1, 1, "s1", "s1"),
    "SELECT label({d}.public.{t}.*), {d}.public.{t}.n FROM {d}.public.{t} WHERE {d}.public.{t}.id = 2": ("2", 2),
    "SELECT {d}.public.{t}.*, (public.{t}.*) FROM {d}.public.{t} WHERE id = 1": (1, 1, "s1") * 2,  # these are not
    "TABLE {d}.public.{t} ORDER BY id LIMIT 1": (1, 1, "s1"),
    "UPDATE {d}.public.{t} SET n = 1 WHERE id = 1 RETURNING ({t}.*), coalesce({t}, {t}) IS NULL": (1, 1, "s1", False),
    "MERGE INTO {t} USING (SELECT 4) AS w (k) ON {t}.id = w.k WHEN MATCHED AND label({t}) = '4' THEN UPDATE SET n = 2": None,
}


@pytest.mark.deadline(90)
def test_a_table_is_called_by_its_name_where_its_columns_are_in_doubt(db, segue):
    db.sql("CREATE TABLE t (id int PRIMARY KEY, n int, s text); INSERT INTO t SELECT i, i, 's' || i FROM generate_series(1, 4) i;"
           "CREATE FUNCTION label(t) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.id::text'")
    proxy = segue(db)
    proxy.ready(R)
    wrong = []
    for turn in ("cutover", None):
        left = stat(proxy, "left_row")
        for open_ in (proxy.connect, old, new):
            for table, (sql, answer) in itertools.product("tu", IN_DOUBT.items()):
                with open_() if open_ == proxy.connect else open_(proxy) as client:
                    try:
                        cur = client.execute(sql.replace("{t}", table).replace("{d}", db.name))
                        said = cur.fetchone() if cur.description else None
                    except psycopg.Error as error:
                        said = str(error)
                    if said != answer:
                        wrong.append((turn, open_.__name__, sql, table, said))
        if turn:
            proxy.cli(turn, "m")
        assert stat(proxy, "left_row") > left
    assert not wrong, "\n".join(map(str, wrong))


CALLED = {  # by the one name of the table and of its column -> rows
    "SELECT {c} FROM {t} ORDER BY 1": [("s1",), ("s2",)],
    "SELECT id, {c} FROM public.{t} ORDER BY id": [(1, "s1"), (2, "s2")],
    "SELECT upper({c}) FROM {t} ORDER BY 1": [("S1",), ("S2",)],
    "SELECT count({c}), {c} FROM {t} GROUP BY {c} ORDER BY {c}": [(1, "s1"), (1, "s2")],
    "SELECT (SELECT max({c}) FROM {t}), (SELECT {c} FROM {t} WHERE id = 1)": [("s2", "s1")],
    "UPDATE {t} SET id = id WHERE {c} = 's1' RETURNING {c}": [("s1",)],
    "DELETE FROM {t} WHERE {c} = 's2' RETURNING {c}": [("s2",)],
}


@pytest.mark.deadline(90)
def test_the_tables_name_tells_who_speaks_where_a_column_is_called_so(db, segue):
    pairs, operations = [(("note", "note"), ("memo", "body")), (("t", "grade"), ("mark", "mark"))], []
    for (table, column), (renamed, to) in pairs:
        db.sql(f"CREATE TABLE {table} (id int PRIMARY KEY, {column} text); INSERT INTO {table} VALUES (1, 's1'), (2, 's2')")
        operations += [{"rename_column": {"table": table, "from": column, "to": to}}, {"rename_table": {"from": table, "to": renamed}}]
    proxy = segue(db)
    proxy.ready({"name": "m", "operations": operations})
    wrong = []
    for turn in ("cutover", None):
        for (t, c), (sql, rows) in itertools.product(itertools.chain(*pairs), CALLED.items()):
            with proxy.connect(autocommit=False) as client:
                try:
                    said = client.execute(sql.replace("{t}", t).replace("{c}", c)).fetchall()
                except psycopg.Error as error:
                    said = str(error)
                client.rollback()
            if said != rows:
                wrong.append((turn, sql, t, said))
        if turn:
            proxy.cli(turn, "m")
    assert not wrong, "\n".join(map(str, wrong))
