/* What cut-over and backfill borrow from the runner of steps. */
#ifndef SEGUE_ENGINE_STEPS_H
#define SEGUE_ENGINE_STEPS_H

#include "runner.h"

/* All statements of a stage, separated by ";"; heap. */
char *eng_steps_join(const struct eng_migration *m, enum eng_stage stage);

/* Title of the first step of the stage that is not done; NULL: all are. */
const char *eng_steps_pending(const struct eng_migration *m, enum eng_stage stage);

/* The table that the step creates, as its statements call it; NULL: it is no such step. */
const char *eng_step_creates(const struct eng_step *step);

/* Has it come, in contract, to statements of the file (`sql` with onComplete)? When those have
 * failed, eng_steps_skip marks them as done, unrun; 55000 when there are none such. */
bool eng_steps_to_skip(const struct eng_migration *m);
enum rc eng_steps_skip(struct eng_engine *engine, struct eng_migration *m,
                       struct err *err) MUST_CHECK;

/* What the cut-over, or the way back, makes undone: the statements that take back the marks (each
 * with ";"; heap), and the same in memory, after its COMMIT. */
char *eng_steps_undone_sql(const struct eng_migration *m, bool back);
void eng_steps_undone(struct eng_migration *m, bool back);

/* The mode for LOCK TABLE, "" when the text is none. */
const char *eng_lock_mode(const char *lock);

/* Opens the migration's own connection for long statements, if it is not open. */
enum rc eng_long_open(struct eng_engine *engine, struct eng_migration *m,
                      struct err *err) MUST_CHECK;

/* ---- pieces of step i, for one that is many (parts.c) ---- */

/* On the connection for long statements. RC_AGAIN: it runs, and the next turn comes after it. */
enum rc eng_step_send(struct eng_engine *engine, struct eng_migration *m, size_t i, const char *sql,
                      struct err *err) MUST_CHECK;
/* The same of an index (segue's own name, bare) of one partition, and says so. That is gone
 * meanwhile, or has it by then, it is no failure. Where one of before is at it still, it is waited
 * for. */
enum rc eng_step_send_on(struct eng_engine *engine, struct eng_migration *m, size_t i,
                         const char *partition, const char *index, const char *sql,
                         struct err *err) MUST_CHECK;
/* DROP INDEX CONCURRENTLY of an invalid index, said in the log. */
enum rc eng_step_drop(struct eng_engine *engine, struct eng_migration *m, size_t i,
                      const char *index, struct err *err) MUST_CHECK;
/* One transaction behind the gate on what the step locks; `mode` as of eng_lock_mode. RC_OK: it is
 * committed. RC_AGAIN: somebody is in the way, m sleeps. */
enum rc eng_step_gated(struct eng_engine *engine, struct eng_migration *m, size_t i,
                       const char *mode, const char *sql, struct err *err) MUST_CHECK;
/* One short transaction, that needs no gate. */
enum rc eng_step_write(struct eng_engine *engine, struct eng_migration *m, const char *sql,
                       struct err *err) MUST_CHECK;
/* Marks the step as done, or takes note that its mark is committed. */
enum rc eng_step_mark(struct eng_engine *engine, struct eng_migration *m, size_t i,
                      struct err *err) MUST_CHECK;
/* In the store alone: what is known in memory stays as it is. */
enum rc eng_step_mark_only(struct eng_engine *engine, struct eng_migration *m, size_t i,
                           struct err *err) MUST_CHECK;
void eng_step_finished(struct eng_engine *engine, struct eng_migration *m, size_t i);

/* ---- steps_sql.c: step i is statements of the file, or takes something back ---- */

/* Sends them, their mark in front. Failed: RC_AGAIN where they were done already. */
enum rc eng_step_run_sql(struct eng_engine *engine, struct eng_migration *m, size_t i,
                         struct err *err) MUST_CHECK;
enum rc eng_step_sql_failed(struct eng_engine *engine, struct eng_migration *m, size_t i,
                            struct err *err) MUST_CHECK;
/* Has what it takes back ever run? If not, it never will. */
enum rc eng_step_has_run(struct eng_engine *engine, struct eng_migration *m, size_t i, bool *ran,
                         struct err *err) MUST_CHECK;

#endif
