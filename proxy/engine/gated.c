#include "gated.h"
#include "attempts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "detaching.h"
#include "second.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "store.h"

#define DRAIN_LOOK_MS 20 /* between two looks at the server's locks */

struct gated {
    struct eng_engine *engine;
    struct eng_migration *m;
    const struct gated_spec *spec;
    struct gated_result *result;
    char *locks; /* "public.a, public.b", in the order of oids */
    int64_t began_us, locked_us;
    int32_t pids[64];
    size_t npids;
    struct sess_carried elsewhere[16]; /* on standbys */
    size_t nelsewhere;
    bool nobody; /* is in the way that the server would name */
};

static void outcome(struct gated *g, enum gated_outcome what, const char *word)
{
    g->result->outcome = what;
    g->result->word = word;
}

static void unanswered(struct gated *g)
{
    g->nobody = true;
    outcome(g, GATED_BUSY, "second");
}

/* The order of oids is the one order in which every engine locks. What another role's foreign key
 * refers to the server locks for whoever may refer to it, but LOCK TABLE wants more: that is left
 * to the statement which needs it, and to lock_timeout. */
static enum rc find_locks(struct gated *g, struct err *err)
{
    PGresult *res =
        conn_query(&g->engine->work, err,
                   "SELECT string_agg(o::regclass::text, ', ' ORDER BY o) FROM (SELECT "
                   "DISTINCT to_regclass(n)::oid AS o FROM unnest(ARRAY[%s]::text[]) "
                   "AS n) AS r WHERE has_table_privilege(o, 'UPDATE, DELETE, TRUNCATE')",
                   g->spec->names);
    const char *list = res ? res_text(res, 0, 0) : NULL;

    if (list) {
        struct buf copy = {0};

        buf_append_str(&copy, list);
        g->locks = buf_take(&copy);
    }
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

/* None may be on its way out of a table, nor begin to go before the table is locked. */
static enum rc none_detached(struct gated *g, const PGresult *res, struct err *err)
{
    if (PQntuples(res) == 0)
        return RC_OK;
    detaching_tell(res, g->m->blocking);
    detaching_refuse(res, "55P03", err);
    outcome(g, GATED_BUSY, "blocked");
    return RC_ERR;
}

static enum rc look_at_partitions(struct gated *g, struct err *err)
{
    PGresult *res = conn_query(&g->engine->work, err, DETACHING_SQL, g->spec->names);
    enum rc rc = res ? none_detached(g, res, err) : RC_ERR;

    PQclear(res);
    return rc;
}

/* One that prevents wraparound stays, and a role that may not see that learns it so. */
static enum rc shake_off(struct gated *g, struct err *err)
{
    blockers_shake_off_autovacuum(g->engine, g->spec->names);
    return blockers_stayed(g->engine, g->spec->names, g->m->blocking, err);
}

/* Nobody is held up for a lock that a long transaction would keep us from anyway. */
static enum rc look_first(struct gated *g, struct err *err)
{
    struct eng_engine *engine = g->engine;
    struct buf who = {0};
    bool autovacuum = false;
    enum rc rc;

    buf_reset(&g->m->blockers);
    json_array_clear(g->m->blocking);
    if (blockers_of(engine, g->spec->names, engine->options.transaction_age_max_ms, g->m->blocking,
                    &autovacuum, err) != RC_OK)
        return RC_ERR;
    rc = autovacuum ? shake_off(g, err) : RC_OK;
    if (rc == RC_OK)
        rc = look_at_partitions(g, err);
    blockers_text(g->m->blocking, &g->m->blockers);
    if (rc != RC_OK || g->m->blockers.len == 0)
        return rc;
    outcome(g, GATED_BUSY, "blocked");
    blockers_log_text(g->m->blocking, &who); /* err is logged */
    err_set(err, "55P03", "a long transaction is in the way: %s", who.data);
    buf_fini(&who);
    return RC_ERR;
}

/* A statement that was rewritten may name a column of the other side, and not have come to its lock
 * yet: who drops the column waits for the answer. */
static bool written_under_way(const struct gated *g)
{
    return g->spec->answers && sess_gate_answering(g->engine->plane, g->spec->mask);
}

/* Workers count a transaction as touching while they cannot tell (it began before the rules, it
 * runs what they have not read). The server's lock table can: who holds no lock on the tables is
 * not waited for. Should it want one now, it waits for us, and not the other way round. Where names
 * turn, its statement would not find what it names behind that wait: there it is waited for. */
static enum rc drain(struct gated *g, int64_t began, struct err *err)
{
    struct eng_engine *engine = g->engine;
    int64_t until = began + (int64_t)engine->options.drain_timeout_ms * 1000;

    while (sess_gate_drain(engine->plane, g->spec->mask, DRAIN_LOOK_MS, NULL) != RC_OK) {
        bool locked = true;

        if (blockers_locked(engine, g->spec->names, &locked, err) != RC_OK)
            return RC_ERR;
        if (!locked && !g->spec->names_turn && !written_under_way(g) &&
            sess_gate_holds(engine->plane))
            return RC_OK;
        if (clock_us() < until && sess_gate_holds(engine->plane))
            continue;
        err_set(err, "55P03", "open transactions did not end within %u ms",
                engine->options.drain_timeout_ms);
        return RC_ERR;
    }
    return RC_OK;
}

/* After a failed statement: busy or broken, from its SQLSTATE. */
static void judge(struct gated *g, const struct err *err)
{
    if (conn_lost(err))
        outcome(g, GATED_FAILED, "lost"); /* before COMMIT: the server rolls back */
    else if (conn_retryable(err))
        outcome(g, GATED_BUSY, "lock");
    else
        outcome(g, GATED_FAILED, "error");
}

static void judge_others(struct gated *g, enum rc rc, struct err *err)
{
    if (rc == RC_AGAIN)
        unanswered(g);
    else if (rc != RC_OK)
        judge(g, err);
}

/* Those of another segue are not behind this gate, and would name what is not there. */
static enum rc ask_others(struct gated *g, struct err *err)
{
    enum rc rc = g->spec->names_turn ? second_ask(g->engine, err) : RC_OK;

    judge_others(g, rc, err);
    return rc;
}

/* The last look, by segue's own path; deferred triggers fire at COMMIT, by the file's. */
static enum rc others_stay(struct gated *g, struct err *err)
{
    struct eng_conn *work = &g->engine->work;
    char *names = conn_names_sql(work, g->m->plan);
    enum rc rc = conn_exec(work, err, CONN_OWN_NAMES);

    if (rc == RC_OK)
        rc = second_look(g->engine, err);
    if (rc == RC_OK)
        rc = conn_exec(work, err, "%s", names);
    free(names);
    judge_others(g, rc, err);
    return rc;
}

static enum rc stuck(struct gated *g, struct err *err)
{
    outcome(g, GATED_BUSY, "gate");
    err_set(err, "55P03", "the gate could not be closed: a worker is stuck");
    return RC_ERR;
}

static enum rc not_drained(struct gated *g, int64_t began)
{
    g->npids = sess_gate_waiting_for(g->engine->plane, g->spec->mask, g->pids, ARRAY_LEN(g->pids));
    g->nelsewhere = sess_gate_waiting_on_standbys(g->engine->plane, g->spec->mask, g->elsewhere,
                                                  ARRAY_LEN(g->elsewhere));
    g->result->drain_ms = (double)(clock_us() - began) / 1000;
    outcome(g, GATED_BUSY, "drain");
    return RC_ERR;
}

/* Who was in a transaction when the rules came, and ended it at this gate, would be in doubt behind
 * it: the catalog is not read while traffic is held. Not where it was read while nobody was making
 * anything: then nobody is in doubt for what was before. */
static bool is_as_read(struct gated *g, struct err *err)
{
    const struct eng_engine *engine = g->engine;

    if (!g->spec->as_read || engine->settled == engine->changes ||
        engine->changes == sess_plane_changes(engine->plane))
        return true;
    g->nobody = true;
    outcome(g, GATED_BUSY, "changed");
    err_set(err, "55P03",
            "transactions have ended that began before segue knew of the migration: "
            "the catalog is read once more");
    return false;
}

static enum rc close_and_drain(struct gated *g, struct err *err)
{
    struct eng_engine *engine = g->engine;
    int64_t began = clock_us();

    FAULT_OF(gate_before, eng_phase(g->m->phase)->name);
    if (!sess_gate_close(engine->plane, g->spec->mask, engine->options.gate_hold_max_ms))
        return stuck(g, err);
    FAULT_OF(gate_closed, eng_phase(g->m->phase)->name);
    if (drain(g, began, err) != RC_OK)
        return not_drained(g, began);
    /* held within a transaction, too, and not before all others are out: one of those may wait for
     * what such a transaction has locked elsewhere */
    if (g->spec->names_turn) {
        if (!sess_gate_close_names(engine->plane, g->spec->names_turn))
            return stuck(g, err);
        if (drain(g, began, err) != RC_OK)
            return not_drained(g, began);
    }
    g->result->drain_ms = (double)(clock_us() - began) / 1000;
    FAULT_OF(gate_drained, eng_phase(g->m->phase)->name);
    return RC_OK;
}

static enum rc take_locks(struct gated *g, struct err *err)
{
    const struct eng_options *options = &g->engine->options;
    const struct eng_conn *work = &g->engine->work;
    struct buf sql = {0};
    PGresult *res;
    enum rc rc;

    /* All of them in less than deadlock_timeout: who came to wait for the first meanwhile would
     * find the circle, and be its victim. Were the connection cut now, the server ends our
     * transaction by itself, soon. */
    buf_printf(&sql,
               "BEGIN; SET LOCAL lock_timeout = %u; SET LOCAL statement_timeout = %u;"
               "SET LOCAL idle_in_transaction_session_timeout = %u",
               conn_lock_ms(work, options->lock_timeout_ms),
               conn_lock_ms(work, options->gate_hold_max_ms), options->gate_hold_max_ms);
    if (g->spec->row_lock)
        buf_printf(&sql, "; SELECT 1 FROM segue.migrations WHERE id = %" PRId64 " FOR UPDATE",
                   g->m->id);
    if (g->locks && g->spec->mode[0])
        buf_printf(&sql, "; LOCK TABLE %s IN %s MODE", g->locks, g->spec->mode);
    buf_printf(&sql, "; SET LOCAL statement_timeout = %u; " DETACHING_SQL,
               options->gate_hold_max_ms, g->spec->names);
    res = conn_run(&g->engine->work, sql.data, NULL, err);
    buf_fini(&sql);
    if (!res)
        judge(g, err);
    else
        g->locked_us = clock_us();
    rc = res ? none_detached(g, res, err) : RC_ERR;
    PQclear(res);
    return rc;
}

static void too_late(struct gated *g, const char *what, struct err *err)
{
    outcome(g, GATED_BUSY, "gate");
    err_set(err, "55P03", "the gate's hard deadline passed before %s", what);
}

/* The server proposes CASCADE, which takes away what somebody has made since. */
static void hint_dependent(struct err *err)
{
    if (strcmp(err->sqlstate, "2BP01") != 0)
        return;
    err->hint[0] = '\0';
    err_hint(err,
             "it came a moment ago, or plan has not seen it: where nobody needs it meanwhile,"
             " drop that by its name, try again, and make it again when the migration has ended");
}

/* The server bounds each statement, and this all of them: behind the gate's deadline everybody
 * waits for the lock. That is what what was asked for takes here, and not somebody's doing. */
static PGresult *run(struct gated *g, struct err *err)
{
    struct eng_conn *work = &g->engine->work;
    unsigned most_ms = g->engine->options.gate_hold_max_ms;
    PGresult *res;

    work->until_us = g->locked_us + (int64_t)most_ms * 1000;
    res = conn_run(work, g->spec->sql, NULL, err);
    work->until_us = 0;
    if (res || strcmp(err->sqlstate, "57014") != 0) {
        hint_dependent(err);
        if (!res)
            judge(g, err);
        return res;
    }
    err_clear(err);
    err_set(err, "53400", "it was not done within the %u ms of gate_hold_max_ms, under its lock",
            most_ms);
    err_hint(err, "more of gate_hold_max_ms, where traffic may be held for so long (segue reload); "
                  "rows that a statement of the file changes take their time under no lock where "
                  "it stands in an operation of its own");
    g->nobody = true;
    outcome(g, GATED_BUSY, "slow");
    return NULL;
}

static void transact(struct gated *g, struct err *err)
{
    PGresult *res;
    enum rc rc;

    if (take_locks(g, err) != RC_OK)
        return;
    if (g->spec->mask && !sess_gate_holds(g->engine->plane)) {
        too_late(g, "the locks were there", err);
        return;
    }
    FAULT_OF(gate_locked, eng_phase(g->m->phase)->name);
    res = run(g, err);
    PQclear(res);
    if (!res)
        return;
    if (g->spec->names_turn && others_stay(g, err) != RC_OK)
        return;
    FAULT_OF(gate_ran, eng_phase(g->m->phase)->name);
    if (!is_as_read(g, err))
        return;
    rc = gated_commit(g->engine, g->spec->names_turn, err);
    if (rc == RC_AGAIN) {
        too_late(g, "all was done", err);
        return;
    }
    if (rc != RC_OK) {
        if (!conn_lost(err)) {
            judge(g, err);
            return;
        }
        outcome(g, GATED_LOST, "lost");
        if (g->spec->names_turn)
            gated_settle(g->engine, g->m, (enum eng_phase_id)g->spec->phase);
        return;
    }
    g->result->lock_ms = (double)(clock_us() - g->locked_us) / 1000;
    FAULT_OF(gate_committed, eng_phase(g->m->phase)->name);
    outcome(g, GATED_DONE, "done");
    if (g->spec->phase >= 0)
        eng_phase_switch(g->engine, g->m, (enum eng_phase_id)g->spec->phase);
}

static void name_holders(struct gated *g)
{
    struct err ignored = {0};

    if (blockers_of(g->engine, g->spec->names, 0, g->m->blocking, NULL, &ignored) != RC_OK)
        log_err(LOG_DEBUG, "blockers", &ignored);
}

static void record(struct gated *g, const struct err *why)
{
    struct gated_result *result = g->result;
    struct eng_stats *stats = &g->m->stats;
    const struct attempt attempt = {.kind = g->spec->kind,
                                    .title = g->spec->title,
                                    .outcome = result->word,
                                    .took_ms = (double)(clock_us() - g->began_us) / 1000,
                                    .drain_ms = result->drain_ms,
                                    .lock_ms = result->lock_ms,
                                    .stall_us = result->stall_us,
                                    .blockers = g->m->blocking,
                                    .acted = g->m->acted,
                                    .error = err_is_set(why) ? why->text : NULL};
    struct err err = {0};

    if (result->stall_us > stats->stall_us_max)
        stats->stall_us_max = result->stall_us;
    if ((int64_t)(result->lock_ms * 1000) > stats->lock_us_max)
        stats->lock_us_max = (int64_t)(result->lock_ms * 1000);
    if (!conn_up(&g->engine->work))
        return;
    if (attempt_store(g->engine, g->m, &attempt, &err) != RC_OK ||
        store_flags(g->engine, g->m, &err) != RC_OK)
        log_err(LOG_WARNING, "recording an attempt", &err);
    else
        json_array_clear(g->m->acted);
}

static void tell(const struct gated *g)
{
    const struct gated_result *result = g->result;
    struct buf who = {0};

    blockers_log_text(g->m->blocking, &who);
    log_info("%s: %s, drained in %.1f ms, locked for %.1f ms, longest stall %.1f ms%s%s",
             g->spec->title, result->word, result->drain_ms, result->lock_ms,
             (double)result->stall_us / 1000, who.len ? ", blockers: " : "",
             who.len ? who.data : "");
    buf_fini(&who);
}

void gated_run(struct eng_engine *engine, struct eng_migration *m, const struct gated_spec *spec,
               struct gated_result *result, struct err *err)
{
    struct gated g = {
        .engine = engine, .m = m, .spec = spec, .result = result, .began_us = clock_us()};
    struct sess_gate_report report = {0};
    const enum eng_phase_id during = m->phase; /* it moves with the COMMIT of a turn-over */

    *result = (struct gated_result){.outcome = GATED_FAILED, .word = "error"};
    FAULT_OF(gate_look, eng_phase(during)->name);
    if (find_locks(&g, err) != RC_OK || look_first(&g, err) != RC_OK) {
        if (result->outcome != GATED_BUSY)
            judge(&g, err);
        goto out;
    }
    /* without a table that workers know there is nobody to hold */
    if (spec->mask == 0 || (ask_others(&g, err) == RC_OK && close_and_drain(&g, err) == RC_OK))
        transact(&g, err);
    conn_rollback(&engine->work);
    if (g.locked_us && result->outcome != GATED_DONE) /* held all the same */
        result->lock_ms = (double)(clock_us() - g.locked_us) / 1000;
    if (result->outcome == GATED_BUSY && !g.npids && !g.nelsewhere && !g.nobody)
        name_holders(&g); /* while they still are what they were: before the gate opens */
    FAULT_OF(gate_opening, eng_phase(during)->name);
    if (spec->mask)
        sess_gate_open(engine->plane, &report);
    second_let_go(engine);
    FAULT_OF(gate_opened, eng_phase(during)->name);
    result->stall_us = report.stall_us_max;
    blockers_describe(engine, g.pids, g.npids, m->blocking);
    blockers_on_standbys(g.elsewhere, g.nelsewhere, m->blocking);
    buf_reset(&m->blockers);
    blockers_text(m->blocking, &m->blockers);
    tell(&g);
out:
    atomic_store(&engine->gated, false);
    record(&g, err);
    free(g.locks);
}
