/* Before the irreversible: who still uses old names, what would be lost. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "segue/base/clock.h"
#include "steps.h"
#include "typed.h"

/* An old revision that happens to be idle is seen by nobody: the quiet period is counted from the
 * cut-over at the earliest. */
static enum rc check_soaked(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    unsigned quiet_s = engine->options.quiet_period_s;
    double ago_s;
    char *force;
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT extract(epoch FROM clock_timestamp() - cutover_at) "
                               "FROM segue.migrations WHERE id = %" PRId64,
                               m->id);

    if (!res)
        return RC_ERR;
    ago_s = res_double(res, 0, 0);
    PQclear(res);
    if (ago_s >= quiet_s)
        return RC_OK;
    err_set(err, "55006", "the cut-over was only %.0f s ago", ago_s);
    force = typed_force("complete", m->name);
    err_hint(err,
             "it takes %u s (quiet_period_s) in which nobody uses an old name: ask again in %.0f "
             "s; %s completes now",
             quiet_s, ceil(quiet_s - ago_s), force);
    free(force);
    return RC_ERR;
}

static enum rc check_old_names(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    int64_t quiet_ms = (int64_t)engine->options.quiet_period_s * 1000;
    struct buf who = {0};
    char *force;

    if (eng_status_refresh(engine, m, err) != RC_OK)
        return RC_ERR;
    eng_usage_look(engine);
    eng_usage_save(engine);
    if (eng_usage_old_clients(engine, m, clock_ms() - quiet_ms, &who) == 0)
        return RC_OK;
    err_set(err, "55006", "old names are still in use: %s", who.data);
    buf_reset(&who);
    eng_outside_tell(engine, &who);
    force = typed_force("complete", m->name);
    err_hint(err,
             "it takes %u s (quiet_period_s) without a statement that uses an old name; %s "
             "completes now%s",
             engine->options.quiet_period_s, force, who.len ? who.data : "");
    free(force);
    buf_fini(&who);
    return RC_ERR;
}

enum rc eng_contract_preflight(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    if (check_old_names(engine, m, err) != RC_OK || check_soaked(engine, m, err) != RC_OK)
        return RC_ERR;
    return eng_outside_check(engine, m, err);
}

static enum rc look(struct eng_engine *engine, const char *sql, struct err *err)
{
    enum rc rc =
        conn_exec(&engine->work, err, "BEGIN READ ONLY; SET LOCAL lock_timeout = %u; %s; ROLLBACK",
                  conn_lock_ms(&engine->work, engine->options.lock_timeout_ms), sql);

    conn_rollback(&engine->work);
    return rc;
}

enum rc eng_contract_looks(struct eng_engine *engine, const struct eng_migration *m,
                           struct err *err)
{
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];

        for (size_t j = 0; step->stage == ENG_STAGE_CONTRACT && j < step->nsql; j++)
            if (!strncmp(step->sql[j], ENG_LOOKS, strlen(ENG_LOOKS)) &&
                look(engine, step->sql[j], err) != RC_OK)
                return RC_ERR;
    }
    return RC_OK;
}

/* The step of the stage at `i` or after it that is not done; nsteps: there is none left. */
static size_t next_left(const struct eng_migration *m, enum eng_stage stage, size_t i)
{
    while (i < m->plan->nsteps && (m->plan->steps[i].stage != stage || m->step_done[i]))
        i++;
    return i;
}

static unsigned steps_left(const struct eng_migration *m, enum eng_stage stage)
{
    unsigned n = 0;

    for (size_t i = next_left(m, stage, 0); i < m->plan->nsteps; i = next_left(m, stage, i + 1))
        n++;
    return n;
}

unsigned eng_proofs_left(const struct eng_migration *m)
{
    if (m->phase != PH_READY && m->phase != PH_SOAKING)
        return 0;
    return steps_left(m, ENG_STAGE_SETTLE) +
           (m->phase == PH_SOAKING ? steps_left(m, ENG_STAGE_SOAK) : 0);
}

unsigned eng_builds_left(const struct eng_migration *m)
{
    return steps_left(m, ENG_STAGE_BUILD);
}

enum rc eng_proofs_check(const struct eng_migration *m, struct err *err)
{
    bool failed = err_is_set(&m->failure);
    size_t i = next_left(m, ENG_STAGE_SETTLE, 0);

    if (i == m->plan->nsteps)
        i = next_left(m, ENG_STAGE_SOAK, 0);
    if (i == m->plan->nsteps)
        return RC_OK;
    err_set(err, failed || m->paused ? "55006" : ENG_NOT_PROVEN, "not done yet: %s",
            m->plan->steps[i].title);
    if (failed)
        err_hint(err, "it has failed (%s): mend the rows, RESUME, then COMPLETE", m->failure.text);
    else if (m->paused)
        err_hint(err, "the migration is paused: RESUME, then COMPLETE");
    else
        err_hint(err, "it runs since the cut-over and blocks nobody; ask again when it is done "
                      "(SHOW STATUS: proofs_left; segue complete waits for it), or ROLLBACK");
    return RC_ERR;
}

/* One of this name that somebody else has made meanwhile is not dropped. */
static bool is_made(const struct eng_migration *m, const char *relation)
{
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const char *created = eng_step_creates(&m->plan->steps[i]);

        if (created && m->step_done[i] && !strcmp(created, relation))
            return true;
    }
    return false;
}

enum rc eng_abort_preflight(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    for (size_t i = 0; i < m->plan->ncreated; i++) {
        const char *name = m->plan->created[i];
        const char *values[] = {name};
        PGresult *res =
            conn_params(&engine->work, err, "SELECT to_regclass($1) IS NOT NULL", 1, values);
        bool there = res && res_bool(res, 0, 0) && is_made(m, name);

        PQclear(res);
        if (!res)
            return RC_ERR;
        if (!there)
            continue;
        res = conn_query(&engine->work, err, "SELECT EXISTS (SELECT 1 FROM %s)", name);
        if (!res)
            return RC_ERR;
        if (res_bool(res, 0, 0)) {
            char *force = typed_force("abort", m->name);

            err_set(err, "55000", "table %s, which this migration created, holds rows", name);
            err_hint(err, "%s drops it with its rows", force);
            free(force);
        }
        PQclear(res);
        if (err_is_set(err))
            return RC_ERR;
    }
    return RC_OK;
}
