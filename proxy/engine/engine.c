/*
 * The engine thread and its inbox: started, told, ended. What it does between two jobs is in
 * connect.c (its connection) and turns.c (the round in which every migration gets a turn).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "options.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"

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

static size_t inbox_count(struct eng_engine *engine)
{
    size_t n = 0;

    pthread_mutex_lock(&engine->lock);
    for (const struct eng_inbox *entry = engine->head; entry; entry = entry->next)
        n++;
    pthread_mutex_unlock(&engine->lock);
    return n;
}

void eng_jobs_refuse(struct eng_engine *engine, const struct err *why)
{
    struct eng_job *job;

    while ((job = inbox_take(engine))) {
        job->err = *why;
        eng_job_answer(job);
    }
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
    takes = !atomic_load(&engine->stop) && !engine->retired;
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

/* Those that wait now. Others may come as fast as these are answered, and migrations have their
 * turns all the same. */
static void run_jobs(struct eng_engine *engine)
{
    struct err idle = {0};
    struct eng_job *job;

    for (size_t n = inbox_count(engine); n > 0 && (job = inbox_take(engine)); n--) {
        eng_connect_for_job(engine);
        eng_job_run(engine, job);
        if (engine->ready && !conn_up(&engine->work)) {
            err_set(&idle, "08006", "lost while answering");
            eng_disconnect(engine, &idle);
        }
    }
}

static void *engine_main(void *arg)
{
    struct eng_engine *engine = arg;

    engine->began_us = clock_us();
    while (!atomic_load(&engine->stop)) {
        take_reload(engine);
        if (atomic_exchange(&engine->asked, false) && !engine->told)
            engine->connect_at_us = 0; /* the database takes clients again: no long pauses */
        if (!engine->ready)
            eng_connect_turn(engine);
        run_jobs(engine);
        if (engine->ready)
            eng_moved_turn(engine);
        if (engine->ready)
            eng_round(engine);
        if (engine->ready && !engine->lost)
            eng_usage_turn(engine);
        eng_wait(engine);
    }
    if (engine->ready && !engine->lost) { /* the next one reads it back */
        FAULT(stop_before);
        eng_usage_look(engine);
        eng_usage_save(engine);
        FAULT(stop_saved);
    }
    eng_forget_all(engine);
    eng_pool_close(engine);
    eng_moved_forget(engine);
    conn_close(&engine->work);
    engine->ready = false;
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

void eng_retire(struct eng_engine *engine)
{
    struct err err = {0};

    eng_stop(engine);
    pthread_mutex_lock(&engine->lock);
    engine->retired = true;
    atomic_store(&engine->stop, false);
    pthread_mutex_unlock(&engine->lock);
    if (eng_start(engine, &err) != RC_OK)
        log_err(LOG_WARNING, "clients that are left keep the rules that they have", &err);
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
    buf_fini(&engine->followed);
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

void eng_check_migration(struct eng_engine *engine, const char *name, struct err *err)
{
    board_check_migration(engine->board, name, err);
}

bool eng_connected(struct eng_engine *engine)
{
    return board_connected(engine->board);
}

char *eng_trouble(struct eng_engine *engine)
{
    return board_trouble(engine->board);
}
