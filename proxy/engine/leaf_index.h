/*
 * A unique index of each leaf of a partitioned table, by itself: what the cut-over and the way back
 * make the table's primary key of (plan_key_parts.c). A key cannot be built over indexes that are
 * attached already, and PostgreSQL makes no constraint of a partitioned table's index: so these are
 * parts of nothing until then.
 *
 * Each is built CONCURRENTLY, under a name of segue's own, "<the step's index_name>_<leaf>", a turn
 * each. What is to be done, the catalog says: so it does not matter where segue was killed. The
 * server gives them to no partition that comes later; segue looks for those while it waits.
 *
 * Not here: what they become (plan_key_parts.c).
 */
#ifndef SEGUE_ENGINE_LEAF_INDEX_H
#define SEGUE_ENGINE_LEAF_INDEX_H

#include "runner.h"

/* The next one of step i, of kind ENG_STEP_LEAVES. Never RC_OK: its mark says it is done. */
enum rc leaf_index_turn(struct eng_engine *engine, struct eng_migration *m, size_t i,
                        struct err *err) MUST_CHECK;
/* In ready and in soak, when nothing else is to be done: partitions that came since. RC_AGAIN: one
 * is at work. */
enum rc leaf_index_late(struct eng_engine *engine, struct eng_migration *m,
                        struct err *err) MUST_CHECK;
/* Before a turn: has each partition that holds rows its index? 55000, and which has not. */
enum rc leaf_index_check(struct eng_engine *engine, const struct eng_migration *m,
                         struct err *err) MUST_CHECK;
/* One of those could not be built: said in the log and the status, and tried again later. A turn of
 * the key that needs it says so, and why. */
enum rc leaf_index_failed(struct eng_migration *m, struct err *err) MUST_CHECK;

#endif
