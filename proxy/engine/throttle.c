#include "throttle.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "fill.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "standby.h"
#include "throttle_read.h"
#include "window.h"

#define READ_EVERY_US 500000
#define READ_SHARE 20 /* of the time at most one part in so many goes into reading */
#define READ_SELDOM_US (THROTTLE_STALE_MS * 1000LL / 2) /* so that none is stale: see moment() */
#define BATCH_RATE_SHARE 0.2 /* a batch is at most this part of a second's rows */
#define ANY 0, 1e18
#define NO_LIMIT 0, 0
#define MIB (1024.0 * 1024)
#define PAUSE_MS_MAX 1e12 /* who waits for years waits for another limit */

static enum rc check_path(const char *text, struct err *err)
{
    if (text[0] == '/')
        return RC_OK;
    err_set(err, "22023", "\"%.60s\" is no absolute path", text);
    return RC_ERR;
}

static enum rc check_cores(const char *text, struct err *err)
{
    if (throttle_cores(text) > 0)
        return RC_OK;
    err_set(err, "22023", "\"%.60s\" is no number of cores", text);
    err_hint(err, "like cores=8");
    return RC_ERR;
}

static enum rc check_window(const char *text, struct err *err)
{
    struct window window;

    return window_parse(text, &window, err);
}

/* clang-format off */
static const struct throttle_signal signals[] = {
    [THROTTLE_ROWS] = {"rows_per_s", "rows/s", 10000, false, ANY, 1, 0, NULL,
        .help = "cap on rows filled a second, over all migrations"},
    [THROTTLE_NICE] = {"nice_ratio", "ratio", 1, false, ANY, 1, 0, NULL,
        .help = "pause of a worker after each batch, in times the batch took"},
    [THROTTLE_WORKERS] = {"workers", "connections", 1, true, 1, FILL_WORKERS_MAX, 1, 0, NULL,
        .help = "batches at once, over all migrations, each on a connection of its own"},
    [THROTTLE_LAG_S] = {"replica_lag_s", "s", 10, true, ANY, 0.5, PART_STANDBYS,
        throttle_read_lag_s,
        .help = "replay lag of the slowest standby in pg_stat_replication; one that vanished holds"},
    [THROTTLE_LAG_BYTES] = {"replica_lag_bytes", "bytes", 256 * MIB, true, ANY, 0.5, PART_STANDBYS,
        throttle_read_lag_bytes, .help = "WAL that the slowest of them has not replayed"},
    [THROTTLE_DIRECT_S] = {"direct_lag_s", "s", 10, false, ANY, 0.5, PART_WAL,
        throttle_read_direct_s, "connection strings of replicas, with commas", true,
        standbys_check,
        .help = "the same of replicas that segue asks itself; one that does not answer holds"},
    [THROTTLE_DIRECT_BYTES] = {"direct_lag_bytes", "bytes", 256 * MIB, true, ANY, 0.5, PART_WAL,
        throttle_read_direct_bytes,
        .help = "WAL that the slowest replica of direct_lag_s has not replayed"},
    [THROTTLE_SLOTS] = {"slot_bytes", "bytes", 4096 * MIB, true, ANY, 0.5, PART_SLOTS,
        throttle_read_slots,
        .help = "WAL that the server keeps for a logical slot, or that of a standby that is away"},
    [THROTTLE_P99] = {"client_p99", "ratio", 3, true, ANY, 1, 0, throttle_read_p99,
        .help = "p99 latency of clients against the time before the backfill: it pauses as long as "
                "that takes, and holds at 2.4 times the limit", .hold_at = 2.4},
    [THROTTLE_ACTIVE] = {"active_per_core", "per core", 2, false, ANY, 0.5, PART_ACTIVE,
        throttle_read_active, "cores=N of the server", false, check_cores,
        .help = "backends that run a statement, a core; without cores=N known for a local server only"},
    [THROTTLE_BLOCKED] = {"blocked_sessions", "count", 2, true, ANY, 0.5, PART_BLOCKED,
        throttle_read_blocked, .help = "sessions that wait for a lock of the backfill"},
    [THROTTLE_WAL] = {"wal_per_s", "bytes/s", 64 * MIB, false, ANY, 0.5, PART_WAL,
        throttle_read_wal, .help = "WAL that the whole server writes a second"},
    [THROTTLE_AUTOVACUUM] = {"autovacuum", "count", 1, true, ANY, 0.5, PART_VACUUMS,
        throttle_read_autovacuum, .help = "autovacuum workers on the tables that are filled"},
    [THROTTLE_BACKPRESSURE] = {"backpressure", "percent", 10, true, ANY, 0.5, PART_PRESSURE,
        throttle_read_backpressure,
        .help = "share of time in which the server holds writers back (Neon)"},
    [THROTTLE_QUERY] = {"query", "value", 0, false, -1e18, 1e18, 1, 0, throttle_read_query,
        "a SQL query that gives one number", true, NULL,
        .help = "its number is over the limit; read only, 1 s at most"},
    [THROTTLE_FILE] = {"flag_file", "", 0, false, NO_LIMIT, 1, 0, throttle_read_file,
        "an absolute path", true, check_path,
        .help = "this file is there, where segue runs (or cannot be looked at)"},
    [THROTTLE_WINDOW] = {"window", "", 0, false, NO_LIMIT, 1, 0, throttle_read_window,
        "times with a zone: Mon-Fri 20:00-06:00, Sat 00:00-24:00 Europe/Berlin", true,
        check_window, .help = "it is outside of these times"},
    [THROTTLE_PAUSE] = {"pause", "count", 0, true, NO_LIMIT, 1, 0, throttle_read_pause,
        .help = "migrations paused by hand"},
};
/* clang-format on */
static_assert(ARRAY_LEN(signals) == THROTTLE_COUNT, "a signal without a row");

const struct throttle_signal *throttle_signal(size_t i)
{
    return &signals[i];
}

int throttle_find(const char *name)
{
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        if (strcmp(signals[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

const char *throttle_verdict_name(enum throttle_verdict verdict)
{
    static const char *const names[] = {
        [THROTTLE_GO] = "go", [THROTTLE_SLOW] = "slow", [THROTTLE_HOLD] = "hold"};

    return names[verdict];
}

void throttle_init(struct throttle *t)
{
    memset(t, 0, sizeof(*t));
    t->every_us = READ_EVERY_US;
    throttle_configure(t, "");
}

void throttle_fini(struct throttle *t)
{
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        free(t->signals[i].now.setting);
        free(t->signals[i].configured.setting);
    }
    PQclear(t->sample);
    standbys_free(t->direct);
    free(t->direct_of);
    throttle_lag_fini(t);
    memset(t, 0, sizeof(*t));
}

enum throttle_verdict throttle_judge(const struct throttle_signal *signal, double limit,
                                     const struct throttle_reading *reading, char *reason,
                                     size_t size)
{
    enum throttle_verdict verdict = THROTTLE_GO;
    const char *detail = reading->detail;

    reason[0] = '\0';
    if (!reading->known) {
        snprintf(reason, size, "%s: unknown (%s)", signal->name, detail);
        return THROTTLE_HOLD;
    }
    if (reading->age_ms > THROTTLE_STALE_MS) {
        snprintf(reason, size, "%s: stale, read %.1f s ago%s%s", signal->name,
                 (double)reading->age_ms / 1000, detail[0] ? ", " : "", detail);
        return THROTTLE_HOLD;
    }
    if (reading->judged && reading->measured >= reading->floor &&
        reading->value > limit * (signal->hold_at > 0 ? signal->hold_at : 1))
        verdict = THROTTLE_HOLD;
    else if (reading->judged && signal->slow_at < 1 && reading->value > limit * signal->slow_at)
        verdict = THROTTLE_SLOW;
    else if (reading->pause > 0)
        verdict = THROTTLE_SLOW;
    if (verdict != THROTTLE_GO && signal->limit_max == 0)
        snprintf(reason, size, "%s: %s", signal->name, detail);
    else if (verdict != THROTTLE_GO)
        snprintf(reason, size, "%s: %.6g %s, limit %.6g%s%s", signal->name, reading->value,
                 signal->unit, limit, detail[0] ? ", " : "", detail);
    return verdict;
}

/* ---- reading them ---- */

static void evaluate_one(struct eng_engine *engine, size_t i)
{
    struct throttle_state *state = &engine->throttle.signals[i];
    bool reads = state->now.enabled && signals[i].read;

    memset(&state->reading, 0, sizeof(state->reading));
    if (reads)
        signals[i].read(engine, &state->reading); /* may look at the verdict until now */
    state->verdict = THROTTLE_GO;
    state->reason[0] = '\0';
    if (!state->now.enabled)
        return;
    if (reads) {
        state->verdict = throttle_judge(&signals[i], state->now.limit, &state->reading,
                                        state->reason, sizeof(state->reason));
    } else if (i != THROTTLE_WORKERS) {
        snprintf(state->reason, sizeof(state->reason), "%s: %.6g", signals[i].name,
                 state->now.limit);
        state->verdict = THROTTLE_SLOW;
    }
}

void throttle_read_now(struct eng_engine *engine)
{
    struct throttle *t = &engine->throttle;
    int64_t began_us = clock_us();
    unsigned parts = 0;

    for (size_t i = 0; i < THROTTLE_COUNT; i++)
        parts |= t->signals[i].now.enabled ? signals[i].parts : 0;
    throttle_sample(engine, parts);
    for (size_t i = 0; i < THROTTLE_COUNT; i++)
        evaluate_one(engine, i);
    t->read_us = clock_us();
    t->every_us = (t->read_us - began_us) * READ_SHARE;
    if (t->every_us < READ_EVERY_US)
        t->every_us = READ_EVERY_US;
    if (t->every_us > READ_SELDOM_US)
        t->every_us = READ_SELDOM_US;
    throttle_show(engine);
}

int64_t throttle_due_us(const struct throttle *t)
{
    return t->read_us ? t->read_us + t->every_us : 0;
}

/* Does it slow in its own measure? */
static bool paces(size_t i, const struct throttle_state *state)
{
    return !signals[i].read || (state->verdict == THROTTLE_SLOW && state->reading.pause > 0);
}

static enum throttle_verdict worst_of(const struct throttle *t, struct buf *reasons)
{
    enum throttle_verdict worst = THROTTLE_GO;

    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        const struct throttle_state *state = &t->signals[i];

        if (i == THROTTLE_PAUSE || state->verdict == THROTTLE_GO)
            continue;
        buf_printf(reasons, "%s%s", reasons->len ? "; " : "", state->reason);
        if (!paces(i, state) && state->verdict > worst)
            worst = state->verdict;
    }
    return worst;
}

/* Best read while a batch runs; when none does (one worker, between two) that is soon. */
static bool moment(const struct eng_engine *engine)
{
    const struct throttle *t = &engine->throttle;
    bool held = false;

    for (size_t i = 0; i < THROTTLE_COUNT; i++)
        held |= t->signals[i].verdict == THROTTLE_HOLD;
    return held || !t->read_us || fill_pool_busy(engine->pool, NULL) > 0 ||
           clock_us() - t->read_us >= 2 * t->every_us;
}

enum throttle_verdict throttle_check(struct eng_engine *engine, struct eng_migration *m)
{
    enum throttle_verdict worst;

    if (throttle_due_us(&engine->throttle) <= clock_us() && moment(engine))
        throttle_read_now(engine);
    buf_reset(&m->throttled);
    worst = worst_of(&engine->throttle, &m->throttled);
    if (m->paused) {
        buf_printf(&m->throttled, "%spaused by hand", m->throttled.len ? "; " : "");
        worst = THROTTLE_HOLD;
    }
    return worst;
}

void throttle_rest(struct eng_engine *engine)
{
    struct throttle *t = &engine->throttle;

    if (!t->read_us)
        return;
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        memset(&t->signals[i].reading, 0, sizeof(t->signals[i].reading));
        t->signals[i].verdict = THROTTLE_GO;
        t->signals[i].reason[0] = '\0';
    }
    standbys_free(t->direct);
    free(t->direct_of);
    t->direct = NULL;
    t->direct_of = NULL;
    t->history.n = 0;
    t->beat_lsn = 0;
    t->read_us = t->pace_us = 0;
    throttle_show(engine);
}

/* ---- pacing ---- */

bool throttle_eases(const struct throttle *t)
{
    return t->signals[THROTTLE_P99].now.enabled && t->ease.pause > 0;
}

int64_t throttle_pause_ms(const struct throttle *t, enum throttle_verdict verdict, double ms)
{
    const struct throttle_choice *nice = &t->signals[THROTTLE_NICE].now;
    double pause = nice->enabled ? nice->limit * ms : 0;

    if (throttle_eases(t) && t->ease.pause * ms > pause)
        pause = t->ease.pause * ms;
    if (verdict == THROTTLE_SLOW && ms > pause)
        pause = ms; /* half the speed */
    return (int64_t)(pause < PAUSE_MS_MAX ? pause : PAUSE_MS_MAX);
}

void throttle_filled(struct throttle *t, int64_t began_us, double rows)
{
    const struct throttle_choice *rate = &t->signals[THROTTLE_ROWS].now;

    if (rate->enabled && rate->limit > 0)
        t->pace_us = budget_pace_us(t->pace_us, began_us, rows, rate->limit);
    else if (rate->enabled)
        t->pace_us = clock_us() + 1000000;
}

int64_t throttle_paced_us(const struct throttle *t)
{
    return t->signals[THROTTLE_ROWS].now.enabled ? t->pace_us : 0;
}

unsigned throttle_workers(const struct throttle *t)
{
    return (unsigned)t->signals[THROTTLE_WORKERS].now.limit;
}

double throttle_rows_max(const struct throttle *t)
{
    const struct throttle_choice *rate = &t->signals[THROTTLE_ROWS].now;
    double max = rate->limit * BATCH_RATE_SHARE / throttle_workers(t);

    if (!rate->enabled)
        return 0;
    return max < 1 ? 1 : max;
}
