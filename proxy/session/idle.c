/*
 * What passes as it is, and is remembered for a migration that may come: texts of statements that
 * are prepared now and used later.
 */
#include "idle.h"

#include <string.h>

#include "names.h"
#include "rewriting.h"
#include "segue/wire/read.h"
#include "worker.h"

/* The first word of a text is looked for in so much of its message. */
#define FIRST_WORD_BYTES_MAX 256

/* So long an unnamed Parse is waited for until it is whole. */
#define UNNAMED_BYTES_MAX 4096

enum rc sess_look_whole(const struct sess *s, const struct wire_frame *frame, size_t avail)
{
    if (frame->total > sess_limits(s)->inspect_bytes_max)
        return RC_ERR;
    return avail < frame->total ? RC_AGAIN : RC_OK;
}

/* ---- Parse ---- */

static void remember_named(struct sess *s, const struct sess_parse *parse)
{
    if (!s->statements)
        s->statements = sess_statements_new(sess_limits(s)->statements_bytes_max);
    sess_statements_put(s->statements, parse, sess_rewriting_clock(s));
}

bool sess_parse_is_alone(const char *behind, size_t len)
{
    struct wire_frame frame;

    while (wire_frame_read(behind, len, &frame) == RC_OK && frame.total <= len &&
           (frame.type == 'D' || frame.type == 'H')) {
        behind += frame.total;
        len -= frame.total;
    }
    return !len || *behind != 'B';
}

/* Would the server read what comes now? */
static bool is_read(const struct sess *s)
{
    return !s->track.skipping && (!s->pipeline || sess_pipeline_reads(s->pipeline));
}

void sess_remember_dropped(struct sess *s)
{
    if (s->unnamed && is_read(s))
        sess_statement_unref(sess_name_means(s, "", NULL));
}

static void remember_unnamed(struct sess *s, const struct sess_parse *parse)
{
    struct sess_statement *statement;

    sess_remember_dropped(s);
    if (!parse->alone || s->pipeline)
        return;
    statement = sess_statement_new(parse);
    statement->sent_epoch = sess_rewriting_clock(s);
    statement->told = true;
    s->unnamed_ask = s->track.asked + 1;
    sess_name_means(s, "", statement);
    sess_statement_unref(statement);
}

void sess_remember(struct sess *s, const struct sess_parse *parse)
{
    if (is_read(s))
        (parse->name[0] ? remember_named : remember_unnamed)(s, parse);
}

/* The whole message. */
static void read_and_remember(struct sess *s, const struct wire_frame *frame, const char *msg)
{
    struct wire_parse read;

    if (wire_read_parse(msg, frame->total, &read) == RC_OK)
        sess_remember(s, &(struct sess_parse){.name = read.name,
                                              .text = read.text,
                                              .text_len = read.text_len,
                                              .types = read.types,
                                              .ntypes = read.nparams,
                                              .alone = !read.name[0]});
}

/* ---- without rules ---- */

static enum sess_look look_parse(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail)
{
    enum rc rc = sess_look_whole(s, frame, avail);

    if (rc == RC_AGAIN)
        return SESS_LOOK_MORE;
    if (rc == RC_OK)
        read_and_remember(s, frame, msg);
    return SESS_LOOK_PASS;
}

/* A Query, or an unnamed Parse, whose text begins at msg[at]. What is prepared by
 * SQL is remembered as well. */
static enum sess_look look_names(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail, size_t at)
{
    size_t here = avail < frame->total ? avail : frame->total, len;
    struct sess_names names;

    if (here <= at)
        return here < frame->total ? SESS_LOOK_MORE : SESS_LOOK_PASS;
    if (!sess_names_byte((uint8_t)msg[at]))
        return SESS_LOOK_PASS;
    if (here < frame->total && here < FIRST_WORD_BYTES_MAX)
        return SESS_LOOK_MORE;
    if (!sql_named_first(msg + at, here - at) || sess_look_whole(s, frame, avail) == RC_ERR)
        return SESS_LOOK_PASS;
    if (here < frame->total)
        return SESS_LOOK_MORE;
    len = strnlen(msg + at, here - at);
    sess_names_read(s, msg + at, len, &names);
    sess_names_pass(s, msg + at, len, &names, NULL);
    return SESS_LOOK_PASS;
}

/* Drivers that send the Bind with their Parse pay nothing: no rules come between the two. One that
 * is long, and not here in one piece, is not waited for. */
static enum sess_look look_unnamed(struct sess *s, const struct wire_frame *frame, const char *msg,
                                   size_t avail)
{
    enum sess_look look;

    if (avail < frame->total && frame->total <= UNNAMED_BYTES_MAX)
        return SESS_LOOK_MORE;
    look = look_names(s, frame, msg, avail, WIRE_HEADER_BYTES + 1);
    if (look != SESS_LOOK_PASS)
        return look;
    s->unnamed_epoch = SESS_NOT_LOOKED;
    sess_remember_dropped(s);
    if (sess_look_whole(s, frame, avail) == RC_OK &&
        sess_parse_is_alone(msg + frame->total, avail - frame->total))
        read_and_remember(s, frame, msg);
    return look;
}

enum sess_look sess_look_idle(struct sess *s, const struct wire_frame *frame, const char *msg,
                              size_t avail)
{
    if (frame->type == 'Q') {
        sess_remember_dropped(s);
        return look_names(s, frame, msg, avail, WIRE_HEADER_BYTES);
    }
    if (avail <= WIRE_HEADER_BYTES)
        return frame->total > WIRE_HEADER_BYTES ? SESS_LOOK_MORE : SESS_LOOK_PASS;
    return (msg[WIRE_HEADER_BYTES] == '\0' ? look_unnamed : look_parse)(s, frame, msg, avail);
}
