/*
 * What builds an index, or proves a constraint, holds a lock on its table and waits for
 * transactions of others. Where one of those comes to wait for that lock, by whatever detours, the
 * server ends somebody's statement after deadlock_timeout: a client's, or that of who maintains
 * partitions. segue sees it before, and gives way: its own statement is ended, and done again
 * later. A VACUUM of the backfill gives way to whoever waits for it, and to whom it waits for.
 */
#ifndef SEGUE_ENGINE_YIELD_H
#define SEGUE_ENGINE_YIELD_H

#include "runner.h"

/* While a long statement of m runs; looks a few times a second. */
void yield_look(struct eng_engine *engine, struct eng_migration *m);
/* Does somebody wait for a lock that it holds? Looks as often: false in between. *pinned: in so
 * many looks in a row it waited for a page that somebody has (a cursor, for as long as it likes).
 */
bool yield_wanted(struct eng_engine *engine, struct eng_migration *m, unsigned *pinned);
/* The next look, or due_us where that is sooner. */
int64_t yield_due_us(const struct eng_migration *m, int64_t due_us);

#endif
