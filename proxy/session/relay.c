/*
 * The relay: message headers are looked at, bodies pass. Both directions work the same way: walk
 * the headers of what was read, note what matters by type, send the lot to the other side.
 */
#include <assert.h>
#include <string.h>

#include "asking.h"
#include "behind.h"
#include "names.h"
#include "path.h"
#include "rewriting.h"
#include "segue/wire/build.h"
#include "segue/wire/read.h"
#include "worker.h"

/* A server message that is noted waits until it is whole, or so much of it is there. */
#define NOTED_BYTES_MAX 2048

/* More than this is not kept between two reads. */
#define COMPOSED_BYTES_KEPT (4 * SCRATCH_BYTES)

/* ---- bytes on their way through: as they came, until something else stands in their place ---- */

/* worker->instead goes on between data[..at) and what stands `skipped` bytes later. */
static void passage_edit(struct sess_worker *w, const char *data, size_t at, size_t skipped)
{
    buf_append(&w->composed, data + w->composed_of, at - w->composed_of);
    if (!w->composed.len) { /* nothing stands in front of it: it may be long, and is not copied */
        struct buf composed = w->instead;

        w->instead = w->composed;
        w->composed = composed;
    } else if (w->instead.len) {
        buf_append(&w->composed, w->instead.data, w->instead.len);
    }
    buf_reset(&w->instead);
    w->composed_of = at + skipped;
    w->edited = true;
}

static void passage_drop(struct sess_worker *w)
{
    w->edited = false;
    w->composed_of = 0;
    buf_reset(&w->composed);
    if (w->composed.cap > COMPOSED_BYTES_KEPT)
        buf_fini(&w->composed);
}

static void passage_send_edited(struct sess *s, struct sess_leg *to, const char *data, size_t end)
{
    struct sess_worker *w = s->worker;

    buf_append(&w->composed, data + w->composed_of, end - w->composed_of);
    sess_send(s, to, w->composed.data, w->composed.len);
    passage_drop(w);
}

/* The rest of a message that goes nowhere, or so much of it as is here. */
static size_t drop_rest(struct sess_worker *w, struct sess_leg *from, const char *data, size_t len)
{
    size_t part = from->left < len ? from->left : len;

    passage_edit(w, data, 0, part);
    from->left -= part;
    from->drops = from->left > 0;
    return part;
}

/* ---- client to server ---- */

/* Which messages are looked at, once there is something to look for; and which always. */
enum { NEVER, WATCHED, ALWAYS };

static const uint8_t looked_at[256] = {['Q'] = WATCHED, ['P'] = ALWAYS, ['B'] = WATCHED,
                                       ['D'] = WATCHED, ['C'] = ALWAYS, ['F'] = WATCHED};

/* Is the message at data[at..) to pass now? *done: so many of its bytes are dealt with. */
static bool look(struct sess *s, const struct wire_frame *frame, const char *data, size_t at,
                 size_t len, size_t *done)
{
    enum sess_look what;

    *done = 0;
    if (looked_at[frame->type] == NEVER || s->foreign) {
        if (s->pipeline)
            sess_rewriting_passed(s, frame->type);
        return true;
    }
    s->worker->instead_of = 0;
    what = sess_look(s, frame, data + at, len - at);
    if (what == SESS_LOOK_PASS && s->worker->instead.len)
        what = SESS_LOOK_FRONT; /* the buffer is all sessions' */
    if (what == SESS_LOOK_STOP && s->worker->instead.len)
        passage_edit(s->worker, data, at, 0);
    if (what == SESS_LOOK_MORE || what == SESS_LOOK_STOP)
        return false;
    if (what == SESS_LOOK_INSTEAD) {
        *done = s->worker->instead_of ? s->worker->instead_of : frame->total;
        assert(*done <= len - at);
    }
    if (what != SESS_LOOK_PASS)
        passage_edit(s->worker, data, at, *done);
    return true;
}

/* A Query, whose text may begin with PREPARE or what drops statements; the unnamed one it does. A
 * walsender's may be a command of replication. */
static bool may_name(const struct sess *s, const struct wire_frame *frame, const char *msg,
                     size_t avail)
{
    return frame->type == 'Q' && frame->total > WIRE_HEADER_BYTES &&
           (avail <= WIRE_HEADER_BYTES || sess_names_byte((uint8_t)msg[WIRE_HEADER_BYTES]) ||
            s->unnamed || s->walsender);
}

size_t sess_relay_client(struct sess *s, const char *data, size_t len)
{
    struct sess_leg *from = &s->client;
    struct sess_worker_counters *counters = &s->worker->counters;
    struct wire_frame frame;
    size_t pos = from->drops ? drop_rest(s->worker, from, data, len) : 0, part;
    bool looking = sess_is_looking(s) && !s->foreign, watched;

    atomic_store_explicit(&s->idle_us, s->worker->now_us, memory_order_relaxed);
    if (!s->request_us && sess_track_between(&s->track))
        s->request_us = s->worker->now_us;
    if (s->pipeline ? sess_pipeline_blind(s->pipeline) : looking)
        sess_rewriting_begin(s);
    watched = looking || s->pipeline;
    if (!looking) {
        s->spoke = true;
        if (s->path)
            sess_path_forget(s);
    }
    while (pos < len) {
        if (!from->left) {
            enum rc rc = wire_frame_read(data + pos, len - pos, &frame);
            size_t done = 0;

            if (rc == RC_AGAIN)
                break;
            if (rc ==
                RC_ERR) { /* no message: the server's to refuse, as it does by type; it ends */
                from->left = SIZE_MAX;
                continue;
            }
            if ((watched || looked_at[frame.type] == ALWAYS ||
                 may_name(s, &frame, data + pos, len - pos)) &&
                !look(s, &frame, data, pos, len, &done))
                break;
            sess_track_client(&s->track, frame.type);
            COUNT(counters->from_client_messages[frame.type], 1);
            pos += done;
            from->left = frame.total - done;
        }
        part = from->left < len - pos ? from->left : len - pos;
        from->left -= part;
        pos += part;
    }
    if (s->worker->edited)
        passage_send_edited(s, &s->server, data, pos);
    else
        sess_send(s, &s->server, data, pos);
    return pos;
}

/* ---- server to client ---- */

/* The transaction is over. */
static void on_changed(struct sess *s)
{
    uint64_t changes = sess_ask_for_rules(s);

    s->changing = false;
    if (s->altered == UINT64_MAX)
        s->altered = changes;
}

static void on_ready(struct sess *s, const char *msg, size_t total)
{
    struct sess_worker *w = s->worker;
    char status = total == 6 ? msg[5] : 'E';

    sess_track_ready(&s->track, status);
    sess_namings_answered(&s->namings, s->track.asked - s->track.expected);
    if (s->path)
        sess_path_ready(s->path, status, sess_track_between(&s->track));
    if (s->pipeline)
        sess_rewriting_ready(s);
    if (s->behind)
        sess_behind_ready(s);
    if (sess_track_safe(&s->track))
        sess_untouch(s);
    if (s->changing && status == 'I')
        on_changed(s);
    if (s->made_for == UINT64_MAX && sess_track_safe(&s->track)) {
        s->made_for = sess_ask_for_rules(s);
        s->veiled = s->veiled <= w->order->settled ? s->veiled : 0; /* perhaps it has */
    }
    if (s->starting) {
        COUNT(w->counters.logins, 1);
        sess_log(s, LOG_DEBUG, NULL, "logged in");
        sess_started(s);
        sess_deadline(s, 0);
        if (s->state == SESS_WELCOME)
            sess_move(s, SESS_RELAY);
        s->request_us = 0;
        return;
    }
    COUNT(w->counters.requests, 1);
    if (status == 'I')
        COUNT(w->counters.transactions, 1);
    if (s->request_us) {
        enum sess_class class = s->request_class ? s->request_class : SESS_CLASS_OTHER;

        hist_add(&w->counters.latency[class], w->now_us - s->request_us);
        s->request_us = sess_track_between(&s->track) ? 0 : w->now_us;
    }
    s->request_class = SESS_CLASS_NONE;
    atomic_store_explicit(&s->idle_us, w->now_us, memory_order_relaxed);
}

static void on_key(struct sess *s, const char *msg, size_t total)
{
    struct wire_key key;

    if (wire_read_key(msg, total, &key) == RC_OK)
        sess_report_key(s, &key);
}

/* NULL: it is too long to be told. */
static void on_path(struct sess *s, const char *path)
{
    s->reports_path = true;
    if (s->path)
        sess_path_reported(s->path, path);
}

static void on_status(struct sess *s, const char *msg, size_t total)
{
    static const char path[] = "search_path"; /* the one whose value may be of any length */
    struct wire_status status;

    if (wire_read_status(msg, total, &status) != RC_OK) {
        if (total >= NOTED_BYTES_MAX && memcmp(msg + WIRE_HEADER_BYTES, path, sizeof(path)) == 0)
            on_path(s, NULL);
        return;
    }
    if (strcmp(status.name, "standard_conforming_strings") == 0)
        s->odd_strings = strcmp(status.value, "off") == 0;
    if (strcmp(status.name, "client_encoding") == 0)
        s->recodes = strcmp(status.value, "UTF8") != 0;
    if (strcmp(status.name, path) == 0)
        on_path(s, status.value);
    if (strcmp(status.name, "in_hot_standby") == 0)
        sess_behind_begin(s, strcmp(status.value, "on") == 0);
    if (strcmp(status.name, "application_name") != 0)
        return;
    pthread_mutex_lock(&s->worker->registry_lock);
    snprintf(s->application, sizeof(s->application), "%s", status.value);
    pthread_mutex_unlock(&s->worker->registry_lock);
}

static bool is_tag(const char *tag, size_t len, const char *word)
{
    return len == strlen(word) + 1 && memcmp(tag, word, len) == 0;
}

/* Another transaction is open already: by AND CHAIN, or by a BEGIN behind the end of the last. A
 * ROLLBACK may be to a savepoint: then the server warns of the BEGIN. */
static bool has_gone_on(struct sess *s, const char *tag, size_t len)
{
    bool back = s->went_back,
         begins = is_tag(tag, len, "BEGIN") || is_tag(tag, len, "START TRANSACTION");

    s->went_back = is_tag(tag, len, "ROLLBACK");
    return is_tag(tag, len, "COMMIT") || (back && begins);
}

/* While there are rules: a command may have changed what they were made from. The client that has
 * altered a migrating table sees it at once, others when the transaction commits. */
static void note_ddl(struct sess *s, const char *tag, size_t len)
{
    enum sess_ddl ddl = sess_ddl_of(tag, len);

    if (s->changing && has_gone_on(s, tag, len))
        on_changed(s);
    s->changing |= ddl != SESS_DDL_NONE;
    if (ddl == SESS_DDL_TABLE && (s->alters || READ(s->touched) == SQL_TOUCH_ALL))
        s->altered = UINT64_MAX;
}

/* CommandComplete: the server says itself what SQL has prepared and dropped, and when every
 * temporary table is gone. */
static void on_complete(struct sess *s, const char *msg, size_t total)
{
    size_t len = total - WIRE_HEADER_BYTES;
    const char *tag = msg + WIRE_HEADER_BYTES;

    sess_track_server(&s->track, 'C');
    if (s->path)
        sess_path_completed(s->path, tag, len);
    s->request_class = sess_class_join(s->request_class, sess_class_of(tag, len));
    if (sess_rules(s) && !s->foreign)
        note_ddl(s, tag, len);
    if (len < 4 || !((tag[0] == 'P' && tag[1] == 'R') || (tag[0] == 'D' && tag[1] != 'R')) ||
        s->foreign)
        return;
    sess_names_tag(s, tag, len);
    if ((sql_taken_any(s->made) || s->unseen) && !s->veiled &&
        (is_tag(tag, len, "DISCARD ALL") || is_tag(tag, len, "DISCARD TEMP")))
        s->made_for = UINT64_MAX; /* a savepoint may bring it back */
}

static void on_error(struct sess *s, const char *msg, size_t total)
{
    struct sess_worker_counters *c = &s->worker->counters;

    if (s->unnamed && !s->pipeline &&
        (int32_t)(s->unnamed_ask - (s->track.asked - s->track.expected + 1)) >= 0)
        sess_forget_unnamed(s); /* it may be its Parse that has failed */
    sess_track_server(&s->track, 'E');
    if (s->path)
        sess_path_failed(s->path);
    s->request_class = SESS_CLASS_ERROR;
    COUNT(c->errors, 1);
    COUNT(c->sqlstates[sess_sqlstate_class(msg, total)], 1);
    if (s->starting)
        sess_log_server_refusal(s, msg, total);
}

static void on_notice(struct sess *s, const char *msg, size_t total)
{
    (void)msg;
    (void)total;
    s->went_back = false;
}

static const struct {
    /* of the whole message, or of its first NOTED_BYTES_MAX bytes or more */
    void (*note)(struct sess *s, const char *msg, size_t total);
    bool tracked; /* the type is enough */
} server_messages[256] = {
    ['Z'] = {on_ready, false},  ['C'] = {on_complete, false}, ['K'] = {on_key, false},
    ['S'] = {on_status, false}, ['E'] = {on_error, false},    ['G'] = {NULL, true},
    ['N'] = {on_notice, false}, ['H'] = {NULL, true},         ['W'] = {NULL, true},
    ['1'] = {NULL, true},       ['2'] = {NULL, true},         ['3'] = {NULL, true},
    ['T'] = {NULL, true},       ['n'] = {NULL, true},         ['I'] = {NULL, true},
    ['s'] = {NULL, true},
};

/* While statements are rewritten: the answer at data[at..len). Returns how many bytes of it are
 * dealt with; SIZE_MAX: more are needed. */
static size_t note_rewritten(struct sess *s, const char *data, size_t at, size_t len,
                             const struct wire_frame *frame)
{
    size_t here = len - at < frame->total ? len - at : frame->total;
    struct sess_worker *w = s->worker;
    const char *msg = data + at;
    enum sess_answer answer;

    if (here < frame->total && here < NOTED_BYTES_MAX && server_messages[frame->type].note)
        return SIZE_MAX;
    if (s->question)
        answer = sess_ask_answer(s, frame, msg, here);
    else
        answer = sess_rewrite_answer(s, frame, msg, here);
    if (answer == SESS_ANSWER_MORE)
        return SIZE_MAX;
    if (answer == SESS_ANSWER_INSTEAD) {
        msg = w->instead.data;
        here = w->instead.len;
    }
    if (answer == SESS_ANSWER_DROP) {
        passage_edit(w, data, at, here);
        s->server.drops = here < frame->total;
        return here;
    }
    if (answer != SESS_ANSWER_HIDE && server_messages[frame->type].note)
        server_messages[frame->type].note(s, msg, here);
    else if (answer != SESS_ANSWER_HIDE && server_messages[frame->type].tracked)
        sess_track_server(&s->track, frame->type);
    if (answer == SESS_ANSWER_PASS)
        return 0;
    passage_edit(w, data, at, frame->total);
    return frame->total;
}

static void pass_to_client(struct sess *s, const char *data, size_t end)
{
    if (s->worker->edited)
        passage_send_edited(s, &s->client, data, end);
    else
        sess_send(s, &s->client, data, end);
}

size_t sess_relay_server(struct sess *s, const char *data, size_t len)
{
    struct sess_leg *from = &s->server;
    struct sess_worker_counters *counters = &s->worker->counters;
    struct wire_frame frame;
    size_t pos = from->drops ? drop_rest(s->worker, from, data, len) : 0, part;

    while (pos < len) {
        if (!from->left) {
            enum rc rc = wire_frame_read(data + pos, len - pos, &frame);
            size_t done = 0;

            if (rc == RC_AGAIN)
                break;
            if (rc == RC_ERR) { /* what stands in front of it was said */
                pass_to_client(s, data, pos);
                sess_finish(s);
                return len;
            }
            if (s->pipeline) {
                const struct wire_frame whole = frame;

                done = note_rewritten(s, data, pos, len, &whole);
                if (done == SIZE_MAX)
                    break;
            } else if (server_messages[frame.type].note) {
                size_t here = len - pos < frame.total ? len - pos : frame.total;

                if (here < frame.total && here < NOTED_BYTES_MAX)
                    break;
                server_messages[frame.type].note(s, data + pos, here);
            } else if (server_messages[frame.type].tracked) {
                sess_track_server(&s->track, frame.type);
            }
            COUNT(counters->from_server_messages[frame.type], 1);
            pos += done;
            from->left = frame.total - done;
        }
        part = from->left < len - pos ? from->left : len - pos;
        from->left -= part;
        pos += part;
    }
    pass_to_client(s, data, pos);
    if (s->worker->draining)
        sess_drain(s);
    return pos;
}

/* ---- an end that the client did not ask for ---- */

/* Nothing is under way on either side: a client of the database at its safe point, or one of the
 * console between two questions. */
static bool at_rest(const struct sess *s)
{
    bool buffered = s->client.in.len || s->client.left || s->server.left;

    if (s->state == SESS_CONSOLE)
        return !s->console.waiting && !buffered;
    return s->state == SESS_RELAY && sess_track_safe(&s->track) && !s->track.loose && !buffered;
}

static void dismiss(struct sess *s, const struct err *why)
{
    struct buf out = {0};

    if (s->state == SESS_RELAY) {
        wire_put_terminate(&out);
        sess_send(s, &s->server, out.data, out.len);
        buf_fini(&out);
    }
    sess_fail(s, why);
}

/* Its login is under way, and nothing else: it would be dismissed as soon as that is over. */
static bool is_logging_in(const struct sess *s)
{
    return sess_state_rows[s->state].logging_in && s->purpose != SESS_FOR_CANCEL;
}

void sess_drain(struct sess *s)
{
    struct err err = {0};

    if (s->state == SESS_STARTUP || s->state == SESS_CLIENT_TLS) {
        sess_close(s);
    } else if (at_rest(s) || is_logging_in(s)) {
        err_set(&err, "57P01", "terminating connection due to administrator command");
        dismiss(s, &err);
    }
}

void sess_idle_check(struct sess *s)
{
    int64_t idle_us = s->worker->now_us - READ(s->idle_us);
    struct err err = {0};

    if (idle_us < (int64_t)sess_limits(s)->idle_timeout_s * 1000000 || !at_rest(s) ||
        s->client.out.len)
        return;
    COUNT(s->worker->counters.idle_ended, 1);
    err_set(&err, "57P05", "terminating connection due to idle-session timeout");
    err_hint(&err, "option idle_timeout_s of segue");
    dismiss(s, &err);
}
