/* What the console asks of the engine: a table of verbs, the phases each is allowed in. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dependents.h"
#include "detaching.h"
#include "evidence.h"
#include "history.h"
#include "leaf_index.h"
#include "relations.h"
#include "runner.h"
#include "schedule.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/engine/doctor.h"
#include "steps.h"
#include "store.h"
#include "type_names.h"
#include "typed.h"

#define BEFORE_CUTOVER                                                                             \
    (PH_BIT(PH_PLANNED) | PH_BIT(PH_EXPANDING) | PH_BIT(PH_BACKFILLING) | PH_BIT(PH_VERIFYING) |   \
     PH_BIT(PH_READY) | PH_BIT(PH_CUTTING_OVER))
#define ANY_PHASE ((1u << PH_COUNT) - 1)

struct verb {
    const char *name;
    unsigned phases; /* of the migration named; 0: takes no migration */
    bool all;        /* without a name: every active migration */
    enum rc (*run)(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job);
    const char *instead; /* hint when the phase is another */
    bool unready;        /* also without a connection of the engine's */
};

struct eng_job *eng_job_new(enum eng_verb verb)
{
    struct eng_job *job = mem_calloc(1, sizeof(*job));

    job->verb = verb;
    return job;
}

void eng_job_free(struct eng_job *job)
{
    if (!job)
        return;
    free(job->name);
    free(job->arg);
    free(job->value);
    json_decref(job->result);
    free(job);
}

void eng_job_answer(struct eng_job *job)
{
    if (!job->result && !err_is_set(&job->err))
        job->result =
            json_pack("{s:[s,s], s:[[s,s]]}", "columns", "migration", "accepted", "rows",
                      job->name ? job->name : "all", job->accepted ? job->accepted : "yes");
    if (job->done)
        job->done(job, job->ctx);
    eng_job_free(job);
}

/* ---- plan and start ---- */

static const char *where(const struct eng_job *job)
{
    return job->value ? job->value : job->name ? job->name : "migration";
}

static enum rc check_table(void *arg, const char *schema, const char *name, struct err *err)
{
    return eng_migration_clash_table(arg, schema, name, err);
}

/* The plan, and what the history says of it: as notes. */
static enum rc make_plan(struct eng_engine *engine, struct eng_job *job, struct eng_plan **plan)
{
    const struct eng_plan_others others = {engine, check_table};
    const char *text = job->arg ? job->arg : "";
    enum rc rc;

    *plan = NULL;
    /* before the catalog is looked at: a file that ran already no longer fits it */
    if (history_check_file(engine, where(job), text, &job->err) != RC_OK)
        return RC_ERR;
    rc = eng_plan_make(engine->work.pg, &others, where(job), text, plan, &job->err);
    conn_rollback(&engine->work);
    if (conn_go_by_own(&engine->work, &job->err) != RC_OK)
        rc = RC_ERR;
    if (rc == RC_OK)
        rc = history_judge(engine, *plan, job->branch, &job->err);
    if (rc == RC_OK)
        return RC_OK;
    eng_plan_free(*plan);
    *plan = NULL;
    return rc;
}

static enum rc check_new(struct eng_engine *engine, const struct eng_migration *m, struct err *err)
{
    size_t tables = m->nlocked;

    if (eng_migration_clash(engine, m, err) != RC_OK)
        return RC_ERR;
    for (size_t i = 0; i < engine->nmigrations; i++)
        tables += engine->migrations[i]->nlocked;
    if (tables > SQL_RULES_TABLES_MAX) {
        err_set(err, "54000", "%zu tables in migration at a time, at most %d can be", tables,
                SQL_RULES_TABLES_MAX);
        return RC_ERR;
    }
    return RC_OK;
}

/* What START would refuse only when it comes to it. */
static enum rc run_plan(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    struct eng_migration *planned;
    struct err why = {0};
    struct eng_plan *plan;

    (void)m;
    if (make_plan(engine, job, &plan) != RC_OK)
        return RC_ERR;
    planned = eng_migration_new(plan); /* the plan is its own now */
    if (check_new(engine, planned, &why) != RC_OK)
        eng_plan_note(plan, true, plan->name, why.text, why.hint);
    job->result = eng_plan_table(plan);
    eng_migration_free(planned);
    return RC_OK;
}

static enum rc start_planned(struct eng_engine *engine, struct eng_plan *plan, struct eng_job *job)
{
    struct eng_migration *m = eng_migration_new(plan);

    m->migrate = job->migrate;
    if (check_new(engine, m, &job->err) != RC_OK || eng_status_bytes(engine, m, &job->err) != RC_OK)
        goto refused;
    m->stats.bytes_before = m->stats.bytes_now;
    if (store_insert(engine, m, &job->err) != RC_OK)
        goto refused;
    eng_migration_add(engine, m);
    eng_status_put(engine, m);
    history_show(engine);
    log_info("%s: planned, %zu steps", m->name, plan->nsteps);
    job->result = json_pack("{s:[s], s:[[s]]}", "columns", "migration", "rows", m->name);
    return RC_OK;
refused:
    eng_migration_free(m);
    return RC_ERR;
}

static enum rc run_start(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    struct eng_plan *plan;

    (void)m;
    if (store_create(&engine->work, &job->err) != RC_OK)
        return RC_ERR;
    engine->store = true;
    if (make_plan(engine, job, &plan) != RC_OK)
        return RC_ERR;
    if (eng_plan_refused(plan, &job->err)) {
        eng_plan_free(plan);
        return RC_ERR;
    }
    return start_planned(engine, plan, job);
}

/* ---- the road's forks ---- */

static void unblock(struct eng_migration *m)
{
    err_clear(&m->failure);
    m->retries = m->tried = 0;
    m->not_before_us = 0;
}

/* Between two attempts, too: then it is ready again. */
static enum rc withdraw_cutover(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    if (!m->due.set && !m->migrate && m->phase != PH_CUTTING_OVER) {
        err_set(err, "55000", "no cut-over of \"%s\" was asked for", m->name);
        return RC_ERR;
    }
    if (schedule_clear(engine, m, err) != RC_OK)
        return RC_ERR;
    log_info("the cut-over was withdrawn");
    m->migrate = false;
    if (m->phase == PH_CUTTING_OVER || m->phase == PH_READY) {
        unblock(m);
        buf_reset(&m->blockers);
    }
    if (store_flags(engine, m, err) != RC_OK)
        return RC_ERR;
    return m->phase == PH_CUTTING_OVER ? eng_phase_move(engine, m, PH_READY, err) : RC_OK;
}

/* Who holds a migration and who wants it to go on are two people, perhaps. */
static enum rc check_paused(const struct eng_migration *m, const char *verb, struct err *err)
{
    if (!m->paused)
        return RC_OK;
    err_set(err, "55006", "migration \"%s\" is paused", m->name);
    err_hint(err, "RESUME (segue resume), then %s", verb);
    return RC_ERR;
}

static enum rc cutover_at(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    if (m->phase == PH_CUTTING_OVER) {
        err_set(&job->err, "55000", "a cut-over of \"%s\" is under way", m->name);
        err_hint(&job->err, "CUTOVER ... WITHDRAW (segue cutover --withdraw) calls it off");
        return RC_ERR;
    }
    if (schedule_set(engine, m, job->arg, job->wait_replicas, &job->err) != RC_OK)
        return RC_ERR;
    if (m->phase != PH_READY) /* what has stopped it stays */
        return RC_OK;
    unblock(m);
    buf_reset(&m->blockers);
    return store_flags(engine, m, &job->err);
}

static enum rc run_cutover(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    struct buf why = {0};

    if (job->withdraw)
        return withdraw_cutover(engine, m, &job->err);
    if (job->arg)
        return cutover_at(engine, m, job);
    if (m->phase != PH_READY) {
        err_set(&job->err, "55000", "cannot cut over migration \"%s\": it is %s", m->name,
                eng_phase(m->phase)->name);
        err_hint(&job->err, "it must be ready: see SHOW STATUS (segue status)");
        return RC_ERR;
    }
    if (m->verify_wanted) {
        err_set(&job->err, "55006", "a verify of \"%s\" is running", m->name);
        return RC_ERR;
    }
    if (check_paused(m, "CUTOVER", &job->err) != RC_OK ||
        eng_cutover_preflight(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    unblock(m);
    m->wait_replicas = job->wait_replicas;
    buf_reset(&m->blockers);
    if (schedule_postponed(engine, &why)) { /* a wish that goes on when the file has gone */
        buf_fini(&why);
        return schedule_set(engine, m, NULL, job->wait_replicas, &job->err) == RC_OK
                   ? store_flags(engine, m, &job->err)
                   : RC_ERR;
    }
    if (schedule_clear(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    return eng_phase_move(engine, m, PH_CUTTING_OVER, &job->err);
}

/* What waits for it is told so. */
static void stop_verify(struct eng_engine *engine, struct eng_migration *m, const char *verb)
{
    struct err why = {0};

    err_set(&why, "57014", "the verify of \"%s\" was ended by %s", m->name, verb);
    eng_verify_drop(m);
    eng_verify_answer(engine, m, &why);
}

static enum rc run_complete(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    if (history_check_complete(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    /* force is about people; rows, and the guard that may have been passed, are never skipped */
    if (eng_tables_check(engine, m, TABLE_BIT(TABLE_RESTORED), &job->err) != RC_OK ||
        type_names_columns(engine, m, &job->err) != RC_OK ||
        eng_rows_check(engine, m, &job->err) != RC_OK ||
        (!job->force && eng_contract_preflight(engine, m, &job->err) != RC_OK) ||
        dependents_check(engine, m, &job->err) != RC_OK ||
        eng_proofs_check(m, &job->err) != RC_OK ||
        check_paused(m, "COMPLETE", &job->err) != RC_OK ||
        eng_contract_looks(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    unblock(m);
    stop_verify(engine, m, "COMPLETE");
    return eng_phase_move(engine, m, PH_CONTRACTING, &job->err);
}

/* What stops it may be what it would take along: with force that goes, too. */
static enum rc insist(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    m->force = true;
    m->paused = false;
    unblock(m);
    return store_flags(engine, m, err);
}

static enum rc run_abort(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    if (m->phase == PH_ABORTING)
        return insist(engine, m, &job->err);
    if (history_check_back(engine, m, &job->err) != RC_OK ||
        eng_tables_check(engine, m, TABLE_BIT(TABLE_RESTORED), &job->err) != RC_OK ||
        eng_heirs_check(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    if (!job->force && eng_abort_preflight(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    if (schedule_clear(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    m->paused = false;
    m->force = job->force;
    unblock(m);
    eng_migration_let_go(m);
    stop_verify(engine, m, "ABORT");
    /* between two attempts: nothing of the cut-over is under way */
    if (store_flags(engine, m, &job->err) != RC_OK ||
        (m->phase == PH_CUTTING_OVER && eng_phase_move(engine, m, PH_READY, &job->err) != RC_OK))
        return RC_ERR;
    return eng_phase_move(engine, m, PH_ABORTING, &job->err);
}

/* Has this migration been rolled back from soak already? */
static enum rc rolled_back(struct eng_engine *engine, const struct eng_migration *m, bool *yes,
                           struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT EXISTS (SELECT 1 FROM segue.attempts WHERE migration = "
                               "%" PRId64 " AND kind = 'revert' AND outcome = 'done')",
                               m->id);

    if (!res)
        return RC_ERR;
    *yes = res_bool(res, 0, 0);
    PQclear(res);
    return RC_OK;
}

/* Said twice by mistake, rollback must not go on to drop what the new application wrote. */
static enum rc run_rollback(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    bool already = false;

    if (m->phase != PH_SOAKING) {
        if (rolled_back(engine, m, &already, &job->err) != RC_OK)
            return RC_ERR;
        if (!already)
            return run_abort(engine, m, job);
        err_set(&job->err, "55000", "migration \"%s\" is rolled back already: it is %s", m->name,
                eng_phase(m->phase)->name);
        err_hint(&job->err, "ABORT (segue abort) drops its new columns, CUTOVER (segue cutover) "
                            "goes forward again");
        return RC_ERR;
    }
    /* what only the new columns hold would be lost with them as the truth */
    if (eng_tables_check(engine, m, TABLE_BIT(TABLE_RESTORED), &job->err) != RC_OK ||
        eng_rows_check(engine, m, &job->err) != RC_OK ||
        detaching_check(engine, m, &job->err) != RC_OK ||
        leaf_index_check(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    if (history_check_back(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    m->paused = false;
    unblock(m);
    eng_steps_cancel(m);
    stop_verify(engine, m, "ROLLBACK");
    buf_reset(&m->blockers);
    if (store_flags(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    return eng_phase_move(engine, m, PH_REVERTING, &job->err);
}

static enum rc run_verify(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    bool stands = err_is_set(&m->failure) || m->paused;

    (void)engine;
    if (m->nverify_jobs == ARRAY_LEN(m->verify_jobs)) {
        err_set(&job->err, "53400", "%zu wait for this verify already", m->nverify_jobs);
        return RC_ERR;
    }
    if (m->phase == PH_VERIFYING && stands) { /* its own pass is the one that would be waited for */
        err_set(&job->err, "55006", "the verify of \"%s\" %s", m->name,
                m->paused ? "is paused" : "has stopped");
        err_hint(&job->err, "RESUME (segue resume) lets it go on");
        return RC_ERR;
    }
    m->verify_jobs[m->nverify_jobs++] = job;
    m->verify_wanted = m->phase != PH_VERIFYING;
    m->not_before_us = 0;
    return RC_AGAIN; /* answered when the pass ends */
}

static enum rc run_pause(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    m->paused = true;
    return store_flags(engine, m, &job->err);
}

/* Of all migrations one that goes on is enough. */
static enum rc run_resume(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    if (job->skip && eng_steps_skip(engine, m, &job->err) != RC_OK)
        return RC_ERR;
    if (m->paused || err_is_set(&m->failure) || err_is_set(&m->unbuilt) ||
        m->retries + m->tried > 0)
        job->accepted = "yes";
    else if (!job->accepted)
        job->accepted = "neither paused nor stopped: nothing was to resume";
    m->paused = false;
    m->leaves_us = 0;
    unblock(m);
    return store_flags(engine, m, &job->err);
}

static enum rc run_doctor(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    (void)m;
    return eng_doctor(engine->options.upstream, engine, job->name, &job->result, &job->err);
}

/* A query that fails and a time zone that there is not are said at once; a replica may be away. */
static enum rc try_setting(struct eng_engine *engine, size_t i, struct err *err)
{
    const struct throttle_state *state = &engine->throttle.signals[i];

    throttle_read_now(engine);
    if (!state->live || !state->now.enabled || !throttle_signal(i)->setting_needed ||
        state->reading.known || i == THROTTLE_DIRECT_S)
        return RC_OK;
    err_set(err, "22023", "%s", state->reason);
    return RC_ERR;
}

/* What was refused is as it was: as the store has it, or where there is none as configured. */
static void forget_setting(struct eng_engine *engine, size_t signal)
{
    struct err ignored = {0};

    if ((engine->store ? throttle_load(engine, &ignored)
                       : throttle_set(&engine->throttle, signal, "default", &ignored)) != RC_OK)
        log_err(LOG_DEBUG, "reading the limits", &ignored); /* the next connection does */
    throttle_read_now(engine);                              /* the reading was of what is refused */
}

static enum rc run_throttle(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    int signal = throttle_find(job->arg ? job->arg : "");
    enum rc rc;

    (void)m;
    if (signal < 0) {
        err_set(&job->err, "22023", "there is no throttle signal \"%s\"", job->arg ? job->arg : "");
        err_hint(&job->err, "SHOW THROTTLE (segue throttle) lists them");
        return RC_ERR;
    }
    if (throttle_set(&engine->throttle, (size_t)signal, job->value ? job->value : "", &job->err) !=
        RC_OK)
        return RC_ERR;
    rc = try_setting(engine, (size_t)signal, &job->err);
    if (rc == RC_OK)
        rc = store_create(&engine->work, &job->err);
    engine->store |= rc == RC_OK;
    if (rc == RC_OK)
        rc = throttle_save(engine, (size_t)signal, &job->err);
    if (rc != RC_OK)
        forget_setting(engine, (size_t)signal);
    throttle_show(engine);
    for (size_t i = 0; i < engine->nmigrations; i++)
        engine->migrations[i]->not_before_us = 0;
    if (rc == RC_OK)
        job->result =
            board_show(engine->board, BOARD_THROTTLE, throttle_signal((size_t)signal)->name);
    return rc;
}

static enum rc run_evidence(struct eng_engine *engine, struct eng_migration *m, struct eng_job *job)
{
    (void)m;
    return eng_evidence(engine, job->name ? job->name : "", &job->result, &job->err);
}

static const struct verb verbs[] = {
    [ENG_PLAN] = {"plan", 0, false, run_plan, NULL, false},
    [ENG_START] = {"start", 0, false, run_start, NULL, false},
    [ENG_CUTOVER] = {"cut over", BEFORE_CUTOVER, false, run_cutover,
                     "it must be ready: see SHOW STATUS (segue status)", false},
    [ENG_COMPLETE] = {"complete", PH_BIT(PH_SOAKING), false, run_complete,
                      "it must be soaking: cut over first", false},
    [ENG_ROLLBACK] = {"roll back", BEFORE_CUTOVER | PH_BIT(PH_SOAKING), false, run_rollback,
                      "once it contracts there is no way back", false},
    [ENG_ABORT] = {"abort", BEFORE_CUTOVER, false, run_abort, "after the cut-over, roll back first",
                   false},
    [ENG_VERIFY] = {"verify", PH_BIT(PH_VERIFYING) | PH_BIT(PH_READY) | PH_BIT(PH_SOAKING), false,
                    run_verify, "it can be verified when it is verifying, ready or soaking", false},
    [ENG_PAUSE] = {"pause", ANY_PHASE, true, run_pause, NULL, false},
    [ENG_RESUME] = {"resume", ANY_PHASE, true, run_resume, NULL, false},
    [ENG_THROTTLE] = {"throttle", 0, false, run_throttle, NULL, false},
    [ENG_BASELINE] = {"baseline", 0, false, history_run_baseline, NULL, false},
    [ENG_SNAPSHOT] = {"snapshot", 0, false, history_run_snapshot, NULL, false},
    [ENG_DIFF] = {"diff", 0, false, history_run_diff, NULL, false},
    [ENG_VERSIONS] = {"versions", 0, false, history_run_versions, NULL, false},
    [ENG_DOCTOR] = {"doctor", 0, false, run_doctor, NULL, .unready = true},
    [ENG_EVIDENCE] = {"give the evidence of", 0, false, run_evidence, NULL, false},
};
static_assert(ARRAY_LEN(verbs) == ENG_VERB_COUNT, "a verb without a row");

/* Where somebody else has asked for something: what comes of it. */
static const char *const under_way[PH_COUNT] = {
    [PH_REVERTING] = "it goes back to ready: wait for that (SHOW STATUS, segue status)",
    [PH_CONTRACTING] = "what is old is being dropped: there is no way back from there",
    [PH_ABORTING] = "what is new is being dropped: it ends there",
};

static void refuse_phase(const struct verb *verb, const struct eng_migration *m,
                         struct eng_job *job)
{
    bool done = job->withdraw && m->phase == PH_SOAKING;
    const char *hint = done ? "it is done: ROLLBACK goes back" : under_way[m->phase];

    err_set(&job->err, "55000", "cannot %s migration \"%s\": it is %s",
            job->withdraw ? "withdraw the cut-over of" : verb->name, m->name,
            eng_phase(m->phase)->name);
    if (hint || verb->instead)
        err_hint(&job->err, "%s", hint ? hint : verb->instead);
}

/* None in flight has the name. */
static void refuse_ended(struct eng_engine *engine, const struct verb *verb, struct eng_job *job)
{
    const char *name = job->name ? job->name : "";
    json_t *known, *row;

    if (!board_check_migration(engine->board, name, &job->err))
        return;
    known = board_show(engine->board, BOARD_MIGRATIONS, name);
    row = json_array_get(json_object_get(known, "rows"), 0);
    err_set(&job->err, "55000", "cannot %s migration \"%s\": it is %s", verb->name, name,
            json_string_value(json_array_get(row, 1)));
    err_hint(&job->err, "it has ended, and history goes forward only: start a new one");
    json_decref(known);
}

static enum rc run_on(struct eng_engine *engine, const struct verb *verb, struct eng_job *job)
{
    struct eng_migration *m = job->name ? eng_migration_find(engine, job->name) : NULL;
    enum rc rc;

    if (!m) {
        refuse_ended(engine, verb, job);
        return RC_ERR;
    }
    if (!(verb->phases & PH_BIT(m->phase)) &&
        !(job->verb == ENG_ABORT && job->force && m->phase == PH_ABORTING)) {
        refuse_phase(verb, m, job);
        return RC_ERR;
    }
    log_scope(m->name);
    rc = verb->run(engine, m, job);
    log_scope(NULL);
    eng_status_put(engine, m);
    return rc;
}

static enum rc run_all(struct eng_engine *engine, const struct verb *verb, struct eng_job *job)
{
    if (engine->nmigrations == 0) {
        err_set(&job->err, "42704", "cannot %s: there is no migration in flight", verb->name);
        err_hint(&job->err, "SHOW HISTORY (segue history) lists those that have ended");
        return RC_ERR;
    }
    for (size_t i = 0; i < engine->nmigrations; i++) {
        enum rc rc = verb->run(engine, engine->migrations[i], job);

        if (rc != RC_OK)
            return rc;
        eng_status_put(engine, engine->migrations[i]);
    }
    return RC_OK;
}

static void refuse_unready(struct eng_engine *engine, struct eng_job *job)
{
    char *why = board_trouble(engine->board);

    err_set(&job->err, "08006", "the proxy has no connection of its own to the database yet%s%s",
            *why ? ": " : "", why);
    err_hint(&job->err, "it keeps trying; DOCTOR (segue doctor) says more");
    free(why);
    eng_job_answer(job);
}

void eng_job_run(struct eng_engine *engine, struct eng_job *job)
{
    const struct verb *verb = &verbs[job->verb];
    enum rc rc;

    if (!engine->ready && !verb->unready) {
        refuse_unready(engine, job);
        return;
    }
    if (engine->lost && !verb->unready && eng_store_lost(engine, &job->err)) {
        eng_job_answer(job);
        return;
    }
    FAULT_OF(job_before, verb->name);
    if (verb->phases == 0)
        rc = verb->run(engine, NULL, job);
    else if (!job->name && verb->all)
        rc = run_all(engine, verb, job);
    else
        rc = run_on(engine, verb, job);
    conn_rollback(&engine->work);
    if (rc == RC_ERR && engine->nmigrations && eng_store_lost(engine, &job->err))
        eng_store_lost_stop(engine);
    if (rc == RC_ERR)
        err_set(&job->err, "XX000", "%s failed", verb->name);
    if (rc == RC_OK)
        FAULT_OF(job_done, verb->name);
    if (rc != RC_AGAIN)
        eng_job_answer(job);
}
