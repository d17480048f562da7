/*
 * The dual-write rules of columns split or merged: old columns and new ones that are in step
 * together. DESIGN 5's table holds of them as of a pair, where "written" means that any member of
 * the side is not NULL, and "changed" that any is. Private to guard*.c.
 *
 * What a pair does not have, a side written in part:
 *   INSERT   members left out get their default, if they have one, and else stay NULL
 *   UPDATE   of a row that is not filled yet: the others are filled first, so that what goes back
 *            does not take NULLs for what was there
 */
#ifndef SEGUE_ENGINE_GUARD_GROUP_H
#define SEGUE_ENGINE_GUARD_GROUP_H

#include "segue/base/buf.h"
#include "segue/engine/guard.h"

/* Is it the first member of a group? The group is told where this one stands; all else about
 * single columns does not concern its members. */
bool guard_group_leads(const struct eng_table *table, size_t i);

/* As eng_dual_in_step; and "the trigger may be skipped". Heap. */
char *guard_group_in_step(const struct eng_table *table, int group, enum eng_direction dir,
                          const char *row);
char *guard_group_quiet(const struct eng_table *table, int group, enum eng_direction dir);

/* The group's part of the trigger's body. */
void guard_group_rules(struct buf *out, const struct eng_table *table, int group,
                       enum eng_direction dir);

/* Its parts of eng_table_fill and eng_table_unfilled. Heap. */
char *guard_group_fill(const struct eng_table *table, int group);
char *guard_group_unfilled(const struct eng_table *table, int group);

#endif
