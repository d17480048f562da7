/*
 * What builds an index, or proves a constraint, holds a lock on its table and waits for
 * transactions of others. Where one of those comes to wait for that lock, by whatever detours, the
 * server ends somebody's statement after deadlock_timeout: a client's, or that of who maintains
 * partitions. segue sees it before, and gives way: its own statement is ended, and done again
 * later.
 */
#ifndef SEGUE_ENGINE_YIELD_H
#define SEGUE_ENGINE_YIELD_H

#include "runner.h"

/* While a long statement of m runs; looks a few times a second. */
void yield_look(struct eng_engine *engine, struct eng_migration *m);

#endif
