#include "asking.h"

#include <stdlib.h>
#include <string.h>

#include "path.h"
#include "segue/base/mem.h"
#include "segue/sql/path.h"
#include "segue/wire/build.h"
#include "segue/wire/read.h"
#include "worker.h"

#define NAME "segue~asks"

bool sess_may_ask(const struct sess *s)
{
    const struct sess_track *t = &s->track;

    return s->state == SESS_RELAY && sess_track_between(t) && !t->opened && !t->loose &&
           t->copy == SESS_COPY_NONE && !s->server.left && sess_rewriting(s) &&
           sess_pipeline_empty(s->pipeline);
}

/* With the extended protocol: a simple query would drop the client's unnamed statement. A walsender
 * has none, and takes nothing but simple queries. */
static uint8_t put_question(const struct sess *s, struct buf *out)
{
    const struct sess_question *q = s->question;

    if (s->walsender) {
        wire_put_query(out, q->text, q->len);
        return 'Q';
    }
    wire_put_close_statement(out, NAME);
    wire_put_parse(out, NAME, q->text, q->len, "", 0);
    wire_put_run(out, NAME, NAME);
    wire_put_close_statement(out, NAME);
    wire_put_sync(out);
    return 'S';
}

void sess_ask(struct sess *s, const struct sess_question *question)
{
    s->question = question;
    sess_track_client(&s->track, put_question(s, &s->worker->instead));
}

/* What is cancelled waits as if for a standby, for no time: it is answered from there. */
bool sess_asks(struct sess *s)
{
    bool cancelled = s->cancelled && !s->question && s->state == SESS_RELAY;

    if (s->question && s->state == SESS_RELAY)
        sess_move(s, SESS_PENDING);
    if (cancelled) {
        sess_move(s, SESS_BEHIND);
        sess_deadline(s, s->worker->now_us);
    }
    return s->question || cancelled;
}

/* ---- its answer ---- */

/* It is not kept. A row that is so long is none; of an error its beginning says what it is. */
static enum sess_answer answer_long(struct sess *s, const struct wire_frame *frame, const char *msg,
                                    size_t avail)
{
    struct buf cut = {0};
    bool ends_all;

    if (frame->type != 'E')
        return SESS_ANSWER_DROP;
    sess_sent_cut(msg, avail, &cut);
    ends_all = sess_sent_ends_all(cut.data, cut.len);
    if (!ends_all && s->question->failed)
        s->question->failed(s, cut.data, cut.len);
    buf_fini(&cut);
    return ends_all ? SESS_ANSWER_PASS : SESS_ANSWER_DROP;
}

enum sess_answer sess_ask_answer(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail)
{
    static const uint8_t others[256] = {['S'] = 1, ['A'] = 1}; /* come at any time */
    const struct sess_question *question = s->question;

    if (others[frame->type])
        return SESS_ANSWER_PASS;
    if (frame->total > SESS_FAILED_BYTES_MAX && frame->type != 'Z')
        return answer_long(s, frame, msg, avail);
    if (avail < frame->total)
        return SESS_ANSWER_MORE;
    if ((frame->type == 'E' || frame->type == 'N') && sess_sent_ends_all(msg, frame->total))
        return SESS_ANSWER_PASS;
    if (frame->type == 'D')
        question->row(s, msg, frame->total);
    if (frame->type == 'E' && question->failed)
        question->failed(s, msg, frame->total);
    if (frame->type == 'Z') {
        s->question = NULL;
        sess_track_ready(&s->track, frame->total == 6 ? msg[5] : 'E');
        question->over(s);
    }
    return SESS_ANSWER_HIDE;
}

/* A timeout has the same SQLSTATE, and none of its own to tell it by: only the text, which may be
 * in another language. Then it is none; a request that came through here is known without it. */
enum sess_stopped sess_question_stopped(const char *msg, size_t total)
{
    struct wire_error error;

    if (wire_read_error(msg, total, &error) != RC_OK)
        return SESS_STOPPED_NOT;
    if (!strcmp(error.sqlstate, SESS_CANCELLED))
        return !strcmp(error.text, SESS_CANCELLED_TEXT) ? SESS_STOPPED_CANCELLED
                                                        : SESS_STOPPED_LATE;
    return !strcmp(error.sqlstate, "55P03") ? SESS_STOPPED_LATE : SESS_STOPPED_NOT;
}

/* ---- its search path ---- */

/* Nothing in it depends on the path that is asked for. */
static const char path_text[] =
    "SELECT setting, reset_val, current_user, "
    "pg_catalog.pg_my_temp_schema()::pg_catalog.regnamespace FROM pg_catalog.pg_settings "
    "WHERE name OPERATOR(pg_catalog.=) 'search_path'";

void sess_path_forget(struct sess *s)
{
    if (sess_path_asking(s->path))
        return;
    sess_path_free(s->path);
    s->path = NULL;
}

/* Can it be followed at all? What functions do to the path only a report tells, what they do to the
 * role nothing. */
static bool can_follow(const struct sess *s, const struct sql_rules *rules)
{
    struct sql_path_hidden hidden;

    if (!sql_path_matters(rules))
        return false;
    hidden = sql_path_hidden(rules);
    return !hidden.role && (!hidden.path || s->reports_path) && s->version.rewrites &&
           !s->odd_strings;
}

static void take_row(struct sess *s, const char *msg, size_t total)
{
    struct wire_value values[4];
    char *texts[ARRAY_LEN(values)] = {NULL};

    if (wire_read_row(msg, total, values, ARRAY_LEN(values)) != RC_OK)
        return;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        texts[i] = values[i].data ? mem_strndup(values[i].data, values[i].len) : NULL;
    sess_path_told_temporary(s->path, texts[3]);
    sess_path_told(s->path, texts[0], texts[1], texts[2]);
    if (s->reports_path && texts[0])
        sess_path_reported(s->path, texts[0]);
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        free(texts[i]);
}

static void path_failed(struct sess *s, const char *msg, size_t total)
{
    enum sess_stopped stopped = sess_question_stopped(msg, total);

    if (stopped == SESS_STOPPED_CANCELLED)
        s->cancelled = true;
    else if (stopped == SESS_STOPPED_LATE)
        sess_path_late(s->path);
}

static void path_over(struct sess *s)
{
    sess_path_asked(s->path);
    if (s->cancelled)
        sess_path_ask_again(s->path);
}

static const struct sess_question path_question = {path_text, sizeof(path_text) - 1, take_row,
                                                   path_failed, path_over};

bool sess_path_waits(struct sess *s)
{
    if (!can_follow(s, sess_rules(s))) {
        if (s->path)
            sess_path_forget(s);
        return false;
    }
    if (!s->path)
        s->path = sess_path_new();
    if (!sess_path_wanted(s->path, sess_rules(s)) || !sess_track_safe(&s->track) ||
        !sess_may_ask(s))
        return false;
    COUNT(s->worker->counters.paths_asked, 1);
    sess_path_ask(s->path, sess_rules(s));
    sess_ask(s, &path_question);
    sess_move(s, SESS_PENDING);
    return true;
}
