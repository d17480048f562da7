#include "schedule.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flag_file.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "store.h"

#define LOOK_MS 500 /* at the flag file, and for a verb */
#define READ_AGAIN_US 2000000

/* ---- the time ---- */

/* The shape of a time: 9 any digit, everything else itself. Moves *at behind it. */
static bool take(const char **at, const char *shape)
{
    const char *p = *at;

    for (; *shape; shape++, p++) {
        if (*shape == '9' ? !isdigit((unsigned char)*p) : *p != *shape)
            return false;
    }
    *at = p;
    return true;
}

static bool is_time(const char *p)
{
    if (!take(&p, "9999-99-99") || (*p != 'T' && *p != ' '))
        return false;
    p++;
    if (!take(&p, "99:99"))
        return false;
    if (take(&p, ":99") && take(&p, ".9"))
        p += strspn(p, "0123456789");
    if (*p == 'Z')
        return !p[1];
    if (*p != '+' && *p != '-')
        return false;
    p++;
    if (!take(&p, "99"))
        return false;
    return !*p || ((take(&p, ":99") || take(&p, "99")) && !*p);
}

enum rc schedule_check_time(const char *text, struct err *err)
{
    if (strlen(text) < 48 && is_time(text))
        return RC_OK;
    err_set(err, "22007", "\"%.64s\" is not a time with its zone", text);
    err_hint(err, "such as 2026-01-31T23:30Z or 2026-01-31T23:30:00+02:00");
    return RC_ERR;
}

/* ---- the row ---- */

static void take_row(struct eng_migration *m, const PGresult *res)
{
    m->due.set = PQntuples(res) == 1;
    if (!m->due.set)
        return;
    snprintf(m->due.at, sizeof(m->due.at), "%s", res_text(res, 0, 0));
    m->due.read_us = clock_us();
    m->due.at_us = m->due.read_us - res_int(res, 0, 1) * 1000;
    m->due.wait_replicas = res_bool(res, 0, 2);
    m->due.postponed = res_bool(res, 0, 3);
}

#define ROW                                                                                        \
    "to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "                       \
    "(extract(epoch FROM clock_timestamp() - due_at) * 1000)::bigint, wait_replicas, postponed"

enum rc schedule_load(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    PGresult *res = conn_query(
        &engine->work, err, "SELECT " ROW " FROM segue.schedule WHERE migration = %" PRId64, m->id);

    if (!res)
        return RC_ERR;
    take_row(m, res);
    PQclear(res);
    return RC_OK;
}

/* "5 s", "12 min", "30 h", "2518 days": of a time that was missed. */
static void say_span(double seconds, char *out, size_t size)
{
    static const struct {
        double below, unit;
        const char *name;
    } spans[] = {{120, 1, "s"}, {7200, 60, "min"}, {172800, 3600, "h"}};

    for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
        if (seconds < spans[i].below) {
            snprintf(out, size, "%.0f %s", seconds / spans[i].unit, spans[i].name);
            return;
        }
    }
    snprintf(out, size, "%.0f days", seconds / 86400);
}

/* A wish of before is not to be lost for a time that was refused. */
static enum rc check_ahead(struct eng_engine *engine, const char *at, struct err *err)
{
    PGresult *res;
    char ago[32];

    if (schedule_check_time(at, err) != RC_OK)
        return RC_ERR;
    res = conn_params(&engine->work, err,
                      "SELECT extract(epoch FROM clock_timestamp() - $1::timestamptz)", 1, &at);
    if (!res)
        return RC_ERR;
    if (res_double(res, 0, 0) > 0) {
        say_span(res_double(res, 0, 0), ago, sizeof(ago));
        err_set(err, "22023", "%s was %s ago", at, ago);
        err_hint(err, "without AT (--at) it cuts over now");
    }
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

enum rc schedule_set(struct eng_engine *engine, struct eng_migration *m, const char *at,
                     bool wait_replicas, struct err *err)
{
    char id[32];
    const char *values[] = {id, at, wait_replicas ? "t" : "f", at ? "f" : "t"};
    PGresult *res;

    snprintf(id, sizeof(id), "%" PRId64, m->id);
    if (at && check_ahead(engine, at, err) != RC_OK)
        return RC_ERR;
    FAULT(schedule_before);
    res = conn_params(&engine->work, err,
                      "INSERT INTO segue.schedule AS s (migration, due_at, wait_replicas, "
                      "postponed) VALUES ($1::bigint, coalesce($2::timestamptz, "
                      "clock_timestamp()), $3::bool, $4::bool) ON CONFLICT (migration) DO UPDATE "
                      "SET due_at = excluded.due_at, wait_replicas = excluded.wait_replicas, "
                      "postponed = excluded.postponed, set_at = clock_timestamp() RETURNING " ROW,
                      (int)ARRAY_LEN(values), values);
    if (!res)
        return RC_ERR;
    FAULT(schedule_set);
    take_row(m, res);
    PQclear(res);
    m->not_before_us = 0;
    log_info("the cut-over is to begin at %s%s", m->due.at,
             wait_replicas ? ", when the replicas have caught up" : "");
    return RC_OK;
}

char *schedule_clear_sql(const struct eng_migration *m)
{
    return mem_printf("DELETE FROM segue.schedule WHERE migration = %" PRId64, m->id);
}

void schedule_cleared(struct eng_migration *m)
{
    m->due = (struct eng_due){0};
}

enum rc schedule_clear(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    char *sql = m->due.set ? schedule_clear_sql(m) : NULL;
    enum rc rc = RC_OK;

    if (sql) {
        FAULT(schedule_clear);
        rc = conn_exec(&engine->work, err, "%s", sql);
    }
    free(sql);
    if (rc == RC_OK)
        schedule_cleared(m);
    return rc;
}

/* ---- the flag file ---- */

/* Only a file that is known not to be there does not postpone. */
bool schedule_postponed(const struct eng_engine *engine, struct buf *why)
{
    const char *path = engine->options.postpone_file;
    struct err err = {0};
    bool there;

    if (!*path)
        return false;
    if (flag_file_look(path, &there, &err) != RC_OK)
        buf_printf(why, "postponed: %s", err.text);
    else if (there)
        buf_printf(why, "postponed: the file %s is there", path);
    return there || err_is_set(&err);
}

/* ---- is it time? ---- */

static enum rc too_late(struct eng_engine *engine, struct eng_migration *m, int64_t late_us,
                        struct err *err)
{
    struct err why = {0};
    char ago[32];

    say_span((double)late_us / 1e6, ago, sizeof(ago));
    err_set(&why, "55000", "the cut-over was to begin at %s, which is %s ago", m->due.at, ago);
    err_hint(&why,
             "it could not begin then, and does not by itself more than %u s later "
             "(cutover_late_max_s): ask for it again",
             engine->options.late_max_s);
    if (schedule_clear(engine, m, err) != RC_OK)
        return RC_ERR;
    m->failure = why;
    log_err(LOG_WARNING, "too late", &why);
    eng_status_put(engine, m);
    return store_flags(engine, m, err) == RC_OK ? RC_AGAIN : RC_ERR;
}

/* The file decides from now on: however late it goes. */
static enum rc mark_postponed(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    if (m->due.postponed || !m->due.set)
        return RC_OK;
    m->due.postponed = true;
    FAULT(schedule_postpone);
    return conn_exec(&engine->work, err,
                     "UPDATE segue.schedule SET postponed = true WHERE migration = %" PRId64,
                     m->id);
}

static enum rc sleep_until(struct eng_migration *m, int64_t until_us)
{
    int64_t left_ms = (until_us - clock_us()) / 1000 + 1;

    eng_sleep(m, left_ms < LOOK_MS ? left_ms : LOOK_MS);
    return RC_AGAIN;
}

enum rc schedule_turn(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct buf why = {0};
    int64_t late_us;

    if (!m->due.set && !m->migrate)
        return sleep_until(m, clock_us() + LOOK_MS * 1000);
    if (m->due.set && clock_us() < m->due.at_us && clock_us() - m->due.read_us < READ_AGAIN_US)
        return sleep_until(m, m->due.at_us);
    if (m->due.set && schedule_load(engine, m, err) != RC_OK) /* the database's clock decides */
        return RC_ERR;
    late_us = m->due.set ? clock_us() - m->due.at_us : 0;
    if (late_us < 0)
        return sleep_until(m, m->due.at_us);
    if (!m->due.postponed && late_us > (int64_t)engine->options.late_max_s * 1000000)
        return too_late(engine, m, late_us, err);
    if (!schedule_postponed(engine, &why))
        return RC_OK;
    buf_reset(&m->blockers);
    buf_append_str(&m->blockers, why.data);
    buf_fini(&why);
    eng_status_put(engine, m);
    sleep_until(m, clock_us() + LOOK_MS * 1000);
    return mark_postponed(engine, m, err) == RC_OK ? RC_AGAIN : RC_ERR;
}
