/*
 * Runs the plan's steps of one stage, one at a time: DDL together with its done mark (behind the
 * gate where the plan says so), CREATE INDEX CONCURRENTLY and VALIDATE on the migration's own
 * connection without waiting for them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alone.h"
#include "begun.h"
#include "gated.h"
#include "leaf_index.h"
#include "parts.h"
#include "policy.h"
#include "relations.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "steps.h"
#include "store.h"
#include "twins.h"
#include "typed.h"
#include "yield.h"

#define LONG_POLL_MS 50
#define RETRY_BASE_MS 100
#define SENT_LOOK_MS 1000
#define UNJUDGED_MS 3000
#define UNJUDGED_LOOK_MS 5
#define AS_READ_TRIES 4 /* clients may not cease to change the catalog */
#define RETRY_MAX_MS 5000
#define SLOW_TRIES 3 /* a server may have had a bad moment */

enum rc eng_long_open(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    if (conn_up(&m->lng))
        return RC_OK;
    if (eng_beside_open(engine, &m->lng, ENG_BESIDE_LONG, err) != RC_OK)
        return RC_ERR;
    /* what runs there is of the file, and CREATE INDEX CONCURRENTLY stands alone */
    if (conn_go_by_names(&m->lng, m->plan, err) == RC_OK)
        return RC_OK;
    conn_close(&m->lng);
    return RC_ERR;
}

char *eng_steps_join(const struct eng_migration *m, enum eng_stage stage)
{
    struct buf sql = {0};

    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];

        for (size_t j = 0; step->stage == stage && j < step->nsql; j++)
            buf_printf(&sql, "%s%s", sql.len ? ";\n" : "", step->sql[j]);
    }
    return buf_take(&sql);
}

const char *eng_steps_pending(const struct eng_migration *m, enum eng_stage stage)
{
    for (size_t i = 0; i < m->plan->nsteps; i++)
        if (m->plan->steps[i].stage == stage && !m->step_done[i])
            return m->plan->steps[i].title;
    return NULL;
}

static bool is_undone(const struct eng_step *step, bool back)
{
    return step->again && (back || step->stage == ENG_STAGE_SETTLE);
}

char *eng_steps_undone_sql(const struct eng_migration *m, bool back)
{
    struct buf sql = {0};

    for (size_t i = 0; i < m->plan->nsteps; i++)
        if (is_undone(&m->plan->steps[i], back))
            buf_printf(&sql, "DELETE FROM segue.steps WHERE migration = %" PRId64 " AND no = %d;\n",
                       m->id, m->plan->steps[i].no);
    return sql.len ? buf_take(&sql) : mem_strdup("");
}

void eng_steps_undone(struct eng_migration *m, bool back)
{
    for (size_t i = 0; i < m->plan->nsteps; i++)
        if (is_undone(&m->plan->steps[i], back))
            m->step_done[i] = false;
}

static bool drops_guard(const struct eng_step *step)
{
    return step->table >= 0 && step->nsql > 0 &&
           strstr(step->sql[0], "DROP TRIGGER IF EXISTS \"~segue_guard\"");
}

/* What was written past the guard would be lost with the old columns; with the new ones goes what
 * only tables without one have there. */
static char *guards_sql(const struct eng_migration *m, const struct eng_step *step)
{
    if (!drops_guard(step) || (step->stage != ENG_STAGE_CONTRACT && step->stage != ENG_STAGE_ABORT))
        return NULL;
    return step->stage == ENG_STAGE_CONTRACT ? eng_guards_sql(m, step->table)
                                             : eng_heirs_sql(m, step->table);
}

const char *eng_step_creates(const struct eng_step *step)
{
    static const char title[] = "create table ";
    bool is = step->stage == ENG_STAGE_EXPAND && !strncmp(step->title, title, sizeof(title) - 1);

    return is ? step->title + sizeof(title) - 1 : NULL;
}

/* A table that the migration has made: somebody's row may come into it after abort has looked, or
 * was on its way then. Where not even the owner may see all rows (row security), that is said. */
static char *rows_sql(const struct eng_migration *m, const struct eng_step *step)
{
    static const char sql[] =
        "BEGIN IF pg_catalog.to_regclass(%s) IS NULL THEN RETURN; END IF;"
        " PERFORM pg_catalog.set_config('row_security', 'off', true);"
        " LOCK TABLE %s IN ACCESS EXCLUSIVE MODE; IF EXISTS (SELECT FROM %s) THEN"
        " RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = %s, HINT = %s; END IF; END";
    const char *table = step->stage == ENG_STAGE_ABORT && step->undoes && !m->force
                            ? eng_step_creates(&m->plan->steps[step->undoes - 1])
                            : NULL;
    char *name, *force, *text, *hint, *body, *literal, *out;

    if (!table)
        return NULL;
    name = sql_quote_literal(table);
    force = typed_force("abort", m->name);
    body = mem_printf("rows have come into table %s, which this migration created", table);
    text = sql_quote_literal(body);
    free(body);
    body = mem_printf("%s drops it with its rows; RESUME, once they are elsewhere", force);
    hint = sql_quote_literal(body);
    free(body);
    body = mem_printf(sql, name, table, table, text, hint);
    literal = sql_quote_literal(body);
    out = mem_printf("DO %s;\n", literal);
    free(literal);
    free(body);
    free(hint);
    free(text);
    free(force);
    free(name);
    return out;
}

/* The path of the file's names is left as it is: deferred triggers fire at COMMIT. */
static char *step_sql(struct eng_engine *engine, const struct eng_migration *m, size_t i)
{
    const struct eng_step *step = &m->plan->steps[i];
    char *mark = store_mark_sql(m, i), *names = conn_names_sql(&engine->work, m->plan);
    char *guards = guards_sql(m, step), *rows = rows_sql(m, step);
    struct buf sql = {0};

    buf_printf(&sql, "%s%s%s", guards ? guards : "", rows ? rows : "", names);
    for (size_t j = 0; j < step->nsql; j++)
        if (step->stage != ENG_STAGE_CONTRACT || !twins_left_out(engine, step->sql[j]))
            buf_printf(&sql, "%s;\n", step->sql[j]);
    buf_printf(&sql, CONN_OWN_NAMES "%s;\n%s", mark, names);
    free(rows);
    free(guards);
    free(names);
    free(mark);
    return buf_take(&sql);
}

/* "ACCESS EXCLUSIVE" from the plan's text, "" when it is no mode that LOCK TABLE knows. */
const char *eng_lock_mode(const char *lock)
{
    static const char *const modes[] = {"ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE",
                                        "SHARE UPDATE EXCLUSIVE", "EXCLUSIVE", "SHARE"};

    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (strcmp(lock ? lock : "", modes[i]) == 0)
            return modes[i];
    }
    return "";
}

static enum rc back_off(struct eng_migration *m)
{
    eng_sleep(m, conn_backoff_ms(m->retries++, RETRY_BASE_MS, RETRY_MAX_MS));
    return RC_AGAIN;
}

void eng_step_finished(struct eng_engine *engine, struct eng_migration *m, size_t i)
{
    m->step_done[i] = true;
    m->retries = 0;
    m->not_before_us = 0;
    buf_reset(&m->blockers);
    eng_status_put(engine, m);
}

/* Nobody's names are in doubt: until the catalog was read once more, what a session has made may
 * hide a table. So may what a transaction has that was open before, until that was read while
 * nobody was making anything: behind the gate at which it ends is too late for it. */
static bool is_judged(struct eng_engine *engine, bool unjudged)
{
    uint64_t changes = sess_plane_changes(engine->plane);

    if (unjudged || engine->changes != changes)
        return false;
    if (engine->settled != changes && sight_is_settled(engine))
        eng_publish(engine);
    return engine->settled == changes;
}

/* What went out before workers knew of the migration is as the client wrote it: a star in it would
 * show what expand adds, and a prepared statement would be refused for that. Who has come to its
 * lock is waited for anyway, but one may still be on its way: no client is held up for it. What
 * takes longer has come to its tables long ago. And it is waited for names that are in doubt. */
static bool overtakes(struct eng_engine *engine, struct eng_migration *m,
                      const struct eng_step *step)
{
    bool unjudged = sess_gate_unjudged(engine->plane);

    if (step->stage != ENG_STAGE_EXPAND || is_judged(engine, unjudged))
        return false;
    if (!m->unjudged_until_us) {
        m->unjudged_until_us = clock_us() + (int64_t)UNJUDGED_MS * 1000;
        log_at(unjudged ? LOG_INFO : LOG_DEBUG,
               "%s: waiting for statements that were sent before segue knew of the migration, "
               "for %d ms at most",
               step->title, UNJUDGED_MS);
    }
    if (clock_us() >= m->unjudged_until_us) {
        engine->overtaking = unjudged;
        if (unjudged || engine->changes != sess_plane_changes(engine->plane))
            eng_publish(engine);
        engine->overtaking = false;
        return false;
    }
    eng_sleep(m, UNJUDGED_LOOK_MS);
    return true;
}

enum rc eng_step_gated(struct eng_engine *engine, struct eng_migration *m, size_t i,
                       const char *mode, const char *sql, struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i];
    struct gated_result result;
    struct gated_spec spec;
    char *names;

    if (overtakes(engine, m, step) || !eng_gate_free(engine, m))
        return RC_AGAIN;
    names = eng_lock_names(m, step);
    spec = (struct gated_spec){
        .kind = "step",
        .title = step->title,
        .mask = eng_mask_step(m, step),
        .names = names,
        .mode = mode,
        .as_read = step->stage == ENG_STAGE_EXPAND && m->changed_under < AS_READ_TRIES,
        .answers = step->stage == ENG_STAGE_CONTRACT || step->stage == ENG_STAGE_ABORT,
        .sql = sql,
        .phase = -1};
    if (step->stage == ENG_STAGE_CONTRACT)
        policy_act(engine, m, names);
    gated_run(engine, m, &spec, &result, err);
    free(names);
    m->changed_under += result.outcome == GATED_BUSY && !strcmp(result.word, "changed");
    m->slow = result.outcome == GATED_BUSY && !strcmp(result.word, "slow") ? m->slow + 1 : 0;
    if (result.outcome == GATED_DONE)
        return RC_OK;
    if (result.outcome != GATED_BUSY || m->slow == SLOW_TRIES) {
        m->slow = 0;
        return RC_ERR; /* lost at COMMIT: the mark tells after the reconnect */
    }
    err_clear(err);
    if (step->stage != ENG_STAGE_CONTRACT)
        return back_off(m);
    policy_sleep(engine, m, conn_backoff_ms(m->retries++, RETRY_BASE_MS, RETRY_MAX_MS));
    return RC_AGAIN;
}

static enum rc run_gated(struct eng_engine *engine, struct eng_migration *m, size_t i,
                         struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i];
    enum rc rc;
    char *sql;

    if (step->stage == ENG_STAGE_CONTRACT && drops_guard(step) &&
        eng_attached_check(engine, m, err) != RC_OK)
        return RC_ERR;
    sql = step_sql(engine, m, i);
    rc = eng_step_gated(engine, m, i, eng_lock_mode(step->lock), sql, err);
    free(sql);
    if (rc != RC_OK)
        return rc;
    eng_step_finished(engine, m, i);
    if (step->kind != ENG_STEP_SQL)
        return RC_AGAIN;
    /* set_config() in them lasts as long as the session */
    return conn_settle(&engine->work, err) == RC_OK && conn_bound_locks(&engine->work, err) == RC_OK
               ? RC_AGAIN
               : RC_ERR;
}

static enum rc run_ddl(struct eng_engine *engine, struct eng_migration *m, size_t i,
                       struct err *err)
{
    char *sql = step_sql(engine, m, i);
    enum rc rc;

    FAULT_OF(ddl_before, eng_phase(m->phase)->name);
    rc = conn_exec(&engine->work, err, "BEGIN; SET LOCAL lock_timeout = %u; %s COMMIT",
                   conn_lock_ms(&engine->work, engine->options.lock_timeout_ms), sql);

    free(sql);
    conn_rollback(&engine->work);
    if (rc != RC_OK)
        return RC_ERR;
    FAULT_OF(ddl_after, eng_phase(m->phase)->name);
    eng_step_finished(engine, m, i);
    return RC_AGAIN;
}

/* ---- long statements ---- */

/* The sooner, the shorter it has run. */
static void poll_later(struct eng_migration *m)
{
    int64_t ms = (clock_us() - m->long_since_us) / 1000 / 4 + 1;

    eng_sleep(m, ms < LONG_POLL_MS ? ms : LONG_POLL_MS);
}

enum rc eng_step_send(struct eng_engine *engine, struct eng_migration *m, size_t i, const char *sql,
                      struct err *err)
{
    FAULT_OF(long_before, eng_phase(m->phase)->name);
    if (eng_long_open(engine, m, err) != RC_OK || conn_send(&m->lng, sql, err) != RC_OK)
        return RC_ERR;
    m->long_step = (int)i;
    m->long_since_us = clock_us();
    free(m->long_on);
    free(m->long_makes);
    m->long_on = m->long_makes = NULL;
    FAULT_OF(long_sent, eng_phase(m->phase)->name);
    poll_later(m);
    eng_status_put(engine, m);
    return RC_AGAIN;
}

enum rc eng_step_send_on(struct eng_engine *engine, struct eng_migration *m, size_t i,
                         const char *partition, const char *index, const char *sql, struct err *err)
{
    enum rc rc;
    bool sent; /* by an engine that died: while it waits for its lock, the catalog does not know */

    snprintf(m->step, sizeof(m->step), "%s: %s", m->plan->steps[i].title, partition);
    if (eng_beside_sent(engine, sql, &sent, err) != RC_OK)
        return RC_ERR;
    if (sent) {
        if (m->retries++ == 0)
            log_info("%s: a backend of an engine before is at it: it is waited for", m->step);
        eng_sleep(m, SENT_LOOK_MS);
        return RC_AGAIN;
    }
    rc = eng_step_send(engine, m, i, sql, err);
    if (rc == RC_AGAIN) {
        m->long_on = mem_strdup(partition);
        m->long_makes = mem_strdup(index);
    }
    return rc;
}

enum rc eng_step_write(struct eng_engine *engine, struct eng_migration *m, const char *sql,
                       struct err *err)
{
    enum rc rc;

    FAULT_OF(mark_before, eng_phase(m->phase)->name);
    rc = conn_exec(&engine->work, err, "BEGIN; SET LOCAL lock_timeout = %u; %s; COMMIT",
                   conn_lock_ms(&engine->work, engine->options.lock_timeout_ms), sql);
    conn_rollback(&engine->work);
    if (rc == RC_OK)
        FAULT_OF(mark_after, eng_phase(m->phase)->name);
    return rc;
}

enum rc eng_step_mark_only(struct eng_engine *engine, struct eng_migration *m, size_t i,
                           struct err *err)
{
    char *mark = store_mark_sql(m, i);
    enum rc rc = eng_step_write(engine, m, mark, err);

    free(mark);
    return rc;
}

enum rc eng_step_mark(struct eng_engine *engine, struct eng_migration *m, size_t i, struct err *err)
{
    if (eng_step_mark_only(engine, m, i, err) != RC_OK)
        return RC_ERR;
    eng_step_finished(engine, m, i);
    return RC_AGAIN;
}

enum rc eng_step_drop(struct eng_engine *engine, struct eng_migration *m, size_t i,
                      const char *index, struct err *err)
{
    char *sql = mem_printf("DROP INDEX CONCURRENTLY IF EXISTS %s", index);
    enum rc rc;

    FAULT(leftover_before);
    log_warning("index %s was left over: dropping it", index);
    rc = eng_step_send(engine, m, i, sql, err);
    free(sql);
    return rc;
}

static enum rc drop_leftover(struct eng_engine *engine, struct eng_migration *m, size_t i,
                             struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i];
    char *name = sql_quote_qualified(step->index_schema, step->index_name);
    enum rc rc = eng_step_drop(engine, m, i, name, err);

    free(name);
    return rc;
}

/* An index that is being taken back: a backend of an engine before may wait for the lock that it
 * would build it under, and the catalog knows nothing of it. */
static enum rc end_of_before(struct eng_engine *engine, struct eng_migration *m,
                             const struct eng_step *step, struct err *err)
{
    const struct eng_step *of = step->undoes ? &m->plan->steps[step->undoes - 1] : NULL;
    bool sent = false;

    if (!of || of->kind != ENG_STEP_CONCURRENTLY)
        return RC_OK;
    if (eng_beside_cancel(engine, of->sql[0], &sent, err) != RC_OK)
        return RC_ERR;
    if (!sent)
        return RC_OK;
    if (m->retries++ == 0)
        log_info("%s: a backend of an engine before is to build it: it is cancelled", m->step);
    eng_sleep(m, SENT_LOOK_MS);
    return RC_AGAIN;
}

/* Whatever happened before, the catalog tells what is to be done next. A step without the name of
 * an index drops one that may be gone already. */
static enum rc run_concurrently(struct eng_engine *engine, struct eng_migration *m, size_t i,
                                struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i];
    enum begun_index state = INDEX_ABSENT;
    enum rc rc = end_of_before(engine, m, step, err);

    if (rc != RC_OK)
        return rc;
    if (step->index_name && begun_look(engine, m, i, &state, err) != RC_OK)
        return RC_ERR;
    if (state == INDEX_FOREIGN) {
        begun_foreign(step, err);
        return RC_ERR;
    }
    if (state == INDEX_VALID)
        return eng_step_mark(engine, m, i, err);
    if (state == INDEX_BUILDING) {
        if (m->retries++ == 0)
            log_info("%s: a backend of an engine before is at it: it is waited for", m->step);
        eng_sleep(m, SENT_LOOK_MS);
        return RC_AGAIN;
    }
    if (state == INDEX_INVALID)
        return drop_leftover(engine, m, i, err);
    if (step->index_name && begun_note(engine, m, i, err) != RC_OK)
        return RC_ERR;
    return eng_step_send(engine, m, i, step->sql[0], err);
}

static enum rc run_validate(struct eng_engine *engine, struct eng_migration *m, size_t i,
                            struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i];
    char *sql = step_sql(engine, m, i); /* one simple query: one transaction, mark included */
    char *alone = step->table < 0 ? NULL : alone_sql(&engine->work, m->plan, step->table);
    char *whole = alone ? mem_printf("%s;\n%s", sql, alone) : NULL;
    enum rc rc = eng_step_send(engine, m, i, whole ? whole : sql, err);

    free(whole);
    free(alone);
    free(sql);
    return rc;
}

/* It was sent for a partition that is not there any more. */
static bool has_gone(struct eng_engine *engine, const struct eng_migration *m,
                     const struct err *err)
{
    struct err ignored = {0};
    bool is = false;

    return m->long_on && conn_no_relation(err) &&
           relations_is(&engine->work, m->long_on, 0, &is, &ignored) == RC_OK && !is;
}

/* The index is there: one of before, which was lost, was not at it any more when that was asked,
 * and had it not yet when the catalog was. */
static bool has_come(struct eng_engine *engine, const struct eng_migration *m,
                     const struct err *err)
{
    const char *values[] = {m->long_on, m->long_makes};
    struct err ignored = {0};
    PGresult *res;
    bool is;

    if (!m->long_on || strcmp(err->sqlstate, "42P07") != 0)
        return false;
    res = conn_params(&engine->work, &ignored,
                      "SELECT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = "
                      "i.indexrelid WHERE i.indrelid = to_regclass($1) AND c.relname = $2)",
                      (int)ARRAY_LEN(values), values);
    is = res && res_bool(res, 0, 0);
    PQclear(res);
    return is;
}

/* What it was for can do without. */
static enum rc do_without(struct eng_engine *engine, struct eng_migration *m, size_t i,
                          struct err *err)
{
    err->hint[0] = '\0';
    err_hint(err, "the migration goes on without; run %s before the cut-over",
             m->plan->steps[i].sql[0]);
    log_err(LOG_WARNING, m->step, err);
    err_clear(err);
    return eng_step_mark(engine, m, i, err);
}

static enum rc run_analyze(struct eng_engine *engine, struct eng_migration *m, size_t i,
                           struct err *err)
{
    enum rc rc = eng_step_send(engine, m, i, m->plan->steps[i].sql[0], err);

    return rc == RC_ERR && strcmp(err->sqlstate, "53300") == 0 ? do_without(engine, m, i, err) : rc;
}

static enum rc long_failed(struct eng_engine *engine, struct eng_migration *m, size_t i,
                           struct err *err)
{
    enum eng_step_kind kind = m->plan->steps[i].kind;
    struct err ignored = {0};

    if (kind == ENG_STEP_SQL || kind == ENG_STEP_VALIDATE) /* their marks are in them */
        return eng_step_sql_failed(engine, m, i, err);
    if (has_come(engine, m, err)) {
        log_info("%s: %.*s: on with it", m->step, err_plain(err), err->text);
        err_clear(err);
        return back_off(m);
    }
    if (has_gone(engine, m, err)) {
        log_info("%s: %.*s: a partition was dropped; on with the others", m->step, err_plain(err),
                 err->text);
        err_clear(err);
        return back_off(m);
    }
    if (kind == ENG_STEP_ANALYZE && !conn_retryable(err))
        return do_without(engine, m, i, err);
    if (kind == ENG_STEP_LEAVES && m->step_done[i] && !conn_retryable(err))
        return leaf_index_failed(m, err);
    /* a name that was taken in between is not ours; where this fails, so does all that follows */
    if (kind == ENG_STEP_CONCURRENTLY && strcmp(err->sqlstate, "42P07") == 0 &&
        begun_forget(engine, m, i, &ignored) != RC_OK)
        log_err(LOG_WARNING, m->step, &ignored);
    return RC_ERR;
}

static enum rc poll_long(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    size_t i = (size_t)m->long_step;
    enum rc rc = conn_poll(&m->lng, err);

    if (rc == RC_AGAIN) {
        yield_look(engine, m);
        poll_later(m);
        return RC_AGAIN;
    }
    FAULT_OF(long_done, eng_phase(m->phase)->name);
    m->long_step = -1;
    buf_reset(&m->blockers);
    if (m->plan->steps[i].kind == ENG_STEP_SQL)
        conn_close(&m->lng); /* set_config() in them lasts as long as the session */
    if (rc == RC_ERR) {
        if (conn_lost(err)) { /* ours alone: the work connection finds out for itself */
            conn_close(&m->lng);
            log_warning("%s: %.*s; again", m->step, err_plain(err), err->text);
            err_clear(err);
            return back_off(m);
        }
        return long_failed(engine, m, i, err);
    }
    if (m->plan->steps[i].kind == ENG_STEP_VALIDATE || m->plan->steps[i].kind == ENG_STEP_SQL)
        eng_step_finished(engine, m, i);
    else if (m->plan->steps[i].kind == ENG_STEP_ANALYZE ||
             (m->plan->steps[i].kind == ENG_STEP_CONCURRENTLY && !m->plan->steps[i].index_name))
        return eng_step_mark(engine, m, i, err); /* DROP INDEX IF EXISTS: nothing to look for */
    m->not_before_us = 0;
    return RC_AGAIN; /* CREATE INDEX: the catalog is looked at again */
}

void eng_steps_cancel(struct eng_migration *m)
{
    if (m->lng.busy)
        conn_cancel(&m->lng);
    conn_close(&m->lng);
    m->long_step = -1;
}

/* What was to be taken away is gone with its table, and a table of that name is another one. */
static enum rc judge_table(struct eng_engine *engine, const struct eng_migration *m,
                           const struct eng_step *step, bool *gone, struct err *err)
{
    const struct eng_table *table = step->table < 0 ? NULL : &m->plan->tables[step->table];
    enum relations_table state = TABLE_THERE;

    *gone = false;
    if (!table || (step->stage != ENG_STAGE_CONTRACT && step->stage != ENG_STAGE_ABORT))
        return RC_OK;
    if (relations_look(&engine->work, m->id, table, step->stage == ENG_STAGE_CONTRACT, &state,
                       err) != RC_OK)
        return RC_ERR;
    *gone = state == TABLE_GONE;
    if (state == TABLE_THERE || state == TABLE_GONE)
        return RC_OK;
    relations_refuse(table, state, err);
    return RC_ERR;
}

enum rc eng_steps_turn(struct eng_engine *engine, struct eng_migration *m, enum eng_stage stage,
                       struct err *err)
{
    bool gone;
    size_t i;

    if (m->long_step >= 0)
        return poll_long(engine, m, err);
    for (i = 0; i < m->plan->nsteps; i++) {
        if (m->plan->steps[i].stage == stage && !m->step_done[i])
            break;
    }
    if (i == m->plan->nsteps)
        return RC_OK;
    snprintf(m->step, sizeof(m->step), "%s", m->plan->steps[i].title);
    eng_status_put(engine, m);
    if (judge_table(engine, m, &m->plan->steps[i], &gone, err) != RC_OK)
        return RC_ERR;
    if (gone) {
        log_warning("%s: the table is not there any more, nothing is left to do", m->step);
        return eng_step_mark(engine, m, i, err);
    }
    if (m->plan->steps[i].undoes) {
        bool ran = true;

        if (eng_step_has_run(engine, m, i, &ran, err) != RC_OK)
            return RC_ERR;
        if (!ran) {
            eng_step_finished(engine, m, i);
            return RC_AGAIN;
        }
    }
    if (m->plan->steps[i].kind == ENG_STEP_SQL && !m->plan->steps[i].gate)
        return eng_step_run_sql(engine, m, i, err);
    switch (m->plan->steps[i].kind) {
    case ENG_STEP_CONCURRENTLY:
        return run_concurrently(engine, m, i, err);
    case ENG_STEP_PARTITIONS:
        return parts_turn(engine, m, i, err);
    case ENG_STEP_LEAVES:
        return leaf_index_turn(engine, m, i, err);
    case ENG_STEP_VALIDATE:
        return run_validate(engine, m, i, err);
    case ENG_STEP_ANALYZE:
        return run_analyze(engine, m, i, err);
    default:
        return m->plan->steps[i].gate ? run_gated(engine, m, i, err) : run_ddl(engine, m, i, err);
    }
}
