/*
 * Whole rows: `c`, or `c.*` as a value, where c is a table with columns that the session must not
 * see. Private to the sql layer.
 *
 * How is decided at the end of the level to which the table belongs. Where the table can be a
 * sub-select of what the session sees (star.h), its row is the right one. Where it cannot (it is
 * written to, locked, grouped by its key), the row itself is made, in place: `to_json(c)` is
 * `to_json((SELECT "~segue" AS c FROM (SELECT c.id, c.claim_text) AS "~segue"))`.
 */
#ifndef SEGUE_SQL_RECORD_H
#define SEGUE_SQL_RECORD_H

#include "group.h"

/* A name, found in an expression, that is a place's row. */
struct sql_record {
    const struct sql_node *ref; /* ColumnRef */
    const char *called;         /* what qualifies the row's columns there */
    bool certain;               /* no column is called so; else the server must find out */
    bool placed;                /* a hidden column is called so: the name cannot stay */
    bool fields;                /* SQL_NAME_FIELDS */
    size_t next;                /* of the same place, from 1; 0: it is the last */
};

/* `record` without what is the flags'. `flags` as in name.h; without ANONYMOUS it is
 * in doubt at once. */
void sql_record_note(struct sql_work *w, struct sql_place *place, struct sql_record record,
                     unsigned flags);
void sql_record_restart(struct sql_work *w); /* there are none */
void sql_record_fini(struct sql_work *w);

/* Are rows of the place asked for? EITHER: a sub-select in place of the table has some of them. */
enum sql_record_wait { SQL_RECORD_NONE, SQL_RECORD_PLACED, SQL_RECORD_EITHER };
enum sql_record_wait sql_record_waits(const struct sql_work *w, const struct sql_place *place);

/* A level at whose end rows are made; what is found for one of them counts for all. */
struct sql_record_level {
    const struct sql_scope *scope;
    struct sql_grouping grouping;
    bool asked, locks; /* does it lock what a join may find no row of? */
};

/* Makes them in place, at the end of the place's level: `all`, or those that must be. */
void sql_record_put(struct sql_work *w, struct sql_record_level *level,
                    const struct sql_place *place, bool all);

/* Has the server a function of that name (NULL: no) that takes a row of any type, and says only
 * what is in it? */
bool sql_record_is_taker(const char *name);

/* The same of a FuncCall's names, in a place with these flags (name.h). */
bool sql_record_is_taken(const struct sql_node *names, unsigned flags);

/* Does the function of a FuncCall's names take nothing but rows? */
bool sql_record_is_needed(const struct sql_node *names);

/* Of those noted behind the first `from`: may fields of one be named around it? */
bool sql_record_has_fields(const struct sql_work *w, size_t from);

/* May a row be made in [from, to)? */
bool sql_record_touches(const struct sql_work *w, uint32_t from, uint32_t to);

#endif
