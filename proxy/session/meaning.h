/*
 * Prepared statements whose names come into doubt, or out of it, or to mean other relations, and
 * those of whose tables somebody changes the columns. Private to this layer.
 *
 * Prepared again, such a statement would give other columns than its client was told, or put values
 * into others. What the server has goes on giving those, or the server itself says that it cannot;
 * where stars are known to stand for other columns, segue says so in its place.
 */
#ifndef SEGUE_SESSION_MEANING_H
#define SEGUE_SESSION_MEANING_H

#include "session.h"
#include "statements.h"

/* As it was judged last. */
enum sess_meaning sess_meaning_of(const struct sess *s, const struct sess_statement *statement);

/* The server gets, or has, what was judged last; what its client was told of the result stays what
 * it was, unless signature is 0. */
void sess_meaning_note(const struct sess *s, struct sess_statement *statement);

/* It is stale: the rules want `wants` (NULL: nothing is known of the text). Where it is to stay
 * what it is, it is not stale any more; where it cannot, it is changed. */
void sess_meaning_keep(const struct sess *s, struct sess_statement *statement,
                       const struct sql_rewrite *wants);

/* Do the columns of a text's result go to the client, and nowhere else? */
bool sess_meaning_reads(const char *text, size_t len);

#endif
