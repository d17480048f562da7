/* The predicates of verify, for its tests. */
#ifndef SEGUE_ENGINE_VERIFY_H
#define SEGUE_ENGINE_VERIFY_H

#include "segue/engine/plan.h"

/* Which half is the truth. After a way back it is the old one again, but a NULL in the new one is
 * no row that was never filled: the new application, or its rules, have put it there. */
enum verify_way { VERIFY_FORWARD, VERIFY_BACK, VERIFY_REVERSE };

/* "this row is not in step" of one dual column over the table's bare columns; NULL when there is
 * nothing to compare in that direction. Heap. */
char *verify_dual_bad(const struct eng_dual *dual, enum verify_way way);

/* The same of the members of one group. */
char *verify_group_bad(const struct eng_table *table, int group, enum verify_way way);

#endif
