/* How many columns a query has, as the session sees them. Private to the sql layer. */
#ifndef SEGUE_SQL_WIDTH_H
#define SEGUE_SQL_WIDTH_H

#include "work.h"

#define SQL_WIDTH_UNKNOWN SIZE_MAX

/* x.*, (x).*, *: more than one value, perhaps. */
bool sql_is_star(const struct sql_node *expr);

/* Columns of a SelectStmt whose stars have been edited. UNKNOWN: a star over what is not in the
 * text. */
size_t sql_width(const struct sql_work *w, const struct sql_node *select);

/* Of one row of VALUES. */
size_t sql_width_of_row(const struct sql_node *values);

#endif
