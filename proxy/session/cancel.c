/*
 * A statement that the gate holds, or that waits for a standby, whose client asks for its end: it
 * has not gone to the server, so segue answers as the server would, were it waiting there for a
 * lock.
 *
 * A Query or FunctionCall gets the error and ReadyForQuery. Of an extended message the server would
 * skip what follows up to the Sync: so does segue, and the server answers that. Not so in a
 * transaction block, which would have to fail with it: there the statement goes on waiting. Nor of
 * a message that is longer than what is read of it. There the request goes to the server behind
 * the statement, the last byte of which must have gone: while the server reads a message, a request
 * means nothing to it. At once, where that is so when the session's worker hears of the request.
 * Nor does it while the server, which is busy elsewhere, has yet to read what has come: as long as
 * the same is under way, it is told again (upstream.c).
 */
#include "asking.h"
#include "segue/wire/build.h"
#include "segue/wire/frame.h"
#include "worker.h"

/* Whatever it has sent before is answered, and leaves nothing open. */
static bool can_be_cancelled(const struct sess *s)
{
    return (s->state == SESS_HELD || s->state == SESS_BEHIND) && sess_track_safe(&s->track) &&
           !s->track.loose && !s->server.left;
}

static void answer(struct sess *s, bool ready)
{
    struct buf out = {0};
    struct err err = {0};

    err_set(&err, SESS_CANCELLED, SESS_CANCELLED_TEXT);
    sess_log(s, LOG_DEBUG, &err, "held");
    wire_put_error(&out, "ERROR", &err);
    if (ready)
        wire_put_ready(&out, s->track.status);
    sess_send(s, &s->client, out.data, out.len);
    buf_fini(&out);
}

void sess_cancel_tell(struct sess_canceller by, enum sess_cancel_is how)
{
    struct sess_plane *plane = by.worker->plane;

    if (by.foreign)
        plane->on_cancel->answer(plane->on_cancel_ctx, by.asker, how);
    else
        sess_worker_post(by.worker, MAIL_CANCEL_IS, by.asker.id & ~SESS_CANCEL_AGAIN, &how,
                         sizeof(how));
}

static void tell_canceller(struct sess *s, bool done)
{
    struct sess_canceller by = s->canceller;

    s->canceller.worker = NULL;
    s->cancel_behind = 0;
    if (!by.worker)
        return;
    if (!done) {
        s->told = by;
        s->told_idle_us = READ(s->idle_us);
    }
    sess_cancel_tell(by, done ? SESS_CANCEL_DONE : SESS_CANCEL_ELSEWHERE);
}

/* The server was told for it, and since then neither had the client anything to say nor was what it
 * had said before answered to its end. */
static bool goes_on(const struct sess *s, const struct sess_canceller *by)
{
    return s->told.worker == by->worker && s->told.foreign == by->foreign &&
           s->told.asker.id == (by->asker.id & ~SESS_CANCEL_AGAIN) &&
           s->told.asker.hops == by->asker.hops && s->told_idle_us == READ(s->idle_us);
}

void sess_cancel_passed(struct sess *s)
{
    s->cancel_behind = SIZE_MAX;
    sess_cancel_sent(s, 0);
}

void sess_cancel_sent(struct sess *s, size_t sent)
{
    size_t behind = s->cancel_behind;

    if (!behind || (behind == SIZE_MAX && s->client.left))
        return;
    if (behind == SIZE_MAX)
        s->cancel_behind = s->server.out.len;
    else
        s->cancel_behind -= sent < behind ? sent : behind;
    if (!s->cancel_behind)
        tell_canceller(s, false);
}

void sess_cancel_forget(struct sess *s)
{
    tell_canceller(s, true);
}

void sess_cancel_asked(struct sess *s, struct sess_canceller by)
{
    if (by.asker.id & SESS_CANCEL_AGAIN) {
        sess_cancel_tell(by, goes_on(s, &by) ? SESS_CANCEL_ELSEWHERE : SESS_CANCEL_DONE);
        return;
    }
    tell_canceller(s, true); /* one is enough */
    s->canceller = by;
    if (s->question)
        s->cancelled = true; /* once that is answered */
    else if (s->state == SESS_HELD || s->state == SESS_BEHIND)
        sess_cancel_held(s);
    else
        sess_cancel_passed(s);
}

void sess_cancel_held(struct sess *s)
{
    struct buf *in = &s->client.in;
    struct wire_frame frame;
    bool alone;

    if (!can_be_cancelled(s) || wire_frame_read(in->data, in->len, &frame) != RC_OK)
        return;
    alone = frame.type == 'Q' || frame.type == 'F';
    if (alone && frame.total > in->len)
        return;
    tell_canceller(s, true);
    if (s->state == SESS_BEHIND) /* as sess_gate_drop, later, of the other */
        atomic_store_explicit(&s->held_us, 0, memory_order_relaxed);
    answer(s, alone);
    if (s->state == SESS_GONE)
        return;
    s->request_us = 0;
    if (alone)
        buf_consume(in, frame.total);
    else
        sess_move(s, SESS_SKIPPING);
    sess_resume(s);
    if (s->state != SESS_GONE && s->worker->draining)
        sess_drain(s);
}

/* ---- from process to process ---- */

void sess_plane_on_cancel(struct sess_plane *plane, const struct sess_cancel_ops *ops, void *ctx)
{
    plane->on_cancel = ops;
    plane->on_cancel_ctx = ctx;
}

void sess_plane_cancel_is(struct sess_plane *plane, uint64_t asker, enum sess_cancel_is how)
{
    uint64_t session = asker & ~SESS_CANCEL_AGAIN;
    unsigned number = session % WORKERS_MAX;

    if (number < plane->nworkers)
        sess_worker_post(plane->workers[number], MAIL_CANCEL_IS, session, &how, sizeof(how));
}

bool sess_plane_cancel(struct sess_plane *plane, const struct wire_key *key,
                       struct sess_cancel_asker asker)
{
    struct sess_canceller by = {.asker = asker, .foreign = true};
    struct sess_keyed to;

    if (!sess_plane_keyed(plane, key, &to))
        return false;
    by.worker = to.worker;
    to.held |= (asker.id & SESS_CANCEL_AGAIN) != 0; /* it was: its worker knows */
    sess_cancel_tell(by, to.held ? SESS_CANCEL_HELD : SESS_CANCEL_ELSEWHERE);
    if (to.held)
        sess_worker_post(to.worker, MAIL_CANCEL, to.id, &by, sizeof(by));
    return true;
}

/* ---- what follows of an extended message that was cancelled ---- */

/* As the server: up to a Sync, or an end. Both pass. */
size_t sess_skip_client(struct sess *s, const char *data, size_t len)
{
    struct sess_leg *from = &s->client;
    struct wire_frame frame;
    size_t pos = 0, part;

    while (pos < len) {
        if (!from->left) {
            enum rc rc = wire_frame_read(data + pos, len - pos, &frame);

            if (rc == RC_AGAIN)
                break;
            if (rc == RC_ERR || frame.type == 'S' || frame.type == 'X') {
                sess_move(s, SESS_RELAY);
                break;
            }
            from->left = frame.total;
        }
        part = from->left < len - pos ? from->left : len - pos;
        from->left -= part;
        pos += part;
    }
    return pos;
}
