/*
 * Bytes in and out of the two legs.
 *
 * Received bytes land in the worker's scratch buffer behind the few that could not be passed on
 * before; what is passed on goes straight from there to the other side's socket. Only what a
 * socket did not take is copied. Nothing is allocated while both sides keep up.
 *
 * While a login goes on, what passes may be a secret: it is wiped wherever it was.
 */
#include <string.h>

#include "login.h"
#include "segue/base/clock.h"

/* More than this is kept where it is and added to in place, not copied in front of a read. */
#define KEPT_COPY_MAX 4096
#define SPARE_BYTES_MAX (4 * SCRATCH_BYTES)
#define READS_A_TURN 8
/* Of a client that has not logged in: one whole message that proves who it is. */
#define STRANGER_BYTES_MAX (SESS_SECRET_BYTES_MAX + WIRE_HEADER_BYTES)

static void on_client(struct net_watch *watch, uint32_t what);
static void on_server(struct net_watch *watch, uint32_t what);

static bool is_secret(const struct sess *s)
{
    return s->login != NULL;
}

static void drop_wiped(struct buf *buf)
{
    if (buf->len)
        auth_wipe(buf->data, buf->len);
    buf_fini(buf);
}

static void consume_wiped(struct buf *buf, size_t len)
{
    if (len)
        auth_wipe(buf->data, len);
    buf_consume(buf, len);
}

/* As buf_reserve, which leaves the bytes where they were. */
static void reserve_wiped(struct buf *buf, size_t more)
{
    struct buf wider = {0};

    if (buf->off + buf->len + more < buf->cap)
        return;
    buf_reserve(&wider, buf->len + more);
    buf_append(&wider, buf->data, buf->len);
    drop_wiped(buf);
    *buf = wider;
}

enum rc sess_leg_init(struct sess *s, struct sess_leg *leg, int fd)
{
    net_stream_plain(&leg->stream, fd);
    leg->ended = false;
    leg->broken = false;
    leg->ending = false;
    leg->left = 0;
    leg->drops = false;
    return net_watch_add(&leg->watch, s->worker->loop, fd,
                         leg == &s->client ? on_client : on_server);
}

void sess_leg_kick(struct sess_leg *leg)
{
    if (leg->reading && net_pending(&leg->stream))
        net_watch_again(&leg->watch);
}

static void set_reading(struct sess_leg *leg, bool on)
{
    if (leg->reading == on)
        return;
    leg->reading = on;
    sess_leg_kick(leg);
}

static void set_writing(struct sess_leg *leg, bool on)
{
    if (leg->writing == on)
        return;
    leg->writing = on;
    net_watch_write(&leg->watch, on);
}

void sess_leg_fini(struct sess_leg *leg)
{
    if (net_is_open(&leg->stream)) {
        leg->reading = leg->writing = false;
        net_watch_del(&leg->watch);
        net_close(&leg->stream);
    }
    drop_wiped(&leg->in);
    drop_wiped(&leg->out);
}

static void wait_ready(struct sess *s, struct sess_leg *leg)
{
    bool write = s->state == SESS_CONNECTING || s->login->wants_write;

    set_reading(leg, !write);
    set_writing(leg, write);
}

/* Nearly always: both sides keep up, and nothing is held back. */
static bool flows(const struct sess *s)
{
    return s->state == SESS_RELAY && s->client.reading && s->server.reading &&
           !(s->client.in.cap | s->client.out.cap | s->server.in.cap | s->server.out.cap |
             s->cancel_behind);
}

void sess_flow(struct sess *s)
{
    const struct sess_options *o = sess_limits(s);
    const struct sess_state_row *row = &sess_state_rows[s->state];
    struct sess_leg *client = &s->client, *server = &s->server;
    bool reads = s->state != SESS_CONSOLE || client->out.len <= o->buffer_bytes_max;
    size_t most =
        row->logging_in ? STRANGER_BYTES_MAX : (size_t)o->buffer_bytes_max + o->inspect_bytes_max;

    if (s->state == SESS_GONE)
        return;
    sess_report_bytes(s);
    if (flows(s))
        return;
    sess_cancel_sent(s, 0);
    if (row->client_ready)
        wait_ready(s, client);
    else /* while bytes flow, what is kept is part of a message: `most` may have been lowered */
        set_reading(client, !client->ended && reads && server->out.len <= o->buffer_bytes_max &&
                                (client->in.len <= most || s->state == SESS_RELAY));
    if (!net_is_open(&server->stream))
        return;
    if (row->server_ready)
        wait_ready(s, server);
    else
        set_reading(server, !server->ended && client->out.len <= o->buffer_bytes_max);
}

/* The leg's socket does not take bytes any more. A server's last words may still be on their way;
 * a client that cannot be told anything is gone. */
static void broken(struct sess *s, struct sess_leg *leg)
{
    if (leg == &s->client) {
        sess_close(s);
        return;
    }
    leg->broken = true;
    set_writing(leg, false);
    drop_wiped(&leg->out);
}

/* Sends what it can; *len is what is left. RC_ERR: broken. */
static enum rc push(struct sess *s, struct sess_leg *leg, const char **data, size_t *len)
{
    struct sess_worker_counters *c = &s->worker->counters;
    _Atomic uint64_t *sent = leg == &s->client ? &c->to_client : &c->to_server;

    while (*len) {
        size_t put = 0;
        enum rc rc = net_send(&leg->stream, *data, *len, &put);

        if (rc != RC_OK)
            return rc;
        COUNT(*sent, put);
        *data += put;
        *len -= put;
    }
    return RC_OK;
}

void sess_send(struct sess *s, struct sess_leg *to, const void *bytes, size_t len)
{
    const char *data = bytes;

    if (to->broken || !net_is_open(&to->stream) || !len)
        return;
    if (!to->out.len) {
        enum rc rc = push(s, to, &data, &len);

        if (rc == RC_OK)
            return;
        if (rc == RC_ERR) {
            broken(s, to);
            return;
        }
    }
    if (is_secret(s))
        reserve_wiped(&to->out, len);
    buf_append(&to->out, data, len);
    set_writing(to, true);
}

static void flush(struct sess *s, struct sess_leg *leg)
{
    const char *data = leg->out.data;
    size_t len = leg->out.len;
    enum rc rc = push(s, leg, &data, &len);
    size_t sent = leg->out.len - len;

    if (rc == RC_ERR) {
        broken(s, leg);
        return;
    }
    if (is_secret(s))
        consume_wiped(&leg->out, sent);
    else
        buf_consume(&leg->out, sent);
    if (leg == &s->server)
        sess_cancel_sent(s, sent);
    if (leg->out.len)
        return;
    buf_fini(&leg->out);
    set_writing(leg, false);
    if (leg == &s->server)
        sess_end_pass(s);
    if (leg == &s->client && s->state == SESS_CLOSING)
        sess_finish(s);
    if (leg == &s->client && s->state == SESS_CONSOLE)
        sess_resume(s); /* what it has asked since */
}

static size_t run(struct sess *s, bool client, const char *data, size_t len)
{
    enum sess_state state;
    size_t pos = 0;

    do {
        const struct sess_state_row *row = &sess_state_rows[s->state];
        size_t (*take)(struct sess *, const char *, size_t) = client ? row->client : row->server;

        state = s->state;
        if (!take)
            break;
        pos += take(s, data + pos, len - pos);
    } while (s->state != state && s->state != SESS_GONE && pos < len);
    return pos;
}

void sess_resume(struct sess *s)
{
    struct buf *in = &s->client.in;
    bool secret = is_secret(s);

    if (s->state >= SESS_PENDING && s->state <= SESS_HELD)
        sess_move(s, SESS_RELAY);
    if (in->len) {
        size_t used = run(s, true, in->data, in->len);

        if (s->state == SESS_GONE)
            return;
        if (s->canceller.worker && (used || s->state == SESS_RELAY))
            sess_cancel_passed(s);
        if (secret)
            consume_wiped(in, used);
        else
            buf_consume(in, used);
        if (!in->len)
            buf_fini(in);
    }
    sess_end_pass(s);
    sess_show(s);
    sess_flow(s);
}

static void ended(struct sess *s, struct sess_leg *leg)
{
    const struct sess_state_row *row = &sess_state_rows[s->state];

    leg->ended = true;
    set_reading(leg, false);
    if (leg == &s->client)
        row->client_ended(s);
    else
        row->server_ended(s);
}

/* A buffer for what is kept of a long message, and back: one that the worker has left over, whose
 * memory need not be asked of the system for each such message. */
static void kept_take(struct sess *s, struct sess_leg *leg, size_t len)
{
    if (leg->in.data || len <= KEPT_COPY_MAX)
        return;
    leg->in = s->worker->spare;
    s->worker->spare = (struct buf){0};
}

static void kept_give(struct sess *s, struct sess_leg *leg)
{
    struct buf *spare = &s->worker->spare;

    if (leg->in.cap > spare->cap && leg->in.cap <= SPARE_BYTES_MAX) {
        buf_fini(spare);
        buf_reset(&leg->in);
        *spare = leg->in;
        leg->in = (struct buf){0};
    }
    buf_fini(&leg->in);
}

/* Works on `len` bytes at data, which are the scratch buffer's; keeps what is not passed on. */
static void pass(struct sess *s, struct sess_leg *leg, const char *data, size_t len)
{
    size_t used = run(s, leg == &s->client, data, len);

    if (s->state == SESS_GONE || !net_is_open(&leg->stream))
        return;
    if (used == len) {
        if (leg->in.data)
            buf_fini(&leg->in);
        return;
    }
    kept_take(s, leg, len - used);
    buf_reset(&leg->in);
    buf_append(&leg->in, data + used, len - used);
}

static void pass_in_place(struct sess *s, struct sess_leg *leg, size_t got)
{
    bool secret = is_secret(s);
    size_t used;

    buf_grow(&leg->in, got);
    used = run(s, leg == &s->client, leg->in.data, leg->in.len);
    if (s->state == SESS_GONE || !leg->in.data) /* closed, perhaps connected again */
        return;
    if (secret)
        consume_wiped(&leg->in, used);
    else
        buf_consume(&leg->in, used);
    if (!leg->in.len)
        kept_give(s, leg);
}

/* False: there was nothing to read, or nothing more will come. */
static bool read_leg(struct sess *s, struct sess_leg *leg)
{
    struct sess_worker *w = s->worker;
    enum sess_state before = s->state;
    size_t kept = leg->in.len;
    bool in_place = kept > KEPT_COPY_MAX, secret = is_secret(s);
    char *to;
    size_t got = 0;
    enum rc rc;

    if (in_place && secret)
        reserve_wiped(&leg->in, SCRATCH_BYTES);
    to = in_place ? buf_space(&leg->in, SCRATCH_BYTES) : w->scratch + kept;
    rc = net_recv(&leg->stream, to, SCRATCH_BYTES - (in_place ? 0 : kept), &got);

    if (rc == RC_AGAIN)
        return false;
    if (leg->ending) /* nothing will tell of it again */
        leg->stream.pending = true;
    w->now_us = clock_us();
    if (rc == RC_ERR && leg == &s->client && s->purpose != SESS_FOR_CANCEL &&
        s->state != SESS_DELAYING) {
        sess_close(s);
        return false;
    }
    if (got == 0) {
        ended(s, leg);
    } else {
        COUNT(leg->bytes, got);
        if (leg == &s->client)
            COUNT(w->counters.from_client, got);
        else
            COUNT(w->counters.from_server, got);
        if (in_place) {
            pass_in_place(s, leg, got);
        } else {
            if (kept)
                memcpy(w->scratch, leg->in.data, kept);
            if (kept && secret)
                auth_wipe(leg->in.data, kept);
            pass(s, leg, w->scratch, kept + got);
            if (secret)
                auth_wipe(w->scratch, kept + got);
        }
    }
    if (s->state == SESS_GONE)
        return false;
    if (leg == &s->server && (s->state != before || sess_pending_is_over(s)))
        sess_resume(s);
    if (s->state == SESS_GONE)
        return false;
    sess_show(s);
    sess_flow(s);
    return true;
}

/* What nothing will tell of again is taken in turns, so that other sessions get theirs. */
static void read_all(struct sess *s, struct sess_leg *leg)
{
    for (int i = 0; i < READS_A_TURN; i++) {
        if (!read_leg(s, leg) || !leg->reading || !net_pending(&leg->stream))
            return;
        if (sess_state_rows[s->state].client_ready || sess_state_rows[s->state].server_ready)
            break;
    }
    sess_leg_kick(leg);
}

/* The socket is ready for what a handshake or a connection waits for. */
static void ready(struct sess *s, struct sess_leg *leg, void (*go_on)(struct sess *s))
{
    s->worker->now_us = clock_us();
    set_writing(leg, false);
    go_on(s);
    if (s->state != SESS_GONE)
        sess_resume(s);
}

static void on_edge(struct sess *s, struct sess_leg *leg, uint32_t what,
                    void (*go_on)(struct sess *s))
{
    leg->stream.pending |= (what & NET_MAY_READ) != 0;
    leg->ending |= (what & NET_ENDS) != 0;
    if (go_on) {
        if ((leg->reading && (what & NET_MAY_READ)) || (leg->writing && (what & NET_MAY_WRITE)))
            ready(s, leg, go_on);
        return;
    }
    if (leg->writing && (what & NET_MAY_WRITE)) {
        s->worker->now_us = clock_us();
        flush(s, leg);
        sess_flow(s);
    }
    if (leg->reading && net_pending(&leg->stream))
        read_all(s, leg);
}

static void on_client(struct net_watch *watch, uint32_t what)
{
    struct sess *s = (struct sess *)((char *)watch - offsetof(struct sess, client.watch));

    on_edge(s, &s->client, what, sess_state_rows[s->state].client_ready);
}

static void on_server(struct net_watch *watch, uint32_t what)
{
    struct sess *s = (struct sess *)((char *)watch - offsetof(struct sess, server.watch));

    on_edge(s, &s->server, what, sess_state_rows[s->state].server_ready);
}
