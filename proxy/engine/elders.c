#include "elders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gated.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

#define LOOK_MS 100

/* Of this database. Background workers have no user (an autovacuum is none of those that compute
 * with what they see), nor does a VACUUM, which may last for hours. pid and backend_xmin are shown
 * to every role, xact_start is not. A snapshot keeps its xmin for as long as it lives. */
#define ELDER                                                                                      \
    "a.datname = current_database() AND a.backend_xmin IS NOT NULL AND a.usesysid IS NOT NULL AND" \
    " a.pid <> pg_backend_pid() AND NOT EXISTS"                                                    \
    " (SELECT FROM pg_stat_progress_vacuum v WHERE v.pid = a.pid)"
/* Of standbys with hot_standby_feedback: the oldest snapshot there, of whatever database; where
 * there is none, what they have replayed. It is with the slot that such a one streams from, or with
 * its WAL sender, which belongs to no database; every role is shown it. */
#define ON_STANDBYS                                                                                \
    "pg_stat_replication r JOIN pg_stat_activity a ON a.pid = r.pid LEFT JOIN "                    \
    "pg_replication_slots s ON s.active_pid = r.pid WHERE a.datid IS NULL AND "                    \
    "age(coalesce(s.xmin, r.backend_xmin)) > age('%s'::xid8::xid)"
#define MARK "a.backend_xmin::text || ' ' || coalesce(a.xact_start::text, '')"

bool elders_awaited(const struct eng_migration *m)
{
    return m->elders != NULL;
}

static void none_in_the_way(struct eng_migration *m)
{
    json_array_clear(m->blocking);
    buf_reset(&m->blockers);
}

void elders_forget(struct eng_migration *m)
{
    if (!m->elders)
        return;
    free(m->elders);
    m->elders = NULL;
    none_in_the_way(m);
}

static bool is_filled(const struct eng_migration *m)
{
    for (size_t i = 0; i < m->plan->nsteps; i++)
        if (m->plan->steps[i].kind == ENG_STEP_FILL)
            return true;
    return false;
}

/* All that are there now: no snapshot that comes later is older than the last batch. */
static enum rc begin(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT pg_snapshot_xmax(pg_current_snapshot()), a.pid, " MARK
                               " FROM (VALUES (1)) AS one LEFT JOIN pg_stat_activity a ON " ELDER);
    struct buf list = {0};

    if (!res)
        return RC_ERR;
    buf_append_str(&list, "(0, '')"); /* nobody's, so that the list is one */
    snprintf(m->elders_before, sizeof(m->elders_before), "%s", res_text(res, 0, 0));
    for (int r = 0; res_text(res, 0, 1) && r < PQntuples(res); r++) {
        char *mark = sql_quote_literal(res_text(res, r, 2));

        buf_printf(&list, ", (%" PRId64 ", %s)", res_int(res, r, 1), mark);
        free(mark);
    }
    PQclear(res);
    m->elders = buf_take(&list);
    return RC_OK;
}

/* What a server hides from this role is null. */
static json_t *shown(const PGresult *res, int r, int c)
{
    json_t *value = res_text(res, r, c) ? json_string(res_text(res, r, c)) : NULL;

    return value ? value : json_null();
}

static void tell_standbys(struct eng_migration *m, const PGresult *res)
{
    for (int r = 0; r < PQntuples(res); r++)
        json_array_append_new(m->blocking,
                              json_pack("{s:o, s:o, s:o, s:b}", "standby", shown(res, r, 0),
                                        "client_addr", shown(res, r, 1), "state", shown(res, r, 2),
                                        "old_snapshot", 1));
}

static void tell(struct eng_engine *engine, struct eng_migration *m, const PGresult *res,
                 const PGresult *standbys)
{
    int n = PQntuples(res);
    int32_t *pids = mem_calloc((size_t)n, sizeof(*pids));

    for (int r = 0; r < n; r++)
        pids[r] = (int32_t)res_int(res, r, 0);
    if (!m->blockers.len)
        log_info("%d transactions, and such on %d standbys, see rows as they were before the "
                 "backfill: ready when they have ended",
                 n, PQntuples(standbys));
    none_in_the_way(m);
    blockers_describe(engine, pids, (size_t)n, m->blocking);
    tell_standbys(m, standbys);
    blockers_text(m->blocking, &m->blockers);
    free(pids);
}

enum rc elders_turn(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    PGresult *res, *standbys = NULL;
    bool left;

    if (!is_filled(m))
        return RC_OK;
    if (!m->elders && begin(engine, m, err) != RC_OK)
        return RC_ERR;
    res = conn_query(&engine->work, err,
                     "SELECT a.pid FROM pg_stat_activity a WHERE " ELDER " AND (a.pid, " MARK
                     ") IN (VALUES %s)",
                     m->elders);
    if (res)
        standbys =
            conn_query(&engine->work, err,
                       "SELECT r.application_name, CASE WHEN r.client_port IS NOT NULL THEN "
                       "coalesce(host(r.client_addr), 'local') END, r.state FROM " ON_STANDBYS
                       " ORDER BY r.application_name, r.pid",
                       m->elders_before);
    if (!standbys) {
        PQclear(res);
        return RC_ERR;
    }
    left = PQntuples(res) + PQntuples(standbys) > 0;
    if (left) {
        snprintf(m->step, sizeof(m->step), "wait for transactions from before the backfill's end");
        tell(engine, m, res, standbys);
        eng_sleep(m, LOOK_MS);
        eng_status_put(engine, m);
    }
    PQclear(standbys);
    PQclear(res);
    return left ? RC_AGAIN : RC_OK;
}
