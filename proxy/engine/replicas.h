/*
 * Replicas caught up before a cut-over, when it was asked for so: every standby of
 * pg_stat_replication has replayed what the primary had written when the cut-over began (which is
 * behind all that the backfill has written). Who has not is in the way, by name.
 */
#ifndef SEGUE_ENGINE_REPLICAS_H
#define SEGUE_ENGINE_REPLICAS_H

#include "runner.h"

/* RC_OK: all have. RC_AGAIN: m->blocking says who has not; m sleeps. *late: and the limit (option
 * cutover_replicas_wait_ms) is over. */
enum rc replicas_turn(struct eng_engine *engine, struct eng_migration *m, bool *late,
                      struct err *err) MUST_CHECK;

/* The next cut-over begins anew. */
void replicas_forget(struct eng_migration *m);

#endif
