/*
 * Transactions with a snapshot from before the backfill was over. A statement of READ COMMITTED
 * looks anew; REPEATABLE READ and SERIALIZABLE go on seeing the rows as they were, with nothing in
 * the new columns, whatever their names mean by then. So nothing is `ready` before they have ended,
 * as with CREATE INDEX CONCURRENTLY, for the same reason.
 * Those on standbys are known where these say it (hot_standby_feedback).
 *
 * Not here: who holds locks (gated.h).
 */
#ifndef SEGUE_ENGINE_ELDERS_H
#define SEGUE_ENGINE_ELDERS_H

#include "runner.h"

/* To be called when the last row is filled, and until it says RC_OK: none is left. RC_AGAIN:
 * m->blocking says who is waited for; m sleeps. */
enum rc elders_turn(struct eng_engine *engine, struct eng_migration *m, struct err *err) MUST_CHECK;

/* Is it being waited for them? */
bool elders_awaited(const struct eng_migration *m);

/* The next wait begins anew. */
void elders_forget(struct eng_migration *m);

#endif
