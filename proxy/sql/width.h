/*
 * How many columns a query has, as the session sees them. Private to the sql layer.
 *
 * Stars are counted where their places are known, at the end of each level (walk.c); sub-selects
 * and CTEs keep the number for what is around them. What the text and the rules do not say (other
 * relations, functions) is SQL_WIDTH_UNKNOWN.
 */
#ifndef SEGUE_SQL_WIDTH_H
#define SEGUE_SQL_WIDTH_H

#include "scope.h"

/* x.*, (x).*, *: more than one value, perhaps. */
bool sql_is_star(const struct sql_node *expr);

/* Of a list of ResTargets, at the end of its level. */
size_t sql_width_of_targets(struct sql_work *w, struct sql_scope *scope,
                            const struct sql_node *targets);

/* Of one row of VALUES. */
size_t sql_width_of_row(const struct sql_node *values);

/* Of a function in FROM that says its columns: a list with types, XMLTABLE. */
size_t sql_width_of_function(const struct sql_node *function);

/* Of a CommonTableExpr whose query has `width` columns: SEARCH and CYCLE add some. */
size_t sql_width_of_cte(const struct sql_node *cte, size_t width);

#endif
