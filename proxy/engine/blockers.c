/* Who is in the way of a lock: from pg_locks and pg_stat_activity, as JSON and for people. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detaching.h"
#include "gated.h"
#include "relations.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"

#define BLOCKERS_SHOWN 8
#define BLOCKERS_KEPT 64
#define HIDDEN "<insufficient privilege>" /* the server's words */

/* Locks that others hold on the relations named by the one %s, partitions included. */
#define HELD                                                                                       \
    "WITH tree AS (SELECT t.relid AS oid FROM " RELATIONS_ROOTS RELATIONS_TREE " AS t),"           \
    " held AS (SELECT DISTINCT pid, virtualtransaction FROM pg_locks WHERE granted"                \
    " AND locktype = 'relation' AND relation IN (SELECT oid FROM tree) AND database ="             \
    " (SELECT oid FROM pg_database WHERE datname = current_database())"                            \
    " AND pid IS DISTINCT FROM pg_backend_pid())"

/* One row a blocker, in the order of enum blocker_column. What the server hides is NULL. */
#define DESCRIBE                                                                                   \
    "coalesce(nullif(a.application_name, ''), a.backend_type), a.usename, " CONN_CLIENT_ADDRESS    \
    ", a.state, "                                                                                  \
    "extract(epoch FROM clock_timestamp() - a.xact_start), "                                       \
    "rtrim(regexp_replace(left(a.query, 80), '\\s+', ' ', 'g'), '; '), a.backend_type, "           \
    "a.xact_start::text"

/* Of those that hold locks on tables it alone has no user, which is shown to everybody. */
#define AUTOVACUUM "coalesce(a.backend_type = 'autovacuum worker', a.usesysid IS NULL)"
/* It steps aside for nobody, as far as this role is shown what it does. */
#define STAYS "coalesce(a.query LIKE '%%(to prevent wraparound)', false)"

enum blocker_column { B_PID, B_APPLICATION, B_USER, B_ADDRESS, B_STATE, B_AGE, B_QUERY, B_TYPE };
enum { B_SINCE = B_TYPE + 1, B_GID, B_AUTOVACUUM, B_TRANSACTION, B_OLD, B_STAYS };

static json_t *mended(const char *text)
{
    char *copy;
    json_t *value;

    if (!text)
        return json_null();
    copy = mem_strdup(text);
    utf8_mend(copy);
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *shown(const PGresult *res, int r, int c)
{
    return mended(res_text(res, r, c));
}

static json_t *tenths(double seconds)
{
    return json_real(floor(seconds * 10 + 0.5) / 10);
}

/* 0.0: in no transaction any more. */
static json_t *age(const PGresult *res, int r)
{
    bool hidden = !res_text(res, r, B_TYPE) && !res_text(res, r, B_AGE);

    return hidden ? json_null() : tenths(res_double(res, r, B_AGE));
}

static void put_carried(json_t *one, const struct sess_carried *carried)
{
    json_object_set_new(one, "client_addr", json_string(carried->address));
    json_object_set_new(one, "state", json_string(carried->state));
    if (carried->transaction_s >= 0)
        json_object_set_new(one, "age_s", tenths(carried->transaction_s));
    json_object_set_new(one, "through_segue", json_true());
}

/* The server hides what it does, but it may be a session of this segue's, or segue has seen before
 * that it holds what it holds. */
static void tell_hidden(struct eng_engine *engine, const PGresult *res, int r, json_t *one)
{
    struct sess_carried carried;
    int32_t pid = (int32_t)res_int(res, r, B_PID);
    int64_t held_us = 0;

    if (PQnfields(res) > B_TRANSACTION)
        held_us = hidden_held_us(&engine->hidden, pid, res_text(res, r, B_TRANSACTION), clock_us());
    if (sess_plane_carried(engine->plane, pid, &carried))
        put_carried(one, &carried);
    else if (held_us)
        json_object_set_new(one, "held_s", json_real(floor((double)held_us / 1e5) / 10));
}

static json_t *blocker(struct eng_engine *engine, const PGresult *res, int r)
{
    json_t *one;

    if (res_text(res, r, B_GID))
        return json_pack("{s:o, s:o}", "prepared_transaction", shown(res, r, B_GID), "age_s",
                         age(res, r));
    one = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid",
                    (json_int_t)res_int(res, r, B_PID), "application_name",
                    shown(res, r, B_APPLICATION), "user", shown(res, r, B_USER), "client_addr",
                    shown(res, r, B_ADDRESS), "state", shown(res, r, B_STATE), "age_s", age(res, r),
                    "query", shown(res, r, B_QUERY), "backend_type", shown(res, r, B_TYPE),
                    "xact_start", shown(res, r, B_SINCE));
    if (PQnfields(res) > B_AUTOVACUUM && res_bool(res, r, B_AUTOVACUUM))
        json_object_set_new(one, "application_name", json_string("autovacuum worker"));
    else if (!res_text(res, r, B_TYPE))
        tell_hidden(engine, res, r, one);
    return one;
}

static void append_rows(struct eng_engine *engine, const PGresult *res, json_t *list)
{
    for (int r = 0; r < PQntuples(res) && json_array_size(list) < BLOCKERS_KEPT; r++)
        json_array_append_new(list, blocker(engine, res, r));
}

/* In a transaction for so long, as far as anybody knows. */
static bool old(const json_t *one, unsigned age_ms)
{
    const json_t *known = json_object_get(one, "age_s");

    if (!json_is_number(known))
        known = json_object_get(one, "held_s");
    return json_number_value(known) * 1000 >= age_ms;
}

/* Those of HELD: what the server has not judged is judged here. An autovacuum that steps aside is
 * no blocker. */
static void append_holders(struct eng_engine *engine, const PGresult *res, unsigned age_ms,
                           json_t *list)
{
    for (int r = 0; r < PQntuples(res) && json_array_size(list) < BLOCKERS_KEPT; r++) {
        bool autovacuum = res_bool(res, r, B_AUTOVACUUM), stays = res_bool(res, r, B_STAYS);
        json_t *one = autovacuum && !stays ? NULL : blocker(engine, res, r);

        if (one && (autovacuum || res_bool(res, r, B_OLD) || old(one, age_ms)))
            json_array_append(list, one);
        json_decref(one);
    }
}

static const char *word(const json_t *one, const char *key)
{
    const char *text = json_string_value(json_object_get(one, key));

    return text ? text : "?";
}

static void standby_text(const json_t *one, struct buf *out)
{
    const json_t *behind = json_object_get(one, "behind_bytes");

    buf_printf(out, "%sstandby %s (%s, %s): ", out->len ? "; " : "", word(one, "standby"),
               word(one, "client_addr"), word(one, "state"));
    if (json_is_true(json_object_get(one, "old_snapshot")))
        buf_append_str(out, "it reports a snapshot from before the backfill's end");
    else if (json_is_integer(behind))
        buf_printf(out, "%" JSON_INTEGER_FORMAT " bytes behind", json_integer_value(behind));
    else
        buf_append_str(out, "how far it is, is not known");
}

static void partition_text(const json_t *one, struct buf *out)
{
    const char *partition = word(one, "partition"), *table = word(one, "detached_from");

    buf_printf(out, "%s" DETACHING_TEXT " (" DETACHING_HINT ")", out->len ? "; " : "", partition,
               table, table, partition);
}

static void backend_text(const json_t *one, bool statements, struct buf *out)
{
    const json_t *age_s = json_object_get(one, "age_s"), *held_s = json_object_get(one, "held_s");
    const char *query = json_string_value(json_object_get(one, "query"));
    const char *standby = json_string_value(json_object_get(one, "upstream"));

    buf_printf(out, "%spid %" JSON_INTEGER_FORMAT " (%s, user %s, %s%s%s%s, %s, ",
               out->len ? "; " : "", json_integer_value(json_object_get(one, "pid")),
               word(one, "application_name"), word(one, "user"), word(one, "client_addr"),
               json_is_true(json_object_get(one, "through_segue")) ? " through segue" : "",
               standby ? " on the standby " : "", standby ? standby : "", word(one, "state"));
    if (json_is_number(age_s))
        buf_printf(out, "%.1f", json_number_value(age_s));
    else if (json_is_number(held_s))
        buf_printf(out, "at least %.1f", json_number_value(held_s));
    else
        buf_append_str(out, "?");
    buf_append_str(out, " s in transaction)");
    if (statements)
        buf_printf(out, ": %s", query ? query : "");
}

static void text_of(const json_t *list, bool statements, struct buf *out)
{
    bool hidden = false;
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        const char *gid = json_string_value(json_object_get(one, "prepared_transaction"));
        const char *query = json_string_value(json_object_get(one, "query"));

        if (json_object_get(one, "standby")) {
            standby_text(one, out);
            continue;
        }
        if (json_object_get(one, "partition")) {
            partition_text(one, out);
            continue;
        }
        if (i == BLOCKERS_SHOWN) {
            buf_printf(out, "; and %zu more", json_array_size(list) - i);
            break;
        }
        hidden = hidden || (query && strcmp(query, HIDDEN) == 0);
        if (gid)
            buf_printf(out, "%sprepared transaction \"%s\" (%.0f s)", out->len ? "; " : "", gid,
                       json_number_value(json_object_get(one, "age_s")));
        else
            backend_text(one, statements, out);
    }
    if (hidden)
        buf_append_str(out, "; what other roles do is hidden from segue's: GRANT pg_monitor to it");
}

void blockers_text(const json_t *list, struct buf *out)
{
    text_of(list, true, out);
}

void blockers_log_text(const json_t *list, struct buf *out)
{
    text_of(list, false, out);
}

enum rc blockers_of(struct eng_engine *engine, const char *names, unsigned age_ms, json_t *out,
                    bool *autovacuum, struct err *err)
{
    PGresult *res = conn_query(
        &engine->work, err,
        HELD " SELECT h.pid, " DESCRIBE ", NULL, " AUTOVACUUM ", h.virtualtransaction,"
             " a.backend_type IS NOT NULL, " STAYS
             " FROM held h JOIN pg_stat_activity a USING (pid) WHERE " AUTOVACUUM
             " OR a.xact_start < clock_timestamp() - %u * interval '1 ms'"
             /* of other roles, without pg_read_all_stats, its age is not told */
             " OR a.backend_type IS NULL"
             " UNION ALL SELECT NULL, NULL, NULL, NULL, NULL,"
             " extract(epoch FROM clock_timestamp() - p.prepared), NULL, NULL, NULL, p.gid, false,"
             " NULL, true, false FROM held h"
             /* no process holds these: the lock on their own number tells which one it is */
             " JOIN pg_locks x ON h.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'"
             " AND x.virtualtransaction = h.virtualtransaction"
             " JOIN pg_prepared_xacts p ON p.transaction = x.transactionid"
             " ORDER BY 6 DESC NULLS LAST",
        names, age_ms);

    if (!res)
        return RC_ERR;
    for (int r = 0; autovacuum && r < PQntuples(res); r++)
        *autovacuum |= res_bool(res, r, B_AUTOVACUUM) && !res_bool(res, r, B_STAYS);
    append_holders(engine, res, age_ms, out);
    PQclear(res);
    return RC_OK;
}

enum rc blockers_stayed(struct eng_engine *engine, const char *names, json_t *out, struct err *err)
{
    PGresult *res =
        conn_query(&engine->work, err,
                   HELD " SELECT h.pid, " DESCRIBE ", NULL, true FROM held h JOIN "
                        "pg_stat_activity a USING (pid) WHERE " AUTOVACUUM " AND NOT " STAYS,
                   names);

    if (!res)
        return RC_ERR;
    append_rows(engine, res, out);
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

void blockers_describe(struct eng_engine *engine, const int32_t *pids, size_t n, json_t *out)
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
        append_rows(engine, res, out);
    PQclear(res);
    buf_fini(&list);
}

void blockers_on_standbys(const struct sess_carried *list, size_t n, json_t *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct sess_carried *s = &list[i];
        json_t *one =
            json_pack("{s:i, s:o, s:o, s:n, s:n, s:n, s:n, s:s}", "pid", (int)s->pid,
                      "application_name", mended(s->application), "user", mended(s->user), "age_s",
                      "query", "backend_type", "xact_start", "upstream", s->upstream);

        put_carried(one, s);
        json_array_append_new(out, one);
    }
}

void blockers_waited_for(struct eng_engine *engine, int pid, struct buf *out)
{
    struct err ignored = {0};
    json_t *list = json_array();
    PGresult *res = conn_query(&engine->work, &ignored,
                               "SELECT a.pid, " DESCRIBE ", NULL FROM pg_stat_activity a "
                               "WHERE a.pid = ANY(pg_blocking_pids(%d)) ORDER BY a.xact_start",
                               pid);

    if (res)
        append_rows(engine, res, list);
    blockers_text(list, out);
    json_decref(list);
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
        log_err(LOG_DEBUG, "autovacuum", &err);
    conn_rollback(&engine->work);
    PQclear(res);
}
