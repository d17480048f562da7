/*
 * libpq itself: what the drivers above it do not use. Prints one line a check, "ok NAME: SEEN" or
 * "FAILED NAME: WHY"; connection settings come from the environment. Each check has a connection of
 * its own, writes what it saw to `seen`, and gives whether that was right.
 */
#include <libpq-fe.h>
#include <libpq/libpq-fs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEN_BYTES_MAX 8192
#define WAIT_MS_MAX 10000

static char seen[SEEN_BYTES_MAX];

__attribute__((format(printf, 1, 2))) static void see(const char *format, ...)
{
    size_t len = strlen(seen);
    va_list ap;

    va_start(ap, format);
    vsnprintf(seen + len, sizeof(seen) - len, format, ap);
    va_end(ap);
    for (char *c = seen + len; *c; c++)
        if (*c == '\n')
            *c = '/';
}

/* Sees status, error and all values of a result, and frees it. Gives whether it has the status. */
static bool take(PGresult *res, ExecStatusType status)
{
    ExecStatusType is = PQresultStatus(res);

    see("[%s", is == status ? PQcmdStatus(res) : PQresStatus(is));
    if (is == PGRES_FATAL_ERROR)
        see(" %s at %s: %s", PQresultErrorField(res, PG_DIAG_SQLSTATE),
            PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION),
            PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY));
    for (int r = 0; r < PQntuples(res); r++)
        for (int c = 0; c < PQnfields(res); c++)
            see(" %s", PQgetisnull(res, r, c) ? "NULL" : PQgetvalue(res, r, c));
    see("]");
    PQclear(res);
    return is == status;
}

static bool run(PGconn *conn, const char *sql)
{
    PGresult *res = PQexec(conn, sql);

    return take(res, PQnfields(res) ? PGRES_TUPLES_OK : PGRES_COMMAND_OK);
}

static bool readable(PGconn *conn)
{
    struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};

    return poll(&fd, 1, WAIT_MS_MAX) == 1 && PQconsumeInput(conn);
}

static bool several_statements(PGconn *conn)
{
    bool ok =
        PQsendQuery(conn, "SELECT 1; SELECT 'two', NULL; CREATE TEMP TABLE s (i int); SELEC 3");
    PGresult *res;

    while ((res = PQgetResult(conn)))
        ok &= take(res, PGRES_FATAL_ERROR);
    ok &= PQsendQuery(conn, "SELECT 1; SELECT 'two', NULL; BEGIN; SELECT 1/0");
    for (int i = 0; i < 2; i++)
        ok &= take(PQgetResult(conn), PGRES_TUPLES_OK);
    ok &= take(PQgetResult(conn), PGRES_COMMAND_OK) && take(PQgetResult(conn), PGRES_FATAL_ERROR);
    ok &= !PQgetResult(conn) && PQtransactionStatus(conn) == PQTRANS_INERROR;
    return ok && run(conn, "ROLLBACK");
}

static bool binary_values(PGconn *conn)
{
    const char *values[] = {"\0\0\0\x2a", NULL, "a\0b"};
    int lengths[] = {4, 0, 3}, formats[] = {1, 1, 1};
    Oid types[] = {23, 25, 17};
    PGresult *res = PQexecParams(conn, "SELECT $1, $2, $3", 3, types, values, lengths, formats, 1);
    bool ok = PQntuples(res) == 1 && PQgetlength(res, 0, 0) == 4 && PQgetisnull(res, 0, 1) &&
              PQgetlength(res, 0, 2) == 3 && memcmp(PQgetvalue(res, 0, 2), "a\0b", 3) == 0;

    see("formats %d %d types %u %u %u", PQfformat(res, 0), PQbinaryTuples(res), PQftype(res, 0),
        PQftype(res, 1), PQftype(res, 2));
    PQclear(res);
    return ok;
}

static bool statements_by_name(PGconn *conn)
{
    const char *values[] = {"5"};
    bool ok = take(PQprepare(conn, "p", "SELECT $1::int * 2", 0, NULL), PGRES_COMMAND_OK);
    PGresult *res;

    for (int i = 0; i < 8; i++)
        ok &= take(PQexecPrepared(conn, "p", 1, values, NULL, NULL, 0), PGRES_TUPLES_OK);
    res = PQdescribePrepared(conn, "p");
    see("parameters %d type %u", PQnparams(res), PQparamtype(res, 0));
    PQclear(res);
    ok &= take(PQprepare(conn, "p", "SELECT 1", 0, NULL), PGRES_FATAL_ERROR); /* duplicate */
    ok &= run(conn, "DEALLOCATE p");
    ok &= take(PQexecPrepared(conn, "p", 1, values, NULL, NULL, 0), PGRES_FATAL_ERROR);
    ok &= take(PQprepare(conn, "p", "SELECT 1", 0, NULL), PGRES_COMMAND_OK);
    return ok && run(conn, "DISCARD ALL") &&
           take(PQexecPrepared(conn, "p", 0, NULL, NULL, NULL, 0), PGRES_FATAL_ERROR);
}

/* Three batches in one flight; the second has an error, after which statements are skipped. */
static bool pipeline_of_batches(PGconn *conn)
{
    static const char *const batches[3][3] = {
        {"SELECT 1", "CREATE TEMP TABLE pl (i int)", "SELECT 2"},
        {"INSERT INTO pl VALUES (1)", "SELECT 1/0", "SELECT 3"},
        {"SELECT count(*) FROM pl", "SELECT 4", "SELECT 5"}};
    bool ok = PQenterPipelineMode(conn);
    int aborted = 0;

    for (int b = 0; b < 3; b++) {
        for (int i = 0; i < 3; i++)
            ok &= PQsendQueryParams(conn, batches[b][i], 0, NULL, NULL, NULL, NULL, 0);
        ok &= PQpipelineSync(conn);
    }
    for (int b = 0; b < 3; b++) {
        for (int i = 0; i < 3; i++) {
            PGresult *res = PQgetResult(conn);

            aborted += PQresultStatus(res) == PGRES_PIPELINE_ABORTED;
            take(res, PGRES_TUPLES_OK);
            ok &= !PQgetResult(conn);
        }
        ok &= take(PQgetResult(conn), PGRES_PIPELINE_SYNC);
    }
    return ok && aborted == 1 && PQexitPipelineMode(conn) && run(conn, "SELECT count(*) FROM pl");
}

/* Answers come before any Sync, by a Flush. */
static bool pipeline_with_flush(PGconn *conn)
{
    bool ok = PQenterPipelineMode(conn);

    for (int i = 0; i < 5; i++) {
        ok &= PQsendQueryParams(conn, "SELECT 'flushed'", 0, NULL, NULL, NULL, NULL, 0);
        ok &= PQsendFlushRequest(conn) && PQflush(conn) == 0;
        ok &= take(PQgetResult(conn), PGRES_TUPLES_OK) && !PQgetResult(conn);
    }
    ok &= PQpipelineSync(conn) && take(PQgetResult(conn), PGRES_PIPELINE_SYNC);
    return ok && PQtransactionStatus(conn) == PQTRANS_IDLE && PQexitPipelineMode(conn);
}

static bool long_pipeline(PGconn *conn)
{
    bool ok = PQenterPipelineMode(conn);
    long sum = 0;

    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 200; i++)
            ok &= PQsendQueryParams(conn, "SELECT 7", 0, NULL, NULL, NULL, NULL, 0);
        ok &= PQpipelineSync(conn);
        for (int i = 0; i < 200; i++) {
            PGresult *res = PQgetResult(conn);

            sum += PQntuples(res) == 1 ? atoi(PQgetvalue(res, 0, 0)) : 0;
            PQclear(res);
            ok &= !PQgetResult(conn);
        }
        PQclear(PQgetResult(conn));
    }
    see("%ld", sum);
    return ok && sum == 28000 && PQexitPipelineMode(conn);
}

static bool cancel_of_a_running_statement(PGconn *conn)
{
    PGcancel *cancel = PQgetCancel(conn);
    char why[256] = "";
    bool ok = PQsendQuery(conn, "SELECT pg_sleep(20)");

    usleep(200000);
    ok &= PQcancel(cancel, why, sizeof(why));
    PQfreeCancel(cancel);
    see("%s", why);
    ok &= take(PQgetResult(conn), PGRES_FATAL_ERROR) && !PQgetResult(conn);
    return ok && strstr(seen, "57014") && run(conn, "SELECT 'goes on'");
}

static bool copy_in_and_out(PGconn *conn)
{
    bool ok = run(conn, "CREATE TEMP TABLE c (id int, v text)");
    char *row = NULL;
    long bytes = 0;
    int len;

    ok &= take(PQexec(conn, "COPY c FROM STDIN"), PGRES_COPY_IN);
    for (int i = 0; i < 30000; i++) {
        char line[64];

        len = snprintf(line, sizeof(line), "%d\tvalue %d\n", i, i);
        ok &= PQputCopyData(conn, line, len) == 1;
    }
    ok &= PQputCopyEnd(conn, NULL) == 1 && take(PQgetResult(conn), PGRES_COMMAND_OK) &&
          !PQgetResult(conn);
    ok &= take(PQexec(conn, "COPY c TO STDOUT (FORMAT binary)"), PGRES_COPY_OUT);
    while ((len = PQgetCopyData(conn, &row, 0)) > 0) {
        bytes += len;
        PQfreemem(row);
    }
    see("%ld bytes", bytes);
    return take(PQgetResult(conn), PGRES_COMMAND_OK) && ok && !PQgetResult(conn) && bytes > 600000;
}

static bool copy_that_fails(PGconn *conn)
{
    bool ok = run(conn, "CREATE TEMP TABLE c (id int)");

    ok &= take(PQexec(conn, "COPY c FROM STDIN"), PGRES_COPY_IN);
    ok &= PQputCopyData(conn, "1\n", 2) == 1 && PQputCopyEnd(conn, "given up") == 1;
    ok &= take(PQgetResult(conn), PGRES_FATAL_ERROR) && !PQgetResult(conn);
    ok &= take(PQexec(conn, "COPY c FROM STDIN"), PGRES_COPY_IN);
    for (int i = 0; i < 5000; i++) /* the server has said no long before the last of them */
        ok &= PQputCopyData(conn, "x\n", 2) == 1;
    PQputCopyEnd(conn, NULL);
    ok &= take(PQgetResult(conn), PGRES_FATAL_ERROR) && !PQgetResult(conn);
    return ok && run(conn, "SELECT count(*) FROM c");
}

static bool large_objects(PGconn *conn)
{
    char block[4096];
    bool ok = run(conn, "BEGIN");
    Oid oid = lo_create(conn, 515151);
    int fd = lo_open(conn, oid, INV_READ | INV_WRITE);

    memset(block, 'L', sizeof(block));
    for (int i = 0; i < 50; i++)
        ok &= lo_write(conn, fd, block, sizeof(block)) == (int)sizeof(block);
    ok &= lo_lseek64(conn, fd, 100000, SEEK_SET) == 100000 && lo_read(conn, fd, block, 10) == 10;
    ok &= lo_truncate64(conn, fd, 5000) == 0 && lo_lseek64(conn, fd, 0, SEEK_END) == 5000;
    see("%u %.10s", oid, block);
    ok &= lo_close(conn, fd) == 0 && lo_unlink(conn, oid) == 1 && run(conn, "COMMIT");
    ok &= lo_open(conn, 515152, INV_READ) == -1;
    see("%s", PQerrorMessage(conn));
    return ok;
}

static void on_notice(void *arg, const PGresult *res)
{
    ++*(int *)arg;
    see("{%s %s}", PQresultErrorField(res, PG_DIAG_SQLSTATE),
        PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY));
}

static bool notices_and_notifications(PGconn *conn)
{
    int count = 0;
    PGnotify *note = NULL;
    PGconn *other = PQconnectdb("");
    bool ok;

    PQsetNoticeReceiver(conn, on_notice, &count);
    ok = run(conn, "DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END$$") && count == 2;
    ok &= run(conn, "LISTEN driver_news");
    ok &= run(other, "NOTIFY driver_news, 'from another'");
    while (!note && readable(conn)) /* idle: nothing was asked */
        note = PQnotifies(conn);
    ok &= note && note->be_pid == PQbackendPID(other);
    if (note)
        see("%s %s", note->relname, note->extra);
    PQfreemem(note);
    PQfinish(other);
    return ok;
}

static bool rows_one_by_one(PGconn *conn)
{
    bool ok = PQsendQuery(conn, "SELECT i, repeat('s', 50) FROM generate_series(1, 20000) i");
    long rows = 0;
    PGresult *res;

    ok &= PQsetSingleRowMode(conn);
    while ((res = PQgetResult(conn))) {
        rows += PQresultStatus(res) == PGRES_SINGLE_TUPLE;
        PQclear(res);
    }
    see("%ld", rows);
    return ok && rows == 20000;
}

static bool settings_follow_the_server(PGconn *conn)
{
    bool ok = run(conn, "SET application_name = 'renamed'; SET DateStyle = 'German'");

    see("%s %s ", PQparameterStatus(conn, "application_name"),
        PQparameterStatus(conn, "DateStyle"));
    ok &= PQsetClientEncoding(conn, "LATIN1") == 0 && run(conn, "RESET ALL");
    see("%s %s %s %s", PQparameterStatus(conn, "application_name"),
        PQparameterStatus(conn, "DateStyle"), PQparameterStatus(conn, "client_encoding"),
        PQparameterStatus(conn, "integer_datetimes"));
    return ok && strstr(seen, "renamed German");
}

static bool function_call(PGconn *conn)
{
    int result = 0, len = 0;
    PQArgBlock arg = {.len = 4, .isint = 1, .u.integer = -17};
    bool ok = take(PQfn(conn, 1397 /* int4abs */, &result, &len, 1, &arg, 1), PGRES_COMMAND_OK);

    see("%d", result);
    return ok && result == 17;
}

static bool migrating_table(PGconn *conn)
{
    bool ok = take(PQprepare(conn, "k", "SELECT label, amount FROM kept WHERE id = $1", 0, NULL),
                   PGRES_COMMAND_OK);

    for (int i = 1; i <= 40; i++) {
        char id[16];
        const char *values[] = {id};

        snprintf(id, sizeof(id), "%d", i);
        ok &= take(PQexecPrepared(conn, "k", 1, values, NULL, NULL, 0), PGRES_TUPLES_OK);
        if (i % 10 == 0)
            ok &= run(conn, "BEGIN; UPDATE kept SET amount = amount + 1 WHERE id = 3; ROLLBACK");
    }
    return ok;
}

static const struct check {
    const char *name;
    bool (*run)(PGconn *conn);
} checks[] = {
#define CHECK(function)                                                                            \
    {                                                                                              \
#function, function                                                                        \
    }
    CHECK(several_statements),
    CHECK(binary_values),
    CHECK(statements_by_name),
    CHECK(pipeline_of_batches),
    CHECK(pipeline_with_flush),
    CHECK(long_pipeline),
    CHECK(cancel_of_a_running_statement),
    CHECK(copy_in_and_out),
    CHECK(copy_that_fails),
    CHECK(large_objects),
    CHECK(notices_and_notifications),
    CHECK(rows_one_by_one),
    CHECK(settings_follow_the_server),
    CHECK(function_call),
    CHECK(migrating_table),
};

int main(void)
{
    int bad = 0;

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        PGconn *conn = PQconnectdb("");
        bool ok = PQstatus(conn) == CONNECTION_OK;

        seen[0] = '\0';
        if (!ok)
            see("%s", PQerrorMessage(conn));
        ok = ok && checks[i].run(conn);
        printf("%s %s: %s\n", ok ? "ok" : "FAILED", checks[i].name, seen);
        fflush(stdout);
        bad |= !ok;
        PQfinish(conn);
    }
    return bad;
}
