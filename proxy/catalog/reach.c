#include "segue/catalog/reach.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"

#define STOP_LOOK_MS 50 /* how late a stop is noticed */
#define PAIRS_MAX 16
#define UNDER_WAY_MAX 64 /* given up and not yet ended, too */

static atomic_uint under_way;
static atomic_bool given_up;

struct cat_reach {
    char *keys[PAIRS_MAX + 1], *values[PAIRS_MAX + 1];
    PGcancel *cancel; /* NULL: it is not for that */
    bool pings, has_thread;
    pthread_t thread;     /* joined: what OpenSSL keeps for it must be gone when the process ends */
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t ended;
    bool done, dropped; /* dropped before it was done: the thread, now detached, frees it */
    PGconn *conn;
    PGPing answer;
};

static void reach_free(struct cat_reach *reach)
{
    PQfinish(reach->conn);
    PQfreeCancel(reach->cancel);
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        free(reach->keys[i]);
        free(reach->values[i]);
    }
    pthread_cond_destroy(&reach->ended);
    pthread_mutex_destroy(&reach->lock);
    free(reach);
}

static PGconn *work(struct cat_reach *reach, PGPing *answer)
{
    const char *const *keys = (const char *const *)reach->keys;
    const char *const *values = (const char *const *)reach->values;
    char why[256];

    *answer = PQPING_NO_ATTEMPT;
    if (!reach->cancel && !reach->pings)
        return PQconnectdbParams(keys, values, 1);
    if (reach->pings)
        *answer = PQpingParams(keys, values, 1);
    else if (!PQcancel(reach->cancel, why, sizeof(why)))
        log_debug("cancel: %s", why);
    return NULL;
}

static void *reach_main(void *arg)
{
    struct cat_reach *reach = arg;
    PGPing answer;
    PGconn *conn = work(reach, &answer);
    bool dropped;

    pthread_mutex_lock(&reach->lock);
    reach->answer = answer;
    reach->conn = conn;
    reach->done = true;
    dropped = reach->dropped;
    pthread_cond_signal(&reach->ended);
    pthread_mutex_unlock(&reach->lock);
    if (dropped)
        reach_free(reach);
    atomic_fetch_sub(&under_way, 1);
    return NULL;
}

static struct cat_reach *begin(const char *const *keys, const char *const *values, bool pings,
                               PGcancel *cancel)
{
    struct cat_reach *reach = mem_calloc(1, sizeof(*reach));
    pthread_condattr_t clock;

    for (size_t i = 0; keys && keys[i] && i < PAIRS_MAX; i++) {
        reach->keys[i] = mem_strdup(keys[i]);
        reach->values[i] = mem_strdup(values[i]);
    }
    reach->pings = pings;
    reach->cancel = cancel;
    pthread_mutex_init(&reach->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&reach->ended, &clock);
    pthread_condattr_destroy(&clock);
    reach->has_thread = atomic_fetch_add(&under_way, 1) < UNDER_WAY_MAX &&
                        pthread_create(&reach->thread, NULL, reach_main, reach) == 0;
    if (!reach->has_thread) {
        atomic_fetch_sub(&under_way, 1);
        reach->done = true; /* without a connection */
    }
    return reach;
}

struct cat_reach *cat_reach_begin(const char *const *keys, const char *const *values)
{
    return begin(keys, values, false, NULL);
}

struct cat_reach *cat_reach_ping(const char *const *keys, const char *const *values)
{
    return begin(keys, values, true, NULL);
}

struct cat_reach *cat_reach_cancel(PGconn *conn)
{
    PGcancel *cancel = PQgetCancel(conn);

    return cancel ? begin(NULL, NULL, false, cancel) : NULL;
}

enum rc cat_reach_wait(struct cat_reach *reach, int64_t ms, const atomic_bool *stop)
{
    int64_t until_ms = clock_ms() + ms;
    bool done;

    pthread_mutex_lock(&reach->lock);
    while (!reach->done && clock_ms() < until_ms && !(stop && atomic_load(stop))) {
        int64_t left_ms = until_ms - clock_ms();
        struct timespec at;

        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_nsec += (left_ms < STOP_LOOK_MS ? left_ms : STOP_LOOK_MS) * 1000000;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&reach->ended, &reach->lock, &at);
    }
    done = reach->done;
    pthread_mutex_unlock(&reach->lock);
    return done ? RC_OK : RC_AGAIN;
}

PGconn *cat_reach_take(struct cat_reach *reach)
{
    PGconn *conn = reach->conn;

    reach->conn = NULL;
    cat_reach_drop(reach);
    return conn;
}

PGPing cat_reach_answer(struct cat_reach *reach)
{
    PGPing answer = reach->answer;

    cat_reach_drop(reach);
    return answer;
}

void cat_reach_drop(struct cat_reach *reach)
{
    bool done;

    if (!reach)
        return;
    pthread_mutex_lock(&reach->lock);
    done = reach->done;
    if (!done) {
        reach->dropped = true;
        pthread_detach(reach->thread);
        atomic_store(&given_up, true);
    }
    pthread_mutex_unlock(&reach->lock);
    if (!done)
        return;
    if (reach->has_thread)
        pthread_join(reach->thread, NULL);
    reach_free(reach);
}

bool cat_reach_given_up(void)
{
    return atomic_load(&given_up);
}
