"""Statements that become others on their way: whose answer is whose, error positions, early readers."""

from threading import Thread

import psycopg
import pytest
from lib.answers import columns, fields, kinds, only, stat
from lib.rawwire import COPY_DONE, FLUSH, SYNC, Raw, bind, close, copy_data, describe, execute, parse, query
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

STAR = "SELECT * FROM items WHERE id = 1"
OLD_COLUMNS = ["id", "label", "note", "filler"]


@pytest.fixture
def ready(db, segue):
    """A proxy with the migration in phase ready: both columns are there."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    proxy.ready(RENAME)
    return proxy


@pytest.fixture
def filling(db, segue):
    """A proxy whose backfill does not come to an end."""
    make_items(db, 3000, filler=500)
    proxy = segue(db, workers=1)
    proxy.console("THROTTLE rows_per_s 10")
    proxy.begin(RENAME)
    proxy.wait_phase("rename_label", "backfilling")
    return proxy


def raw(proxy):
    return Raw(proxy.port).login(proxy.dbname)


# ---- substitution ----


def test_a_star_means_the_columns_of_before_in_both_protocols(ready):
    with raw(ready) as client:
        got = client.send(query(STAR)).answers()
        assert kinds(got) == "TDCZI" and columns(got[0][1]) == OLD_COLUMNS
        got = client.send(parse(STAR), describe(), bind(), describe("P"), execute(), SYNC).answers()
        assert kinds(got) == "1tT2TDCZI"
        assert [columns(body) for body in only(got, "T")] == [OLD_COLUMNS] * 2


def test_what_stands_around_a_rewritten_statement_keeps_its_order(ready):
    with raw(ready) as client:
        client.send(query("SELECT 'front'"), query(STAR), parse("SELECT 'middle'"), bind(), execute(), SYNC,
                    parse(STAR, "mine"), bind("mine"), describe("P"), execute(), close("S", "mine"), SYNC,
                    query("SELECT 'behind'"))
        got = [client.answers() for _ in range(5)]
        assert [kinds(g) for g in got] == ["TDCZI", "TDCZI", "12DCZI", "12TDC3ZI", "TDCZI"]
        assert columns(got[1][0][1]) == OLD_COLUMNS and columns(got[3][2][1]) == OLD_COLUMNS
        assert [only(got[i], "D")[0][6:] for i in (0, 2, 4)] == [b"front", b"middle", b"behind"]


def test_a_statement_that_arrives_byte_by_byte_is_rewritten(ready):
    with raw(ready) as client:
        for byte in query(STAR) + parse(STAR) + bind() + describe("P") + SYNC:
            client.send(bytes([byte]))
        assert columns(client.answers()[0][1]) == OLD_COLUMNS
        assert columns(only(client.answers(), "T")[0]) == OLD_COLUMNS


def test_a_statement_longer_than_what_is_looked_at_passes_untouched(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1, inspect_bytes_max=4096)
    proxy.ready(RENAME)
    before = stat(proxy, "left_length")
    with raw(proxy) as client:
        got = client.send(query(STAR + " -- " + "x" * 5000)).answers()
        assert "title" in columns(got[0][1])
    assert stat(proxy, "left_length") == before + 1


def test_a_pipeline_of_more_than_can_be_followed_waits_for_answers(ready):
    """Else what comes behind the limit would go as it is, and give the new column, too."""
    one = parse(STAR) + bind() + describe("P") + execute()
    with raw(ready) as client:
        for messages, number in ((one, 3000), (query(STAR), 3000), (parse("SELECT 1", "again") + close("S", "again") + one, 900)):
            sender = Thread(target=client.send, args=(messages * number, SYNC if messages[:1] != b"Q" else b""))
            sender.start()
            got = [] if messages[:1] != b"Q" else [a for _ in range(number - 1) for a in client.answers()]
            got += client.answers()
            sender.join()
            assert {tuple(columns(body)) for body in only(got, "T")} == {tuple(OLD_COLUMNS)}
            assert len(only(got, "T")) == number
        # short answers that the server keeps to itself, unless it is asked for them
        client.send(*[parse(STAR, f"s{i}") for i in range(2000)], SYNC)
        assert kinds(client.answers()) == "1" * 2000 + "ZI"
        for i in (0, 999, 1999):
            got = client.send(bind(f"s{i}"), describe("P"), execute(), SYNC).answers()
            assert columns(only(got, "T")[0]) == OLD_COLUMNS
    assert stat(ready, "prepared_again") == 0


def test_parameter_types_go_with_a_rewritten_parse(ready):
    with raw(ready) as client:
        # without its type, $1 would be a text
        got = client.send(parse("SELECT *, pg_typeof($1) FROM items WHERE id = 1", "s", [23]),
                          bind("s", values=[7]), execute(), SYNC).answers()
        assert kinds(got) == "12DCZI" and only(got, "D")[0].endswith(b"integer")


def test_sessions_that_are_in_a_pipeline_when_rules_come_begin_at_their_next_safe_point(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        # another table: the gate does not wait for it
        client.send(parse("SELECT pg_sleep(4)"), bind(), execute(), SYNC)
        proxy.ready(RENAME)
        client.send(query(STAR))
        client.answers()
        client.answers()
        assert columns(client.send(query(STAR)).answers()[0][1]) == OLD_COLUMNS


def test_a_session_that_never_rests_waits_once_for_its_answers(db, segue):
    """One connection of many tasks has always something outstanding."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    sleep = query("SELECT pg_sleep(.2)")
    with raw(proxy) as simple, raw(proxy) as extended:
        for client in (simple, extended):
            client.send(parse(STAR, "s"), SYNC).answers()
            client.send(query("SELECT pg_sleep(4)"))
        proxy.ready(RENAME)
        for _ in range(2):
            simple.send(sleep, query(STAR), sleep)
            extended.send(sleep, bind("s"), describe("P"), execute(), SYNC, sleep)
            for client in (simple, extended):
                client.answers()  # of what was outstanding
                client.answers()
                assert columns(only(client.answers(), "T")[0]) == OLD_COLUMNS
        for client in (simple, extended):
            assert kinds(client.answers()) == "TDCZI"


def test_a_pipeline_that_cannot_be_followed_is_begun_anew(ready):
    with raw(ready) as client:
        # a Sync into a copy that fails: was it read before, or is it answered?
        client.send(query("CREATE TEMP TABLE copied (a int)")).answers()
        client.send(parse("COPY copied FROM STDIN"), bind(), execute(), FLUSH)
        assert [client.read()[0] for _ in range(3)] == ["1", "2", "G"]
        client.send(SYNC, copy_data("no number\n"), COPY_DONE)
        assert client.read()[0] == "E"
        client.send(SYNC)
        assert kinds(client.answers()) == "ZI"
        for _ in range(2):
            assert columns(client.send(query(STAR)).answers()[0][1]) == OLD_COLUMNS


def test_where_backslashes_escape_nothing_is_rewritten(ready):
    """The parser would see other strings than the server does."""
    text = "SELECT *, 'it\\'s' FROM items WHERE id = 1"
    with raw(ready) as client:
        assert columns(client.send(query(STAR)).answers()[0][1]) == OLD_COLUMNS
        client.send(query("SET standard_conforming_strings = off")).answers()
        assert "title" in columns(only(client.send(query(STAR)).answers(), "T")[0])
        assert only(client.send(query(text)).answers(), "D")[0].endswith(b"it's")
        client.send(query("SET standard_conforming_strings = on")).answers()
        assert columns(client.send(query(STAR)).answers()[0][1]) == OLD_COLUMNS


# ---- error positions ----

WRONG = ["SELECT * FROM items WHERE nosuch = 1",
         "SELECT *, 'ä€' FROM items i WHERE i.nosuch",
         "INSERT INTO items (id, label) VALUES (1, 'ü', nosuch)",
         "SELECT nosuch FROM items",
         "SELECT i.*, i.* FROM items i, nosuch"]


def error_of(client, *messages):
    return fields(only(client.send(*messages).answers(), "E")[0])


def test_error_positions_are_those_of_the_clients_text(db, segue):
    make_items(db, 20)
    with Raw(db.cluster.port).login(db.name) as direct:
        want = {text: error_of(direct, query(text)) for text in WRONG}
    proxy = segue(db, workers=1)
    proxy.ready(RENAME)
    before = stat(proxy, "rewritten")
    with raw(proxy) as client:
        for text, error in want.items():
            assert "P" in error
            assert error_of(client, query(text)) == error, text
            assert error_of(client, parse(text), SYNC) == error, text
            assert error_of(client, query("SELECT 1; " + text))["P"] == str(int(error["P"]) + 10)
    assert stat(proxy, "rewritten") > before


def test_a_position_in_an_error_of_a_bind_is_mapped(db, ready):
    db.sql("CREATE TABLE other (a int)")
    text = "SELECT *, (SELECT a FROM other) FROM items"
    with raw(ready) as client:
        assert kinds(client.send(parse(text, "s"), SYNC).answers()) == "1ZI"
        db.sql("ALTER TABLE other RENAME a TO b")
        error = error_of(client, bind("s"), SYNC)
        assert error["C"] == "42703" and int(error["P"]) == text.index("a FROM other") + 1


def test_a_notice_keeps_its_place(db, ready):
    db.sql("CREATE FUNCTION tell() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'told'; RETURN 1; END$$")
    with raw(ready) as client:
        assert kinds(client.send(query("SELECT *, tell() FROM items WHERE id = 1")).answers()) == "TNDCZI"


# ---- early readers ----

EARLY = "SELECT title FROM items"


def test_reading_a_new_column_early_is_refused_and_writing_it_is_not(filling):
    conn = filling.connect()
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as refused:
        conn.execute(EARLY)
    said = refused.value.diag
    assert said.severity == "ERROR" and "items" in said.message_primary and "rename_label" in said.message_primary
    assert said.message_hint and said.statement_position is None
    conn.execute("INSERT INTO items (id, title) VALUES (100001, 'written early')")
    assert conn.execute("SELECT label FROM items WHERE id = 100001").fetchone() == ("written early",)
    reads = ["COPY items (id, title) TO STDOUT", "SELECT i.id FROM items i JOIN items j USING (title)", "SELECT (i).title FROM items i",
             "INSERT INTO items (id, title) VALUES (100002, 'a') ON CONFLICT (title) DO NOTHING"]
    if conn.info.server_version >= 180000:
        reads.append("UPDATE items SET title = 'x' WHERE id = 3000 RETURNING old.title")
    for sql in reads:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            conn.execute(sql)
    assert stat(filling, "early_refused") == 1 + len(reads)


def test_a_refusal_aborts_the_transaction_as_any_error(filling):
    with raw(filling) as client:
        assert kinds(client.send(query("BEGIN")).answers()) == "CZT"
        assert kinds(client.send(query(EARLY)).answers()) == "EZE"
        # from here on the server itself says what is wrong
        for text in (EARLY, STAR):
            assert error_of(client, query(text))["C"] == "25P02"
            assert error_of(client, parse(text), SYNC)["C"] == "25P02"
        assert error_of(client, query("ROLLBACK; " + EARLY))["C"] == "55000"
        assert kinds(client.send(query("ROLLBACK"), query(STAR)).answers()) == "CZI"
        assert kinds(client.answers()) == "TDCZI"


def test_refusals_keep_their_place_in_a_pipeline(filling):
    with raw(filling) as client:
        client.send(query("SELECT 1"), parse("SELECT 2"), bind(), execute(), parse(EARLY, "e"), describe("S", "e"),
                    bind("e"), execute(), SYNC, query("SELECT 3"), query(EARLY), query("SELECT 4"))
        got = [client.answers() for _ in range(5)]
        assert [kinds(g) for g in got] == ["TDCZI", "12DCEZI", "TDCZI", "EZI", "TDCZI"]
        assert [fields(only(got[i], "E")[0])["C"] for i in (1, 3)] == ["55000"] * 2
        # it was never prepared
        assert error_of(client, bind("e"), SYNC)["C"] == "26000"


def test_a_refusal_behind_a_failed_message_gets_no_answer(filling):
    with raw(filling) as client:
        got = client.send(parse("SELECT 1/0"), bind(), execute(), parse(EARLY), bind(), execute(), SYNC).answers()
        assert kinds(got)[-3:] == "EZI" and fields(only(got, "E")[0])["C"] == "22012" and len(only(got, "E")) == 1
        assert kinds(client.send(query("SELECT 1")).answers()) == "TDCZI"


def test_the_servers_log_tells_of_a_refusal(db, filling):
    with raw(filling) as client:
        assert error_of(client, query(EARLY))["C"] == "55000"
    line = until("the log", lambda: next((x for x in db.cluster.log_tail(200).splitlines() if "segue~early~1: " in x and "rename_label" in x), None))
    assert "items" in line


def test_a_refused_statement_that_is_cancelled_is_answered_by_that_error(filling):
    # a refusal answers for the syntax error alone; the next one is a refusal again
    with raw(filling) as client:
        for _ in range(3):
            assert error_of(client, parse(EARLY, "again"), SYNC)["C"] == "55000"
        assert kinds(client.send(parse("SELECT 1", "again"), bind("again"), execute(), SYNC).answers()) == "12DCZI"


# ---- temporary tables ----


@pytest.mark.one_version
def test_a_temporary_table_of_that_name_is_not_taken_for_the_migrating_one(ready):
    with raw(ready) as client:
        client.send(query("CREATE TEMP TABLE items AS SELECT 1 AS one")).answers()
        assert columns(client.send(query("SELECT * FROM items")).answers()[0][1]) == ["one"]
        assert columns(client.send(query("SELECT * FROM public.items LIMIT 1")).answers()[0][1]) == OLD_COLUMNS
        client.send(query("DISCARD ALL")).answers()
        until("its end to be known", lambda: columns(client.send(query("SELECT * FROM items LIMIT 1")).answers()[0][1]) == OLD_COLUMNS)
        # a temporary table made of it is another matter
        client.send(query("CREATE TEMP TABLE mine AS SELECT * FROM items")).answers()
        assert columns(client.send(query("SELECT * FROM items LIMIT 1")).answers()[0][1]) == OLD_COLUMNS
        assert columns(client.send(query("SELECT * FROM mine LIMIT 1")).answers()[0][1]) == OLD_COLUMNS


def star(client):
    return columns(client.send(query("SELECT * FROM items LIMIT 1")).answers()[0][1])


@pytest.mark.one_version
def test_a_temporary_table_that_comes_back_hides_the_migrating_one_again(ready):
    with raw(ready) as client, raw(ready) as other:
        for text in ("BEGIN", "CREATE TEMP TABLE items AS SELECT 1 AS one", "SAVEPOINT s", "DISCARD TEMP"):
            client.send(query(text)).answers()
        for text in ("CREATE TEMP TABLE items AS SELECT 1 AS one", "DISCARD TEMP"):
            other.send(query(text)).answers()
        until("rules that were read since", lambda: star(other) == OLD_COLUMNS)
        client.send(query("ROLLBACK TO s")).answers()
        assert star(client) == ["one"]


# ---- what is shown ----


@pytest.mark.one_version
def test_show_rewrites_tells_what_became_of_statements(ready):
    with raw(ready) as client:
        for _ in range(3):
            client.send(query(STAR)).answers()
        client.send(query("/* segue:off */ " + STAR)).answers()
    rows = {r["statement"]: r for r in ready.console("SHOW REWRITES")}
    row = rows[STAR]
    assert int(row["uses"]) >= 3 and "label" in row["sent_instead"] and row["left_because"] is None
    off = rows["/* segue:off */ " + STAR]
    assert off["sent_instead"] is None and "turned off" in off["left_because"]
    assert stat(ready, "left_off") == 1
