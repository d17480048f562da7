/* What a turn of each plain phase does; cut-over and its way back are in cutover.c. */
#include <string.h>

#include "elders.h"
#include "leaf_index.h"
#include "runner.h"
#include "schedule.h"
#include "segue/base/log.h"
#include "store.h"

#define IDLE_MS 500

enum rc eng_phase_planned(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    return eng_phase_move(engine, m, m->plan->nsteps ? PH_EXPANDING : PH_DONE, err);
}

enum rc eng_phase_expanding(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc = eng_steps_turn(engine, m, ENG_STAGE_EXPAND, err);

    if (rc != RC_OK)
        return rc;
    throttle_baseline(engine);
    return eng_phase_move(engine, m, PH_BACKFILLING, err);
}

/* A row does not meet what is being proven. Of a partition that has come since all was filled? */
static enum rc fill_more(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct err why = *err;
    bool more;

    err_clear(err);
    if (eng_fill_more(engine, m, &more, err) != RC_OK)
        return RC_ERR;
    if (more)
        return RC_AGAIN;
    *err = why;
    return RC_ERR;
}

enum rc eng_phase_backfilling(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc = eng_fill_turn(engine, m, err);

    if (rc == RC_OK && m->paused && m->long_step < 0) {
        eng_sleep(m, IDLE_MS);
        return RC_AGAIN;
    }
    if (rc != RC_OK)
        return rc;
    rc = eng_steps_turn(engine, m, ENG_STAGE_BUILD, err);
    if (rc == RC_ERR && !strcmp(err->sqlstate, "23514"))
        return fill_more(engine, m, err);
    if (rc != RC_OK)
        return rc;
    conn_close(&m->lng);
    return eng_phase_move(engine, m, PH_VERIFYING, err);
}

/* Rows found: one repair pass, then again; found twice: stop with the evidence. */
static enum rc found_bad(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    elders_forget(m); /* somebody asked for it in the wait for them, which is off now */
    if (m->repairs > 0) {
        err_set(err, "23000", "verify found %lld of %lld rows not in step, after a repair pass",
                (long long)m->stats.rows_bad, (long long)m->stats.rows_verified);
        eng_verdict_hint(m,
                         "the first of them are in segue.verifications.sample; correct the cause"
                         " (a BEFORE trigger, say, that leaves a row as it is) and resume, or roll"
                         " back",
                         err);
        m->repairs = 0; /* resume begins anew */
        return RC_ERR;
    }
    log_warning("verify found %lld rows not in step: repair pass", (long long)m->stats.rows_bad);
    if (eng_fill_restart(engine, m, err) != RC_OK)
        return RC_ERR; /* nothing is repaired yet: verify finds them again */
    m->repairs++;
    m->repairing = true;
    return store_flags(engine, m, err) == RC_OK ? RC_AGAIN : RC_ERR;
}

/* Every row is in step. */
static enum rc verified(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc = elders_turn(engine, m, err);

    return rc == RC_OK ? eng_phase_move(engine, m, PH_READY, err) : rc;
}

enum rc eng_phase_verifying(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc;

    if (elders_awaited(m) && !m->nverify_jobs)
        return verified(engine, m, err);
    if (m->repairing) {
        rc = eng_fill_turn(engine, m, err);
        if (rc != RC_OK)
            return rc;
        m->repairing = false;
        if (store_flags(engine, m, err) != RC_OK)
            return RC_ERR;
    }
    rc = eng_verify_turn(engine, m, err);
    if (rc != RC_OK)
        return rc;
    if (m->stats.rows_bad > 0)
        return found_bad(engine, m, err);
    if (m->repairs > 0) {
        m->repairs = 0;
        if (store_flags(engine, m, err) != RC_OK)
            return RC_ERR;
    }
    return verified(engine, m, err);
}

/* A step has stopped, or is not to begin: what comes then is the verify alone. */
static bool verify_alone(const struct eng_migration *m)
{
    return m->verify_wanted && (err_is_set(&m->failure) || (m->paused && m->long_step < 0));
}

enum rc eng_phase_ready(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc;

    if (verify_alone(m))
        return eng_verify_wanted_turn(engine, m, err);
    rc = eng_steps_turn(engine, m, ENG_STAGE_BUILD, err); /* after a way back */
    if (rc == RC_OK)
        rc = eng_steps_turn(engine, m, ENG_STAGE_SETTLE, err);
    if (rc == RC_OK)
        rc = leaf_index_late(engine, m, err);
    if (rc != RC_OK)
        return rc;
    conn_close(&m->lng);
    m->step[0] = '\0';
    if (m->verify_wanted)
        return eng_verify_wanted_turn(engine, m, err);
    rc = schedule_turn(engine, m, err);
    if (rc != RC_OK)
        return rc;
    buf_reset(&m->blockers);
    m->wait_replicas = m->due.wait_replicas;
    rc = eng_cutover_preflight(engine, m, err);
    return rc == RC_OK ? eng_phase_move(engine, m, PH_CUTTING_OVER, err) : rc;
}

enum rc eng_phase_soaking(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc;

    if (verify_alone(m))
        return eng_verify_wanted_turn(engine, m, err);
    rc = eng_steps_turn(engine, m, ENG_STAGE_SETTLE, err);
    if (rc != RC_OK)
        return rc;
    if (m->verify_wanted)
        return eng_verify_wanted_turn(engine, m, err);
    rc = eng_steps_turn(engine, m, ENG_STAGE_SOAK, err);
    if (rc == RC_OK)
        rc = leaf_index_late(engine, m, err);
    if (rc != RC_OK)
        return rc;
    conn_close(&m->lng);
    m->step[0] = '\0';
    eng_sleep(m, IDLE_MS);
    return RC_AGAIN;
}

enum rc eng_phase_contracting(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc = eng_steps_turn(engine, m, ENG_STAGE_SETTLE, err);

    if (rc == RC_OK)
        rc = eng_steps_turn(engine, m, ENG_STAGE_CONTRACT, err);
    return rc == RC_OK ? eng_phase_move(engine, m, PH_DONE, err) : rc;
}

enum rc eng_phase_aborting(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc = eng_steps_turn(engine, m, ENG_STAGE_ABORT, err);

    return rc == RC_OK ? eng_phase_move(engine, m, PH_ABORTED, err) : rc;
}
