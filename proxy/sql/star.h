/*
 * Stars, whole rows, joins by name, lists that are not there: each means the columns of the
 * session's side. Private to the sql layer.
 *
 * A star is spelled out where it stands. Where that is not enough (NATURAL JOIN, a star over USING,
 * a whole row, a list of column aliases) the table itself becomes a sub-select of the columns that
 * the session sees, under the same alias: `checks c` is `(SELECT id, claim_text FROM checks) c`.
 */
#ifndef SEGUE_SQL_STAR_H
#define SEGUE_SQL_STAR_H

#include "scope.h"
#include "segue/base/buf.h"

/* Is the ColumnRef (NULL: no) `*` or `c.*`? */
bool sql_star_is(const struct sql_node *ref);

/* Whose columns `c.*` means, and its name there. NULL: nobody knows. */
struct sql_place *sql_star_place(const struct sql_work *w, struct sql_scope *scope,
                                 const struct sql_node *star, const char **qualifier);

/* May `s.c.*` or `d.s.c.*` be the place's, which `c` is called? With another schema or database, or
 * where `c` is an alias, the server refuses it. */
bool sql_star_fits(const struct sql_work *w, const struct sql_place *place,
                   const struct sql_node *fields);

/* Whose column or star `c.x` or `s.c.x` is: two relations of a name may stand beside each other
 * where their schemas differ. NULL: nobody's. Valid until a place is added. */
struct sql_place *sql_star_qualifier(const struct sql_work *w, struct sql_scope *scope,
                                     const struct sql_node *fields);

/* One item of a target list or RETURNING whose value is the ColumnRef `star`. */
void sql_star_target(struct sql_work *w, struct sql_scope *scope, const struct sql_node *target,
                     const struct sql_node *star);

/* Is the A_Indirection (NULL: no) `(c).*`? */
bool sql_star_is_of(const struct sql_node *indirection);

/* An A_Indirection (NULL: none) as the value of `target`, or, NULL, in ROW(). True: it is `(c).*`
 * and means the session's columns now, as `c.*` does. */
bool sql_star_fields(struct sql_work *w, struct sql_scope *scope, const struct sql_node *target,
                     const struct sql_node *steps);

/* `c.*` inside of ROW(). */
void sql_star_in_row(struct sql_work *w, struct sql_scope *scope, const struct sql_node *star);

/* A star, or what is like one, over the place, a migrating table. */
void sql_star_note(struct sql_work *w, const struct sql_place *place);

/* Appends the columns of the place's row, called as the table calls them. */
void sql_star_put_row(struct sql_work *w, struct buf *out, const struct sql_place *place,
                      const char *qualifier);

/* RETURNING old, new, or as WITH calls them (PostgreSQL 18): rows of what is written. NULL: `name`
 * is neither. */
struct sql_place *sql_star_returned(const struct sql_work *w, struct sql_scope *scope,
                                    const char *name);

/* What the places of a FROM need because of each other, once all of them are known. */
void sql_star_joins(struct sql_work *w, struct sql_scope *scope, const struct sql_node *targets);

/* COPY of a table; most without a column list. */
void sql_star_copy(struct sql_work *w, const struct sql_node *copy);

#endif
