/* The plane: options, start, drain, end. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "worker.h"

#define DRAIN_POLL_MS 10
#define KILL_MS 1000 /* for the last messages to leave */

static void nobody_listens(void *ctx)
{
    (void)ctx;
}

struct sess_plane *sess_plane_new(const struct sess_options *options,
                                  const struct sess_console_ops *console, void *console_ctx,
                                  struct err *err)
{
    struct sess_plane *plane;
    struct sess_limits *limits;
    uint8_t salt_key[AUTH_KEY_BYTES];
    pthread_condattr_t attr;

    if (!auth_random(salt_key, sizeof(salt_key))) {
        err_set(err, "58000", "the system gives no random bytes");
        return NULL;
    }
    limits = sess_limits_new(options, NULL, err);
    if (!limits)
        return NULL;
    plane = mem_calloc(1, sizeof(*plane));
    plane->options = *options;
    plane->options.listen = mem_strdup(options->listen);
    sess_upstream_options_copy(&plane->options.upstream, &options->upstream);
    plane->doors = sess_doors_new();
    plane->cancel_doors = sess_doors_new();
    plane->keying = sess_keying_new();
    plane->console = console;
    plane->console_ctx = console_ctx;
    plane->on_asked = nobody_listens;
    plane->limits = limits;
    memcpy(plane->salt_key, salt_key, sizeof(salt_key));
    plane->order = mem_calloc(1, sizeof(*plane->order));
    atomic_init(&plane->order->refs, 1);
    pthread_mutex_init(&plane->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&plane->seen, &attr);
    pthread_condattr_destroy(&attr);
    return plane;
}

void sess_plane_on_asked(struct sess_plane *plane, void (*asked)(void *ctx), void *ctx)
{
    plane->on_asked = asked;
    plane->on_asked_ctx = ctx;
}

uint64_t sess_plane_changes(const struct sess_plane *plane)
{
    return atomic_load_explicit(&plane->changes, memory_order_acquire);
}

/* Half the cores: a worker with more sessions finds more of them ready each time it looks, which
 * costs less a transaction, and most machines have other things to do. */
static unsigned worker_count(const struct sess_options *options)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = options->workers ? options->workers : cores > 3 ? (unsigned)cores / 2 : 1;

    return n < WORKERS_MAX ? n : WORKERS_MAX;
}

enum rc sess_plane_start(struct sess_plane *plane, struct err *err)
{
    unsigned want = worker_count(&plane->options);
    char name[16];

    assert(!plane->started);
    sess_descriptors_want(&plane->options);
    plane->hosts = sess_hosts_new(&plane->options.upstream, err);
    if (!plane->hosts)
        return RC_ERR;
    for (unsigned i = 0; i < want; i++) {
        struct sess_worker *w = sess_worker_new(plane, i, err);

        if (!w)
            return RC_ERR;
        plane->workers[plane->nworkers++] = w;
    }
    if (sess_listen_open(plane, err) != RC_OK)
        return RC_ERR;
    for (unsigned i = 0; i < want; i++) {
        snprintf(name, sizeof(name), "worker %u", i);
        if (net_loop_start(plane->workers[i]->loop, name, err) != RC_OK)
            return RC_ERR;
    }
    plane->history = sess_history_new(plane, err);
    if (!plane->history)
        return RC_ERR;
    pthread_mutex_lock(&plane->lock);
    plane->started = true;
    pthread_mutex_unlock(&plane->lock);
    return RC_OK;
}

const char *sess_plane_address(const struct sess_plane *plane)
{
    return plane->address;
}

const char *sess_plane_addresses(const struct sess_plane *plane)
{
    return plane->addresses;
}

static void post_all(struct sess_plane *plane, enum sess_mail_kind kind)
{
    for (unsigned i = 0; i < plane->nworkers; i++)
        sess_worker_post(plane->workers[i], kind, 0, NULL, 0);
}

unsigned sess_plane_left(struct sess_plane *plane)
{
    unsigned n = 0;

    for (unsigned i = 0; i < plane->nworkers; i++)
        n += atomic_load_explicit(&plane->workers[i]->nsessions, memory_order_acquire);
    /* one on its way from the worker that accepted it to its own counts as well */
    return n ? n : atomic_load_explicit(&plane->startups, memory_order_acquire);
}

/* Waits until no session is left. */
static bool wait_empty(struct sess_plane *plane, int64_t until_ms, bool stop_now)
{
    for (;;) {
        if (!sess_plane_left(plane))
            return true;
        if (clock_ms() >= until_ms || (stop_now && atomic_load(&plane->drain_now)))
            return false;
        clock_sleep_ms(DRAIN_POLL_MS);
    }
}

void sess_plane_drain(struct sess_plane *plane, unsigned deadline_ms)
{
    if (!plane->started)
        return;
    post_all(plane, MAIL_DRAIN);
    if (wait_empty(plane, clock_ms() + deadline_ms, true))
        return;
    post_all(plane, MAIL_KILL);
    if (!wait_empty(plane, clock_ms() + KILL_MS, false))
        log_warning("sessions are left after the drain");
}

void sess_plane_drain_now(struct sess_plane *plane)
{
    atomic_store(&plane->drain_now, true);
}

enum rc sess_plane_reload(struct sess_plane *plane, const struct sess_options *options,
                          struct err *err)
{
    struct sess_limits *before, *limits;

    pthread_mutex_lock(&plane->lock);
    before = sess_limits_ref(plane->limits);
    pthread_mutex_unlock(&plane->lock);
    limits = sess_limits_new(options, before, err);
    sess_limits_unref(before);
    if (!limits)
        return RC_ERR;
    pthread_mutex_lock(&plane->lock);
    before = plane->limits;
    limits->number = before->number + 1;
    plane->limits = limits;
    if (plane->started)
        post_all(plane, MAIL_ORDER);
    pthread_mutex_unlock(&plane->lock);
    sess_limits_unref(before);
    sess_descriptors_want(options);
    return RC_OK;
}

void sess_plane_reloaded(struct sess_plane *plane)
{
    bool obeyed;

    pthread_mutex_lock(&plane->lock);
    obeyed = sess_limits_await(plane);
    pthread_mutex_unlock(&plane->lock);
    if (!obeyed)
        log_warning("a worker is stuck: until it looks again, it goes by what was configured "
                    "before");
}

/* What they still have for each other is dealt with while all of them are there. */
static void stop_workers(struct sess_plane *plane)
{
    bool some;

    for (unsigned i = 0; i < plane->nworkers; i++)
        net_loop_stop(plane->workers[i]->loop);
    do {
        some = false;
        for (unsigned i = 0; i < plane->nworkers; i++)
            some |= net_loop_settle(plane->workers[i]->loop);
    } while (some);
}

void sess_plane_free(struct sess_plane *plane)
{
    if (!plane)
        return;
    sess_history_free(plane->history);
    sess_keying_stop(plane->keying); /* it posts to the workers */
    stop_workers(plane);
    for (unsigned i = 0; i < plane->nworkers; i++)
        sess_worker_free(plane->workers[i]);
    while (plane->nadopted)
        close(plane->adopted[--plane->nadopted]);
    free(plane->adopted);
    sess_hosts_free(plane->hosts);
    sess_order_unref(plane->order);
    sess_turns_fini(plane);
    sess_limits_unref(plane->limits);
    sess_doors_free(plane->doors);
    sess_doors_free(plane->cancel_doors);
    sess_keying_free(plane->keying);
    pthread_cond_destroy(&plane->seen);
    pthread_mutex_destroy(&plane->lock);
    free(plane->addresses);
    free((char *)plane->options.listen);
    sess_upstream_options_fini(&plane->options.upstream);
    free(plane);
}
