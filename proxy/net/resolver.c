/*
 * The upstream's addresses, resolved off the worker threads. A failed lookup keeps the addresses
 * of the last good one. How long a name server stays silent is bounded by nothing of ours, so
 * nobody waits for the thread but the start, for a while: whoever of the two lets go last frees.
 */
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/net/address.h"
#include "segue/net/unix.h"

#define REFRESH_S 10      /* how late it is noticed that a name leads elsewhere */
#define FIRST_WAIT_S 2    /* an answer that comes so soon is there before the first client */
#define AFTER_FAILURE_S 1 /* at most one lookup a second, however many sessions fail */

struct net_resolver {
    char *host, *port;
    bool threaded;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;
    bool stop, failed;
    bool asked; /* a lookup has ended, well or not */
    unsigned references;
    const char *why;    /* the last lookup failed; getaddrinfo's words */
    const char *logged; /* the failure the log knows of; who looks up alone has it */
    size_t count;
    struct net_address addresses[NET_ADDRESSES_MAX];
};

/* Once: sessions that fail ask every second. */
static void log_failure(struct net_resolver *r, const char *why)
{
    if (why && why != r->logged)
        log_warning("cannot resolve upstream \"%s\": %s", r->host, why);
    else if (!why && r->logged)
        log_info("upstream \"%s\" is resolved again", r->host);
    r->logged = why;
}

static bool is_stopped(struct net_resolver *r)
{
    bool stop;

    pthread_mutex_lock(&r->lock);
    stop = r->stop;
    pthread_mutex_unlock(&r->lock);
    return stop;
}

static bool lookup(struct net_resolver *r, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    size_t n = 0;
    int why = getaddrinfo(r->host, r->port, &hints, &found);

    if (why != 0 && (flags & AI_NUMERICHOST))
        return false; /* it is a name */
    if (why != 0) {
        pthread_mutex_lock(&r->lock);
        r->why = gai_strerror(why);
        pthread_mutex_unlock(&r->lock);
        if (!is_stopped(r))
            log_failure(r, gai_strerror(why));
        return false;
    }
    pthread_mutex_lock(&r->lock);
    for (struct addrinfo *ai = found; ai && n < NET_ADDRESSES_MAX; ai = ai->ai_next, n++) {
        memset(&r->addresses[n], 0, sizeof(r->addresses[n]));
        memcpy(&r->addresses[n].sa, ai->ai_addr, ai->ai_addrlen);
        r->addresses[n].len = ai->ai_addrlen;
    }
    r->count = n;
    pthread_mutex_unlock(&r->lock);
    freeaddrinfo(found);
    if (!is_stopped(r))
        log_failure(r, NULL);
    return true;
}

static void wait_s(struct net_resolver *r, int seconds, bool until_failed)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&r->lock);
    while (!r->stop && !(until_failed && r->failed))
        if (pthread_cond_timedwait(&r->wake, &r->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&r->lock);
}

static bool stopped(struct net_resolver *r)
{
    pthread_mutex_lock(&r->lock);
    r->failed = false;
    pthread_mutex_unlock(&r->lock);
    return is_stopped(r);
}

static void release(struct net_resolver *r)
{
    bool last;

    pthread_mutex_lock(&r->lock);
    last = --r->references == 0;
    pthread_mutex_unlock(&r->lock);
    if (!last)
        return;
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r->host);
    free(r->port);
    free(r);
}

static void *resolver_main(void *arg)
{
    struct net_resolver *r = arg;

    log_thread("resolver");
    lookup(r, 0);
    pthread_mutex_lock(&r->lock);
    r->asked = true;
    pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->lock);
    for (;;) {
        wait_s(r, REFRESH_S, true);
        if (stopped(r)) {
            release(r);
            return NULL;
        }
        lookup(r, 0);
        wait_s(r, AFTER_FAILURE_S, false);
    }
}

static bool start(struct net_resolver *r)
{
    struct timespec until;
    pthread_attr_t detached;
    pthread_t thread;
    bool started;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    r->references++;
    started = pthread_create(&thread, &detached, resolver_main, r) == 0;
    pthread_attr_destroy(&detached);
    if (!started) {
        r->references--;
        return false;
    }
    r->threaded = true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += FIRST_WAIT_S;
    pthread_mutex_lock(&r->lock);
    while (!r->asked)
        if (pthread_cond_timedwait(&r->wake, &r->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&r->lock);
    return true;
}

struct net_resolver *net_resolver_new(const char *host, const char *port, struct err *err)
{
    struct net_resolver *r = mem_calloc(1, sizeof(*r));
    pthread_condattr_t attr;

    r->host = mem_strdup(host);
    r->port = mem_strdup(port);
    r->references = 1;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (host[0] == '/' || host[0] == '@') {
        r->count = 1;
        if (net_unix_address(host, port, &r->addresses[0], err) == RC_OK)
            return r;
        net_resolver_free(r);
        return NULL;
    }
    if (lookup(r, AI_NUMERICHOST))
        return r;
    if (!start(r)) {
        err_set(err, "53000", "cannot start the resolver thread");
        net_resolver_free(r);
        return NULL;
    }
    return r;
}

void net_resolver_free(struct net_resolver *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->lock);
    release(r);
}

size_t net_resolver_get(struct net_resolver *r, struct net_address *out)
{
    size_t n;

    pthread_mutex_lock(&r->lock);
    n = r->count;
    memcpy(out, r->addresses, n * sizeof(*out));
    pthread_mutex_unlock(&r->lock);
    return n;
}

void net_resolver_why(struct net_resolver *r, char *out, size_t size)
{
    pthread_mutex_lock(&r->lock);
    snprintf(out, size, "the host name cannot be resolved: %s",
             r->why                     ? r->why
             : r->threaded && !r->asked ? "no answer yet from the name server"
                                        : "no address");
    pthread_mutex_unlock(&r->lock);
}

void net_resolver_failed(struct net_resolver *r)
{
    if (!r->threaded)
        return;
    pthread_mutex_lock(&r->lock);
    r->failed = true;
    pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->lock);
}
