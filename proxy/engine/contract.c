/* Before the irreversible: who still uses old names, who bypasses the proxy, what would be lost. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runner.h"
#include "segue/base/clock.h"

#define BACKENDS_MAX 20000

/* An old revision that happens to be idle is seen by nobody: the quiet period is counted from the
 * cut-over at the earliest. */
static enum rc check_soaked(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    unsigned quiet_s = engine->options.quiet_period_s;
    double ago_s;
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT extract(epoch FROM clock_timestamp() - cutover_at) "
                               "FROM segue.migrations WHERE id = %" PRId64,
                               m->id);

    if (!res)
        return RC_ERR;
    ago_s = res_double(res, 0, 0);
    PQclear(res);
    if (ago_s >= quiet_s)
        return RC_OK;
    err_set(err, "55006", "the cut-over was only %.0f s ago", ago_s);
    err_hint(err,
             "complete waits for %u s (quiet_period_s) in which nobody uses an old name; "
             "FORCE (segue complete --force) completes now",
             quiet_s);
    return RC_ERR;
}

static enum rc check_old_names(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    int64_t quiet_ms = (int64_t)engine->options.quiet_period_s * 1000;
    int64_t ago_ms;

    if (eng_status_refresh(engine, m, err) != RC_OK)
        return RC_ERR;
    if (m->old_seen_ago_base_ms == 0)
        return RC_OK;
    ago_ms = clock_ms() - m->old_seen_ago_base_ms;
    if (ago_ms >= quiet_ms)
        return RC_OK;
    err_set(err, "55006", "old names are still in use: %.0f s ago, %s", (double)ago_ms / 1000,
            m->old_seen_by);
    err_hint(err,
             "complete waits for %u s without a statement that names an old column; "
             "FORCE (segue complete --force) completes now",
             engine->options.quiet_period_s);
    return RC_ERR;
}

static enum rc check_bypass(struct eng_engine *engine, struct err *err)
{
    int32_t *pids = calloc(BACKENDS_MAX, sizeof(*pids));
    size_t n = pids ? sess_plane_backends(engine->plane, pids, BACKENDS_MAX) : 0;
    struct buf list = {0};
    PGresult *res;

    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%" PRId32, i ? "," : "", pids[i]);
    free(pids);
    res = conn_query(&engine->work, err,
                     "SELECT count(*) OVER (), pid, coalesce(nullif(application_name, ''), '?'), "
                     "usename, coalesce(host(client_addr), 'local'), coalesce(state, '?') "
                     "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = "
                     "'client backend' AND pid <> pg_backend_pid() AND NOT (application_name = "
                     "'segue' AND usename = current_user) AND NOT pid = ANY('{%s}'::int[]) "
                     "AND state_change > clock_timestamp() - %u * interval '1 s' "
                     "ORDER BY state_change DESC LIMIT 5",
                     list.len ? list.data : "", engine->options.quiet_period_s);
    buf_reset(&list);
    if (!res) {
        buf_fini(&list);
        return RC_ERR;
    }
    for (int r = 0; r < PQntuples(res); r++)
        buf_printf(&list, "%spid %s (%s, user %s, %s, %s)", r ? "; " : "", res_text(res, r, 1),
                   res_text(res, r, 2), res_text(res, r, 3) ? res_text(res, r, 3) : "?",
                   res_text(res, r, 4), res_text(res, r, 5));
    if (PQntuples(res)) {
        err_set(err, "55006",
                "%" PRId64 " connections bypass segue, it cannot tell whether they "
                "use old names: %s",
                res_int(res, 0, 0), list.data);
        err_hint(err, "end them or lead them through segue; FORCE completes in spite of them");
    }
    buf_fini(&list);
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc eng_contract_preflight(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    if (eng_guards_check(engine, m, err) != RC_OK || check_old_names(engine, m, err) != RC_OK ||
        check_soaked(engine, m, err) != RC_OK)
        return RC_ERR;
    return check_bypass(engine, err);
}

enum rc eng_abort_preflight(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    for (size_t i = 0; i < m->plan->ncreated; i++) {
        const char *name = m->plan->created[i];
        const char *values[] = {name};
        PGresult *res =
            conn_params(&engine->work, err, "SELECT to_regclass($1) IS NOT NULL", 1, values);
        bool there = res && res_bool(res, 0, 0);

        PQclear(res);
        if (!res)
            return RC_ERR;
        if (!there)
            continue;
        res = conn_query(&engine->work, err, "SELECT EXISTS (SELECT 1 FROM %s)", name);
        if (!res)
            return RC_ERR;
        if (res_bool(res, 0, 0)) {
            err_set(err, "55000", "table %s, which this migration created, holds rows", name);
            err_hint(err, "ABORT FORCE (segue abort --force) drops it with its rows");
        }
        PQclear(res);
        if (err_is_set(err))
            return RC_ERR;
    }
    return RC_OK;
}
