#include "keying.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "segue/base/log.h"
#include "segue/base/mem.h"

#define THREADS 2  /* logins are let in a little later rather than queries answered so */
#define SLICE 4096 /* iterations between two looks at whether they are still wanted */

struct sess_key_job {
    struct sess_key_job *next; /* while it waits */
    struct sess_keying *keying;
    struct auth_key_work *work;
    enum job_state { WAITING, RUNNING, DONE, DROPPED, STOPPED } state;
    void (*done)(void *ctx, uint64_t id);
    void *ctx;
    uint64_t id;
};

struct sess_keying {
    pthread_mutex_t lock; /* of all below, and of the jobs' states */
    pthread_cond_t wake;
    bool stop;
    unsigned nthreads;
    pthread_t threads[THREADS];
    struct sess_key_job *running[THREADS]; /* by thread */
    struct sess_key_job *first, **last;    /* waiting, oldest first */
};

struct sess_keying *sess_keying_new(void)
{
    struct sess_keying *k = mem_calloc(1, sizeof(*k));

    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->wake, NULL);
    k->last = &k->first;
    return k;
}

static void job_free(struct sess_key_job *job)
{
    auth_key_work_free(job->work);
    free(job);
}

static struct sess_key_job *unlink_at(struct sess_keying *k, struct sess_key_job **at)
{
    struct sess_key_job *job = *at;

    *at = job->next;
    if (k->last == &job->next)
        k->last = at;
    job->next = NULL;
    return job;
}

/* ---- the threads; the lock is held, but by work_through ---- */

static bool is_running(const struct sess_keying *k, const struct sess_key_job *job)
{
    for (unsigned i = 0; i < THREADS; i++) {
        if (k->running[i] && auth_key_work_same(k->running[i]->work, job->work))
            return true;
    }
    return false;
}

/* The oldest that nobody is at; NULL: there is none. */
static struct sess_key_job *pick(struct sess_keying *k)
{
    struct sess_key_job **at = &k->first;

    while (*at && is_running(k, *at))
        at = &(*at)->next;
    return *at ? unlink_at(k, at) : NULL;
}

/* One that waits for the same; NULL: none does. */
static struct sess_key_job *take_same(struct sess_keying *k, const struct sess_key_job *job)
{
    struct sess_key_job **at = &k->first;

    while (*at && !auth_key_work_same((*at)->work, job->work))
        at = &(*at)->next;
    return *at ? unlink_at(k, at) : NULL;
}

static void tell(struct sess_key_job *job)
{
    job->state = DONE;
    job->done(job->ctx, job->id);
}

/* Nobody waits for it: whoever wants the same goes on with what there is of it. */
static struct sess_key_job *inherit(struct sess_keying *k, struct sess_key_job *job)
{
    struct sess_key_job *heir = take_same(k, job);
    struct auth_key_work *work = job->work;

    if (heir) {
        job->work = heir->work;
        heir->work = work;
        heir->state = RUNNING;
    }
    job_free(job);
    return heir;
}

/* A slice. True: it is done. */
static bool work_through(struct sess_keying *k, struct sess_key_job *job)
{
    bool finished;

    pthread_mutex_unlock(&k->lock);
    finished = auth_key_work_step(job->work, SLICE);
    pthread_mutex_lock(&k->lock);
    return finished;
}

static void finish(struct sess_keying *k, struct sess_key_job *job)
{
    struct sess_key_job *same;

    while ((same = take_same(k, job)) != NULL) {
        auth_key_work_take(same->work, job->work);
        tell(same);
    }
    if (job->state == DROPPED)
        job_free(job);
    else
        tell(job);
}

static void make(struct sess_keying *k, unsigned number, struct sess_key_job *job)
{
    bool finished = false;

    job->state = RUNNING;
    while (job && !k->stop && !finished) {
        k->running[number] = job;
        finished = work_through(k, job);
        if (!finished && job->state == DROPPED)
            job = inherit(k, job);
    }
    k->running[number] = NULL;
    if (finished && !k->stop)
        finish(k, job);
    else if (job && job->state == DROPPED)
        job_free(job);
    else if (job)
        job->state = STOPPED; /* its owner frees it */
    pthread_cond_broadcast(&k->wake);
}

struct start {
    struct sess_keying *keying;
    unsigned number;
};

static void *keying_main(void *arg)
{
    struct start *start = arg;
    struct sess_keying *k = start->keying;
    unsigned number = start->number;
    struct sess_key_job *job;

    free(start);
    log_thread("keys");
    pthread_mutex_lock(&k->lock);
    while (!k->stop) {
        job = pick(k);
        if (job)
            make(k, number, job);
        else
            pthread_cond_wait(&k->wake, &k->lock);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

/* False: there is none, and is to be. After the stop nobody makes what is asked for. */
static bool have_threads(struct sess_keying *k)
{
    sigset_t all, before;

    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (k->nthreads < THREADS && !k->stop) {
        struct start *start = mem_alloc(sizeof(*start));

        *start = (struct start){k, k->nthreads};
        if (pthread_create(&k->threads[k->nthreads], NULL, keying_main, start) != 0) {
            free(start);
            break;
        }
        k->nthreads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return k->stop || k->nthreads > 0;
}

void sess_keying_stop(struct sess_keying *k)
{
    pthread_mutex_lock(&k->lock);
    k->stop = true;
    pthread_cond_broadcast(&k->wake);
    pthread_mutex_unlock(&k->lock);
    while (k->nthreads)
        pthread_join(k->threads[--k->nthreads], NULL);
}

void sess_keying_free(struct sess_keying *k)
{
    if (!k)
        return;
    sess_keying_stop(k);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* ---- who asks ---- */

struct sess_key_job *sess_keying_ask(struct sess_keying *k, struct auth_key_work *work,
                                     void (*done)(void *ctx, uint64_t id), void *ctx, uint64_t id)
{
    struct sess_key_job *job = mem_calloc(1, sizeof(*job));
    bool threaded;

    *job = (struct sess_key_job){.keying = k, .work = work, .done = done, .ctx = ctx, .id = id};
    pthread_mutex_lock(&k->lock);
    threaded = have_threads(k);
    if (threaded) {
        *k->last = job;
        k->last = &job->next;
        pthread_cond_signal(&k->wake);
    }
    pthread_mutex_unlock(&k->lock);
    if (!threaded) { /* as slowly as it must be */
        log_warning("the system gives no thread to make the keys of a password in");
        while (!auth_key_work_step(job->work, SLICE))
            ;
        tell(job);
    }
    return job;
}

const struct auth_key_work *sess_keying_result(struct sess_key_job *job)
{
    bool done;

    pthread_mutex_lock(&job->keying->lock);
    done = job->state == DONE;
    pthread_mutex_unlock(&job->keying->lock);
    return done ? job->work : NULL;
}

void sess_keying_drop(struct sess_key_job *job)
{
    struct sess_keying *k;
    struct sess_key_job **at;

    if (!job)
        return;
    k = job->keying;
    pthread_mutex_lock(&k->lock);
    if (job->state == RUNNING) {
        job->state = DROPPED; /* its thread frees it */
        job = NULL;
    } else if (job->state == WAITING) {
        for (at = &k->first; *at != job; at = &(*at)->next)
            ;
        unlink_at(k, at);
    }
    pthread_mutex_unlock(&k->lock);
    if (job)
        job_free(job);
}
