/*
 * What the catalog says of functions and operators: may an expression that uses them stand in a
 * statement twice, or be evaluated elsewhere in it? And what do functions give in FROM?
 *
 * By name alone: of all that are called so, in any schema and with any arguments, it must hold.
 * Built from one reading of the catalog, then immutable and shared by reference count, by snapshots
 * of the rules (sql_rules_functions). What is not in it is not certain.
 */
#ifndef SEGUE_SQL_FUNCTIONS_H
#define SEGUE_SQL_FUNCTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum sql_function_kind {
    SQL_FUNCTION_TWICE = 'f',    /* the same value each time within a statement, and no effect */
    SQL_FUNCTION_ONCE = 'g',     /* any other plain function: one value a call, no aggregate */
    SQL_FUNCTION_SCALAR = 's',   /* in FROM: one column, which is called as its alias */
    SQL_FUNCTION_OPERATOR = 'o', /* an operator whose functions are all TWICE */
    SQL_FUNCTION_CASTS = 'c',    /* name "": all casts are TWICE */
};

struct sql_function {
    char kind; /* enum sql_function_kind; others are never found */
    const char *name;
};

struct sql_functions; /* opaque */

/* One reference, the caller's. Names are copied. */
struct sql_functions *sql_functions_new(const struct sql_function *list, size_t n);
struct sql_functions *sql_functions_ref(struct sql_functions *functions); /* NULL stays NULL */
void sql_functions_unref(struct sql_functions *functions);

/* Do they know the same? NULL: unlike all. */
bool sql_functions_same(const struct sql_functions *a, const struct sql_functions *b);

/* NULL knows of nothing. */
bool sql_functions_has(const struct sql_functions *functions, enum sql_function_kind kind,
                       const char *name);

#endif
