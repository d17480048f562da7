/*
 * The table of phases (DESIGN 3): name, what a turn does, where it may go. eng_phase_move is the
 * only thing that changes a migration's phase: persist, then switch, then log. The cut-over and
 * its way back persist inside their own transaction, so the two halves can be had apart.
 */
#ifndef SEGUE_ENGINE_PHASE_H
#define SEGUE_ENGINE_PHASE_H

#include <stdbool.h>

#include "segue/base/err.h"

enum eng_phase_id {
    PH_PLANNED,
    PH_EXPANDING,
    PH_BACKFILLING,
    PH_VERIFYING,
    PH_READY,
    PH_CUTTING_OVER,
    PH_SOAKING,
    PH_CONTRACTING,
    PH_DONE,
    PH_ABORTING,
    PH_ABORTED,
    PH_REVERTING,
    PH_COUNT
};

struct eng_engine;
struct eng_migration;

struct eng_phase {
    const char *name;
    /* One bounded piece of work. RC_OK / RC_AGAIN: look again when migration->not_before_us has
     * come; RC_ERR: err says why. NULL: nothing ever happens here by itself. */
    enum rc (*step)(struct eng_engine *engine, struct eng_migration *m, struct err *err);
    unsigned successors; /* bit mask */
    bool new_epoch;      /* entering it publishes rules under a new epoch */
    bool active;         /* workers know the migration's tables */
};

#define PH_BIT(id) (1u << (id))

const struct eng_phase *eng_phase(enum eng_phase_id id);
enum rc eng_phase_parse(const char *name, enum eng_phase_id *id) MUST_CHECK;
bool eng_phase_legal(enum eng_phase_id from, enum eng_phase_id to);
bool eng_phase_over(enum eng_phase_id id); /* done or aborted */

enum rc eng_phase_move(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to,
                       struct err *err) MUST_CHECK;

/* The same for who gave up: `why` is told beside the phase from its first moment on; there is
 * nothing to resume, and it does not go on by itself. */
enum rc eng_phase_back(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to,
                       const struct err *why, struct err *err) MUST_CHECK;

/* The halves. sql: UPDATE statement that persists the move under `epoch` (heap); asserts the
 * edge. switch: after its COMMIT; publishes when the phase asks for it, and logs. tell: whoever
 * waits for the phase sees it from now on, so it is the last thing, when all that it stands for can
 * be asked for (the gate is open, the attempt recorded). */
char *eng_phase_sql(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to);
void eng_phase_switch(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to);
void eng_phase_tell(struct eng_engine *engine, struct eng_migration *m);

#endif
