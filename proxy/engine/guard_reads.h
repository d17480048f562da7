/*
 * Pairs whose `up` or `down` reads other columns beside its own. An UPDATE of such a column alone
 * leaves both halves as they were, and out of step:
 *
 *   what the follower's expression reads has changed, or what either reads so that they are in
 *   step no longer: the half that nobody has written is made anew, the follower where nobody has
 *   written either, or both;
 *   after the cut-over, an old column that `up` reads was written by its old name, which makes the
 *   row one of the old application: the new half is what `up` makes of it, as where its own old
 *   half is written.
 *
 * That comes behind the rules of all pairs, which may have changed what is read; who has written
 * what is noted before them. Private to guard*.c.
 */
#ifndef SEGUE_ENGINE_GUARD_READS_H
#define SEGUE_ENGINE_GUARD_READS_H

#include "segue/base/buf.h"
#include "segue/engine/guard.h"

/* Is there such a pair? */
bool guard_reads_any(const struct eng_table *table);

/* What must also be true for the trigger to be skipped, which sees no OLD row; heap, NULL: nothing.
 * By itself it says less than "in step". */
char *guard_reads_quiet(const struct eng_table *table, const struct eng_dual *dual,
                        enum eng_direction dir);

/* The body's parts: declarations, what is noted first, what comes behind the pairs. */
void guard_reads_declare(struct buf *out, const struct eng_table *table);
void guard_reads_note(struct buf *out, const struct eng_table *table);
void guard_reads_rules(struct buf *out, const struct eng_table *table, enum eng_direction dir);

#endif
