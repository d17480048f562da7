"""Statements that are prepared, used and dropped by SQL (PREPARE, EXECUTE, DEALLOCATE), over epoch changes."""

from contextlib import ExitStack

import psycopg
import pytest
from lib.answers import columns, fields, kinds, only, stat, values
from lib.rawwire import SYNC, Raw, bind, close, describe, execute, parse, query
from lib.tables import RENAME, make_items

pytestmark = pytest.mark.newest_unless_told

NAME = "rename_label"
OLD, NEW = ["id", "label", "note", "filler"], ["id", "note", "filler", "title"]
PREPARE = "PREPARE s AS SELECT * FROM items WHERE id = $1"

# What is done to the migration; which columns a statement has from then on that was prepared before all of it.
LIFE = [(lambda proxy: None, OLD),
        (lambda proxy: proxy.ready(RENAME), OLD),
        (lambda proxy: proxy.cli("cutover", NAME), OLD),
        (lambda proxy: proxy.cli("rollback", NAME), OLD),
        (lambda proxy: proxy.cli("cutover", NAME), OLD),
        (lambda proxy: proxy.cli("complete", NAME, "--force"), NEW)]


def raw(proxy):
    return Raw(proxy.port).login(proxy.dbname)


def names(cursor):
    return [c.name for c in cursor.description]


@pytest.fixture
def proxy(db, segue):
    make_items(db, 20)
    return segue(db, workers=1)


def run_simple(client, text):
    return client.send(query(text)).answers()


def run_extended(client, text):
    return client.send(parse(text), bind(), describe("P"), execute(), SYNC).answers()


@pytest.mark.parametrize("run", [run_simple, run_extended])
def test_what_sql_has_prepared_before_the_migration_lives_through_it(proxy, run):
    texts = {"s": PREPARE, "typed": "PREPARE typed (int, text) AS SELECT *, $2 AS more FROM items WHERE id = $1",
             "Quoted": 'PREPARE "Quoted" AS SELECT t.* FROM items t WHERE id = $1;'}
    with raw(proxy) as client:
        for text in texts.values():
            assert kinds(run(client, text)).endswith("CZI")
        for act, seen in LIFE:
            act(proxy)
            for _ in range(2):
                for use in ("EXECUTE s(1)", "EXECUTE typed(1, 'x')", 'EXECUTE "Quoted"(1)'):
                    got = run(client, use)
                    assert kinds(got).replace("12", "") == "TDCZI", (use, got)
                    assert columns(only(got, "T")[0])[:4] == seen, use
                    assert b"row 1" in values(only(got, "D")[0])
    assert stat(proxy, "named_unseen") == 0


@pytest.mark.one_version
def test_each_kind_of_execute_is_served(proxy, db):
    conn = proxy.connect(prepare_threshold=None)
    conn.execute(PREPARE)
    for n, (act, seen) in enumerate(LIFE):
        act(proxy)
        assert names(conn.execute("/* one */ SELECT 1; EXECUTE s(1)")) == ["?column?"]
        assert "items" in conn.execute("EXPLAIN EXECUTE s(1)").fetchone()[0]
        conn.execute(f"CREATE TABLE made_{n} AS EXECUTE s(1)")
        assert names(conn.execute(f"SELECT * FROM made_{n}")) == seen
        with conn.transaction():
            assert names(conn.execute("EXECUTE s(2)")) == seen


@pytest.mark.one_version
def test_the_first_use_after_expand_may_be_of_any_kind(proxy, db):
    uses = ("EXPLAIN EXECUTE s(1)", "CREATE TABLE made AS EXECUTE s(1)", "BEGIN; EXECUTE s(1); COMMIT",
            " -- blank\n execute S (1)")
    conns = [proxy.connect(prepare_threshold=None) for _ in uses]
    for conn in conns:
        conn.execute(PREPARE)
        conn.execute("EXECUTE s(1)")
    proxy.ready(RENAME)
    for conn, use in zip(conns, uses):
        conn.execute(use)
        assert names(conn.execute("EXECUTE s(1)")) == OLD
        conn.close()
    assert names(db.connect().execute("SELECT * FROM made")) == OLD
    assert stat(proxy, "prepared_again") == len(uses)


@pytest.mark.one_version
def test_a_pipeline_of_executes_is_served(proxy):
    conn = proxy.connect(prepare_threshold=None)
    conn.execute(PREPARE)
    for act, seen in LIFE:
        act(proxy)
        with conn.pipeline():
            cursors = [conn.execute("EXECUTE s(1)") for _ in range(3)]
        assert [names(c) for c in cursors] == [seen] * 3


@pytest.mark.one_version
def test_what_a_text_of_several_prepares_is_known_each(proxy):
    conn = proxy.connect(prepare_threshold=None)
    conn.execute("PREPARE é AS SELECT 1; PREPARE a AS SELECT *, 'é' FROM items; PREPARE b AS SELECT * FROM items WHERE id = 2")
    for act, seen in LIFE:
        act(proxy)
        assert names(conn.execute("EXECUTE a"))[:4] == seen and conn.execute("EXECUTE b").fetchone()[0] == 2
        assert conn.execute("EXECUTE é").fetchone() == (1,)


@pytest.mark.one_version
def test_statements_of_both_protocols_share_their_names(proxy):
    with raw(proxy) as client:
        client.send(query(PREPARE.replace(" s ", " by_sql "))).answers()
        client.send(parse("SELECT * FROM items WHERE id = $1", "by_parse", [20]), SYNC).answers()
        for act, seen in LIFE:
            act(proxy)
            got = client.send(query("EXECUTE by_parse(1)")).answers()
            if seen == NEW:  # nothing is known of whether its results are described
                assert kinds(got) == "EZI" and fields(got[0][1])["C"] == "0A000"
            else:
                assert kinds(got) == "TDCZI" and columns(got[0][1]) == seen
            got = client.send(bind("by_sql", values=["1"]), describe("P"), execute(), SYNC).answers()
            assert kinds(got) == "2TDCZI" and columns(got[1][1]) == seen
        # the server has it under its name, as before
        assert kinds(client.send(close("S", "by_sql"), SYNC).answers()) == "3ZI"
        assert fields(client.send(query("EXECUTE by_sql(1)")).answers()[0][1])["C"] == "26000"


# ---- what is dropped, or was never there ----


def test_what_was_dropped_is_not_made_again(proxy):
    drops = ("DEALLOCATE s", "DEALLOCATE PREPARE s", "DEALLOCATE ALL", "DISCARD ALL", "SELECT 1; DEALLOCATE s")

    def prepared():
        client = clients.enter_context(raw(proxy))
        client.send(query(PREPARE), parse("SELECT * FROM items", "p"), SYNC)
        client.answers(), client.answers()
        return client

    def dropped(client, drop):
        assert fields(run_simple(client, "EXECUTE s(1)")[0][1])["C"] == "26000", drop
        got = client.send(bind("p"), execute(), SYNC).answers()
        assert kinds(got)[:1] == ("E" if " ALL" in drop else "2"), drop

    with ExitStack() as clients:
        idle, later = [prepared() for _ in drops], [prepared() for _ in drops]
        for client, drop in zip(idle, drops):
            run_simple(client, drop)
        proxy.ready(RENAME)
        for client, drop in zip(later, drops):
            run_simple(client, drop)
        for client, drop in zip(idle + later, drops * 2):
            dropped(client, drop)


@pytest.mark.parametrize("drop", ["DISCARD ALL", "DEALLOCATE ALL", "DEALLOCATE s"])
def test_behind_a_drop_on_its_way_nothing_is_made_again_and_what_is_new_stays(proxy, drop):
    use = (bind("s", values=["1"]), describe("P"), execute(), SYNC)
    other = parse("SELECT note, items.* FROM items WHERE id = $1", "s", [20])

    def answers(client, *messages):
        client.send(*messages)
        return [kinds(client.answers()) for _ in range(sum(m == SYNC or m[:1] == b"Q" for m in messages))]

    with ExitStack() as clients:
        by_parse, by_sql, begun, new = (clients.enter_context(raw(proxy)) for _ in range(4))
        for client in (by_parse, begun, new):
            client.send(parse("SELECT * FROM items WHERE id = $1", "s"), SYNC).answers()
        run_simple(by_sql, PREPARE)
        proxy.ready(RENAME)
        assert answers(by_parse, query(drop), *use, query("EXECUTE s(1)"), *use) == ["CZI"] + ["EZI"] * 3
        assert answers(by_sql, query(drop), query("EXECUTE s(1)"), *use, query("EXECUTE s(1)")) == ["CZI"] + ["EZI"] * 3
        # what is prepared again in front of the drop is dropped by it
        assert answers(begun, *use, query(drop), *use) == ["2TDCZI", "CZI", "EZI"]
        # what is prepared behind it is known: it is on the same side after the cut-over, and goes on after the end
        assert answers(new, query(drop), other, *use) == ["CZI", "12TDCZI"]
        proxy.cli("cutover", NAME)
        got = new.send(*use).answers()
        assert columns(only(got, "T")[0]) == ["note", *OLD]
        assert kinds(begun.send(*use).answers()) == "EZI"
        proxy.cli("complete", NAME, "--force")
        got = new.send(*use).answers()
        assert columns(only(got, "T")[0]) == ["note", *NEW]


@pytest.mark.one_version
def test_a_prepare_that_failed_changes_nothing(proxy):
    conn = proxy.connect(prepare_threshold=None, autocommit=True)
    conn.execute(PREPARE)
    for text in ("PREPARE s AS SELECT 'other'", "SELECT 1/0; PREPARE s AS SELECT 2"):
        with pytest.raises(psycopg.Error):
            conn.execute(text)
    with pytest.raises(psycopg.errors.UndefinedColumn):
        conn.execute("PREPARE never AS SELECT nothing FROM items")
    proxy.ready(RENAME)
    assert names(conn.execute("EXECUTE s(1)")) == OLD
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        conn.execute("EXECUTE never")


@pytest.mark.one_version
def test_a_name_given_again_means_the_new_statement(proxy):
    idle, later = (proxy.connect(prepare_threshold=None) for _ in range(2))

    def again(conn):
        conn.execute("DEALLOCATE s")
        conn.execute("PREPARE s AS SELECT note, items.* FROM items WHERE id = $1")

    for conn in (idle, later):
        conn.execute(PREPARE)
    again(idle)
    proxy.ready(RENAME)
    again(later)
    for verb in ("cutover", "rollback", "abort"):
        for conn in (idle, later):
            assert names(conn.execute("EXECUTE s(1)")) == ["note", *OLD]
        proxy.cli(verb, NAME)
    for conn in (idle, later):
        assert names(conn.execute("EXECUTE s(1)")) == ["note", *OLD]


@pytest.mark.one_version
def test_a_name_dropped_where_nobody_looks_is_not_known_any_more(proxy):
    conn = proxy.connect(prepare_threshold=None)
    conn.execute(PREPARE)
    conn.execute("SELECT 1; DEALLOCATE s; PREPARE s AS SELECT 'hidden' WHERE $1 = 1")
    assert stat(proxy, "named_unseen") == 2
    proxy.ready(RENAME)
    assert conn.execute("EXECUTE s(1)").fetchone() == ("hidden",)


@pytest.mark.one_version
def test_in_a_failed_transaction_nothing_is_prepared_again(proxy):
    with raw(proxy) as client:
        run_simple(client, PREPARE)
        run_simple(client, "BEGIN")
        run_simple(client, "SELECT 1/0")
        proxy.ready(RENAME)
        for run in (run_simple, run_extended):
            got = run(client, "EXECUTE s(1)")
            assert kinds(got) == "EZE" and fields(got[0][1])["C"] == "25P02"
        assert stat(proxy, "prepared_again") == 0
        run_simple(client, "ROLLBACK")
        assert columns(run_simple(client, "EXECUTE s(1)")[0][1]) == OLD


# ---- errors ----


def test_errors_of_execute_name_the_place_in_the_text_that_was_prepared(proxy, db):
    one = "PREPARE s AS SELECT items.*, beside.x FROM items, beside"
    ways = [(run_simple, one), (run_extended, one), (run_simple, "SELECT 1 AS é; " + one)]
    db.sql("CREATE TABLE beside (x int)")
    with ExitStack() as clients:
        # of several statements in one text only the ends are seen without rules
        before = [(clients.enter_context(raw(proxy)), *way) for way in ways[:2]]
        after = [(clients.enter_context(raw(proxy)), *way) for way in ways]
        for client, run, text in before:
            run(client, text)
        proxy.ready(RENAME)
        for client, run, text in after:
            run(client, text)
        for client, run, _ in before + after:
            assert kinds(run(client, "EXECUTE s")).endswith("CZI")
        db.sql("ALTER TABLE beside RENAME x TO y")
        for client, run, text in before + after:
            direct = clients.enter_context(Raw(db.cluster.port).login(db.name))
            db.sql("ALTER TABLE beside RENAME y TO x")
            run(direct, text)
            db.sql("ALTER TABLE beside RENAME x TO y")
            wanted = fields(only(run(direct, "EXECUTE s"), "E")[0])
            assert int(wanted["P"]) == text.index("beside.x") + 1
            assert fields(only(run(client, "EXECUTE s"), "E")[0]) == wanted


@pytest.mark.one_version
def test_an_error_about_an_argument_keeps_its_place(proxy):
    with raw(proxy) as client:
        run_simple(client, "PREPARE s AS SELECT *, note FROM items WHERE id = $1")
        proxy.ready(RENAME)
        run_simple(client, "EXECUTE s(1)")
        text = "EXECUTE s" + " " * 60 + "('no number')"
        error = fields(only(run_simple(client, text), "E")[0])
        assert error["C"] == "22P02" and int(error["P"]) == text.index("'") + 1


@pytest.mark.one_version
def test_when_it_cannot_be_prepared_again_the_query_fails_with_that(proxy, db):
    with raw(proxy) as client:
        run_simple(client, "CREATE TABLE beside (id bigint)")
        run_simple(client, "PREPARE s AS SELECT items.* FROM items JOIN beside USING (id)")
        proxy.ready(RENAME)
        db.sql("DROP TABLE beside")
        for _ in range(2):
            got = run_simple(client, "EXECUTE s")
            assert kinds(got) == "EZI" and fields(got[0][1])["C"] == "42P01"
        db.sql("CREATE TABLE beside (id bigint)")
        assert columns(run_simple(client, "EXECUTE s")[0][1]) == OLD


@pytest.mark.parametrize("run", [run_simple, run_extended])
def test_what_is_prepared_again_may_take_more_room_than_all_that_is_in_flight(proxy, run):
    """What stands in front of the EXECUTE fills the pipeline: both go out, and nothing is left for the next session."""
    numbers = ", ".join(str(n) for n in range(1, 30000))
    with raw(proxy) as client, raw(proxy) as other:
        assert kinds(run_simple(client, f"PREPARE big AS SELECT * FROM items WHERE id IN ({numbers}) AND id = 1")) == "CZI"
        for act, seen in LIFE:
            act(proxy)
            got = run(client, "EXECUTE big")
            assert kinds(got).replace("12", "") == "TDCZI"
            assert columns(only(got, "T")[0]) == seen
            assert kinds(run(other, "SELECT 1")).replace("12", "") == "TDCZI"
            assert values(only(run(other, "SELECT count(*) FROM pg_prepared_statements"), "D")[0]) == [b"0"]
