/*
 * A table as it is called on either side of the cut-over. A column that changes its type under its
 * name is two columns, and the cut-over swaps their names: what the plan says of it (up, down, and
 * what other expressions read) is of the names before. Everything else is the same.
 */
#ifndef SEGUE_ENGINE_TURNED_H
#define SEGUE_ENGINE_TURNED_H

#include "segue/base/buf.h"
#include "segue/engine/plan.h"

/* The table after the cut-over, or (reverse false) as the plan has it. Borrows from `table`, which
 * must outlive it; only the duals are its own. */
void eng_turned_init(struct eng_table *turned, const struct eng_table *table, bool reverse);
void eng_turned_fini(struct eng_table *turned);

/* Rows of what `put` says of each dual, with its table, qualified and quoted: both are called as
 * they are until the next turn, of the way back (`back`) or the cut-over. */
struct buf eng_turned_rows(const struct eng_plan *plan, bool back,
                           void (*put)(struct buf *rows, const char *relation,
                                       const struct eng_dual *dual, bool back));

bool eng_table_retypes(const struct eng_table *table); /* is there such a column? */

#endif
