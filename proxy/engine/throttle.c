#include "throttle.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "fill.h"
#include "segue/base/clock.h"
#include "throttle_read.h"

#define READ_EVERY_US 500000
#define LIMIT_MAX 1e18
#define BATCH_RATE_SHARE 0.2 /* a batch is at most this part of a second's rows */

/* clang-format off */
#define ANY 0, LIMIT_MAX
static const struct throttle_signal signals[] = {
    [THROTTLE_ROWS] = {"rows_per_s", "rows/s", 10000, false, ANY, 1, NULL,
        "cap on rows filled a second, over all migrations"},
    [THROTTLE_NICE] = {"nice_ratio", "ratio", 1, false, ANY, 1, NULL,
        "pause of a worker after each batch, in times the batch took"},
    [THROTTLE_WORKERS] = {"workers", "connections", 1, true, 1, FILL_WORKERS_MAX, 1, NULL,
        "batches at once, over all migrations, each on a connection of its own"},
    [THROTTLE_LAG_S] = {"replica_lag_s", "s", 10, true, ANY, 0.5, throttle_read_lag_s,
        "replay lag of the slowest standby; one that vanished holds"},
    [THROTTLE_LAG_BYTES] = {"replica_lag_bytes", "bytes", 256.0 * 1024 * 1024, true, ANY, 0.5,
        throttle_read_lag_bytes, "WAL the slowest standby has not replayed"},
    [THROTTLE_P99] = {"client_p99", "ratio", 3, true, ANY, 0.67, throttle_read_p99,
        "p99 latency of clients against the time before the backfill"},
    [THROTTLE_BACKPRESSURE] = {"backpressure", "percent", 10, true, ANY, 0.5,
        throttle_read_backpressure,
        "share of time in which the server holds writers back (Neon)"},
    [THROTTLE_PAUSE] = {"pause", "count", 0, true, ANY, 1, throttle_read_pause,
        "migrations paused by hand"},
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
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        t->signals[i].limit = signals[i].limit_default;
        t->signals[i].enabled = signals[i].enabled_default;
    }
}

enum throttle_verdict throttle_judge(const struct throttle_signal *signal, double limit,
                                     const struct throttle_reading *reading, char *reason,
                                     size_t size)
{
    enum throttle_verdict verdict = THROTTLE_GO;

    reason[0] = '\0';
    if (!reading->known) {
        snprintf(reason, size, "%s: unknown (%s)", signal->name, reading->detail);
        return THROTTLE_HOLD;
    }
    if (!reading->judged || reading->measured < reading->floor)
        return THROTTLE_GO;
    if (reading->value > limit)
        verdict = THROTTLE_HOLD;
    else if (signal->slow_at < 1 && reading->value > limit * signal->slow_at)
        verdict = THROTTLE_SLOW;
    if (verdict != THROTTLE_GO)
        snprintf(reason, size, "%s: %.6g %s, limit %.6g%s%s", signal->name, reading->value,
                 signal->unit, limit, reading->detail[0] ? ", " : "", reading->detail);
    return verdict;
}

static void hint_limit(size_t i, struct err *err)
{
    if (i == THROTTLE_WORKERS)
        err_hint(err, "a number of %s from %.0f to %.0f, or default", signals[i].unit,
                 signals[i].limit_min, signals[i].limit_max);
    else
        err_hint(err, "a number of %s, or off, on, default", signals[i].unit);
}

enum rc throttle_set(struct throttle *t, size_t i, const char *value, struct err *err)
{
    struct throttle_state *state = &t->signals[i];
    char *end;
    double limit;

    if (i == THROTTLE_PAUSE) {
        err_set(err, "22023", "signal \"pause\" has no limit");
        err_hint(err, "use PAUSE and RESUME");
        return RC_ERR;
    }
    if (i != THROTTLE_WORKERS && (strcmp(value, "off") == 0 || strcmp(value, "on") == 0)) {
        state->enabled = value[1] == 'n';
    } else if (strcmp(value, "default") == 0) {
        state->limit = signals[i].limit_default;
        state->enabled = signals[i].enabled_default;
    } else {
        limit = strtod(value, &end);
        if (end == value || *end || !(limit >= signals[i].limit_min) ||
            limit > signals[i].limit_max) {
            err_set(err, "22023", "\"%s\" is no limit for signal \"%s\"", value, signals[i].name);
            hint_limit(i, err);
            return RC_ERR;
        }
        state->limit = i == THROTTLE_WORKERS ? floor(limit) : limit;
        state->enabled = true;
    }
    t->read_us = t->pace_us = 0; /* look again at once */
    return RC_OK;
}

static void evaluate(struct eng_engine *engine)
{
    struct throttle *t = &engine->throttle;

    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        struct throttle_state *state = &t->signals[i];

        state->verdict = THROTTLE_GO;
        state->reason[0] = '\0';
        memset(&state->reading, 0, sizeof(state->reading));
        if (!state->enabled)
            continue;
        if (signals[i].read) {
            signals[i].read(engine, &state->reading);
            state->verdict = throttle_judge(&signals[i], state->limit, &state->reading,
                                            state->reason, sizeof(state->reason));
        } else if (i != THROTTLE_WORKERS) {
            snprintf(state->reason, sizeof(state->reason), "%s: %.6g", signals[i].name,
                     state->limit);
            state->verdict = THROTTLE_SLOW;
        }
    }
}

enum throttle_verdict throttle_check(struct eng_engine *engine, struct eng_migration *m)
{
    struct throttle *t = &engine->throttle;
    enum throttle_verdict worst = THROTTLE_GO;

    if (clock_us() - t->read_us >= READ_EVERY_US) {
        evaluate(engine);
        t->read_us = clock_us();
        throttle_show(engine);
    }
    buf_reset(&m->throttled);
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        const struct throttle_state *state = &t->signals[i];

        if (i == THROTTLE_PAUSE || state->verdict == THROTTLE_GO)
            continue;
        buf_printf(&m->throttled, "%s%s", m->throttled.len ? "; " : "", state->reason);
        /* pacing signals pause in their own measure */
        if (signals[i].read && state->verdict > worst)
            worst = state->verdict;
    }
    if (m->paused) {
        buf_printf(&m->throttled, "%spaused by hand", m->throttled.len ? "; " : "");
        worst = THROTTLE_HOLD;
    }
    return worst;
}

int64_t throttle_pause_ms(const struct throttle *t, enum throttle_verdict verdict, double ms)
{
    const struct throttle_state *nice = &t->signals[THROTTLE_NICE];
    double pause = nice->enabled ? nice->limit * ms : 0;

    if (verdict == THROTTLE_SLOW && ms > pause)
        pause = ms; /* half the speed */
    return (int64_t)pause;
}

void throttle_filled(struct throttle *t, int64_t began_us, double rows)
{
    const struct throttle_state *rate = &t->signals[THROTTLE_ROWS];

    if (rate->enabled && rate->limit > 0)
        t->pace_us = budget_pace_us(t->pace_us, began_us, rows, rate->limit);
    else if (rate->enabled)
        t->pace_us = clock_us() + 1000000;
}

int64_t throttle_paced_us(const struct throttle *t)
{
    return t->signals[THROTTLE_ROWS].enabled ? t->pace_us : 0;
}

unsigned throttle_workers(const struct throttle *t)
{
    return (unsigned)t->signals[THROTTLE_WORKERS].limit;
}

double throttle_rows_max(const struct throttle *t)
{
    const struct throttle_state *rate = &t->signals[THROTTLE_ROWS];
    double max = rate->limit * BATCH_RATE_SHARE / throttle_workers(t);

    if (!rate->enabled)
        return 0;
    return max < 1 ? 1 : max;
}

void throttle_show(struct eng_engine *engine)
{
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        const struct throttle_state *state = &engine->throttle.signals[i];
        bool read =
            state->enabled && signals[i].read && state->reading.known && state->reading.judged;
        json_t *row =
            json_pack("[s,s,f,f,b,o,s,s,s]", signals[i].name, signals[i].unit, state->limit,
                      signals[i].limit_default, state->enabled,
                      read ? json_real(state->reading.value) : json_null(),
                      throttle_verdict_name(state->verdict), state->reason, signals[i].help);

        board_put(engine->board, BOARD_THROTTLE, row, true);
    }
}
