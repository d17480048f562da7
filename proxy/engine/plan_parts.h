/* Indexes of a partitioned table: the whole is made of those of its leaves (plan_parts.c). */
#ifndef SEGUE_ENGINE_PLAN_PARTS_H
#define SEGUE_ENGINE_PLAN_PARTS_H

#include "plan_build.h"

struct parts_index { /* an index of a partitioned table */
    const char *title, *name;
    bool unique;
    const char *definition; /* as SQL says it behind the table */
    /* What the index is for, NULL: for itself; how that says its columns; " DEFERRABLE" */
    const char *constraint, *said, *defers;
};
/* *built: its number, as `undoes` wants it; and the way back of that one. */
enum rc parts_build(struct build *b, struct target *t, const struct parts_index *parts,
                    int *built) MUST_CHECK;
/* Names the indexes of leaves that are the same, and of which a second one is built all the same.
 */
enum rc parts_warn_twins(struct build *b, const struct target *t, const char *path,
                         const struct parts_index *parts) MUST_CHECK;
void parts_abort(struct build *b, struct target *t, const struct parts_index *parts, int built);
/* May the role make indexes in the schemas of its partitions? */
enum rc parts_check_schemas(struct build *b, const struct target *t) MUST_CHECK;
/* What only the index of a partition has, and would go with an index that another one follows. */
enum rc parts_refuse(struct build *b, const json_t *index, const char *object,
                     bool *refused) MUST_CHECK;
/* Says where a part of the index is stored otherwise than the whole, as the new one will not be. */
enum rc parts_warn_own(struct build *b, const json_t *index, const char *object) MUST_CHECK;

#endif
