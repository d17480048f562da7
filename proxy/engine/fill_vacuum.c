/*
 * The interleaved VACUUM (DESIGN 7): what a batch leaves behind is used by the next ones, so that
 * the table stays small. Batches go on beside it, as long as it keeps up: it
 * takes no lock that they ask for.
 */
#include <math.h>
#include <stdlib.h>

#include "fill.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "steps.h"

#define VACUUM_SHARE 0.02
#define EASED_DELAY_MS 2 /* vacuum_cost_delay while clients are to be spared */
#define BESIDE_SHARE 0.5 /* of what is vacuumed at a time: filled beside a VACUUM */

enum rc fill_vacuum_plan(struct eng_engine *engine, struct fill_relation *rel, struct err *err)
{
    PGresult *res;

    if (rel->vacuum_every > 0 || engine->options.vacuum_rows == 0)
        return RC_OK;
    res = conn_query(&engine->work, err,
                     "SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = %u", rel->oid);
    if (!res)
        return RC_ERR;
    rel->vacuum_every = PQntuples(res) ? res_double(res, 0, 0) * VACUUM_SHARE : 0;
    if (rel->vacuum_every < engine->options.vacuum_rows)
        rel->vacuum_every = engine->options.vacuum_rows;
    PQclear(res);
    return RC_OK;
}

bool fill_vacuum_due(const struct eng_engine *engine, const struct fill_relation *rel)
{
    return engine->options.vacuum_rows > 0 && rel->vacuum_every > 0 &&
           rel->since_vacuum >= rel->vacuum_every;
}

double fill_vacuum_room(const struct eng_fill *fill, size_t relation)
{
    const struct fill_relation *rel = &fill->relations[relation];
    double room = rel->vacuum_every > 0 ? rel->vacuum_every : INFINITY;

    if (fill->vacuuming == relation)
        room = room * BESIDE_SHARE - rel->since_vacuum;
    return room > 0 ? room : 0;
}

enum rc fill_vacuum_start(struct eng_engine *engine, struct eng_migration *m, size_t relation,
                          struct err *err)
{
    struct fill_relation *rel = &m->fill->relations[relation];
    char *sql = mem_printf("VACUUM (SKIP_LOCKED, TRUNCATE off, INDEX_CLEANUP auto) %s", rel->name);
    enum rc rc = eng_long_open(engine, m, err);

    FAULT(vacuum_before);
    if (rc == RC_OK)
        rc = conn_exec(&m->lng, err, "SET vacuum_cost_delay = %d",
                       throttle_eases(&engine->throttle) ? EASED_DELAY_MS : 0);
    if (rc == RC_OK)
        rc = conn_send(&m->lng, sql, err);
    free(sql);
    if (rc != RC_OK)
        return rc;
    FAULT(vacuum_sent);
    rel->since_vacuum = 0;
    m->fill->vacuuming = relation;
    return RC_OK;
}

void fill_vacuum_poll(struct eng_migration *m)
{
    struct err err = {0};
    enum rc rc;

    if (m->fill->vacuuming == FILL_NONE)
        return;
    rc = conn_poll(&m->lng, &err);
    if (rc == RC_AGAIN)
        return;
    FAULT(vacuum_done);
    m->fill->vacuuming = FILL_NONE;
    if (rc == RC_ERR) { /* a courtesy: the backfill does not depend on it */
        log_err(LOG_WARNING, "vacuum", &err);
        conn_close(&m->lng);
    }
}
