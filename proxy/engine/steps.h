/* What cut-over and backfill borrow from the runner of steps. */
#ifndef SEGUE_ENGINE_STEPS_H
#define SEGUE_ENGINE_STEPS_H

#include "runner.h"

/* All statements of a stage, separated by ";"; heap. */
char *eng_steps_join(const struct eng_migration *m, enum eng_stage stage);

/* Title of the first step of the stage that is not done; NULL: all are. */
const char *eng_steps_pending(const struct eng_migration *m, enum eng_stage stage);

/* What the cut-over, or the way back, makes undone: the statements that take back the marks (each
 * with ";"; heap), and the same in memory, after its COMMIT. */
char *eng_steps_undone_sql(const struct eng_migration *m, bool back);
void eng_steps_undone(struct eng_migration *m, bool back);

/* The mode for LOCK TABLE, "" when the text is none. */
const char *eng_lock_mode(const char *lock);

/* Opens the migration's own connection for long statements, if it is not open. */
enum rc eng_long_open(struct eng_engine *engine, struct eng_migration *m,
                      struct err *err) MUST_CHECK;

#endif
