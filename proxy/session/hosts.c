#include "hosts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"

#define PROBE_TIMEOUT_MS 5000
#define ASK_MS 2000      /* between two questions to a host that answers */
#define ASK_AWAY_MS 500  /* to one that does not */
#define ASK_LEAST_MS 100 /* however many connections fail */
#define WANTED_MS 10000  /* behind the last session that was to go somewhere */

struct host {
    struct sess_hosts *all;
    const struct sess_host *options;
    struct net_resolver *resolver;
    atomic_int role;   /* enum sess_role: the last answer */
    atomic_bool rests; /* the answer is old: nobody needed a newer one */
    atomic_int sessions;
    bool threaded;
    pthread_t thread;
    bool said_unknown;    /* the thread's alone: that it cannot be asked is logged once */
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;
    bool failed;
    char why[SESS_HOST_WHY]; /* the last failure; "": none, or it is over */
    int64_t asked_ms;        /* clock_ms() of the last answer; 0: never */
};

struct sess_hosts {
    const struct sess_upstream_options *options;
    atomic_bool stop;
    _Atomic int64_t wanted_ms; /* a session was to go somewhere; 0: none yet */
    size_t n;
    struct host hosts[SESS_HOSTS_MAX];
};

/* ---- options ---- */

static const char **texts(struct sess_upstream_options *o, size_t i)
{
    const char **const common[] = {&o->database, &o->ca_file,     &o->crl_file,  &o->cert_file,
                                   &o->key_file, &o->tls_ciphers, &o->tls_suites};
    size_t host = i / 4;

    if (host < SESS_HOSTS_MAX) {
        struct sess_host *h = &o->hosts[host];
        const char **const of_host[] = {&h->name, &h->addr, &h->port, &h->probe};

        return of_host[i % 4];
    }
    i -= (size_t)4 * SESS_HOSTS_MAX;
    return i < ARRAY_LEN(common) ? common[i] : NULL;
}

void sess_upstream_options_copy(struct sess_upstream_options *to,
                                const struct sess_upstream_options *from)
{
    const char **text;

    *to = *from;
    for (size_t i = 0; (text = texts(to, i)) != NULL; i++)
        *text = mem_strdup(*text);
}

void sess_upstream_options_fini(struct sess_upstream_options *options)
{
    const char **text;

    for (size_t i = 0; (text = texts(options, i)) != NULL; i++)
        free((char *)*text);
    *options = (struct sess_upstream_options){0};
}

/* ---- roles ---- */

static const char *const role_names[] = {
    [SESS_ROLE_NOT_ASKED] = "not asked", [SESS_ROLE_AWAY] = "away",
    [SESS_ROLE_UNKNOWN] = "unknown",     [SESS_ROLE_READ_WRITE] = "read-write",
    [SESS_ROLE_READ_ONLY] = "read-only", [SESS_ROLE_STANDBY] = "standby",
};

/* Which roles fit a target: as bits, first those that are preferred. */
#define BIT(role) (1u << SESS_ROLE_##role)
static const struct {
    const char *name;
    unsigned first, then;
} targets[] = {
    [SESS_TARGET_ANY] = {"any", ~0u, 0},
    [SESS_TARGET_READ_WRITE] = {"read-write", BIT(READ_WRITE), 0},
    [SESS_TARGET_READ_ONLY] = {"read-only", BIT(READ_ONLY) | BIT(STANDBY), 0},
    [SESS_TARGET_PRIMARY] = {"primary", BIT(READ_WRITE) | BIT(READ_ONLY), 0},
    [SESS_TARGET_STANDBY] = {"standby", BIT(STANDBY), 0},
    [SESS_TARGET_PREFER_STANDBY] = {"prefer-standby", BIT(STANDBY),
                                    BIT(READ_WRITE) | BIT(READ_ONLY)},
};

const char *sess_target_name(enum sess_target target)
{
    return targets[target].name;
}

const char *sess_role_name(enum sess_role role)
{
    return role_names[role];
}

static bool fits(const struct sess_hosts *hosts, enum sess_role role)
{
    enum sess_target target = hosts->options->target;

    return (targets[target].first | targets[target].then) & (1u << role);
}

bool sess_hosts_judged(const struct sess_hosts *hosts)
{
    enum sess_target target = hosts->options->target;

    return target != SESS_TARGET_ANY && target != SESS_TARGET_PREFER_STANDBY;
}

static enum sess_role last_role(const struct host *host)
{
    return (enum sess_role)atomic_load_explicit(&host->role, memory_order_relaxed);
}

/* As far as it can be relied upon now. */
static enum sess_role role_of(const struct host *host)
{
    return atomic_load(&host->rests) ? SESS_ROLE_NOT_ASKED : last_role(host);
}

static void shuffle(uint8_t *list, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)random() % i;
        uint8_t swap = list[i - 1];

        list[i - 1] = list[j];
        list[j] = swap;
    }
}

/* One that was away when it was asked last takes its time again: it is waited for only where all
 * are such. */
static bool all_asked(const struct sess_hosts *hosts)
{
    size_t slow = 0;

    for (size_t i = 0; i < hosts->n; i++) {
        const struct host *h = &hosts->hosts[i];

        if (role_of(h) != SESS_ROLE_NOT_ASKED)
            continue;
        if (last_role(h) != SESS_ROLE_AWAY)
            return false;
        slow++;
    }
    return slow < hosts->n;
}

static void wake(struct host *h)
{
    pthread_mutex_lock(&h->lock);
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
}

/* The other side of rest(): what is stored here is read there, and the other way round. */
static void want(struct sess_hosts *hosts)
{
    atomic_store(&hosts->wanted_ms, clock_ms());
    for (size_t i = 0; i < hosts->n; i++) {
        if (atomic_load(&hosts->hosts[i].rests))
            wake(&hosts->hosts[i]);
    }
}

/* The only host there is: what it says at login (check.c) is soon enough, unless that was not good
 * the last time. */
static bool goes_by_its_word(const struct sess_hosts *hosts)
{
    const struct host *h = &hosts->hosts[0];
    enum sess_role last = last_role(h);

    return hosts->n == 1 && hosts->options->target != SESS_TARGET_ANY && atomic_load(&h->rests) &&
           (last == SESS_ROLE_NOT_ASKED || fits(hosts, last));
}

bool sess_hosts_asking(const struct sess_hosts *hosts)
{
    return hosts->options->target != SESS_TARGET_ANY && !all_asked(hosts);
}

size_t sess_hosts_order(struct sess_hosts *hosts, uint8_t out[SESS_HOSTS_MAX])
{
    enum sess_target target = hosts->options->target;
    const unsigned groups[] = {targets[target].first, targets[target].then,
                               target == SESS_TARGET_ANY ? 0 : BIT(UNKNOWN)};
    unsigned is[SESS_HOSTS_MAX]; /* read once: a role that changes is in one group, not in two */
    size_t n = 0, ngroups = 1;

    if (goes_by_its_word(hosts)) {
        out[0] = 0;
        return 1;
    }
    if (target != SESS_TARGET_ANY)
        want(hosts);
    if (all_asked(hosts)) /* before, the second best may not be the best there is */
        ngroups = ARRAY_LEN(groups);
    for (size_t i = 0; i < hosts->n; i++)
        is[i] = 1u << role_of(&hosts->hosts[i]);
    for (size_t g = 0; g < ngroups; g++) {
        size_t before = n;

        for (size_t i = 0; i < hosts->n; i++) {
            if (groups[g] & is[i])
                out[n++] = (uint8_t)i;
        }
        if (hosts->options->shuffled)
            shuffle(out + before, n - before);
    }
    return n;
}

size_t sess_hosts_addresses(struct sess_hosts *hosts, size_t host, struct net_address *out,
                            char *why)
{
    struct net_resolver *resolver = hosts->hosts[host].resolver;
    size_t n = net_resolver_get(resolver, out);

    if (!n)
        net_resolver_why(resolver, why, SESS_HOST_WHY);
    for (size_t i = n; hosts->options->shuffled && i > 1; i--) {
        size_t j = (size_t)random() % i;
        struct net_address swap = out[i - 1];

        out[i - 1] = out[j];
        out[j] = swap;
    }
    return n;
}

bool sess_hosts_lead_to(struct sess_hosts *hosts, const char *name, const char *port,
                        const char *address)
{
    struct net_address found[NET_ADDRESSES_MAX];
    char text[NET_ADDRESS_HOST];

    for (size_t i = 0; i < hosts->n; i++) {
        const struct sess_host *o = hosts->hosts[i].options;
        size_t n;

        if (o->addr || strcmp(o->name, name) != 0 || strcmp(o->port, port) != 0)
            continue;
        n = net_resolver_get(hosts->hosts[i].resolver, found);
        for (size_t j = 0; j < n; j++) {
            net_address_host(&found[j], text);
            if (found[j].sa.ss_family == AF_UNIX || strcmp(text, address) == 0)
                return true;
        }
        return n == 0;
    }
    return true;
}

void sess_hosts_failed(struct sess_hosts *hosts, size_t host, const char *why)
{
    struct host *h = &hosts->hosts[host];

    net_resolver_failed(h->resolver);
    pthread_mutex_lock(&h->lock);
    snprintf(h->why, sizeof(h->why), "%.255s", why);
    h->failed = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
}

void sess_hosts_count(struct sess_hosts *hosts, size_t host, int by)
{
    atomic_fetch_add_explicit(&hosts->hosts[host].sessions, by, memory_order_relaxed);
}

/* ---- asking ---- */

static void say_changed(const struct host *h, enum sess_role was, enum sess_role role)
{
    log_info("upstream \"%s\", port %s: %s, was %s", h->options->name, h->options->port,
             role_names[role], role_names[was]);
}

static void learned(struct host *h, enum sess_role role, const struct err *err)
{
    const struct sess_host *o = h->options;
    enum sess_role was = last_role(h);

    pthread_mutex_lock(&h->lock);
    snprintf(h->why, sizeof(h->why), "%.255s", err->text);
    h->asked_ms = clock_ms();
    pthread_mutex_unlock(&h->lock);
    atomic_store_explicit(&h->role, (int)role, memory_order_relaxed);
    atomic_store(&h->rests, false);
    if (role == was)
        return;
    if (role == SESS_ROLE_UNKNOWN) {
        if (!h->said_unknown)
            log_warning("upstream \"%s\", port %s cannot be asked what it is: %s HINT: it is tried "
                        "last; can the user of the option upstream log in there?",
                        o->name, o->port, err->text);
        h->said_unknown = true;
        return;
    }
    h->said_unknown = false;
    say_changed(h, was, role);
}

/* All of them: where one has changed, another may be what it was. */
static void ask_now(struct sess_hosts *hosts)
{
    for (size_t i = 0; i < hosts->n; i++) {
        pthread_mutex_lock(&hosts->hosts[i].lock);
        hosts->hosts[i].failed = true;
        pthread_mutex_unlock(&hosts->hosts[i].lock);
    }
    want(hosts);
    for (size_t i = 0; i < hosts->n; i++)
        wake(&hosts->hosts[i]);
}

/* Only by default_transaction_read_only: its user's own setting, perhaps, or its client's. */
static bool misfits_by_setting(const struct sess_hosts *hosts, enum sess_role role)
{
    return role != SESS_ROLE_STANDBY &&
           fits(hosts, role == SESS_ROLE_READ_ONLY ? SESS_ROLE_READ_WRITE : SESS_ROLE_READ_ONLY);
}

bool sess_hosts_told(struct sess_hosts *hosts, size_t host, enum sess_role role)
{
    struct host *h = &hosts->hosts[host];
    enum sess_role was = last_role(h);
    bool by_setting = misfits_by_setting(hosts, role);
    bool settled = !by_setting || was == SESS_ROLE_STANDBY; /* which it is not any more */
    bool good = role == SESS_ROLE_UNKNOWN || fits(hosts, role);

    if (good && was == SESS_ROLE_NOT_ASKED && role != SESS_ROLE_UNKNOWN) /* as good as an answer */
        atomic_store_explicit(&h->role, (int)role, memory_order_relaxed);
    if (good)
        return true;
    if (settled) {
        atomic_store_explicit(&h->role, (int)role, memory_order_relaxed);
        atomic_store(&h->rests, false);
        if (role != was)
            say_changed(h, was, role);
    }
    ask_now(hosts);
    return by_setting && role == SESS_ROLE_READ_ONLY;
}

static bool is_wanted(const struct sess_hosts *all)
{
    int64_t wanted_ms = atomic_load(&all->wanted_ms);

    return wanted_ms && clock_ms() - wanted_ms < WANTED_MS;
}

/* Until a session is to go somewhere, or the end: each question is a connection, which would keep
 * a database awake that suspends itself. What the host was is not relied upon behind it. */
static void rest(struct host *h)
{
    pthread_mutex_lock(&h->lock);
    while (!atomic_load(&h->all->stop) && !is_wanted(h->all)) {
        if (atomic_exchange(&h->rests,
                            true)) /* else somebody may have come before he could see it */
            pthread_cond_wait(&h->wake, &h->lock);
    }
    pthread_mutex_unlock(&h->lock);
}

/* Until it is time to ask again, a connection has failed, or the end. */
static void pause_asking(struct host *h)
{
    int64_t ms = last_role(h) == SESS_ROLE_AWAY ? ASK_AWAY_MS : ASK_MS;
    int64_t until_ms = clock_ms() + ms, least_ms = clock_ms() + ASK_LEAST_MS;
    struct timespec until;

    pthread_mutex_lock(&h->lock);
    h->failed = false;
    while (!atomic_load(&h->all->stop)) {
        int64_t end_ms = h->failed && least_ms < until_ms ? least_ms : until_ms;

        if (clock_ms() >= end_ms)
            break;
        until = (struct timespec){.tv_sec = end_ms / 1000, .tv_nsec = end_ms % 1000 * 1000000};
        pthread_cond_timedwait(&h->wake, &h->lock, &until);
    }
    pthread_mutex_unlock(&h->lock);
}

static void *ask_main(void *arg)
{
    struct host *h = arg;

    log_scope("upstreams");
    while (!atomic_load(&h->all->stop)) {
        struct err err = {0};
        enum sess_role role;

        rest(h);
        if (atomic_load(&h->all->stop))
            break;
        role = h->all->options->probe(h->options->probe, PROBE_TIMEOUT_MS, &h->all->stop, &err);
        if (atomic_load(&h->all->stop))
            break;
        learned(h, role, &err);
        pause_asking(h);
    }
    return NULL;
}

/* ---- life ---- */

static void host_init(struct host *h, struct sess_hosts *all, const struct sess_host *options)
{
    pthread_condattr_t attr;

    h->all = all;
    h->options = options;
    atomic_init(&h->rests, true);
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &attr);
    pthread_condattr_destroy(&attr);
}

static enum rc host_start(struct host *h, struct err *err)
{
    const struct sess_host *o = h->options;

    h->resolver = net_resolver_new(o->addr ? o->addr : o->name, o->port, err);
    if (!h->resolver)
        return RC_ERR;
    if (h->all->options->target == SESS_TARGET_ANY)
        return RC_OK;
    if (pthread_create(&h->thread, NULL, ask_main, h) != 0) {
        err_set(err, "53000", "cannot start a thread that watches the upstream");
        return RC_ERR;
    }
    h->threaded = true;
    return RC_OK;
}

struct sess_hosts *sess_hosts_new(const struct sess_upstream_options *options, struct err *err)
{
    struct sess_hosts *hosts = mem_calloc(1, sizeof(*hosts));

    hosts->options = options;
    hosts->n = options->nhosts;
    for (size_t i = 0; i < hosts->n; i++)
        host_init(&hosts->hosts[i], hosts, &options->hosts[i]);
    for (size_t i = 0; i < hosts->n; i++) {
        if (host_start(&hosts->hosts[i], err) != RC_OK) {
            sess_hosts_free(hosts);
            return NULL;
        }
    }
    return hosts;
}

void sess_hosts_free(struct sess_hosts *hosts)
{
    if (!hosts)
        return;
    atomic_store(&hosts->stop, true);
    for (size_t i = 0; i < hosts->n; i++)
        wake(&hosts->hosts[i]);
    for (size_t i = 0; i < hosts->n; i++) {
        struct host *h = &hosts->hosts[i];

        if (h->threaded)
            pthread_join(h->thread, NULL);
        net_resolver_free(h->resolver);
        pthread_cond_destroy(&h->wake);
        pthread_mutex_destroy(&h->lock);
    }
    free(hosts);
}

/* ---- what is shown ---- */

void sess_hosts_say(struct sess_hosts *hosts, struct buf *out)
{
    for (size_t i = 0; i < hosts->n; i++) {
        struct host *h = &hosts->hosts[i];

        pthread_mutex_lock(&h->lock);
        buf_printf(out, "%s\"%s\", port %s is %s%s%s", i ? "; " : "", h->options->name,
                   h->options->port, role_names[role_of(h)], h->why[0] ? ": " : "", h->why);
        pthread_mutex_unlock(&h->lock);
    }
}

static json_t *addresses_of(struct host *h)
{
    struct net_address found[NET_ADDRESSES_MAX];
    size_t n = net_resolver_get(h->resolver, found);
    char text[NET_ADDRESS_TEXT];
    struct buf list = {0};
    json_t *shown;

    for (size_t i = 0; i < n; i++) {
        net_address_text(&found[i], text);
        buf_printf(&list, "%s%s", i ? ", " : "", text);
    }
    shown = json_string(list.len ? list.data : "");
    buf_fini(&list);
    return shown;
}

json_t *sess_hosts_show(struct sess_hosts *hosts)
{
    const struct sess_upstream_options *o = hosts->options;
    bool asked = o->target != SESS_TARGET_ANY;
    json_t *rows = json_array();

    for (size_t i = 0; i < hosts->n; i++) {
        struct host *h = &hosts->hosts[i];
        unsigned role = 1u << last_role(h);
        bool fits = (targets[o->target].first | targets[o->target].then) & role;
        json_t *ago, *why;

        pthread_mutex_lock(&h->lock);
        ago = h->asked_ms ? json_real((double)(clock_ms() - h->asked_ms) / 1000.0) : json_null();
        why = json_string(h->why);
        pthread_mutex_unlock(&h->lock);
        json_array_append_new(
            rows, json_pack("[s, s, o, s, b, i, o, o]", h->options->name, h->options->port,
                            addresses_of(h), asked ? role_names[last_role(h)] : "", (int)fits,
                            atomic_load_explicit(&h->sessions, memory_order_relaxed), ago,
                            why ? why : json_string("")));
    }
    return json_pack("{s: [s, s, s, s, s, s, s, s], s: o}", "columns", "host", "port", "addresses",
                     "role", "fits", "sessions", "asked_s_ago", "last_error", "rows", rows);
}
