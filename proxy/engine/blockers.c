/* Who is in the way of a lock: names for people, from pg_locks and pg_stat_activity. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gated.h"
#include "segue/base/log.h"

#define BLOCKERS_SHOWN 8

/* Locks that others hold on the relations named by the one %s, partitions included. */
#define HELD                                                                                       \
    "WITH rel AS (SELECT to_regclass(n)::oid AS oid FROM unnest(ARRAY[%s]::text[]) AS n),"         \
    " tree AS (SELECT oid FROM rel UNION SELECT t.relid::oid FROM rel,"                            \
    " LATERAL pg_partition_tree(rel.oid) AS t WHERE rel.oid IS NOT NULL),"                         \
    " held AS (SELECT DISTINCT pid, virtualtransaction FROM pg_locks WHERE granted"                \
    " AND locktype = 'relation' AND relation IN (SELECT oid FROM tree) AND database ="             \
    " (SELECT oid FROM pg_database WHERE datname = current_database())"                            \
    " AND pid IS DISTINCT FROM pg_backend_pid())"

/* One row a blocker: pid, application, user, address, state, age in s, query, what */
#define DESCRIBE                                                                                   \
    "coalesce(nullif(a.application_name, ''), a.backend_type), a.usename, "                        \
    "coalesce(host(a.client_addr), 'local'), a.state, "                                            \
    "extract(epoch FROM clock_timestamp() - a.xact_start), "                                       \
    "regexp_replace(left(a.query, 80), '\\s+', ' ', 'g')"

static void append_rows(const PGresult *res, struct buf *out)
{
    for (int r = 0; r < PQntuples(res) && r < BLOCKERS_SHOWN; r++) {
        const char *gid = res_text(res, r, 7);

        if (gid) {
            buf_printf(out, "%sprepared transaction \"%s\" (%.0f s)", out->len ? "; " : "", gid,
                       res_double(res, r, 5));
            continue;
        }
        buf_printf(out, "%spid %" PRId64 " (%s, user %s, %s, %s, %.1f s in transaction): %s",
                   out->len ? "; " : "", res_int(res, r, 0),
                   res_text(res, r, 1) ? res_text(res, r, 1) : "?",
                   res_text(res, r, 2) ? res_text(res, r, 2) : "?",
                   res_text(res, r, 3) ? res_text(res, r, 3) : "?",
                   res_text(res, r, 4) ? res_text(res, r, 4) : "?", res_double(res, r, 5),
                   res_text(res, r, 6) ? res_text(res, r, 6) : "");
    }
    if (PQntuples(res) > BLOCKERS_SHOWN)
        buf_printf(out, "; and %d more", PQntuples(res) - BLOCKERS_SHOWN);
}

enum rc blockers_of(struct eng_engine *engine, const char *names, unsigned age_ms, struct buf *out,
                    bool *autovacuum, struct err *err)
{
    PGresult *res = conn_query(
        &engine->work, err,
        HELD " SELECT h.pid, " DESCRIBE ", NULL, a.backend_type = 'autovacuum worker'"
             " FROM held h JOIN pg_stat_activity a USING (pid) WHERE a.backend_type ="
             " 'autovacuum worker' OR a.xact_start < clock_timestamp() - %u * interval '1 ms'"
             " UNION ALL SELECT NULL, NULL, NULL, NULL, NULL,"
             " extract(epoch FROM clock_timestamp() - p.prepared), NULL, p.gid, false FROM held h"
             /* no process holds these: the lock on their own number tells which one it is */
             " JOIN pg_locks x ON h.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'"
             " AND x.virtualtransaction = h.virtualtransaction"
             " JOIN pg_prepared_xacts p ON p.transaction = x.transactionid"
             " ORDER BY 6 DESC NULLS LAST",
        names, age_ms);
    int people = 0;

    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        if (res_bool(res, r, 8) && autovacuum)
            *autovacuum = true;
        people += !res_bool(res, r, 8);
    }
    if (people)
        append_rows(res, out);
    PQclear(res);
    return RC_OK;
}

enum rc blockers_locked(struct eng_engine *engine, const char *names, bool *locked, struct err *err)
{
    PGresult *res =
        conn_query(&engine->work, err, HELD " SELECT EXISTS (SELECT 1 FROM held)", names);

    if (!res)
        return RC_ERR;
    *locked = res_bool(res, 0, 0);
    PQclear(res);
    return RC_OK;
}

void blockers_describe(struct eng_engine *engine, const int32_t *pids, size_t n, struct buf *out)
{
    struct buf list = {0};
    struct err ignored = {0};
    PGresult *res;

    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%" PRId32, i ? "," : "", pids[i]);
    if (n == 0)
        return;
    res = conn_query(&engine->work, &ignored,
                     "SELECT a.pid, " DESCRIBE ", NULL FROM pg_stat_activity a "
                     "WHERE a.pid IN (%s) ORDER BY a.xact_start",
                     list.data);
    if (res)
        append_rows(res, out);
    PQclear(res);
    buf_fini(&list);
}

void blockers_waited_for(struct eng_engine *engine, int pid, struct buf *out)
{
    struct err ignored = {0};
    PGresult *res = conn_query(&engine->work, &ignored,
                               "SELECT a.pid, " DESCRIBE ", NULL FROM pg_stat_activity a "
                               "WHERE a.pid = ANY(pg_blocking_pids(%d)) ORDER BY a.xact_start",
                               pid);

    if (res)
        append_rows(res, out);
    PQclear(res);
}

/* Waiting for SHARE UPDATE EXCLUSIVE conflicts with VACUUM but with no statement of an
 * application; after deadlock_timeout (1 s) the server cancels an autovacuum that blocks it. */
void blockers_shake_off_autovacuum(struct eng_engine *engine, const char *names)
{
    struct err err = {0};
    PGresult *res =
        conn_query(&engine->work, &err,
                   "SELECT string_agg(to_regclass(n)::text, ', ') FROM unnest(ARRAY[%s]) AS n "
                   "WHERE to_regclass(n) IS NOT NULL",
                   names);
    const char *list = res ? res_text(res, 0, 0) : NULL;

    log_info("an autovacuum holds a lock on %s: asking it to step aside", list ? list : names);
    if (list && conn_exec(&engine->work, &err,
                          "BEGIN; SET LOCAL lock_timeout = '3s'; LOCK TABLE %s IN SHARE UPDATE "
                          "EXCLUSIVE MODE; COMMIT",
                          list) != RC_OK)
        log_debug("autovacuum: %s", err.text);
    conn_rollback(&engine->work);
    PQclear(res);
}
