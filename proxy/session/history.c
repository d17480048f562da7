#include "history.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "stats.h"
#include "worker.h"

#define TICK_S 1
#define SAMPLE_TICKS 10
#define TOUCH_TICKS (58 * 60) /* as PostgreSQL does with its own */
#define MINUTE_US 60000000
#define SAMPLES 7 /* the oldest is a minute old, or a little more */

struct sess_history {
    struct sess_plane *plane;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;
    bool stop;
    struct sess_sample *samples[SAMPLES]; /* oldest first; no holes */
    size_t count;
};

/* ---- samples ---- */

static void sample_worker(struct sess_worker *w, struct sess_worker_sample *out)
{
    struct sess_worker_counters *c = &w->counters;

    *out = (struct sess_worker_sample){.transactions = READ(c->transactions),
                                       .requests = READ(c->requests),
                                       .from_client = READ(c->from_client),
                                       .from_server = READ(c->from_server),
                                       .cpu_us = READ(c->cpu_us),
                                       .lag_us_max = READ(c->lag_us_max)};
}

struct sess_sample *sess_sample_new(struct sess_plane *plane)
{
    struct sess_sample *sample = mem_calloc(1, sizeof(*sample));

    sample->at_us = clock_us();
    sample->workers = mem_calloc(plane->nworkers, sizeof(*sample->workers));
    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker_counters *c = &plane->workers[i]->counters;

        sess_stats_add(c, sample->totals);
        for (size_t type = 0; type < 256; type++) {
            sample->from_client_messages[type] += READ(c->from_client_messages[type]);
            sample->from_server_messages[type] += READ(c->from_server_messages[type]);
        }
        for (size_t class = 0; class < SESS_CLASSES; class ++)
            hist_read(&c->latency[class], &sample->latency[class]);
        sample_worker(plane->workers[i], &sample->workers[i]);
    }
    return sample;
}

void sess_sample_free(struct sess_sample *sample)
{
    if (!sample)
        return;
    free(sample->workers);
    free(sample);
}

/* The workers' longest lags move into the sample. */
static void keep(struct sess_history *h)
{
    struct sess_sample *sample = sess_sample_new(h->plane);

    for (unsigned i = 0; i < h->plane->nworkers; i++)
        sample->workers[i].lag_us_max =
            atomic_exchange(&h->plane->workers[i]->counters.lag_us_max, 0);
    pthread_mutex_lock(&h->lock);
    if (h->count == SAMPLES) {
        sess_sample_free(h->samples[0]);
        memmove(&h->samples[0], &h->samples[1], (SAMPLES - 1) * sizeof(h->samples[0]));
        h->count--;
    }
    h->samples[h->count++] = sample;
    pthread_mutex_unlock(&h->lock);
}

struct sess_sample *sess_history_minute(struct sess_history *h, struct sess_sample *now)
{
    struct sess_sample *then = mem_calloc(1, sizeof(*then));
    size_t bytes = h->plane->nworkers * sizeof(*then->workers), at;

    pthread_mutex_lock(&h->lock);
    for (at = h->count - 1; at > 0 && now->at_us - h->samples[at]->at_us < MINUTE_US; at--)
        for (unsigned i = 0; i < h->plane->nworkers; i++)
            if (h->samples[at]->workers[i].lag_us_max > now->workers[i].lag_us_max)
                now->workers[i].lag_us_max = h->samples[at]->workers[i].lag_us_max;
    *then = *h->samples[at];
    then->workers = mem_alloc(bytes);
    memcpy(then->workers, h->samples[at]->workers, bytes);
    pthread_mutex_unlock(&h->lock);
    return then;
}

/* ---- the thread ---- */

/* True: to end. */
static bool wait_tick(struct sess_history *h)
{
    struct timespec until;
    bool stop;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_S;
    pthread_mutex_lock(&h->lock);
    while (!h->stop && pthread_cond_timedwait(&h->wake, &h->lock, &until) == 0)
        ;
    stop = h->stop;
    pthread_mutex_unlock(&h->lock);
    return stop;
}

static void *history_main(void *arg)
{
    struct sess_history *h = arg;

    log_thread("history");
    for (unsigned ticks = 1; !wait_tick(h); ticks++) {
        for (unsigned i = 0; i < h->plane->nworkers; i++)
            sess_worker_post(h->plane->workers[i], MAIL_TICK, 0, NULL, 0);
        if (ticks % SAMPLE_TICKS == 0)
            keep(h);
        if (ticks % TOUCH_TICKS == 0)
            sess_listen_touch(h->plane);
        sess_trim_tick(h->plane);
        sess_limits_tick(h->plane);
    }
    return NULL;
}

struct sess_history *sess_history_new(struct sess_plane *plane, struct err *err)
{
    struct sess_history *h = mem_calloc(1, sizeof(*h));
    pthread_condattr_t attr;
    int why;

    h->plane = plane;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &attr);
    pthread_condattr_destroy(&attr);
    keep(h);
    why = pthread_create(&h->thread, NULL, history_main, h);
    if (why == 0)
        return h;
    err_set(err, "53000", "cannot start a thread: %s", strerror(why));
    h->plane = NULL;
    sess_history_free(h);
    return NULL;
}

void sess_history_free(struct sess_history *h)
{
    if (!h)
        return;
    if (h->plane) {
        pthread_mutex_lock(&h->lock);
        h->stop = true;
        pthread_cond_signal(&h->wake);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->thread, NULL);
    }
    for (size_t i = 0; i < h->count; i++)
        sess_sample_free(h->samples[i]);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
