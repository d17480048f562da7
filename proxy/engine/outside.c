/*
 * Connections to this database that do not come through segue: what they use nobody sees here.
 *
 * Where this role may not see what another one's backend does (it is neither a member of it nor of
 * pg_read_all_stats), the server still tells pid, user and application_name. Such a backend counts,
 * for it may be at work; a superuser's does not: there are some on every managed server, which
 * look after it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "typed.h"
#include "usage.h"

#define BACKENDS_MAX 20000
#define NAMED_MAX 5

enum column { /* the most recent first */
              C_PID,
              C_USER,
              C_APPLICATION,
              C_ADDRESS,
              C_STATE, /* "hidden": this role may not see it */
              C_BEGAN_AGO,
              C_CHANGED_AGO,
              C_COUNTS, /* it forbids to complete */
              C_COUNT   /* how many do */
};

static const char look_sql[] =
    "WITH others AS (SELECT a.*, a.backend_type IS NULL AS hidden, CASE WHEN a.backend_type IS "
    "NULL THEN %u > 0 AND NOT coalesce(r.rolsuper, false) ELSE a.state_change > clock_timestamp() "
    "- %u * interval '1 s' END AS counts FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = "
    "a.usesysid WHERE a.datname = current_database() AND a.usesysid IS NOT NULL AND "
    "coalesce(a.backend_type, 'client backend') = 'client backend' AND a.pid <> pg_backend_pid() "
    "AND NOT " CONN_OWN_BACKEND " AND NOT a.pid = "
    "ANY('{%s}'::int[]) AND NOT EXISTS (SELECT FROM pg_stat_replication s WHERE s.pid = a.pid)) "
    "SELECT pid, coalesce(usename, '?'), coalesce(nullif(application_name, ''), '?'), "
    "coalesce(" CONN_CLIENT_ADDRESS ", '?'), CASE WHEN hidden THEN 'hidden' "
    "ELSE coalesce(state, '?') END, "
    "(extract(epoch FROM clock_timestamp() - backend_start) * 1000)::bigint, "
    "(extract(epoch FROM clock_timestamp() - state_change) * 1000)::bigint, counts, "
    "count(*) FILTER (WHERE counts) OVER () FROM others AS a "
    "ORDER BY counts DESC, state_change DESC NULLS LAST, pid LIMIT 100";

static PGresult *look(struct eng_engine *engine, struct err *err)
{
    int32_t *pids = mem_calloc(BACKENDS_MAX, sizeof(*pids));
    size_t n = sess_plane_backends(engine->plane, pids, BACKENDS_MAX);
    struct buf list = {0};
    PGresult *res;

    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%s%" PRId32, i ? "," : "", pids[i]);
    free(pids);
    res = conn_query(&engine->work, err, look_sql, engine->options.quiet_period_s,
                     engine->options.quiet_period_s, list.len ? list.data : "");
    buf_fini(&list);
    return res;
}

/* ---- SHOW USAGE ---- */

static json_t *moment(const PGresult *res, int r, int column)
{
    char text[32];

    if (PQgetisnull(res, r, column))
        return json_null();
    clock_wall_at(clock_ms() - res_int(res, r, column), text, sizeof(text));
    return json_string(text);
}

/* A predecessor's sessions come past this segue, too: which they are it does not tell. */
static json_t *row_of(struct eng_engine *engine, const PGresult *res, int r)
{
    int predecessor = eng_predecessor_serves(engine);
    char *perhaps = predecessor
                        ? mem_printf("; perhaps of the predecessor, process %d", predecessor)
                        : mem_strdup("");
    char *why = mem_printf("pid %s, %s%s", res_text(res, r, C_PID),
                           PQgetisnull(res, r, C_CHANGED_AGO)
                               ? "what it does is seen by members of pg_read_all_stats"
                               : res_text(res, r, C_STATE),
                           perhaps);
    json_t *row =
        json_pack("[n, n, s, s, s, s, n, o, o, n, s]", res_text(res, r, C_USER),
                  res_text(res, r, C_APPLICATION), res_text(res, r, C_ADDRESS), "bypasses segue",
                  moment(res, r, C_BEGAN_AGO), moment(res, r, C_CHANGED_AGO), why);

    free(perhaps);
    free(why);
    return row;
}

static json_t *rows_of(struct eng_engine *engine, const PGresult *res)
{
    json_t *rows = json_array();

    for (int r = 0; r < PQntuples(res); r++) {
        json_t *row = row_of(engine, res, r);

        if (row)
            json_array_append_new(rows, row);
    }
    return rows;
}

static void keep(struct eng_engine *engine, const PGresult *res)
{
    json_decref(engine->usage->outside);
    engine->usage->outside = rows_of(engine, res);
    engine->usage->outside_ms = clock_ms();
}

void outside_refresh(struct eng_engine *engine)
{
    struct err err = {0};
    PGresult *res = look(engine, &err);

    if (!res)
        log_err(LOG_DEBUG, "connections past segue", &err);
    keep(engine, res);
    PQclear(res);
}

/* ---- complete ---- */

static void append_count(struct buf *out, int64_t n)
{
    buf_printf(out, "%" PRId64 " %s segue", n,
               n == 1 ? "connection bypasses" : "connections bypass");
}

void eng_outside_tell(struct eng_engine *engine, struct buf *out)
{
    struct err err = {0};
    PGresult *res = look(engine, &err);
    int64_t n = res && PQntuples(res) ? res_int(res, 0, C_COUNT) : 0;

    if (!res)
        log_err(LOG_DEBUG, "connections past segue", &err);
    keep(engine, res);
    usage_show(engine);
    if (n) {
        buf_append_str(out, "; ");
        append_count(out, n);
        buf_append_str(out, ", too");
        if (eng_predecessor_serves(engine))
            buf_printf(out, ", or %s the predecessor's", n == 1 ? "is" : "are");
        buf_append_str(out, " (SHOW USAGE)");
    }
    PQclear(res);
}

enum rc eng_outside_check(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    PGresult *res = look(engine, err);
    struct buf list = {0}, count = {0};
    bool hidden = false;
    int r = 0;

    if (!res)
        return RC_ERR;
    keep(engine, res);
    usage_show(engine);
    for (; r < PQntuples(res) && r < NAMED_MAX && res_bool(res, r, C_COUNTS); r++) {
        buf_printf(&list, "%spid %s (%s, user %s, %s, %s)", r ? "; " : "", res_text(res, r, C_PID),
                   res_text(res, r, C_APPLICATION), res_text(res, r, C_USER),
                   res_text(res, r, C_ADDRESS), res_text(res, r, C_STATE));
        hidden |= PQgetisnull(res, r, C_CHANGED_AGO);
    }
    if (r) {
        char *force = typed_force("complete", m->name);

        append_count(&count, res_int(res, 0, C_COUNT));
        err_set(err, "55006", "%s, it cannot tell whether %s old names: %s", count.data,
                res_int(res, 0, C_COUNT) == 1 ? "that one uses" : "they use", list.data);
        err_hint(err, "end them or lead them through segue%s; %s completes in spite of them",
                 hidden ? " (what \"hidden\" ones do is seen by members of pg_read_all_stats)" : "",
                 force);
        free(force);
    }
    buf_fini(&count);
    buf_fini(&list);
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}
