/*
 * The indexes that the way back renames: in soak each column that leads has its own, and the other
 * half has its twin of before. Somebody who drops one of the two takes the way back from segue,
 * and the server's error names neither what it was nor how to have it again.
 */
#ifndef SEGUE_ENGINE_TWINS_H
#define SEGUE_ENGINE_TWINS_H

#include "runner.h"

/* 42704 with the first that is not there, and in the hint how its twin, if that is there, is
 * defined. */
enum rc twins_check(struct eng_engine *engine, const struct eng_migration *m,
                    struct err *err) MUST_CHECK;

#endif
