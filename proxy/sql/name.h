/* Names of columns in expressions: whose they are, for this session. Private to the sql layer. */
#ifndef SEGUE_SQL_NAME_H
#define SEGUE_SQL_NAME_H

#include "scope.h"

enum {
    SQL_NAME_ANONYMOUS = 1, /* a row is as good as a table's row here */
    SQL_NAME_WRITTEN = 2,   /* RETURNING of INSERT and UPDATE: the guard has filled the row */
};

/* A ColumnRef in an expression (stars in target lists are star.c's). Where a column of the other
 * side would take the name away from the one that the session means, it is qualified. */
void sql_name_column(struct sql_work *w, struct sql_scope *scope, const json_t *ref,
                     unsigned flags);

#endif
