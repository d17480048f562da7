/* The predicates of verify, for its tests. */
#ifndef SEGUE_ENGINE_VERIFY_H
#define SEGUE_ENGINE_VERIFY_H

#include "segue/engine/plan.h"

/* "this row is not in step" of one dual column over the table's bare columns; NULL when there is
 * nothing to compare in that direction. Heap. */
char *verify_dual_bad(const struct eng_dual *dual, bool reverse);

/* The same of the members of one group. */
char *verify_group_bad(const struct eng_table *table, int group, bool reverse);

#endif
