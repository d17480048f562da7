/*
 * One engine a database: the one that comes second waits for the advisory lock, and says for whom,
 * in the log and on the board. It takes over by itself as soon as the first one is gone. Until then
 * it changes nothing, and follows what the store says, so that its clients have the rules.
 *
 * The first one may not know that it is gone: its process was frozen, its machine cut off. What it
 * does on the connection that had the lock fails, since the lock goes with the session. Its others
 * (batches, long statements) would go on. So each of them has a mark that all can see, is of use
 * only while this engine has the lock, and whoever takes the lock ends those that it finds: before
 * it reads anything back. One that is opened later finds that the lock is another's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "second.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "store.h"
#include "store_ddl.h"

#define SAY_US 60000000
#define STOPS_US 500000 /* longer than an engine that is told to stop mostly takes */
/* Keys of the marks, shared advisory locks. */
#define BATCH_KEY (STORE_LOCK_KEY + 1)
#define LONG_KEY (STORE_LOCK_KEY + 2)
#define END_WAIT_MS 2000

/* res: who holds the lock; NULL, or without a row: it has just gone. */
static void append_holder(struct buf *text, const PGresult *res)
{
    bool there = res && PQntuples(res);
    char who[256] = "";

    if (there)
        snprintf(who, sizeof(who), " (backend %" PRId64 ", from %s, since %s)", res_int(res, 0, 0),
                 res_text(res, 0, 1), res_text(res, 0, 2));
    if (there && !res_bool(res, 0, 3))
        buf_printf(text,
                   "role %s, which is no segue's, has taken segue's advisory lock%s: no migration "
                   "moves until it lets go, or is ended: SELECT pg_terminate_backend(%" PRId64 ")",
                   res_text(res, 0, 4), who, res_int(res, 0, 0));
    else
        buf_printf(text,
                   "another segue is at work on this database%s: waiting for its advisory lock",
                   who);
}

static void say(struct eng_engine *engine)
{
    struct err ignored = {0};
    struct buf text = {0};
    PGresult *res = conn_query(
        &engine->work, &ignored,
        "SELECT l.pid, coalesce(" CONN_CLIENT_ADDRESS ", '?'), "
        "coalesce(date_trunc('second', a.backend_start)::text, '?'), coalesce(" STORE_ROLE
        ", true), coalesce(a.usename, '?') FROM pg_locks l "
        "LEFT JOIN pg_stat_activity a USING (pid) WHERE " STORE_LOCK_HELD,
        STORE_LOCK_KEY);

    append_holder(&text, res);
    PQclear(res);
    log_warning("%s", text.data);
    board_set_trouble(engine->board, text.data);
    buf_fini(&text);
}

/* ---- what the other one does ---- */

#define NO_STORE "no store"

/* What the rules depend on, in one text; heap. NULL with an error. */
static char *state_of_store(struct eng_engine *engine, struct err *err)
{
    bool there = store_exists(&engine->work, err);
    PGresult *res;
    char *state;

    if (err_is_set(err))
        return NULL;
    if (!there)
        return mem_strdup(NO_STORE);
    res = conn_query(&engine->work, err,
                     "SELECT (SELECT max(version) FROM segue.store), (SELECT concat('of ', "
                     "string_agg(concat_ws(' ', id, phase, epoch), ', ' ORDER BY id)) FROM "
                     "segue.migrations WHERE phase NOT IN ('done', 'aborted'))");
    if (res && res_int(res, 0, 0) != (int64_t)store_ddl_count)
        err_set(err, "55000",
                "the other segue is of another version: its schema has version %" PRId64
                ", here it is %zu",
                res_int(res, 0, 0), store_ddl_count);
    state = res && !err_is_set(err) ? mem_strdup(res_text(res, 0, 1)) : NULL;
    PQclear(res);
    return state;
}

/* Publishes what the store says: statements pass by the rules of what is in flight, whoever brings
 * it about. Takes `state`, which is NULL where err says why. */
static void take_state(struct eng_engine *engine, char *state, struct err *err)
{
    size_t before = engine->nmigrations;

    if (state && engine->told && engine->followed.data && !strcmp(state, engine->followed.data)) {
        eng_publish_refresh(engine);
        free(state);
        return;
    }
    buf_fini(&engine->followed);
    if (state) {
        eng_forget_all(engine);
        engine->store = strcmp(state, NO_STORE) != 0;
        if (!engine->store)
            eng_publish(engine);
        if (!engine->store || store_read(engine, err) == RC_OK)
            buf_append_str(&engine->followed, state);
    }
    if (err_is_set(err))
        log_err(engine->unknown_said ? LOG_DEBUG : LOG_WARNING,
                "what the other segue does is not known here", err);
    else if (before && !engine->nmigrations)
        log_warning("another segue has ended what was in flight here: statements pass as they are");
    else if (engine->nmigrations)
        log_info("rules as the other segue has them: %s", state);
    engine->unknown_said = err_is_set(err);
    free(state);
}

static void read_again(struct eng_engine *engine)
{
    struct err err = {0};
    char *state = state_of_store(engine, &err);

    take_state(engine, state, &err);
}

/* The other one's gate does not hold our clients, so it is asked often. Where it has just asked
 * itself, the first rules wait for what comes of that. */
static void follow(struct eng_engine *engine)
{
    struct err err = {0};
    char *state = state_of_store(engine, &err);
    bool asked = false;

    if (state && second_enrol(engine, &asked, &err) != RC_OK) {
        free(state);
        state = NULL;
    }
    if (asked && !engine->told) {
        free(state);
        return;
    }
    take_state(engine, state, &err);
    if (asked && engine->followed.data)
        second_obey(engine, read_again);
}

/* Is it the predecessor's engine that has the lock, and about to stop? Where it is not after a
 * while, another segue is at work, as it was for the predecessor. */
static int stopping(struct eng_engine *engine)
{
    unsigned sessions = atomic_load(&engine->predecessor_sessions);
    int predecessor = atomic_load(&engine->predecessor);

    if (!predecessor || sessions == ENG_SESSIONS_UNKNOWN)
        engine->reported_us = 0;
    else if (!engine->reported_us)
        engine->reported_us = clock_us();
    return engine->reported_us && clock_us() - engine->reported_us > STOPS_US ? 0 : predecessor;
}

/* Who was taken over waits for nothing: the lock is its successor's. */
void eng_lock_waits(struct eng_engine *engine)
{
    int predecessor = engine->retired ? 0 : stopping(engine);

    if (predecessor) {
        if (!engine->lock_said_us)
            log_info("waiting for the advisory lock: the predecessor's engine, process %d, stops",
                     predecessor);
        engine->lock_said_us = clock_us();
    } else if (!engine->retired &&
               (!engine->lock_said_us || clock_us() - engine->lock_said_us > SAY_US)) {
        say(engine);
        engine->lock_said_us = clock_us();
    }
    if (!predecessor && !engine->lost) /* a predecessor's engine is about to stop */
        follow(engine);
}

/* ---- its other locks ---- */

static void name_stranger(struct eng_conn *conn, int64_t key, struct err *err)
{
    PGresult *res = conn_query(
        conn, err,
        "SELECT l.pid, coalesce(a.usename, '?'), coalesce(nullif(a.application_name, ''), '?'), "
        "coalesce(" CONN_CLIENT_ADDRESS ", '?') FROM pg_locks l LEFT JOIN pg_stat_activity a USING "
        "(pid) WHERE " STORE_LOCK_HELD " ORDER BY 1 LIMIT 1",
        key);

    if (res && PQntuples(res)) {
        err_set(err, "55P03",
                "backend %" PRId64 " (%s, user %s, from %s) has taken an advisory lock of segue's",
                res_int(res, 0, 0), res_text(res, 0, 2), res_text(res, 0, 1), res_text(res, 0, 3));
        err_hint(err, "end it: SELECT pg_terminate_backend(%" PRId64 ")", res_int(res, 0, 0));
    } else if (res) {
        err_set(err, "55P03", "somebody had taken an advisory lock of segue's");
    }
    PQclear(res);
}

enum rc second_take(struct eng_conn *conn, int64_t key, bool shared, struct err *err)
{
    PGresult *res =
        conn_query(conn, err,
                   "SELECT CASE WHEN EXISTS (SELECT FROM pg_locks l WHERE " STORE_LOCK_HELD
                   " AND l.pid = pg_backend_pid()) THEN true ELSE "
                   "pg_try_advisory_lock%s(%" PRId64 ") END",
                   key, shared ? "_shared" : "", key);
    bool got = res && res_bool(res, 0, 0);

    if (res && !got)
        name_stranger(conn, key, err);
    PQclear(res);
    return got ? RC_OK : RC_ERR;
}

/* ---- the connections beside the one that has the lock ---- */

enum rc eng_beside_open(struct eng_engine *engine, struct eng_conn *conn, enum eng_beside what,
                        struct err *err)
{
    int64_t key = what == ENG_BESIDE_BATCH ? BATCH_KEY : LONG_KEY;
    PGresult *res;
    bool ours;

    if (conn_open(conn, engine->options.upstream, err) != RC_OK)
        return RC_ERR;
    /* first the mark: who takes the lock after this look finds it */
    if (second_take(conn, key, true, err) != RC_OK) {
        conn_close(conn);
        return RC_ERR;
    }
    res = conn_query(
        conn, err,
        CONN_AS_LOGIN
        "SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_stat_activity a "
        "USING (pid) WHERE l.pid = %d AND a.backend_start = '%s'::timestamptz AND " STORE_LOCK_HELD
        ")",
        engine->backend_pid, engine->backend_start, STORE_LOCK_KEY);
    ours = res && res_bool(res, 0, 0);
    PQclear(res);
    if (ours)
        return RC_OK;
    conn_close(conn);
    err_set(err, "08006", "this engine has lost its advisory lock");
    return RC_ERR;
}

/* One that may not be ended is not waited for: what it has under way goes on. `since`: NULL where
 * that is hidden from this role. */
static enum rc end_other(struct eng_engine *engine, int64_t pid, const char *since, struct err *err)
{
    PGresult *res =
        conn_query(&engine->work, err,
                   CONN_AS_LOGIN "SELECT pg_terminate_backend(pid, %d) FROM pg_stat_activity WHERE "
                                 "pid = %" PRId64 " AND backend_start IS NOT DISTINCT FROM "
                                 "NULLIF('%s', '')::timestamptz",
                   END_WAIT_MS, pid, since ? since : "");
    bool ended = res && (!PQntuples(res) || res_bool(res, 0, 0));

    PQclear(res);
    if (!res && !strcmp(err->sqlstate, "42501")) {
        err_prefix(err, "backend %" PRId64 " of another engine goes on", pid);
        log_err(LOG_WARNING, "taking over", err);
        err_clear(err);
        return RC_OK;
    }
    if (!res)
        return RC_ERR;
    log_info("ended backend %" PRId64 " of the engine before", pid);
    return ended ? RC_OK : RC_AGAIN;
}

/* Those that are not lost, as an array. */
static char *own_long_pids(const struct eng_engine *engine)
{
    struct buf pids = {0};

    for (size_t i = 0; i < engine->nmigrations; i++) {
        const struct eng_conn *lng = &engine->migrations[i]->lng;

        if (conn_up(lng))
            buf_printf(&pids, "%s%d", pids.len ? "," : "{", PQbackendPID(lng->pg));
    }
    buf_append_str(&pids, pids.len ? "}" : "{}");
    return buf_take(&pids);
}

/* What a backend does the server tells neither of another role's, nor with track_activities off:
 * such a one may be at it, and is not cancelled. */
static enum rc ask_sent(struct eng_engine *engine, const char *sql, bool cancels, bool *is,
                        struct err *err)
{
    char key[24], *own = own_long_pids(engine);
    const char *values[] = {key, sql, own, cancels ? "t" : "f"};
    PGresult *res;

    snprintf(key, sizeof(key), "%" PRId64, LONG_KEY);
    /* its text: the beginning, where that is long */
    res = conn_params(&engine->work, err,
                      "SELECT count(*) > 0, count(CASE WHEN $4::bool AND a.query <> '' AND "
                      "starts_with($2, a.query) "
                      "THEN pg_cancel_backend(a.pid) END) FROM pg_locks l JOIN pg_stat_activity a "
                      "USING (pid) WHERE " STORE_LOCK " = $1::bigint AND " STORE_ROLE
                      " AND a.pid <> ALL ($3::int[]) AND coalesce(a.state NOT LIKE 'idle%', true) "
                      "AND (starts_with($2, a.query) "
                      "OR a.query = '<insufficient privilege>')",
                      (int)ARRAY_LEN(values), values);
    *is = res && res_bool(res, 0, 0);
    PQclear(res);
    free(own);
    return res ? RC_OK : RC_ERR;
}

enum rc eng_beside_sent(struct eng_engine *engine, const char *sql, bool *is, struct err *err)
{
    return ask_sent(engine, sql, false, is, err);
}

enum rc eng_beside_cancel(struct eng_engine *engine, const char *sql, bool *is, struct err *err)
{
    return ask_sent(engine, sql, true, is, err);
}

/* A long statement under way is let be, and so is what may be one (of another role's the server
 * does not say): it has its mark in its own transaction, or is found in the catalog, and an index
 * that is half built need not be begun again. Nothing of what its engine may send behind it does
 * harm: that asks the lost connection first, or fails at the mark. */
enum rc eng_beside_end_others(struct eng_engine *engine, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               CONN_AS_LOGIN
                               "SELECT DISTINCT l.pid, a.backend_start FROM pg_locks l JOIN "
                               "pg_stat_activity a USING (pid) "
                               "WHERE (" STORE_LOCK_HELD
                               " OR a.state LIKE 'idle%%' AND " STORE_LOCK_HELD ") AND " STORE_ROLE,
                               BATCH_KEY, LONG_KEY);
    enum rc rc = res ? RC_OK : RC_ERR;

    for (int r = 0; rc != RC_ERR && r < (res ? PQntuples(res) : 0); r++) {
        enum rc ended = end_other(engine, res_int(res, r, 0), res_text(res, r, 1), err);

        rc = ended == RC_OK ? rc : ended;
    }
    PQclear(res);
    return rc;
}
