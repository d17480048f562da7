/*
 * The interleaved VACUUM (DESIGN 7): what a batch leaves behind is used by the next ones, so that
 * the table stays small. Batches go on beside it, as long as it keeps up: it
 * takes no lock that they ask for. Maintenance does ask for it (ALTER TABLE, DROP of a partition),
 * and all of its table's clients queue behind that: so it gives way, as an autovacuum does.
 */
#include <math.h>
#include <stdlib.h>

#include "fill.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "steps.h"
#include "yield.h"

#define VACUUM_SHARE 0.02
#define EASED_DELAY_MS 2 /* vacuum_cost_delay while clients are to be spared */
#define GIVEN_WAY_MAX 4
#define PINNED_LOOKS 8   /* two seconds: what reads a page is done with it by then */
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

/* A courtesy: the backfill depends neither on it nor on a connection for it. */
static enum rc go_without(struct fill_relation *rel, struct err *err)
{
    log_err(LOG_WARNING, "vacuum", err);
    err_clear(err);
    rel->since_vacuum = 0;
    return RC_OK;
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
        return go_without(rel, err);
    FAULT(vacuum_sent);
    rel->vacuum_owed = rel->since_vacuum;
    rel->since_vacuum = 0;
    m->fill->vacuuming = relation;
    m->fill->giving_way = false;
    m->fill->pinned = 0;
    return RC_OK;
}

/* Whoever waits for it, or whom it waits for: batches wait for a VACUUM that falls behind. */
static bool is_to_give_way(struct eng_engine *engine, struct eng_migration *m)
{
    struct eng_fill *fill = m->fill;

    return !fill->giving_way &&
           (yield_wanted(engine, m, &fill->pinned) || fill->pinned >= PINNED_LOOKS);
}

/* It was ended by us: once more, behind whom it was in the way of. That it never comes to its end
 * must not keep the backfill: then the rest is autovacuum's. */
static void gave_way(struct fill_relation *rel, bool pinned)
{
    log_info("VACUUM gives way: %s %s",
             pinned ? "it waits for a page that a cursor has, perhaps, of"
                    : "somebody waits for a lock on",
             rel->name);
    if (!pinned && ++rel->given_way < GIVEN_WAY_MAX)
        rel->since_vacuum += rel->vacuum_owed;
    else
        rel->given_way = 0;
}

void fill_vacuum_poll(struct eng_engine *engine, struct eng_migration *m, int64_t *due_us)
{
    struct fill_relation *rel;
    struct err err = {0};
    enum rc rc;

    if (m->fill->vacuuming == FILL_NONE)
        return;
    rel = &m->fill->relations[m->fill->vacuuming];
    rc = conn_poll(&m->lng, &err);
    if (rc == RC_AGAIN) {
        if (is_to_give_way(engine, m)) {
            m->fill->giving_way = true;
            conn_cancel(&m->lng);
        }
        if (!m->fill->giving_way) /* else its socket tells */
            *due_us = yield_due_us(m, *due_us);
        return;
    }
    FAULT(vacuum_done);
    m->fill->vacuuming = FILL_NONE;
    if (rc == RC_OK)
        rel->given_way = 0;
    else if (m->fill->giving_way)
        gave_way(rel, m->fill->pinned >= PINNED_LOOKS);
    else
        log_err(LOG_WARNING, "vacuum", &err);
    if (rc == RC_ERR || m->fill->giving_way) /* the cancel may come late */
        conn_close(&m->lng);
}
