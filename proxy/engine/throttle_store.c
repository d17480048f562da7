/* segue.throttle: what was set live. It stays over restarts and takeovers; `default` ends that. */
#include <math.h>
#include <stdio.h>

#include "runner.h"
#include "segue/base/fault.h"
#include "throttle_read.h"

static double within(const struct throttle_signal *signal, double limit)
{
    return fmin(fmax(limit, signal->limit_min), signal->limit_max);
}

enum rc throttle_load(struct eng_engine *engine, struct err *err)
{
    struct throttle *t = &engine->throttle;
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT signal, \"limit\", enabled, setting FROM segue.throttle");

    if (!res)
        return RC_ERR;
    for (size_t i = 0; i < THROTTLE_COUNT; i++)
        t->signals[i].live = false;
    throttle_configure(t, engine->options.throttle);
    for (int r = 0; r < PQntuples(res); r++) {
        int i = throttle_find(res_text(res, r, 0));

        if (i < 0)
            continue;
        throttle_choose(&t->signals[i].now,
                        within(throttle_signal((size_t)i), res_double(res, r, 1)),
                        res_bool(res, r, 2), res_text(res, r, 3));
        t->signals[i].live = true;
        if (throttle_signal((size_t)i)->setting_needed && !t->signals[i].now.setting)
            t->signals[i].now.enabled = false;
    }
    PQclear(res);
    t->read_us = 0;
    t->connected_anew = true;
    t->wal_at_us = t->held_back_at_us = 0; /* another server may count otherwise */
    t->held_back_known = false;
    return throttle_lag_load(engine, err);
}

/* Who sets the limit of a lag means the standbys that are there now. */
static enum rc forget_vanished(struct eng_engine *engine, size_t signal, struct err *err)
{
    if (signal != THROTTLE_LAG_S && signal != THROTTLE_LAG_BYTES)
        return RC_OK;
    return throttle_lag_forget(engine, err);
}

enum rc throttle_save(struct eng_engine *engine, size_t signal, struct err *err)
{
    const struct throttle_state *state = &engine->throttle.signals[signal];
    char limit[40];
    const char *values[] = {throttle_signal(signal)->name, limit, state->now.enabled ? "t" : "f",
                            state->now.setting};
    PGresult *res;

    snprintf(limit, sizeof(limit), "%.17g", state->now.limit);
    FAULT(throttle_before);
    if (state->live)
        res = conn_params(&engine->work, err,
                          "INSERT INTO segue.throttle (signal, \"limit\", enabled, setting) VALUES "
                          "($1, $2::float8, $3::bool, $4) ON CONFLICT (signal) DO UPDATE SET "
                          "\"limit\" = excluded.\"limit\", enabled = excluded.enabled, setting = "
                          "excluded.setting, set_at = clock_timestamp()",
                          (int)ARRAY_LEN(values), values);
    else
        res = conn_params(&engine->work, err, "DELETE FROM segue.throttle WHERE signal = $1", 1,
                          values);
    if (!res)
        return RC_ERR;
    PQclear(res);
    FAULT(throttle_after);
    return forget_vanished(engine, signal, err);
}
