/*
 * Statements over `inspect_bytes_max`: they pass unread, but that an INSERT without a list of
 * columns gets one by its first row (sql/head.h). Where that row is too long itself, it would be
 * guessed what the values are for: it is refused. Private to this layer.
 */
#ifndef SEGUE_SESSION_HEAD_H
#define SEGUE_SESSION_HEAD_H

#include "session.h"

enum sess_head {
    SESS_HEAD_NONE,    /* it passes as it is */
    SESS_HEAD_AWAITED, /* more of the message is needed to tell */
    SESS_HEAD_THERE,   /* another one may have to stand in its place */
};

/* Of a Query or a Parse that is too long, of which `avail` bytes are there. */
enum sess_head sess_head_find(struct sess *s, const struct wire_frame *frame, const char *msg,
                              size_t avail);

/* Puts such a message in flight, once it may pass: PASS, or INSTEAD (session.h). What stands in
 * front of it in worker->instead stays there. */
enum sess_look sess_head_pass(struct sess *s, const struct wire_frame *frame, const char *msg,
                              size_t avail);

#endif
