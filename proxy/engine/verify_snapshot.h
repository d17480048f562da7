/*
 * A verify reads a relation in ranges, each a statement that sees what is committed then. A row
 * that the guard keeps in step may move from a range that is to come into one that is done, and
 * nothing is missed. One that was written past the guard stays out of step when an UPDATE moves it.
 * So a relation whose guard is not the one under which it was filled, or seen before, is read by
 * one snapshot, which another connection holds: no table is locked, and only VACUUM has to wait.
 * Private to verify.c.
 */
#ifndef SEGUE_ENGINE_VERIFY_SNAPSHOT_H
#define SEGUE_ENGINE_VERIFY_SNAPSHOT_H

#include "relations.h"
#include "runner.h"

struct verify_snapshot {
    struct eng_conn conn; /* its transaction has exported it */
    char *id;             /* NULL: none, each statement has its own */
};

/* Before the relation's first range: takes one where that is wanted, and then the relation's size:
 * the guard was read before, the rows that the snapshot sees are in blocks that were there. */
enum rc verify_snapshot_take(struct eng_engine *engine, const struct eng_migration *m,
                             struct verify_snapshot *snapshot, struct eng_relation *rel,
                             struct err *err) MUST_CHECK;

/* In front of a statement, which verify_snapshot_left() follows; heap. */
char *verify_snapshot_sql(const struct verify_snapshot *snapshot);
void verify_snapshot_left(struct eng_engine *engine, const struct verify_snapshot *snapshot);

/* A statement has failed: because the snapshot has gone? */
bool verify_snapshot_gone(struct verify_snapshot *snapshot);

void verify_snapshot_drop(struct verify_snapshot *snapshot); /* harmless when there is none */

#endif
