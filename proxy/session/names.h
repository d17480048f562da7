/*
 * Prepared statements of a session that are made, used and dropped by SQL: PREPARE, EXECUTE,
 * DEALLOCATE, DISCARD ALL. Private to this layer.
 *
 * They are kept among those of Parse, whose names they share; the text of one is its PREPARE. While
 * there are rules every text is asked; without them only one that begins with such a word, by a
 * Query or an unnamed Parse. What else is done is seen by its tag, and counted: a PREPARE so seen
 * is not known, a DEALLOCATE makes all unknown that SQL has prepared.
 */
#ifndef SEGUE_SESSION_NAMES_H
#define SEGUE_SESSION_NAMES_H

#include "segue/sql/named.h"
#include "session.h"

struct sess_names {
    struct sql_names read;
    bool executes;    /* one or more of them is an EXECUTE */
    bool changed;     /* of a statement that cannot be prepared again as it was */
    bool arguments;   /* an error may be about those of an EXECUTE, not about what it executes */
    uint64_t touches; /* of what they execute; SQL_TOUCH_ALL: one of that is not known */
};

/* Without rules: could the first byte begin such a text? */
bool sess_names_byte(uint8_t first);

/* Of a text that names none, as most do; no statement's room for a name is touched. */
void sess_names_none(struct sess_names *out);

/* What the text names. */
void sess_names_read(const struct sess *s, const char *text, size_t len, struct sess_names *out);

/* What it executes is judged by the rules of now. True: something is to be prepared again. */
bool sess_names_judge(struct sess *s, struct sess_names *names);

/* Prepares that again: appended to worker->instead. False: nothing was. `query`: in front of a
 * Query, which ends what was begun. */
bool sess_names_again(struct sess *s, const struct sess_names *names, bool query);

/* What was sent for the one statement that the text executes, and that an error's position is
 * about; NULL: about the text itself, or it cannot be told. */
struct sess_sent *sess_names_about(struct sess *s, struct sess_names *names);

/* The text passes, `sent` in its place (NULL: as it is): what it prepares and drops is on its way.
 */
void sess_names_pass(struct sess *s, const char *text, size_t len, const struct sess_names *names,
                     struct sess_sent *sent);

/* A CommandComplete with this tag, which begins with "PRE", "DEA" or "DIS". */
void sess_names_tag(struct sess *s, const char *tag, size_t len);

#endif
