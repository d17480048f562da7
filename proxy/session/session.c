/* A session's life: the table of states, the one function that moves it, ends of all kinds. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "prepared.h"
#include "rewriting.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "segue/wire/build.h"
#include "segue/wire/frame.h"
#include "worker.h"

#define FLUSH_US 30000000 /* a client that does not read its last messages */
#define LINGER_US 2000000 /* a client that has them and does not close */

/* ---- what happens in each state ---- */

static size_t discard(struct sess *s, const char *data, size_t len)
{
    (void)s;
    (void)data;
    return len;
}

/* A message that is withheld until it is whole, and never will be: it runs nothing, but a server in
 * a copy refuses it by its type. */
static void send_cut_short(struct sess *s)
{
    struct buf *in = &s->client.in;
    struct wire_frame frame;

    if (s->state != SESS_RELAY || !in->len ||
        (wire_frame_read(in->data, in->len, &frame) == RC_OK && frame.total <= in->len))
        return;
    sess_send(s, &s->server, in->data, in->len);
    buf_fini(in);
}

/* The server learns of it the same way, finishes what it was asked, and ends; but not before it was
 * asked what is withheld until the login is over. */
static void half_close(struct sess *s)
{
    bool withheld = s->state == SESS_AUTH && s->client.in.len;

    send_cut_short(s);
    if (!s->server.out.len && !withheld)
        net_shut(&s->server.stream);
}

/* Its client has gone, unless it asked something behind its start-up and waits for the answer with
 * its own side closed. A cancel request asks for no answer: whoever sent it may close at once. */
static void give_up(struct sess *s)
{
    if (s->purpose == SESS_FOR_LOGIN || (s->purpose == SESS_FOR_RELAY && !s->client.in.len))
        sess_close(s);
}

static void nothing(struct sess *s)
{
    (void)s;
}

/* Behind a request that is withheld: a server would still answer it. It passes when the gate opens,
 * or the login goes on, and the end behind it (sess_end_pass). */
static void keep_request(struct sess *s)
{
    (void)s;
}

static void too_late(struct sess *s)
{
    struct err err = {0};

    err_set(&err, "57014", "canceling authentication due to timeout");
    err_hint(&err, "segue gives a login %u ms (option login_timeout_ms)",
             sess_limits(s)->login_timeout_ms);
    sess_fail(s, &err);
}

static void asked_late(struct sess *s)
{
    if (s->worker->now_us < s->login_by_us)
        sess_upstream_late(s);
    else
        too_late(s);
}

#define TO(state) (UINT32_C(1) << SESS_##state)
#define TO_END (TO(CLOSING) | TO(GONE))
#define TO_HOST (TO(CONNECTING) | TO_END)

/* clang-format off */
const struct sess_state_row sess_state_rows[SESS_STATES] = {
    [SESS_STARTUP] = {.name = "startup",
        .next = TO(CLIENT_TLS) | TO(PROVING) | TO(CONNECTING) | TO(CONSOLE) | TO(DELAYING) | TO_END,
        .client = sess_startup_client,
        .client_ended = sess_close, .server_ended = sess_close, .late = sess_close},
    [SESS_CLIENT_TLS] = {.name = "client-tls",
        .next = TO(STARTUP) | TO(GONE),
        .client_ready = sess_client_tls_step,
        .client_ended = sess_close, .server_ended = sess_close, .late = sess_close},
    [SESS_PROVING] = {.name = "proving", .logging_in = true,
        .next = TO(CONNECTING) | TO(CONSOLE) | TO(DELAYING) | TO_END,
        .client = sess_prove_client,
        .client_ended = sess_close, .server_ended = sess_close, .late = too_late},
    [SESS_CONNECTING] = {.name = "connecting", .logging_in = true,
        .next = TO(TLS_ASK) | TO(SERVER_TLS) | TO(ASKED) | TO(CANCELLING) | TO_END,
        .server_ready = sess_connected,
        .client_ended = give_up, .server_ended = sess_close, .late = sess_connect_timeout},
    [SESS_TLS_ASK] = {.name = "tls-ask", .logging_in = true,
        .next = TO(SERVER_TLS) | TO(ASKED) | TO(CANCELLING) | TO_HOST,
        .server = sess_server_tls_answered,
        .client_ended = give_up, .server_ended = sess_upstream_lost,
        .late = asked_late},
    [SESS_SERVER_TLS] = {.name = "server-tls", .logging_in = true,
        .next = TO(ASKED) | TO(CANCELLING) | TO_HOST,
        .server_ready = sess_server_tls_step,
        .client_ended = give_up, .server_ended = sess_upstream_lost,
        .late = asked_late},
    [SESS_ASKED] = {.name = "asked", .logging_in = true,
        .next = TO(AUTH) | TO(ENTERING) | TO_HOST,
        .server = sess_asked_server,
        .client_ended = give_up, .server_ended = sess_upstream_lost, .late = asked_late},
    [SESS_AUTH] = {.name = "auth", .logging_in = true,
        .next = TO(CHECKING) | TO(WELCOME) | TO(CONSOLE) | TO(DELAYING) | TO_HOST,
        .client = sess_auth_client, .server = sess_auth_server,
        .client_ended = half_close, .server_ended = sess_finish, .late = too_late},
    [SESS_ENTERING] = {.name = "entering", .logging_in = true,
        .next = TO(CHECKING) | TO(WELCOME) | TO(CONSOLE) | TO(DELAYING) | TO_HOST,
        .server = sess_enter_server,
        .client_ended = give_up, .server_ended = sess_finish, .late = too_late},
    [SESS_CHECKING] = {.name = "checking", .logging_in = true,
        .next = TO(WELCOME) | TO_HOST,
        .server = sess_check_server,
        .client_ended = keep_request, .server_ended = sess_finish, .late = too_late},
    [SESS_WELCOME] = {.name = "welcome",
        .next = TO(RELAY) | TO(PENDING) | TO_END,
        .client = sess_relay_client, .server = sess_relay_server,
        .client_ended = half_close, .server_ended = sess_finish, .late = too_late},
    [SESS_RELAY] = {.name = "relay",
        .next = TO(PENDING) | TO(BEHIND) | TO(HELD) | TO_END,
        .client = sess_relay_client, .server = sess_relay_server,
        .client_ended = half_close, .server_ended = sess_finish, .late = sess_close},
    [SESS_PENDING] = {.name = "pending",
        .next = TO(RELAY) | TO_END,
        .server = sess_relay_server,
        .client_ended = keep_request, .server_ended = sess_finish, .late = too_late},
    [SESS_BEHIND] = {.name = "behind",
        .next = TO(RELAY) | TO(SKIPPING) | TO_END,
        .server = sess_relay_server,
        .client_ended = keep_request, .server_ended = sess_finish, .late = sess_behind_late},
    [SESS_HELD] = {.name = "held",
        .next = TO(RELAY) | TO(SKIPPING) | TO_END,
        .server = sess_relay_server,
        .client_ended = keep_request, .server_ended = sess_finish, .late = sess_close},
    [SESS_SKIPPING] = {.name = "skipping",
        .next = TO(RELAY) | TO_END,
        .client = sess_skip_client, .server = sess_relay_server,
        .client_ended = half_close, .server_ended = sess_finish, .late = sess_close},
    [SESS_CANCELLING] = {.name = "cancelling",
        .next = TO_HOST,
        .client = discard, .server = discard,
        .client_ended = nothing, .server_ended = sess_cancel_done, .late = sess_cancel_done},
    [SESS_CONSOLE] = {.name = "console",
        .next = TO_END,
        .client = sess_console_client,
        .client_ended = sess_close, .server_ended = sess_close, .late = sess_close},
    [SESS_DELAYING] = {.name = "delaying",
        .next = TO_END,
        .client = discard,
        .client_ended = nothing, .server_ended = nothing, .late = sess_login_answer},
    [SESS_CLOSING] = {.name = "closing",
        .next = TO(GONE),
        .client = discard,
        .client_ended = sess_finish, .server_ended = nothing, .late = sess_close},
    [SESS_GONE] = {.name = "gone", .client_ended = nothing, .server_ended = nothing},
};
/* clang-format on */

void sess_end_pass(struct sess *s)
{
    if (s->client.ended && sess_state_rows[s->state].client_ended == half_close)
        half_close(s);
}

void sess_move(struct sess *s, enum sess_state to)
{
    assert(sess_state_rows[s->state].next & (UINT32_C(1) << to));
    if (s->state == SESS_HELD)
        sess_gate_drop(s);
    if (s->state == SESS_BEHIND)
        sess_behind_left(s);
    s->state = to;
    sess_show(s);
}

void sess_show(struct sess *s)
{
    const struct sess_track *t = &s->track;
    enum sess_shown shown;
    int64_t since = atomic_load_explicit(&s->since_us, memory_order_relaxed);

    switch (s->state) {
    case SESS_RELAY:
    case SESS_PENDING:
    case SESS_SKIPPING:
        if (t->copy != SESS_COPY_NONE)
            shown = SHOWN_COPY;
        else if (!sess_track_between(t))
            shown = SHOWN_ACTIVE;
        else
            shown = t->status == 'I' ? SHOWN_IDLE : SHOWN_TRANSACTION;
        if (sess_track_safe(t) != (since == 0))
            atomic_store_explicit(&s->since_us, since ? 0 : s->worker->now_us,
                                  memory_order_relaxed);
        break;
    case SESS_BEHIND:
        shown = SHOWN_BEHIND;
        break;
    case SESS_HELD:
        shown = SHOWN_HELD;
        break;
    case SESS_CONSOLE:
        shown = SHOWN_CONSOLE;
        break;
    case SESS_CLOSING:
    case SESS_GONE:
        shown = SHOWN_CLOSING;
        break;
    default:
        shown = SHOWN_STARTUP;
        break;
    }
    atomic_store_explicit(&s->shown, (int)shown, memory_order_relaxed);
    if (shown != SHOWN_ACTIVE && shown != SHOWN_COPY)
        atomic_store_explicit(&s->unjudged, false, memory_order_relaxed);
}

/* ---- deadlines ---- */

void sess_deadline(struct sess *s, int64_t at_us)
{
    if (at_us)
        net_timer_set(s->worker->loop, &s->timer, at_us);
    else
        net_timer_clear(s->worker->loop, &s->timer);
}

static void on_deadline(struct net_timer *timer)
{
    struct sess *s = (struct sess *)((char *)timer - offsetof(struct sess, timer));

    s->worker->now_us = clock_us();
    sess_state_rows[s->state].late(s);
    if (s->state != SESS_GONE)
        sess_resume(s);
}

/* ---- beginning and end ---- */

struct sess *sess_new(struct sess_worker *w, int fd, const struct net_address *peer)
{
    struct sess *s = mem_calloc(1, sizeof(*s));
    unsigned n;

    s->worker = w;
    s->id = ++w->next_id * WORKERS_MAX + w->number;
    s->peer = *peer;
    net_address_host(peer, s->address);
    s->connected_us = w->now_us;
    atomic_store_explicit(&s->idle_us, w->now_us, memory_order_relaxed);
    s->login_by_us = w->now_us + (int64_t)w->limits->options.login_timeout_ms * 1000;
    s->server.stream.fd = -1;
    s->starting = true;
    s->unnamed_epoch = SESS_NOT_LOOKED;
    s->login = sess_login_new(s);
    net_tune(fd, w->limits->options.keepalive_s, w->limits->options.user_timeout_ms);
    s->timer.due = on_deadline;
    n = 1 + atomic_fetch_add_explicit(&w->nsessions, 1, memory_order_relaxed);
    if (n > atomic_load_explicit(&w->most_sessions, memory_order_relaxed))
        atomic_store_explicit(&w->most_sessions, n, memory_order_relaxed);
    pthread_mutex_lock(&w->registry_lock);
    s->next = w->sessions;
    if (s->next)
        s->next->prev = s;
    w->sessions = s;
    pthread_mutex_unlock(&w->registry_lock);
    if (sess_leg_init(s, &s->client, fd) != RC_OK) {
        sess_log(s, LOG_WARNING, NULL, "cannot watch the client's socket: %s", strerror(errno));
        sess_close(s);
        return s;
    }
    sess_deadline(s, s->login_by_us);
    sess_flow(s);
    return s;
}

void sess_started(struct sess *s)
{
    if (s->starting) {
        atomic_fetch_sub_explicit(&s->worker->plane->startups, 1, memory_order_relaxed);
        sess_doors_leave(s->worker->plane->doors, &s->peer);
    }
    s->starting = false;
    buf_fini(&s->startup);
    sess_dial_free(s->dial);
    s->dial = NULL;
}

static void unregister(struct sess *s)
{
    struct sess_worker *w = s->worker;

    pthread_mutex_lock(&w->registry_lock);
    *(s->prev ? &s->prev->next : &w->sessions) = s->next;
    if (s->next)
        s->next->prev = s->prev;
    pthread_mutex_unlock(&w->registry_lock);
    s->next = s->prev = NULL;
    atomic_fetch_sub_explicit(&w->nsessions, 1, memory_order_release);
}

/* What the session counted for while it could do work. Who has not logged in has its place at the
 * door until its socket is closed. */
static void release(struct sess *s)
{
    sess_untouch(s);
    sess_cancel_forget(s);
    if (s->counted)
        atomic_fetch_sub_explicit(&s->worker->plane->sessions, 1, memory_order_relaxed);
    s->counted = false;
    sess_upstream_left(s);
    sess_leg_fini(&s->server);
}

void sess_close(struct sess *s)
{
    if (s->state == SESS_GONE)
        return;
    sess_log(s, LOG_DEBUG, NULL, "ended");
    sess_move(s, SESS_GONE);
    release(s);
    sess_started(s);
    sess_deadline(s, 0);
    sess_leg_fini(&s->client);
    unregister(s);
    sess_worker_bury(s->worker, s);
}

void sess_finish(struct sess *s)
{
    if (s->state == SESS_GONE)
        return;
    if (s->state != SESS_CLOSING) {
        sess_move(s, SESS_CLOSING);
        release(s);
    }
    if (s->client.out.len) {
        sess_deadline(s, s->worker->now_us + FLUSH_US);
        return;
    }
    if (s->client.ended) {
        sess_close(s);
        return;
    }
    net_shut(&s->client.stream);
    sess_deadline(s, s->worker->now_us + LINGER_US);
}

void sess_fail(struct sess *s, const struct err *e)
{
    struct buf out = {0};

    if (s->state == SESS_GONE || s->state == SESS_CLOSING)
        return;
    if (s->state == SESS_CLIENT_TLS) { /* nothing can be said in there */
        sess_close(s);
        return;
    }
    sess_log_failed(s, e);
    if (!s->server.left && s->purpose != SESS_FOR_CANCEL) { /* never inside a message */
        wire_put_error(&out, "FATAL", e);
        sess_send(s, &s->client, out.data, out.len);
        buf_fini(&out);
    }
    sess_finish(s);
}

void sess_free(struct sess *s)
{
    sess_rewriting_end(s);
    sess_forget_unnamed(s);
    sess_path_free(s->path);
    sess_behind_free(s);
    sess_statements_free(s->statements);
    sess_namings_free(&s->namings);
    sess_login_end(s);
    sess_prepared_free(s->console.prepared);
    buf_fini(&s->startup);
    sess_dial_free(s->dial);
    free(s);
}
