/*
 * The engine thread: its inbox, its connection, and the round in which every migration in flight
 * gets a bounded turn. Errors of a turn are judged here, once: the connection is gone, the same
 * again later, or the migration stops at its step until someone decides.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "history.h"
#include "options.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "store.h"

#define CONNECT_BASE_MS 1000
#define CONNECT_MAX_MS 30000
#define LOCK_EVERY_MS 1000
#define LOCK_SOON_MS 25       /* while clients wait for the rules */
#define LOCK_SOON_US 10000000 /* but for so long at most */
#define REFRESH_US 2000000
#define RETRY_BASE_MS 100
#define RETRY_MAX_MS 5000

static void wake(struct eng_engine *engine)
{
    uint64_t one = 1;

    if (write(engine->wakefd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        log_error("waking the engine: %s", strerror(errno));
}

/* On a worker's thread. */
static void asked(void *arg)
{
    struct eng_engine *engine = arg;

    atomic_store(&engine->asked, true);
    wake(engine);
}

struct eng_engine *eng_new(const struct eng_options *options, struct sess_plane *plane)
{
    struct eng_engine *engine = mem_calloc(1, sizeof(*engine));

    eng_options_copy(&engine->options, options);
    engine->plane = plane;
    engine->board = board_new();
    engine->usage = eng_usage_new(options->usage_entries_max);
    engine->tail = &engine->head;
    engine->work.stop = &engine->stop;
    engine->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&engine->lock, NULL);
    throttle_init(&engine->throttle);
    throttle_configure(&engine->throttle, engine->options.throttle);
    throttle_show(engine);
    sess_plane_on_asked(plane, asked, engine);
    return engine;
}

/* ---- inbox ---- */

static struct eng_job *inbox_take(struct eng_engine *engine)
{
    struct eng_inbox *entry;
    struct eng_job *job = NULL;

    pthread_mutex_lock(&engine->lock);
    entry = engine->head;
    if (entry) {
        engine->head = entry->next;
        if (!engine->head)
            engine->tail = &engine->head;
        job = entry->job;
    }
    pthread_mutex_unlock(&engine->lock);
    free(entry);
    return job;
}

static void refuse_stopped(struct eng_job *job)
{
    err_set(&job->err, "57P01", "segue is shutting down");
    eng_job_answer(job);
}

void eng_submit(struct eng_engine *engine, struct eng_job *job)
{
    struct eng_inbox *entry = mem_calloc(1, sizeof(*entry));
    bool takes;

    entry->job = job;
    pthread_mutex_lock(&engine->lock);
    /* clients may come a moment before the engine is started: their jobs wait for it */
    takes = !atomic_load(&engine->stop);
    if (takes) {
        *engine->tail = entry;
        engine->tail = &entry->next;
    }
    pthread_mutex_unlock(&engine->lock);
    if (takes) {
        wake(engine);
        return;
    }
    free(entry);
    refuse_stopped(job);
}

static void take_reload(struct eng_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    if (engine->reload_wanted) {
        const char *upstream = engine->options.upstream;

        engine->options.upstream = engine->reload.upstream;
        engine->reload.upstream = upstream; /* where we are connected does not change */
        eng_options_free(&engine->options);
        engine->options = engine->reload;
        engine->reload = (struct eng_options){0};
        engine->reload_wanted = false;
        throttle_configure(&engine->throttle, engine->options.throttle);
        throttle_show(engine);
    }
    pthread_mutex_unlock(&engine->lock);
}

/* ---- connection ---- */

void eng_forget_all(struct eng_engine *engine)
{
    const struct err gone = {.sqlstate = "08006", .text = "the connection was lost; ask again"};

    while (engine->nmigrations) {
        struct eng_migration *m = engine->migrations[0];

        eng_verify_answer(engine, m, &gone);
        eng_migration_drop(engine, m);
    }
}

static void disconnect(struct eng_engine *engine, const struct err *err)
{
    log_err(LOG_WARNING, "the engine lost its connection", err);
    conn_close(&engine->work);
    eng_pool_close(engine);
    engine->ready = false;
    engine->connects_failed = 0;
    engine->connect_at_us = 0;
    engine->lock_said_us = 0;
    board_set_connected(engine->board, false);
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
                     "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %d AND "
                     "backend_start = '%s'::timestamptz",
                     pid, engine->backend_start);
}

static enum rc remember_backend(struct eng_engine *engine, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT pid, backend_start::text FROM pg_stat_activity "
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

    eng_forget_all(engine); /* what the database says replaces what we knew */
    rc = eng_beside_end_others(engine, err);
    if (rc != RC_OK)
        return rc;
    engine->store = store_exists(&engine->work, err);
    if (err_is_set(err))
        return RC_ERR;
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

    return clock_us() + (soon ? LOCK_SOON_MS : LOCK_EVERY_MS) * 1000;
}

static void connect_failed(struct eng_engine *engine, const struct err *err)
{
    int64_t ms;

    log_err(LOG_WARNING, "the engine cannot work", err);
    board_set_trouble(engine->board, err->text);
    switch (conn_ping(engine->options.upstream)) {
    case CONN_STARTING:
        engine->connects_failed = 0; /* soon: no reason to wait longer and longer */
        break;
    case CONN_SERVES: /* others, clients perhaps */
        sess_plane_unknown(engine->plane);
        break;
    case CONN_AWAY:
        break;
    }
    ms = conn_backoff_ms(engine->connects_failed++, CONNECT_BASE_MS, CONNECT_MAX_MS);
    conn_close(&engine->work);
    engine->connect_at_us = clock_us() + ms * 1000;
}

static void connect_turn(struct eng_engine *engine)
{
    struct err err = {0};
    enum rc rc = RC_OK;

    if (clock_us() < engine->connect_at_us)
        return;
    if (!conn_up(&engine->work))
        rc = conn_open(&engine->work, engine->options.upstream, &err);
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
        board_set_connected(engine->board, true);
        log_info("the engine is connected, %zu migrations in flight", engine->nmigrations);
    } else if (rc == RC_AGAIN) {
        engine->connect_at_us = lock_again_us(engine);
    } else {
        connect_failed(engine, &err);
    }
}

/* A connection that idles may be gone, and a pause before the next attempt may be long: found out
 * and made up for before a job is run, not by it. */
static void connect_for_job(struct eng_engine *engine)
{
    struct err err = {0};

    if (engine->ready && conn_exec(&engine->work, &err, "SELECT 1") != RC_OK &&
        !conn_up(&engine->work))
        disconnect(engine, &err);
    if (engine->ready)
        return;
    engine->connect_at_us = 0;
    connect_turn(engine);
}

/* ---- turns ---- */

/* What can be done now, behind what is said of the cause. */
static void hint_next(struct eng_migration *m)
{
    bool back = m->phase == PH_CUTTING_OVER || m->phase == PH_SOAKING ||
                eng_phase_legal(m->phase, PH_ABORTING);
    const char *next = back ? "resume tries again, rollback goes back" : "resume tries again";
    struct err said = m->failure;

    if (strstr(said.hint, "resume"))
        return;
    m->failure.hint[0] = '\0';
    err_hint(&m->failure, "%s%s%s", said.hint, said.hint[0] ? "; " : "", next);
}

static void stop_at_step(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct err ignored = {0};

    m->failure = *err;
    if (m->step[0])
        err_prefix(&m->failure, "%s", m->step);
    hint_next(m);
    m->migrate = m->migrate && m->phase != PH_READY;
    log_err(LOG_ERROR, "stopped", &m->failure);
    if (store_flags(engine, m, &ignored) != RC_OK)
        log_err(LOG_WARNING, "storing the failure", &ignored);
    eng_status_put(engine, m);
}

/* False: the connection is gone. */
static bool judge(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    conn_rollback(&engine->work);
    if (!conn_up(&engine->work) || atomic_load(&engine->stop)) {
        if (!conn_up(&engine->work))
            disconnect(engine, err);
        return false;
    }
    if (conn_retryable(err)) {
        log_info("%s: %s (%s); again", m->step, err->text, err->sqlstate);
        eng_sleep(m, conn_backoff_ms(m->retries++, RETRY_BASE_MS, RETRY_MAX_MS));
        eng_status_put(engine, m);
    } else {
        stop_at_step(engine, m, err);
    }
    return true;
}

static bool turn(struct eng_engine *engine, struct eng_migration *m)
{
    struct err err = {0};
    enum rc rc = RC_OK;
    bool goes_on;

    log_scope(m->name);
    if (clock_us() - m->refreshed_us > REFRESH_US)
        rc = eng_status_refresh(engine, m, &err);
    if (rc == RC_OK && eng_wants_turn(m))
        rc = eng_phase(m->phase)->step(engine, m, &err);
    goes_on = rc != RC_ERR || judge(engine, m, &err);
    log_scope(NULL);
    return goes_on;
}

static void finish(struct eng_engine *engine, struct eng_migration *m)
{
    struct err ignored = {0};

    if (eng_status_refresh(engine, m, &ignored) != RC_OK)
        log_debug("%s", ignored.text);
    eng_usage_look(engine);
    eng_usage_save(engine);
    eng_migration_drop(engine, m);
    eng_usage_forget_ended(engine);
}

static void round_of_turns(struct eng_engine *engine)
{
    bool filling = false;

    for (size_t i = 0; i < engine->nmigrations && !atomic_load(&engine->stop);) {
        struct eng_migration *m = engine->migrations[i];

        if (!turn(engine, m))
            return;
        filling |= m->phase == PH_BACKFILLING || m->fill;
        if (eng_phase_over(m->phase))
            finish(engine, m);
        else
            i++;
    }
    if (!filling) {
        throttle_watch(engine);
        throttle_rest(engine);
    }
    eng_pool_trim(engine);
    eng_publish_refresh(engine);
    if (engine->history_due)
        history_show(engine);
}

static void *engine_main(void *arg)
{
    struct eng_engine *engine = arg;
    struct eng_job *job;
    struct err idle = {0};

    engine->began_us = clock_us();
    while (!atomic_load(&engine->stop)) {
        take_reload(engine);
        if (atomic_exchange(&engine->asked, false) && !engine->told)
            engine->connect_at_us = 0; /* the database takes clients again: no long pauses */
        if (!engine->ready)
            connect_turn(engine);
        while ((job = inbox_take(engine))) {
            connect_for_job(engine);
            eng_job_run(engine, job);
            if (engine->ready && !conn_up(&engine->work)) {
                err_set(&idle, "08006", "lost while answering");
                disconnect(engine, &idle);
            }
        }
        if (engine->ready)
            round_of_turns(engine);
        if (engine->ready)
            eng_usage_turn(engine);
        eng_wait(engine);
    }
    if (engine->ready) { /* the next one reads it back */
        FAULT(stop_before);
        eng_usage_look(engine);
        eng_usage_save(engine);
        FAULT(stop_saved);
    }
    eng_forget_all(engine);
    eng_pool_close(engine);
    conn_close(&engine->work);
    board_set_connected(engine->board, false);
    return NULL;
}

enum rc eng_start(struct eng_engine *engine, struct err *err)
{
    int failed;

    pthread_mutex_lock(&engine->lock);
    engine->started = true;
    pthread_mutex_unlock(&engine->lock);
    failed = pthread_create(&engine->thread, NULL, engine_main, engine);
    if (failed) {
        engine->started = false;
        err_set(err, "53000", "starting the engine thread: %s", strerror(failed));
        return RC_ERR;
    }
    return RC_OK;
}

void eng_stop(struct eng_engine *engine)
{
    struct eng_job *job;
    bool started;

    pthread_mutex_lock(&engine->lock);
    started = engine->started;
    engine->started = false;
    atomic_store(&engine->stop, true);
    pthread_mutex_unlock(&engine->lock);
    if (started) {
        wake(engine);
        pthread_join(engine->thread, NULL);
    }
    while ((job = inbox_take(engine)))
        refuse_stopped(job);
}

void eng_free(struct eng_engine *engine)
{
    if (!engine)
        return;
    assert(!engine->started);
    board_free(engine->board);
    eng_usage_free(engine->usage);
    free(engine->pool);
    throttle_fini(&engine->throttle);
    close(engine->wakefd);
    pthread_mutex_destroy(&engine->lock);
    eng_options_free(&engine->options);
    eng_options_free(&engine->reload);
    free(engine->migrations);
    sight_forget(&engine->sight);
    eng_published_fini(&engine->published);
    free(engine);
}

void eng_reload(struct eng_engine *engine, const struct eng_options *options)
{
    pthread_mutex_lock(&engine->lock);
    eng_options_free(&engine->reload);
    eng_options_copy(&engine->reload, options);
    engine->reload_wanted = true;
    pthread_mutex_unlock(&engine->lock);
    wake(engine);
}

json_t *eng_show_migrations(struct eng_engine *engine)
{
    return board_show(engine->board, BOARD_MIGRATIONS, NULL);
}

json_t *eng_show_status(struct eng_engine *engine, const char *name)
{
    return board_show(engine->board, BOARD_STATUS, name);
}

json_t *eng_show_throttle(struct eng_engine *engine)
{
    return board_show(engine->board, BOARD_THROTTLE, NULL);
}

json_t *eng_show_history(struct eng_engine *engine)
{
    return board_show(engine->board, BOARD_HISTORY, NULL);
}

json_t *eng_show_usage(struct eng_engine *engine, const char *name)
{
    return board_show(engine->board, BOARD_USAGE, name);
}

json_t *eng_show_attempts(struct eng_engine *engine, const char *name)
{
    return board_show(engine->board, BOARD_ATTEMPTS, name);
}

bool eng_connected(struct eng_engine *engine)
{
    return board_connected(engine->board);
}

char *eng_trouble(struct eng_engine *engine)
{
    return board_trouble(engine->board);
}
