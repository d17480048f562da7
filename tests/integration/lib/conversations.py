"""Conversations by hand: what a client sends in parts, and a way to hold them and keep what was said.

CONVERSATIONS: name -> parts; ways(name, parts) cuts them up; hold(port, ...) holds one on a connection of its own.
"""

from .rawwire import (COPY_DONE, FLUSH, SYNC, Raw, bind, call, close, copy_data, copy_fail, describe, execute, parse,
                      query)

INT4PL, INT4DIV = 177, 154  # functions

ONE = parse("SELECT 1") + bind() + execute()
BAD = parse("SELECT nothing_like_it")
FAILS = parse("SELECT 1/0") + bind() + execute()  # as it runs (or is planned): Parse is answered
COPY = parse("COPY copied FROM STDIN") + bind() + execute()
ROW, NO_ROW = copy_data("1\n"), copy_data("no number\n")
# PostgreSQL 18 stumbles over the request after a Query behind extended messages without a Sync.
SERVER_FAULT = b"StartTransactionCommand: unexpected state STARTED"
THE_LAST = query("SELECT 'the end of it'")
THE_END = ("D", b"\0\1\0\0\0\rthe end of it")
SLEEP = query("SELECT pg_sleep(0.05)")

# What is sent, one part after the other. A number: wait for so many messages. A conversation ends where an ordinary
# Query is answered.
CONVERSATIONS = {
    # pipelines
    "several syncs": [ONE, SYNC, ONE, SYNC, SYNC, ONE, SYNC],
    "an error skips to the next sync": [ONE, BAD, ONE, ONE, SYNC, ONE, SYNC],
    "an error in each segment": [BAD, ONE, SYNC, FAILS, ONE, SYNC, BAD, SYNC],
    "flush asks for answers and ends nothing": [ONE, FLUSH, 4, ONE, FLUSH, 4, SYNC],
    "an error after a flush": [ONE, FLUSH, 4, FAILS, FLUSH, 2, ONE, SYNC],
    "sync after sync": [SYNC, SYNC, SYNC],
    "a block across segments": [parse("BEGIN"), bind(), execute(), SYNC, ONE, SYNC, FAILS, SYNC, ONE, SYNC,
                                parse("ROLLBACK"), bind(), execute(), SYNC],
    "an error deferred to the sync": [
        parse("INSERT INTO late VALUES (1), (1)"), bind(), execute(), SYNC, ONE, SYNC],
    "rows in portions": [parse("SELECT generate_series(1, 5)"), bind(), describe("P"), execute("", 2), execute("", 2),
                         execute("", 2), SYNC],
    # requests of both protocols without a sync between
    "a query behind good messages": [ONE, query("SELECT 2"), SYNC],
    "a query behind a failed parse": [BAD, query("SELECT 2"), SYNC],
    "a query behind a failed execute": [FAILS, query("SELECT 2"), call(INT4PL, "1", "2"), query("SELECT 3"), SYNC, ONE, SYNC],
    "a failing query behind good messages": [ONE, query("SELECT 1/0"), ONE, SYNC],
    "a failing query between": [ONE, query("SELECT 1/0"), query("SELECT 2"), FAILS, query("SELECT 3"), SYNC],
    "a query sent after the error was seen": [FAILS, FLUSH, 2, query("SELECT 2"), query("SELECT 3"), SYNC],
    "a function call behind a failed close": [close("S", "never was"), FAILS, call(INT4PL, "1", "2"), SYNC],
    "mixed segments in a row": [BAD, query("SELECT 2"), SYNC, FAILS, query("SELECT 3"), SYNC, ONE, query("SELECT 4"), SYNC],
    # simple queries
    "several statements": [query("SELECT 1; SELECT 2; CREATE TEMP TABLE x (i int); INSERT INTO x VALUES (1); SELECT sum(i) FROM x")],
    "an embedded commit keeps what was before": [
        query("CREATE TEMP TABLE kept (i int)"),
        query("INSERT INTO kept VALUES (1); COMMIT; INSERT INTO kept VALUES (2); SELECT 1/0"),
        query("SELECT sum(i) FROM kept"), query("INSERT INTO kept VALUES (3); ROLLBACK; SELECT sum(i) FROM kept")],
    "a block that begins and fails inside": [query("BEGIN; SELECT 1; SELECT 1/0; SELECT 2"), query("SELECT 3"), query("END")],
    "an empty query": [query(""), query(" ;"), parse(""), bind(), describe("P"), execute(), SYNC],
    "a syntax error says where": [query("SELECT 1 +* 2 FRO"), BAD, SYNC],
    "queries without waiting": [SLEEP, query("SELECT 1"), query("SELECT 1/0"), SLEEP, query("SELECT 2")],
    # copy
    "copy in": [query("COPY copied FROM STDIN"), ROW, ROW, COPY_DONE, query("SELECT count(*) FROM copied")],
    "copy in with sync and flush inside": [query("COPY copied FROM STDIN"), SYNC, ROW, FLUSH, SYNC, ROW, COPY_DONE],
    "extended copy in, sync inside": [COPY, SYNC, ROW, SYNC, COPY_DONE, SYNC, ONE, SYNC],
    "extended copy in, waited for": [COPY, FLUSH, 3, ROW, SYNC, COPY_DONE, SYNC],
    "the client fails a copy": [query("COPY copied FROM STDIN"), ROW, copy_fail("enough"), query("SELECT 1")],
    "the client fails an extended copy": [COPY, FLUSH, 3, ROW, copy_fail("enough"), ONE, SYNC, ONE, SYNC],
    "a bad row, and what comes late": [query("COPY copied FROM STDIN"), NO_ROW, ROW, ROW, COPY_DONE, query("SELECT 1")],
    "a bad row, and a late failure": [query("COPY copied FROM STDIN"), NO_ROW, ROW, copy_fail("late"), query("SELECT 1")],
    "a bad row of an extended copy": [COPY, NO_ROW, ROW, COPY_DONE, SYNC, ONE, SYNC],
    "a query behind a bad extended copy": [COPY, NO_ROW, COPY_DONE, query("SELECT 1"), SYNC],
    "a query behind a good extended copy": [COPY, ROW, COPY_DONE, query("SELECT 1"), SYNC],
    "copy data out of place": [ROW, COPY_DONE, copy_fail("what"), query("SELECT 1")],
    "copy in and out in one query": [query("COPY copied FROM STDIN; COPY copied TO STDOUT"), ROW, ROW, COPY_DONE],
    "copy out": [query("COPY (SELECT generate_series(1, 3)) TO STDOUT"), parse("COPY (VALUES (1)) TO STDOUT"), bind(),
                 execute(), SYNC],
    "copy out that fails": [query("COPY (SELECT 1/(3-i) FROM generate_series(1, 5) i) TO STDOUT"), query("SELECT 1")],
    # function calls
    "function calls": [call(INT4PL, "20", "22"), call(INT4DIV, "1", "0"), call(INT4PL, "1", "1"), call(999999999)],
    # statements and portals
    "a named statement's life": [
        parse("SELECT 1", "a"), SYNC, bind("a"), execute(), SYNC, parse("SELECT 2", "a"), SYNC, close("S", "a"),
        parse("SELECT 3", "a"), bind("a"), execute(), SYNC],
    "deallocate": [parse("SELECT 1", "b"), SYNC, query("DEALLOCATE b"), bind("b"), execute(), SYNC, parse("SELECT 2", "b"),
                   bind("b"), execute(), SYNC],
    "deallocate all": [parse("SELECT 1", "c"), parse("SELECT 2", "d"), SYNC, query("DEALLOCATE ALL"), describe("S", "d"), SYNC,
                       parse("SELECT 3", "d"), describe("S", "d"), SYNC],
    "discard all": [parse("SELECT 1", "e"), SYNC, query("DISCARD ALL"), bind("e"), SYNC, parse("SELECT 2", "e"), SYNC],
    "prepare in text, bind by name": [query("PREPARE f AS SELECT 7"), bind("f"), execute(), SYNC],
    "the unnamed statement is replaced": [parse("SELECT 1"), SYNC, parse("SELECT 2"), SYNC, bind(), execute(), SYNC,
                                          query("SELECT 3"), bind(), execute(), SYNC],
    "a failed parse leaves no statement": [parse("SELECT nothing_like_it", "g"), SYNC, bind("g"), SYNC],
    "portals end with the transaction": [query("BEGIN"), parse("SELECT generate_series(1, 3)"), bind("", "p"), execute("p", 1),
                                         SYNC, execute("p", 1), SYNC, query("END"), execute("p", 1), SYNC],
    "closing what is not there": [close("S", "none"), close("P", "none"), SYNC],
    # on the table that a migration may be at work on
    "the migrating table": [query("SELECT id, note FROM items ORDER BY id LIMIT 2"), parse("UPDATE items SET note = 'note' WHERE id = 1"),
                            bind(), execute(), SYNC, query("BEGIN; UPDATE items SET note = 'm' WHERE id = 2; ROLLBACK"),
                            parse("SELECT note FROM items WHERE id = 1", "h"), SYNC, BAD, bind("h"), execute(), SYNC,
                            bind("h"), execute(), query("SELECT note FROM items WHERE id = 2"), SYNC],
    # long before short: a message across many reads
    "a long text": [query("SELECT length('" + "x" * 200_000 + "')"), query("SELECT repeat('y', 100000)")],
}


def ways(name, parts):
    """The parts as they are sent, by the way of sending: bytes, and numbers to wait for."""
    if not any(isinstance(p, int) for p in parts):
        yield "at once", [b"".join(parts)]
    yield "message by message", parts
    if name != "a long text":
        yield "byte by byte", [b for p in parts for b in ([p] if isinstance(p, int) else [p[i:i + 1] for i in range(len(p))])]


def hold(port, database, name, parts):
    """Everything the server says, each message as (type, body), and the connection."""
    raw = Raw(port).login(database, application_name="talker")
    heard = []
    for part in parts:
        if isinstance(part, bytes):
            raw.send(part)
            continue
        heard += [raw.read() for _ in range(part)]
    raw.send(THE_LAST)
    while not (heard[-3:-2] == [THE_END] and heard[-1][0] == "Z"):
        try:
            got = raw.read()
        except TimeoutError:
            got = None
        assert got is not None, f"the session has ended, or says no more: {name}: {heard[-3:]}"
        heard.append(got)
        if SERVER_FAULT in got[1]:
            raw.send(THE_LAST)
    return heard, raw
