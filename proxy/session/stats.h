/* The counters as named rows. Private to this layer. */
#ifndef SEGUE_SESSION_STATS_H
#define SEGUE_SESSION_STATS_H

#include "counters.h"

/* Adds the counters of one worker, in the order of the rows; `totals` has SESS_TOTALS_MAX. */
void sess_stats_add(const struct sess_worker_counters *counters, uint64_t *totals);

#endif
