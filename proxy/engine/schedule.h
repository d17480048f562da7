/*
 * When a cut-over that was asked for may begin: at its time (CUTOVER name AT 'time'), and not
 * while the flag file (option cutover_postpone_file) is there or cannot be looked at.
 *
 * The wish is a row of segue.schedule, so that it outlives a restart and a takeover. It goes with
 * the COMMIT of the cut-over, when the attempts are used up, with an abort, or when it comes too
 * late: a segue that was away at that time does not cut over at any time later.
 */
#ifndef SEGUE_ENGINE_SCHEDULE_H
#define SEGUE_ENGINE_SCHEDULE_H

#include "segue/base/buf.h"
#include "segue/base/err.h"

#define SCHEDULE_BORN_SINCE 4 /* version of schema segue; the doctor may meet an older one */

struct eng_engine;
struct eng_migration;

/* "2026-01-31T23:59[:59[.9]]" and its zone, "Z", "+02", "+02:00" or "-0230"; a blank may stand for
 * the T. Pure. */
enum rc schedule_check_time(const char *text, struct err *err) MUST_CHECK;

/* at NULL: now (it is postponed). Replaces what was set. 22007, 22008: no such time; 22023: over.
 */
enum rc schedule_set(struct eng_engine *engine, struct eng_migration *m, const char *at,
                     bool wait_replicas, struct err *err) MUST_CHECK;
enum rc schedule_clear(struct eng_engine *engine, struct eng_migration *m,
                       struct err *err) MUST_CHECK;
/* The statement that clears it, for a transaction; heap. After its COMMIT: schedule_cleared. */
char *schedule_clear_sql(const struct eng_migration *m);
void schedule_cleared(struct eng_migration *m);

enum rc schedule_load(struct eng_engine *engine, struct eng_migration *m,
                      struct err *err) MUST_CHECK;

/* RC_OK: a cut-over may begin now. RC_AGAIN: not yet, or none was asked for; m sleeps until there
 * is something to do. A wish that comes too late is cleared, and m->failure says so. */
enum rc schedule_turn(struct eng_engine *engine, struct eng_migration *m,
                      struct err *err) MUST_CHECK;

/* Is the flag file there (or may it be)? Appends why it postpones. */
bool schedule_postponed(const struct eng_engine *engine, struct buf *why);

#endif
