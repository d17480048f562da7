"""psycopg 3: extended protocol, text and binary, pipelines, server-side preparation."""

import threading

import psycopg
from checks import KEPT, TYPES_SQL, check, must, run
from psycopg.types.json import Jsonb


def rows(conn, sql, args=None, **options):
    return conn.execute(sql, args, **options).fetchall()


@check
def types_in_text(conn):
    (row,) = conn.cursor().execute(TYPES_SQL).fetchall()
    must(len(row) == 30 and row[-5] is None)
    return row


@check
def types_in_binary(conn):
    (row,) = conn.cursor(binary=True).execute(TYPES_SQL, binary=True).fetchall()
    (text,) = conn.cursor().execute(TYPES_SQL).fetchall()
    must(repr(row) == repr(text), f"{row} is not {text}")
    return row


@check
def parameters_text_and_binary(conn):
    values = (1, -2.5, "té'xt", None, True, b"\x00\xff", [1, None], Jsonb({"k": [1]}))
    seen = []
    for mark in ("%t", "%b"):
        (row,) = rows(conn, "SELECT " + ", ".join([f"{mark}::{t}" for t in (
            "int4", "float8", "text", "text", "bool", "bytea", "int2[]", "jsonb")]), values)
        seen.append(row)
    must(seen[0] == seen[1])
    return seen


@check
def errors_with_their_fields(conn):
    conn.execute("CREATE TEMP TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))")
    seen = []
    for sql, args in (("SELEC 1", None), ("SELECT %s, nosuch", (1,)), ("INSERT INTO e VALUES (2, %s)", (None,)),
                      ("INSERT INTO e VALUES (3, %s)", ("no",)), ("SELECT 1/%s::int", (0,))):
        try:
            conn.execute(sql, args)
            must(False, sql)
        except psycopg.Error as error:
            d = error.diag
            seen.append((error.sqlstate, d.message_primary, d.message_detail, d.statement_position, d.table_name,
                         d.column_name, d.constraint_name, d.source_function, type(error).__name__))
    must([s[0] for s in seen] == ["42601", "42703", "23502", "23514", "22012"])
    return seen


@check
def cancel_of_a_running_statement(conn):
    timer = threading.Timer(0.2, conn.cancel)
    timer.start()
    try:
        conn.execute("SELECT pg_sleep(20)")
        must(False, "not canceled")
    except psycopg.errors.QueryCanceled as error:
        code = error.sqlstate
    timer.join()
    return code, rows(conn, "SELECT 'goes on'")


@check
def notices(conn):
    seen = []
    conn.add_notice_handler(lambda d: seen.append((d.severity, d.sqlstate, d.message_primary, d.message_hint)))
    conn.execute("DO $$ BEGIN RAISE NOTICE 'n %', 1 USING HINT = 'h', ERRCODE = 'ABCDE'; END $$")
    must(seen == [("NOTICE", "ABCDE", "n 1", "h")])
    return seen


@check
def notifications(conn):
    conn.execute("LISTEN driver_news")
    with psycopg.connect("", autocommit=True) as other:
        for i in range(3):
            other.execute("SELECT pg_notify('driver_news', %s)", (str(i),))
    seen = []
    for note in conn.notifies():
        seen.append((note.channel, note.payload))
        if len(seen) == 3:
            return seen


@check
def copy_text_and_binary(conn):
    conn.execute("CREATE TEMP TABLE c (id int4, v text, d date)")
    with conn.cursor() as cur:
        with cur.copy("COPY c FROM STDIN") as copy:
            for i in range(10000):
                copy.write_row((i, f"v{i}\t", None))
        with cur.copy("COPY c FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text", "date"])
            for i in range(10000):
                copy.write_row((-i, None, None))
        with cur.copy("COPY (SELECT id, v FROM c ORDER BY id DESC LIMIT 3) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            out = list(copy.rows())
        must(out[0] == (9999, "v9999\t"))
        return out, rows(conn, "SELECT count(*), sum(id), count(v) FROM c")


@check
def copy_given_up_by_the_client(conn):
    conn.execute("CREATE TEMP TABLE c (id int)")
    try:
        with conn.cursor().copy("COPY c FROM STDIN") as copy:
            copy.write("1\n")
            raise KeyError("enough")
    except psycopg.errors.QueryCanceled as error:  # how psycopg has the server end the COPY
        given_up = error.diag.message_primary
    with conn.cursor().copy("COPY (SELECT generate_series(1, 100000)) TO STDOUT") as copy:
        size = sum(len(block) for block in copy)
    return given_up, rows(conn, "SELECT count(*) FROM c"), size


@check
def pipeline_with_an_error_inside(conn):
    conn.execute("CREATE TEMP TABLE p (id int PRIMARY KEY)")
    seen = []
    with conn.pipeline() as p:
        curs = [conn.execute("INSERT INTO p VALUES (%s) RETURNING id", (i,)) for i in range(200)]
        p.sync()
        try:
            conn.execute("INSERT INTO p VALUES (5)")
            p.sync()
            must(False, "no error")
        except psycopg.errors.UniqueViolation as error:
            seen.append(error.diag.constraint_name)
        p.sync()
        last = conn.execute("SELECT count(*), max(id) FROM p")
        seen.append([c.fetchone()[0] for c in curs][-3:])
        seen.append(last.fetchall())
    must(seen[2] == [(200, 199)])
    return seen


@check
def executemany_in_a_pipeline(conn):
    conn.execute("CREATE TEMP TABLE p (id int, v text)")
    with conn.cursor() as cur:
        cur.executemany("INSERT INTO p VALUES (%s, %s) RETURNING id * 2", [(i, "x" * i) for i in range(500)], returning=True)
        seen = [cur.fetchone()]
        while cur.nextset():
            seen.append(cur.fetchone())
    must(len(seen) == 500)
    return seen[-1], rows(conn, "SELECT count(*), sum(length(v)) FROM p")


@check
def server_side_preparation_and_its_threshold(conn):
    conn.prepare_threshold, conn.prepared_max = 3, 4
    seen = []
    for i in range(6):
        rows(conn, "SELECT %s::int + 1", (i,))
        seen.append(rows(conn, "SELECT count(*) FROM pg_prepared_statements", prepare=False))
    for i in range(10):  # more than are kept: the oldest are deallocated
        rows(conn, f"SELECT %s::int + {i}", (i,), prepare=True)
    seen.append(rows(conn, "SELECT count(*) FROM pg_prepared_statements", prepare=False))
    must(seen[1] == [(0,)] and seen[5] == [(1,)] and seen[6] == [(4,)], str(seen))
    return seen


@check
def statements_gone_by_discard(conn):
    rows(conn, "SELECT %s::int", (1,), prepare=True)
    conn.execute("DISCARD ALL")
    try:
        rows(conn, "SELECT %s::int", (2,), prepare=True)
        return "prepared anew"
    except psycopg.errors.InvalidSqlStatementName as error:
        return error.sqlstate


@check
def transactions_and_savepoints(conn):
    conn.execute("CREATE TEMP TABLE t (id int PRIMARY KEY)")
    with conn.transaction():
        conn.execute("INSERT INTO t VALUES (1)")
        try:
            with conn.transaction():
                conn.execute("INSERT INTO t VALUES (1)")
        except psycopg.errors.UniqueViolation:
            pass
        with conn.transaction(force_rollback=True):
            conn.execute("INSERT INTO t VALUES (2)")
        conn.execute("INSERT INTO t VALUES (3)")
    return rows(conn, "SELECT array_agg(id ORDER BY id) FROM t"), conn.info.transaction_status.name


@check
def cursors_and_streams(conn):
    with conn.transaction(), conn.cursor("big", scrollable=True) as cur:
        cur.itersize = 300
        cur.execute("SELECT i, repeat('x', 100) FROM generate_series(1, 10000) i")
        total = sum(r[0] for r in cur)
        cur.scroll(0, mode="absolute")
        first = cur.fetchmany(2)
    return total, first, sum(1 for _ in conn.cursor().stream("SELECT generate_series(1, 3000)"))


@check
def many_parameters(conn):
    count = 20000
    (row,) = rows(conn, "SELECT cardinality(ARRAY[" + ",".join(["%s::int"] * count) + "])", list(range(count)))
    must(row == (count,))
    return row


@check
def start_up_options(conn):
    with psycopg.connect("", options="-c work_mem=7MB -c DateStyle=German", application_name="drivers") as c:
        c.execute("SET work_mem = '9MB'")
        c.execute("RESET work_mem")
        return rows(c, "SELECT current_setting('work_mem'), current_setting('application_name'), date '2024-02-01'::text")


@check
def migrating_table(conn):
    seen = []
    for i in range(1, 41):
        seen += rows(conn, KEPT[0], (i,), prepare=i % 2 == 0)
    with conn.transaction(force_rollback=True):
        seen += rows(conn, KEPT[1], (3,))
    with conn.pipeline():
        curs = [conn.execute(KEPT[0], (i,)) for i in range(1, 41)]
        must([c.fetchone() for c in curs] == seen[:40])
    return seen


run(lambda: psycopg.connect("", autocommit=True))
