#include "store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempts.h"
#include "history.h"
#include "runner.h"
#include "schedule.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "store_ddl.h"
#include "typed.h"

bool store_exists(struct eng_conn *conn, struct err *err)
{
    PGresult *res = conn_query(conn, err, "SELECT to_regclass('segue.store') IS NOT NULL");
    bool there = res && res_bool(res, 0, 0);

    PQclear(res);
    return there;
}

static void hint_grant(struct eng_conn *conn, struct err *err)
{
    struct err ignored = {0};
    PGresult *res = conn_query(
        conn, &ignored,
        "SELECT format('GRANT CREATE ON DATABASE %%I TO %%I', current_database(), current_user)");

    if (res)
        err_hint(err, "the first start needs it: its owner, or a superuser, says %s",
                 res_text(res, 0, 0));
    PQclear(res);
}

enum rc store_create(struct eng_conn *conn, struct err *err)
{
    int64_t version = 0;
    PGresult *res;

    if (store_exists(conn, err)) {
        res = conn_query(conn, err, "SELECT max(version) FROM segue.store");
        if (!res)
            return RC_ERR;
        version = res_int(res, 0, 0);
        PQclear(res);
    }
    if (err_is_set(err))
        return RC_ERR;
    if (version > (int64_t)store_ddl_count) {
        err_set(err, "55000", "schema segue was made by a newer segue (version %" PRId64 ")",
                version);
        err_hint(err, "start that one again: this one knows versions up to %zu", store_ddl_count);
        return RC_ERR;
    }
    for (size_t i = (size_t)version; i < store_ddl_count; i++) {
        FAULT(store_before);
        if (conn_exec(conn, err,
                      "BEGIN; %s; INSERT INTO segue.store (version) VALUES (%zu); COMMIT",
                      store_ddl[i], i + 1) != RC_OK) {
            conn_rollback(conn);
            err_prefix(err, "making schema segue");
            if (strcmp(err->sqlstate, "42501") == 0)
                hint_grant(conn, err);
            return RC_ERR;
        }
        FAULT(store_made);
        log_info("schema segue: version %zu", i + 1);
    }
    return RC_OK;
}

/* The row of a migration that was aborted makes room; its history is kept. */
static enum rc make_room(struct eng_engine *engine, const char *name, struct err *err)
{
    const char *values[] = {name};
    PGresult *res = conn_params(&engine->work, err,
                                "SELECT phase, finished_at::text FROM segue.migrations "
                                "WHERE name = $1 FOR UPDATE",
                                1, values);
    const char *phase;

    if (!res)
        return RC_ERR;
    phase = PQntuples(res) ? res_text(res, 0, 0) : NULL;
    if (phase && strcmp(phase, "done") == 0) {
        err_set(err, "42710", "migration \"%s\" ran to its end at %s", name, res_text(res, 0, 1));
        err_hint(err, "give the new one another name");
    } else if (phase && strcmp(phase, "aborted") != 0) {
        typed_already(name, phase, err);
    }
    PQclear(res);
    if (err_is_set(err))
        return RC_ERR;
    res = conn_params(&engine->work, err,
                      "WITH gone AS (DELETE FROM segue.migrations WHERE name = $1 RETURNING *) "
                      "INSERT INTO segue.history SELECT clock_timestamp(), gone.* FROM gone",
                      1, values);
    if (!res)
        return RC_ERR;
    PQclear(res);
    return RC_OK;
}

enum rc store_insert(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    json_t *json = eng_plan_to_json(m->plan);
    char *plan = json_dumps(json, JSON_COMPACT);
    char *parents = history_array(m->plan->parents, m->plan->nparents);
    char bytes[32], epoch[32];
    const char *values[] = {m->name, m->plan->sha256, m->plan->file, plan, m->migrate ? "t" : "f",
                            bytes,   epoch,           parents};
    PGresult *res = NULL;
    enum rc rc = RC_ERR;

    snprintf(bytes, sizeof(bytes), "%" PRId64, m->stats.bytes_before);
    snprintf(epoch, sizeof(epoch), "%" PRId64, engine->epoch);
    if (conn_exec(&engine->work, err, "BEGIN") != RC_OK || make_room(engine, m->name, err) != RC_OK)
        goto out;
    res = conn_params(&engine->work, err,
                      "INSERT INTO segue.migrations (name, sha256, file, plan, phase, migrate, "
                      "bytes_before, epoch, parents, born_in) VALUES ($1, $2, $3, $4::jsonb, "
                      "'planned', $5::bool, $6::bigint, $7::bigint, $8::text[], "
                      "'segue.migrations'::regclass) RETURNING id, started_at::text",
                      (int)ARRAY_LEN(values), values);
    if (!res)
        goto out;
    m->id = res_int(res, 0, 0);
    snprintf(m->started_at, sizeof(m->started_at), "%s", res_text(res, 0, 1));
    FAULT(planned_before);
    rc = conn_exec(&engine->work, err,
                   "INSERT INTO segue.phases (migration, phase, epoch) VALUES (%" PRId64
                   ", 'planned', %" PRId64 "); COMMIT",
                   m->id, engine->epoch);
    FAULT(planned_after);
out:
    conn_rollback(&engine->work);
    PQclear(res);
    free(parents);
    free(plan);
    json_decref(json);
    return rc;
}

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static enum rc load_steps(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT no FROM segue.steps WHERE migration = %" PRId64, m->id);

    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        for (size_t i = 0; i < m->plan->nsteps; i++) {
            if (m->plan->steps[i].no == (int)res_int(res, r, 0))
                m->step_done[i] = true;
        }
    }
    PQclear(res);
    return RC_OK;
}

static enum rc load_verification(struct eng_engine *engine, struct eng_migration *m,
                                 struct err *err)
{
    PGresult *res = conn_query(
        &engine->work, err,
        "SELECT rows, bad + nulls, wrapped FROM segue.verifications WHERE migration = %" PRId64
        " ORDER BY id DESC LIMIT 1",
        m->id);

    if (!res)
        return RC_ERR;
    if (PQntuples(res)) {
        m->stats.rows_verified = res_int(res, 0, 0);
        m->stats.rows_bad = res_int(res, 0, 1);
        m->stats.rows_wrapped = res_int(res, 0, 2);
    }
    PQclear(res);
    return RC_OK;
}

enum load_column {
    L_ID,
    L_NAME,
    L_PLAN,
    L_PHASE,
    L_PAUSED,
    L_ERROR,
    L_STATE,
    L_HINT,
    L_EPOCH,
    L_MIGRATE,
    L_FORCE,
    L_STARTED,
    L_CUTOVER,
    L_FINISHED,
    L_BYTES,
    L_STALL,
    L_LOCK,
    L_ATTEMPTS,
    L_REPAIRS,
    L_REPAIRING,
    L_CUTOVER_AGO,
    L_ROWS,
    L_COUNT
};

static const char load_sql[] =
    "SELECT id, name, plan::text, phase, paused, error, error_state, hint, epoch, migrate, force, "
    "started_at::text, cutover_at::text, finished_at::text, bytes_before, stall_us_max, "
    "lock_us_max, (SELECT count(*) FROM segue.attempts a WHERE a.migration = m.id AND "
    "a.kind = 'cutover'), repairs, repairing, "
    "(extract(epoch FROM clock_timestamp() - cutover_at) * 1000)::bigint, "
    "(SELECT sum(rows)::bigint FROM segue.progress p WHERE p.migration = m.id) "
    "FROM segue.migrations m ORDER BY id";

static void load_row(struct eng_migration *m, const PGresult *res, int r)
{
    m->id = res_int(res, r, L_ID);
    m->paused = res_bool(res, r, L_PAUSED);
    m->migrate = res_bool(res, r, L_MIGRATE);
    m->force = res_bool(res, r, L_FORCE);
    m->epoch = res_int(res, r, L_EPOCH);
    if (res_text(res, r, L_ERROR))
        err_set(&m->failure, res_text(res, r, L_STATE) ? res_text(res, r, L_STATE) : "XX000", "%s",
                res_text(res, r, L_ERROR));
    if (res_text(res, r, L_HINT))
        err_hint(&m->failure, "%s", res_text(res, r, L_HINT));
    copy_text(m->started_at, sizeof(m->started_at), res_text(res, r, L_STARTED));
    copy_text(m->cutover_at, sizeof(m->cutover_at), res_text(res, r, L_CUTOVER));
    copy_text(m->finished_at, sizeof(m->finished_at), res_text(res, r, L_FINISHED));
    m->stats.bytes_before = m->stats.bytes_now = res_int(res, r, L_BYTES);
    m->stats.stall_us_max = res_int(res, r, L_STALL);
    m->stats.lock_us_max = res_int(res, r, L_LOCK);
    m->stats.attempts = (unsigned)res_int(res, r, L_ATTEMPTS);
    m->stats.rows_done = m->stats.rows_total = res_int(res, r, L_ROWS);
    m->repairs = (unsigned)res_int(res, r, L_REPAIRS);
    m->repairing = res_bool(res, r, L_REPAIRING);
    if (!PQgetisnull(res, r, L_CUTOVER_AGO))
        m->turned_ms = clock_ms() - res_int(res, r, L_CUTOVER_AGO);
}

static struct eng_migration *load_one(const PGresult *res, int r, struct err *err)
{
    struct eng_plan *plan = NULL;
    struct eng_migration *m;
    enum eng_phase_id phase;
    json_t *json = json_loads(res_text(res, r, L_PLAN), 0, NULL);
    enum rc rc;

    if (eng_phase_parse(res_text(res, r, L_PHASE), &phase) != RC_OK) {
        err_set(err, "0A000", "it is in phase \"%s\", which this segue does not know",
                res_text(res, r, L_PHASE));
        err_hint(err, "start the newer segue that has left it there");
        json_decref(json);
        return NULL;
    }
    rc = eng_plan_from_json(json, &plan, err);
    json_decref(json);
    if (rc != RC_OK)
        return NULL;
    m = eng_migration_new(plan);
    m->phase = phase;
    load_row(m, res, r);
    return m;
}

/* Killed or cut off while cutting over: what the database says now is the truth. The row lock
 * waits for the end of a transaction of ours that may still be under way. */
static enum rc settle_cutover(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    enum eng_phase_id undecided = m->phase;
    PGresult *res;

    FAULT_OF(settle_before, eng_phase(undecided)->name);
    res = conn_query(&engine->work, err,
                     "SELECT phase, epoch FROM segue.migrations WHERE id = %" PRId64 " FOR UPDATE",
                     m->id);

    if (!res)
        return RC_ERR;
    if (eng_phase_parse(res_text(res, 0, 0), &m->phase) != RC_OK)
        m->phase = undecided;
    m->epoch = res_int(res, 0, 1);
    PQclear(res);
    if (m->epoch > engine->epoch)
        engine->epoch = m->epoch;
    if (m->phase != undecided) {
        log_warning("the transaction of %s had been committed: %s", eng_phase(undecided)->name,
                    eng_phase(m->phase)->name);
        eng_publish(engine);
        return RC_OK;
    }
    if (undecided == PH_CUTTING_OVER) {
        log_warning("the cut-over had not been committed");
        return eng_phase_move(engine, m, PH_READY, err);
    }
    return RC_OK; /* reverting goes on */
}

enum rc store_read(struct eng_engine *engine, struct err *err)
{
    PGresult *res = conn_run(&engine->work, load_sql, NULL, err);
    enum rc rc = RC_ERR;

    if (!res)
        return RC_ERR;
    board_clear(engine->board, BOARD_MIGRATIONS);
    board_clear(engine->board, BOARD_STATUS);
    for (int r = 0; r < PQntuples(res); r++) {
        struct eng_migration *m = load_one(res, r, err);

        if (!m && res_text(res, r, L_FINISHED)) { /* nobody will act by its plan */
            log_info("migration \"%s\" has ended, and is not shown: %s", res_text(res, r, L_NAME),
                     err->text);
            err_clear(err);
            continue;
        }
        if (!m) {
            err_prefix(err, "migration \"%s\"", res_text(res, r, L_NAME));
            goto out;
        }
        if (m->epoch > engine->epoch)
            engine->epoch = m->epoch;
        if (load_steps(engine, m, err) != RC_OK || load_verification(engine, m, err) != RC_OK ||
            schedule_load(engine, m, err) != RC_OK) {
            eng_migration_free(m);
            goto out;
        }
        eng_status_put(engine, m);
        if (eng_phase_over(m->phase))
            eng_migration_free(m);
        else
            eng_migration_add(engine, m);
    }
    eng_publish(engine);
    rc = RC_OK;
out:
    PQclear(res);
    return rc;
}

enum rc store_load(struct eng_engine *engine, struct err *err)
{
    enum rc rc = RC_ERR;

    /* whoever sees a migration sees what was tried of it */
    if (attempts_show(engine, err) != RC_OK || store_read(engine, err) != RC_OK)
        return RC_ERR;
    for (size_t i = 0; i < engine->nmigrations; i++) {
        struct eng_migration *m = engine->migrations[i];

        log_scope(m->name);
        log_info("goes on at %s", eng_phase(m->phase)->name);
        if ((m->phase == PH_CUTTING_OVER || m->phase == PH_REVERTING) &&
            settle_cutover(engine, m, err) != RC_OK)
            goto out;
        eng_status_put(engine, m);
    }
    rc = RC_OK;
out:
    log_scope(NULL);
    return rc;
}

char *store_mark_sql(const struct eng_migration *m, size_t i)
{
    return mem_printf("INSERT INTO segue.steps (migration, no, stage) VALUES (%" PRId64
                      ", %d, %d) ON CONFLICT DO NOTHING",
                      m->id, m->plan->steps[i].no, (int)m->plan->steps[i].stage);
}

enum rc store_flags(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    char id[32], stall[32], lock[32], repairs[32];
    bool failed = err_is_set(&m->failure);
    const char *values[] = {id,
                            m->paused ? "t" : "f",
                            m->force ? "t" : "f",
                            failed ? m->failure.text : NULL,
                            failed ? m->failure.sqlstate : NULL,
                            m->failure.hint[0] ? m->failure.hint : NULL,
                            stall,
                            lock,
                            repairs,
                            m->repairing ? "t" : "f",
                            m->migrate ? "t" : "f"};
    PGresult *res;

    snprintf(id, sizeof(id), "%" PRId64, m->id);
    snprintf(stall, sizeof(stall), "%" PRId64, m->stats.stall_us_max);
    snprintf(lock, sizeof(lock), "%" PRId64, m->stats.lock_us_max);
    snprintf(repairs, sizeof(repairs), "%u", m->repairs);
    FAULT(flags_before);
    res = conn_params(&engine->work, err,
                      "UPDATE segue.migrations SET paused = $2::bool, force = $3::bool, "
                      "error = $4, error_state = $5, hint = $6, stall_us_max = $7::bigint, "
                      "lock_us_max = $8::bigint, repairs = $9::int, repairing = $10::bool, "
                      "migrate = $11::bool "
                      "WHERE id = $1::bigint",
                      (int)ARRAY_LEN(values), values);
    if (!res)
        return RC_ERR;
    PQclear(res);
    FAULT(flags_after);
    return RC_OK;
}
