/* One connection: statements in three protocols, COPY, latencies, what counts as an error. */
#include "workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"

#define RECONNECT_TRIES 300
#define RECONNECT_PAUSE_MS 100
#define SHOWN_MAX 20 /* complaints shown; all are counted */

static _Atomic int shown;

static void complain(struct wl_client *c, const char *what, const char *key, const char *text)
{
    char now[32];

    if (atomic_fetch_add(&shown, 1) >= SHOWN_MAX)
        return;
    clock_wall(now, sizeof(now));
    fprintf(stderr, "%s workload %s%d: %s: %s: %s\n", now, c->options->prefix, c->index, what, key,
            text);
}

void wl_error(struct wl_client *c, const char *where, const char *text)
{
    atomic_fetch_add(&c->errors, 1);
    complain(c, "ERROR", where, text);
}

void wl_mismatch(struct wl_client *c, const char *key, const char *what, const char *expected,
                 const char *found)
{
    char *text = mem_printf("%s: expected <%s>, found <%s>", what, expected ? expected : "NULL",
                            found ? found : "NULL");

    atomic_fetch_add(&c->mismatches, 1);
    complain(c, "MISMATCH", key, text);
    free(text);
}

bool wl_lost(const struct wl_client *c)
{
    return !c->conn || c->told_to_go || PQstatus(c->conn) != CONNECTION_OK;
}

void wl_disconnect(struct wl_client *c)
{
    if (c->conn)
        PQfinish(c->conn);
    c->conn = NULL;
    c->told_to_go = false;
    memset(c->prepared, 0, sizeof(c->prepared));
}

static void ignore_notice(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

bool wl_connect(struct wl_client *c)
{
    int tries = c->options->tolerate_disconnect ? RECONNECT_TRIES : 1;
    char name[64];

    snprintf(name, sizeof(name), "workload-%s", c->options->revision->name);
    const char *const keys[] = {"dbname", "application_name", "client_encoding", NULL};
    const char *const values[] = {c->options->url, name, "UTF8", NULL};
    while (tries-- > 0) {
        wl_disconnect(c);
        c->conn = PQconnectdbParams(keys, values, 1);
        if (PQstatus(c->conn) == CONNECTION_OK) {
            PQsetNoticeReceiver(c->conn, ignore_notice, NULL);
            return true;
        }
        if (tries > 0)
            clock_sleep_ms(RECONNECT_PAUSE_MS);
    }
    wl_error(c, "connect", PQerrorMessage(c->conn));
    return false;
}

/* The statement with its parameters written in, for the simple protocol. */
static char *spell_out(struct wl_client *c, const char *sql, int n, const char *const *params)
{
    struct buf buf = {0};

    for (; *sql; sql++) {
        int i = sql[0] == '$' ? sql[1] - '1' : -1;
        if (i < 0 || i >= n) {
            buf_append_u8(&buf, (uint8_t)*sql);
            continue;
        }
        char *literal = params[i] ? PQescapeLiteral(c->conn, params[i], strlen(params[i])) : NULL;
        buf_append_str(&buf, literal ? literal : "NULL");
        PQfreemem(literal);
        sql++;
    }
    return buf_take(&buf);
}

static void timed(struct wl_client *c, int64_t start_us)
{
    int64_t us = clock_us() - start_us;

    atomic_store(&c->busy_since_us, 0);
    hist_add(&c->hist, us);
    atomic_fetch_add(&c->statements, 1);
    int64_t max = atomic_load(&c->window_max_us);
    while (us > max && !atomic_compare_exchange_weak(&c->window_max_us, &max, us))
        ;
}

/* True when the result is an answer; otherwise counts what it is and clears it. */
static bool answered(struct wl_client *c, const char *sql, PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_COPY_IN ||
        status == PGRES_COPY_OUT)
        return true;
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (state && strncmp(state, "57P0", 4) == 0)
        c->told_to_go = true; /* libpq sees the closed socket only with its next read */
    if (wl_lost(c) && c->options->tolerate_disconnect) {
        atomic_fetch_add(&c->disconnects, 1);
    } else {
        char *text = mem_printf("%s %s", state ? state : "", PQerrorMessage(c->conn));
        wl_error(c, sql, text);
        free(text);
    }
    PQclear(res);
    return false;
}

PGresult *wl_exec(struct wl_client *c, enum wl_stmt st, int n, const char *const *params)
{
    const char *sql = c->options->revision->sql[st];
    enum wl_protocol protocol = c->options->protocol;
    PGresult *res;
    char name[16];

    if (protocol == WL_MIXED)
        protocol = (enum wl_protocol)wl_random(&c->rng, WL_MIXED);
    /* as drivers do: a star is never kept as a named statement, its columns may change */
    if (st == ST_READ_STAR && protocol == WL_PREPARED)
        protocol = WL_EXTENDED;
    snprintf(name, sizeof(name), "s%d", st);
    if (protocol == WL_PREPARED && !c->prepared[st]) {
        int64_t prepare_us = clock_us();
        atomic_store(&c->busy_since_us, prepare_us);
        res = PQprepare(c->conn, name, sql, 0, NULL);
        timed(c, prepare_us);
        if (!answered(c, sql, res))
            return NULL;
        PQclear(res);
        c->prepared[st] = true;
    }
    char *text = protocol == WL_SIMPLE ? spell_out(c, sql, n, params) : NULL;
    int64_t start_us = clock_us();
    atomic_store(&c->busy_since_us, start_us);
    if (protocol == WL_SIMPLE)
        res = PQexec(c->conn, text);
    else if (protocol == WL_EXTENDED)
        res = PQexecParams(c->conn, sql, n, NULL, params, NULL, NULL, 0);
    else
        res = PQexecPrepared(c->conn, name, n, params, NULL, NULL, 0);
    timed(c, start_us);
    free(text);
    return answered(c, sql, res) ? res : NULL;
}

/* Takes the answers of one pipeline up to and with its Sync; false when one is not an answer. */
static bool drain_pipeline(struct wl_client *c, const struct wl_call *calls, int n,
                           PGresult **results)
{
    const char *const *sql = c->options->revision->sql;
    bool ok = true;
    PGresult *res;

    for (int i = 0; i < n && !wl_lost(c); i++) {
        res = PQgetResult(c->conn);
        if (res && PQresultStatus(res) == PGRES_PIPELINE_ABORTED)
            PQclear(res); /* the cause was counted */
        else if (answered(c, sql[calls[i].st], res))
            results[i] = res;
        ok = ok && results[i];
        while ((res = PQgetResult(c->conn)))
            PQclear(res);
    }
    if (!wl_lost(c)) {
        res = PQgetResult(c->conn);
        ok = ok && PQresultStatus(res) == PGRES_PIPELINE_SYNC;
        PQclear(res);
    }
    return ok && !wl_lost(c);
}

enum rc wl_pipeline(struct wl_client *c, const struct wl_call *calls, int n, PGresult **results)
{
    int64_t start_us = clock_us();
    bool sent = PQenterPipelineMode(c->conn) == 1;

    memset(results, 0, (size_t)n * sizeof(*results));
    atomic_store(&c->busy_since_us, start_us);
    for (int i = 0; i < n && sent; i++)
        sent = PQsendQueryParams(c->conn, c->options->revision->sql[calls[i].st], calls[i].n, NULL,
                                 calls[i].params, NULL, NULL, 0) == 1;
    sent = sent && PQpipelineSync(c->conn) == 1;
    bool ok = drain_pipeline(c, calls, n, results);
    timed(c, start_us);
    if (!wl_lost(c) && PQexitPipelineMode(c->conn) != 1) {
        wl_error(c, "pipeline", PQerrorMessage(c->conn));
        ok = false;
    }
    if (ok && sent)
        return RC_OK;
    for (int i = 0; i < n; i++)
        PQclear(results[i]);
    return RC_ERR;
}

/* ---- COPY ---- */

static void copy_field(struct buf *buf, const char *s, char end)
{
    if (!s)
        buf_append_str(buf, "\\N");
    for (; s && *s; s++) {
        if (*s == '\\')
            buf_append_str(buf, "\\\\");
        else if (*s == '\t')
            buf_append_str(buf, "\\t");
        else if (*s == '\n')
            buf_append_str(buf, "\\n");
        else if (*s == '\r')
            buf_append_str(buf, "\\r");
        else
            buf_append_u8(buf, (uint8_t)*s);
    }
    buf_append_u8(buf, (uint8_t)end);
}

enum rc wl_copy_in(struct wl_client *c, const struct wl_row *rows, int n)
{
    struct buf buf = {0};
    bool ok = false;
    int64_t start_us = clock_us();

    for (int i = 0; i < n; i++) {
        copy_field(&buf, rows[i].run_id, '\t');
        copy_field(&buf, rows[i].claim, '\t');
        copy_field(&buf, "copied", '\t');
        copy_field(&buf, "gpt-5", '\t');
        copy_field(&buf, rows[i].prob, '\t');
        copy_field(&buf, rows[i].config, '\t');
        copy_field(&buf, rows[i].counts, '\n');
    }
    atomic_store(&c->busy_since_us, start_us);
    PGresult *res = PQexec(c->conn, c->options->revision->copy_in);
    if (!answered(c, "COPY FROM STDIN", res)) {
        timed(c, start_us);
        goto out;
    }
    PQclear(res);
    bool sent =
        PQputCopyData(c->conn, buf.data, (int)buf.len) == 1 && PQputCopyEnd(c->conn, NULL) == 1;
    res = PQgetResult(c->conn);
    ok = answered(c, "COPY FROM STDIN", res) && sent;
    if (ok)
        PQclear(res);
    while ((res = PQgetResult(c->conn)))
        PQclear(res);
    timed(c, start_us);
out:
    buf_fini(&buf);
    return ok ? RC_OK : RC_ERR;
}

int wl_copy_out(struct wl_client *c, const char *query)
{
    int lines = 0, len;
    char *line;
    char *sql = mem_printf("COPY (%s) TO STDOUT", query);
    int64_t start_us = clock_us();

    atomic_store(&c->busy_since_us, start_us);
    PGresult *res = PQexec(c->conn, sql);
    if (!answered(c, sql, res)) {
        lines = -1;
    } else {
        PQclear(res);
        while ((len = PQgetCopyData(c->conn, &line, 0)) > 0) {
            lines++;
            PQfreemem(line);
        }
        res = PQgetResult(c->conn);
        if (answered(c, sql, res))
            PQclear(res);
        else
            lines = -1;
        while ((res = PQgetResult(c->conn)))
            PQclear(res);
    }
    timed(c, start_us);
    free(sql);
    return lines;
}
