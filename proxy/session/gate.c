/*
 * Rules and gate: one immutable order that workers pick up from their mailbox.
 *
 * A worker adopts an order between two events of its sessions. From its acknowledgement on it
 * forwards nothing against the order, and its counts of touching transactions include all that it
 * forwarded before. So "closed, acknowledged by all, all counts zero" means drained.
 *
 * Before the first rules are published the gate is closed for everything (order->unknown): what
 * goes out must not depend on whether a statement comes a moment before or after the control plane
 * has read the state.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "worker.h"

#define OBEY_MS 1000 /* a worker that has not looked at its mail by then is stuck */
#define DRAIN_POLL_MS 1

/* ---- worker's side ---- */

void sess_order_unref(struct sess_order *order)
{
    if (!order || atomic_fetch_sub_explicit(&order->refs, 1, memory_order_acq_rel) != 1)
        return;
    sql_rules_unref(order->rules);
    free(order);
}

void sess_gate_hold(struct sess *s)
{
    struct sess_worker *w = s->worker;

    sess_move(s, SESS_HELD);
    atomic_store_explicit(&s->held_us, w->now_us, memory_order_relaxed);
    s->held_next = NULL;
    s->held_prev = w->held_last;
    *(w->held_last ? &w->held_last->held_next : &w->held_first) = s;
    w->held_last = s;
    COUNT(w->counters.held_now, 1);
    COUNT(w->counters.held_total, 1);
}

void sess_gate_drop(struct sess *s)
{
    struct sess_worker *w = s->worker;
    int64_t stall = clock_us() - atomic_load_explicit(&s->held_us, memory_order_relaxed);

    *(s->held_prev ? &s->held_prev->held_next : &w->held_first) = s->held_next;
    *(s->held_next ? &s->held_next->held_prev : &w->held_last) = s->held_prev;
    s->held_next = s->held_prev = NULL;
    atomic_store_explicit(&s->held_us, 0, memory_order_relaxed);
    COUNT(w->counters.held_now, -1);
    if (stall > atomic_load_explicit(&w->counters.stall_us_max, memory_order_relaxed))
        atomic_store_explicit(&w->counters.stall_us_max, stall, memory_order_relaxed);
}

/* In the order they were held; whom a closed gate holds again goes to the end of the new line. */
static void release_all(struct sess_worker *w)
{
    uint64_t n = atomic_load_explicit(&w->counters.held_now, memory_order_relaxed);

    while (n-- && w->held_first)
        sess_resume(w->held_first);
    if (w->gate_mask)
        return;
    /* nobody reads the registry's links without its lock but the worker, who alone writes them */
    for (struct sess *s = w->sessions, *next; s; s = next) {
        next = s->next;
        if (s->state == SESS_PENDING)
            sess_resume(s);
    }
}

static uint64_t ask_for_rules(struct sess_plane *plane)
{
    uint64_t changes = atomic_fetch_add_explicit(&plane->changes, 1, memory_order_acq_rel) + 1;

    plane->on_asked(plane->on_asked_ctx);
    return changes;
}

/* At what it has made before nobody looked, and what is not committed nobody else sees: a name of
 * these tables may mean that, until rules come that were read after `changes`. */
static void veil(struct sess *s, uint64_t tables, bool open, uint64_t changes)
{
    s->made = sql_taken_join(s->made, (struct sql_taken){tables, tables});
    s->made_for = open ? UINT64_MAX : changes;
    s->veiled = changes;
}

/* Nothing but a command of replication is under way, a stream perhaps: it has locked no table, and
 * will not, however long it takes. */
static bool is_replicating(const struct sess *s)
{
    const struct sess_track *t = &s->track;

    return s->walsender && t->status == 'I' && t->expected == 1 && !t->opened &&
           t->asked == s->command;
}

/* Something of it may be under way: until a login is over nothing is, but what has been sent right
 * behind it. */
static bool has_asked(const struct sess *s)
{
    const struct sess_track *t = &s->track;

    if (s->state < SESS_WELCOME || s->state > SESS_HELD)
        return false;
    return !s->starting || t->asked > 1 || t->opened || t->loose || s->client.left;
}

/* Bits have another meaning now, and what ran before the rules was not looked at. `added`: tables
 * that are new among them. */
static void forget_verdicts(struct sess_worker *w, uint64_t added)
{
    uint64_t changes = added ? ask_for_rules(w->plane) : 0;

    for (struct sess *s = w->sessions; s; s = s->next) {
        bool replicates = is_replicating(s);
        bool open = has_asked(s) && !sess_track_safe(&s->track) && !replicates;
        int shown = atomic_load_explicit(&s->shown, memory_order_relaxed);

        if (s->foreign || s->behind) /* whose rules stay what they were */
            continue;
        if (w->order->rules && (shown == SHOWN_ACTIVE || shown == SHOWN_COPY) && !replicates)
            atomic_store_explicit(&s->unjudged, true, memory_order_relaxed);
        sess_forget_bits(s);
        if (added)
            veil(s, added, open, changes);
        if (w->order->rules && open)
            sess_touch_forget(s);
        else
            sess_untouch(s);
    }
}

uint64_t sess_ask_for_rules(struct sess *s)
{
    return ask_for_rules(s->worker->plane);
}

/* Nobody knows yet what tables are called, or keys are over: statements that may name them go on
 * waiting, all others pass. True: so it is, for a while. */
static bool keep_names(struct sess_worker *w)
{
    int64_t until = atomic_load_explicit(&w->plane->doubt_until_us, memory_order_acquire);

    if (!w->order->gate_names || until <= w->now_us)
        return false;
    net_timer_set(w->loop, &w->gate_timer, until);
    if (w->names_only)
        return true;
    w->names_only = true;
    w->gate_mask = w->order->gate_names;
    atomic_store_explicit(&w->expired, true, memory_order_release);
    log_warning("the gate stayed closed past its deadline: opened, but for statements on tables of "
                "which it is not known whether their names, or their keys', have turned");
    release_all(w);
    return true;
}

void sess_gate_expire(struct sess_worker *w)
{
    if (!w->gate_mask || keep_names(w))
        return;
    w->gate_mask = 0;
    w->names_only = false;
    w->looking = w->order->rules != NULL;
    atomic_store_explicit(&w->expired, true, memory_order_release);
    if (w->order->unknown)
        log_warning("the state of migrations was not read from the database in time: until it is, "
                    "statements pass as they are");
    else
        log_warning("the gate stayed closed past its deadline: opened");
    release_all(w);
}

/* Whoever has to wait for the rules waits for a bounded time, whenever it comes: the database may
 * have been away until now, for clients and the control plane alike. */
void sess_gate_met(struct sess_worker *w)
{
    if (!w->order->unknown || w->rules_missed)
        return;
    w->rules_missed = true;
    net_timer_set(w->loop, &w->gate_timer,
                  w->now_us + (int64_t)w->plane->options.rules_wait_ms * 1000);
    w->plane->on_asked(w->plane->on_asked_ctx);
}

void sess_order_adopt(struct sess_worker *w)
{
    struct sess_plane *plane = w->plane;
    struct sess_order *before = w->order, *order;
    struct sess_limits *limits_before = w->limits;
    bool new_gate;

    pthread_mutex_lock(&plane->lock);
    order = plane->order;
    atomic_fetch_add_explicit(&order->refs, 1, memory_order_relaxed);
    w->limits = sess_limits_ref(plane->limits);
    pthread_mutex_unlock(&plane->lock);
    sess_limits_unref(limits_before);

    w->now_us = clock_us();
    w->order = order;
    if (before && order->turn != before->turn)
        sess_behind_adopt(w, before);
    if (!before ||
        (order->rules != before->rules && !sql_rules_same_tables(order->rules, before->rules)))
        forget_verdicts(w, before && !before->unknown ? sql_rules_added(before->rules, order->rules)
                                                      : 0);
    new_gate = order->gate_mask && (!before || order->gate_number != before->gate_number);
    if (new_gate) {
        atomic_store_explicit(&w->expired, false, memory_order_relaxed);
        atomic_store_explicit(&w->counters.held_total, 0, memory_order_relaxed);
        atomic_store_explicit(&w->counters.stall_us_max, 0, memory_order_relaxed);
        w->gate_mask = order->gate_mask;
        w->names_only = false;
        if (!order->unknown)
            net_timer_set(w->loop, &w->gate_timer, order->gate_until_us);
    } else if (!order->gate_mask) {
        w->gate_mask = 0;
        w->names_only = false;
        net_timer_clear(w->loop, &w->gate_timer);
    }
    w->looking = order->rules || w->gate_mask;
    if (!w->gate_mask)
        release_all(w);
    sess_order_unref(before);

    pthread_mutex_lock(&plane->lock);
    atomic_store_explicit(&w->seen, order->number, memory_order_release);
    atomic_store_explicit(&w->limited, w->limits->number, memory_order_release);
    pthread_cond_broadcast(&plane->seen);
    pthread_mutex_unlock(&plane->lock);
}

/* ---- control plane's side ---- */

static bool all_seen(const struct sess_plane *plane, uint64_t number)
{
    for (unsigned i = 0; i < plane->nworkers; i++)
        if (atomic_load_explicit(&plane->workers[i]->seen, memory_order_acquire) < number)
            return false;
    return true;
}

static bool all_limited(const struct sess_plane *plane, uint64_t number)
{
    for (unsigned i = 0; i < plane->nworkers; i++)
        if (atomic_load_explicit(&plane->workers[i]->limited, memory_order_acquire) < number)
            return false;
    return true;
}

/* plane->lock is held: it is let go of meanwhile. */
static bool await(struct sess_plane *plane, bool (*all)(const struct sess_plane *, uint64_t),
                  uint64_t number)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += OBEY_MS / 1000;
    while (plane->started && !all(plane, number))
        if (pthread_cond_timedwait(&plane->seen, &plane->lock, &until) == ETIMEDOUT)
            break;
    return !plane->started || all(plane, number);
}

bool sess_limits_await(struct sess_plane *plane)
{
    return await(plane, all_limited, plane->limits->number);
}

/* plane->lock is held; takes `order`. Tells the workers and waits until all obey. */
static bool issue(struct sess_plane *plane, struct sess_order *order)
{
    struct sess_order *before = plane->order;
    bool obeyed;

    order->number = before->number + 1;
    atomic_init(&order->refs, 1);
    plane->order = order;
    for (unsigned i = 0; i < plane->nworkers && plane->started; i++)
        sess_worker_post(plane->workers[i], MAIL_ORDER, 0, NULL, 0);
    obeyed = await(plane, all_seen, order->number);
    sess_order_unref(before);
    return obeyed;
}

static struct sess_order *copy_order(const struct sess_order *from)
{
    struct sess_order *order = mem_calloc(1, sizeof(*order));

    order->rules = sql_rules_ref(from->rules);
    order->changes = from->changes;
    order->settled = from->settled;
    order->turn = from->turn;
    order->position = from->position;
    order->ends = from->ends;
    order->gate_mask = from->gate_mask;
    order->gate_names = from->gate_names;
    order->gate_until_us = from->gate_until_us;
    order->gate_number = from->gate_number;
    order->unknown = from->unknown;
    return order;
}

void sess_rules_await(struct sess_plane *plane)
{
    struct sess_order *order;

    if (!plane->options.rules_wait_ms)
        return;
    pthread_mutex_lock(&plane->lock);
    order = copy_order(plane->order);
    order->gate_mask = SQL_TOUCH_ALL;
    order->gate_number++;
    order->unknown = true;
    if (!issue(plane, order))
        log_warning("a worker does not wait for the rules");
    pthread_mutex_unlock(&plane->lock);
}

/* plane->lock is held. Somebody has said the rules, or will not. */
static void lift(struct sess_order *order)
{
    if (order->unknown)
        order->gate_mask = 0;
    order->unknown = false;
}

void sess_plane_unknown(struct sess_plane *plane)
{
    struct sess_order *order;

    pthread_mutex_lock(&plane->lock);
    plane->informed = true;
    if (plane->order->unknown) {
        order = copy_order(plane->order);
        lift(order);
        if (!issue(plane, order))
            log_warning("a worker did not open the gate within a second");
        log_warning("the state of migrations cannot be read from the database: until it can, "
                    "statements pass as they are");
    }
    pthread_mutex_unlock(&plane->lock);
}

static void note_ends(struct sess_order *order, const struct sql_rules *rules)
{
    struct sql_rules_ends ended = sql_rules_ended(order->rules, rules);

    if (ended.old_stays)
        order->ends.old_stayed = sql_rules_epoch(order->rules);
    if (ended.new_stays)
        order->ends.new_stayed = sql_rules_epoch(order->rules);
}

/* Takes the reference. Rules that are as true on a server which is still at the ones before need no
 * position of their own. */
static void set_rules_take(struct sess_order *order, struct sql_rules *rules, uint64_t position)
{
    bool another = !order->turn || sql_rules_epoch(rules) != sql_rules_epoch(order->rules);
    bool as_true = sql_rules_fit(rules, order->rules) && sql_rules_go_on(order->rules, rules);

    note_ends(order, rules);
    if (another)
        order->turn++;
    if (another && !as_true && position > order->position)
        order->position = position;
    sql_rules_unref(order->rules);
    order->rules = rules;
}

bool sess_plane_publish(struct sess_plane *plane, struct sql_rules *rules, uint64_t changes,
                        uint64_t settled, uint64_t position)
{
    struct sess_order *order;
    bool obeyed;

    pthread_mutex_lock(&plane->lock);
    order = copy_order(plane->order);
    if (position)
        sess_turns_lower(plane, order, position);
    set_rules_take(order, rules, position);
    sess_turns_put(plane, order);
    order->changes = changes;
    order->settled = settled;
    lift(order);
    obeyed = issue(plane, order);
    plane->informed = true;
    pthread_mutex_unlock(&plane->lock);
    return obeyed;
}

bool sess_plane_informed(struct sess_plane *plane)
{
    bool informed;

    pthread_mutex_lock(&plane->lock);
    informed = plane->informed;
    pthread_mutex_unlock(&plane->lock);
    return informed;
}

bool sess_gate_close(struct sess_plane *plane, uint64_t mask, unsigned hold_ms_max)
{
    struct sess_order *order;
    bool obeyed;

    pthread_mutex_lock(&plane->lock);
    assert(mask && !plane->order->gate_mask);
    order = copy_order(plane->order);
    order->gate_mask = mask;
    order->gate_names = 0;
    order->gate_number++;
    atomic_store_explicit(&plane->doubt_until_us, 0, memory_order_release);
    plane->closed_us = clock_us();
    order->gate_until_us = plane->closed_us + (int64_t)hold_ms_max * 1000;
    obeyed = issue(plane, order);
    pthread_mutex_unlock(&plane->lock);
    if (!obeyed)
        sess_gate_open(plane, NULL);
    return obeyed;
}

bool sess_gate_close_names(struct sess_plane *plane, uint64_t names)
{
    struct sess_order *order;
    bool obeyed;

    pthread_mutex_lock(&plane->lock);
    assert(!(names & ~plane->order->gate_mask));
    order = copy_order(plane->order);
    order->gate_names = names;
    obeyed = issue(plane, order);
    pthread_mutex_unlock(&plane->lock);
    return obeyed;
}

void sess_gate_doubt(struct sess_plane *plane, unsigned ms)
{
    atomic_store_explicit(&plane->doubt_until_us, clock_us() + (int64_t)ms * 1000,
                          memory_order_release);
}

static bool any_expired(const struct sess_plane *plane)
{
    for (unsigned i = 0; i < plane->nworkers; i++)
        if (atomic_load_explicit(&plane->workers[i]->expired, memory_order_acquire))
            return true;
    return false;
}

bool sess_gate_holds(struct sess_plane *plane)
{
    bool closed;

    pthread_mutex_lock(&plane->lock);
    closed = plane->order->gate_mask && clock_us() < plane->order->gate_until_us;
    pthread_mutex_unlock(&plane->lock);
    return closed && !any_expired(plane);
}

static bool drained(const struct sess_plane *plane, uint64_t mask)
{
    for (unsigned i = 0; i < plane->nworkers; i++) {
        const struct sess_worker *w = plane->workers[i];

        if (atomic_load_explicit(&w->touching_all, memory_order_acquire))
            return false;
        for (uint64_t bits = mask; bits; bits &= bits - 1)
            if (atomic_load_explicit(&w->touching[__builtin_ctzll(bits)], memory_order_acquire))
                return false;
    }
    return true;
}

enum rc sess_gate_drain(struct sess_plane *plane, uint64_t mask, unsigned deadline_ms,
                        const atomic_bool *give_up)
{
    int64_t until = clock_ms() + deadline_ms;

    while (sess_gate_holds(plane)) {
        if (drained(plane, mask))
            return RC_OK;
        if (clock_ms() >= until || (give_up && atomic_load(give_up)))
            break;
        clock_sleep_ms(DRAIN_POLL_MS);
    }
    return RC_AGAIN;
}

void sess_gate_open(struct sess_plane *plane, struct sess_gate_report *report)
{
    struct sess_gate_report out = {0};
    struct sess_order *order;

    pthread_mutex_lock(&plane->lock);
    if (plane->order->gate_mask) {
        order = copy_order(plane->order);
        order->gate_mask = 0;
        if (!issue(plane, order))
            log_warning("a worker did not open the gate within a second");
        out.closed_us = clock_us() - plane->closed_us;
        plane->closed_us = 0;
        out.expired = any_expired(plane);
        for (unsigned i = 0; i < plane->nworkers; i++) {
            struct sess_worker_counters *c = &plane->workers[i]->counters;
            int64_t stall = atomic_load_explicit(&c->stall_us_max, memory_order_relaxed);

            out.held += atomic_load_explicit(&c->held_total, memory_order_relaxed);
            if (stall > out.stall_us_max)
                out.stall_us_max = stall;
        }
    }
    pthread_mutex_unlock(&plane->lock);
    if (report)
        *report = out;
}

size_t sess_gate_waiting_for(struct sess_plane *plane, uint64_t mask, int32_t *pids, size_t max)
{
    size_t n = 0;

    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker *w = plane->workers[i];

        pthread_mutex_lock(&w->registry_lock);
        for (struct sess *s = w->sessions; s && n < max; s = s->next)
            if (!READ(s->on_standby) && (READ(s->touched) & mask))
                pids[n++] = atomic_load_explicit(&s->backend_pid, memory_order_relaxed);
        pthread_mutex_unlock(&w->registry_lock);
    }
    return n;
}

static bool is_answering(const struct sess *s, uint64_t mask)
{
    uint64_t tables = atomic_load_explicit(&s->spoken_of, memory_order_relaxed);
    int shown = atomic_load_explicit(&s->shown, memory_order_relaxed);

    return (tables & mask) && (shown == SHOWN_ACTIVE || shown == SHOWN_COPY);
}

static bool is_unjudged(const struct sess *s, uint64_t mask)
{
    (void)mask;
    return atomic_load_explicit(&s->unjudged, memory_order_relaxed);
}

static bool is_client(const struct sess *s, uint64_t mask)
{
    (void)mask;
    return atomic_load_explicit(&s->shown, memory_order_relaxed) != SHOWN_CONSOLE;
}

static bool any_session(struct sess_plane *plane, bool (*is)(const struct sess *, uint64_t),
                        uint64_t mask)
{
    bool found = false;

    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker *w = plane->workers[i];

        pthread_mutex_lock(&w->registry_lock);
        for (struct sess *s = w->sessions; s && !found; s = s->next)
            found = is(s, mask);
        pthread_mutex_unlock(&w->registry_lock);
    }
    return found;
}

bool sess_gate_answering(struct sess_plane *plane, uint64_t mask)
{
    return any_session(plane, is_answering, mask);
}

bool sess_gate_unjudged(struct sess_plane *plane)
{
    return any_session(plane, is_unjudged, 0);
}

bool sess_plane_has_clients(struct sess_plane *plane)
{
    return any_session(plane, is_client, 0);
}
