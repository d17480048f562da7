/* What clients feel: their p99 latency, as the workers measured it, against the time before. */
#include <stdio.h>
#include <string.h>

#include "runner.h"
#include "segue/base/clock.h"
#include "throttle_read.h"

#define SAMPLES_BASELINE 100 /* requests before the backfill to have a baseline at all */
#define SAMPLES_WINDOW 50    /* requests in a window to judge by */
#define WINDOW_US 3000000
#define BEFORE_US 30000000
#define P99_FLOOR_MS 20.0 /* nobody suffers below it, whatever the ratio */

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

void throttle_baseline(struct eng_engine *engine)
{
    struct throttle *t = &engine->throttle;
    struct hist_copy now, window;

    latency_now(engine, &now);
    /* `older` is zero until the second look: then everything since the start counts */
    hist_diff(&now, &t->older, &window);
    t->baseline_us = 0;
    if (hist_total(&window) >= SAMPLES_BASELINE)
        t->baseline_us = (double)hist_quantile_us(&window, 0.99);
    t->older = t->newer = now;
    t->older_us = t->newer_us = clock_us();
    t->nstandbys = 0;
    t->before_us = 0;
    t->held_back_known = false;
    t->held_back_at_us = t->wal_at_us = 0;
}

void throttle_read_p99(struct eng_engine *engine, struct throttle_reading *out)
{
    struct throttle *t = &engine->throttle;
    struct hist_copy now, window;
    double p99_us;

    out->known = true;
    if (t->baseline_us <= 0)
        return; /* no traffic before, nothing to compare with */
    latency_now(engine, &now);
    hist_diff(&now, &t->older, &window);
    if (clock_us() - t->newer_us >= WINDOW_US) {
        t->older = t->newer;
        t->older_us = t->newer_us;
        t->newer = now;
        t->newer_us = clock_us();
    }
    if (hist_total(&window) < SAMPLES_WINDOW)
        return;
    p99_us = (double)hist_quantile_us(&window, 0.99);
    out->judged = true;
    out->value = p99_us / t->baseline_us;
    out->measured = p99_us / 1000;
    out->floor = P99_FLOOR_MS;
    snprintf(out->detail, sizeof(out->detail), "p99 %.1f ms, before %.1f ms", p99_us / 1000,
             t->baseline_us / 1000);
}
