/* WITH, and what of a query is told to those who name its columns. Private to the sql layer. */
#ifndef SEGUE_SQL_WITH_H
#define SEGUE_SQL_WITH_H

#include "scope.h"

/* Walks the CTEs of a WITH clause (NULL: none), and adds them to `scope`. */
void sql_with(struct sql_work *w, struct sql_scope *scope, const struct sql_node *with);

/* Where `select` is the query of a recursive CTE of `scope` (NULL: none) and its first branch was
 * walked last, that says what the columns are called: the other branch may name them. */
void sql_with_first_branch(struct sql_work *w, struct sql_scope *scope,
                           const struct sql_node *select);

/* What a list of targets, or RETURNING, shows: w->width and w->shows. */
void sql_with_shows(struct sql_work *w, struct sql_scope *scope, const struct sql_node *targets);

/* The same of a query that is no set operation. */
void sql_with_shows_query(struct sql_work *w, struct sql_scope *scope,
                          const struct sql_node *select);

#endif
