/* Expressions whose value is one of several: CASE, coalesce, greatest, least, nullif, ARRAY[].
 * Private to the sql layer. */
#ifndef SEGUE_SQL_ALIKE_H
#define SEGUE_SQL_ALIKE_H

#include "scope.h"

/* A CoalesceExpr, MinMaxExpr or A_ArrayExpr: `list` of the node are the values. Flags as in
 * name.h. */
void sql_alike_list(struct sql_work *w, struct sql_scope *scope, const struct sql_node *list,
                    unsigned flags);

/* A CaseExpr. */
void sql_alike_case(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                    unsigned flags);

/* An A_Expr: is it nullif of the same row twice? Then it is walked. */
bool sql_alike_nullif(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                      unsigned flags);

#endif
