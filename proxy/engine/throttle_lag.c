/*
 * Replay lag of the standbys in pg_stat_replication, and who of them is missed.
 *
 * A standby's own time (replay_lag) is of the WAL that it has replayed last: it stands still while
 * nothing is replayed, and what it said of a long gap stays until the standby has twice reported
 * that it has everything, which without new WAL takes up to 20 s (wal_receiver_status_interval). So
 * it is believed only until segue has seen for itself when the primary was where the standby is.
 * And while a lag holds the backfill and nobody else writes, one row is written now and then: a
 * standby that hears something reports where it is at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "throttle_read.h"

#define BEAT_US 1000000
#define STANDBYS_MAX 1000 /* that are expected; far more than a server has */

enum column { S_NAME, S_LAG_S, S_BYTES, S_STATE, S_REPLAYED };

bool throttle_lag_knows(const struct throttle *t, const char *name)
{
    for (size_t i = 0; i < t->nstandbys; i++) {
        if (strcmp(t->standbys[i], name) == 0)
            return true;
    }
    return false;
}

/* Whole: one of which a part is kept would be another one, that is never there. */
void throttle_lag_expect(struct throttle *t, const char *name)
{
    mem_grow((void **)&t->standbys, &t->standbys_cap, t->nstandbys + 1, sizeof(*t->standbys));
    t->standbys[t->nstandbys++] = mem_strdup(name);
}

static void forget(struct throttle *t)
{
    while (t->nstandbys)
        free(t->standbys[--t->nstandbys]);
}

void throttle_lag_fini(struct throttle *t)
{
    forget(t);
    free(t->standbys);
}

void throttle_lag_note(struct throttle *t, double lsn)
{
    if (t->connected_anew)
        lag_anew(&t->history, lsn);
    t->connected_anew = false;
    lag_note(&t->history, clock_us(), lsn);
}

/* Who was there is missed also after a restart. */
static void expect(struct eng_engine *engine, const char *name)
{
    struct err err = {0};
    PGresult *res;

    if (engine->throttle.nstandbys == STANDBYS_MAX)
        return;
    throttle_lag_expect(&engine->throttle, name);
    res = conn_params(&engine->work, &err,
                      "INSERT INTO segue.standbys (name) VALUES ($1) ON CONFLICT DO NOTHING", 1,
                      &name);
    if (!res)
        log_err(LOG_WARNING, "remembering a standby", &err);
    PQclear(res);
}

enum rc throttle_lag_load(struct eng_engine *engine, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err, "SELECT name FROM segue.standbys ORDER BY name");

    forget(&engine->throttle);
    for (int r = 0; r < (res ? PQntuples(res) : 0); r++)
        throttle_lag_expect(&engine->throttle, res_text(res, r, 0));
    PQclear(res);
    return res ? RC_OK : RC_ERR;
}

enum rc throttle_lag_forget(struct eng_engine *engine, struct err *err)
{
    forget(&engine->throttle);
    return conn_exec(&engine->work, err, "DELETE FROM segue.standbys");
}

/* A standby that was there may be the one that falls behind: gone means unknown. */
static bool all_there(struct eng_engine *engine, const json_t *rows, struct throttle_reading *out)
{
    struct throttle *t = &engine->throttle;
    json_t *row;
    size_t r;

    json_array_foreach(rows, r, row)
    {
        if (!throttle_lag_knows(t, throttle_name(row)))
            expect(engine, throttle_name(row));
    }
    for (size_t i = 0; i < t->nstandbys; i++) {
        bool there = false;

        json_array_foreach(rows, r, row) there |= strcmp(throttle_name(row), t->standbys[i]) == 0;
        if (!there) {
            snprintf(out->detail, sizeof(out->detail),
                     "standby %.80s has vanished: THROTTLE replica_lag_s on forgets it",
                     t->standbys[i]);
            return false;
        }
    }
    return true;
}

static double seconds_of(const struct throttle *t, const json_t *row)
{
    double replayed = throttle_number(row, S_REPLAYED);

    return lag_covers(&t->history, replayed) ? lag_s(&t->history, clock_us(), replayed)
                                             : throttle_number(row, S_LAG_S);
}

/* Nobody has written since the last reading, and a lag holds or slows. */
static void beat(struct eng_engine *engine, double lsn)
{
    struct throttle *t = &engine->throttle;
    bool lags = t->signals[THROTTLE_LAG_S].verdict != THROTTLE_GO ||
                t->signals[THROTTLE_LAG_BYTES].verdict != THROTTLE_GO;
    bool still = lsn == t->beat_lsn;
    struct err err = {0};

    t->beat_lsn = lsn;
    if (!lags || !still || clock_us() - t->beat_us < BEAT_US)
        return;
    t->beat_us = clock_us();
    /* not synchronous: who waits for the standby would wait here */
    if (conn_exec(&engine->work, &err,
                  "BEGIN; SET LOCAL synchronous_commit = off; UPDATE segue.standbys SET "
                  "seen_at = clock_timestamp(); COMMIT") != RC_OK) {
        log_err(LOG_DEBUG, "asking standbys where they are", &err);
        conn_rollback(&engine->work);
    }
}

static void look_back(struct eng_engine *engine, const json_t *rows)
{
    json_t *row;
    size_t r;

    json_array_foreach(rows, r, row)
    {
        double lsn = throttle_number(row, S_REPLAYED) + throttle_number(row, S_BYTES);

        if (json_is_null(json_array_get(row, S_REPLAYED)))
            continue;
        throttle_lag_note(&engine->throttle, lsn);
        beat(engine, lsn);
        return; /* the primary is where it is, whoever is asked */
    }
}

static void read_lag(struct eng_engine *engine, enum column column, struct throttle_reading *out)
{
    const struct throttle *t = &engine->throttle;
    json_t *rows = throttle_array(t, "standbys", out), *row;
    size_t r;

    if (!out->known)
        return;
    look_back(engine, rows);
    out->known = all_there(engine, rows, out);
    out->judged = true;
    json_array_foreach(rows, r, row)
    {
        double value = column == S_LAG_S ? seconds_of(t, row) : throttle_number(row, column);

        if (json_is_null(json_array_get(row, S_STATE))) {
            out->known = false;
            snprintf(out->detail, sizeof(out->detail),
                     "this role may not see pg_stat_replication: grant pg_monitor");
        } else if (out->known && value >= out->value) {
            out->value = value;
            snprintf(out->detail, sizeof(out->detail), "standby %.100s", throttle_name(row));
        }
    }
    json_decref(rows);
}

void throttle_read_lag_s(struct eng_engine *engine, struct throttle_reading *out)
{
    read_lag(engine, S_LAG_S, out);
}

void throttle_read_lag_bytes(struct eng_engine *engine, struct throttle_reading *out)
{
    read_lag(engine, S_BYTES, out);
}
