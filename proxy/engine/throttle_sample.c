/*
 * What the server says, in one query: a column for each part that some signal needs. It runs while
 * batches do, where it can: who is blocked by a batch is seen only then.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fill.h"
#include "segue/base/clock.h"
#include "throttle_read.h"

#define SAMPLE_MS_MAX 2000

/* Who reports what it has received but never what it has replayed only keeps WAL (pg_basebackup,
 * pg_receivewal), and the first copy of a subscription's table has an end: neither is missed when
 * it has gone. A state that this role may not see stays in.
 * @pids: process ids of the backfill's connections; @rels: oids of the relations being filled */
static const struct part {
    unsigned part;
    const char *sql;
} parts[] = {
    {PART_STANDBYS,
     "(SELECT json_agg(json_build_array(application_name || coalesce(chr(64) || host(client_addr), "
     "''), coalesce(extract(epoch FROM replay_lag), 0), coalesce(pg_wal_lsn_diff("
     "pg_current_wal_lsn(), replay_lsn), 0), state, pg_wal_lsn_diff(replay_lsn, '0/0'))) FROM "
     "pg_stat_replication WHERE state IS NULL "
     "OR (state IN ('streaming', 'catchup') AND replay_lsn IS NOT NULL AND application_name !~ "
     "'^pg_[0-9]+_sync_[0-9]+_[0-9]+$')) AS standbys"},
    {PART_SLOTS, /* a standby's slot counts while it is away: segue may have come after it had gone;
                  * for one that is of no use any more (lost) nothing is kept */
     "(SELECT json_agg(json_build_array(slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), "
     "restart_lsn))) FROM pg_replication_slots WHERE (slot_type = 'logical' OR NOT active) AND "
     "restart_lsn IS NOT NULL AND wal_status IS DISTINCT FROM 'lost') AS slots"},
    {PART_ACTIVE,
     "(SELECT json_build_array(count(*) FILTER (WHERE state = 'active' AND backend_type = "
     "'client backend'), count(*) FILTER (WHERE backend_type IS NULL), inet_server_addr() IS NULL "
     "OR inet_server_addr() = inet_client_addr()) FROM pg_stat_activity WHERE pid <> "
     "ALL('{@pids}') "
     "AND pid <> pg_backend_pid()) AS active"},
    {PART_BLOCKED,
     "(SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid <> ALL('{@pids}') AND "
     "pg_blocking_pids(pid) && '{@pids}'::int[]) AS blocked"},
    {PART_WAL, "pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS wal"},
    {PART_VACUUMS,
     /* whose backend this role may not see is nobody's whom it knows: autovacuum's, too */
     "(SELECT count(DISTINCT l.pid) FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE "
     "l.locktype = 'relation' AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND l.database "
     "= (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.relation = "
     "ANY('{@rels}'::oid[]) AND coalesce(a.backend_type, 'autovacuum worker') = "
     "'autovacuum worker') AS vacuums"},
};

static void list_pids(const struct eng_engine *engine, struct buf *out)
{
    for (size_t i = 0; engine->pool && i < FILL_WORKERS_MAX; i++) {
        const struct fill_slot *slot = &engine->pool->slots[i];

        if (slot->conn.pg)
            buf_printf(out, "%s%d", out->len ? "," : "", PQbackendPID(slot->conn.pg));
    }
}

static void list_relations(const struct eng_engine *engine, struct buf *out)
{
    for (size_t i = 0; i < engine->nmigrations; i++) {
        const struct eng_fill *fill = engine->migrations[i]->fill;

        for (size_t r = 0; fill && r < fill->nrelations; r++) {
            if (!fill->relations[r].done)
                buf_printf(out, "%s%u", out->len ? "," : "", fill->relations[r].oid);
        }
    }
}

/* Neon's extension counts the microseconds in which writers waited for its storage. Others have no
 * such function. */
static bool find_held_back(struct eng_engine *engine, struct err *err)
{
    struct throttle *t = &engine->throttle;
    PGresult *res;

    if (t->held_back_known)
        return true;
    res = conn_query(&engine->work, err,
                     "SELECT format('%%I.%%I()', n.nspname, p.proname) FROM pg_proc p JOIN "
                     "pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = "
                     "'backpressure_throttling_time' AND p.pronargs = 0 AND "
                     "has_schema_privilege(n.oid, 'USAGE') AND "
                     "has_function_privilege(p.oid, 'EXECUTE') LIMIT 1");
    if (!res)
        return false;
    snprintf(t->held_back_call, sizeof(t->held_back_call), "%s",
             PQntuples(res) ? res_text(res, 0, 0) : "");
    PQclear(res);
    t->held_back_known = true;
    return true;
}

static void put_part(struct buf *sql, const char *text, const struct buf *pids,
                     const struct buf *relations)
{
    const char *at;

    for (; (at = strchr(text, '@')); text = at + strlen("@pids")) {
        const struct buf *list = strncmp(at, "@pids", 5) == 0 ? pids : relations;

        buf_append(sql, text, (size_t)(at - text));
        buf_append_str(sql, list->len ? list->data : "");
    }
    buf_append_str(sql, text);
}

static void put_sql(struct eng_engine *engine, unsigned wanted, struct buf *sql)
{
    struct buf pids = {0}, relations = {0};

    list_pids(engine, &pids);
    list_relations(engine, &relations);
    buf_append_str(sql, "SELECT true");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!(wanted & parts[i].part))
            continue;
        buf_append_str(sql, ", ");
        put_part(sql, parts[i].sql, &pids, &relations);
    }
    if ((wanted & PART_PRESSURE) && engine->throttle.held_back_call[0])
        buf_printf(sql, ", %s AS pressure", engine->throttle.held_back_call);
    buf_fini(&pids);
    buf_fini(&relations);
}

void throttle_sample(struct eng_engine *engine, unsigned wanted)
{
    struct throttle *t = &engine->throttle;
    struct buf sql = {0};
    struct err err = {0};

    PQclear(t->sample);
    t->sample = NULL;
    if (!wanted)
        return;
    buf_printf(&sql, "SET LOCAL statement_timeout = %d; ", SAMPLE_MS_MAX);
    if (!(wanted & PART_PRESSURE) || find_held_back(engine, &err)) {
        put_sql(engine, wanted, &sql);
        t->sample = conn_run(&engine->work, sql.data, NULL, &err);
    }
    conn_rollback(&engine->work);
    buf_fini(&sql);
    snprintf(t->sample_error, sizeof(t->sample_error), "%.150s", err.text);
}

const char *throttle_sampled(const struct throttle *t, const char *column,
                             struct throttle_reading *out)
{
    int c = t->sample ? PQfnumber(t->sample, column) : -1;

    if (!t->sample) {
        snprintf(out->detail, sizeof(out->detail), "%s", t->sample_error);
        return NULL;
    }
    out->known = true;
    return c < 0 ? NULL : res_text(t->sample, 0, c);
}

json_t *throttle_array(const struct throttle *t, const char *column, struct throttle_reading *out)
{
    const char *text = throttle_sampled(t, column, out);

    return text ? json_loads(text, 0, NULL) : NULL;
}

double throttle_number(const json_t *row, size_t i)
{
    return json_number_value(json_array_get(row, i));
}

const char *throttle_name(const json_t *row)
{
    const char *name = json_string_value(json_array_get(row, 0));

    return name ? name : "?";
}
