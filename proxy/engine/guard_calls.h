/*
 * What `up`, `down` and `def` give, as functions of their own that the body of the guard calls. A
 * body is a text, and each session reads it anew: a type that somebody renames, or moves to another
 * schema, would not be found there, and whoever writes would get an error. Of a function with
 * RETURN the server keeps the tree, in which nothing has a name (as it does of WHEN), and puts it
 * in the place of the call. For duals that are `by_trees` alone: those that name something which
 * can get another name.
 *
 * Private to guard*.c.
 */
#ifndef SEGUE_ENGINE_GUARD_CALLS_H
#define SEGUE_ENGINE_GUARD_CALLS_H

#include "segue/engine/plan.h"

/* Of a table whose duals are the caller's own: they say calls from now on, until _fini. */
void guard_calls_init(struct eng_table *table);
void guard_calls_fini(struct eng_table *table);

/* "DROP FUNCTION ...", one statement each, behind those that are there; *n counts them. */
char **guard_calls_drop_sql(const struct eng_table *table, char **sql, size_t *n);

#endif
