"""Pairs whose `up` or `down` reads other columns: an UPDATE of such a column alone keeps them in step, in both directions."""

import random

import pytest
from lib.operations import is_refused

VIA = ["proxy", "direct"]
PRICED = {"name": "m", "operations": [{"alter_column": {
    "table": "t", "column": "price", "name": "amount", "up": "price * rate", "down": "amount / rate"}}]}
ORDERED = {"name": "m", "operations": [{"create_constraint": {
    "table": "t", "name": "ordered", "type": "check", "columns": ["a", "b"], "check": "a <= b",
    "up": {"a": "least(a, b)", "b": "b"}, "down": {"a": "a", "b": "b"}}}]}


@pytest.fixture
def play(db, segue):
    """play(ddl, migration): a proxy at ready, and a function that says a statement by one of two ways and gives a row."""

    def begin(ddl, migration):
        db.sql(ddl)
        proxy = segue(db)
        proxy.ready(migration)
        conns = {"proxy": proxy.connect(), "direct": db.connect()}

        def row(via, sql, columns):
            conns[via].execute(sql)
            return conns["direct"].execute(f"SELECT {columns} FROM t WHERE id = 1").fetchone()

        return proxy, row

    return begin


def reset(row, values, columns):
    row("direct", "DELETE FROM t WHERE id = 1", "1")
    row("direct", f"INSERT INTO t (id, {columns}) VALUES (1, {values})", "1")


def test_a_column_that_up_reads_carries_the_new_half_along(play):
    proxy, row = play("CREATE TABLE t (id int PRIMARY KEY, price numeric, rate numeric, note text)", PRICED)
    seen = "price::float, rate::float, amount::float"

    def forward():
        for via in VIA:
            reset(row, "10, 1", "price, rate")
            assert row(via, "UPDATE t SET rate = 2 WHERE id = 1", seen) == (10, 2, 20)
            assert row(via, "UPDATE t SET rate = 4, price = 5 WHERE id = 1", seen) == (5, 4, 20)
            assert row(via, "UPDATE t SET amount = 40 WHERE id = 1", seen) == (10, 4, 40)
            assert row(via, "UPDATE t SET amount = 30, rate = 2 WHERE id = 1", seen) == (15, 2, 30)
            assert row(via, "UPDATE t SET note = 'x' WHERE id = 1", seen) == (15, 2, 30)

    forward()
    proxy.cli("cutover", "m")
    for via in VIA:
        reset(row, "20, 2", "amount, rate")
        assert row(via, "UPDATE t SET rate = 4 WHERE id = 1", seen) == (5, 4, 20)
        assert row(via, "UPDATE t SET rate = 2, amount = 30 WHERE id = 1", seen) == (15, 2, 30)
        assert row(via, "UPDATE t SET price = 10 WHERE id = 1", seen) == (10, 2, 20)
        assert row(via, "UPDATE t SET price = 20, rate = 3 WHERE id = 1", seen) == (20, 3, 60)
    proxy.cli("rollback", "m")
    forward()
    proxy.cli("verify", "m")
    proxy.cli("cutover", "m")
    proxy.cli("verify", "m")


def test_a_constraint_over_columns_that_up_mends_together_holds_whichever_of_them_changes(play):
    proxy, row = play("CREATE TABLE t (id int PRIMARY KEY, a int, b int)", ORDERED)
    for via in VIA:
        reset(row, "5, 8", "a, b")
        assert row(via, "UPDATE t SET b = 1 WHERE id = 1", "a, b") == (5, 1)  # of the old application: as it wrote it
        reset(row, "2, 3", "a, b")
        assert row(via, "UPDATE t SET b = 1 WHERE id = 1", "a, b") == (2, 1)  # down(a) gives what is there
    proxy.cli("verify", "m")
    proxy.cli("cutover", "m")
    assert row("direct", "SELECT", "a, b") == (1, 1)
    old = proxy.connect(options="-c segue.schema=old")
    old.execute("UPDATE t SET a = a WHERE id = 1")
    proxy.cli("complete", "m", "--force")


def test_a_row_that_the_old_application_writes_in_soak_is_mended_by_all_that_up_reads(play):
    operations = [{"alter_column": {"table": "t", "column": "a", "name": "low", "up": "least(a, b)", "down": "low"}},
                  {"alter_column": {"table": "t", "column": "b", "name": "high", "up": "greatest(a, b)", "down": "high"}},
                  {"create_constraint": {"table": "t", "name": "ordered", "type": "check", "columns": ["low", "high"],
                                         "check": "low <= high"}}]
    proxy, row = play("CREATE TABLE t (id int PRIMARY KEY, a int, b int)", {"name": "m", "operations": operations})
    seen = "a, b, low, high"
    proxy.cli("cutover", "m")
    for via in VIA:
        reset(row, "2, 5", "low, high")
        assert row(via, "UPDATE t SET b = 1 WHERE id = 1", seen) == (2, 1, 1, 2)  # by the old name
        assert row(via, "UPDATE t SET a = 7 WHERE id = 1", seen) == (7, 1, 1, 7)
        assert row(via, "UPDATE t SET high = 9 WHERE id = 1", seen) == (1, 9, 1, 9)
    proxy.cli("verify", "m")


def test_a_name_that_turns_too_is_followed_by_either(play):
    operations = [PRICED["operations"][0], {"rename_column": {"table": "t", "from": "rate", "to": "factor"}}]
    proxy, row = play("CREATE TABLE t (id int PRIMARY KEY, price int, rate int)", {"name": "m", "operations": operations})
    seen = "price, rate, factor, amount"
    for via in VIA:
        reset(row, "10, 1", "price, rate")
        assert row(via, "UPDATE t SET rate = 2 WHERE id = 1", seen) == (10, 2, 2, 20)
        assert row(via, "UPDATE t SET factor = 3 WHERE id = 1", seen) == (10, 3, 3, 30)
    proxy.cli("cutover", "m")
    for via in VIA:
        reset(row, "60, 2", "amount, factor")
        assert row(via, "UPDATE t SET factor = 3 WHERE id = 1", seen) == (20, 3, 3, 60)
    proxy.cli("verify", "m")


def test_what_comes_of_one_pair_is_carried_to_the_next(play):
    operations = [{"alter_column": {"table": "t", "column": "a", "name": "low", "up": "least(a, b)", "down": "low"}},
                  {"alter_column": {"table": "t", "column": "b", "name": "high", "up": "greatest(a, b)", "down": "high + x"}}]
    for operation in operations:
        operation["alter_column"]["nullable"] = True
    proxy, row = play("CREATE TABLE t (id int PRIMARY KEY, a int, b int, x int)", {"name": "m", "operations": operations})
    seen = "a, b, low, high"
    for via in VIA:
        row("direct", "DELETE FROM t", "1")
        # b is made behind the rules of a, of which up reads it
        assert row(via, "INSERT INTO t (id, x, high) VALUES (1, 3, 2)", seen) == (None, 5, 5, 2)
    proxy.cli("cutover", "m")
    for via in VIA:
        reset(row, "1, 4, 0", "low, high, x")
        # a as the old application wrote it, b as x moves it, and what that makes of low
        assert row(via, "UPDATE t SET a = 5 WHERE id = 1", seen) == (5, 4, 4, 5)
        assert row(via, "UPDATE t SET x = 3 WHERE id = 1", seen) == (4, 8, 4, 5)
    proxy.cli("verify", "m")


UPS = {"a": ["least(a, b)", "a + x", "coalesce(a, b)", "a * 2 + coalesce(c, 0)", "greatest(a, b, c)", "a"],
       "b": ["greatest(a, b)", "b - a", "coalesce(b, x)", "b", "b + coalesce(y, 0)"], "c": ["coalesce(c, a)", "c", "c + x", "abs(c) + least(a, b)"]}
DOWNS = {"a": ["na", "na - x", "na - coalesce(y, 0)", "na / 2"], "b": ["nb", "nb + x", "-nb"], "c": ["nc", "nc - coalesce(y, 1)"]}


class Writer:
    """Statements by either name, or both, of rows that have no NULL; each must leave its row in step, and what it has changed there."""

    def __init__(self, db, dice):
        self.conn, self.dice, self.ids = db.connect(), dice, iter(range(1000, 9000))
        self.pairs = {c: (dice.choice(UPS[c]), dice.choice(DOWNS[c])) for c in "abc" if dice.random() < 0.85}
        self.renamed = dice.random() < 0.5

    def operations(self):
        out = [{"alter_column": {"table": "t", "column": c, "name": f"n{c}", "nullable": True, "up": up, "down": down,
                                 "type": self.dice.choice(["int", "bigint"])}} for c, (up, down) in self.pairs.items()]
        out += [{"rename_column": {"table": "t", "from": "x", "to": "nx"}}] if self.renamed else []
        self.dice.shuffle(out)
        return out

    def statement(self):
        new = self.dice.random() < 0.5
        names = [f"n{c}" if new and (c in self.pairs or c == "x" and self.renamed) else c for c in "abcxy"]
        inserts = self.dice.random() < 0.3
        values = {c: self.dice.randint(-3, 8) for c in (names if inserts else self.dice.sample(names, self.dice.randint(1, 4)))}
        if inserts:
            row = next(self.ids)
            return row, values, f"INSERT INTO t (id, {', '.join(values)}) VALUES ({row}, {', '.join(map(str, values.values()))})"
        row = self.dice.choice([r for (r,) in self.conn.execute("SELECT id FROM t ORDER BY id")])
        return row, values, f"UPDATE t SET {', '.join(f'{c} = {v}' for c, v in values.items())} WHERE id = {row}"

    def play(self, n):
        step = [f"(n{c} IS NOT DISTINCT FROM ({up}) OR {c} IS NOT DISTINCT FROM ({down}))" for c, (up, down) in self.pairs.items()]
        step += ["x IS NOT DISTINCT FROM nx"] if self.renamed else ["true"]
        look = f"SELECT row_to_json(t), {' AND '.join(step)} FROM t WHERE id = "
        for _ in range(n):
            row, values, sql = self.statement()
            before = self.conn.execute(look + str(row)).fetchone()
            self.conn.execute(sql)
            after, in_step = self.conn.execute(look + str(row)).fetchone()
            lost = [c for c, v in values.items() if after[c] != v and (not before or before[0][c] != v)]
            assert in_step and not lost, (self.pairs, sql, before, after, lost)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.one_version
def test_whatever_is_written_by_either_name_leaves_the_row_in_step(db, segue, seed):
    db.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int, x int, y int);"
           "INSERT INTO t SELECT i, i % 5, i % 7, i % 4, i % 3, i % 6 FROM generate_series(1, 60) i")
    writer = Writer(db, random.Random(seed))
    proxy = segue(db)
    proxy.ready({"name": "m", "operations": writer.operations()})
    for turn in ("cutover", "rollback", "cutover"):
        writer.play(80)
        proxy.cli("verify", "m")
        proxy.cli(turn, "m")


@pytest.mark.one_version
def test_a_down_that_reads_what_another_down_makes_is_refused(db, segue):
    db.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b int)")
    is_refused(segue(db), [
        {"alter_column": {"table": "t", "column": "a", "name": "x", "up": "a + b", "down": "x - b"}},
        {"alter_column": {"table": "t", "column": "b", "name": "y", "up": "-b", "down": "-y"}}],
        "down of column a reads column b, which is itself made by down", "chained")
