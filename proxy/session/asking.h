/*
 * The server is asked in the session itself, between two messages of the client: which search path
 * the session has (path.h), how far a standby has replayed (behind.h). Private to this layer.
 *
 * Only where nothing is outstanding. The client's message waits for the answer; the client sees
 * nothing of it. One round trip.
 */
#ifndef SEGUE_SESSION_ASKING_H
#define SEGUE_SESSION_ASKING_H

#include "rewriting.h"
#include "session.h"

#define SESS_CANCELLED "57014" /* query_canceled */
#define SESS_CANCELLED_TEXT "canceling statement due to user request"

struct sess_question {
    const char *text;
    size_t len;
    void (*row)(struct sess *s, const char *msg, size_t total);    /* DataRow */
    void (*failed)(struct sess *s, const char *msg, size_t total); /* ErrorResponse; or NULL */
    void (*over)(struct sess *s);                                  /* ReadyForQuery */
};

/* The message that is about to be looked at can wait for it: nothing else is under way. */
bool sess_may_ask(const struct sess *s);
/* Into worker->instead: it goes out behind what the client has sent in front of that message, and
 * the message stops there. *question is static: it is kept. */
void sess_ask(struct sess *s, const struct sess_question *question);
bool sess_asks(struct sess *s); /* true: the client's message is to wait, the state has moved */

/* An answer of the server, of which `avail` bytes are there, while it is asked. */
enum sess_answer sess_ask_answer(struct sess *s, const struct wire_frame *frame, const char *msg,
                                 size_t avail);

/* Did an ErrorResponse end the question for a reason that is not its own? */
enum sess_stopped {
    SESS_STOPPED_NOT,
    SESS_STOPPED_CANCELLED, /* somebody means the statement that waits for it */
    SESS_STOPPED_LATE,      /* a statement_timeout or lock_timeout of the session: nobody does */
};
enum sess_stopped sess_question_stopped(const char *msg, size_t total);

/* Of the search path: only while a migrating table has a namesake, only at a safe point, and only
 * until it is known. A client's message is about to be looked at. True: it is to wait; the state
 * has moved. */
bool sess_path_waits(struct sess *s);

/* The session has a path, and statements are not looked at from here on. */
void sess_path_forget(struct sess *s);

#endif
