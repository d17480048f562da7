"""When workers get new rules: with the phases, and when the catalog gives a name another meaning."""

import re

import psycopg
import pytest
from lib.tables import RENAME, make_items
from lib.wait import until


def epochs(proxy):
    text = proxy.log_text()
    assert "reading the catalog for the rules" not in text, text
    return [(int(e), int(n)) for e, n in re.findall(r"rules of epoch (\d+): (\d+) tables", text)]


def changes_read(proxy):
    """How many changes by clients of segue the engine knew of when it began to read the catalog the last time."""
    return int(re.findall(r"rules after (\d+) changes", proxy.log_text())[-1])


def settle(proxy, conn):
    """The catalog has been read since: a command through segue, which means nothing, wakes who reads it."""
    before = changes_read(proxy)
    conn.execute("DROP TABLE IF EXISTS of_even_less; CREATE TABLE of_even_less (a int)")
    until("the catalog to be read", lambda: changes_read(proxy) > before)


def test_each_phase_that_shows_something_else_has_its_own_epoch(db, segue):
    make_items(db, 100)
    proxy = segue(db, log_level="debug")
    name = proxy.ready(RENAME)
    assert [n for _, n in epochs(proxy)] == [1, 1, 1]  # expanding, backfilling, ready
    proxy.cli("cutover", name)
    proxy.cli("rollback", name)
    assert [n for _, n in epochs(proxy)] == [1] * 6  # soaking, reverting, ready
    proxy.cli("abort", name)
    seen = epochs(proxy)
    assert [n for _, n in seen] == [1] * 7 + [0]
    assert [e for e, _ in seen] == sorted({e for e, _ in seen})


@pytest.mark.one_version
def test_the_epoch_grows_when_a_name_gets_another_meaning_and_only_then(db, segue):
    make_items(db, 100)
    proxy = segue(db, log_level="debug")
    proxy.ready(RENAME)
    other = db.connect()
    other.execute("CREATE TABLE of_no_interest (a int, b text)")
    meanings = ["CREATE TABLE another (title text)", "CREATE SCHEMA s CREATE SEQUENCE items",
                "CREATE TEMP TABLE items (a int)", "ALTER TABLE public.items ADD COLUMN more int",
                "ALTER TABLE another RENAME title TO t",
                "GRANT INSERT (label) ON public.items TO app", "REVOKE INSERT (label) ON public.items FROM app",
                "CREATE FUNCTION lower_label() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN NEW.label := lower(NEW.label); RETURN NEW; END'; "
                "CREATE TRIGGER lower_label BEFORE INSERT ON public.items FOR EACH ROW EXECUTE FUNCTION lower_label()"]
    with proxy.connect() as client:
        settle(proxy, client)
        for statement in [*meanings, "DROP TABLE pg_temp.items"]:
            before = len(epochs(proxy))
            other.execute(statement)
            settle(proxy, client)
            grown = len(epochs(proxy)) - before
            assert grown in (1, 2), statement  # the parts of one reading are read one after the other
            settle(proxy, client)
            assert len(epochs(proxy)) == before + grown, statement
        before = len(epochs(proxy))
        other.execute("CREATE TEMP TABLE items (a int)")
        settle(proxy, client)
        assert len(epochs(proxy)) > before
        before = len(epochs(proxy))
        other.close()
        # by itself the catalog is read the less often the longer that takes
        until("the temporary table's end", lambda: settle(proxy, client) or len(epochs(proxy)) > before)


def test_what_is_read_of_the_catalog_is_read_again_after_a_restart_in_any_phase(db, segue):
    make_items(db, 100)
    proxy = segue(db, log_level="debug")
    proxy.ready(RENAME)
    before = epochs(proxy)
    proxy.restart()
    until("the rules of the new process", lambda: len(epochs(proxy)) > len(before))
    assert epochs(proxy)[-1][0] >= before[-1][0] and epochs(proxy)[-1][1] == 1


@pytest.mark.one_version
def test_a_function_is_called_twice_only_if_all_that_are_called_so_allow_it(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)

    def sent(value, call="fits("):
        with proxy.connect() as conn:
            rows = conn.execute(f"EXPLAIN (VERBOSE, COSTS OFF) UPDATE items SET label = {value}").fetchall()
        plan = "\n".join(row[0] for row in rows)
        return "in a sub-select" if "SubPlan" in plan else ["", "once", "twice"][plan.count(call)]

    made = "CREATE FUNCTION {} RETURNS text LANGUAGE internal AS 'upper' {};"
    names = {"fits": "IMMUTABLE", "stable_fits": "STABLE", "volatile_fits": "VOLATILE"}
    with proxy.connect() as other:  # what it changes is read at once
        other.execute("CREATE SCHEMA s;" + "".join(made.format(f"{name}(text)", kind) for name, kind in names.items()) +
                      made.format("defaulted_fits(text)", "IMMUTABLE") +
                      made.format("s.defaulted_fits(x text DEFAULT random()::text)", "IMMUTABLE") +
                      made.format("aggregated_fits(text)", "IMMUTABLE") +
                      "CREATE AGGREGATE s.aggregated_fits(int) (SFUNC = int4pl, STYPE = int);"
                      "CREATE FUNCTION told_fits(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';"
                      "CREATE OPERATOR <-> (FUNCTION = fits, RIGHTARG = text);"
                      "CREATE OPERATOR <~> (FUNCTION = volatile_fits, RIGHTARG = text)")
        until("the rules to know of the functions", lambda: sent("fits(label)") == "twice")
        for name in ("stable_fits", "volatile_fits", "defaulted_fits"):
            assert sent(f"{name}(label)") == "in a sub-select", name
        for name in ("aggregated_fits", "told_fits"):  # the latter may speak, and the planner may call it
            assert sent(f"{name}(label)") == "once", name
        assert sent("<-> label", "<->") == "twice" and sent("<~> label", "<~>") == "once"
        other.execute("CREATE TYPE thing AS (a int); CREATE FUNCTION thing(text) RETURNS thing LANGUAGE sql AS 'SELECT ROW(1)::thing'; "
                      "CREATE CAST (text AS thing) WITH FUNCTION thing(text) AS IMPLICIT")
        until("a cast that may do anything", lambda: sent("fits(label)") == "once")


@pytest.mark.one_version
def test_of_a_table_with_rules_nothing_is_written_twice(db, segue):
    make_items(db, 10)
    proxy = segue(db)
    proxy.ready(RENAME)
    with proxy.connect() as other:  # what it changes is read at once
        other.execute("CREATE TABLE told (id bigint, label text); CREATE RULE tell AS ON UPDATE TO items DO ALSO "
                      "INSERT INTO told VALUES (NEW.id, NEW.label)")
    with proxy.connect() as conn:
        def written():
            plan = conn.execute("EXPLAIN (VERBOSE, COSTS OFF) UPDATE items SET label = 'x'").fetchall()
            return sum(row[0].count("'x'") for row in plan)

        until("the rules to know of the rule", lambda: written() == 2)  # by the statement, and by the rule
        conn.execute("UPDATE items SET label = reverse(label || pg_backend_pid()) WHERE id = 3")
        assert conn.execute("SELECT count(*) FROM told").fetchone() == (1,)


@pytest.mark.one_version
def test_what_early_readers_are_told_goes_on_within_one_epoch(db, segue):
    make_items(db, 400, filler=3500)
    proxy = segue(db, log_level="debug")
    proxy.console("THROTTLE rows_per_s 10")
    proxy.begin(RENAME)
    proxy.wait_phase("rename_label", "backfilling")
    told = set()

    def progress():
        settle(proxy, conn)  # or it depends on how long it takes to read the catalog how often it is told
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
            conn.execute("SELECT title FROM items")
        told.add(re.match(r"(\d+) % of the way", refused.value.diag.message_detail)[1])
        return len(told) > 1

    with proxy.connect() as conn:
        until("progress", progress, timeout=35)
        assert len(epochs(proxy)) == 2  # expanding, backfilling
