/*
 * What the statements of a migration's own SQL would do to tables that are in use: which relations
 * they lock strongly, and what may not be done at all. Pure: text in, facts out.
 *
 * Only kinds of statements that are known to be safe are taken; all else is refused by name. What a
 * DO block, a CALL or a function does cannot be seen here.
 * Not here: which relations there are (engine/plan_sql.c).
 */
#ifndef SEGUE_SQL_DDL_H
#define SEGUE_SQL_DDL_H

#include <stddef.h>

#include "segue/base/err.h"

/* One relation that a statement changes or locks. */
struct sql_ddl_touch {
    int statement;       /* from 1 */
    const char *what;    /* "ALTER TABLE"; a constant, as the other texts but for the names */
    char *schema, *name; /* catalog spelling; schema NULL: by search_path */
    const char *lock;    /* that it takes: PostgreSQL's name; "" is none of these */
    const char *refusal; /* why not, if the relation is there already; NULL: it may be done */
    const char *warning; /* what others will notice, if the relation is there already, or NULL */
    const char *hint;    /* what to do instead, or NULL */
};

/* A type that a statement changes, or a relation that it names and that is to be there. */
struct sql_ddl_name {
    int statement;
    const char *what;
    char *schema, *name; /* as of a touch */
};

struct sql_ddl {
    struct sql_ddl_touch *touches;
    size_t ntouches, cap;
    char **made; /* names of relations and types that it makes, without their schema */
    size_t nmade, made_cap;
    struct sql_ddl_name *types, *needs;
    size_t ntypes, types_cap, nneeds, needs_cap;
    int statements;
    int opaque; /* the first statement that cannot be looked into; 0: none */
    int unseen; /* the first one that may make relations whose names are not to be seen; 0: none */
};

/* 42601: it does not parse, or is empty. 0A000: a statement that may not stand in a migration,
 * with its number, name, reason and hint. */
enum rc sql_ddl_read(const char *text, struct sql_ddl *out, struct err *err) MUST_CHECK;
void sql_ddl_fini(struct sql_ddl *ddl);

#endif
