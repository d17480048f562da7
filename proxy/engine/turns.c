/*
 * The round in which every migration in flight gets a bounded turn. Errors of a turn are judged
 * here, once: the connection is gone, the same again later, or the migration stops at its step
 * until someone decides.
 */
#include <string.h>

#include "history.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "steps.h"
#include "store.h"
#include "type_names.h"

#define REFRESH_US 2000000
#define RETRY_BASE_MS 100
#define RETRY_MAX_MS 5000
#define SAID_AGAIN_US 600000000
#define TRIED_AGAIN "tried again"

/* What can be done now, behind what is said of the cause. */
static void hint_next(struct eng_migration *m)
{
    bool back = m->phase == PH_CUTTING_OVER || m->phase == PH_SOAKING ||
                eng_phase_legal(m->phase, PH_ABORTING);
    const char *next = back                   ? "resume tries again, rollback goes back"
                       : eng_steps_to_skip(m) ? "resume tries again, resume --skip goes on without"
                                              : "resume tries again";
    struct err said = m->failure;

    if (strstr(said.hint, "resume"))
        return;
    m->failure.hint[0] = '\0';
    err_hint(&m->failure, "%s%s%s", said.hint, said.hint[0] ? "; " : "", next);
}

/* What is looked at every other second may fail every time. */
static bool is_said(const struct eng_migration *m, const struct err *was)
{
    return strcmp(was->text, m->failure.text) == 0 &&
           strcmp(was->sqlstate, m->failure.sqlstate) == 0 &&
           clock_us() - m->stopped_said_us < SAID_AGAIN_US;
}

/* Its other batches end by themselves, and nobody would take their answers: the workers are wanted
 * by others. What it has filled is in the store. */
static void let_go_of_fill(struct eng_migration *m)
{
    if (!m->fill)
        return;
    eng_fill_drop(m);
    conn_close(&m->lng); /* its VACUUM */
}

static void stop_at_step(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    const struct err was = m->failure;
    struct err ignored = {0};

    let_go_of_fill(m);
    m->failure = *err;
    if (m->step[0])
        err_prefix(&m->failure, "%s", m->step);
    hint_next(m);
    if (is_said(m, &was))
        return;
    m->stopped_said_us = clock_us();
    m->migrate = m->migrate && m->phase != PH_READY;
    log_err(LOG_ERROR, "stopped", &m->failure);
    m->unsaved = store_flags(engine, m, &ignored) != RC_OK;
    if (m->unsaved)
        log_err(LOG_WARNING, "storing the failure", &ignored);
    eng_status_put(engine, m);
}

/* What made a step fail may keep the failure from being written, too. */
static void save_failure(struct eng_engine *engine, struct eng_migration *m)
{
    struct err err = {0};

    if (!m->unsaved)
        return;
    m->unsaved = store_flags(engine, m, &err) != RC_OK;
    if (m->unsaved)
        log_err(LOG_DEBUG, "storing the failure", &err);
    else
        log_info("the failure is stored now");
}

/* Lost, although the work connection is up: another one is refused, the server has no room for it,
 * say. It is told until the step is done. */
static void say_again(struct eng_migration *m, const struct err *err)
{
    buf_reset(&m->blockers);
    if (conn_lost(err))
        buf_printf(&m->blockers, "no further connection, " TRIED_AGAIN ": %s", err->text);
    else
        buf_printf(&m->blockers, TRIED_AGAIN ", %u times so far: %s (%s)", m->retries + 1,
                   err->text, err->sqlstate);
}

/* A turn has succeeded. Whether what was sent, or is filled, does is told later, and there. */
static void went_on(struct eng_engine *engine, struct eng_migration *m)
{
    if (m->long_step >= 0 || m->fill || !m->blockers.len || !strstr(m->blockers.data, TRIED_AGAIN))
        return;
    buf_reset(&m->blockers);
    m->retries = 0;
    eng_status_put(engine, m);
}

/* False: the turns of this round are over, the connection or the store is gone. */
static bool judge(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    conn_rollback(&engine->work);
    if (!conn_up(&engine->work) || atomic_load(&engine->stop)) {
        if (!conn_up(&engine->work))
            eng_disconnect(engine, err);
        return false;
    }
    if (eng_store_lost(engine, err)) {
        eng_store_lost_stop(engine);
        return false;
    }
    if (conn_retryable(err)) {
        log_info("%s: %.*s (%s); again", m->step, err_plain(err), err->text, err->sqlstate);
        say_again(m, err);
        eng_sleep(m, conn_backoff_ms(m->retries++, RETRY_BASE_MS, RETRY_MAX_MS));
        eng_status_put(engine, m);
    } else {
        type_names_explain(engine, m, err);
        stop_at_step(engine, m, err);
    }
    return true;
}

static bool turn(struct eng_engine *engine, struct eng_migration *m)
{
    struct err err = {0};
    enum rc rc = RC_OK;
    bool goes_on;

    log_scope(m->name);
    if (clock_us() - m->refreshed_us > REFRESH_US) {
        save_failure(engine, m);
        rc = eng_status_refresh(engine, m, &err);
        if (rc == RC_OK)
            rc = type_names_watch(engine, m, &err);
        if (rc == RC_OK)
            eng_parts_watch(engine, m);
    }
    if (rc == RC_OK && eng_wants_turn(m)) {
        rc = eng_phase(m->phase)->step(engine, m, &err);
        if (rc != RC_ERR)
            went_on(engine, m);
    }
    goes_on = rc != RC_ERR || judge(engine, m, &err);
    log_scope(NULL);
    return goes_on;
}

static void finish(struct eng_engine *engine, struct eng_migration *m)
{
    struct err ignored = {0};

    if (eng_status_refresh(engine, m, &ignored) != RC_OK)
        log_err(LOG_DEBUG, "reading what is left", &ignored);
    eng_usage_look(engine);
    eng_usage_save(engine);
    eng_migration_drop(engine, m);
    eng_usage_forget_ended(engine);
}

void eng_round(struct eng_engine *engine)
{
    bool filling = false;

    if (engine->lost) {
        eng_publish_refresh(engine);
        return;
    }
    for (size_t i = 0; i < engine->nmigrations && !atomic_load(&engine->stop);) {
        struct eng_migration *m = engine->migrations[i];

        if (!turn(engine, m))
            return;
        filling |= eng_fill_wanted(m);
        if (eng_phase_over(m->phase))
            finish(engine, m);
        else
            i++;
    }
    if (!filling) {
        throttle_watch(engine);
        throttle_rest(engine);
    }
    eng_pool_trim(engine);
    eng_publish_refresh(engine);
}
