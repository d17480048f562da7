#include "admit.h"

#include "behind.h"
#include "rewriting.h"
#include "segue/wire/build.h"
#include "worker.h"

/* In a transaction that has not touched them, a statement that may name tables whose names are
 * about to change. One that has failed gets nothing done. */
static bool is_held_within(const struct sess *s, uint64_t touches)
{
    uint64_t names = s->worker->order->gate_names;

    return (touches & names) && s->track.status != 'E' &&
           !(atomic_load_explicit(&s->touched, memory_order_relaxed) & names);
}

/* Between requests with answers on their way nobody knows yet whether a transaction is open: wait
 * for them. They come without the client doing anything, unless it is in the middle of a copy. */
enum sess_look sess_admit(struct sess *s, uint64_t touches, bool begins)
{
    const struct sess_track *t = &s->track;
    bool within = is_held_within(s, touches);

    if (s->behind && sess_behind_holds(s, touches, begins))
        return SESS_LOOK_STOP;
    if (s->worker->gate_mask && sess_counts(s) && !sess_track_copies(t) &&
        (within || (((touches & s->worker->gate_mask) || (begins && !s->worker->names_only)) &&
                    !t->opened))) {
        if (t->expected) {
            sess_gate_met(s->worker);
            sess_move(s, SESS_PENDING);
            return SESS_LOOK_STOP;
        }
        if (t->status == 'I' || within) {
            sess_gate_met(s->worker);
            sess_gate_hold(s);
            return SESS_LOOK_STOP;
        }
    }
    if (touches)
        sess_touch(s, touches);
    return SESS_LOOK_PASS;
}

/* What is to go out as another text, or behind one, can only where it is known which answer belongs
 * to what: from when nothing is outstanding. Where that never is, because the client has sent
 * something each time, it waits for what it has sent before. Answers to that come without it, as
 * above, if they come at all. */
bool sess_waits_for_rest(struct sess *s, bool rewritten)
{
    const struct sess_track *t = &s->track;

    if (!rewritten || (s->pipeline && !sess_pipeline_blind(s->pipeline)) ||
        s->state != SESS_RELAY || !t->expected || t->opened || t->loose || sess_track_copies(t) ||
        sess_track_lost(t))
        return false;
    sess_move(s, SESS_PENDING);
    return true;
}

/* In a pipeline of so many nobody could tell any more whose the answers are. The server is to say
 * what it has. */
enum sess_look sess_wait_for_room(struct sess *s)
{
    wire_put_flush(&s->worker->instead);
    s->full = true;
    if (s->state == SESS_RELAY)
        sess_move(s, SESS_PENDING);
    return SESS_LOOK_STOP;
}

/* A copy that has begun waits for the client, which has sent something else: the server's to
 * refuse. Of what a failure skips nothing is answered before the client's Sync, which may be what
 * waits; and where answers are counted on that never come, nothing shall wait for them. */
bool sess_pending_is_over(const struct sess *s)
{
    const struct sess_track *t = &s->track;

    if (s->state != SESS_PENDING)
        return false;
    if (s->full)
        return !s->pipeline || sess_pipeline_has_room(s->pipeline);
    return sess_track_between(t) || sess_track_copies(t) ||
           (!s->question && (t->skipping || sess_track_lost(t)));
}
