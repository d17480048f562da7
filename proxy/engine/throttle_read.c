#include "throttle_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "flag_file.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/mem.h"
#include "standby.h"
#include "window.h"

#define QUERY_MS_MAX 1000

/* ---- standbys asked directly (those of pg_stat_replication: throttle_lag.c) ---- */

/* The connections follow the setting; both signals ask the same replicas. */
static bool direct_ready(struct throttle *t, double *lsn, struct throttle_reading *out)
{
    const struct throttle_choice *choice = &t->signals[THROTTLE_DIRECT_S].now;
    const char *wal;

    if (!choice->setting || (t->direct_of && strcmp(t->direct_of, choice->setting) != 0)) {
        standbys_free(t->direct);
        free(t->direct_of);
        t->direct = NULL;
        t->direct_of = NULL;
    }
    if (!choice->setting) {
        out->known = true; /* none is named */
        return false;
    }
    if (!t->direct) {
        t->direct = standbys_new(choice->setting);
        t->direct_of = mem_strdup(choice->setting);
    }
    wal = throttle_sampled(t, "wal", out);
    if (!wal)
        return false;
    *lsn = strtod(wal, NULL);
    throttle_lag_note(t, *lsn);
    standbys_look(t->direct);
    return true;
}

static void read_direct(struct throttle *t, bool seconds, struct throttle_reading *out)
{
    double lsn;

    if (!direct_ready(t, &lsn, out))
        return;
    out->judged = true;
    for (size_t i = 0; i < standbys_count(t->direct); i++) {
        struct standby_state s = standbys_state(t->direct, i);
        double behind = seconds ? lag_s(&t->history, clock_us(), s.replayed) : lsn - s.replayed;

        if (!s.known || s.age_ms > THROTTLE_STALE_MS) {
            out->known = s.known;
            out->age_ms = s.age_ms;
            snprintf(out->detail, sizeof(out->detail), "replica %.60s%s%.80s", s.name,
                     s.known ? "" : ": ", s.known ? "" : s.why);
            return;
        }
        if (behind >= out->value) {
            out->value = behind;
            snprintf(out->detail, sizeof(out->detail), "replica %.100s", s.name);
        }
        out->age_ms = s.age_ms > out->age_ms ? s.age_ms : out->age_ms;
    }
}

void throttle_read_direct_s(struct eng_engine *engine, struct throttle_reading *out)
{
    read_direct(&engine->throttle, true, out);
}

void throttle_read_direct_bytes(struct eng_engine *engine, struct throttle_reading *out)
{
    read_direct(&engine->throttle, false, out);
}

void throttle_read_slots(struct eng_engine *engine, struct throttle_reading *out)
{
    json_t *rows = throttle_array(&engine->throttle, "slots", out), *row;
    size_t r;

    out->judged = true;
    json_array_foreach(rows, r, row)
    {
        if (throttle_number(row, 1) >= out->value) {
            out->value = throttle_number(row, 1);
            snprintf(out->detail, sizeof(out->detail), "slot %.100s", throttle_name(row));
        }
    }
    json_decref(rows);
}

/* ---- the server's load ---- */

unsigned throttle_cores(const char *setting)
{
    unsigned cores;
    int used = 0;

    if (!setting || sscanf(setting, "cores=%5u%n", &cores, &used) != 1 || setting[used])
        return 0;
    return cores;
}

void throttle_read_active(struct eng_engine *engine, struct throttle_reading *out)
{
    struct throttle *t = &engine->throttle;
    json_t *row = throttle_array(t, "active", out);
    long cores = (long)throttle_cores(t->signals[THROTTLE_ACTIVE].now.setting);

    if (!row)
        return;
    if (!cores && json_is_true(json_array_get(row, 2)))
        cores = sysconf(_SC_NPROCESSORS_ONLN); /* the server is on this machine */
    if (throttle_number(row, 1) > 0) {
        out->known = false;
        snprintf(out->detail, sizeof(out->detail),
                 "this role may not see other backends: grant pg_monitor");
    } else if (cores <= 0) {
        out->known = false;
        snprintf(out->detail, sizeof(out->detail),
                 "how many cores has the server? THROTTLE active_per_core 'cores=8'");
    } else {
        out->judged = true;
        out->value = throttle_number(row, 0) / (double)cores;
        snprintf(out->detail, sizeof(out->detail), "%.0f active, %ld cores",
                 throttle_number(row, 0), cores);
    }
    json_decref(row);
}

static void read_count(struct eng_engine *engine, const char *column, struct throttle_reading *out)
{
    const char *text = throttle_sampled(&engine->throttle, column, out);

    if (!text)
        return;
    out->judged = true;
    out->value = strtod(text, NULL);
}

void throttle_read_blocked(struct eng_engine *engine, struct throttle_reading *out)
{
    read_count(engine, "blocked", out);
}

void throttle_read_autovacuum(struct eng_engine *engine, struct throttle_reading *out)
{
    read_count(engine, "vacuums", out);
}

void throttle_read_wal(struct eng_engine *engine, struct throttle_reading *out)
{
    struct throttle *t = &engine->throttle;
    const char *text = throttle_sampled(t, "wal", out);
    double lsn = text ? strtod(text, NULL) : 0;
    int64_t now_us = clock_us();

    if (!text)
        return;
    if (t->wal_at_us && now_us > t->wal_at_us) {
        out->judged = true;
        out->value = (lsn - t->wal_lsn) * 1e6 / (double)(now_us - t->wal_at_us);
    }
    t->wal_lsn = lsn;
    t->wal_at_us = now_us;
}

void throttle_read_backpressure(struct eng_engine *engine, struct throttle_reading *out)
{
    struct throttle *t = &engine->throttle;
    const char *text = throttle_sampled(t, "pressure", out);
    int64_t us = text ? (int64_t)strtod(text, NULL) : 0, now_us = clock_us();

    if (!text)
        return;
    if (t->held_back_at_us && now_us > t->held_back_at_us) {
        out->judged = true;
        out->value = 100.0 * (double)(us - t->held_back_us) / (double)(now_us - t->held_back_at_us);
    }
    t->held_back_us = us;
    t->held_back_at_us = now_us;
}

/* ---- what people say ---- */

/* One statement, which may change nothing and not take long. */
static PGresult *ask(struct eng_engine *engine, const char *sql, struct throttle_reading *out)
{
    char *names = conn_names_sql(&engine->work, NULL);
    struct err err = {0};
    PGresult *res = NULL;

    if (conn_exec(&engine->work, &err, "BEGIN READ ONLY; SET LOCAL statement_timeout = %d; %s",
                  QUERY_MS_MAX, names) == RC_OK)
        res = conn_params(&engine->work, &err, sql, 0, NULL);
    conn_rollback(&engine->work);
    free(names);
    if (!res)
        snprintf(out->detail, sizeof(out->detail), "%.150s", err.text);
    return res;
}

void throttle_read_query(struct eng_engine *engine, struct throttle_reading *out)
{
    PGresult *res = ask(engine, engine->throttle.signals[THROTTLE_QUERY].now.setting, out);
    const char *text =
        res && PQntuples(res) == 1 && PQnfields(res) == 1 ? res_text(res, 0, 0) : NULL;
    char *end = NULL;

    if (!res)
        return;
    out->value = text ? strtod(text, &end) : 0;
    out->known = out->judged = text && end != text && !*end && isfinite(out->value);
    if (!out->known)
        snprintf(out->detail, sizeof(out->detail), "the query gives no number: \"%.60s\"",
                 text ? text : "");
    PQclear(res);
}

void throttle_read_file(struct eng_engine *engine, struct throttle_reading *out)
{
    const char *path = engine->throttle.signals[THROTTLE_FILE].now.setting;
    struct err err = {0};
    bool there;

    out->known = out->judged = flag_file_look(path, &there, &err) == RC_OK;
    out->value = there;
    if (out->known)
        snprintf(out->detail, sizeof(out->detail), "%.120s is there", path);
    else
        snprintf(out->detail, sizeof(out->detail), "%.150s", err.text);
}

void throttle_read_window(struct eng_engine *engine, struct throttle_reading *out)
{
    const char *setting = engine->throttle.signals[THROTTLE_WINDOW].now.setting;
    struct window window;
    struct err err = {0};
    PGresult *res;
    char sql[256];

    if (window_parse(setting, &window, &err) != RC_OK) {
        snprintf(out->detail, sizeof(out->detail), "%.150s", err.text);
        return;
    }
    snprintf(sql, sizeof(sql),
             "SELECT extract(isodow FROM t)::int, (extract(hour FROM t) * 60 + extract(minute FROM "
             "t))::int, to_char(t, 'Dy HH24:MI') FROM (SELECT clock_timestamp() AT TIME ZONE '%s' "
             "AS t) AS s",
             window.zone);
    res = ask(engine, sql, out);
    if (!res)
        return;
    out->known = out->judged = true;
    out->value = !window_open(&window, (int)res_int(res, 0, 0), (int)res_int(res, 0, 1));
    snprintf(out->detail, sizeof(out->detail), "it is %s, outside of %.100s", res_text(res, 0, 2),
             setting);
    PQclear(res);
}

void throttle_read_pause(struct eng_engine *engine, struct throttle_reading *out)
{
    out->known = out->judged = true;
    for (size_t i = 0; i < engine->nmigrations; i++)
        out->value += engine->migrations[i]->paused;
    if (out->value > 0)
        snprintf(out->detail, sizeof(out->detail), "resume lets them go on");
}
