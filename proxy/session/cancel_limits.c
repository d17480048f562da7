/*
 * How many cancel requests there may be, and how many are on their way to servers at once.
 *
 * Each takes a descriptor for its client, which startup_open_max counts until that is closed, and
 * one for the server, which starts a process for it. So they are half of startup_open_max at most,
 * in which logins find room whoever floods, and of one address nine tenths of that, or
 * startup_open_per_address_max: what is over it is closed without an answer, as a server answers
 * none. To servers a few go at once, the rest in the order in which they came: a crowd that gives
 * up at the same moment is served, and the server has processes left for sessions.
 */
#include "worker.h"

static void limits_of(const struct sess *s, unsigned *all, unsigned *of_one)
{
    const struct sess_options *o = &s->worker->limits->options;

    *all = o->startup_open_max > 1 ? o->startup_open_max / 2 : 1;
    *of_one = *all - *all / 10;
    if (o->startup_open_per_address_max && o->startup_open_per_address_max < *of_one)
        *of_one = o->startup_open_per_address_max;
}

bool sess_cancel_let_in(struct sess *s)
{
    struct sess_plane *plane = s->worker->plane;
    unsigned all, of_one;

    limits_of(s, &all, &of_one);
    if (atomic_fetch_add_explicit(&plane->cancels, 1, memory_order_relaxed) < all &&
        sess_doors_enter(plane->cancel_doors, &s->peer, of_one)) {
        s->canceling = SESS_CANCEL_LET_IN;
        return true;
    }
    atomic_fetch_sub_explicit(&plane->cancels, 1, memory_order_relaxed);
    return false;
}

/* At least a few, whatever the number of workers. */
static unsigned at_once(const struct sess_worker *w)
{
    unsigned share = SESS_CANCELS_AT_ONCE / w->plane->nworkers;

    return share < 4 ? 4 : share;
}

static void wait_for_turn(struct sess *s)
{
    struct sess_worker *w = s->worker;

    s->canceling = SESS_CANCEL_WAITS;
    s->held_next = NULL;
    s->held_prev = w->cancel_last;
    *(w->cancel_last ? &w->cancel_last->held_next : &w->cancel_first) = s;
    w->cancel_last = s;
    COUNT(w->counters.cancels_waiting, 1);
}

static void wait_no_more(struct sess *s)
{
    struct sess_worker *w = s->worker;

    *(s->held_prev ? &s->held_prev->held_next : &w->cancel_first) = s->held_next;
    *(s->held_next ? &s->held_next->held_prev : &w->cancel_last) = s->held_prev;
    s->held_next = s->held_prev = NULL;
    COUNT(w->counters.cancels_waiting, -1);
}

bool sess_cancel_has_turn(struct sess *s)
{
    struct sess_worker *w = s->worker;

    if (s->canceling == SESS_CANCEL_LET_IN && w->cancels_on_way < at_once(w)) {
        w->cancels_on_way++;
        s->canceling = SESS_CANCEL_GOES;
    } else if (s->canceling == SESS_CANCEL_LET_IN) {
        wait_for_turn(s);
    }
    return s->canceling == SESS_CANCEL_GOES;
}

/* By mail: whoever is next may fail at once, and the one behind it. */
static void give_turn(struct sess_worker *w)
{
    const enum sess_cancel_is go = SESS_CANCEL_ELSEWHERE;
    struct sess *next = w->cancel_first;

    if (!next) {
        w->cancels_on_way--;
        return;
    }
    wait_no_more(next);
    next->canceling = SESS_CANCEL_GOES;
    sess_worker_post(w, MAIL_CANCEL_IS, next->id, &go, sizeof(go));
}

void sess_cancel_rests(struct sess *s)
{
    if (s->canceling != SESS_CANCEL_GOES)
        return;
    s->canceling = SESS_CANCEL_LET_IN;
    give_turn(s->worker);
}

void sess_cancel_left(struct sess *s)
{
    struct sess_plane *plane = s->worker->plane;
    enum sess_canceling was = s->canceling;

    if (was == SESS_CANCEL_NONE)
        return;
    s->canceling = SESS_CANCEL_NONE;
    if (was == SESS_CANCEL_WAITS)
        wait_no_more(s);
    else if (was == SESS_CANCEL_GOES)
        give_turn(s->worker);
    sess_doors_leave(plane->cancel_doors, &s->peer);
    atomic_fetch_sub_explicit(&plane->cancels, 1, memory_order_relaxed);
}
