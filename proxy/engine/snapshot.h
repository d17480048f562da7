/*
 * The rule snapshot of everything in flight: what each phase shows of a table, as the catalog has
 * it. Reads neither the database nor a clock.
 *
 * What a statement meets that was rewritten by one snapshot and runs under the next is written down
 * in ARCHITECTURE.md; the rows of `views` are made so that no edge breaks it. Not here: when it is
 * made, and how it reaches the workers (publish.c).
 */
#ifndef SEGUE_ENGINE_SNAPSHOT_H
#define SEGUE_ENGINE_SNAPSHOT_H

#include "runner.h"

struct snapshot {
    struct sql_rules *rules; /* NULL: nothing is in flight */
    struct buf meaning;      /* of the epoch: equal texts mean the same */
    struct buf states;       /* what people are told */
};

/* From the migrations, their phases, plans and progress, and engine->sight, under engine->epoch.
 * Sets the bits of what the migrations lock. */
void snapshot_build(struct eng_engine *engine, struct snapshot *snap);
void snapshot_fini(struct snapshot *snap);

#endif
