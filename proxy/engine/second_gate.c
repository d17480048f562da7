#include "second.h"

#include <inttypes.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "store.h"

/* Keys of advisory locks, beside those of second.c. */
#define FOLLOWS_KEY (STORE_LOCK_KEY + 3) /* shared: who follows, and is to be asked */
#define TURNS_KEY (STORE_LOCK_KEY + 4)   /* of the one at work: what statements name turns */
#define HOLDS_KEY (STORE_LOCK_KEY + 5)   /* shared: its clients are held */

/* Somebody turns, who may. */
#define TURNS                                                                                      \
    "EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE " STORE_ROLE         \
    " AND " STORE_LOCK_HELD ")"

#define LOOK_MS 5
/* Longer than a look takes, or a process is likely to stand still: until the store has been read
 * workers keep back who may name the tables. */
#define DOUBT_MS 20000
#define NOTICE_MS 1000 /* whoever follows looks several times a second whether it is asked */

/* ---- the one at work ---- */

/* Who follows and does not hold, the first of them; no row: nobody. */
static enum rc look(struct eng_engine *engine, PGresult **res, struct err *err)
{
    *res =
        conn_query(&engine->work, err,
                   "SELECT l.pid, coalesce(" CONN_CLIENT_ADDRESS ", '?') FROM pg_locks l "
                   "JOIN pg_stat_activity a USING (pid) WHERE " STORE_ROLE " AND " STORE_LOCK_HELD
                   " AND l.pid <> pg_backend_pid() AND l.pid NOT IN (SELECT l.pid FROM pg_locks "
                   "l WHERE " STORE_LOCK_HELD ") ORDER BY 1 LIMIT 1",
                   FOLLOWS_KEY, HOLDS_KEY);
    return *res ? RC_OK : RC_ERR;
}

static void name_it(const PGresult *res, struct err *err)
{
    err_set(err, "55P03",
            "another segue (backend %" PRId64 ", from %s) does not hold its clients, who would "
            "name what is not there",
            res_int(res, 0, 0), res_text(res, 0, 1));
    err_hint(err,
             "end long transactions of its clients, or it, or its engine's backend (SELECT "
             "pg_terminate_backend(%" PRId64 ")), then ask for it again",
             res_int(res, 0, 0));
}

enum rc second_look(struct eng_engine *engine, struct err *err)
{
    PGresult *res;
    bool all;

    if (look(engine, &res, err) != RC_OK)
        return RC_ERR;
    all = PQntuples(res) == 0;
    if (!all)
        name_it(res, err);
    PQclear(res);
    return all ? RC_OK : RC_AGAIN;
}

enum rc second_ask(struct eng_engine *engine, struct err *err)
{
    int64_t until = clock_ms() + NOTICE_MS + engine->options.drain_timeout_ms;
    enum rc rc = second_look(engine, err);

    if (rc != RC_AGAIN)
        return rc;
    err_clear(err);
    if (second_take(&engine->work, TURNS_KEY, false, err) != RC_OK)
        return RC_ERR;
    engine->asks = true;
    while ((rc = second_look(engine, err)) == RC_AGAIN && clock_ms() < until &&
           !atomic_load(&engine->stop)) {
        err_clear(err);
        clock_sleep_ms(LOOK_MS);
    }
    return rc;
}

void second_let_go(struct eng_engine *engine)
{
    struct err ignored = {0};

    if (engine->asks && conn_up(&engine->work) &&
        conn_exec(&engine->work, &ignored, "SELECT pg_advisory_unlock(%" PRId64 ")", TURNS_KEY) !=
            RC_OK)
        log_err(LOG_DEBUG, "others go on", &ignored); /* the lock is lost with the connection */
    engine->asks = false;
}

/* ---- the one that follows ---- */

static enum rc is_asked(struct eng_engine *engine, bool *asked, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err, "SELECT " TURNS, TURNS_KEY);

    *asked = res && res_bool(res, 0, 0);
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

/* Once in the life of the connection. */
enum rc second_enrol(struct eng_engine *engine, bool *asked, struct err *err)
{
    *asked = false;
    if (second_take(&engine->work, FOLLOWS_KEY, true, err) != RC_OK ||
        is_asked(engine, asked, err) != RC_OK)
        return RC_ERR;
    engine->obeyed = engine->obeyed && *asked;
    return RC_OK;
}

static bool turns(const struct eng_migration *m)
{
    return (m->phase == PH_CUTTING_OVER || m->phase == PH_REVERTING) && eng_mask_names(m);
}

bool second_expects(const struct eng_engine *engine)
{
    for (size_t i = 0; i < engine->nmigrations; i++)
        if (turns(engine->migrations[i]))
            return true;
    return false;
}

/* Is there still something to wait for? `turning`: id and phase of what is about to turn. A COMMIT
 * that has no answer yet is seen as soon as its transaction is decided. */
static bool waits(struct eng_engine *engine, const char *turning, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT " TURNS
                               ", EXISTS (SELECT FROM (VALUES %s) t(id, phase) WHERE NOT EXISTS "
                               "(SELECT FROM segue.migrations m WHERE m.id = t.id AND m.phase = "
                               "t.phase))",
                               TURNS_KEY, turning);
    bool turned = res && res_bool(res, 0, 1);

    if (res)
        engine->obeyed = res_bool(res, 0, 0); /* it may ask again at once */
    PQclear(res);
    return res && engine->obeyed && !turned;
}

/* Past the gate's deadline the other one is told that nobody is held any more: it looks once more
 * before its COMMIT. What that has done meanwhile is read first, also by who stood still. */
static void stay(struct eng_engine *engine, const char *turning,
                 void (*read)(struct eng_engine *engine), struct err *err)
{
    sess_gate_doubt(engine->plane, DOUBT_MS);
    if (!sess_gate_holds(engine->plane) ||
        second_take(&engine->work, HOLDS_KEY, true, err) != RC_OK)
        return;
    while (sess_gate_holds(engine->plane) && !atomic_load(&engine->stop) &&
           waits(engine, turning, err)) {
        sess_gate_doubt(engine->plane, DOUBT_MS);
        clock_sleep_ms(LOOK_MS);
    }
    if (err_is_set(err))
        return;
    if (conn_exec(&engine->work, err, "SELECT pg_advisory_unlock_shared(%" PRId64 ")", HOLDS_KEY) !=
        RC_OK)
        log_err(LOG_DEBUG, "clients of this segue go on", err);
    else
        read(engine);
}

static void add_turning(struct buf *turning, const struct eng_migration *m)
{
    buf_printf(turning, "%s(%" PRId64 ", '%s')", turning->len ? ", " : "", m->id,
               eng_phase(m->phase)->name);
}

static bool drained(struct eng_engine *engine, uint64_t mask)
{
    return sess_gate_drain(engine->plane, mask, engine->options.drain_timeout_ms, &engine->stop) ==
           RC_OK;
}

/* For sessions of the predecessor, which no gate holds any more. Before it reports how many they
 * are its engine is at work, and obeys for them, or is who asks. */
static bool declines(struct eng_engine *engine)
{
    unsigned sessions = atomic_load(&engine->predecessor_sessions);

    if (!atomic_load(&engine->predecessor) || !sessions || sessions == ENG_SESSIONS_UNKNOWN)
        return false;
    log_info("another segue is about to rename tables or to turn a key: not held are %u sessions "
             "of the predecessor, process %d",
             sessions, eng_predecessor_first(engine));
    engine->obeyed = true;
    return true;
}

void second_obey(struct eng_engine *engine, void (*read)(struct eng_engine *engine))
{
    struct sess_gate_report report = {0};
    uint64_t mask = 0, names = 0;
    struct buf turning = {0};
    struct err err = {0};

    for (size_t i = 0; i < engine->nmigrations; i++)
        if (turns(engine->migrations[i])) {
            mask |= eng_mask_all(engine->migrations[i]);
            names |= eng_mask_names(engine->migrations[i]);
            add_turning(&turning, engine->migrations[i]);
        }
    if (!names || engine->obeyed || declines(engine) ||
        !sess_gate_close(engine->plane, mask, engine->options.gate_hold_max_ms)) {
        buf_fini(&turning);
        return;
    }
    engine->obeyed = true; /* once each time that it is asked */
    if (drained(engine, mask) && sess_gate_close_names(engine->plane, names) &&
        drained(engine, mask))
        stay(engine, turning.data, read, &err);
    buf_fini(&turning);
    sess_gate_open(engine->plane, &report);
    log_info("another segue has renamed tables or turned a key, or tried to: "
             "clients held for %.1f ms at most",
             (double)report.stall_us_max / 1000);
    if (err_is_set(&err))
        log_err(LOG_WARNING, "holding clients for another segue", &err);
}
