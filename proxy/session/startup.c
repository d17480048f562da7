/*
 * From the first byte to the first ReadyForQuery: start-up packets, limits, the upstream
 * connection. The start-up packet goes to the server verbatim, so that RESET and everything else
 * mean what they mean on a direct connection.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/wire/startup.h"
#include "worker.h"

enum { ASKED_SSL = 1, ASKED_GSSENC = 2 };

/* PostgreSQL allows one request of each kind; bytes behind one were sent before the client could
 * know the answer: someone injects plain text (CVE-2021-23214). */
static void answer_no(struct sess *s, uint32_t code, bool bytes_behind)
{
    uint8_t bit = code == WIRE_CODE_SSL ? ASKED_SSL : ASKED_GSSENC;

    if ((s->encryption_asked & bit) || bytes_behind) {
        sess_close(s);
        return;
    }
    s->encryption_asked |= bit;
    sess_send(s, &s->client, "N", 1);
}

static void remember_names(struct sess *s, const struct wire_startup *st)
{
    pthread_mutex_lock(&s->worker->registry_lock);
    snprintf(s->user, sizeof(s->user), "%s", st->user);
    snprintf(s->database, sizeof(s->database), "%s",
             st->database && st->database[0] ? st->database : st->user);
    snprintf(s->application, sizeof(s->application), "%s",
             st->application_name ? st->application_name : "");
    pthread_mutex_unlock(&s->worker->registry_lock);
}

static bool below_limit(struct sess *s)
{
    struct sess_plane *plane = s->worker->plane;
    unsigned max = sess_limits(s)->sessions_max;
    struct err err = {0};

    s->counted = true;
    if (atomic_fetch_add_explicit(&plane->sessions, 1, memory_order_relaxed) < max)
        return true;
    COUNT(s->worker->counters.refused, 1);
    err_set(&err, "53300", "sorry, too many clients already");
    err_hint(&err, "segue lets in %u at once (option sessions_max)", max);
    sess_fail(s, &err);
    return false;
}

static void enter_console(struct sess *s)
{
    struct sess_plane *plane = s->worker->plane;
    const char *why = NULL;
    struct err err = {0};

    switch (plane->console->admit(plane->console_ctx, s->user, net_address_is_loopback(&s->peer),
                                  &why)) {
    case SESS_CONSOLE_TRUST:
        sess_console_enter(s);
        break;
    case SESS_CONSOLE_LOGIN:
        sess_connect(s, SESS_FOR_LOGIN);
        break;
    case SESS_CONSOLE_REFUSE:
        COUNT(s->worker->counters.refused, 1);
        err_set(&err, "28000", "%s", why ? why : "not allowed");
        sess_fail(s, &err);
        break;
    }
}

static void start(struct sess *s, const struct wire_startup *st)
{
    const struct sess_console_ops *console = s->worker->plane->console;

    remember_names(s, st);
    if (console && strcmp(s->database, console->database) == 0)
        enter_console(s);
    else if (below_limit(s))
        sess_connect(s, SESS_FOR_RELAY);
}

size_t sess_startup_client(struct sess *s, const char *data, size_t len)
{
    struct wire_startup st;
    struct err err = {0};

    switch (wire_startup_read(data, len, &st, &err)) {
    case RC_AGAIN:
        return 0;
    case RC_ERR:
        COUNT(s->worker->counters.refused, 1);
        sess_fail(s, &err);
        return len;
    case RC_OK:
        break;
    }
    if (st.code == WIRE_CODE_SSL || st.code == WIRE_CODE_GSSENC) {
        answer_no(s, st.code, len > st.total);
        return st.total;
    }
    buf_append(&s->startup, data, st.total);
    if (st.code == WIRE_CODE_CANCEL)
        sess_connect(s, SESS_FOR_CANCEL);
    else
        start(s, &st);
    return st.total;
}

/* ---- the upstream ---- */

static void unreachable(struct sess *s, const char *why)
{
    const struct sess_options *o = &s->worker->plane->options;
    struct err err = {0};

    net_resolver_failed(s->worker->plane->resolver);
    err_set(&err, "57P03", "cannot connect to the upstream PostgreSQL at \"%s\", port %s: %s",
            o->upstream_host, o->upstream_port, why);
    err_hint(&err, "Is the database up, and is the option upstream of segue right?");
    sess_fail(s, &err);
}

static void open_upstream(struct sess *s)
{
    switch (s->purpose) {
    case SESS_FOR_RELAY:
        sess_move(s, SESS_AUTH);
        sess_track_init(&s->track);
        break;
    case SESS_FOR_CANCEL:
        sess_move(s, SESS_CANCELLING);
        break;
    case SESS_FOR_LOGIN:
        sess_move(s, SESS_LOGIN);
        break;
    }
    free(s->upstream);
    s->upstream = NULL;
    sess_deadline(s, s->login_by_us);
    sess_send(s, &s->server, s->startup.data, s->startup.len);
    buf_fini(&s->startup);
}

/* Tries the addresses that are left; `why` is what went wrong with the one before. */
static void connect_next(struct sess *s, const char *why)
{
    const struct sess_options *o = sess_limits(s);

    while (s->tried < s->nupstream) {
        int64_t by_us = s->worker->now_us + (int64_t)o->connect_timeout_ms * 1000;
        int fd;
        enum rc rc = net_connect(&s->upstream[s->tried++], &fd);

        if (rc == RC_ERR) {
            why = strerror(errno);
            continue;
        }
        net_tune(fd, o->keepalive_s, o->user_timeout_ms);
        sess_leg_init(s, &s->server, fd);
        if (rc == RC_OK) {
            open_upstream(s);
        } else {
            sess_deadline(s, by_us < s->login_by_us ? by_us : s->login_by_us);
            sess_flow(s);
        }
        return;
    }
    unreachable(s, why);
}

void sess_connect(struct sess *s, enum sess_purpose purpose)
{
    struct sess_plane *plane = s->worker->plane;
    struct buf packet = {0};

    sess_move(s, SESS_CONNECTING);
    s->purpose = purpose;
    if (purpose == SESS_FOR_LOGIN) {
        wire_startup_redirect(&packet, s->startup.data, s->startup.len,
                              plane->console->login_database(plane->console_ctx));
        buf_fini(&s->startup);
        s->startup = packet;
    }
    s->upstream = mem_calloc(NET_ADDRESSES_MAX, sizeof(*s->upstream));
    s->nupstream = net_resolver_get(plane->resolver, s->upstream);
    s->tried = 0;
    connect_next(s, "the host name does not resolve");
}

void sess_connected(struct sess *s)
{
    int why = net_connect_check(s->server.stream.fd);

    if (why == 0) {
        open_upstream(s);
        return;
    }
    sess_leg_fini(&s->server);
    connect_next(s, strerror(why));
}

void sess_connect_timeout(struct sess *s)
{
    sess_leg_fini(&s->server);
    if (s->worker->now_us >= s->login_by_us)
        unreachable(s, "timeout");
    else
        connect_next(s, "timeout");
}
