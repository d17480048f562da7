/*
 * A client's first packets: encryption requests, cancel requests, StartupMessage, and whether there
 * is room for it. Not here: connecting to the upstream (upstream.c).
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "login.h"
#include "segue/wire/build.h"
#include "segue/wire/frame.h"
#include "segue/wire/startup.h"
#include "version.h"

enum { ASKED_SSL = 1, ASKED_GSSENC = 2 };

enum { NAME_BYTES_MAX = 63, NAME_BYTES_SURE = 60 };

/* PostgreSQL allows one request of each kind, none of them inside TLS. */
static void on_encryption_request(struct sess *s, uint32_t code, bool bytes_behind)
{
    uint8_t bit = code == WIRE_CODE_SSL ? ASKED_SSL : ASKED_GSSENC;
    struct err err = {0};

    if ((s->login->encryption_asked & bit) || net_stream_is_tls(&s->client.stream)) {
        err_set(&err, "0A000",
                "unsupported frontend protocol %u.%u: server supports 3.0 and later 3.x",
                code >> 16, code & 0xffff);
        sess_fail(s, &err);
        return;
    }
    s->login->encryption_asked |= bit;
    sess_client_tls_answer(s, code == WIRE_CODE_SSL, bytes_behind);
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

static bool has_version(struct sess *s)
{
    struct err err = {0};

    if (sess_version_choose(s, &err) == RC_OK)
        return true;
    COUNT(s->worker->counters.refused, 1);
    sess_fail(s, &err);
    return false;
}

static void enter_console(struct sess *s)
{
    struct sess_plane *plane = s->worker->plane;
    const char *why = NULL;
    struct err err = {0};
    enum sess_console_entry entry =
        plane->console->admit(plane->console_ctx, s->user, net_address_is_loopback(&s->peer), &why);

    if (entry == SESS_CONSOLE_REFUSE) {
        COUNT(s->worker->counters.refused_console, 1);
        err_set(&err, "28000", "%s", why ? why : "not allowed");
        sess_fail(s, &err);
        return;
    }
    sess_console_greet(s);
    if (s->state != SESS_GONE)
        sess_login_start(s, SESS_FOR_LOGIN, entry == SESS_CONSOLE_TRUST);
}

/* The server looks at no database then, whichever is named. */
static bool is_physical_replication(const struct wire_startup *st)
{
    static const char *const others[] = {"database", "false", "off", "no", "0"};
    size_t len = st->replication ? strlen(st->replication) : 0;

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strncasecmp(st->replication ? st->replication : "", others[i], len) == 0)
            return false; /* a prefix is enough, as for the server */
    }
    return true;
}

/* The server takes names of at most 63 bytes. What is longer it cuts, or some servers do, in front
 * of a whole character perhaps. */
static bool is_same_name(const char *a, const char *b)
{
    bool cut = strlen(a) > NAME_BYTES_MAX || strlen(b) > NAME_BYTES_MAX;

    return strncmp(a, b, cut ? NAME_BYTES_SURE : NAME_BYTES_MAX) == 0;
}

/* Whether what it says can concern the rules: those are of one database. */
static void place(struct sess *s, const struct wire_startup *st)
{
    const char *ours = s->worker->plane->options.upstream.database;
    const char *asked = st->database && st->database[0] ? st->database : st->user;

    pthread_mutex_lock(&s->worker->registry_lock);
    s->foreign = is_physical_replication(st) || (ours && !is_same_name(asked, ours));
    pthread_mutex_unlock(&s->worker->registry_lock);
    s->walsender = st->replication && strcmp(st->replication, "database") == 0;
}

static void start(struct sess *s, const struct wire_startup *st)
{
    const struct sess_console_ops *console = s->worker->plane->console;

    remember_names(s, st);
    place(s, st);
    if (console && strcmp(s->database, console->database) == 0 && !is_physical_replication(st))
        enter_console(s);
    else if (has_version(s) && below_limit(s))
        sess_login_start(s, SESS_FOR_RELAY, false);
}

/* For segue's options, though not for PostgreSQL. */
static bool too_long(const struct sess *s, const char *data, size_t len, struct err *err)
{
    unsigned max = sess_limits(s)->startup_bytes_max;
    uint32_t total = len < WIRE_STARTUP_LENGTH ? 0 : wire_u32(data);

    if (total <= max + WIRE_STARTUP_LENGTH || total > WIRE_STARTUP_BYTES_MAX)
        return false;
    err_set(err, "08P01", "invalid length of startup packet");
    err_hint(err, "segue takes at most %u bytes (option startup_bytes_max)", max);
    return true;
}

/* What no client of PostgreSQL sends is refused as PostgreSQL does it: no word to a length that no
 * packet has, which may be another protocol's, nor to a cancel request; a client of an old protocol
 * gets a text that it can read. */
static void refuse(struct sess *s, const struct wire_startup *st, const struct err *e)
{
    bool old = st->code && st->code >> 16 < 3; /* 0: nobody's, and answered in words of today */
    struct buf out = {0};

    COUNT(s->worker->counters.refused, 1);
    if (st->total && st->code != WIRE_CODE_CANCEL && !old) {
        sess_fail(s, e);
        return;
    }
    sess_log_failed(s, e);
    if (old) {
        wire_put_error_old(&out, "FATAL", e);
        sess_send(s, &s->client, out.data, out.len);
        buf_fini(&out);
    }
    sess_finish(s);
}

size_t sess_startup_client(struct sess *s, const char *data, size_t len)
{
    struct wire_startup st;
    struct err err = {0};

    /* TLS without having asked is a connection's first byte; behind a request it is a length. */
    if (data[0] == NET_TLS_FIRST_BYTE && !s->login->encryption_asked &&
        !net_stream_is_tls(&s->client.stream)) {
        sess_client_tls_direct(s, data, len);
        return len;
    }
    if (too_long(s, data, len, &err)) {
        COUNT(s->worker->counters.refused, 1);
        sess_fail(s, &err);
        return len;
    }
    switch (wire_startup_read(data, len, &st, &err)) {
    case RC_AGAIN:
        return 0;
    case RC_ERR:
        refuse(s, &st, &err);
        return len;
    case RC_OK:
        break;
    }
    if (st.code == WIRE_CODE_SSL || st.code == WIRE_CODE_GSSENC) {
        on_encryption_request(s, st.code, len > st.total);
        return st.total;
    }
    buf_append(&s->startup, data, st.total);
    if (st.code == WIRE_CODE_CANCEL) {
        if (!sess_cancel_let_in(s)) {
            COUNT(s->worker->counters.refused_cancels, 1);
            sess_close(s);
            return st.total;
        }
        COUNT(s->worker->counters.cancels, 1);
        sess_connect(s, SESS_FOR_CANCEL);
    } else {
        start(s, &st);
    }
    return st.total;
}
