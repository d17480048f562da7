#include "phase.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "elders.h"
#include "history.h"
#include "policy.h"
#include "replicas.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "store.h"

#define TO(id) PH_BIT(id)

static const struct eng_phase phases[] = {
    /* to done: there is nothing to do (a merge) */
    [PH_PLANNED] = {"planned", eng_phase_planned, TO(PH_EXPANDING) | TO(PH_ABORTING) | TO(PH_DONE),
                    false, false},
    [PH_EXPANDING] = {"expanding", eng_phase_expanding, TO(PH_BACKFILLING) | TO(PH_ABORTING), true,
                      true},
    [PH_BACKFILLING] = {"backfilling", eng_phase_backfilling, TO(PH_VERIFYING) | TO(PH_ABORTING),
                        true, true},
    [PH_VERIFYING] = {"verifying", eng_phase_verifying, TO(PH_READY) | TO(PH_ABORTING), false,
                      true},
    [PH_READY] = {"ready", eng_phase_ready, TO(PH_CUTTING_OVER) | TO(PH_ABORTING), true, true},
    /* attempts used up: back to ready */
    [PH_CUTTING_OVER] = {"cutting_over", eng_phase_cutting_over, TO(PH_SOAKING) | TO(PH_READY),
                         false, true},
    [PH_SOAKING] = {"soaking", eng_phase_soaking, TO(PH_CONTRACTING) | TO(PH_REVERTING), true,
                    true},
    [PH_CONTRACTING] = {"contracting", eng_phase_contracting, TO(PH_DONE), true, true},
    [PH_DONE] = {"done", NULL, 0, true, false},
    [PH_ABORTING] = {"aborting", eng_phase_aborting, TO(PH_ABORTED), true, true},
    [PH_ABORTED] = {"aborted", NULL, 0, true, false},
    /* attempts used up: it goes on soaking */
    [PH_REVERTING] = {"reverting", eng_phase_reverting, TO(PH_READY) | TO(PH_SOAKING), true, true},
};
static_assert(ARRAY_LEN(phases) == PH_COUNT, "a phase without a row");
static_assert(PH_COUNT <= 32, "successors do not fit their mask");

const struct eng_phase *eng_phase(enum eng_phase_id id)
{
    assert(id < PH_COUNT);
    return &phases[id];
}

enum rc eng_phase_parse(const char *name, enum eng_phase_id *id)
{
    for (int i = 0; i < PH_COUNT; i++) {
        if (strcmp(phases[i].name, name) == 0) {
            *id = (enum eng_phase_id)i;
            return RC_OK;
        }
    }
    return RC_ERR;
}

bool eng_phase_legal(enum eng_phase_id from, enum eng_phase_id to)
{
    return from < PH_COUNT && to < PH_COUNT && (phases[from].successors & PH_BIT(to)) != 0;
}

bool eng_phase_over(enum eng_phase_id id)
{
    return phases[id].successors == 0;
}

/* The way back undoes what the proofs of the soak are about; in the end nothing is given back. */
static char *forget_sql(const struct eng_migration *m, enum eng_phase_id to)
{
    if (eng_phase_over(to))
        return mem_printf("; DELETE FROM segue.pieces WHERE migration = %" PRId64, m->id);
    if (to != PH_READY || m->phase != PH_REVERTING)
        return mem_strdup("");
    return mem_printf("; DELETE FROM segue.steps WHERE migration = %" PRId64 " AND stage = %d",
                      m->id, (int)ENG_STAGE_SOAK);
}

static void forget_proofs(struct eng_migration *m)
{
    for (size_t i = 0; i < m->plan->nsteps; i++)
        if (m->plan->steps[i].stage == ENG_STAGE_SOAK)
            m->step_done[i] = false;
}

/* What the migration's error is to be. */
static char *failure_sql(const struct err *why)
{
    char *text, *hint, *sql;

    if (!why)
        return mem_strdup("error = NULL, error_state = NULL, hint = NULL");
    text = sql_quote_literal(why->text);
    hint = why->hint[0] ? sql_quote_literal(why->hint) : mem_strdup("NULL");
    sql = mem_printf("error = %s, error_state = '%s', hint = %s", text, why->sqlstate, hint);
    free(text);
    free(hint);
    return sql;
}

/* why: NULL, or what turned it back. */
static char *move_sql(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to,
                      const struct err *why)
{
    char *forget = forget_sql(m, to), *failure = failure_sql(why), *sql;
    bool reverted = to == PH_READY && m->phase == PH_REVERTING;

    assert(eng_phase_legal(m->phase, to));
    sql = mem_printf(
        "WITH moved AS (UPDATE segue.migrations SET phase = '%s', phase_at = clock_timestamp(), "
        "%s, epoch = %" PRId64 "%s%s%s%s WHERE id = %" PRId64
        " RETURNING id, phase, phase_at, epoch) "
        "INSERT INTO segue.phases (migration, phase, at, epoch) SELECT * FROM moved%s",
        phases[to].name, failure, engine->epoch + (phases[to].new_epoch ? 1 : 0),
        to == PH_SOAKING && m->phase == PH_CUTTING_OVER ? ", cutover_at = clock_timestamp()" : "",
        reverted ? ", cutover_at = NULL" : "",
        reverted || why ? ", migrate = false" : "", /* who went back does not go on by itself */
        eng_phase_over(to) ? ", finished_at = clock_timestamp()" : "", m->id, forget);
    free(failure);
    free(forget);
    return sql;
}

char *eng_phase_sql(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to)
{
    return move_sql(engine, m, to, NULL);
}

static void moved(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to,
                  const struct err *why)
{
    enum eng_phase_id from = m->phase;

    assert(eng_phase_legal(from, to));
    m->phase = to;
    if (to == PH_SOAKING && from == PH_CUTTING_OVER) {
        m->turned_ms = clock_ms(); /* the gate is still closed */
    } else if (to == PH_READY && from == PH_REVERTING) {
        m->turned_ms = INT64_MIN;
        forget_proofs(m);
        m->migrate = false; /* as the transaction has said: who went back does not go on */
    }
    m->retries = m->tried = 0;
    m->not_before_us = 0;
    policy_free(m->policy);
    m->policy = NULL;
    replicas_forget(m);
    elders_forget(m);
    m->step[0] = '\0';
    m->failure = why ? *why : (struct err){0};
    m->migrate = m->migrate && !why;
    if (phases[to].new_epoch) {
        m->epoch = ++engine->epoch;
        eng_publish(engine);
    }
    FAULT_OF(phase_switched, phases[to].name);
    log_info("%s > %s", phases[from].name, phases[to].name);
}

void eng_phase_tell(struct eng_engine *engine, struct eng_migration *m)
{
    history_show(engine);
    eng_status_put(engine, m);
}

void eng_phase_switch(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to)
{
    moved(engine, m, to, NULL);
}

static enum rc move(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to,
                    const struct err *why, struct err *err)
{
    char *sql;
    enum rc rc;

    if (!eng_phase_legal(m->phase, to)) {
        err_set(err, "55000", "migration \"%s\" cannot go from %s to %s", m->name,
                phases[m->phase].name, phases[to].name);
        return RC_ERR;
    }
    FAULT_OF(phase_before, phases[to].name);
    sql = move_sql(engine, m, to, why);
    if (to == PH_DONE)
        sql = history_end_sql_take(engine, m, sql);
    rc = conn_exec(&engine->work, err, "%s", sql);
    free(sql);
    if (rc == RC_OK) {
        FAULT_OF(phase_persisted, phases[to].name);
        moved(engine, m, to, why);
        eng_phase_tell(engine, m);
    }
    return rc;
}

enum rc eng_phase_move(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to,
                       struct err *err)
{
    return move(engine, m, to, NULL, err);
}

enum rc eng_phase_back(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to,
                       const struct err *why, struct err *err)
{
    return move(engine, m, to, why, err);
}
