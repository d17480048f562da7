/* What the board shows of a migration, and the regular look at sizes. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elders.h"
#include "gated.h"
#include "relations.h"
#include "runner.h"
#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/base/utf8.h"
#include "store.h"

#define SIZE_LOCK_MS 10

/* Never NULL: a title that was cut inside a character is mended. */
static json_t *shown(const char *text)
{
    json_t *value = json_string(text ? text : "");
    char *copy;

    if (value)
        return value;
    copy = mem_strdup(text);
    utf8_mend(copy);
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *text_or_null(const char *text)
{
    return text && text[0] ? shown(text) : json_null();
}

static json_t *count_or_null(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

static double rounded(double v, double step)
{
    return floor(v / step + 0.5) * step;
}

static void measure_pace(struct eng_migration *m, double share)
{
    struct eng_stats *s = &m->stats;

    if (s->remaining_of != m->phase || m->paused)
        remaining_reset(&s->remaining);
    s->remaining_of = m->phase;
    if (!m->paused)
        remaining_note(&s->remaining, clock_us(), share, s->rows_done);
    s->rows_per_s = m->fill ? remaining_rows_per_s(&s->remaining) : 0;
}

static double verified_share(const struct eng_migration *m)
{
    return elders_awaited(m) ? 1 : eng_verify_share(m);
}

/* Fill and verify each read every block once: half of the road each. */
static void measure(struct eng_migration *m)
{
    struct eng_stats *s = &m->stats;
    int64_t rows_total;
    double share = eng_fill_share(m, &rows_total);

    switch (m->phase) {
    case PH_PLANNED:
    case PH_EXPANDING:
        s->progress = 0;
        break;
    case PH_BACKFILLING:
        s->progress = m->fill ? share * 50 : s->progress;
        break;
    case PH_VERIFYING:
        s->progress = m->repairing ? 50 : 50 + 50 * verified_share(m);
        break;
    default:
        s->progress = 100;
    }
    if (m->fill && !m->repairing)
        s->rows_total = rows_total;
    if (m->fill && s->rows_total < s->rows_done)
        s->rows_total = s->rows_done;
    measure_pace(m, m->phase == PH_BACKFILLING ? share : verified_share(m));
}

/* Seconds to the end of the phase; null: nobody can say yet. */
static json_t *eta(const struct eng_migration *m)
{
    const struct eng_stats *s = &m->stats;
    double left = remaining_s(&s->remaining);

    if (eng_phase(m->phase)->active && s->progress >= 100)
        return json_integer(0);
    if (left < 0 || (m->phase != PH_BACKFILLING && m->phase != PH_VERIFYING))
        return json_null();
    return json_integer((json_int_t)(left + 0.5));
}

static json_t *old_names_ago(struct eng_engine *engine, const struct eng_migration *m)
{
    int64_t last_ms;

    if (!eng_usage_old_last(engine, m, &last_ms))
        return json_null();
    return json_real(rounded((double)(clock_ms() - last_ms) / 1000, 0.1));
}

/* Seconds until the cut-over or its way back is tried again. */
static json_t *next_attempt(const struct eng_migration *m)
{
    int64_t left_us = m->not_before_us - clock_us();

    if ((m->phase != PH_CUTTING_OVER && m->phase != PH_REVERTING) || m->tried == 0)
        return json_null();
    return json_real(rounded(left_us > 0 ? (double)left_us / 1e6 : 0, 0.1));
}

/* Asked for, and it goes on by itself. */
static bool cutover_wanted(const struct eng_migration *m)
{
    return m->phase == PH_CUTTING_OVER ||
           (m->phase < PH_CUTTING_OVER && (m->due.set || m->migrate));
}

static void put_status(struct eng_engine *engine, struct eng_migration *m)
{
    const struct eng_stats *s = &m->stats;
    char when[32];
    json_t *row = json_array();

    clock_wall(when, sizeof(when));
    json_array_append_new(row, json_string(m->name));
    json_array_append_new(row, json_string(eng_phase(m->phase)->name));
    json_array_append_new(row, json_boolean(m->paused));
    json_array_append_new(row, shown(m->step));
    json_array_append_new(row, json_real(rounded(s->progress, 0.1)));
    json_array_append_new(row, json_integer(s->rows_done));
    json_array_append_new(row, json_integer(s->rows_total));
    json_array_append_new(row, json_integer((json_int_t)s->rows_per_s));
    json_array_append_new(row, eta(m));
    json_array_append_new(row, shown(m->throttled.data));
    json_array_append_new(row, json_integer(s->attempts));
    json_array_append_new(row, json_real(rounded((double)s->stall_us_max / 1000, 0.1)));
    json_array_append_new(row, json_real(rounded((double)s->lock_us_max / 1000, 0.1)));
    json_array_append_new(row, count_or_null(s->rows_verified));
    json_array_append_new(row, count_or_null(s->rows_bad));
    json_array_append_new(row, count_or_null(s->rows_wrapped));
    json_array_append_new(row, json_integer(s->bytes_before));
    json_array_append_new(row, json_integer(s->bytes_now));
    json_array_append_new(row, shown(m->blockers.data));
    json_array_append_new(row, next_attempt(m));
    json_array_append_new(row, text_or_null(m->due.set ? m->due.at : NULL));
    json_array_append_new(row, json_boolean(cutover_wanted(m)));
    json_array_append_new(row, text_or_null(m->failure.text));
    json_array_append_new(row, text_or_null(m->failure.hint));
    json_array_append_new(row, old_names_ago(engine, m));
    json_array_append_new(row, json_integer(eng_proofs_left(m)));
    json_array_append_new(row, json_integer(m->phase == PH_READY ? eng_builds_left(m) : 0));
    json_array_append_new(row, json_string(when));
    board_put(engine->board, BOARD_STATUS, row, !eng_phase_over(m->phase));
}

void eng_status_put(struct eng_engine *engine, struct eng_migration *m)
{
    json_t *row;

    measure(m);
    if (m->stats.progress >= 100) /* nothing is left that could be throttled */
        buf_reset(&m->throttled);
    put_status(engine, m);
    row = json_array();
    json_array_append_new(row, json_string(m->name));
    json_array_append_new(row, json_string(eng_phase(m->phase)->name));
    json_array_append_new(row, json_boolean(m->paused));
    json_array_append_new(row, text_or_null(m->failure.text));
    json_array_append_new(row, text_or_null(m->started_at));
    json_array_append_new(row, text_or_null(m->cutover_at));
    json_array_append_new(row, text_or_null(m->finished_at));
    json_array_append_new(row, json_string(m->plan->sha256 ? m->plan->sha256 : ""));
    board_put(engine->board, BOARD_MIGRATIONS, row, true);
}

/* Who has a table locked is not waited for: the sizes that were read last are shown. */
enum rc eng_status_bytes(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    char *names = eng_lock_names(m, NULL);
    PGresult *res;

    if (!names[0]) {
        free(names);
        return RC_OK;
    }
    res = conn_query(&engine->work, err,
                     "SET LOCAL lock_timeout = %d; SELECT sum(pg_table_size(relid)) FROM (SELECT "
                     "DISTINCT t.relid FROM " RELATIONS_ROOTS RELATIONS_TREE " AS t) AS sizes",
                     SIZE_LOCK_MS, names);
    free(names);
    if (res)
        m->stats.bytes_now = res_int(res, 0, 0);
    else if (strcmp(err->sqlstate, "55P03") == 0)
        err_clear(err);
    PQclear(res);
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc read_times(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    PGresult *res = conn_query(&engine->work, err,
                               "SELECT max(cutover_at::text), max(finished_at::text) FROM "
                               "segue.migrations WHERE id = %" PRId64,
                               m->id);

    if (!res)
        return RC_ERR;
    snprintf(m->cutover_at, sizeof(m->cutover_at), "%s",
             res_text(res, 0, 0) ? res_text(res, 0, 0) : "");
    snprintf(m->finished_at, sizeof(m->finished_at), "%s",
             res_text(res, 0, 1) ? res_text(res, 0, 1) : "");
    PQclear(res);
    return RC_OK;
}

enum rc eng_status_refresh(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    if (m->phase == PH_SOAKING)
        eng_predecessor_unseen(engine, m);
    m->refreshed_us = clock_us();
    if (read_times(engine, m, err) != RC_OK || eng_status_bytes(engine, m, err) != RC_OK)
        return RC_ERR;
    if (m->lng.busy && m->long_step >= 0) {
        buf_reset(&m->blockers);
        blockers_waited_for(engine, PQbackendPID(m->lng.pg), &m->blockers);
    }
    eng_status_put(engine, m);
    return RC_OK;
}
