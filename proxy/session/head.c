#include "head.h"

#include <string.h>

#include "pipeline.h"
#include "rewriting.h"
#include "segue/sql/head.h"
#include "segue/wire/build.h"
#include "version.h"
#include "worker.h"

/* Names of a statement and of a table are looked for in so many bytes. */
#define TARGET_BYTES_MAX 4096

struct unread {
    const char *text; /* so much of it as is here, and is looked at */
    size_t len;
    size_t at; /* in the message */
    enum rc found;
    struct sql_head head;
};

static void find(const struct sess *s, const struct wire_frame *frame, const char *msg,
                 size_t avail, struct unread *u)
{
    size_t most = sess_limits(s)->inspect_bytes_max, here = avail < most ? avail : most;
    const char *nul;

    *u = (struct unread){.at = WIRE_HEADER_BYTES, .found = RC_ERR};
    if (frame->type == 'P') {
        nul = memchr(msg + u->at, '\0', here - u->at);
        u->at = nul ? (size_t)(nul - msg) + 1 : here;
    }
    u->text = msg + u->at;
    u->len = here - u->at;
    if (sess_rules(s))
        u->found = sql_head_find(u->text, u->len, &u->head);
    if (u->found != RC_ERR && u->head.values &&
        !sql_mentions(sess_rules(s), u->text, u->head.values))
        u->found = RC_ERR;
}

/* What comes in small pieces is not read once more for each: for twice as much. */
enum sess_head sess_head_find(struct sess *s, const struct wire_frame *frame, const char *msg,
                              size_t avail)
{
    bool all = avail >= sess_limits(s)->inspect_bytes_max;
    struct unread u;

    if (!all && avail < s->head_awaited)
        return SESS_HEAD_AWAITED;
    s->head_awaited = 0;
    find(s, frame, msg, avail, &u);
    if (u.found == RC_ERR)
        return SESS_HEAD_NONE;
    if (u.found == RC_OK || (all && u.head.values))
        return SESS_HEAD_THERE;
    if (all || (!u.head.values && u.at + u.len >= TARGET_BYTES_MAX))
        return SESS_HEAD_NONE;
    s->head_awaited = 2 * (unsigned)avail;
    return SESS_HEAD_AWAITED;
}

/* `text` in place of the first `bytes` of the client's. */
static void put(struct sess *s, const struct wire_frame *frame, const char *msg,
                const struct unread *u, const struct sql_rewrite *head)
{
    struct sess_worker *w = s->worker;

    buf_append_u8(&w->instead, frame->type);
    buf_append_u32(&w->instead, (uint32_t)(frame->total - 1 - u->head.row + head->len));
    buf_append(&w->instead, msg + WIRE_HEADER_BYTES, u->at - WIRE_HEADER_BYTES);
    buf_append(&w->instead, head->text, head->len);
    w->instead_of = u->at + u->head.row;
}

/* What is still to come of the message goes nowhere. */
static struct sess_sent *refuse(struct sess *s, const struct wire_frame *frame, const char *msg,
                                size_t avail)
{
    struct sess_worker *w = s->worker;
    struct sess_sent *sent;
    struct err err = {0};

    err_set(&err, "54000", "an INSERT without a list of columns is too long for segue to read");
    err_hint(
        &err,
        "Its table migrates, and has columns that you do not see: name those that you mean. Or "
        "raise inspect_bytes_max (%u).",
        sess_limits(s)->inspect_bytes_max);
    buf_reset(&w->text);
    sent = sess_rewrite_refuse(s, "unread", &err, NULL, &w->text);
    if (frame->type == 'Q')
        wire_put_query(&w->instead, w->text.data, w->text.len);
    else
        wire_put_parse(&w->instead, msg + WIRE_HEADER_BYTES, w->text.data, w->text.len, "", 0);
    w->instead_of = avail < frame->total ? avail : frame->total;
    s->client.drops = avail < frame->total;
    return sent;
}

/* The server would only say that the transaction is aborted; let it. Not where what is under way
 * may end that. */
static bool is_aborted(const struct sess *s)
{
    return s->track.status == 'E' && sess_pipeline_empty(s->pipeline);
}

enum sess_look sess_head_pass(struct sess *s, const struct wire_frame *frame, const char *msg,
                              size_t avail)
{
    struct sql_sight_of_session sight;
    struct sess_sent *sent = NULL;
    struct sql_rewrite head;
    struct unread u;

    find(s, frame, msg, avail, &u);
    sess_sight(s, &sight);
    if (u.found == RC_OK && sql_head_rewrite(sess_rules(s), &sight, u.text, &u.head, &head)) {
        if (sess_rewriting_wants(s, &head)) {
            COUNT(s->worker->counters.rewritten, 1);
            sess_speak_of(s, head.verdict.touches);
            put(s, frame, msg, &u, &head);
            sent = sess_sent_take(&head, u.text, u.head.row);
        }
        sql_rewrite_fini(&head);
    } else if (u.found == RC_AGAIN && u.head.values && !is_aborted(s) &&
               sql_head_lacks_list(sess_rules(s), &sight, u.text, &u.head)) {
        sent = refuse(s, frame, msg, avail);
    }
    sess_rewrite_unread(s, frame->type, sent);
    return sent ? SESS_LOOK_INSTEAD : SESS_LOOK_PASS;
}
