/*
 * Sides of prepared statements: what rewriting.c asks while it prepares one. What is called from
 * elsewhere is in rewriting.h. Private to this layer.
 */
#ifndef SEGUE_SESSION_SIDES_H
#define SEGUE_SESSION_SIDES_H

#include "session.h"

/* Of a statement that is prepared now and touches these tables: its session's, while there is one.
 */
enum sql_side sess_side_of(const struct sess *s, uint64_t tables);

/* Its side has gone for good, or is about to. */
bool sess_side_is_lost(const struct sess *s, const struct sess_statement *statement);

#endif
