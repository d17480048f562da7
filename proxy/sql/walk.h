/* What the rooms of the walk call of each other. Private to the sql layer. */
#ifndef SEGUE_SQL_WALK_H
#define SEGUE_SQL_WALK_H

#include "scope.h"

/* An expression, or a list; flags as in name.h. */
void sql_walk_node(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                   unsigned flags);

/* A SelectStmt (NULL: nothing), seen from inside `outer`. w->width is that of it. */
void sql_walk_select(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node);

/* Statements that write, of a text or in a WITH; `outer` likewise, NULL: none. */
void sql_walk_insert(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node);
void sql_walk_update(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node);
void sql_walk_delete(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node);
void sql_walk_merge(struct sql_work *w, struct sql_scope *outer, const struct sql_node *node);

/* ROW() and the rows of VALUES: a star among them is as many values as it has columns. */
void sql_walk_row(struct sql_work *w, struct sql_scope *scope, const struct sql_node *values,
                  unsigned flags);

/* One of a text's, or the one in an EXPLAIN and the like. */
void sql_walk_statement(struct sql_work *w, const struct sql_node *stmt);

#endif
