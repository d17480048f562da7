/*
 * A client's first packets: encryption requests, cancel requests, StartupMessage, and whether there
 * is room for it. Not here: connecting to the upstream (upstream.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/wire/frame.h"
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
    s->protocol = st->code;
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
    COUNT(s->worker->counters.refused_sessions, 1);
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
        COUNT(s->worker->counters.refused_console, 1);
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

static bool too_long(const struct sess *s, const char *data, size_t len, struct err *err)
{
    unsigned max = sess_limits(s)->startup_bytes_max;

    if (len < 4 || wire_u32(data) <= max)
        return false;
    err_set(err, "08P01", "invalid length of startup packet");
    err_hint(err, "segue takes at most %u bytes (option startup_bytes_max)", max);
    return true;
}

size_t sess_startup_client(struct sess *s, const char *data, size_t len)
{
    struct wire_startup st;
    struct err err = {0};

    switch (too_long(s, data, len, &err) ? RC_ERR : wire_startup_read(data, len, &st, &err)) {
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
    if (st.code == WIRE_CODE_CANCEL) {
        COUNT(s->worker->counters.cancels, 1);
        sess_connect(s, SESS_FOR_CANCEL);
    } else {
        start(s, &st);
    }
    return st.total;
}
