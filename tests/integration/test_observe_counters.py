"""What the console says of the data plane: counters, latency, messages, errors, workers, sessions."""

import time

import psycopg
import pytest
from lib.rawwire import SYNC, Raw, bind, execute, message, packet, parse, query
from lib.wait import until

pytestmark = pytest.mark.one_version
BUCKET = 17 / 16  # a latency is told as the upper end of its bucket


def stats(proxy):
    return {r["stat"]: r["value"] for r in proxy.console("SHOW STATS")}


def latency(proxy):
    return {r["class"]: r for r in proxy.console("SHOW LATENCY")}


def messages(proxy):
    return {(r["from"], r["type"]): r["messages"] for r in proxy.console("SHOW MESSAGES")}


def test_the_tables_that_a_transaction_touches_are_called_by_their_names(db, segue):
    db.sql('CREATE SCHEMA "the shop"; CREATE TABLE "the shop".items (id int PRIMARY KEY, label text); CREATE TABLE kinds (id int PRIMARY KEY, label text)')
    proxy = segue(db)
    proxy.ready({"name": "m", "operations": [{"rename_column": {"table": table, "from": "label", "to": "title"}}
                                             for table in ("the shop.items", "kinds")]})
    with proxy.connect(application_name="one") as one:
        for table, shown in ("kinds", "public.kinds"), ('"the shop".items', '"the shop".items, public.kinds'):
            one.execute("BEGIN" if table == "kinds" else "SELECT 1")
            one.execute(f"UPDATE {table} SET label = 'x'")
            (row,) = [r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == "one"]
            assert sorted(row["touches"].split(", ")) == sorted(shown.split(", "))
        one.execute("ROLLBACK")


def test_bytes_and_messages_are_counted_exactly(db, segue):
    proxy = segue(db, workers=1)
    with Raw(proxy.port).login(db.name) as c:
        before, before_messages = stats(proxy), messages(proxy)
        sent = [query("SELECT 'four' FROM generate_series(1, 3)"), parse("SELECT 1"), bind(), execute(), SYNC]
        c.send(*sent)
        # RowDescription, 3 DataRow, CommandComplete, ReadyForQuery; then of the extended query
        assert c.until_ready() == "TDDDCZI" and c.until_ready() == "12DCZI"
        after, after_messages = until("the counts", lambda: (now := (stats(proxy), messages(proxy)))[0]["requests"] -
                                      before["requests"] == 2 and now)
    size = sum(map(len, sent))
    assert after["bytes_to_server"] - before["bytes_to_server"] == size
    assert after["bytes_from_server"] - before["bytes_from_server"] > 50
    # the console's own traffic passes the client's leg alone
    assert after["bytes_from_client"] - before["bytes_from_client"] > size
    assert after["transactions"] - before["transactions"] == 2
    gained = {k: after_messages[k] - before_messages.get(k, 0) for k in after_messages}
    assert {k: v for k, v in gained.items() if v and k[0] == "client"} == {
        ("client", t): 1 for t in "QPBES"}
    assert {k[1]: v for k, v in gained.items() if v and k[0] == "server"} == {
        "T": 1, "D": 4, "C": 2, "Z": 2, "1": 1, "2": 1}


def test_latency_is_kept_by_class_of_statement(db, segue):
    db.sql("CREATE TABLE t (i int PRIMARY KEY, s text)")
    proxy = segue(db)
    with proxy.connect() as c:
        begin = time.monotonic()
        c.execute("INSERT INTO t SELECT i, '' FROM generate_series(1, 5) i")
        c.execute("UPDATE t SET s = 'x'")
        c.execute("DELETE FROM t WHERE i = 1")
        c.execute("SELECT pg_sleep(0.2)")
        c.execute("CREATE TABLE u ()")
        with c.cursor().copy("COPY t (i) FROM STDIN") as copy:
            copy.write("99\n")
        with c.transaction():
            c.execute("SELECT 1")
        with pytest.raises(psycopg.Error):
            c.execute("SELECT 1 / 0")
        c.execute(b"UPDATE t SET s = 'y'; COMMIT")
    took_ms = (time.monotonic() - begin) * 1000
    rows = latency(proxy)
    assert {k: v["requests"] for k, v in rows.items()} == {
        "insert": 1, "update": 2, "delete": 1, "select": 2, "other": 1, "copy": 1, "transaction": 2, "error": 1, "all": 11}
    # one of two sleeps: the other one takes what is left of the time, at most
    assert 200 <= rows["select"]["max_ms"] <= took_ms * BUCKET and rows["select"]["p50_ms"] <= (took_ms - 200) * BUCKET
    assert rows["select"]["max_ms"] == rows["select"]["max_ms_start"]
    assert rows["all"]["max_ms"] == max(row["max_ms"] for name, row in rows.items() if name != "all")
    assert rows["select"]["per_s"] > 0


def test_pipelined_requests_are_counted_one_by_one(db, segue):
    proxy = segue(db)
    with Raw(proxy.port).login(db.name) as c:
        one = parse("SELECT pg_sleep(0.05)") + bind() + execute() + SYNC
        begin = time.monotonic()
        c.send(*[one] * 5)
        assert [c.until_ready() for _ in range(5)] == ["12DCZI"] * 5
        took_ms = (time.monotonic() - begin) * 1000
    row = latency(proxy)["select"]
    assert row["requests"] == 5
    # each from the answer before it: no request counts the others' time, so three of them are as long as the median
    assert 50 <= row["max_ms"] <= took_ms * BUCKET and row["p50_ms"] <= took_ms / 3 * BUCKET


def test_errors_are_counted_by_class_even_long_ones(db, segue):
    db.sql("CREATE TABLE t (i int PRIMARY KEY)")
    proxy = segue(db)
    with proxy.connect() as c:
        for statement in ("SELECT 1 / 0", "INSERT INTO t VALUES (1), (1)", "SELECT * FROM missing",
                          f"DO $$ BEGIN RAISE EXCEPTION '{'x' * 200000}' USING ERRCODE = 'ZZ123'; END $$"):
            with pytest.raises(psycopg.Error):
                c.execute(statement)
        assert c.execute("SELECT 1").fetchone() == (1,)
    assert {r["sqlstate_class"]: r["errors"] for r in proxy.console("SHOW ERRORS")} == {
        "22": 1, "23": 1, "42": 1, "ZZ": 1}
    assert stats(proxy)["errors"] == 4


def test_clients_are_counted_by_what_became_of_them(db, segue):
    proxy = segue(db, sessions_max=1)
    with proxy.connect() as c:
        with pytest.raises(psycopg.OperationalError, match="too many"):
            proxy.connect()
        c.cancel()
    with pytest.raises(psycopg.OperationalError):
        until("room", lambda: stats(proxy)["sessions"] == 1) and proxy.connect(user="nobody_at_all")
    with Raw(proxy.port) as raw:
        raw.send(packet(0x12345678, b"\0"))
        assert raw.error()
    now = until("the counts", lambda: (s := stats(proxy))["cancels"] and s["refused"] and s["logins_failed"] > 2 and s)
    assert (now["refused_sessions"], now["refused"], now["cancels"]) == (1, 1, 1)
    assert now["logins_failed"] == 3 and now["logins"] == 2
    assert now["accepted"] == 6 and now["sessions_console"] == 1


def test_workers_show_their_work_and_their_lag(db, segue):
    proxy = segue(db, workers=2)
    with proxy.connect() as c:
        for _ in range(200):
            c.execute("SELECT 1")
        rows = until("a tick", lambda: (r := proxy.console("SHOW WORKERS")) and sum(w["cpu_s"] for w in r) > 0 and r)
        assert [r["worker"] for r in rows] == [0, 1]
        assert sum(r["sessions"] for r in rows) == 2
        assert sum(r["requests_per_s"] for r in rows) > 0 and sum(r["bytes_per_s"] for r in rows) > 0
        assert all(0 <= r["lag_ms_max"] < 5000 for r in rows)
        # what each keeps is trimmed by ticks
        until("the same bytes", lambda: sum(r["sessions_bytes"] for r in proxy.console("SHOW WORKERS")) ==
              sum(s["memory_bytes"] for s in proxy.console("SHOW SESSIONS")))


def test_sessions_show_who_where_and_what_they_wait_for(db, segue):
    proxy = segue(db)

    def row(name):
        return next(r for r in proxy.console("SHOW SESSIONS") if r["application_name"] == name)

    with proxy.connect(application_name="me") as c:
        # another worker may answer the console before this one has noted what it has sent
        me = until("idle", lambda: (r := row("me"))["state"] == "idle" and r)
        assert (me["waits_for"], me["protocol"]) == ("client", "3.0")
        assert me["upstream"] == f"127.0.0.1:{db.cluster.port}"
        assert me["tls_client"] == me["tls_server"] == ""
        until("idle time", lambda: row("me")["idle_s"] > 0.2)
        begin = time.monotonic()
        c.execute("SELECT 1")
        # since that statement, and no longer
        until("idle", lambda: (r := row("me"))["state"] == "idle" and r["idle_s"] <= time.monotonic() - begin)
        c.execute("BEGIN")
        until("an open transaction", lambda: row("me")["state"] == "transaction")
        assert row("me")["waits_for"] == "client"
        c.execute("SELECT pg_advisory_xact_lock(1)")
        with Raw(proxy.port).login(db.name, application_name="busy") as busy:
            busy.send(query("SELECT pg_advisory_lock(1)"))
            until("active", lambda: (r := row("busy"))["waits_for"] == "server" and r["idle_s"] is None)
        assert 1000 < me["memory_bytes"] < 10000
