"""Pairs whose `up` or `down` reads other columns: an UPDATE of such a column alone keeps them in step, in both directions."""

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


@pytest.mark.one_version
def test_a_down_that_reads_what_another_down_makes_is_refused(db, segue):
    db.sql("CREATE TABLE t (id int PRIMARY KEY, a int, b int)")
    is_refused(segue(db), [
        {"alter_column": {"table": "t", "column": "a", "name": "x", "up": "a + b", "down": "x - b"}},
        {"alter_column": {"table": "t", "column": "b", "name": "y", "up": "-b", "down": "-y"}}],
        "down of column a reads column b, which is itself made by down", "chained")
