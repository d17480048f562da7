"""Prepared statements over epoch changes: expand, cut-over, rollback, complete, abort."""

import asyncio
import struct
import threading
from contextlib import contextmanager

import asyncpg
import psycopg
import pytest
from lib.answers import columns, fields, kinds, only, stat, values
from lib.rawwire import SYNC, Raw, bind, close, describe, execute, parse, query
from lib.tables import RENAME, make_items
from lib.wait import until

pytestmark = pytest.mark.newest_unless_told

STAR = "SELECT * FROM items WHERE id = $1"
ONE_STAR = "SELECT * FROM items WHERE id = 1"
INSERT = "INSERT INTO items (id, label) VALUES ($1, $2) RETURNING *"
NAME = "rename_label"


def raw(proxy, **options):
    return Raw(proxy.port).login(proxy.dbname, **options)


OLD_COLUMNS, NEW_COLUMNS = ["id", "label", "note", "filler"], ["id", "note", "filler", "title"]

# A migration's life: what is done to it, and which columns a session that follows it sees from then on.
LIFE = [("ready", lambda proxy: proxy.ready(RENAME), OLD_COLUMNS),
        ("cutover", lambda proxy: proxy.cli("cutover", NAME), NEW_COLUMNS),
        ("rollback", lambda proxy: proxy.cli("rollback", NAME), OLD_COLUMNS),
        ("cutover again", lambda proxy: proxy.cli("cutover", NAME), NEW_COLUMNS),
        ("complete", lambda proxy: proxy.cli("complete", NAME, "--force"), NEW_COLUMNS)]


def test_a_result_that_was_described_once_stays_what_it_was_until_its_columns_are_gone(db, segue):
    """Clients that trust what they were told, and read it in binary."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        known = {}

        def prepare(name):
            got = client.send(parse(STAR, name, [20]), describe("S", name), SYNC).answers()
            assert only(got, "t") == [b"\0\1\0\0\0\x14"]
            known[name] = columns(only(got, "T")[0])

        prepare("idle")
        for what, act, seen in LIFE:
            act(proxy)
            gone = [name for name, told in known.items() if told == OLD_COLUMNS] if what == "complete" else []
            for name in known.keys() - set(gone):
                for _ in range(2):
                    got = client.send(bind(name, values=[2], binary=True), execute(), SYNC).answers()
                    assert kinds(got) == "2DCZI", (what, name, got)
                    row = dict(zip(known[name], values(only(got, "D")[0])))
                    assert row["id"] == struct.pack("!q", 2) and row["note"] == b"note"
                    assert row["label" if "label" in row else "title"] == b"row 2", (what, name)
            for name in gone:
                for message in (bind(name, values=[2]), describe("S", name)):
                    got = client.send(message, execute(), SYNC).answers()
                    assert kinds(got) == "EZI", (name, got)
                    error = fields(got[0][1])
                    assert (error["C"], error["R"]) == ("0A000", "RevalidateCachedQuery")
                assert kinds(client.send(close("S", name), SYNC).answers()) == "3ZI"
                prepare(name)
                assert known[name] == NEW_COLUMNS
                got = client.send(bind(name, values=[2]), execute(), SYNC).answers()
                assert kinds(got) == "2DCZI" and values(got[1][1])[3] == b"row 2"
            prepare(what)
            assert known[what] == seen, what
    assert stat(proxy, "changed_refused") > 0


def test_who_describes_each_result_meets_no_error(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        client.send(parse(STAR, "s", [20]), SYNC).answers()
        for what, act, _seen in LIFE:
            act(proxy)
            for _ in range(2):
                got = client.send(bind("s", values=[1]), describe("P"), execute(), SYNC).answers()
                assert kinds(got) == "2TDCZI", (what, got)
                told = columns(only(got, "T")[0])
                assert told == (NEW_COLUMNS if what == "complete" else OLD_COLUMNS), what
                assert b"row 1" in values(only(got, "D")[0])
            got = client.send(describe("S", "s"), SYNC).answers()
            assert kinds(got) == "tTZI" and only(got, "t") == [b"\0\1\0\0\0\x14"]


def test_who_has_described_one_result_may_trust_it(db, segue):
    """As JDBC does: the first portal of a statement is described, the others are not."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        proxy.ready(RENAME)
        got = client.send(parse(STAR, "s", [20]), bind("s", values=[1]), describe("P"), execute(), SYNC).answers()
        assert kinds(got) == "12TDCZI" and columns(got[2][1]) == OLD_COLUMNS
        proxy.cli("cutover", NAME)
        proxy.cli("complete", NAME, "--force")
        got = client.send(bind("s", values=[1]), execute(), SYNC).answers()
        assert kinds(got) == "EZI" and fields(got[0][1])["C"] == "0A000"


@pytest.mark.parametrize("used, end", [("ready", "abort"), ("cutover", "complete"), ("rollback", "abort")])
def test_a_statement_last_used_at_some_point_lives_on_after_the_end(db, segue, used, end):
    """What it was rewritten to names a column that is gone then."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        for what, act, seen in LIFE:
            act(proxy)
            if what == used:
                break
        insert = INSERT.replace("label", "title" if "title" in seen else "label")
        for name, text, arguments in (("s", STAR, [1]), ("i", insert, [1000, "new"])):
            got = client.send(parse(text, name), bind(name, values=arguments), execute(), SYNC).answers()
            assert kinds(got) == "12DCZI"
        proxy.cli(end, NAME, "--force")
        for n in range(2):
            assert kinds(client.send(bind("s", values=[1]), execute(), SYNC).answers()) == "2DCZI"
            assert kinds(client.send(bind("i", values=[1001 + n, "later"]), execute(), SYNC).answers()) == "2DCZI"
    assert db.one("SELECT count(*) FROM items WHERE id > 999") == 3


@pytest.mark.parametrize("prepared", ["idle", "ready"])
def test_drivers_do_not_notice_the_epochs(db, segue, prepared):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    if prepared == "ready":
        proxy.ready(RENAME)
    conn = proxy.connect(prepare_threshold=0)
    loop = asyncio.new_event_loop()
    aconn = loop.run_until_complete(asyncpg.connect(proxy.url()))
    statement = loop.run_until_complete(aconn.prepare("SELECT id, note FROM items WHERE id = $1"))
    last = 100

    def use(column):
        nonlocal last
        for _ in range(3):
            for row in (conn.execute(ONE_STAR), conn.execute(ONE_STAR, binary=True),
                        conn.execute("SELECT * FROM items WHERE id = %s", (1,))):
                assert "row 1" in row.fetchone()
            assert tuple(loop.run_until_complete(statement.fetchrow(1))) == (1, "note")
            row = dict(loop.run_until_complete(aconn.fetchrow(ONE_STAR)))
            assert row["note"] == "note" and row.get("label", row.get("title")) == "row 1"
            last += 1
            conn.execute(f"INSERT INTO items (id, {column}) VALUES (%s, %s)", (last, "psycopg"))
            last += 1
            loop.run_until_complete(aconn.execute(f"INSERT INTO items (id, {column}) VALUES ($1, $2)", last, "asyncpg"))

    try:
        use("label")
        for what, act, seen in LIFE[prepared == "ready":]:
            act(proxy)
            use("title" if "title" in seen else "label")
            if what != "complete":
                use("label")
    finally:
        loop.run_until_complete(aconn.close())
        loop.close()
        conn.close()
    assert db.one("SELECT count(*) FROM items WHERE title IN ('psycopg', 'asyncpg')") == last - 100


def test_injected_messages_behind_a_failed_one_are_sent_again(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        client.send(parse(STAR, "s"), SYNC).answers()
        proxy.ready(RENAME)
        got = client.send(parse("SELECT 1/0"), bind(), execute(), bind("s", values=[1]), execute(), SYNC).answers()
        assert kinds(got)[-3:] == "EZI" and "3" not in kinds(got) and fields(only(got, "E")[0])["C"] == "22012"
        again = stat(proxy, "prepared_again")
        got = client.send(bind("s", values=[1]), describe("P"), execute(), SYNC).answers()
        assert kinds(got) == "2TDCZI" and "title" not in columns(got[1][1])
        assert stat(proxy, "prepared_again") == again + 1
        assert kinds(client.send(bind("s", values=[1]), execute(), SYNC).answers()) == "2DCZI"
        assert stat(proxy, "prepared_again") == again + 1


LONG = "a" * 70  # a name that is cut, which a notice says


@pytest.mark.parametrize("sets", ["client_min_messages = notice", "client_min_messages = debug5"])
def test_nobody_hears_what_the_server_notices_about_injected_messages(db, segue, sets):
    """What a client sends is noticed as often as it sends it."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    texts = {"one": f"SELECT *, id AS {LONG} FROM items WHERE id = $1", "sql": f"SELECT *, id AS {LONG} FROM items WHERE id = 2"}
    with raw(proxy) as client:
        client.send(query(f"SET {sets}")).answers()
        got = client.send(parse(texts["one"], "one", [20]), SYNC).answers()
        assert [fields(body)["C"] for kind, body in got if kind == "N" and fields(body)["C"] == "42622"] == ["42622"]
        client.send(query(f"PREPARE sql AS {texts['sql']}")).answers()
        for what, act, _ in LIFE[:-1]:
            act(proxy)
            for parts in ((bind("one", values=[2]), execute(), SYNC), (query("EXECUTE sql"),)):
                direct = {"00000"} if "debug" in sets else set()
                got = client.send(*parts).answers()
                assert only(got, "D") and {fields(body)["C"] for kind, body in got if kind == "N"} <= direct, (what, got)
                assert not any("segue~" in str(fields(body)) for kind, body in got if kind == "N"), (what, got)
    assert stat(proxy, "prepared_again") == 2


def test_in_an_aborted_transaction_nothing_is_prepared_again(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        client.send(parse(STAR, "s"), parse("ROLLBACK", "r"), SYNC).answers()
        assert kinds(client.send(query("BEGIN"), query("SELECT 1/0")).answers()) == "CZT"
        client.answers()
        proxy.ready(RENAME)
        before = stat(proxy, "prepared_again")
        got = client.send(bind("s", values=[1]), execute(), SYNC).answers()
        assert kinds(got) == "EZE" and fields(got[0][1])["C"] == "25P02"
        # here it cannot be known whether the transaction is open still: the first of the two ends it
        got = client.send(bind("r"), execute(), bind("s", values=[1]), describe("P"), execute(), SYNC).answers()
        assert kinds(got) == "2C2TDCZI" and columns(only(got, "T")[0])[1] == "label"
        assert stat(proxy, "prepared_again") == before + 1


def test_a_parse_that_fails_leaves_the_name_as_it_was(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        proxy.ready(RENAME)
        client.send(parse(STAR, "s"), SYNC).answers()
        got = client.send(parse("SELECT 1", "s"), bind("s", values=[1]), execute(), close("S", "s"), SYNC).answers()
        assert kinds(got) == "EZI" and fields(got[0][1])["C"] == "42P05"
        proxy.cli("cutover", NAME)
        for _ in range(2):
            got = client.send(bind("s", values=[1]), describe("P"), execute(), SYNC).answers()
            assert kinds(got) == "2TDCZI" and columns(got[1][1]) == OLD_COLUMNS
        # also where a migration's end has it parsed again
        proxy.cli("complete", NAME, "--force")
        got = client.send(bind("s", values=[1]), describe("P"), execute(), SYNC).answers()
        assert kinds(got) == "2TDCZI" and columns(got[1][1]) == NEW_COLUMNS


def test_a_name_that_was_closed_and_given_again_means_the_new_statement(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        proxy.ready(RENAME)
        client.send(parse(STAR, "s"), SYNC).answers()
        client.send(close("S", "s"), parse("SELECT 'other' WHERE $1 > 0", "s", [20]), SYNC).answers()
        proxy.cli("cutover", NAME)
        got = client.send(bind("s", values=[1]), execute(), SYNC).answers()
        assert kinds(got) == "2DCZI" and values(got[1][1]) == [b"other"]


def test_statements_named_like_those_of_segue_are_the_clients(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        for name in ("segue~early~1", "segue~1", "~segue"):
            client.send(parse(STAR, name), SYNC).answers()
        proxy.ready(RENAME)
        for name in ("segue~early~1", "segue~1", "~segue"):
            got = client.send(bind(name, values=[1]), describe("P"), execute(), SYNC).answers()
            assert kinds(got) == "2TDCZI" and columns(got[1][1])[1] == "label"
        # and a client's text may begin so: the server's own error
        got = client.send(query("segue~early~1: nothing")).answers()
        assert fields(got[0][1])["C"] == "42601"


def test_what_sql_has_prepared_outlives_the_columns_of_the_migration(db, segue):
    """Nobody can prepare it again for the client: it writes no twin, the guard does."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    proxy.ready(RENAME)
    conn = proxy.connect(prepare_threshold=None)
    conn.execute("PREPARE s AS SELECT * FROM items WHERE id = $1")
    conn.execute("PREPARE i AS INSERT INTO items (id, label) VALUES ($1, 'prepared')")
    conn.execute("PREPARE u AS UPDATE items SET label = $2 WHERE id = $1")

    def use(number):
        conn.execute(f"EXECUTE i({number})")
        conn.execute(f"EXECUTE u({number}, 'updated')")
        assert conn.execute(f"EXECUTE s({number})").fetchone() == (number, "updated", None, None)

    use(100)
    assert db.sql("SELECT label, title FROM items WHERE id = 100") == [("updated", "updated")]
    proxy.cli("abort", NAME)
    use(101)


def test_the_unnamed_statement_is_parsed_again_too(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        proxy.ready(RENAME)
        client.send(parse(STAR), SYNC).answers()
        for what, act, _seen in LIFE[1:]:
            act(proxy)
            got = client.send(bind(values=[1]), describe("P"), execute(), SYNC).answers()
            assert kinds(got) == "2TDCZI"
            assert columns(got[1][1]) == (NEW_COLUMNS if what == "complete" else OLD_COLUMNS)
        # a simple query drops it
        client.send(query("SELECT 1")).answers()
        assert fields(only(client.send(bind(values=[1]), SYNC).answers(), "E")[0])["C"] == "26000"


def bytes_in(proxy, application):
    return next(row["bytes_in"] for row in proxy.console("SHOW SESSIONS") if row["application_name"] == application)


@pytest.mark.parametrize("other", [False, True], ids=["alone", "beside another migration"])
def test_an_unnamed_statement_of_before_the_rules_is_parsed_again(db, segue, other):
    """Of drivers that wait for its description before they bind it, or bind it again and again."""
    make_items(db, 20)
    db.sql("CREATE TABLE words (id int PRIMARY KEY, word text)")
    proxy = segue(db, workers=1)
    if other:
        proxy.ready({"name": "other", "operations": [{"rename_column": {"table": "words", "from": "word", "to": "term"}}]})
    with raw(proxy) as once, raw(proxy) as split, raw(proxy, application_name="cut") as cut, raw(proxy) as dropped, raw(proxy) as failed:
        assert kinds(once.send(parse(STAR, types=[20]), describe(), SYNC).answers()) == "1tTZI"
        for part in (parse(STAR), describe(), SYNC):
            split.send(part)
        assert kinds(split.answers()) == "1tTZI"
        first = parse(STAR) + describe()[:3]
        before = bytes_in(proxy, "cut")
        cut.send(first)
        until("half of a Describe to be read", lambda: bytes_in(proxy, "cut") == before + len(first))
        assert kinds(cut.send(describe()[3:], SYNC).answers()) == "1tTZI"
        dropped.send(parse(STAR), SYNC).answers()
        dropped.send(query("SELECT 1")).answers()
        assert kinds(failed.send(parse(STAR), SYNC).answers()) == "1ZI"
        assert kinds(failed.send(parse("SELECT"), parse("SELECT 1 FROM nosuch"), SYNC).answers())[-3:] == "EZI"
        proxy.ready(RENAME)
        for client in (once, split, cut):
            for _ in range(2):
                got = client.send(bind(values=[1]), execute(), SYNC).answers()
                assert kinds(got) == "2DCZI" and len(values(got[1][1])) == len(OLD_COLUMNS)
        for client in (dropped, failed):
            assert fields(only(client.send(bind(values=[1]), SYNC).answers(), "E")[0])["C"] == "26000"
    assert stat(proxy, "prepared_again") == 3


def test_a_portal_that_is_open_over_an_epoch_change_goes_on(db, segue):
    make_items(db, 20)
    db.sql("CREATE TABLE other (id bigint, label text)")
    db.sql("INSERT INTO other SELECT i, 'o' || i FROM generate_series(1, 9) i")
    proxy = segue(db, workers=1)
    with raw(proxy) as client:
        client.send(parse("SELECT * FROM other ORDER BY id", "o"), parse(STAR, "s"), SYNC).answers()
        client.send(query("BEGIN")).answers()
        got = client.send(bind("o", "p"), execute("p", 2), SYNC).answers()
        assert kinds(got) == "2DDsZT"
        proxy.begin(RENAME)
        proxy.wait_phase(NAME, "verifying")  # what it sees is older than the backfill: not ready yet
        got = client.send(execute("p", 3), bind("s", values=[1]), describe("P"), execute(), execute("p", 2), SYNC).answers()
        assert kinds(got) == "DDDs2TDCDDsZT" and columns(only(got, "T")[0])[1] == "label"
        # the statement is prepared again below its portal
        got = client.send(bind("s", "q", values=[2]), execute("q", 1), SYNC).answers()
        assert kinds(got) == "2DsZT"
        client.send(query("COMMIT")).answers()


@contextmanager
def contracting(proxy, conn):
    """In the midst of complete, which waits for the transaction of conn; at the end it is through."""
    conn.execute("BEGIN")
    conn.execute("SELECT count(*) FROM items")
    thread = threading.Thread(target=proxy.cli, args=("complete", NAME, "--force"))
    thread.start()
    try:
        proxy.wait_phase(NAME, "contracting")
        yield
    finally:
        conn.execute("COMMIT")
        thread.join()
    proxy.wait_phase(NAME, "done")


def test_a_statement_serves_its_transaction_to_the_end_though_its_columns_are_about_to_go(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    proxy.soaking(RENAME)
    with raw(proxy, options="-c segue.schema=old") as client, proxy.connect() as conn:
        client.send(query("BEGIN")).answers()
        got = client.send(parse(STAR, "s", [20]), describe("S", "s"), SYNC).answers()
        assert columns(only(got, "T")[0]) == OLD_COLUMNS
        with contracting(proxy, conn):
            for _ in range(2):
                got = client.send(bind("s", values=[1]), execute(), SYNC).answers()
                assert kinds(got) == "2DCZT" and values(got[1][1])[1] == b"row 1"
            client.send(query("COMMIT")).answers()
        got = client.send(bind("s", values=[1]), execute(), SYNC).answers()
        assert kinds(got) == "EZI" and fields(got[0][1])["C"] == "0A000"


def test_what_is_prepared_while_the_old_columns_go_is_on_the_side_that_stays(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    proxy.soaking(RENAME)
    with raw(proxy, options="-c segue.schema=old") as client, proxy.connect() as conn:
        with contracting(proxy, conn):
            got = client.send(parse(STAR, "s", [20]), describe("S", "s"), SYNC).answers()
            assert columns(only(got, "T")[0]) == NEW_COLUMNS
        for _ in range(2):
            got = client.send(bind("s", values=[1]), execute(), SYNC).answers()
            assert kinds(got) == "2DCZI" and values(got[1][1])[3] == b"row 1"


NEXT = {"name": "next", "operations": [{"rename_column": {"table": "items", "from": "title", "to": "caption"}}]}
NEXT_COLUMNS = ["id", "note", "filler", "caption"]


def test_a_statement_not_used_for_a_whole_migration_is_no_wrong_row_in_the_next(db, segue):
    """Clients that trust what they were told: it stays so, or is an error."""
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client, raw(proxy, options="-c segue.schema=new") as new:
        told = {}

        def prepare(name, one=client):
            got = one.send(parse(STAR, name, [20]), describe("S", name), SYNC).answers()
            told[name, one] = columns(only(got, "T")[0])

        def use(now):
            for (name, one), known in told.items():
                got = one.send(bind(name, values=[1]), execute(), SYNC).answers()
                if known == OLD_COLUMNS:
                    assert kinds(got) == "EZI" and fields(got[0][1])["C"] == "0A000", (name, now)
                else:
                    assert kinds(got) == "2DCZI", (name, now, got)
                    row = dict(zip(known, values(got[1][1])))
                    assert row["note"] == b"note" and row.get("title", row.get("caption")) == b"row 1", (name, now)

        prepare("before")
        prepare("before", new)
        proxy.ready(RENAME)
        prepare("on the old side")
        proxy.cli("cutover", NAME)
        prepare("on the new side")
        prepare("on the new side", new)
        proxy.cli("complete", NAME, "--force")
        prepare("between")
        prepare("between", new)
        proxy.ready(NEXT)
        prepare("in the next")
        use("ready")
        proxy.cli("cutover", "next")
        prepare("after its cut-over")
        assert told["after its cut-over", client] == NEXT_COLUMNS
        use("cutover")
        proxy.cli("rollback", "next")
        use("rollback")


def test_a_statement_not_used_before_an_abort_is_what_it_was_in_the_next_migration(db, segue):
    make_items(db, 20)
    proxy = segue(db, workers=1)
    with raw(proxy) as client, raw(proxy, options="-c segue.schema=new") as new:
        proxy.ready(RENAME)
        for one in (client, new):
            one.send(parse(STAR, "s", [20]), describe("S", "s"), SYNC).answers()
        proxy.cli("abort", NAME)
        proxy.ready({"name": "next", "operations": [{"rename_column": {"table": "items", "from": "label", "to": "heading"}}]})
        got = client.send(bind("s", values=[1]), execute(), SYNC).answers()
        assert kinds(got) == "2DCZI" and values(got[1][1])[1] == b"row 1"
        got = new.send(bind("s", values=[1]), execute(), SYNC).answers()
        assert kinds(got) == "EZI" and fields(got[0][1])["C"] == "0A000"


def test_statements_of_a_pool_of_sessions_live_through_a_migration(db, segue):
    """Sessions that were idle all the time, and ones that work all the time."""
    make_items(db, 50)
    proxy = segue(db, workers=2)
    idle = [proxy.connect(prepare_threshold=0) for _ in range(4)]
    for conn in idle:
        conn.execute(ONE_STAR)
    stop, errors, done = threading.Event(), [], [0]

    def work():
        with proxy.connect(prepare_threshold=0) as conn:
            while not stop.is_set():
                try:
                    with conn.pipeline():
                        one = conn.execute("SELECT * FROM items WHERE id = %s", (1,))
                        two = conn.execute(ONE_STAR)
                        assert "row 1" in one.fetchone() and "row 1" in two.fetchone()
                    done[0] += 1
                except (psycopg.Error, AssertionError) as error:
                    errors.append(error)
                    return

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _, act, _seen in LIFE:
            before = done[0]
            act(proxy)
            while done[0] < before + 20 and not errors:
                stop.wait(0.01)
            for conn in idle[:2]:
                assert "row 1" in conn.execute(ONE_STAR).fetchone()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors
    for conn in idle:
        conn.close()
