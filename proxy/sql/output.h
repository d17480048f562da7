/*
 * Names of output columns, by which ORDER BY, DISTINCT ON and GROUP BY may call them. Private to
 * the sql layer.
 *
 * In ORDER BY and DISTINCT ON a name alone is an output column's first, in GROUP BY a column's
 * (PostgreSQL: findTargetlistEntrySQL92). What is an output column's needs no edit: the outputs
 * are what they are where the other side's columns are not there.
 */
#ifndef SEGUE_SQL_OUTPUT_H
#define SEGUE_SQL_OUTPUT_H

#include "scope.h"

/* How the server calls the output column of a ResTarget's value that has no AS
 * (FigureColname). NULL: it is not known here. */
const char *sql_output_figured(const struct sql_work *w, const struct sql_node *val);

/* The ResTarget that a ColumnRef (NULL: none) calls by its name. *number (may be NULL): which
 * output column that is, from 1; 0: nobody can count so far (a star). NULL: none. */
const struct sql_node *sql_output_named(const struct sql_work *w, const struct sql_node *ref,
                                        const struct sql_node *targets, size_t *number);

/* The items of DISTINCT ON, or of ORDER BY (SortBy), of a query with these targets. */
void sql_output_sorts(struct sql_work *w, struct sql_scope *scope, const struct sql_node *list,
                      const struct sql_node *targets);

/* The items of GROUP BY, with those of ROLLUP and the like, and of lists in brackets. */
void sql_output_groups(struct sql_work *w, struct sql_scope *scope, const struct sql_node *list,
                       const struct sql_node *targets);

#endif
