/*
 * The connections on which batches run: as many as the throttle's `workers`, over all migrations.
 * A slot whose batch was sent answers on its socket; the engine thread waits for none of them.
 */
#include <stdlib.h>

#include "budget.h"
#include "fill.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"

#define OPEN_AGAIN_US 10000000
#define WANTED_US 3000000 /* who asked longer ago does not any more */

struct eng_pool *eng_pool_of(struct eng_engine *engine)
{
    if (!engine->pool) {
        engine->pool = mem_calloc(1, sizeof(*engine->pool));
        engine->pool->quiet_triggers = -1;
        for (size_t i = 0; i < FILL_WORKERS_MAX; i++)
            engine->pool->slots[i].conn.stop = &engine->stop;
    }
    return engine->pool;
}

void eng_pool_close(struct eng_engine *engine)
{
    for (size_t i = 0; engine->pool && i < FILL_WORKERS_MAX; i++) {
        conn_close(&engine->pool->slots[i].conn);
        engine->pool->slots[i].fill = NULL;
    }
    if (engine->pool)
        engine->pool->quiet_triggers = -1;
}

unsigned fill_pool_busy(const struct eng_pool *pool, const struct eng_fill *fill)
{
    unsigned n = 0;

    for (size_t i = 0; i < FILL_WORKERS_MAX; i++)
        n += pool->slots[i].fill && (!fill || pool->slots[i].fill == fill);
    return n;
}

void fill_pool_leave(struct eng_pool *pool, const struct eng_fill *fill)
{
    for (size_t i = 0; i < FILL_WORKERS_MAX; i++) {
        if (pool->slots[i].fill != fill)
            continue;
        conn_close(&pool->slots[i].conn);
        pool->slots[i].fill = NULL;
    }
}

void eng_pool_trim(struct eng_engine *engine)
{
    unsigned workers = throttle_workers(&engine->throttle);
    bool filling = false;

    for (size_t i = 0; i < engine->nmigrations; i++)
        filling |= engine->migrations[i]->fill != NULL;
    for (size_t i = 0; engine->pool && i < FILL_WORKERS_MAX; i++) {
        struct fill_slot *slot = &engine->pool->slots[i];

        if (!slot->fill && (!filling || i >= workers))
            conn_close(&slot->conn);
    }
}

struct fill_slot *fill_pool_idle(struct eng_engine *engine, struct eng_migration *m,
                                 int64_t *due_us)
{
    unsigned workers = throttle_workers(&engine->throttle);
    int64_t now = clock_us();

    for (size_t i = 0; i < workers; i++) {
        struct fill_slot *slot = &engine->pool->slots[i];
        int64_t due = slot->ended_us +
                      throttle_pause_ms(&engine->throttle, m->fill->verdict, slot->ms) * 1000;

        if (slot->fill)
            continue; /* its socket tells */
        if (slot->open_after_us > due)
            due = slot->open_after_us;
        if (due <= now)
            return slot;
        if (due < *due_us)
            *due_us = due;
    }
    return NULL;
}

/* The first one must connect; without a further one the backfill is slower, no more. */
static enum rc open_slot(struct eng_engine *engine, struct fill_slot *slot, struct err *err)
{
    if (conn_up(&slot->conn) ||
        eng_beside_open(engine, &slot->conn, ENG_BESIDE_BATCH, err) == RC_OK)
        return RC_OK;
    for (size_t i = 0; i < FILL_WORKERS_MAX; i++) {
        if (&engine->pool->slots[i] == slot || !conn_up(&engine->pool->slots[i].conn))
            continue;
        log_err(LOG_WARNING, "a further worker of the backfill", err);
        err_clear(err);
        slot->open_after_us = clock_us() + OPEN_AGAIN_US;
        return RC_AGAIN;
    }
    return RC_ERR;
}

enum rc fill_pool_send(struct eng_engine *engine, struct eng_migration *m, struct fill_slot *slot,
                       const struct fill_batch *batch, struct err *err)
{
    char *sql;
    enum rc rc = open_slot(engine, slot, err);

    if (rc != RC_OK)
        return rc;
    buf_reset(&m->blockers); /* of a connection that could not be had */
    FAULT(batch_before);
    sql = fill_batch_sql(engine, m, batch);
    rc = conn_send(&slot->conn, sql, err);
    free(sql);
    if (rc != RC_OK) {
        conn_close(&slot->conn);
        return rc;
    }
    FAULT(batch_sent);
    slot->fill = m->fill;
    slot->batch = *batch;
    slot->began_us = m->fill->started_us = clock_us();
    m->fill->wanted_us = 0;
    return RC_OK;
}

/* Whoever waits for one looks again. */
void fill_pool_freed(struct eng_engine *engine, const struct eng_migration *m)
{
    for (size_t i = 0; i < engine->nmigrations; i++) {
        struct eng_migration *other = engine->migrations[i];

        if (other != m && other->fill && other->fill->wanted_us)
            other->not_before_us = 0;
    }
}

bool fill_pool_turn(struct eng_engine *engine, struct eng_migration *m)
{
    struct budget_share *all = mem_calloc(engine->nmigrations, sizeof(*all));
    int64_t now = clock_us();
    size_t me = 0;
    bool may;

    for (size_t i = 0; i < engine->nmigrations; i++) {
        const struct eng_fill *fill = engine->migrations[i]->fill;

        if (engine->migrations[i] == m)
            me = i;
        if (fill)
            all[i] = (struct budget_share){fill_pool_busy(engine->pool, fill), fill->started_us,
                                           now - fill->wanted_us < WANTED_US};
    }
    may = budget_may_start(all, engine->nmigrations, me, throttle_workers(&engine->throttle));
    free(all);
    return may;
}

enum rc fill_pool_triggers(struct eng_engine *engine, struct err *err)
{
    struct err refused = {0};

    if (engine->pool->quiet_triggers >= 0)
        return RC_OK;
    engine->pool->quiet_triggers = 1;
    if (conn_exec(&engine->work, &refused,
                  "BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK") == RC_OK)
        return RC_OK;
    engine->pool->quiet_triggers = -1;
    conn_rollback(&engine->work);
    if (conn_lost(&refused)) {
        *err = refused;
        return RC_ERR;
    }
    engine->pool->quiet_triggers = 0;
    log_info("this role may not set session_replication_role: user triggers fire");
    return RC_OK;
}

size_t eng_fill_fds(const struct eng_engine *engine, const struct eng_migration *m,
                    struct pollfd *fds, size_t max)
{
    size_t n = 0;

    if (!m->fill)
        return 0;
    for (size_t i = 0; i < FILL_WORKERS_MAX && n < max; i++) {
        const struct fill_slot *slot = &engine->pool->slots[i];

        if (slot->fill == m->fill && slot->conn.pg)
            fds[n++] = (struct pollfd){.fd = PQsocket(slot->conn.pg), .events = POLLIN};
    }
    if (m->fill->vacuuming != FILL_NONE && m->lng.pg && n < max)
        fds[n++] = (struct pollfd){.fd = PQsocket(m->lng.pg), .events = POLLIN};
    return n;
}
