/*
 * The extended query protocol of the console: statements and portals of one client, and answers of
 * simple queries turned into what Describe and Execute want. No parameters. Pure: no socket; the
 * question itself goes through a table of functions.
 *
 * A statement may be asked once to be described and once to be executed, so only questions that can
 * be repeated are let in. Results in binary are made for the types that the console gives: bool,
 * int8, float8, text. Types stay those that Describe has told, also where a later answer has only
 * nulls in a column.
 */
#ifndef SEGUE_SESSION_PREPARED_H
#define SEGUE_SESSION_PREPARED_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

struct sess_asker {
    /* May the text be asked more than once? False with err. */
    bool (*repeatable)(void *ctx, const char *text, struct err *err);
    /* Appends the messages of a simple query's answer. */
    void (*ask)(void *ctx, const char *text, struct buf *out);
    void *ctx;
};

struct sess_prepared;

struct sess_prepared *sess_prepared_new(void);
void sess_prepared_free(struct sess_prepared *set); /* NULL is harmless */

/* Takes one Parse, Bind, Describe, Execute or Close, whole, and appends the answer. False: the
 * answer is an ErrorResponse, and all up to the next Sync is to be skipped. */
bool sess_prepared_take(struct sess_prepared *set, const struct sess_asker *asker, const char *msg,
                        size_t total, struct buf *out);

#endif
