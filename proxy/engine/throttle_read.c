#include "throttle_read.h"

#include <stdio.h>
#include <string.h>

#include "runner.h"
#include "segue/base/clock.h"

#define SAMPLES_BASELINE 100 /* requests before the backfill to have a baseline at all */
#define SAMPLES_WINDOW 50    /* requests in a window to judge by */
#define WINDOW_US 3000000
#define BEFORE_US 30000000
#define P99_FLOOR_MS 20.0 /* nobody suffers below it, whatever the ratio */

static bool knows(const struct throttle *t, const char *name)
{
    for (size_t i = 0; i < t->nstandbys; i++) {
        if (strcmp(t->standbys[i], name) == 0)
            return true;
    }
    return false;
}

/* A standby that was there may be the one that falls behind: gone means unknown. */
static bool all_there(struct throttle *t, const PGresult *res, struct throttle_reading *out)
{
    for (int r = 0; r < PQntuples(res); r++) {
        const char *name = res_text(res, r, 0) ? res_text(res, r, 0) : "?";

        if (!knows(t, name) && t->nstandbys < ARRAY_LEN(t->standbys))
            snprintf(t->standbys[t->nstandbys++], sizeof(t->standbys[0]), "%s", name);
    }
    for (size_t i = 0; i < t->nstandbys; i++) {
        bool there = false;

        for (int r = 0; r < PQntuples(res) && !there; r++)
            there = strcmp(res_text(res, r, 0) ? res_text(res, r, 0) : "?", t->standbys[i]) == 0;
        if (!there) {
            snprintf(out->detail, sizeof(out->detail), "standby %s has vanished", t->standbys[i]);
            return false;
        }
    }
    return true;
}

static void read_lag(struct eng_engine *engine, const char *column, struct throttle_reading *out)
{
    struct err err = {0};
    PGresult *res = conn_query(
        &engine->work, &err,
        "SELECT application_name || coalesce('@' || host(client_addr), ''), %s, state FROM "
        "pg_stat_replication WHERE state IS NULL OR state IN ('streaming', 'catchup')",
        column);

    if (!res) {
        snprintf(out->detail, sizeof(out->detail), "%.150s", err.text);
        return;
    }
    out->known = all_there(&engine->throttle, res, out);
    out->judged = true;
    for (int r = 0; r < PQntuples(res); r++) {
        if (!res_text(res, r, 2)) {
            out->known = false;
            snprintf(out->detail, sizeof(out->detail),
                     "this role may not see pg_stat_replication: grant pg_monitor");
        } else if (out->known && res_double(res, r, 1) >= out->value) {
            out->value = res_double(res, r, 1);
            snprintf(out->detail, sizeof(out->detail), "standby %s", res_text(res, r, 0));
        }
    }
    PQclear(res);
}

void throttle_read_lag_s(struct eng_engine *engine, struct throttle_reading *out)
{
    read_lag(engine, "coalesce(extract(epoch FROM replay_lag), 0)", out);
}

void throttle_read_lag_bytes(struct eng_engine *engine, struct throttle_reading *out)
{
    read_lag(engine, "coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)", out);
}

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
    t->held_back_at_us = 0;
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

/* Neon's extension counts the microseconds in which writers waited for its storage. Others have no
 * such function. */
static bool find_held_back(struct eng_engine *engine, struct err *err)
{
    struct throttle *t = &engine->throttle;
    PGresult *res;

    if (t->held_back_known)
        return true;
    res = conn_query(&engine->work, err,
                     "SELECT format('%%I.%%I()', n.nspname, p.proname) FROM pg_proc p JOIN "
                     "pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = "
                     "'backpressure_throttling_time' AND p.pronargs = 0 AND "
                     "has_schema_privilege(n.oid, 'USAGE') AND "
                     "has_function_privilege(p.oid, 'EXECUTE') LIMIT 1");
    if (!res)
        return false;
    snprintf(t->held_back_call, sizeof(t->held_back_call), "%s",
             PQntuples(res) ? res_text(res, 0, 0) : "");
    PQclear(res);
    t->held_back_known = true;
    return true;
}

void throttle_read_backpressure(struct eng_engine *engine, struct throttle_reading *out)
{
    struct throttle *t = &engine->throttle;
    struct err err = {0};
    PGresult *res = NULL;
    int64_t us, now_us;

    if (find_held_back(engine, &err) && t->held_back_call[0])
        res = conn_query(&engine->work, &err, "SELECT %s", t->held_back_call);
    if (!res) {
        out->known = t->held_back_known && !t->held_back_call[0];
        snprintf(out->detail, sizeof(out->detail), "%.150s", err.text);
        return;
    }
    us = (int64_t)res_double(res, 0, 0);
    PQclear(res);
    now_us = clock_us();
    out->known = true;
    if (t->held_back_at_us && now_us > t->held_back_at_us) {
        out->judged = true;
        out->value = 100.0 * (double)(us - t->held_back_us) / (double)(now_us - t->held_back_at_us);
    }
    t->held_back_us = us;
    t->held_back_at_us = now_us;
}

void throttle_read_pause(struct eng_engine *engine, struct throttle_reading *out)
{
    out->known = out->judged = true;
    for (size_t i = 0; i < engine->nmigrations; i++)
        out->value += engine->migrations[i]->paused;
    if (out->value > 0)
        snprintf(out->detail, sizeof(out->detail), "resume lets them go on");
}
