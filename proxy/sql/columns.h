/*
 * What the columns of a query are called: a sub-select's, a CTE's, those of RETURNING, of a
 * function in FROM; and which tables' columns its stars give, so that it can be seen when it would
 * give others. How many they are is width.h's. Private to the sql layer.
 */
#ifndef SEGUE_SQL_COLUMNS_H
#define SEGUE_SQL_COLUMNS_H

#include "scope.h"

/* What a list of targets shows; stars mean the places of `scope`. */
struct sql_shows sql_columns_of_targets(struct sql_work *w, struct sql_scope *scope,
                                        const struct sql_node *targets);

/* The first row of VALUES. */
struct sql_shows sql_columns_of_row(struct sql_work *w, const struct sql_node *values);

/* A CommonTableExpr whose query shows that: by its own list, and with what SEARCH and CYCLE add. */
struct sql_shows sql_columns_of_cte(struct sql_work *w, const struct sql_node *cte,
                                    struct sql_shows shows);

/* A RangeFunction whose functions, as the catalog says, give one value each. One gives a column
 * that is called as its alias is: an element of an array (unnest) is taken for a value, not a row.
 */
struct sql_shows sql_columns_of_function(struct sql_work *w, const struct sql_node *function);

/* Is one of them called so, `renamed` of the first ones aside, which have other names? */
enum sql_has sql_columns_have(const struct sql_work *w, struct sql_shows shows, size_t renamed,
                              const char *column);

/* A statement of this kind was walked: what does it give its client? */
void sql_columns_note(struct sql_work *w, const char *kind, const struct sql_node *stmt);

#endif
