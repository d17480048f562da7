/*
 * What a sub-select must show that stands in a table's place (subselect.h), and whether one must:
 * where somebody may read some of the table's columns only, it asks for no more of them than the
 * client's own text does. Private to the sql layer.
 *
 * What nobody is told of in that way (another relation's columns, when a join is by all that both
 * have) is needed: a role is then refused rather than given other rows.
 */
#ifndef SEGUE_SQL_NEEDS_H
#define SEGUE_SQL_NEEDS_H

#include "scope.h"

/* What the statement whose level it is may call a column of its places. */
struct sql_needs {
    const char **names; /* sorted, the tree's */
    size_t n, cap;
    bool all;
};

/* Of one place: all for a star or a row of it, and without a level (scope.h). */
void sql_needs_init(struct sql_needs *needs, const struct sql_work *w, struct sql_scope *scope,
                    const struct sql_place *place);
void sql_needs_fini(struct sql_needs *needs);

/* Is something called so? All that is said is, of whichever place, but stars and rows. */
bool sql_needs_names(const struct sql_needs *needs, const char *name);

/* The place's column that the session sees, by the name that the statement has for it. */
bool sql_needs_has(const struct sql_needs *needs, const struct sql_work *w,
                   const struct sql_scope *scope, const struct sql_place *place, const char *name);

/* In a NATURAL join: is something else perhaps called as a hidden column of the place? */
bool sql_needs_own_names(const struct sql_work *w, const struct sql_scope *scope,
                         const struct sql_place *place);

#endif
