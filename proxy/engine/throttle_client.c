/* What clients feel: their p99 latency, as the workers measured it, against the time before. */
#include <stdio.h>
#include <string.h>

#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "throttle_read.h"

#define SAMPLES_BASELINE 100 /* requests before the backfill to have a baseline at all */
#define SAMPLES_WINDOW 50    /* requests in a window to judge by */
#define WINDOW_US 3000000
#define BEFORE_US 30000000
#define P99_FLOOR_MS 20.0   /* does not hold below it, whatever the ratio */
#define EASE_FLOOR_US 250.0 /* no request below it is slow: what a scheduler does to it */
#define LEARN_REQUESTS                                                                             \
    25 /* between two readings: clients that came after the backfill had begun                     \
        */
#define LEARN_MOST_US 30000000
#define EASE_AIM 0.8 /* of the way to the limit: it is to be kept, not to be met */

/* Copies are added to: zero first. */
static void latency_now(struct eng_engine *engine, struct hist_copy *out)
{
    memset(out, 0, sizeof(*out));
    sess_plane_latency(engine->plane, out);
}

void throttle_watch(struct eng_engine *engine)
{
    struct throttle *t = &engine->throttle;

    if (t->before_us && clock_us() - t->before_us < BEFORE_US)
        return;
    t->older = t->before;
    t->older_us = t->before_us;
    latency_now(engine, &t->before);
    t->before_us = clock_us();
}

static bool filling(const struct eng_engine *engine)
{
    for (size_t i = 0; i < engine->nmigrations; i++)
        if (engine->migrations[i]->fill)
            return true;
    return false;
}

/* Who is a standby is learned with each backfill; unless another one still counts on them. */
static void expect_anew(struct eng_engine *engine)
{
    struct err err = {0};

    if (filling(engine))
        return;
    if (throttle_lag_forget(engine, &err) != RC_OK)
        log_err(LOG_WARNING, "forgetting standbys", &err);
}

void throttle_baseline(struct eng_engine *engine)
{
    struct throttle *t = &engine->throttle;
    struct hist_copy now, window;

    latency_now(engine, &now);
    /* `older` is zero until the second look: then everything since the start counts */
    hist_diff(&now, &t->older, &window);
    t->baseline_us = 0;
    t->learning_us = 0;
    t->ease = (struct throttle_ease){0};
    if (hist_total(&window) >= SAMPLES_BASELINE) {
        t->baseline_us = (double)hist_quantile_us(&window, 0.99);
        throttle_ease_begin(&t->ease);
    }
    t->older = t->newer = t->eased = now;
    t->older_us = t->newer_us = clock_us();
    expect_anew(engine);
    t->before_us = 0;
    t->held_back_known = false;
    t->held_back_at_us = t->wal_at_us = 0;
}

/* The slowest a request may be that is not counted as slow. */
static double slow_over_us(const struct throttle *t)
{
    double limit = t->signals[THROTTLE_P99].now.limit;
    double us = t->baseline_us * (limit > 1 ? 1 + (limit - 1) * EASE_AIM : limit);

    return us > EASE_FLOOR_US ? us : EASE_FLOOR_US;
}

/* By hand, or by another signal: nothing is filled that could be felt. Where this one holds, what
 * is felt all the same has another cause, and who waits for its end may wait for ever. */
static bool held(const struct eng_engine *engine)
{
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        if (i != THROTTLE_PAUSE && i != THROTTLE_P99 &&
            engine->throttle.signals[i].verdict == THROTTLE_HOLD)
            return true;
    }
    for (size_t i = 0; i < engine->nmigrations; i++) {
        if (engine->migrations[i]->fill && !engine->migrations[i]->paused)
            return false;
    }
    return true;
}

/* window_us: p99 of the last seconds; what clients feel while next to nothing is filled is what
 * they feel without segue. */
static void ease(struct eng_engine *engine, const struct hist_copy *now, double window_us)
{
    struct throttle *t = &engine->throttle;
    struct hist_copy since;

    hist_diff(now, &t->eased, &since);
    t->eased = *now;
    if (held(engine))
        return;
    if (!throttle_ease_note(&t->ease, hist_total(&since),
                            hist_above(&since, (int64_t)slow_over_us(t))) ||
        window_us <= t->baseline_us)
        return;
    log_info("throttle: client_p99: %.1f ms however long the backfill pauses, %.1f ms before it: "
             "compared with the first from now on",
             window_us / 1000, t->baseline_us / 1000);
    t->baseline_us = window_us;
}

/* Nothing is known of the time before: segue has just started, or clients came later. What they
 * feel beside next to nothing is taken for it. */
static void learn(struct throttle *t, const struct hist_copy *now, struct throttle_reading *out)
{
    struct hist_copy window;
    int64_t since_us = clock_us() - t->learning_us;

    hist_diff(now, t->learning_us ? &t->older : &t->eased, &window);
    t->eased = *now;
    if (!t->read_us) {
        throttle_ease_hush(&t->ease); /* until the next reading tells whether there are any */
    } else if (!t->learning_us && hist_total(&window) >= LEARN_REQUESTS) {
        t->learning_us = clock_us();
        t->older = *now;
        throttle_ease_hush(&t->ease);
    } else if (t->learning_us && since_us >= WINDOW_US && hist_total(&window) >= SAMPLES_BASELINE) {
        t->baseline_us = (double)hist_quantile_us(&window, 0.99);
        t->learning_us = 0;
        t->older = t->newer = *now;
        t->newer_us = clock_us();
        throttle_ease_begin(&t->ease);
    } else if (!t->learning_us || since_us >= LEARN_MOST_US) { /* too few to judge by */
        t->learning_us = 0;
        t->ease.pause = 0;
    }
    out->pause = t->ease.pause;
    snprintf(out->detail, sizeof(out->detail), "finding out what clients feel beside few batches");
}

void throttle_read_p99(struct eng_engine *engine, struct throttle_reading *out)
{
    struct throttle *t = &engine->throttle;
    struct hist_copy now, window;
    double p99_us;

    out->known = true;
    if (!filling(engine)) {
        snprintf(out->detail, sizeof(out->detail), "nothing is filled that clients could feel");
        return;
    }
    latency_now(engine, &now);
    if (t->baseline_us <= 0) {
        learn(t, &now, out);
        return;
    }
    hist_diff(&now, &t->older, &window);
    if (clock_us() - t->newer_us >= WINDOW_US) {
        t->older = t->newer;
        t->older_us = t->newer_us;
        t->newer = now;
        t->newer_us = clock_us();
    }
    p99_us = (double)hist_quantile_us(&window, 0.99);
    ease(engine, &now, p99_us);
    out->pause = t->ease.pause;
    out->judged = hist_total(&window) >= SAMPLES_WINDOW;
    out->value = p99_us / t->baseline_us;
    out->measured = p99_us / 1000;
    out->floor = P99_FLOOR_MS;
    snprintf(out->detail, sizeof(out->detail), "p99 %.1f ms, before %.1f ms, pause of %.1f batches",
             p99_us / 1000, t->baseline_us / 1000, out->pause);
}
