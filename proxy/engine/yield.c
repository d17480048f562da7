#include "yield.h"

#include <stdio.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"

#define LOOK_MS 250 /* deadlock_timeout is 1 s, unless the operator has set another */

/* Does who it waits for wait for it? */
static const char circle_sql[] =
    "WITH RECURSIVE ahead (pid) AS (SELECT unnest(pg_blocking_pids($1::int)) UNION"
    " SELECT unnest(pg_blocking_pids(pid)) FROM ahead) SELECT $1::int IN (SELECT pid FROM ahead)";

/* Only those who wait are asked for whom. And does it wait for a page? No lock tells of that. */
static const char behind_sql[] =
    "SELECT EXISTS (SELECT FROM pg_locks l WHERE NOT l.granted AND CASE WHEN l.granted THEN false"
    " ELSE $1::int = ANY(pg_blocking_pids(l.pid)) END), EXISTS (SELECT FROM pg_stat_activity a"
    " WHERE a.pid = $1::int AND a.wait_event_type = 'BufferPin')";

/* One row, to PQclear; NULL: it is not time yet, or not known. */
static PGresult *look(struct eng_engine *engine, struct eng_migration *m, const char *sql)
{
    char pid[16];
    const char *values[] = {pid};
    struct err ignored = {0};
    PGresult *res;

    if (clock_us() < m->yield_us || !m->lng.pg)
        return NULL;
    snprintf(pid, sizeof(pid), "%d", PQbackendPID(m->lng.pg));
    m->yield_us = clock_us() + (int64_t)LOOK_MS * 1000;
    res = conn_params(&engine->work, &ignored, sql, 1, values);
    if (!res)
        log_err(LOG_DEBUG, m->step, &ignored);
    return res;
}

void yield_look(struct eng_engine *engine, struct eng_migration *m)
{
    PGresult *res = look(engine, m, circle_sql);

    if (res && res_bool(res, 0, 0)) {
        log_info("%s: others wait for it, for whom it waits: it gives way", m->step);
        conn_cancel(&m->lng);
    }
    PQclear(res);
}

bool yield_wanted(struct eng_engine *engine, struct eng_migration *m, unsigned *pinned)
{
    PGresult *res = look(engine, m, behind_sql);
    bool wanted = res && res_bool(res, 0, 0);

    if (res)
        *pinned = res_bool(res, 0, 1) ? *pinned + 1 : 0;
    PQclear(res);
    return wanted;
}

int64_t yield_due_us(const struct eng_migration *m, int64_t due_us)
{
    return m->yield_us < due_us ? m->yield_us : due_us;
}
