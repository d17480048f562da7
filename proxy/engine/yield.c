#include "yield.h"

#include "segue/base/clock.h"
#include "segue/base/log.h"

#define LOOK_MS 250 /* deadlock_timeout is 1 s, unless the operator has set another */

/* Does who it waits for wait for it? */
static const char circle_sql[] =
    "WITH RECURSIVE ahead (pid) AS (SELECT unnest(pg_blocking_pids(%d)) UNION"
    " SELECT unnest(pg_blocking_pids(pid)) FROM ahead) SELECT %d IN (SELECT pid FROM ahead)";

void yield_look(struct eng_engine *engine, struct eng_migration *m)
{
    int pid = m->lng.pg ? PQbackendPID(m->lng.pg) : 0;
    struct err ignored = {0};
    PGresult *res;

    if (clock_us() < m->yield_us || !pid)
        return;
    m->yield_us = clock_us() + (int64_t)LOOK_MS * 1000;
    res = conn_query(&engine->work, &ignored, circle_sql, pid, pid);
    if (!res)
        log_err(LOG_DEBUG, m->step, &ignored);
    if (res && res_bool(res, 0, 0)) {
        log_info("%s: others wait for it, for whom it waits: it gives way", m->step);
        conn_cancel(&m->lng);
    }
    PQclear(res);
}
