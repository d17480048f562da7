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
                               "SELECT a.pid, " MARK " FROM pg_stat_activity a WHERE " ELDER);
    struct buf list = {0};

    if (!res)
        return RC_ERR;
    buf_append_str(&list, "(0, '')"); /* nobody's, so that the list is one */
    for (int r = 0; r < PQntuples(res); r++) {
        char *mark = sql_quote_literal(res_text(res, r, 1));

        buf_printf(&list, ", (%" PRId64 ", %s)", res_int(res, r, 0), mark);
        free(mark);
    }
    PQclear(res);
    m->elders = buf_take(&list);
    return RC_OK;
}

static void tell(struct eng_engine *engine, struct eng_migration *m, const PGresult *res)
{
    int n = PQntuples(res);
    int32_t *pids = mem_calloc((size_t)n, sizeof(*pids));

    for (int r = 0; r < n; r++)
        pids[r] = (int32_t)res_int(res, r, 0);
    if (!m->blockers.len)
        log_info("%d transactions see rows as they were before the backfill: ready when they have "
                 "ended",
                 n);
    none_in_the_way(m);
    blockers_describe(engine, pids, (size_t)n, m->blocking);
    blockers_text(m->blocking, &m->blockers);
    free(pids);
}

enum rc elders_turn(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    PGresult *res;
    bool left;

    if (!is_filled(m))
        return RC_OK;
    if (!m->elders && begin(engine, m, err) != RC_OK)
        return RC_ERR;
    res = conn_query(&engine->work, err,
                     "SELECT a.pid FROM pg_stat_activity a WHERE " ELDER " AND (a.pid, " MARK
                     ") IN (VALUES %s)",
                     m->elders);
    if (!res)
        return RC_ERR;
    left = PQntuples(res) > 0;
    if (left) {
        snprintf(m->step, sizeof(m->step), "wait for transactions from before the backfill's end");
        tell(engine, m, res);
        eng_sleep(m, LOOK_MS);
        eng_status_put(engine, m);
    }
    PQclear(res);
    return left ? RC_AGAIN : RC_OK;
}
