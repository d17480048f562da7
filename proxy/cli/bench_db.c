/* The bench's database: made, found again after a kill, dropped; statements that can be stopped. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bench.h"
#include "conninfo.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"

/* Who finds a database with this comment and nobody in it may drop it. A comment cannot come with
 * the database: until it is there, nobody may connect to it, and the session that makes it has its
 * name. */
#define MARK "segue bench backfill: of no other use, may be dropped"
#define PREFIX "segue_bench_"
#define DROP_WAIT_MS 5000
#define POLL_MS 100
#define SPACE_TABLES 6.0 /* template, table, its bloat and index, WAL of the slowest contender */
#define CANCEL_WAIT_MS 10000

/* ---- statements ---- */

static void take_error(PGconn *conn, const PGresult *res, struct err *err)
{
    const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    char line[512];

    snprintf(line, sizeof(line), "%s", PQerrorMessage(conn));
    line[strcspn(line, "\n")] = '\0';
    err_set(err, state ? state : "08006", "%s", text ? text : line);
}

static void cancel(PGconn *conn)
{
    char why[256];
    PGcancel *handle = PQgetCancel(conn);

    if (handle)
        PQcancel(handle, why, sizeof(why));
    PQfreeCancel(handle);
}

/* False: the connection is gone. Asks the server to stop when the bench is. */
static bool wait_answer(struct bench *b, PGconn *conn)
{
    int64_t cancelled_ms = 0;

    while (PQisBusy(conn)) {
        struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};

        if (poll(&fd, 1, POLL_MS) < 0 && errno != EINTR)
            return false;
        if (b && bench_stopped(b) && !cancelled_ms) {
            cancelled_ms = clock_ms();
            cancel(conn);
        }
        if (cancelled_ms && clock_ms() - cancelled_ms > CANCEL_WAIT_MS)
            return false;
        if (!PQconsumeInput(conn))
            return false;
    }
    return true;
}

PGresult *bench_query(struct bench *b, PGconn *conn, const char *sql, struct err *err)
{
    PGresult *last = NULL, *res;

    if (!PQsendQuery(conn, sql)) {
        take_error(conn, NULL, err);
        return NULL;
    }
    while (wait_answer(b, conn) && (res = PQgetResult(conn))) {
        ExecStatusType status = PQresultStatus(res);

        PQclear(last);
        last = res;
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            take_error(conn, res, err);
    }
    if (PQstatus(conn) != CONNECTION_OK || !last)
        take_error(conn, NULL, err);
    if (!err_is_set(err))
        return last;
    PQclear(last);
    return NULL;
}

enum rc bench_exec(struct bench *b, PGconn *conn, struct err *err, const char *fmt, ...)
{
    struct buf sql = {0};
    PGresult *res;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&sql, fmt, ap);
    va_end(ap);
    res = bench_query(b, conn, sql.data, err);
    PQclear(res);
    buf_fini(&sql);
    return res ? RC_OK : RC_ERR;
}

double bench_number(struct bench *b, PGconn *conn, const char *sql, struct err *err)
{
    PGresult *res = bench_query(b, conn, sql, err);
    double value = res && PQntuples(res) ? strtod(PQgetvalue(res, 0, 0), NULL) : 0;

    PQclear(res);
    return value;
}

/* ---- connecting ---- */

char *bench_conninfo(const struct bench *b, const char *database)
{
    PQconninfoOption *words =
        PQconninfoParse(b->set->values[BENCH_DSN].text, NULL); /* defaults stay libpq's */
    struct buf out = {0};

    if (!words)
        return NULL;
    for (PQconninfoOption *w = words; w->keyword; w++) {
        if (w->val && strcmp(w->keyword, "dbname") != 0)
            conninfo_put(&out, w->keyword, w->val);
    }
    conninfo_put(&out, "dbname", database);
    PQconninfoFree(words);
    return buf_take(&out);
}

PGconn *bench_connect(struct bench *b, const char *database, struct err *err)
{
    char *named = database ? bench_conninfo(b, database) : NULL;
    const char *const keys[] = {"connect_timeout", "dbname", "application_name", "client_encoding",
                                NULL};
    const char *const values[] = {"10", named ? named : b->set->values[BENCH_DSN].text,
                                  BENCH_APPLICATION, "UTF8", NULL};
    PGconn *conn = PQconnectdbParams(keys, values, 1);

    free(named);
    /* a statement whose client was killed ends by itself, so that the database can be dropped */
    if (PQstatus(conn) != CONNECTION_OK)
        take_error(conn, NULL, err);
    else if (bench_exec(NULL, conn, err,
                        "SET client_connection_check_interval = '1s'; SET statement_timeout = 0;"
                        "SET lock_timeout = 0; SET client_min_messages = warning") == RC_OK)
        return conn;
    PQfinish(conn);
    return NULL;
}

enum rc bench_open(struct bench *b, struct err *err)
{
    PGresult *res;

    b->home = bench_connect(b, NULL, err);
    if (!b->home) {
        err_prefix(err, "--dsn");
        return RC_ERR;
    }
    res = bench_query(b, b->home,
                      "SELECT current_setting('server_version'), pg_is_in_recovery(), "
                      "(SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user)",
                      err);
    if (!res)
        return RC_ERR;
    snprintf(b->version, sizeof(b->version), "%s", PQgetvalue(res, 0, 0));
    if (PQserverVersion(b->home) < 140000)
        err_set(err, "0A000", "PostgreSQL %s is too old: segue needs 14 or newer", b->version);
    else if (*PQgetvalue(res, 0, 1) == 't')
        err_set(err, "25006", "this server is a standby: nothing can be written there");
    else if (*PQgetvalue(res, 0, 2) != 't')
        err_set(err, "42501", "role \"%s\" may not create a database", PQuser(b->home));
    if (err_is_set(err))
        err_hint(err,
                 "the bench makes a database of its own and drops it: ALTER ROLE ... CREATEDB, "
                 "or name another role in --dsn");
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* ---- the database ---- */

/* Nobody who is in it is thrown out: a bench that lives has a connection in its own, or makes it.
 */
size_t bench_drop_leftovers(struct bench *b, struct err *err)
{
    PGresult *res = bench_query(
        b, b->home,
        "SELECT quote_ident(d.datname) FROM pg_database d, shobj_description(d.oid, 'pg_database') "
        "AS c(said) WHERE d.datname LIKE '" PREFIX "%' AND (c.said = '" MARK "' OR c.said IS NULL "
        "AND d.datconnlimit = 0 AND d.datname ~ '^" PREFIX "[0-9]+_[0-9]+$') AND "
        "pg_has_role(d.datdba, 'USAGE') AND NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE "
        "a.datid = d.oid OR a.application_name = d.datname)",
        err);
    size_t dropped = 0;

    for (int r = 0; res && r < PQntuples(res); r++) {
        struct err ignored = {0};

        if (bench_exec(b, b->home, &ignored, "DROP DATABASE IF EXISTS %s", PQgetvalue(res, r, 0)) ==
            RC_OK)
            dropped++;
    }
    PQclear(res);
    return dropped;
}

enum rc bench_make_database(struct bench *b, struct err *err)
{
    snprintf(b->database, sizeof(b->database), PREFIX "%d_%" PRId64, (int)getpid(),
             clock_us() % 1000000);
    if (bench_exec(b, b->home, err, "SET application_name = %s", b->database) != RC_OK ||
        bench_exec(b, b->home, err, "CREATE DATABASE %s TEMPLATE template0 CONNECTION LIMIT 0",
                   b->database) != RC_OK) {
        b->database[0] = '\0';
        return RC_ERR;
    }
    if (bench_exec(b, b->home, err,
                   "COMMENT ON DATABASE %s IS '" MARK "'; ALTER DATABASE %s CONNECTION LIMIT -1",
                   b->database, b->database) != RC_OK)
        return RC_ERR;
    b->work = bench_connect(b, b->database, err);
    return b->work ? RC_OK : RC_ERR;
}

void bench_drop_database(struct bench *b)
{
    struct err err = {0};
    int64_t until_ms = clock_ms() + DROP_WAIT_MS;
    enum rc rc = RC_ERR;

    PQfinish(b->work);
    b->work = NULL;
    while (b->database[0] && b->home && rc != RC_OK && clock_ms() < until_ms) {
        err_clear(&err);
        /* not to be stopped: this is the clean end of a stop */
        rc =
            bench_exec(NULL, b->home, &err, "DROP DATABASE IF EXISTS %s WITH (FORCE)", b->database);
        if (PQstatus(b->home) != CONNECTION_OK)
            PQreset(b->home);
        if (rc != RC_OK)
            clock_sleep_ms(POLL_MS);
    }
    if (b->database[0] && rc != RC_OK)
        fprintf(stderr, "segue: database %s is left: %s\nhint: the next bench drops it\n",
                b->database, err.text);
    b->database[0] = '\0';
}

/* ---- space ---- */

/* Free bytes where the server keeps its data, if this is its machine and we may look; -1. */
static double free_bytes(struct bench *b)
{
    const char *host = PQhost(b->home);
    struct err ignored = {0};
    struct statvfs fs;
    double bytes = -1;
    PGresult *res;

    if (!host || (host[0] != '/' && strcmp(host, "127.0.0.1") != 0 &&
                  strcmp(host, "localhost") != 0 && strcmp(host, "::1") != 0))
        return -1;
    res = bench_query(b, b->home, "SHOW data_directory", &ignored);
    if (res && statvfs(PQgetvalue(res, 0, 0), &fs) == 0)
        bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    PQclear(res);
    return bytes;
}

enum rc bench_check_space(struct bench *b, struct buf *said, struct err *err)
{
    unsigned told_mb = b->set->values[BENCH_FREE_MB].number;
    double needed = (double)b->table_bytes * SPACE_TABLES + 256e6;
    double there = told_mb ? told_mb * 1e6 : free_bytes(b);

    buf_printf(said, "it needs some %.0f MB of disk there", needed / 1e6);
    if (there < 0) {
        buf_append_str(said, "; how much is free cannot be seen from here");
        return RC_OK;
    }
    buf_printf(said, ", %.0f MB are free%s", there / 1e6, told_mb ? " (--free-mb)" : "");
    if (there >= needed * 1.2)
        return RC_OK;
    err_set(err, "53100", "%.0f MB of disk are free, the bench needs some %.0f MB and a reserve",
            there / 1e6, needed / 1e6);
    err_hint(err, "--rows takes fewer rows, also of --table");
    return RC_ERR;
}
