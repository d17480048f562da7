/*
 * What a turn renames: each column that leads has its own indexes, constraints and statistics
 * objects, and the other half has its twins of before, or of then. Somebody who drops one of the
 * two takes the turn from segue, and the server's error names neither what it was nor how to have
 * it again. Where both are gone nobody wants them: the way back leaves them out, with what it would
 * say of them.
 */
#ifndef SEGUE_ENGINE_TWINS_H
#define SEGUE_ENGINE_TWINS_H

#include "runner.h"

/* The statements of the cut-over, or of the way back, as eng_steps_join gives them, but for what is
 * gone for good; heap. 42704 with the first that is not there (on the way back: while its twin is),
 * and in the hint how the twin is defined. */
enum rc twins_steps(struct eng_engine *engine, const struct eng_migration *m, enum eng_stage stage,
                    char **steps, struct err *err) MUST_CHECK;

/* Of complete, behind which there is no way back: is it to rename a constraint that is not there
 * any more? Then it is left out. */
bool twins_left_out(struct eng_engine *engine, const char *sql);

#endif
