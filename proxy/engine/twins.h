/*
 * What the way back renames: in soak each column that leads has its own indexes, constraints and
 * statistics objects, and the other half has its twins of before. Somebody who drops one of the two
 * takes the way back from segue, and the server's error names neither what it was nor how to have
 * it again. Where both are gone nobody wants them: the way back leaves them out.
 */
#ifndef SEGUE_ENGINE_TWINS_H
#define SEGUE_ENGINE_TWINS_H

#include "runner.h"

/* The statements of the way back, as eng_steps_join gives them, but for what is gone for good;
 * heap. 42704 with the first that is not there while its twin is, and in the hint how that is
 * defined. */
enum rc twins_steps(struct eng_engine *engine, const struct eng_migration *m, char **steps,
                    struct err *err) MUST_CHECK;

/* Of complete, behind which there is no way back: is it to rename a constraint that is not there
 * any more? Then it is left out. */
bool twins_left_out(struct eng_engine *engine, const char *sql);

#endif
