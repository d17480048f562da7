/*
 * What the server's answers become while statements are rewritten: those to segue's own messages
 * stay hidden, errors are told as of the client's text, and what failed is undone.
 */
#include <stdlib.h>
#include <string.h>

#include "meaning.h"
#include "rewriting.h"
#include "segue/wire/build.h"
#include "shown.h"
#include "worker.h"

/* ---- what failed, or was never read ---- */

static void undo_name(struct sess *s, const struct sess_flight *flight, bool read)
{
    const struct sess_statement *named = flight->statement ? flight->statement : flight->before;

    if (!named->name[0]) {
        sess_statement_unref(s->unnamed); /* a Parse drops the unnamed one first */
        s->unnamed = read ? NULL : sess_statement_ref(flight->before);
        return;
    }
    if (!s->statements || sess_statements_find(s->statements, named->name) != flight->statement)
        return; /* all were dropped since */
    if (flight->before)
        sess_statements_set(s->statements, flight->before);
    else
        sess_statements_remove(s->statements, named->name);
}

static void undo(void *ctx, const struct sess_flight *flight, bool read)
{
    if (flight->hidden) {
        if (flight->statement)
            flight->statement->lost = flight->statement->stale = true;
    } else if (flight->statement || flight->before) {
        undo_name(ctx, flight, read);
    }
}

/* ---- answers ---- */

/* What the server has answered to segue's own; all but an error stays hidden. No server says so
 * much there that it would be too long. */
static bool is_hidden(const struct sess_flight *head, const struct wire_frame *frame)
{
    return head && frame->total <= SESS_FAILED_BYTES_MAX &&
           ((head->hidden && memchr("123CINZ", frame->type, 7)) ||
            (head->again && frame->type == 'Z'));
}

/* The client has heard a notice about its statement when it prepared that. */
static enum sess_answer answer_hidden(const struct wire_frame *frame, const char *msg)
{
    bool ends_all = frame->type == 'N' && sess_sent_ends_all(msg, frame->total);

    return ends_all ? SESS_ANSWER_PASS : SESS_ANSWER_HIDE;
}

/* Errors about a text that was planned, where they may also be about arguments. */
static bool is_about_arguments(const char *msg, size_t total)
{
    static const char *const planned[] = {"42703", "42P01", "42883", "42704", "42702", "42725"};
    struct wire_error error;

    if (wire_read_error(msg, total, &error) != RC_OK)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(planned); i++)
        if (strcmp(error.sqlstate, planned[i]) == 0)
            return false;
    return true;
}

/* What is in front of a Query, or its other text, has failed: kept for what the Query fails with.
 */
static enum sess_answer keep_failure(struct sess *s, const struct sess_flight *head,
                                     const char *msg, size_t total)
{
    buf_reset(&s->failed);
    if (!head->sent || !sess_sent_error(head->sent, msg, total, &s->failed))
        buf_append(&s->failed, msg, total);
    return SESS_ANSWER_HIDE;
}

/* The statement is not there, or the transaction has failed: for want of what was prepared? */
static bool fails_so(const char *msg, size_t total)
{
    struct wire_error error;

    return wire_read_error(msg, total, &error) == RC_OK &&
           (strcmp(error.sqlstate, "26000") == 0 || strcmp(error.sqlstate, "25P02") == 0);
}

/* Has the server refused the text itself, before it did anything? Such errors say where in the text
 * (or, of a privilege, come before the first row), and do not come from within a function. */
static bool is_about_text(const struct wire_error *error)
{
    bool early = *error->position || strcmp(error->sqlstate, "42501") == 0;

    return strncmp(error->sqlstate, "42", 2) == 0 && early && !*error->context;
}

/* Is it about a word of the client's? */
static bool is_own(const struct sess_sent *sent, const struct wire_error *error)
{
    unsigned long position = strtoul(error->position, NULL, 10);

    return *error->position && position <= UINT32_MAX &&
           sql_rewrite_is_own(&sent->rewrite, (uint32_t)position);
}

/* Is something not there, or not allowed, that segue has named? What else a text can be refused for
 * is the client's own mistake, which hidden columns might mend. */
static bool is_about_added(const struct sess_sent *sent, const struct wire_error *error)
{
    static const char *const codes[] = {"42703", "42P01", "42501"};
    bool added = false;

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        added = added || strcmp(error->sqlstate, codes[i]) == 0;
    return added && !is_own(sent, error);
}

/* Does the client's own text mean what it says, but that it may show hidden columns? */
static bool means_itself(const struct sess_sent *sent)
{
    const struct sql_rewrite *rewrite = &sent->rewrite;

    return !rewrite->positional && !rewrite->by_columns && !rewrite->verdict.columns &&
           (!rewrite->stars || sess_meaning_reads(sent->text, sent->text_len));
}

/* Perhaps somebody has changed the table since the rules were made: they are to be made anew. And
 * where nothing else depends on it, the client's own text shall decide. Where that fails, too, the
 * error was told of better the first time: hidden columns were hidden. */
static bool ask_again(struct sess *s, const struct sess_flight *head, const char *msg, size_t total)
{
    const struct sess_sent *sent = head->sent;
    struct wire_error error;
    struct buf own = {0};

    if (msg[0] != 'E' || sent->answer.len || wire_read_error(msg, total, &error) != RC_OK ||
        !is_about_text(&error))
        return false;
    sess_ask_for_rules(s);
    if (head->kind != SESS_FLIGHT_QUERY || head->executes || head->answered || head->fed ||
        s->client.left || s->client.ended || sess_pipeline_at(s->pipeline, 1) ||
        s->track.status != 'I' || !is_about_added(sent, &error) || !means_itself(sent) ||
        memchr(sent->text, ';', sent->text_len ? sent->text_len - 1 : 0))
        return false;
    wire_put_query(&own, sent->text, sent->text_len);
    sess_send(s, &s->server, own.data, own.len);
    buf_fini(&own);
    sess_namings_unsent(s->namings);
    keep_failure(s, head, msg, total);
    sess_pipeline_again(s->pipeline);
    COUNT(s->worker->counters.sent_again, 1);
    return true;
}

/* What the server has of a prepared statement names a column that is not there any more, or not in
 * the relation that a name means now, in place of the client's star. */
static bool is_changed(const struct sess_flight *head, const char *msg, size_t total)
{
    struct wire_error error;

    return msg[0] == 'E' && !head->executes && !head->sent->answer.len &&
           (head->kind == SESS_FLIGHT_BIND || head->kind == SESS_FLIGHT_DESCRIBE) &&
           wire_read_error(msg, total, &error) == RC_OK && strcmp(error.sqlstate, "42703") == 0 &&
           is_about_text(&error) && !is_own(head->sent, &error);
}

static enum sess_answer tell_changed(struct sess *s)
{
    struct err err = {0};

    sess_changed_error(s, &err);
    wire_put_error_of(&s->worker->instead, "ERROR", &err, SESS_CHANGED_ROUTINE);
    return SESS_ANSWER_INSTEAD;
}

static enum sess_answer answer_error(struct sess *s, const struct sess_flight *head,
                                     const struct wire_frame *frame, const char *msg)
{
    if (frame->type == 'E' && sess_sent_ends_all(msg, frame->total))
        return SESS_ANSWER_PASS;
    if (head->sent && ask_again(s, head, msg, frame->total))
        return SESS_ANSWER_HIDE;
    if (head->quiet && frame->type == 'E')
        return keep_failure(s, head, msg, frame->total);
    if (head->kind == SESS_FLIGHT_QUERY && s->failed.len && frame->type == 'E' &&
        (head->second ? !head->answered : fails_so(msg, frame->total))) {
        buf_append(&s->worker->instead, s->failed.data, s->failed.len);
        return SESS_ANSWER_INSTEAD;
    }
    if (head->sent && is_changed(head, msg, frame->total))
        return tell_changed(s);
    if (!head->sent || (head->arguments && is_about_arguments(msg, frame->total)) ||
        !sess_sent_error(head->sent, msg, frame->total, &s->worker->instead))
        return SESS_ANSWER_PASS;
    return SESS_ANSWER_INSTEAD;
}

/* Of the message as the client is to get it. */
static enum sess_answer name_as_shown(struct sess *s, const char *msg, size_t total,
                                      enum sess_answer answer)
{
    struct buf *instead = &s->worker->instead, named = {0};

    if (answer == SESS_ANSWER_INSTEAD) {
        msg = instead->data;
        total = instead->len;
    }
    if (answer == SESS_ANSWER_HIDE ||
        !sess_shown_error(sess_rules(s), s->recodes, msg, total, &named))
        return answer;
    buf_reset(instead);
    buf_append(instead, named.data, named.len);
    buf_fini(&named);
    return SESS_ANSWER_INSTEAD;
}

enum sess_answer sess_rewrite_answer(struct sess *s, const struct wire_frame *frame,
                                     const char *msg, size_t avail)
{
    const struct sess_flight *head = sess_pipeline_head(s->pipeline);
    enum sess_answer answer = SESS_ANSWER_PASS;
    bool shows = frame->type == 'E' && sql_rules_shows(sess_rules(s)), about;
    bool hidden = is_hidden(head, frame);

    if (hidden) {
        if (avail < frame->total)
            return SESS_ANSWER_MORE; /* what is not there cannot be left out */
        if (head->again) {
            sess_pipeline_failed_ready(s->pipeline);
            return SESS_ANSWER_HIDE;
        }
        answer = answer_hidden(frame, msg);
    } else if (frame->type == 'Z') {
        buf_fini(&s->failed);
    } else if (head && head->quiet && frame->type == 'E' && frame->total > SESS_FAILED_BYTES_MAX) {
        buf_reset(&s->failed);
        sess_sent_cut(msg, avail, &s->failed);
        if (!sess_sent_ends_all(s->failed.data, s->failed.len))
            answer = SESS_ANSWER_DROP;
    }
    about = head && !hidden && (head->sent || head->quiet || s->failed.len) &&
            (frame->type == 'E' || frame->type == 'N');
    if ((about || shows) && frame->total <= SESS_FAILED_BYTES_MAX) {
        if (avail < frame->total)
            return SESS_ANSWER_MORE;
        if (about)
            answer = answer_error(s, head, frame, msg);
        if (shows)
            answer = name_as_shown(s, msg, frame->total, answer);
    }
    sess_pipeline_server(s->pipeline, frame->type, undo, s);
    return answer;
}
