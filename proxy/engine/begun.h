/*
 * Indexes that a migration makes, told from those of others under the same name. CREATE INDEX
 * CONCURRENTLY leaves its mark in no transaction of ours, so what is in the catalog may be ours
 * although no mark says so (segue was killed), or somebody else's. Therefore a step is written down
 * as begun (segue.begun) when nothing of its name is there, before its statement is sent: what is
 * there without that is another's, which is neither taken for done nor dropped.
 *
 * Not here: what is done about it (steps.c).
 */
#ifndef SEGUE_ENGINE_BEGUN_H
#define SEGUE_ENGINE_BEGUN_H

#include "runner.h"

enum begun_index {
    INDEX_ABSENT,
    INDEX_VALID,
    INDEX_INVALID,
    INDEX_BUILDING, /* or about to be, as soon as it has its lock */
    INDEX_FOREIGN,  /* a relation of that name, not made by this step */
};

/* The index of step i, as the catalog has it. */
enum rc begun_look(struct eng_engine *engine, const struct eng_migration *m, size_t i,
                   enum begun_index *state, struct err *err) MUST_CHECK;
/* 42P07: what is there is not ours, and what to do. */
void begun_foreign(const struct eng_step *step, struct err *err);

enum rc begun_note(struct eng_engine *engine, const struct eng_migration *m, size_t i,
                   struct err *err) MUST_CHECK;
/* The statement found the name taken: it has made nothing. */
enum rc begun_forget(struct eng_engine *engine, const struct eng_migration *m, size_t i,
                     struct err *err) MUST_CHECK;
enum rc begun_ask(struct eng_engine *engine, const struct eng_migration *m, int no, bool *begun,
                  struct err *err) MUST_CHECK;

#endif
