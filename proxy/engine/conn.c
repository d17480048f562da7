#include "conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/catalog/catalog.h"
#include "segue/engine/plan.h"
#include "segue/sql/expr.h"

/* A server has 5 s (connect_timeout); a name server may take any time. */
#define OPEN_WAIT_MS 6000
#define PING_WAIT_MS 3000
/* A statement is given this long to end by itself once the program wants to stop. */
#define STOP_GRACE_MS 2000
#define STOP_MOST_MS 6000
#define CANCEL_MS 1000 /* a server that stands still lets a cancel request in, and no more */
#define ROLLBACK_TRIES 5
#define LOCK_WAIT_MS 1000
#define WAITS_MS 200 /* between two calls of `waits` */

/* jit: compiling `up` for each batch costs more than it gives. row_security off: an error is
 * better than rows that a policy hides from the backfill. No parallel plans: `up` may be labelled
 * safer than it is. quote_all_identifiers: names in what the server says of objects are compared.
 * default_tablespace: what is carried stays where it was. */
static const char setup_sql[] =
    "SET search_path = pg_catalog, pg_temp; SET statement_timeout = 0; SET lock_timeout = 0;"
    "SET idle_in_transaction_session_timeout = 0;"
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5;"
    "SET tcp_keepalives_count = 3; SET idle_session_timeout = 0; SET jit = off;"
    "SET max_parallel_workers_per_gather = 0;"
    "SET row_security = off; SET client_min_messages = warning;"
    "SET default_transaction_isolation = 'read committed';"
    "SET default_transaction_read_only = off;"
    "SET DateStyle = 'ISO'; SET extra_float_digits = 1;"
    "SET quote_all_identifiers = off; SET default_tablespace = '';"
    "SET standard_conforming_strings = on;"
    "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';"
    "SELECT reset_val, (SELECT setting FROM pg_settings WHERE name = 'deadlock_timeout') FROM "
    "pg_settings WHERE name = 'search_path'";

static void err_from_conn(PGconn *pg, struct err *err)
{
    char text[512];

    snprintf(text, sizeof(text), "%s", pg ? PQerrorMessage(pg) : "not connected");
    text[strcspn(text, "\n")] = '\0';
    err_set(err, "08006", "%s", text[0] ? text : "connection lost");
}

static bool of_class(const char *state, const char *class)
{
    return strncmp(state, class, 2) == 0;
}

/* By a function somebody has written, not by a DO of the plan: the first line of the context is of
 * where it happened, and its last word is said in no other language. */
static bool is_raised(const char *context)
{
    static const char word[] = "RAISE";
    size_t line = strcspn(context, "\n");

    return line >= strlen(word) &&
           strncmp(context + line - strlen(word), word, strlen(word)) == 0 &&
           !strstr(context, "inline_code_block");
}

/* Bytes of the message in which no value of a row can be; *detail: none in DETAIL either. What a
 * function says by itself may say anything. Errors of data (22) quote the value, in the quotation
 * marks of the server's language; those of constraints (23) names alone, but DETAIL has the row. */
static size_t plain_bytes(const PGresult *res, const char *state, const char *text, bool *detail)
{
    const char *context = PQresultErrorField(res, PG_DIAG_CONTEXT);
    bool data = of_class(state, "22"), constraint = of_class(state, "23");
    bool said = data || constraint || of_class(state, "01"); /* a warning */
    size_t plain = 0;

    *detail = false;
    if (of_class(state, "P0") || of_class(state, "38") || (said && context && is_raised(context)))
        return 0;
    *detail = !data && !constraint;
    if (!data)
        return strlen(text);
    while (text[plain] && text[plain] != '"' && (unsigned char)text[plain] < 0x80)
        plain++;
    return plain;
}

/* Somebody has written the same row of a catalog, and committed while we waited for that: before
 * PostgreSQL 18 a GRANT locks no table, so it is met there. An internal error, the server says. */
static bool is_overtaken(const PGresult *res, const char *state)
{
    const char *in = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);

    return strcmp(state, "XX000") == 0 && in &&
           (strcmp(in, "simple_heap_update") == 0 || strcmp(in, "simple_heap_delete") == 0);
}

static void err_from_result(PGconn *pg, const PGresult *res, struct err *err)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
    const char *own;
    bool all;
    char *whole;
    size_t plain;

    if (!state) { /* libpq's own: no answer from the server */
        err_from_conn(pg, err);
        return;
    }
    if (is_overtaken(res, state))
        state = "40001"; /* what it is: the same again may succeed */
    text = text ? text : "";
    plain = plain_bytes(res, state, text, &all);
    own = plain ? NULL : hint; /* as little to be trusted as its text */
    whole = mem_printf("%s%s%s%s%s", text, detail ? ": " : "", detail ? detail : "",
                       own ? "; " : "", own ? own : "");
    err_set_quoting(err, state, all ? strlen(whole) : plain, whole);
    free(whole);
    if (hint && !own)
        err_hint(err, "%s", hint);
    cat_encoding_hint(pg, err);
    if (strcmp(state, "55P03") == 0)
        err_hint(err, "somebody has it locked (pg_locks says who): end that transaction, or try "
                      "again");
}

/* What ends the connection while nothing is asked of it comes as a notice, too. */
static void take_notice(void *arg, const PGresult *res)
{
    struct eng_conn *conn = arg;
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    struct err said = {0};

    err_from_result(conn->pg, res, &said);
    log_err(LOG_DEBUG, "server", &said);
    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        err_from_result(conn->pg, res, &conn->last_words);
}

static enum rc set_up(struct eng_conn *conn, struct err *err)
{
    PGresult *res = conn_run(conn, setup_sql, NULL, err);

    if (!res)
        return RC_ERR;
    free(conn->names);
    conn->names = mem_strdup(PQntuples(res) ? res_text(res, 0, 0) : "");
    conn->deadlock_ms = PQntuples(res) ? (unsigned)res_int(res, 0, 1) : 0;
    PQclear(res);
    return RC_OK;
}

/* Somebody may have to be told meanwhile that the engine lives. */
static enum rc wait_opened(struct eng_conn *conn, int64_t ms)
{
    int64_t until_ms = clock_ms() + ms;
    enum rc rc = cat_reach_wait(conn->opens, ms < WAITS_MS ? ms : WAITS_MS, conn->stop);

    while (rc != RC_OK && clock_ms() < until_ms && !(conn->stop && atomic_load(conn->stop))) {
        if (conn->waits)
            conn->waits(conn->waits_ctx);
        rc = cat_reach_wait(conn->opens, WAITS_MS, conn->stop);
    }
    return rc;
}

enum rc conn_open(struct eng_conn *conn, const char *upstream, struct err *err)
{
    const char *const keys[] = {"keepalives_idle",  "keepalives_interval", "keepalives_count",
                                "tcp_user_timeout", "connect_timeout",     "dbname",
                                "application_name", "client_encoding",     NULL};
    const char *const values[] = {"5", "2", "3", "10000", "5", upstream, "segue", "UTF8", NULL};

    bool again = conn->opens;

    if (!again) {
        conn_close(conn);
        conn->opens = cat_reach_begin(keys, values);
    }
    if (wait_opened(conn, again ? 0 : OPEN_WAIT_MS) != RC_OK) {
        err_set(err, "08006",
                "no connection yet: neither the server nor a name server has "
                "answered within %d s",
                OPEN_WAIT_MS / 1000);
        err_hint(err, "does the resolver of this machine work? It is waited for");
        return RC_AGAIN;
    }
    conn->pg = cat_reach_take(conn->opens);
    conn->opens = NULL;
    if (PQstatus(conn->pg) != CONNECTION_OK) {
        err_from_conn(conn->pg, err);
        conn_close(conn);
        return RC_ERR;
    }
    PQsetNoticeReceiver(conn->pg, take_notice, conn);
    err_clear(&conn->last_words);
    if (PQserverVersion(conn->pg) < 140000) {
        err_set(err, "0A000", "PostgreSQL %d is too old", PQserverVersion(conn->pg) / 10000);
        err_hint(err, "segue needs PostgreSQL 14 or newer");
        conn_close(conn);
        return RC_ERR;
    }
    if (set_up(conn, err) != RC_OK) {
        conn_close(conn);
        return RC_ERR;
    }
    return RC_OK;
}

enum rc conn_check_primary(struct eng_conn *conn, struct err *err)
{
    PGresult *res = conn_query(conn, err, "SELECT pg_is_in_recovery()");
    bool standby = res && res_bool(res, 0, 0);

    PQclear(res);
    if (!res)
        return RC_ERR;
    if (!standby)
        return RC_OK;
    err_set(err, "25006", "the server is a standby: segue works on the primary");
    err_hint(err, "name all hosts in upstream, with target_session_attrs=read-write");
    return RC_ERR;
}

enum rc conn_bound_locks(struct eng_conn *conn, struct err *err)
{
    return conn_exec(conn, err, "SET lock_timeout = %d", LOCK_WAIT_MS);
}

unsigned conn_lock_ms(const struct eng_conn *conn, unsigned ms)
{
    return conn->deadlock_ms && conn->deadlock_ms < ms ? conn->deadlock_ms : ms;
}

enum rc conn_settle(struct eng_conn *conn, struct err *err)
{
    /* RESET ALL leaves these two */
    if (conn_exec(conn, err, "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL") != RC_OK)
        return RC_ERR;
    return set_up(conn, err);
}

static char *path_sql(const char *path, bool local)
{
    char *literal = sql_quote_literal(path);
    char *sql = mem_printf("SELECT pg_catalog.set_config('search_path', %s, %s);\n", literal,
                           local ? "true" : "false");

    free(literal);
    return sql;
}

static const char *names_of(const struct eng_conn *conn, const struct eng_plan *plan)
{
    if (plan && plan->names)
        return plan->names;
    return conn->names ? conn->names : "";
}

char *conn_names_sql(const struct eng_conn *conn, const struct eng_plan *plan)
{
    return path_sql(names_of(conn, plan), true);
}

static enum rc go_by(struct eng_conn *conn, const char *path, struct err *err)
{
    char *sql = path_sql(path, false);
    enum rc rc = conn_exec(conn, err, "%s", sql);

    free(sql);
    return rc;
}

enum rc conn_go_by_names(struct eng_conn *conn, const struct eng_plan *plan, struct err *err)
{
    return go_by(conn, names_of(conn, plan), err);
}

enum rc conn_go_by_own(struct eng_conn *conn, struct err *err)
{
    return go_by(conn, "pg_catalog, pg_temp", err);
}

enum conn_ping conn_ping(const char *upstream, const atomic_bool *stop)
{
    const char *const keys[] = {"dbname", "connect_timeout", NULL};
    const char *const values[] = {upstream, "2", NULL};

    struct cat_reach *reach = cat_reach_ping(keys, values);

    if (cat_reach_wait(reach, PING_WAIT_MS, stop) != RC_OK) {
        cat_reach_drop(reach);
        return CONN_AWAY;
    }
    switch (cat_reach_answer(reach)) {
    case PQPING_OK:
        return CONN_SERVES;
    case PQPING_REJECT:
        return CONN_STARTING;
    default:
        return CONN_AWAY;
    }
}

void conn_close(struct eng_conn *conn)
{
    cat_reach_drop(conn->opens);
    conn->opens = NULL;
    if (conn->pg && conn->busy)
        conn_cancel(conn);
    PQfinish(conn->pg);
    conn->pg = NULL;
    conn->busy = false;
    PQclear(conn->sent.last);
    conn->sent = (struct eng_answers){0};
    free(conn->names);
    conn->names = NULL;
}

bool conn_up(const struct eng_conn *conn)
{
    return conn->pg && PQstatus(conn->pg) == CONNECTION_OK;
}

enum rc conn_heed(struct eng_conn *conn, struct err *err)
{
    if (conn_up(conn) && PQconsumeInput(conn->pg))
        PQisBusy(conn->pg); /* takes notice of what has come */
    if (conn_up(conn))
        return RC_OK;
    if (err_is_set(&conn->last_words))
        *err = conn->last_words;
    else
        err_from_conn(conn->pg, err);
    return RC_ERR;
}

void conn_cancel(struct eng_conn *conn)
{
    bool ends = conn->stop && atomic_load(conn->stop);
    struct cat_reach *reach = conn->pg ? cat_reach_cancel(conn->pg) : NULL;

    /* the end does not wait again for who did not answer before */
    if (reach && cat_reach_wait(reach, ends && cat_reach_given_up() ? 0 : CANCEL_MS, NULL) != RC_OK)
        log_debug("cancel: the server does not take it now");
    cat_reach_drop(reach);
}

/* The program ends: the statement is cancelled after a while. False: the server, which stands still
 * perhaps, does not answer that either; what it makes of the statement is in the store. */
static bool goes_on(struct eng_conn *conn, int64_t *asked_ms, bool *cancelled)
{
    if (!conn->stop || !atomic_load(conn->stop))
        return true;
    *asked_ms = *asked_ms ? *asked_ms : clock_ms();
    if (!*cancelled && clock_ms() - *asked_ms > STOP_GRACE_MS) {
        conn_cancel(conn);
        *cancelled = true;
    }
    return clock_ms() - *asked_ms <= STOP_MOST_MS;
}

static void keep_to_time(struct eng_conn *conn)
{
    if (!conn->until_us || clock_us() < conn->until_us)
        return;
    conn->until_us = 0;
    conn_cancel(conn);
}

static bool wait_input(struct eng_conn *conn)
{
    int64_t asked_ms = 0;
    bool cancelled = false;

    while (PQisBusy(conn->pg)) {
        struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};

        if (poll(&fd, 1, WAITS_MS) < 0 && errno != EINTR)
            return false;
        if (conn->waits)
            conn->waits(conn->waits_ctx);
        keep_to_time(conn);
        if (!goes_on(conn, &asked_ms, &cancelled) || !PQconsumeInput(conn->pg))
            return false;
    }
    return true;
}

static bool succeeded(const PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

static void take(struct eng_conn *conn, struct eng_answers *answers, PGresult *res)
{
    if (!answers->bad && succeeded(res)) {
        PQclear(answers->last);
        answers->last = res;
        answers->n++;
        return;
    }
    if (!answers->bad)
        err_from_result(conn->pg, res, &answers->err);
    answers->bad = true;
    PQclear(res);
}

/* There are no more: the last good one, or NULL. Empties it. */
static PGresult *conclude(struct eng_conn *conn, struct eng_answers *answers, struct err *err)
{
    PGresult *last = answers->last;
    bool bad = answers->bad;

    if (err_is_set(&answers->err) && err && !err_is_set(err))
        *err = answers->err;
    *answers = (struct eng_answers){0};
    if (PQstatus(conn->pg) != CONNECTION_OK) {
        err_from_conn(conn->pg, err);
        bad = true;
    }
    if (!bad && last)
        return last;
    err_set(err, "XX000", "no answer from the server");
    PQclear(last);
    return NULL;
}

/* Waits for every result of what was sent. */
static PGresult *collect(struct eng_conn *conn, size_t *ndone, struct err *err)
{
    struct eng_answers answers = {0};
    PGresult *res;

    for (;;) {
        if (!wait_input(conn)) {
            answers.bad = true; /* what has come is not all */
            break;
        }
        if (!(res = PQgetResult(conn->pg)))
            break;
        take(conn, &answers, res);
    }
    if (ndone)
        *ndone = answers.n;
    return conclude(conn, &answers, err);
}

PGresult *conn_run(struct eng_conn *conn, const char *sql, size_t *ndone, struct err *err)
{
    if (ndone)
        *ndone = 0;
    if (!conn_up(conn) || !PQsendQuery(conn->pg, sql)) {
        err_from_conn(conn->pg, err);
        return NULL;
    }
    return collect(conn, ndone, err);
}

static PGresult *run_text(struct eng_conn *conn, struct err *err, const char *fmt, va_list ap)
{
    struct buf sql = {0};
    PGresult *res;

    buf_vprintf(&sql, fmt, ap);
    res = conn_run(conn, sql.data, NULL, err);
    buf_fini(&sql);
    return res;
}

PGresult *conn_query(struct eng_conn *conn, struct err *err, const char *fmt, ...)
{
    PGresult *res;
    va_list ap;

    va_start(ap, fmt);
    res = run_text(conn, err, fmt, ap);
    va_end(ap);
    return res;
}

enum rc conn_exec(struct eng_conn *conn, struct err *err, const char *fmt, ...)
{
    PGresult *res;
    va_list ap;

    va_start(ap, fmt);
    res = run_text(conn, err, fmt, ap);
    va_end(ap);
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

PGresult *conn_params(struct eng_conn *conn, struct err *err, const char *sql, int n,
                      const char *const *values)
{
    if (!conn_up(conn) || !PQsendQueryParams(conn->pg, sql, n, NULL, values, NULL, NULL, 0)) {
        err_from_conn(conn->pg, err);
        return NULL;
    }
    return collect(conn, NULL, err);
}

void conn_rollback(struct eng_conn *conn)
{
    struct err ignored = {0};

    /* who cancels what runs may hit the ROLLBACK, too: the transaction would stay, aborted */
    for (int tries = 0; tries < ROLLBACK_TRIES; tries++) {
        if (!conn_up(conn) || PQtransactionStatus(conn->pg) == PQTRANS_IDLE)
            return;
        if (conn_exec(conn, &ignored, "ROLLBACK") != RC_OK)
            log_err(LOG_DEBUG, "rollback", &ignored);
        err_clear(&ignored);
    }
}

enum rc conn_send(struct eng_conn *conn, const char *sql, struct err *err)
{
    if (!conn_up(conn) || !PQsendQuery(conn->pg, sql)) {
        err_from_conn(conn->pg, err);
        return RC_ERR;
    }
    conn->busy = true;
    conn->busy_since_us = clock_us();
    return RC_OK;
}

enum rc conn_poll_result(struct eng_conn *conn, PGresult **res, struct err *err)
{
    PGresult *one = NULL;

    *res = NULL;
    if (!conn->busy)
        return RC_OK;
    /* of a text of several the first ones may be here long before the last */
    do {
        if (one)
            take(conn, &conn->sent, one);
        if (conn_up(conn) && PQconsumeInput(conn->pg) && PQisBusy(conn->pg))
            return RC_AGAIN;
    } while ((one = PQgetResult(conn->pg)));
    conn->busy = false;
    *res = conclude(conn, &conn->sent, err);
    return *res ? RC_OK : RC_ERR;
}

enum rc conn_poll(struct eng_conn *conn, struct err *err)
{
    PGresult *res;
    enum rc rc = conn_poll_result(conn, &res, err);

    PQclear(res);
    return rc;
}

bool conn_lost(const struct err *err)
{
    return strncmp(err->sqlstate, "08", 2) == 0 || strncmp(err->sqlstate, "57P0", 4) == 0 ||
           strcmp(err->sqlstate, "25P03") == 0 || strcmp(err->sqlstate, "25P04") == 0;
}

bool conn_no_relation(const struct err *err)
{
    return strcmp(err->sqlstate, "42P01") == 0;
}

bool conn_retryable(const struct err *err)
{
    static const char *const again[] = {"55P03", "40P01", "40001", "57014", "53300"};

    for (size_t i = 0; i < ARRAY_LEN(again); i++) {
        if (strcmp(err->sqlstate, again[i]) == 0)
            return true;
    }
    return conn_lost(err);
}

int64_t conn_backoff_ms(unsigned n, int64_t base_ms, int64_t max_ms)
{
    int64_t ms = base_ms;

    while (n-- > 0 && ms < max_ms)
        ms *= 2;
    if (ms > max_ms)
        ms = max_ms;
    return ms / 2 + (ms > 1 ? random() % (ms / 2 + 1) : 0);
}

int64_t res_int(const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? 0 : strtoll(PQgetvalue(res, row, col), NULL, 10);
}

double res_double(const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? 0 : strtod(PQgetvalue(res, row, col), NULL);
}

const char *res_text(const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? NULL : PQgetvalue(res, row, col);
}

bool res_bool(const PGresult *res, int row, int col)
{
    return !PQgetisnull(res, row, col) && PQgetvalue(res, row, col)[0] == 't';
}
