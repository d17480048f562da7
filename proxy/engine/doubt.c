/*
 * The COMMIT of a turn-over has no answer, and tables change their names with it, or what a key is
 * over. Under other rules than the true ones a statement would name what is not there: so the gate
 * stays closed until the database has said which they are. Past its hard deadline that holds of
 * statements that may name those tables alone. They would have to wait anyway: while the COMMIT is
 * not decided its locks are there, and who is away or frozen answers nobody. Where both sides'
 * columns are there nobody needs to be held for that: the engine finds out when it is connected
 * again.
 *
 * Whom a deadline has let go before that began stands at the server's locks, with a name of before:
 * then nothing is committed. The look comes behind the beginning, and no worker opens in between.
 */
#include <inttypes.h>

#include "gated.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"

#define LOOK_MS 20 /* between two tries to connect */
/* After that whoever is held goes on by the rules of before: nobody has answered, and nobody may.
 */
#define SETTLE_MAX_US 300000000
/* Longer than one of them: should this thread be stuck, workers let everybody pass then. */
#define DOUBT_MS 20000

static void prolong(void *arg)
{
    struct eng_engine *engine = arg;

    sess_gate_doubt(engine->plane, DOUBT_MS);
}

enum rc gated_commit(struct eng_engine *engine, bool names_turn, struct err *err)
{
    struct eng_conn *work = &engine->work;
    enum rc rc;

    if (names_turn) {
        prolong(engine);
        if (!sess_gate_holds(engine->plane))
            return RC_AGAIN;
        work->waits = prolong;
        work->waits_ctx = engine;
    }
    rc = conn_exec(work, err, "COMMIT");
    work->waits = NULL;
    return rc;
}

/* What the row says when our backend, if there still is one, has ended: nothing changes it then. A
 * primary without the row, or the table, has answered, too: it was a standby that had not come so
 * far, or is another database of that name. *phase stays as it is. *position: behind that. */
static enum rc ask(struct eng_engine *engine, const struct eng_migration *m,
                   enum eng_phase_id *phase, uint64_t *position, struct err *err)
{
    struct eng_conn conn = {.stop = &engine->stop, .waits = prolong, .waits_ctx = engine};
    PGresult *res = NULL;
    enum rc rc = RC_ERR;

    if (conn_open(&conn, engine->options.upstream, err) == RC_OK &&
        conn_check_primary(&conn, err) == RC_OK)
        res = conn_query(
            &conn, err,
            "SET lock_timeout = %u; " CONN_AS_LOGIN "SELECT pg_terminate_backend(pid) FROM "
            "pg_stat_activity WHERE pid = %d AND backend_start = '%s'::timestamptz; "
            "RESET ROLE; "
            "SELECT phase FROM segue.migrations WHERE id = %" PRId64 " FOR UPDATE",
            engine->options.gate_hold_max_ms, engine->backend_pid, engine->backend_start, m->id);
    if (res && PQntuples(res)) {
        rc = eng_phase_parse(res_text(res, 0, 0), phase);
        if (rc == RC_OK)
            rc = eng_position(&conn, position, err);
    } else if (res || conn_no_relation(err)) {
        log_warning("the server that answers knows nothing of this migration");
        rc = RC_OK;
    }
    PQclear(res);
    conn_close(&conn);
    return rc;
}

void gated_settle(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to)
{
    enum eng_phase_id phase = m->phase;
    int64_t until = clock_us() + SETTLE_MAX_US;
    uint64_t position = 0;
    struct err err = {0};
    bool said = false;

    for (prolong(engine); ask(engine, m, &phase, &position, &err) != RC_OK; prolong(engine)) {
        if (!said)
            log_err(LOG_WARNING, "whether what statements name has turned is not known", &err);
        said = true;
        if (atomic_load(&engine->stop))
            return;
        if (clock_us() > until) {
            log_err(LOG_WARNING, "no answer to COMMIT for so long: statements go on as before it",
                    &err);
            return;
        }
        err_prefix(&err, "whether what statements name has turned is not known yet");
        board_set_trouble(engine->board, err.text);
        eng_jobs_refuse(engine, &err);
        err_clear(&err);
        clock_sleep_ms(LOOK_MS);
    }
    log_warning("no answer to COMMIT: it is %s", eng_phase(phase)->name);
    engine->doubt_position = position; /* sessions on standbys wait for it */
    if (phase == to)
        eng_phase_switch(engine, m, to);
    engine->doubt_position = 0;
    eng_status_put(engine, m); /* its record is read when there is a connection again */
}
