/*
 * A client of the virtual database: framing and manners; what a command means is the console's.
 * One query at a time; the extended protocol for what is answered at once (prepared.h).
 */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "prepared.h"
#include "segue/base/clock.h"
#include "segue/wire/build.h"
#include "segue/wire/read.h"
#include "segue/wire/startup.h"
#include "worker.h"

static const struct {
    const char *name, *value;
} parameters[] = {
    {"server_version", "15.0 (segue)"},
    {"server_encoding", "UTF8"},
    {"client_encoding", "UTF8"},
    {"application_name", ""},
    {"is_superuser", "off"},
    {"DateStyle", "ISO, MDY"},
    {"IntervalStyle", "postgres"},
    {"TimeZone", "UTC"},
    {"integer_datetimes", "on"},
    {"standard_conforming_strings", "on"},
};

/* ---- the protocol ---- */

#define PROTOCOL (3u << 16 | 2) /* the newest that is spoken here */
#define OPTION "_pq_."

struct refused {
    struct buf names;
    uint32_t n;
};

static void note_option(void *arg, const struct wire_param *param)
{
    struct refused *refused = arg;

    if (strncmp(param->name, OPTION, strlen(OPTION)) != 0)
        return;
    buf_append(&refused->names, param->name, strlen(param->name) + 1);
    refused->n++;
}

void sess_console_greet(struct sess *s)
{
    uint32_t version = s->protocol < PROTOCOL ? s->protocol : PROTOCOL;
    struct refused refused = {0};
    struct buf out = {0};

    wire_startup_params(s->startup.data, s->startup.len, note_option, &refused);
    if (version < s->protocol || refused.n)
        wire_put_negotiate(&out, version, &refused.names, refused.n);
    sess_send(s, &s->client, out.data, out.len);
    buf_fini(&out);
    buf_fini(&refused.names);
}

void sess_console_enter(struct sess *s)
{
    struct buf out = {0};
    uint32_t key = (uint32_t)(clock_us() * 2654435761u);

    sess_upstream_left(s);
    sess_leg_fini(&s->server);
    buf_fini(&s->startup);
    sess_move(s, SESS_CONSOLE);
    sess_login_end(s);
    sess_started(s);
    sess_deadline(s, 0);
    COUNT(s->worker->counters.logins, 1);
    wire_put_auth_ok(&out);
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        wire_put_parameter(&out, parameters[i].name, parameters[i].value);
    wire_put_key(&out, (int32_t)getpid(), &key, sizeof(key));
    wire_put_ready(&out, 'I');
    sess_send(s, &s->client, out.data, out.len);
    buf_fini(&out);
}

/* ---- messages ---- */

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\f\v;")] == '\0';
}

static void on_query(struct sess *s, const char *msg, size_t total)
{
    const struct sess_plane *plane = s->worker->plane;
    struct sess_reply_to to = {s->worker, s->id};
    struct wire_query query;
    struct buf out = {0};
    struct err err = {0};

    if (wire_read_query(msg, total, &query) != RC_OK) {
        err_set(&err, "08P01", "invalid Query message");
        sess_fail(s, &err);
        return;
    }
    if (is_blank(query.text)) {
        wire_put_empty(&out);
        wire_put_ready(&out, 'I');
    } else if (!plane->console->query(plane->console_ctx, s->user, query.text, to, &out)) {
        s->console.waiting = true;
    }
    sess_send(s, &s->client, out.data, out.len);
    buf_fini(&out);
}

static bool repeatable(void *ctx, const char *text, struct err *err)
{
    const struct sess_plane *plane = ((struct sess *)ctx)->worker->plane;

    return plane->console->repeatable(plane->console_ctx, text, err);
}

static void ask(void *ctx, const char *text, struct buf *out)
{
    struct sess *s = ctx;
    const struct sess_plane *plane = s->worker->plane;
    struct sess_reply_to nobody = {s->worker, 0};

    if (!plane->console->query(plane->console_ctx, s->user, text, nobody, out))
        assert(!"a statement that may be repeated is answered at once");
}

static void on_extended(struct sess *s, const char *msg, size_t total)
{
    const struct sess_asker asker = {repeatable, ask, s};
    struct buf out = {0};

    if (!s->console.prepared)
        s->console.prepared = sess_prepared_new();
    s->console.skipping = !sess_prepared_take(s->console.prepared, &asker, msg, total, &out);
    sess_send(s, &s->client, out.data, out.len);
    buf_fini(&out);
}

static void on_sync(struct sess *s, const char *msg, size_t total)
{
    struct buf out = {0};

    (void)msg;
    (void)total;
    s->console.skipping = false;
    wire_put_ready(&out, 'I');
    sess_send(s, &s->client, out.data, out.len);
    buf_fini(&out);
}

static void on_call(struct sess *s, const char *msg, size_t total)
{
    struct buf out = {0};
    struct err err = {0};

    err_set(&err, "0A000", "the console has no functions to call");
    wire_put_error(&out, "ERROR", &err);
    sess_send(s, &s->client, out.data, out.len);
    buf_fini(&out);
    on_sync(s, msg, total);
}

static void on_terminate(struct sess *s, const char *msg, size_t total)
{
    (void)msg;
    (void)total;
    sess_finish(s);
}

static void on_flush(struct sess *s, const char *msg, size_t total)
{
    (void)s;
    (void)msg;
    (void)total;
}

static const struct {
    void (*take)(struct sess *s, const char *msg, size_t total);
    bool even_skipping;
} messages[256] = {
    ['Q'] = {on_query, false},    ['P'] = {on_extended, false}, ['B'] = {on_extended, false},
    ['E'] = {on_extended, false}, ['D'] = {on_extended, false}, ['C'] = {on_extended, false},
    ['F'] = {on_call, false},     ['S'] = {on_sync, true},      ['H'] = {on_flush, true},
    ['X'] = {on_terminate, true}, ['d'] = {on_flush, true},     ['c'] = {on_flush, true},
    ['f'] = {on_flush, true},
};

/* Let in while nobody had to show who he is, and now everybody has to: the name was anybody's. */
static bool has_lost_trust(const struct sess *s)
{
    const struct sess_plane *plane = s->worker->plane;
    const char *why;

    return s->console.trusted &&
           plane->console->admit(plane->console_ctx, s->user, net_address_is_loopback(&s->peer),
                                 &why) != SESS_CONSOLE_TRUST;
}

size_t sess_console_client(struct sess *s, const char *data, size_t len)
{
    struct wire_frame frame;
    struct err err = {0};
    size_t most = (size_t)sess_limits(s)->buffer_bytes_max + sess_limits(s)->inspect_bytes_max;
    size_t pos = 0;

    atomic_store_explicit(&s->idle_us, s->worker->now_us, memory_order_relaxed);
    if (has_lost_trust(s)) {
        err_set(&err, "57P01", "terminating connection: the console asks for a proof now");
        err_hint(&err, "admin_users or stats_users have been set: connect again, as one of them");
        sess_fail(s, &err);
        return len;
    }
    while (pos < len && s->state == SESS_CONSOLE && !s->console.waiting &&
           s->client.out.len <= sess_limits(s)->buffer_bytes_max) {
        enum rc rc = wire_frame_read(data + pos, len - pos, &frame);

        if (rc == RC_AGAIN)
            break;
        if (rc == RC_OK && frame.total > most) {
            err_set(&err, "54000", "the console takes no message of %zu bytes", frame.total);
            err_hint(&err, "at most %zu: options buffer_bytes_max and inspect_bytes_max", most);
            sess_fail(s, &err);
            return len;
        }
        if (!messages[(uint8_t)data[pos]].take) {
            err_set(&err, "08P01", "invalid frontend message type %d", (uint8_t)data[pos]);
            sess_fail(s, &err);
            return len;
        }
        if (rc == RC_ERR) { /* without a word, as the server does */
            sess_finish(s);
            return len;
        }
        if (len - pos < frame.total)
            break;
        if (!s->console.skipping || messages[frame.type].even_skipping)
            messages[frame.type].take(s, data + pos, frame.total);
        pos += frame.total;
    }
    if ((s->worker->draining || s->worker->released) && s->state == SESS_CONSOLE)
        sess_drain(s);
    return pos;
}

void sess_console_answer(struct sess *s, const void *bytes, size_t len)
{
    if (s->state != SESS_CONSOLE || !s->console.waiting)
        return;
    s->console.waiting = false;
    sess_send(s, &s->client, bytes, len);
    if (s->state == SESS_CONSOLE)
        sess_resume(s);
    if (s->state == SESS_CONSOLE && (s->worker->draining || s->worker->released))
        sess_drain(s);
}

void sess_console_reply(struct sess_reply_to to, const void *bytes, size_t len)
{
    sess_worker_post(to.worker, MAIL_CONSOLE, to.session_id, bytes, len);
}
