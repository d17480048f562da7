/* The FROM of a level: its places, its join conditions. Private to the sql layer. */
#ifndef SEGUE_SQL_FROM_H
#define SEGUE_SQL_FROM_H

#include "scope.h"

/* Adds the place or places of one item; sub-selects and arguments in it are walked. */
void sql_from_add(struct sql_work *w, struct sql_scope *scope, const struct sql_node *item);

/* The whole clause. */
void sql_from_add_all(struct sql_work *w, struct sql_scope *scope, const struct sql_node *list);

/* Walks the join conditions. They see the places of both their sides, and no others of the level.
 * *at counts the places up to here. */
void sql_from_conditions(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                         size_t *at);

#endif
