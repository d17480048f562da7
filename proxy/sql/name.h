/* Names of columns in expressions: whose they are, for this session. Private to the sql layer. */
#ifndef SEGUE_SQL_NAME_H
#define SEGUE_SQL_NAME_H

#include "scope.h"

enum {
    SQL_NAME_ANONYMOUS = 1, /* a row is as good as a table's row here */
    SQL_NAME_WRITTEN = 2,   /* RETURNING of INSERT and UPDATE: the guard has filled the row */
    SQL_NAME_FIELDS = 4,    /* fields of the row may be named around it, or outside of the query */
    SQL_NAME_RECORD = 8,    /* nothing but a row has a meaning here */
};

/* A ColumnRef in an expression (stars in target lists are star.c's). Where a column of the other
 * side would take the name away from the one that the session means, it is qualified. */
void sql_name_column(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                     unsigned flags);

/* The column is the place's, and read: not before it may be. `flags` as above. */
void sql_name_used(struct sql_work *w, struct sql_place *place, const char *column, unsigned flags);

/* A FuncCall: c(t) may be t.c, and what is not filled must not be read in this way either. */
void sql_name_call(struct sql_work *w, struct sql_scope *scope, const struct sql_node *call,
                   unsigned flags);

/* Has every table a column of that name? */
bool sql_name_is_system(const char *name);

/* The migrating table with hidden columns whose row a name by itself is for certain. NULL: none. */
struct sql_place *sql_name_row(struct sql_work *w, struct sql_scope *scope, const char *name);

/* `c.f` and `(c).f` may be f(c), a function of the whole row: is that sure, or may it be? To be
 * asked of what is no column of a migrating table. */
enum sql_calls { SQL_CALLS_NOT, SQL_CALLS_TAKER, SQL_CALLS_PERHAPS };
enum sql_calls sql_name_calls(const struct sql_work *w, const char *name);

/* `(c).x`, an A_Indirection without more steps, where c is for certain such a table and a hidden
 * column is called so, too: True: it is `c.x` now. */
bool sql_name_field(struct sql_work *w, struct sql_scope *scope, const struct sql_node *steps);

/* Of an item of GROUP BY: the place whose column it is for certain, perhaps as an output column,
 * and that column. A hidden one is meant where no other has the name. NULL: nobody knows. */
struct sql_place *sql_name_grouped(struct sql_work *w, struct sql_scope *scope,
                                   const struct sql_node *ref, const struct sql_node *targets,
                                   const char **column);

/* An item of GROUP BY (NULL: no ColumnRef). True: it is a name alone that means an output column.
 * Where a column of the other side would hide that one, the column's number stands there now. */
bool sql_name_output(struct sql_work *w, struct sql_scope *scope, const struct sql_node *ref,
                     const struct sql_node *targets);

#endif
