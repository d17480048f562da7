/*
 * Steps that are the file's own statements: run once, whoever dies meanwhile; taken back only where
 * they have run; left out, where there is no way back, when somebody says so.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "begun.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "steps.h"

/* The mark comes first: who has it (a backend that outlived its segue) keeps all others waiting,
 * and they fail once it is there. So nothing runs twice. */
enum rc eng_step_run_sql(struct eng_engine *engine, struct eng_migration *m, size_t i,
                         struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i];
    char *names = conn_names_sql(&engine->work, m->plan);
    struct buf sql = {0};
    enum rc rc;

    buf_printf(&sql,
               "SET LOCAL lock_timeout = %u; " CONN_OWN_NAMES
               "INSERT INTO segue.steps (migration, no, stage) VALUES (%" PRId64 ", %d, %d);\n%s",
               conn_lock_ms(&engine->work, engine->options.lock_timeout_ms), m->id, step->no,
               (int)step->stage, names);
    for (size_t j = 0; j < step->nsql; j++)
        buf_printf(&sql, "%s%s", j ? ";\n" : "", step->sql[j]);
    free(names);
    rc = eng_step_send(engine, m, i, sql.data, err);
    buf_fini(&sql);
    return rc;
}

/* It failed: because it was done already? */
enum rc eng_step_sql_failed(struct eng_engine *engine, struct eng_migration *m, size_t i,
                            struct err *err)
{
    struct err why = {0};
    PGresult *res = conn_query(
        &engine->work, &why, "SELECT 1 FROM segue.steps WHERE migration = %" PRId64 " AND no = %d",
        m->id, m->plan->steps[i].no);
    bool done = res && PQntuples(res) == 1;

    PQclear(res);
    if (!done)
        return RC_ERR;
    err_clear(err);
    eng_step_finished(engine, m, i);
    return RC_AGAIN;
}

/* Has what the step takes back ever run? If not, it never will: its mark is taken, and that of the
 * step along with it. */
static enum rc claim(struct eng_engine *engine, struct eng_migration *m, size_t i, bool *ran,
                     struct err *err)
{
    const struct eng_step *step = &m->plan->steps[i], *of = &m->plan->steps[step->undoes - 1];
    PGresult *res;

    FAULT(claim_before);
    if (conn_exec(&engine->work, err, "BEGIN; SET LOCAL lock_timeout = %u",
                  conn_lock_ms(&engine->work, engine->options.lock_timeout_ms)) != RC_OK)
        return RC_ERR;
    res = conn_query(&engine->work, err,
                     "WITH claimed AS (INSERT INTO segue.steps (migration, no, stage) VALUES "
                     "(%" PRId64 ", %d, %d) ON CONFLICT DO NOTHING RETURNING migration) "
                     "INSERT INTO segue.steps (migration, no, stage) SELECT migration, %d, %d "
                     "FROM claimed RETURNING no",
                     m->id, of->no, (int)of->stage, step->no, (int)step->stage);
    *ran = res && PQntuples(res) == 0;
    PQclear(res);
    FAULT(claim_commit);
    if (res && conn_exec(&engine->work, err, "COMMIT") == RC_OK)
        return RC_OK;
    conn_rollback(&engine->work);
    return RC_ERR;
}

/* An index may be there although its step is not done: what counts is whether it was begun. */
enum rc eng_step_has_run(struct eng_engine *engine, struct eng_migration *m, size_t i, bool *ran,
                         struct err *err)
{
    enum eng_step_kind kind = m->plan->steps[i].kind;

    if (kind != ENG_STEP_CONCURRENTLY && kind != ENG_STEP_PARTITIONS)
        return claim(engine, m, i, ran, err);
    if (begun_ask(engine, m, m->plan->steps[i].undoes, ran, err) != RC_OK)
        return RC_ERR;
    return *ran ? RC_OK : eng_step_mark_only(engine, m, i, err);
}

/* Where there is no way back the file's own statements may be left out; nsteps: none are next. */
static size_t to_skip(const struct eng_migration *m)
{
    size_t i = 0, n = m->plan->nsteps;

    while (i < n && (m->plan->steps[i].stage != ENG_STAGE_CONTRACT || m->step_done[i]))
        i++;
    return m->phase == PH_CONTRACTING && i < n && m->plan->steps[i].kind == ENG_STEP_SQL ? i : n;
}

bool eng_steps_to_skip(const struct eng_migration *m)
{
    return to_skip(m) < m->plan->nsteps;
}

enum rc eng_steps_skip(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    size_t i = to_skip(m);

    if (i == m->plan->nsteps || !err_is_set(&m->failure)) {
        err_set(err, "55000",
                "migration \"%s\" has not stopped at statements that could be skipped", m->name);
        err_hint(err, "those of `sql` with onComplete can, when they have failed");
        return RC_ERR;
    }
    if (eng_step_mark_only(engine, m, i, err) != RC_OK)
        return RC_ERR;
    log_warning("%s: skipped, as somebody has asked; it had failed (%s)", m->plan->steps[i].title,
                m->failure.sqlstate); /* its text may quote a row */
    eng_step_finished(engine, m, i);
    return RC_OK;
}
