/*
 * What the server was sent in place of a client's text, and what its errors become. Pure; shared by
 * reference count within a worker: by the prepared statement and by what is in flight.
 */
#ifndef SEGUE_SESSION_SENT_H
#define SEGUE_SESSION_SENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/buf.h"
#include "segue/sql/rewrite.h"

struct sess_sent {
    unsigned refs;
    size_t bytes; /* of memory */
    /* An ErrorResponse for the one that the text sent is there to provoke; empty: a real rewrite.
     */
    struct buf answer;
    struct sql_rewrite rewrite; /* without its verdict */
    size_t text_len;
    char text[]; /* the client's, NUL-terminated */
};

/* A rewrite with a text, of the client's `text`. One reference, the caller's. */
struct sess_sent *sess_sent_new(const struct sql_rewrite *rewrite, const char *text, size_t len);
/* The same; it takes the rewrite's text and splices. */
struct sess_sent *sess_sent_take(struct sql_rewrite *rewrite, const char *text, size_t len);

/* What was sent is refused by the server's parser; `answer` (its memory is taken) goes to the
 * client. */
struct sess_sent *sess_sent_refusal_take(struct buf *answer);

/* Is it what the rules want now, a rewrite with a text or NULL for the client's own? Either may be
 * NULL. */
bool sess_sent_is(const struct sess_sent *sent, const struct sql_rewrite *rewrite);

struct sess_sent *sess_sent_ref(struct sess_sent *sent); /* NULL stays NULL, as below */
void sess_sent_unref(struct sess_sent *sent);

/* Appends to `out` what the client gets for an ErrorResponse or NoticeResponse about the text sent.
 * False: the message as it is. */
bool sess_sent_error(const struct sess_sent *sent, const char *msg, size_t total, struct buf *out);

/* Appends to `out` an ErrorResponse that is too long to be kept, of which `avail` bytes are there:
 * its first fields, the last of them cut short. */
void sess_sent_cut(const char *msg, size_t avail, struct buf *out);

/* Does an ErrorResponse end the connection? Then it is the client's to hear, whatever was in
 * flight.
 */
bool sess_sent_ends_all(const char *msg, size_t total);

#endif
