"""psycopg2: the text protocol of libpq, simple queries."""

import io
import select
import threading

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from checks import KEPT, TYPES_SQL, check, must, run


def rows(conn, sql, args=None):
    with conn.cursor() as cur:
        cur.execute(sql, args)
        return cur.fetchall() if cur.description else cur.statusmessage


@check
def types(conn):
    (row,) = rows(conn, TYPES_SQL)
    must(len(row) == 30 and row[-6] is not None and row[-5] is None)
    return [bytes(v) if isinstance(v, memoryview) else v for v in row]


@check
def parameters_of_all_kinds(conn):
    values = (1, -2.5, "té'xt", None, True, b"\x00\xff", [1, None], psycopg2.extras.Json({"k": [1]}))
    (row,) = rows(conn, "SELECT %s, %s, %s, %s, %s, %s::bytea, %s, %s::jsonb", values)
    must(row[0] == 1 and bytes(row[5]) == b"\x00\xff" and row[7] == {"k": [1]})
    return [bytes(v) if isinstance(v, memoryview) else v for v in row]


@check
def errors_with_their_fields(conn):
    seen = []
    rows(conn, "CREATE TABLE e (id int PRIMARY KEY, v text NOT NULL CHECK (v <> 'no'))")
    rows(conn, "INSERT INTO e VALUES (1, 'a')")
    conn.commit()
    for sql in ("SELEC 1", "SELECT * FROM nosuch", "INSERT INTO e VALUES (1, 'x')", "INSERT INTO e VALUES (2, NULL)",
                "INSERT INTO e VALUES (3, 'no')", "SELECT 1/0", "SELECT 'x'::int"):
        try:
            rows(conn, sql)
            must(False, sql)
        except psycopg2.Error as error:
            d = error.diag
            seen.append((error.pgcode, d.message_primary, d.message_detail, d.statement_position, d.table_name,
                         d.column_name, d.constraint_name, d.source_function, type(error).__name__))
            conn.rollback()
    must([s[0] for s in seen] == ["42601", "42P01", "23505", "23502", "23514", "22012", "22P02"])
    return seen


@check
def cancel_of_a_running_statement(conn):
    timer = threading.Timer(0.2, conn.cancel)
    timer.start()
    try:
        rows(conn, "SELECT pg_sleep(20)")
        must(False, "not canceled")
    except psycopg2.extensions.QueryCanceledError as error:
        code = error.pgcode
    timer.join()
    conn.rollback()
    return code, rows(conn, "SELECT 'goes on'")


@check
def statement_timeout(conn):
    rows(conn, "SET statement_timeout = 50")
    try:
        rows(conn, "SELECT pg_sleep(20)")
        must(False, "no timeout")
    except psycopg2.Error as error:
        return error.pgcode, str(error)


@check
def notices(conn):
    rows(conn, "DO $$ BEGIN FOR i IN 1..3 LOOP RAISE NOTICE 'note %', i; END LOOP; RAISE WARNING 'w'; END $$")
    must(len(conn.notices) == 4)
    return conn.notices


@check
def notifications(conn):
    conn.autocommit = True
    rows(conn, "LISTEN driver_news")
    rows(conn, "NOTIFY driver_news, 'a payload'")
    while not conn.notifies:
        must(select.select([conn], [], [], 10)[0], "no notification")
        conn.poll()
    (note,) = conn.notifies
    must(note.pid == conn.get_backend_pid())
    return note.channel, note.payload


@check
def copy_in_and_out(conn):
    rows(conn, "CREATE TEMP TABLE c (id int, v text)")
    with conn.cursor() as cur:
        cur.copy_expert("COPY c FROM STDIN (FORMAT csv)", io.StringIO("".join(f"{i},v{i}\n" for i in range(20000))))
        must(cur.rowcount == 20000)
        out = io.StringIO()
        cur.copy_expert("COPY (SELECT * FROM c ORDER BY id LIMIT 3) TO STDOUT", out)
    return out.getvalue(), rows(conn, "SELECT count(*), sum(id) FROM c")


@check
def copy_of_bad_data(conn):
    rows(conn, "CREATE TEMP TABLE c (id int)")
    conn.commit()
    try:
        with conn.cursor() as cur:
            cur.copy_expert("COPY c FROM STDIN", io.StringIO("1\nx\n" * 5000))
        must(False, "no error")
    except psycopg2.Error as error:
        conn.rollback()
        return error.pgcode, error.diag.context, rows(conn, "SELECT count(*) FROM c")


@check
def prepared_statements(conn):
    rows(conn, "PREPARE p (int) AS SELECT $1 + 1")
    seen = [rows(conn, f"EXECUTE p ({i})") for i in range(8)]
    seen.append(rows(conn, "SELECT name, generic_plans + custom_plans FROM pg_prepared_statements"))
    rows(conn, "DEALLOCATE p")
    try:
        rows(conn, "EXECUTE p (1)")
    except psycopg2.Error as error:
        seen.append(error.pgcode)
    must(seen[-1] == "26000")
    return seen


@check
def large_objects(conn):
    large = conn.lobject(0, "w", 424242)
    large.write(b"\x00\x01" * 60000)
    large.close()
    large = conn.lobject(424242, "rb")
    large.seek(119998)
    seen = large.read(), large.tell()
    large.close()
    large.unlink()
    conn.commit()
    must(seen == (b"\x00\x01", 120000))
    return seen


@check
def transactions_and_savepoints(conn):
    rows(conn, "CREATE TABLE t (id int PRIMARY KEY)")
    rows(conn, "INSERT INTO t VALUES (1)")
    rows(conn, "SAVEPOINT a")
    try:
        rows(conn, "INSERT INTO t VALUES (1)")
    except psycopg2.Error:
        must(conn.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_INERROR)
    rows(conn, "ROLLBACK TO a")
    rows(conn, "INSERT INTO t VALUES (2)")
    conn.commit()
    rows(conn, "INSERT INTO t VALUES (3)")
    conn.rollback()
    return rows(conn, "SELECT array_agg(id ORDER BY id) FROM t")


@check
def two_phase_commit(conn):
    rows(conn, "CREATE TABLE two (id int)")
    conn.commit()
    conn.tpc_begin(conn.xid(42, "driver", "psycopg2"))
    rows(conn, "INSERT INTO two VALUES (7)")
    conn.tpc_prepare()
    conn.tpc_commit()
    return rows(conn, "SELECT * FROM two")


@check
def cursor_with_fetch_size(conn):
    with conn.cursor("big") as cur:
        cur.itersize = 500
        cur.execute("SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i")
        seen = sum(row[0] + len(row[1]) for row in cur)
    with conn.cursor("moves", scrollable=True) as cur:
        cur.execute("SELECT generate_series(1, 10)")
        cur.scroll(5)
        return seen, cur.fetchone(), cur.scroll(-3), cur.fetchmany(2)


@check
def big_result(conn):
    (row,) = rows(conn, "SELECT repeat('y', 5000000)")
    many = rows(conn, "SELECT i FROM generate_series(1, 50000) i")
    return len(row[0]), len(many), many[-1]


@check
def many_parameters(conn):
    (row,) = rows(conn, "SELECT " + ", ".join(["%s"] * 1500), list(range(1500)))
    must(row == tuple(range(1500)))
    return len(row)


@check
def settings_of_the_session(conn):
    rows(conn, "SET application_name = 'changed'; SET work_mem = '5MB'")
    seen = [rows(conn, "SHOW application_name"), rows(conn, "SHOW work_mem")]
    rows(conn, "RESET ALL")
    conn.set_client_encoding("LATIN1")
    return seen + [rows(conn, "SHOW work_mem"), rows(conn, "SHOW application_name"), conn.encoding, rows(conn, "SELECT 'é'"),
                   conn.get_parameter_status("DateStyle"), conn.get_parameter_status("is_superuser")]


@check
def migrating_table(conn):
    seen = []
    for i in range(1, 41):
        seen += rows(conn, KEPT[0], (i,))
        if i % 10 == 0:
            rows(conn, KEPT[1], (i,))
            conn.rollback()
    conn.autocommit = True
    for i in range(40):
        must(rows(conn, KEPT[0], (1,)) == [seen[0]])
    return seen


run(lambda: psycopg2.connect(""))
