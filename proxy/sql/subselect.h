/*
 * A table becomes a sub-select of what the session sees, under the same alias: `checks c` is
 * `(SELECT id, claim_text FROM checks) c`. Which ones, star.c and name.c say (`wrap` of a place),
 * or a whole row that is asked for (record.h). Private to the sql layer.
 */
#ifndef SEGUE_SQL_SUBSELECT_H
#define SEGUE_SQL_SUBSELECT_H

#include "scope.h"

/* At the end of a query level: makes sub-selects of the places that need it, and rows in place.
 * `select`: the SelectStmt whose level it is; NULL: of another statement. */
void sql_subselect_put(struct sql_work *w, struct sql_scope *scope, const struct sql_node *select);

/* The tokens of a relation, without its alias: ONLY s.t, ONLY (t), t *. False: others. */
bool sql_subselect_tokens(const struct sql_work *w, const struct sql_node *range, size_t *first,
                          size_t *last);

#endif
