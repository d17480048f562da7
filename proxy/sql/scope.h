/*
 * What a name in a statement means: the places (range table entries) of each query level, and the
 * levels around it. Private to the sql layer.
 */
#ifndef SEGUE_SQL_SCOPE_H
#define SEGUE_SQL_SCOPE_H

#include "work.h"

enum sql_place_kind {
    SQL_PLACE_MIGRATING,
    SQL_PLACE_RELATION, /* another one: the rules know of it what matters */
    SQL_PLACE_QUERY,    /* a sub-select, a CTE, a function that gives values (columns.h) */
    SQL_PLACE_LISTED,   /* a function beside which its columns are written */
    SQL_PLACE_UNKNOWN,  /* another one */
};

struct sql_place {
    enum sql_place_kind kind;
    const struct rule *rule;        /* MIGRATING */
    const char *name;               /* what qualifies its columns; NULL: nothing */
    const char *may_be_called;      /* what would, as newer.h says; NULL: nothing */
    const char *schema;             /* as written; NULL: not */
    const struct sql_node *range;   /* RangeVar; NULL: none */
    const struct sql_node *aliases; /* of columns; NULL: none */
    struct sql_shows shows;         /* QUERY: what its columns are called */
    const struct sql_node *listed;  /* LISTED: its columns */
    size_t width;                   /* of what is no table: columns, or SQL_WIDTH_UNKNOWN */
    bool written;                   /* what the statement writes to: it stays a table */
    const char *old, *new; /* what its rows of before and after are called in RETURNING; or NULL */
    bool qualified_only;   /* `excluded` */
    bool covered;          /* by the alias of a join: its name means nothing there */
    bool fixed;            /* TABLESAMPLE, system columns, three-part names: stays a table */
    bool schemed;          /* by three-part names, which no alias may hide */
    bool wrap;             /* is to become a sub-select of what the session sees */
    bool nullable;         /* by a join that may find no row of it, or nobody knows */
    size_t rows, last_row; /* of those that were asked for (record.h), from 1; 0: none */
    bool other;            /* MIGRATING, under the name of the other side (called.h) */
    bool taken; /* MIGRATING, unless the session has a relation of its own by that name */
};

struct sql_cte {
    const char *name;
    const struct sql_node *node;   /* CommonTableExpr */
    const struct sql_node *select; /* its SelectStmt; NULL: it is no SELECT */
    struct sql_shows shows;
    size_t width; /* columns, or SQL_WIDTH_UNKNOWN */
};

struct sql_scope {
    struct sql_scope *outer;
    struct sql_place *places;
    size_t n, cap;
    struct sql_cte *ctes;
    size_t nctes, cap_ctes;
    const struct sql_node *level; /* the statement that has it, a SELECT by itself; NULL: INSERT */
    const struct sql_node *from;  /* the FROM clause, with its joins; NULL: none */
    const struct sql_node *locking; /* FOR UPDATE and the like; NULL: none */
    bool merged;                    /* a USING or NATURAL join among its places */
    bool natural;                   /* a NATURAL one */
    bool covered;                   /* an alias covers a whole join */
    bool sourceless; /* MERGE: there may be a row of what is written to, and of nothing else */
};

void sql_scope_fini(struct sql_scope *scope);

/* The names stay the tree's. */
struct sql_place *sql_scope_add(struct sql_scope *scope, enum sql_place_kind kind,
                                const char *name);
struct sql_cte *sql_scope_add_cte(struct sql_scope *scope, const struct sql_node *cte);

/* Decides what a RangeVar means, with a doubt when it cannot tell, and adds it. What is `written`
 * to is never a CTE. */
struct sql_place *sql_scope_add_range(struct sql_work *w, struct sql_scope *scope,
                                      const struct sql_node *range, bool written);

/* The nearest place of that name, seen from inside; NULL: none, or it is a join's alias. Valid
 * until a place is added. */
struct sql_place *sql_scope_place(const struct sql_work *w, struct sql_scope *scope,
                                  const char *name);

/* The place's name: who has none in the text is given one there, where it may be. NULL: not. */
const char *sql_scope_call(struct sql_work *w, struct sql_place *place);

/* The columns that are written beside a function, or in XMLTABLE and the like. NULL: none. */
const struct sql_node *sql_scope_listed(const struct sql_node *function);

/* What one of them is called; NULL: nobody knows. */
const char *sql_scope_listed_name(const struct sql_node *item);

/* Does nothing else of the level have its name? Two may, when their schemas differ. */
bool sql_place_is_unique(const struct sql_work *w, const struct sql_scope *scope,
                         const struct sql_place *place);

/* Has it columns that the session must not see? */
bool sql_place_hides(const struct sql_work *w, const struct sql_place *place);

/* Has a list behind its alias given that name to one of its columns? */
bool sql_place_lists(const struct sql_work *w, const struct sql_place *place, const char *column);

/* A column of the place is read that may not be yet, unless it is another relation. */
void sql_place_is_early(struct sql_work *w, const struct sql_place *place);

enum sql_has { SQL_HAS_NOT, SQL_HAS, SQL_HAS_HIDDEN, SQL_HAS_PERHAPS };

/* Has the place a column of that name? HIDDEN: one of the other side. Of relations that do not
 * migrate the rules know only columns that are called as an old or new one. */
enum sql_has sql_place_has(const struct sql_work *w, const struct sql_place *place,
                           const char *column);

/* The same of a relation that does not migrate, by its RangeVar. `renamed`: so many of its first
 * columns have other names. */
enum sql_has sql_relation_has(const struct sql_work *w, const struct sql_node *range,
                              size_t renamed, const char *column);

/* Is it a name of a USING list of this level, which stands for two columns? */
bool sql_scope_joins_by(const struct sql_work *w, const struct sql_scope *scope,
                        const char *column);

/* Does the alias of a join of this level give a column that name? */
bool sql_scope_renames_to(const struct sql_work *w, const struct sql_scope *scope,
                          const char *column);

/* Has an alias over a join of this level a list of columns? */
bool sql_scope_renames(const struct sql_work *w, const struct sql_scope *scope);

/* Is a join of this level, or its USING, called so? */
bool sql_scope_is_join(const struct sql_work *w, const struct sql_scope *scope, const char *name);

/* How the statement calls the column at `index` of those that the session sees. */
const char *sql_place_called(const struct sql_place *place, size_t index, const char *name);

/* Is it the name of a column that not both sides see, in any migrating table? */
bool sql_is_dual_name(const struct sql_work *w, const char *column);

#endif
