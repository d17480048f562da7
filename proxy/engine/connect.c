/*
 * The engine's work connection: opened, the advisory lock taken on it, everything read back; and
 * what is done when it is lost.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "history.h"
#include "second.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "store.h"

#define CONNECT_BASE_MS 1000
#define CONNECT_MAX_MS 30000
#define CONNECT_HELD_US 10000000 /* one that lasts less is no reason to hurry to the next */
#define OPEN_LOOK_MS 200
#define ASLEEP_US 2000000 /* those whom the server sends away with us are gone by then */
#define ASLEEP_LOOK_MS 250
#define LOCK_EVERY_MS 1000
#define LOCK_FOLLOW_MS 200    /* while another segue has a migration in flight */
#define LOCK_TURN_MS 20       /* while that is about to rename tables */
#define LOCK_TURNS_MS 5       /* while it does, and nobody is held here any more */
#define LOCK_SOON_MS 25       /* while clients wait for the rules */
#define LOCK_SOON_US 10000000 /* but for so long at most */

void eng_forget_all(struct eng_engine *engine)
{
    const struct err gone = {.sqlstate = "08006", .text = "the connection was lost; ask again"};

    while (engine->nmigrations) {
        struct eng_migration *m = engine->migrations[0];

        eng_verify_answer(engine, m, &gone);
        eng_migration_drop(engine, m);
    }
}

void eng_disconnect(struct eng_engine *engine, const struct err *err)
{
    log_err(LOG_WARNING, "the engine lost its connection", err);
    conn_close(&engine->work);
    eng_moved_forget(engine);
    eng_pool_close(engine);
    engine->ready = false;
    engine->connects_failed = 0;
    engine->connect_at_us = 0;
    engine->lock_said_us = 0;
    board_set_connected(engine->board, false);
}

/* A server that ends connections in good order may want to sleep, as hosted ones do: it is not
 * woken for nothing. */
static bool may_sleep(const struct eng_engine *engine, const struct err *err)
{
    return !engine->nmigrations && !strcmp(err->sqlstate, "57P01");
}

/* Until somebody comes, who may need the rules. */
static bool sleeps(struct eng_engine *engine)
{
    engine->asleep = engine->asleep && !sess_plane_has_clients(engine->plane);
    if (engine->asleep)
        engine->connect_at_us = clock_us() + ASLEEP_LOOK_MS * 1000;
    return engine->asleep;
}

void eng_heed(struct eng_engine *engine)
{
    struct err err = {0};
    bool held = clock_us() - engine->connected_us >= CONNECT_HELD_US;

    if (conn_heed(&engine->work, &err) == RC_OK)
        return;
    eng_disconnect(engine, &err);
    engine->dropped = held ? 0 : engine->dropped + 1;
    if (!held)
        engine->connect_at_us =
            clock_us() +
            conn_backoff_ms(engine->dropped - 1, CONNECT_BASE_MS, CONNECT_MAX_MS) * 1000;
    engine->asleep = may_sleep(engine, &err);
    if (engine->asleep && engine->connect_at_us < clock_us() + ASLEEP_US)
        engine->connect_at_us = clock_us() + ASLEEP_US;
}

/* The lost connection's backend may not know yet; while it lives it has our lock. */
static enum rc end_own_backend(struct eng_engine *engine, struct err *err)
{
    int pid = engine->backend_pid;

    engine->backend_pid = 0;
    if (!pid)
        return RC_OK;
    log_info("ending backend %d of the lost connection", pid);
    return conn_exec(&engine->work, err,
                     CONN_AS_LOGIN "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                                   "pid = %d AND backend_start = '%s'::timestamptz",
                     pid, engine->backend_start);
}

static enum rc remember_backend(struct eng_engine *engine, struct err *err)
{
    PGresult *res =
        conn_query(&engine->work, err,
                   CONN_AS_LOGIN "SELECT pid, backend_start::text FROM pg_stat_activity "
                                 "WHERE pid = pg_backend_pid()");

    if (!res)
        return RC_ERR;
    if (PQntuples(res) == 1) {
        engine->backend_pid = (int)res_int(res, 0, 0);
        snprintf(engine->backend_start, sizeof(engine->backend_start), "%s",
                 res_text(res, 0, 1) ? res_text(res, 0, 1) : "");
    }
    PQclear(res);
    return RC_OK;
}

/* One engine a database: another one, or the backend of our own lost connection, is waited for. */
static enum rc take_lock(struct eng_engine *engine, struct err *err)
{
    PGresult *res;
    bool got;

    if (engine->retired) {
        eng_lock_waits(engine);
        return RC_AGAIN;
    }
    FAULT(lock_before);
    res =
        conn_query(&engine->work, err, "SELECT pg_try_advisory_lock(%" PRId64 ")", STORE_LOCK_KEY);
    got = res && res_bool(res, 0, 0);

    PQclear(res);
    if (!res)
        return RC_ERR;
    if (got) {
        FAULT(lock_taken);
        return remember_backend(engine, err);
    }
    if (engine->backend_pid) {
        engine->connect_at_us = 0;
        return end_own_backend(engine, err) == RC_OK ? RC_AGAIN : RC_ERR;
    }
    eng_lock_waits(engine);
    return RC_AGAIN;
}

static enum rc load(struct eng_engine *engine, struct err *err)
{
    enum rc rc;

    engine->store = store_exists(&engine->work, err);
    if (err_is_set(err))
        return RC_ERR;
    if (!engine->store && engine->nmigrations)
        eng_store_lost_stop(engine);
    if (engine->lost)
        return eng_beside_end_others(engine, err);
    eng_forget_all(engine); /* what the database says replaces what we knew */
    buf_fini(&engine->followed);
    rc = eng_beside_end_others(engine, err);
    if (rc != RC_OK)
        return rc;
    if (!engine->store) {
        eng_publish(engine); /* that there is nothing */
        return RC_OK;
    }
    if (store_create(&engine->work, err) != RC_OK || throttle_load(engine, err) != RC_OK)
        return RC_ERR;
    history_show(engine);
    throttle_show(engine); /* whoever sees a migration sees what holds it */
    if (store_load(engine, err) != RC_OK)
        return RC_ERR;
    return eng_usage_load(engine, err);
}

/* Clients wait for what the store says: its lock is asked for more often, for a while. */
static int64_t lock_again_us(const struct eng_engine *engine)
{
    bool soon = !engine->told && clock_us() - engine->began_us < LOCK_SOON_US;
    bool turns = second_expects(engine);
    int ms = soon                      ? LOCK_SOON_MS
             : turns && engine->obeyed ? LOCK_TURNS_MS
             : turns                   ? LOCK_TURN_MS
             : engine->nmigrations     ? LOCK_FOLLOW_MS
                                       : LOCK_EVERY_MS;

    return clock_us() + ms * 1000;
}

/* Still under way: it is looked at again soon, and what is asked of the engine is answered. */
static void connect_takes_long(struct eng_engine *engine, const struct err *err)
{
    if (!atomic_load(&engine->stop) && !engine->open_said)
        log_err(LOG_WARNING, "the engine cannot work", err);
    engine->open_said = true;
    board_set_trouble(engine->board, err->text);
    engine->connect_at_us = clock_us() + OPEN_LOOK_MS * 1000;
}

static void connect_failed(struct eng_engine *engine, const struct err *err)
{
    enum conn_ping ping;
    bool came_up = false;
    int64_t ms;

    log_err(LOG_WARNING, "the engine cannot work", err);
    board_set_trouble(engine->board, err->text);
    ping = conn_ping(engine->options.upstream, &engine->stop);
    switch (ping) {
    case CONN_STARTING:
        engine->connects_failed = 0; /* soon: no reason to wait longer and longer */
        break;
    case CONN_SERVES: /* others, clients perhaps; if it is not since this attempt that it does */
        came_up = !engine->serves_others;
        if (!came_up)
            sess_plane_unknown(engine->plane);
        break;
    case CONN_AWAY:
        break;
    }
    engine->serves_others = ping == CONN_SERVES;
    ms = came_up ? 0 : conn_backoff_ms(engine->connects_failed++, CONNECT_BASE_MS, CONNECT_MAX_MS);
    conn_close(&engine->work);
    engine->connect_at_us = clock_us() + ms * 1000;
}

void eng_connect_turn(struct eng_engine *engine)
{
    struct err err = {0};
    enum rc rc = RC_OK;

    if (clock_us() < engine->connect_at_us || sleeps(engine))
        return;
    if (!conn_up(&engine->work))
        rc = conn_open(&engine->work, engine->options.upstream, &err);
    if (rc == RC_AGAIN) {
        connect_takes_long(engine, &err);
        return;
    }
    engine->open_said = false;
    if (rc == RC_OK) /* a name may lead to a standby while a failover is under way */
        rc = conn_check_primary(&engine->work, &err);
    if (rc == RC_OK)
        rc = conn_bound_locks(&engine->work, &err);
    if (rc == RC_OK)
        rc = take_lock(engine, &err);
    if (rc == RC_OK)
        rc = load(engine, &err);
    if (rc == RC_OK) {
        FAULT(loaded);
        engine->ready = true;
        engine->connects_failed = 0;
        engine->serves_others = false;
        engine->connected_us = clock_us();
        board_set_connected(engine->board, true);
        log_info("the engine is connected, %zu migrations in flight", engine->nmigrations);
    } else if (rc == RC_AGAIN) {
        engine->connect_at_us = lock_again_us(engine);
    } else {
        connect_failed(engine, &err);
    }
}

void eng_connect_for_job(struct eng_engine *engine)
{
    struct err err = {0};

    if (engine->ready && conn_exec(&engine->work, &err, "SELECT 1") != RC_OK &&
        !conn_up(&engine->work))
        eng_disconnect(engine, &err);
    if (engine->ready)
        return;
    engine->asleep = false;
    engine->connect_at_us = 0;
    eng_connect_turn(engine);
}
