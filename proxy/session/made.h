/*
 * What a session has made, perhaps, and the rules do not know yet: relations that have names of
 * migrating tables, or columns called as theirs. Private to this layer.
 *
 * Noted when a text passes; true until rules come that were read behind its transaction.
 */
#ifndef SEGUE_SESSION_MADE_H
#define SEGUE_SESSION_MADE_H

#include "session.h"

/* Names of tables that may mean a relation which the session has made, and the rules do not know.
 */
struct sql_taken sess_shadowed(const struct sess *s);

/* Tables whose name may mean one that a text has made without saying so. */
uint64_t sess_unseen(const struct sess *s);

/* May it have made relations with columns of which the rules would have to know? */
bool sess_unlisted(const struct sess *s);

/* May it have made what writes, or what an expression calls, and the rules do not know? */
bool sess_fickle(const struct sess *s);

/* The same of a text that is about to pass; v->opaque is known, `first` its first word. Of a SELECT
 * that names a table of the rules its tree says it. */
bool sess_makes_columns(const struct sess *s, enum sql_first first, const char *text, size_t len,
                        const struct sql_verdict *v, bool several);

bool sess_makes_fickle(const struct sess *s, enum sql_first first, const char *text, size_t len,
                       const struct sql_verdict *v, bool several);

/* A text has passed. rewrite NULL: it names no table of the rules. `within` a transaction. */
void sess_made_note(struct sess *s, const struct sql_verdict *v, const struct sql_rewrite *rewrite,
                    bool within);

#endif
