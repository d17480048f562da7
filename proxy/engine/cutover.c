/* The cut-over and the way back from soak: the same gated transaction in two directions. */
#include <stdio.h>
#include <stdlib.h>

#include "attempts.h"
#include "attributes.h"
#include "defaults.h"
#include "dependents.h"
#include "detaching.h"
#include "foreign_parts.h"
#include "gated.h"
#include "leaf_index.h"
#include "policy.h"
#include "relations.h"
#include "replicas.h"
#include "schedule.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "steps.h"
#include "store.h"
#include "twins.h"
#include "type_names.h"
#include "writers.h"

#define POSTPONED_LOOK_MS 500
#define NOT_THERE (~TABLE_BIT(TABLE_THERE))

struct turnover {
    enum eng_stage stage;
    enum eng_phase_id to, back; /* done; attempts used up */
    const char *kind, *title;
};

static const struct turnover forward = {ENG_STAGE_CUTOVER, PH_SOAKING, PH_READY, "cutover",
                                        "cut-over"};
static const struct turnover backward = {ENG_STAGE_REVERT, PH_READY, PH_SOAKING, "revert",
                                         "way back to the old schema"};

/* The way back has used up what was built; in ready it is built again. */
static enum rc check_built(const struct eng_migration *m, struct err *err)
{
    const char *title = eng_steps_pending(m, ENG_STAGE_BUILD);

    if (!title)
        return RC_OK;
    if (err_is_set(&m->failure)) {
        err_set(err, "55000", "what the way back has used up is not built again: %s",
                m->failure.text);
        err_hint(err, "RESUME (segue resume) tries again, once the cause is gone");
        return RC_ERR;
    }
    err_set(err, "55000", "it is still being prepared: %s", title);
    err_hint(
        err,
        "the way back has used up what was built before: `segue wait` waits for it (SHOW STATUS: "
        "builds_left)");
    return RC_ERR;
}

/* Of the catalog, in its words. */
static enum rc name_holder(struct eng_engine *engine, const char *schema, const char *name,
                           PGresult **holder, struct err *err)
{
    char *in = sql_quote_literal(schema), *called = sql_quote_literal(name);

    *holder = conn_query(
        &engine->work, err,
        "SELECT pg_describe_object('pg_class'::regclass, c.oid, 0) FROM pg_class c JOIN "
        "pg_namespace"
        " n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s UNION ALL SELECT"
        " pg_describe_object('pg_type'::regclass, y.oid, 0) FROM pg_type y JOIN pg_namespace n ON"
        " n.oid = y.typnamespace WHERE n.nspname = %s AND y.typname = %s AND y.typrelid = 0 AND NOT"
        " (y.typcategory = 'A' AND y.typelem <> 0) LIMIT 1", /* such a one gives way by itself */
        in, called, in, called);
    free(called);
    free(in);
    return *holder ? RC_OK : RC_ERR;
}

/* Somebody may have given to something the name that a table is about to get. The turn would fail:
 * this says it before anybody is held up, and of what. */
static enum rc check_names_free(struct eng_engine *engine, const struct eng_migration *m,
                                struct err *err)
{
    for (size_t i = 0; i < m->nlocked; i++) {
        const struct eng_locked *locked = &m->locked[i];
        const struct eng_called called = eng_locked_called(m, locked);
        PGresult *holder;

        if (!called.other)
            continue;
        if (name_holder(engine, locked->schema, called.other, &holder, err) != RC_OK)
            return RC_ERR;
        if (PQntuples(holder)) {
            err_set(err, "42P07", "%s already exists, and table %s.%s is to get that name",
                    res_text(holder, 0, 0), locked->schema, called.name);
            err_hint(err, "give it another name, or drop it; then ask for it again");
        }
        PQclear(holder);
        if (err_is_set(err))
            return RC_ERR;
    }
    return RC_OK;
}

/* *steps: what its transaction does; heap. */
static enum rc take_steps(struct eng_engine *engine, const struct eng_migration *m,
                          const struct turnover *t, char **steps, struct err *err)
{
    *steps = NULL;
    if (t == &forward && dependents_check(engine, m, err) != RC_OK)
        return RC_ERR;
    return twins_steps(engine, m, t->stage, steps, err);
}

static enum rc check_steps(struct eng_engine *engine, const struct eng_migration *m,
                           struct err *err)
{
    char *steps;
    enum rc rc = take_steps(engine, m, &forward, &steps, err);

    free(steps);
    return rc;
}

enum rc eng_cutover_preflight(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    PGresult *res;
    char *names, *steps, *built;

    if (check_built(m, err) != RC_OK || eng_tables_check(engine, m, NOT_THERE, err) != RC_OK ||
        type_names_check(engine, m, err) != RC_OK || eng_rows_check(engine, m, err) != RC_OK ||
        detaching_check(engine, m, err) != RC_OK || leaf_index_check(engine, m, err) != RC_OK ||
        check_steps(engine, m, err) != RC_OK || check_names_free(engine, m, err) != RC_OK ||
        defaults_check(engine, m, false, err) != RC_OK ||
        writers_check(&engine->work, m->plan, err) != RC_OK)
        return RC_ERR;
    names = eng_lock_names(m, NULL);
    steps = eng_steps_join(m, ENG_STAGE_BUILD);
    built = sql_quote_literal(steps);
    res = conn_query(
        &engine->work, err,
        "WITH rel AS (SELECT to_regclass(n)::oid AS oid FROM unnest(ARRAY[%s]::text[]) AS n) "
        "SELECT 'index ' || i.indexrelid::regclass::text || ' is not valid' FROM pg_index i "
        "JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid IN (SELECT oid FROM rel) AND "
        "NOT i.indisvalid AND c.relname LIKE '~segue%%' UNION ALL "
        "SELECT 'constraint ' || c.conname || ' of ' || c.conrelid::regclass::text || "
        "' is not validated' FROM pg_constraint c WHERE c.conrelid IN (SELECT oid FROM rel) AND "
        "NOT c.convalidated AND c.conname LIKE '~segue%%' AND " /* not what was never to be */
        "strpos(%s, 'VALIDATE CONSTRAINT ' || quote_ident(c.conname)) > 0",
        names, built);
    free(built);
    free(steps);
    free(names);
    if (!res)
        return RC_ERR;
    if (PQntuples(res)) {
        err_set(err, "55000", "%s", res_text(res, 0, 0));
        err_hint(err, "abort the migration, or correct this and try again");
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* Marks of the stage's steps are of no use here: the phase is the marker. The way back uses up
 * indexes that were built for it, and for the next cut-over: their steps are to be done again. The
 * names come once more at the end: deferred triggers fire at COMMIT. */
static char *turnover_sql(struct eng_engine *engine, struct eng_migration *m,
                          const struct turnover *t, const char *steps)
{
    char *move = eng_phase_sql(engine, m, t->to);
    char *undone = eng_steps_undone_sql(m, t == &backward);
    char *clear = schedule_clear_sql(m); /* the wish is met by this */
    char *guards = eng_guards_sql(m, -1), *names = conn_names_sql(&engine->work, m->plan);
    char *far = foreign_parts_sql(m);
    char *turned = eng_guards_turned_sql(m);
    char *defaults = defaults_sql(engine, m, t == &backward);
    char *attributes = attributes_sql(engine, m, t == &backward);
    char *sql = mem_printf("%s%s%s%s%s%s%s" CONN_OWN_NAMES "%s;\n%s%s;\n%s%s%s", guards, far,
                           defaults, attributes, names, steps, steps[0] ? ";\n" : "", turned,
                           undone, move, clear, clear[0] ? ";\n" : "", names);

    free(turned);
    free(attributes);
    free(defaults);
    free(names);
    free(far);
    free(guards);
    free(clear);
    free(undone);
    free(move);
    return sql;
}

/* Blocked: by whom (`who`). Failed: why, in the words of who refused it. */
static struct err reason_of(const struct buf *who, const struct turnover *t,
                            enum gated_outcome outcome, unsigned attempts, const struct err *err)
{
    struct err why = {0};

    if (outcome == GATED_FAILED) {
        why = *err;
        err_prefix(&why, "the %s failed", t->title);
        err_hint(&why, "correct the cause, then ask for it again");
        return why;
    }
    err_set(&why, "55P03", "the %s was not possible in %u attempts; in the way: %s", t->title,
            attempts, who->len ? who->data : err->text);
    err_hint(&why, "%s",
             err->hint[0] ? err->hint : "end the transactions named, then ask for it again");
    return why;
}

static enum rc give_up(struct eng_engine *engine, struct eng_migration *m, const struct turnover *t,
                       enum gated_outcome outcome, unsigned attempts, struct err *err)
{
    struct err why, logged;
    struct buf who = {0};

    if (outcome == GATED_FAILED)
        type_names_explain(engine, m, err);
    why = reason_of(&m->blockers, t, outcome, attempts, err);
    if (m->blockers.len) /* of the same, without their statements */
        blockers_log_text(m->blocking, &who);
    logged = reason_of(&who, t, outcome, attempts, err);
    buf_fini(&who);
    err_clear(err);
    FAULT_OF(give_up, eng_phase(m->phase)->name);
    if (schedule_clear(engine, m, err) != RC_OK ||
        eng_phase_back(engine, m, t->back, &why, err) != RC_OK)
        return RC_ERR;
    log_err(LOG_WARNING, "gave up", &logged);
    return RC_AGAIN;
}

/* After so many attempts. */
static int64_t pause_ms(const struct eng_backoff *backoff, unsigned tried)
{
    return backoff->ms[tried < backoff->n ? tried - 1 : backoff->n - 1];
}

static enum rc attempt(struct eng_engine *engine, struct eng_migration *m, const struct turnover *t,
                       const char *steps, struct err *err)
{
    char *sql = turnover_sql(engine, m, t, steps);
    char *names = eng_lock_names(m, NULL);
    const struct gated_spec spec = {.kind = t->kind,
                                    .title = t->title,
                                    .mask = eng_mask_all(m),
                                    .names_turn = eng_mask_names(m),
                                    .names = names,
                                    .mode = "ACCESS EXCLUSIVE",
                                    .row_lock = true,
                                    .sql = sql,
                                    .phase = (int)t->to};
    struct gated_result result;
    unsigned tried;

    policy_act(engine, m, names);
    m->stats.attempts += t == &forward;
    m->retries = 0;
    tried = ++m->tried;
    gated_run(engine, m, &spec, &result, err);
    free(sql);
    free(names);
    if (result.outcome == GATED_DONE) {
        schedule_cleared(m);
        eng_steps_undone(m, t == &backward);
        buf_reset(&m->blockers);
        eng_phase_tell(engine, m);
        return RC_AGAIN;
    }
    if (result.outcome == GATED_LOST || conn_lost(err))
        return RC_ERR;
    if (result.outcome == GATED_FAILED || tried >= engine->options.cutover_attempts_max)
        return give_up(engine, m, t, result.outcome, tried, err);
    err_clear(err);
    policy_sleep(engine, m, pause_ms(&engine->options.backoff, tried));
    eng_status_put(engine, m);
    return RC_AGAIN;
}

/* It may have waited for long. */
static enum rc look(struct eng_engine *engine, struct eng_migration *m, const struct turnover *t,
                    char **steps, struct err *err)
{
    if (eng_tables_check(engine, m, NOT_THERE, err) != RC_OK ||
        type_names_check(engine, m, err) != RC_OK || eng_rows_check(engine, m, err) != RC_OK ||
        take_steps(engine, m, t, steps, err) != RC_OK ||
        check_names_free(engine, m, err) != RC_OK ||
        defaults_check(engine, m, t == &backward, err) != RC_OK)
        return conn_retryable(err) ? RC_ERR
                                   : give_up(engine, m, t, GATED_FAILED, m->tried + 1, err);
    return RC_OK;
}

static enum rc turn(struct eng_engine *engine, struct eng_migration *m, const struct turnover *t,
                    struct err *err)
{
    char *steps = NULL;
    enum rc rc = look(engine, m, t, &steps, err);

    if (rc == RC_OK && !eng_gate_free(engine, m))
        rc = RC_AGAIN;
    if (rc == RC_OK) {
        eng_steps_cancel(m); /* what was settling would be in the way */
        snprintf(m->step, sizeof(m->step), "%s, attempt %u", t->title, m->tried + 1);
        rc = attempt(engine, m, t, steps, err);
    }
    free(steps);
    return rc;
}

/* The limit is over: it counts as the attempt that it kept from beginning. */
static enum rc replicas_late(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    const struct attempt attempt = {.kind = forward.kind,
                                    .title = forward.title,
                                    .outcome = "replicas",
                                    .took_ms = engine->options.replicas_wait_ms,
                                    .blockers = m->blocking,
                                    .error = "replicas have not caught up"};

    m->stats.attempts++;
    if (attempt_store(engine, m, &attempt, err) != RC_OK)
        return RC_ERR;
    return give_up(engine, m, &forward, GATED_BUSY, m->tried + 1, err);
}

/* Postponed between two attempts, too; replicas are waited for once. */
static enum rc may_try(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct buf why = {0};
    bool late = false;
    enum rc rc;

    if (schedule_postponed(engine, &why)) {
        buf_reset(&m->blockers);
        buf_append_str(&m->blockers, why.data);
        buf_fini(&why);
        eng_sleep(m, POSTPONED_LOOK_MS);
        eng_status_put(engine, m);
        return RC_AGAIN;
    }
    if (!m->wait_replicas)
        return RC_OK;
    snprintf(m->step, sizeof(m->step), "waiting for replicas");
    rc = replicas_turn(engine, m, &late, err);
    if (rc == RC_OK)
        m->wait_replicas = false;
    return late ? replicas_late(engine, m, err) : rc;
}

enum rc eng_phase_cutting_over(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum rc rc = may_try(engine, m, err);

    return rc == RC_OK ? turn(engine, m, &forward, err) : rc;
}

enum rc eng_phase_reverting(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    return turn(engine, m, &backward, err);
}
