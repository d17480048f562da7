/*
 * What the rooms share that read a migration's own statements (segue/sql/ddl.h).
 *
 *   ddl.c       the table of kinds of statements, and what they do to relations
 *   ddl_rows.c  those that read or write rows
 *   ddl_needs.c relations that are to be there, and what is made
 */
#ifndef SEGUE_SQL_DDL_ROOMS_H
#define SEGUE_SQL_DDL_ROOMS_H

#include <stdbool.h>

#include "segue/sql/ddl.h"
#include "tree.h"

struct reading {
    struct sql_ddl *out;
    struct err *err;
    int statement;
};

struct row {
    const char *kind, *what;
    void (*look)(struct reading *r, const struct row *row, const struct sql_node *node);
    const char *member, *lock;  /* a relation's member, and the lock on it */
    const char *refusal, *hint; /* without member: of the statement, whatever it touches */
};

bool sql_ddl_is_text(const struct sql_node *node, const char *key, const char *text);
/* It may be done, and somebody will notice; each warning once a relation and statement. */
void sql_ddl_warn_var(struct reading *r, const struct row *row, const struct sql_node *var,
                      const char *lock, const char *warning, const char *hint);

/* ---- ddl_needs.c ---- */
void sql_ddl_made(struct reading *r, const char *name); /* NULL: nothing */
void sql_ddl_look_for_names(struct reading *r, const struct row *row, const struct sql_node *node);

/* ---- ddl_rows.c ---- */
void sql_ddl_look_at_rows(struct reading *r, const struct row *row, const struct sql_node *node);
void sql_ddl_look_at_merge(struct reading *r, const struct row *row, const struct sql_node *node);

#endif
