/* The doctor's looks at a migration: where it stands, and what it waits for. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "gated.h"
#include "history.h"
#include "relations.h"
#include "schedule.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "steps.h"
#include "store.h"
#include "type_names.h"

#define ROWS_MAX 10 /* of a kind; more of them say nothing new */

/* What a person does in a phase that goes no further by itself. */
static const char *next_of(enum eng_phase_id phase)
{
    return phase == PH_READY ? "cutover" : phase == PH_SOAKING ? "complete" : NULL;
}

static bool disk_full(const struct err *failure)
{
    return strcmp(failure->sqlstate, "53100") == 0 || strstr(failure->text, "No space left");
}

/* A step that runs in a phase that rests, and not a cut-over or a way back that gave up. */
static bool stopped_in_step(const struct eng_migration *m)
{
    static const enum eng_stage stages[] = {ENG_STAGE_BUILD, ENG_STAGE_SETTLE, ENG_STAGE_SOAK};
    const size_t kept = sizeof(m->step) - 4; /* of a long title, less a character that was cut */

    if (type_names_told(&m->failure))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        const char *title = eng_steps_pending(m, stages[i]);

        if (title && strncmp(m->failure.text, title, strnlen(title, kept)) == 0)
            return true;
    }
    return false;
}

static void stopped(struct doctor *d)
{
    const struct eng_migration *m = d->m;
    const char *phase = eng_phase(m->phase)->name;
    const char *next = stopped_in_step(m) ? NULL : next_of(m->phase);

    if (disk_full(&m->failure))
        doctor_say(d, DOCTOR_WRONG, "disk full", doctor_segue(d, "resume"),
                   "make room on the server's disk first; then resume tries again",
                   "stopped in %s: %s (%s)", phase, m->failure.text, m->failure.sqlstate);
    else if (next)
        doctor_say(d, DOCTOR_WRONG, "gave up",
                   doctor_segue(d, m->phase == PH_SOAKING ? "rollback" : next), m->failure.hint,
                   "back in %s: %s (%s)", phase, m->failure.text, m->failure.sqlstate);
    else
        doctor_say(d, DOCTOR_WRONG, "stopped", doctor_segue(d, "resume"), m->failure.hint,
                   "stopped in %s: %s (%s)", phase, m->failure.text, m->failure.sqlstate);
}

/* The step that comes next, of those that the phase runs. */
static const char *step_of(const struct eng_migration *m)
{
    static const enum eng_stage stages[PH_COUNT] = {[PH_BACKFILLING] = ENG_STAGE_BUILD,
                                                    [PH_CONTRACTING] = ENG_STAGE_CONTRACT,
                                                    [PH_ABORTING] = ENG_STAGE_ABORT};
    const struct eng_plan *plan = m->plan;

    if (m->step[0])
        return m->step;
    for (size_t i = 0; i < plan->nsteps; i++) {
        bool fill = m->phase == PH_BACKFILLING && plan->steps[i].stage == ENG_STAGE_BACKFILL;

        if (!m->step_done[i] && (fill || plan->steps[i].stage == stages[m->phase]))
            return plan->steps[i].title;
    }
    return "";
}

/* The engine's own view of this migration; NULL: nobody runs here. */
static const struct eng_migration *live(const struct doctor *d)
{
    return d->engine ? eng_migration_find(d->engine, d->m->name) : NULL;
}

/* Ready, and its cut-over has been asked for: it comes by itself, and CUTOVER would begin it now.
 */
static enum rc look_at_due(struct doctor *d, bool *due, struct err *err)
{
    struct buf why = {0};
    PGresult *res;

    if (d->version < SCHEDULE_BORN_SINCE)
        return RC_OK;
    res = conn_query(&d->conn, err,
                     "SELECT to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "
                     "due_at > clock_timestamp() FROM segue.schedule WHERE migration = %" PRId64,
                     d->m->id);
    if (!res)
        return RC_ERR;
    *due = PQntuples(res) == 1;
    if (*due && live(d) && !res_bool(res, 0, 1) && schedule_postponed(d->engine, &why))
        doctor_say(d, DOCTOR_WAITS, "cut-over postponed", doctor_segue(d, "status"),
                   "it begins by itself when the file has gone; cutover --withdraw takes it back",
                   "ready for %.0f s; its cut-over was to begin at %s: %s", d->age_s,
                   res_text(res, 0, 0), why.data);
    else if (*due)
        doctor_say(d, DOCTOR_NOTE, "cut-over due", doctor_segue(d, "status"),
                   "cutover --withdraw takes that back, cutover --at sets another time, cutover "
                   "alone begins now",
                   "ready for %.0f s; its cut-over %s at %s", d->age_s,
                   res_bool(res, 0, 1) ? "begins by itself" : "was to begin, and is held up since,",
                   res_text(res, 0, 0));
    buf_fini(&why);
    PQclear(res);
    return RC_OK;
}

enum rc doctor_phase(struct doctor *d, struct err *err)
{
    const struct eng_migration *m = live(d) ? live(d) : d->m;
    const char *next = next_of(d->m->phase), *step = step_of(m);
    bool due = false;

    if (err_is_set(&m->unbuilt))
        doctor_say(d, DOCTOR_WRONG, "index not built", doctor_segue(d, "resume"),
                   "correct the cause first: a turn of the key needs it", "%s", m->unbuilt.text);
    if (d->m->phase == PH_READY && !err_is_set(&d->m->failure) && !d->m->paused &&
        look_at_due(d, &due, err) != RC_OK)
        return RC_ERR;
    if (due)
        return RC_OK;
    if (err_is_set(&d->m->failure))
        stopped(d);
    else if (d->m->paused)
        doctor_say(d, DOCTOR_WAITS, "paused", doctor_segue(d, "resume"), "somebody said pause",
                   "paused in %s", eng_phase(d->m->phase)->name);
    else
        doctor_say(d, DOCTOR_NOTE, "phase", next ? doctor_segue(d, next) : NULL,
                   next ? "it stays there until somebody says so" : "", "%s for %.0f s%s%s",
                   eng_phase(d->m->phase)->name, d->age_s, step[0] && !next ? ": " : "",
                   next ? "" : step);
    return RC_OK;
}

#define ATTEMPTS_TOLD_SINCE 3 /* version of schema segue with their errors and blockers */

#define AGAIN "it is tried again by itself; end what is in the way"
#define CALLED_OFF AGAIN ", or call it off"

/* What is tried again by itself, in a phase. */
struct tried {
    const char *kind, *title; /* of its attempts; title NULL: it is a step, and has its own */
    const char *command, *words;
    const char *hint;
};

static const struct tried *tried_in(enum eng_phase_id phase)
{
    static const struct tried forward = {"cutover", "the cut-over", "cutover", " --withdraw",
                                         CALLED_OFF};
    static const struct tried back = {"revert", "the way back", "status", "", CALLED_OFF};
    static const struct tried step = {"step", NULL, "attempts", "", AGAIN};

    return phase == PH_CUTTING_OVER ? &forward : phase == PH_REVERTING ? &back : &step;
}

/* The last attempt of the phase, of that kind: its number (of a step: of this step's), outcome,
 * error, blockers and title; no row where it has succeeded. */
static const char attempts_sql[] =
    "WITH those AS (SELECT a.* FROM segue.attempts a JOIN segue.migrations m ON m.id = a.migration "
    "WHERE m.id = %" PRId64 " AND a.kind = '%s' AND a.at >= m.phase_at), "
    "last AS (SELECT * FROM those ORDER BY at DESC, no DESC LIMIT 1) "
    "SELECT CASE kind WHEN 'step' THEN (SELECT count(*) FROM those t WHERE t.title = last.title) "
    "ELSE no END, outcome, error, coalesce(blockers, '[]')::text, title FROM last "
    "WHERE outcome <> 'done'";

static void say_attempt(struct doctor *d, const struct tried *tried, const PGresult *res)
{
    const struct eng_migration *m = live(d);
    struct buf text = {0}, next = {0};
    json_t *list = json_loads(res_text(res, 0, 3), 0, NULL);
    const char *title = tried->title ? tried->title : res_text(res, 0, 4);
    char *command = doctor_segue(d, tried->command);

    blockers_text(list, &text);
    json_decref(list);
    if (!text.len && res_text(res, 0, 2))
        buf_append_str(&text, res_text(res, 0, 2));
    if (m && (tried->title ? m->tried : m->retries) && m->not_before_us > clock_us())
        buf_printf(&next, "; the next begins in %.1f s",
                   (double)(m->not_before_us - clock_us()) / 1e6);
    doctor_say(d, DOCTOR_WAITS, "attempt failed", mem_printf("%s%s", command, tried->words),
               tried->hint, "attempt %" PRId64 " of %s%s%s (%s): %s%s", res_int(res, 0, 0),
               tried->title ? "" : "\"", title ? title : "", tried->title ? "" : "\"",
               res_text(res, 0, 1), text.len ? text.data : "", next.len ? next.data : "");
    free(command);
    buf_fini(&text);
    buf_fini(&next);
}

/* Between two attempts. */
enum rc doctor_attempts(struct doctor *d, struct err *err)
{
    const struct tried *tried = tried_in(d->m->phase);
    PGresult *res;

    if (d->version < ATTEMPTS_TOLD_SINCE || err_is_set(&d->m->failure) ||
        (!tried->title && d->m->paused))
        return RC_OK;
    res = conn_query(&d->conn, err, attempts_sql, d->m->id, tried->kind);
    if (!res)
        return RC_ERR;
    if (PQntuples(res))
        say_attempt(d, tried, res);
    PQclear(res);
    return RC_OK;
}

/* What COMPLETE would say now: of its own checks, in its own words. */
enum rc doctor_complete(struct doctor *d, struct err *err)
{
    struct eng_migration *m = d->engine ? eng_migration_find(d->engine, d->m->name) : NULL;
    struct err why = {0};

    (void)err;
    if (!m || m->phase != PH_SOAKING || !d->engine->ready || err_is_set(&m->failure))
        return RC_OK;
    if (history_check_complete(d->engine, m, &why) != RC_OK ||
        eng_rows_check(d->engine, m, &why) != RC_OK ||
        eng_contract_preflight(d->engine, m, &why) != RC_OK || eng_proofs_check(m, &why) != RC_OK ||
        eng_contract_looks(d->engine, m, &why) != RC_OK)
        doctor_say(d, DOCTOR_NOTE, "not to be completed yet",
                   doctor_segue(d, strcmp(why.sqlstate, "55006") == 0 ? "usage" : "status"),
                   why.hint, "%s", why.text);
    conn_rollback(&d->engine->work);
    return RC_OK;
}

enum rc doctor_predecessor(struct doctor *d, struct err *err)
{
    int pid = d->engine ? eng_predecessor_first(d->engine) : 0;
    unsigned sessions = d->engine ? atomic_load(&d->engine->predecessor_sessions) : 0;
    char many[32] = "sessions";

    (void)err;
    if (!pid)
        return RC_OK;
    if (sessions != ENG_SESSIONS_UNKNOWN)
        snprintf(many, sizeof(many), "%u %s", sessions, sessions == 1 ? "session" : "sessions");
    doctor_say(d, DOCTOR_WAITS, "predecessor alive", mem_printf("kill -TERM %d", pid),
               "it ends with its last session, or at takeover_timeout_s; SIGTERM ends it at the "
               "sessions' next safe point",
               "the segue that was taken over, process %d, serves %s: what needs the gate waits "
               "for it",
               pid, many);
    return RC_OK;
}

/* "signal: reading, limit; signal: ..." */
enum rc doctor_throttle(struct doctor *d, struct err *err)
{
    const struct eng_migration *m = live(d);
    char *reasons, *state = NULL;

    (void)err;
    if (!m || !m->throttled.len || m->paused || m->phase != PH_BACKFILLING)
        return RC_OK;
    reasons = mem_strdup(m->throttled.data);
    for (char *one = strtok_r(reasons, ";", &state); one; one = strtok_r(NULL, ";", &state)) {
        char *signal;
        int at;

        one += strspn(one, " ");
        signal = mem_strndup(one, strspn(one, "abcdefghijklmnopqrstuvwxyz_0123456789"));
        at = throttle_find(signal);
        doctor_say(
            d, DOCTOR_WAITS, "throttled",
            at >= 0 ? mem_printf("segue throttle %s off", signal) : mem_strdup("segue throttle"),
            at >= 0 && d->engine->throttle.signals[at].verdict == THROTTLE_SLOW
                ? "it goes on, but slower, to spare the server and its clients; segue throttle "
                  "shows all signals"
                : "it goes on when the reading has come down; segue throttle shows all signals",
            "%s", one);
        free(signal);
    }
    free(reasons);
    return RC_OK;
}

/* ---- locks ---- */

/* Backends `a` that are segue's own, also where the doctor has another role than the engine. */
#define OWN_BACKEND "(" CONN_OWN_BACKEND " OR a.application_name = 'segue' AND " STORE_ROLE ")"

#define WHO                                                                                        \
    "coalesce(nullif(a.application_name, ''), a.backend_type, '?'), coalesce(a.usename, '?'), "    \
    "coalesce(" CONN_CLIENT_ADDRESS ", '?'), coalesce(a.state, '?'), "                             \
    "CASE WHEN a.backend_type IS NOT NULL THEN "                                                   \
    "coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0) END, "                      \
    "regexp_replace(left(coalesce(a.query, ''), 80), '\\s+', ' ', 'g'), " DOCTOR_AS_ENDER(         \
        "a.usesysid")
enum { W_PID, W_APPLICATION, W_USER, W_ADDRESS, W_STATE, W_AGE, W_QUERY, W_LOGIN, W_MORE };

static char *end_backend(const struct doctor *d, const PGresult *res, int r)
{
    bool active = strcmp(res_text(res, r, W_STATE), "active") == 0;
    char *sql = mem_printf("SELECT pg_%s_backend(%" PRId64 ")", active ? "cancel" : "terminate",
                           res_int(res, r, W_PID));
    const char *login = res_text(res, r, W_LOGIN);
    char *command = login ? doctor_psql_as(d, login, sql) : doctor_psql(d, sql);

    free(sql);
    return command;
}

/* "pid 17 (psql, user app, 10.0.0.7, idle in transaction, 31 s in transaction): UPDATE ..." */
static char *who(const PGresult *res, int r)
{
    char age[32] = "?";

    if (res_text(res, r, W_AGE))
        snprintf(age, sizeof(age), "%.0f", res_double(res, r, W_AGE));
    return mem_printf("pid %" PRId64 " (%s, user %s, %s, %s, %s s in transaction): %s",
                      res_int(res, r, W_PID), res_text(res, r, W_APPLICATION),
                      res_text(res, r, W_USER), res_text(res, r, W_ADDRESS),
                      res_text(res, r, W_STATE), age, res_text(res, r, W_QUERY));
}

/* Statements of segue that wait for a lock now. */
enum rc doctor_blocked(struct doctor *d, struct err *err)
{
    PGresult *res = conn_query(
        &d->conn, err,
        "WITH own AS (SELECT a.* FROM pg_stat_activity a WHERE " OWN_BACKEND ") "
        "SELECT a.pid, " WHO ", regexp_replace(left(w.query, 80), '\\s+', ' ', 'g'), "
        "extract(epoch FROM clock_timestamp() - w.query_start) FROM own w, "
        "unnest(pg_blocking_pids(w.pid)) AS b(pid) JOIN pg_stat_activity a ON a.pid = b.pid "
        "WHERE w.datname = current_database() AND w.wait_event_type = 'Lock' "
        "ORDER BY a.xact_start LIMIT %d",
        ROWS_MAX);

    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++) {
        char *blocker = who(res, r);

        doctor_say(d, DOCTOR_WAITS, "blocked", end_backend(d, res, r),
                   "it goes on as soon as that transaction ends",
                   "segue's \"%s\" waits for %.0f s for %s", res_text(res, r, W_MORE),
                   res_double(res, r, W_MORE + 1), blocker);
        free(blocker);
    }
    PQclear(res);
    return RC_OK;
}

/* Where the phase needs strong locks, whoever is in a long transaction on the tables is in the
 * way; before and after it will be. */
static bool wants_locks(enum eng_phase_id phase)
{
    return phase != PH_READY && phase != PH_SOAKING && phase != PH_VERIFYING &&
           phase != PH_BACKFILLING;
}

static const char held_sql[] =
    "WITH tree AS (SELECT t.relid AS oid FROM " RELATIONS_ROOTS RELATIONS_TREE " AS t), "
    "held AS (SELECT DISTINCT pid, virtualtransaction FROM pg_locks WHERE granted AND locktype = "
    "'relation' AND relation IN (SELECT oid FROM tree) AND database = (SELECT oid FROM pg_database "
    "WHERE datname = current_database())) "
    "SELECT a.pid, " WHO ", NULL FROM held h JOIN pg_stat_activity a USING (pid) WHERE "
    "a.backend_type = 'client backend' AND NOT " OWN_BACKEND
    " AND a.xact_start < clock_timestamp() - %u * interval '1 ms' UNION ALL "
    "SELECT 0, '', p.owner, '', '', extract(epoch FROM clock_timestamp() - p.prepared), '', NULL, "
    "p.gid "
    "FROM held h JOIN pg_locks x ON h.pid IS NULL AND x.pid IS NULL AND x.locktype = "
    "'transactionid' AND x.virtualtransaction = h.virtualtransaction JOIN pg_prepared_xacts p ON "
    "p.transaction = x.transactionid ORDER BY 6 DESC LIMIT %d";

static void in_the_way(struct doctor *d, const PGresult *res, int r)
{
    enum doctor_weight weight = wants_locks(d->m->phase) ? DOCTOR_WAITS : DOCTOR_NOTE;
    const char *gid = res_text(res, r, W_MORE);
    char *sql, *blocker;

    if (!gid) {
        blocker = who(res, r);
        doctor_say(d, weight, "long transaction", end_backend(d, res, r),
                   "a cut-over and other strong locks wait until it ends",
                   "on a table of the migration: %s", blocker);
        free(blocker);
        return;
    }
    blocker = PQescapeLiteral(d->conn.pg, gid, strlen(gid));
    sql = mem_printf("ROLLBACK PREPARED %s", blocker);
    doctor_say(d, weight, "prepared transaction", doctor_psql(d, sql),
               "or COMMIT PREPARED: its coordinator knows which",
               "prepared transaction \"%s\" of %s holds a table of the migration for %.0f s", gid,
               res_text(res, r, W_USER), res_double(res, r, W_AGE));
    PQfreemem(blocker);
    free(sql);
}

enum rc doctor_transactions(struct doctor *d, struct err *err)
{
    unsigned age_ms = d->engine ? d->engine->options.transaction_age_max_ms : 5000;
    char *names = eng_lock_names(d->m, NULL);
    PGresult *res = conn_query(&d->conn, err, held_sql, names, age_ms, ROWS_MAX);

    free(names);
    if (!res)
        return RC_ERR;
    for (int r = 0; r < PQntuples(res); r++)
        in_the_way(d, res, r);
    PQclear(res);
    return RC_OK;
}

/* Backends of other roles that hold a table, but for segue's own: without pg_read_all_stats the
 * server tells neither what they do nor since when. */
enum rc doctor_hidden(struct doctor *d, struct err *err)
{
    char *names = eng_lock_names(d->m, NULL), *grant;
    PGresult *res = conn_query(
        &d->conn, err,
        "SELECT string_agg(DISTINCT format('pid %%s (%%s, user %%s)', a.pid, a.application_name, "
        "a.usename), '; '), quote_ident(current_user), " DOCTOR_AS_ADMIN(
            "'pg_monitor'::regrole") " FROM pg_locks h JOIN pg_stat_activity a "
                                     "USING (pid) WHERE h.granted AND h.locktype = 'relation' AND "
                                     "h.relation IN (SELECT "
                                     "to_regclass(n)::oid FROM unnest(ARRAY[%s]::text[]) AS n) AND "
                                     "h.database = (SELECT oid "
                                     "FROM "
                                     "pg_database WHERE datname = current_database()) AND a.query "
                                     "= '<insufficient privilege>' "
                                     "AND NOT " OWN_BACKEND,
        names);

    free(names);
    if (!res)
        return RC_ERR;
    if (res_text(res, 0, 0)) {
        grant = mem_printf("GRANT pg_monitor TO %s", res_text(res, 0, 1));
        doctor_say(d, wants_locks(d->m->phase) ? DOCTOR_WAITS : DOCTOR_NOTE, "hidden blockers",
                   doctor_psql_as(d, res_text(res, 0, 2), grant),
                   "a superuser, or who has ADMIN OPTION of it, says this; pg_read_all_stats is "
                   "enough",
                   "segue's role lacks pg_monitor: what these do on a table of the migration, and "
                   "since when, is not shown: %s",
                   res_text(res, 0, 0));
        free(grant);
    }
    PQclear(res);
    return RC_OK;
}
