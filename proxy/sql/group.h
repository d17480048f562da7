/* GROUP BY, and the primary key that it may count on. Private to the sql layer. */
#ifndef SEGUE_SQL_GROUP_H
#define SEGUE_SQL_GROUP_H

#include "scope.h"

/* Does the SelectStmt (NULL: no) group by the whole primary key of the place's table, or perhaps?
 * Then all columns of that table may be asked for, and the place must stay a table: the server
 * knows no key of a sub-select. */
bool sql_groups_by_key(const struct sql_place *place, const struct sql_node *select);

#endif
