/*
 * The backfill (DESIGN 7): ranges of blocks, each an UPDATE of the rows not in step, committed
 * together with the watermark. A turn takes in what has ended and sends what may begin; it waits
 * for nothing. Which file holds what: fill.h.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "fill.h"
#include "relations.h"
#include "segue/base/clock.h"
#include "segue/base/fault.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/engine/guard.h"

#define REVISIT_BASE_MS 100
#define REVISIT_MAX_MS 5000
#define HOLD_MS 500
#define LOOK_MS 1000 /* when nothing is due before: sockets tell */
#define OTHERS_MS 20 /* another migration is first */
#define BATCH_BYTES_MAX (8 << 20)
#define SPLIT_BLOCKS 64 /* a range with less than twice that before it is not shared */
#define NOT_OURS (TABLE_BIT(TABLE_GONE) | TABLE_BIT(TABLE_RESTORED))

void eng_fill_drop(struct eng_migration *m)
{
    struct eng_fill *fill = m->fill;

    if (!fill)
        return;
    fill_pool_leave(fill->pool, fill);
    for (size_t i = 0; i < fill->ntexts; i++) {
        free(fill->texts[i].set);
        free(fill->texts[i].in_step);
        free(fill->texts[i].unfilled);
        free(fill->texts[i].weight);
    }
    for (size_t i = 0; i < fill->nrelations; i++)
        free(fill->relations[i].name);
    free(fill->relations);
    free(fill->ranges);
    free(fill->texts);
    free(fill);
    m->fill = NULL;
    buf_reset(&m->throttled);
}

double eng_fill_share(const struct eng_migration *m, int64_t *rows_total)
{
    struct fill_guess guess = m->fill ? fill_guess(m->fill) : (struct fill_guess){0};

    *rows_total = (int64_t)guess.rows;
    return guess.share;
}

static void count_rows(struct eng_migration *m)
{
    m->stats.rows_done = 0;
    for (size_t i = 0; i < m->fill->nranges; i++)
        m->stats.rows_done += m->fill->ranges[i].rows;
}

static enum rc fill_prepare(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    struct eng_fill *fill = mem_calloc(1, sizeof(*fill));

    fill->pool = eng_pool_of(engine);
    fill->ntexts = m->plan->ntables;
    fill->texts = mem_calloc(fill->ntexts, sizeof(*fill->texts));
    fill->vacuuming = FILL_NONE;
    for (size_t i = 0; i < FILL_WORKERS_MAX; i++)
        sizing_init(&fill->sizing[i], engine->options.batch_target_ms,
                    engine->options.batch_wal_bytes_max);
    m->fill = fill;
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        const struct eng_step *step = &m->plan->steps[i];
        struct fill_text *text = step->table < 0 ? NULL : &fill->texts[step->table];

        if (step->kind != ENG_STEP_FILL || !text || text->set)
            continue;
        text->set = eng_table_fill(&m->plan->tables[step->table]);
        text->in_step = eng_table_in_step(&m->plan->tables[step->table], ENG_FORWARD, "");
        text->unfilled = eng_table_unfilled(&m->plan->tables[step->table]);
        text->weight = fill_weight(&m->plan->tables[step->table]);
        if (fill_mark_load(engine, m, fill, step->table, err) != RC_OK) {
            eng_fill_drop(m);
            return RC_ERR;
        }
    }
    fill_guess_sample(engine, fill);
    count_rows(m);
    remaining_reset(&m->stats.remaining);
    return RC_OK;
}

/* ---- what has ended ---- */

static void batch_done(struct eng_engine *engine, struct eng_migration *m, struct fill_slot *slot,
                       const struct fill_answer *answer, unsigned busy)
{
    const struct fill_batch *batch = &slot->batch;
    struct fill_range *range = &m->fill->ranges[batch->range];
    struct fill_relation *rel = &m->fill->relations[batch->relation];

    FAULT(batch_committed);
    slot->ended_us = clock_us();
    slot->ms = answer->ms;
    if (!batch->revisit && (answer->to > range->next || answer->item > range->item)) {
        range->next = answer->to;
        range->item = answer->item;
    }
    range->rows = answer->range_rows;
    rel->since_vacuum += (double)answer->rows;
    if (batch->skip_locked)
        rel->skipped = -1;
    if (!batch->revisit) /* what the others wrote meanwhile is not this one's */
        sizing_note(&m->fill->sizing[slot - m->fill->pool->slots],
                    (uint32_t)(answer->to - batch->from), slot->ms, answer->wal_bytes / busy,
                    (double)answer->rows);
    count_rows(m);
    m->retries = 0;
    throttle_filled(&engine->throttle, slot->began_us, (double)answer->rows);
}

/* 42P01: the relation was dropped or renamed, or else it is a trigger's of somebody, or of what
 * `up` calls: that one comes again with every batch. */
static bool not_found_there(struct eng_engine *engine, const struct fill_relation *rel,
                            struct err *err)
{
    struct err ignored = {0};
    bool is = false;

    if (!conn_no_relation(err) ||
        relations_is(&engine->work, rel->name, rel->oid, &is, &ignored) != RC_OK)
        return false;
    if (is)
        err_hint(err, RELATIONS_NOT_FOUND);
    return !is;
}

/* A partition that was detached is none of its business any more, whatever is made of it. */
static bool has_left(struct eng_engine *engine, const struct eng_migration *m,
                     const struct fill_relation *rel, const struct err *err)
{
    struct err ignored = {0};
    bool in = true;

    return !conn_retryable(err) &&
           relations_in(&engine->work, &m->plan->tables[rel->table], rel->oid, &in, &ignored) ==
               RC_OK &&
           !in;
}

/* The server does not say which row its error is of. */
static void hint_where(const struct fill_relation *rel, const struct fill_batch *batch,
                       struct err *err)
{
    static const char *const of_rows[] = {"22", "23", "P0"};

    for (size_t i = 0; i < ARRAY_LEN(of_rows); i++)
        if (!strncmp(err->sqlstate, of_rows[i], 2))
            err_hint(err,
                     "it is of a row of %s with ctid >= '(%" PRId64 ",0)' AND ctid < '(%" PRId64
                     ",0)', to be mended",
                     rel->name, batch->from, batch->to);
}

/* RC_OK: the batch is judged; *again: to be sent once more as it is now. */
static enum rc batch_failed(struct eng_engine *engine, struct eng_migration *m,
                            struct fill_slot *slot, bool *again, struct err *err)
{
    struct fill_relation *rel = &m->fill->relations[slot->batch.relation];

    if (!conn_up(&slot->conn))
        conn_close(&slot->conn);
    else
        conn_rollback(&slot->conn);
    if (strcmp(err->sqlstate, "42501") == 0)
        engine->pool->quiet_triggers = -1; /* it may not silence them any more? */
    if (!slot->batch.skip_locked &&
        (strcmp(err->sqlstate, "55P03") == 0 || strcmp(err->sqlstate, "40P01") == 0)) {
        FAULT(batch_skips);
        slot->batch.skip_locked = *again = true; /* around the rows that somebody holds */
    } else if (strcmp(err->sqlstate, FILL_OTHER_FILE) == 0 || not_found_there(engine, rel, err) ||
               has_left(engine, m, rel, err)) {
        rel->rewritten = true;
    } else {
        hint_where(rel, &slot->batch, err);
        return RC_ERR;
    }
    err_clear(err);
    return RC_OK;
}

static enum rc take_answer(struct eng_engine *engine, struct eng_migration *m,
                           struct fill_slot *slot, struct err *err)
{
    struct fill_answer answer;
    PGresult *res = NULL;
    unsigned busy = fill_pool_busy(m->fill->pool, NULL);
    bool again = false;
    enum rc rc = conn_poll_result(&slot->conn, &res, err);

    if (rc == RC_AGAIN)
        return RC_OK;
    slot->fill = NULL;
    if (rc == RC_ERR)
        rc = batch_failed(engine, m, slot, &again, err);
    else if (fill_batch_answer(res, &answer))
        batch_done(engine, m, slot, &answer, busy);
    else
        rc = RC_ERR;
    if (rc == RC_ERR)
        err_set(err, "XX000", "a batch has answered something else");
    PQclear(res);
    fill_pool_freed(engine, m);
    if (again) {
        struct fill_batch batch = slot->batch;

        rc = fill_pool_send(engine, m, slot, &batch, err);
    }
    return rc == RC_ERR ? RC_ERR : RC_OK;
}

static enum rc take_answers(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    for (size_t i = 0; i < FILL_WORKERS_MAX; i++) {
        struct fill_slot *slot = &m->fill->pool->slots[i];

        if (slot->fill == m->fill && take_answer(engine, m, slot, err) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

/* ---- what may begin ---- */

static bool busy_with(const struct eng_fill *fill, size_t range)
{
    for (size_t i = 0; i < FILL_WORKERS_MAX; i++) {
        if (fill->pool->slots[i].fill == fill && fill->pool->slots[i].batch.range == range)
            return true;
    }
    return false;
}

/* How far each relation is: after answers were taken. */
static void survey(struct eng_fill *fill)
{
    for (size_t i = 0; i < fill->nrelations; i++)
        fill->relations[i].left = fill->relations[i].busy = 0;
    for (size_t i = 0; i < fill->nranges; i++)
        fill->relations[fill->ranges[i].relation].left +=
            fill->ranges[i].next < fill->ranges[i].end;
    for (size_t i = 0; i < FILL_WORKERS_MAX; i++) {
        if (fill->pool->slots[i].fill == fill)
            fill->relations[fill->pool->slots[i].batch.relation].busy++;
    }
}

/* What gives back what the fill left behind at its end. */
static bool wants_last_vacuum(const struct eng_engine *engine, const struct fill_relation *rel)
{
    return engine->options.vacuum_rows > 0 && rel->since_vacuum > 0 && rel->left == 0 &&
           rel->skipped == 0;
}

/* Only one VACUUM runs at a time, beside the batches: waiting for it costs a tenth of the fill. */
static bool vacuum_is_due(const struct eng_engine *engine, const struct eng_fill *fill, size_t i)
{
    const struct fill_relation *rel = &fill->relations[i];

    return fill->vacuuming == FILL_NONE && !rel->rewritten && fill_vacuum_due(engine, rel);
}

/* What a relation needs: a VACUUM at any time, all else when no batch is on it. */
static enum rc tend(struct eng_engine *engine, struct eng_migration *m, size_t i, struct err *err)
{
    struct eng_fill *fill = m->fill;
    struct fill_relation *rel = &fill->relations[i];
    struct fill_batch skipped;

    if (rel->done)
        return RC_OK;
    if (rel->since_vacuum > 0 && fill_vacuum_plan(engine, rel, err) != RC_OK)
        return RC_ERR;
    if (vacuum_is_due(engine, fill, i))
        return fill_vacuum_start(engine, m, i, err);
    if (fill->vacuuming == i || rel->busy)
        return RC_OK;
    if (rel->rewritten)
        return fill_mark_again(engine, m, i, err);
    if (rel->left == 0 && rel->skipped < 0 &&
        fill_mark_skipped(engine, m, rel, &skipped, err) != RC_OK)
        return RC_ERR;
    if (wants_last_vacuum(engine, rel))
        return fill->vacuuming == FILL_NONE ? fill_vacuum_start(engine, m, i, err) : RC_OK;
    rel->done = rel->left == 0 && rel->skipped == 0 &&
                (rel->since_vacuum <= 0 || engine->options.vacuum_rows == 0);
    return RC_OK;
}

static bool open_to_batches(const struct eng_fill *fill, size_t i)
{
    return !fill->relations[i].done && !fill->relations[i].rewritten &&
           fill_vacuum_room(fill, i) > 0;
}

static size_t range_holding(const struct eng_fill *fill, size_t relation, int64_t block)
{
    size_t first = FILL_NONE;

    for (size_t i = 0; i < fill->nranges; i++) {
        const struct fill_range *range = &fill->ranges[i];

        if (range->relation != relation || range->from > block)
            continue;
        if (first == FILL_NONE || range->from > fill->ranges[first].from)
            first = i;
    }
    return first;
}

/* Rows that were locked when their range came, by one worker a relation. */
static enum rc pick_revisit(struct eng_engine *engine, struct eng_migration *m, size_t i,
                            struct fill_batch *batch, bool *found, int64_t *due_us, struct err *err)
{
    struct fill_relation *rel = &m->fill->relations[i];

    if (rel->left || rel->busy || rel->skipped == 0)
        return RC_OK;
    if (rel->revisit_at_us > clock_us()) {
        *due_us = rel->revisit_at_us < *due_us ? rel->revisit_at_us : *due_us;
        return RC_OK;
    }
    if (fill_mark_skipped(engine, m, rel, batch, err) != RC_OK)
        return RC_ERR;
    *found = rel->skipped > 0;
    if (!*found)
        return RC_OK;
    batch->relation = i;
    batch->range = range_holding(m->fill, i, batch->from);
    batch->skip_locked = batch->revisit = true;
    rel->revisit_at_us =
        clock_us() + 1000 * conn_backoff_ms(rel->revisits++ / 4, REVISIT_BASE_MS, REVISIT_MAX_MS);
    return RC_OK;
}

/* The largest part of a relation that others have before them, halved. */
static enum rc pick_half(struct eng_engine *engine, struct eng_migration *m, size_t *range,
                         struct err *err)
{
    const struct eng_fill *fill = m->fill;
    int64_t most = 2 * SPLIT_BLOCKS - 1, at = 0;
    size_t largest = FILL_NONE;

    *range = FILL_NONE;
    for (size_t i = 0; i < FILL_WORKERS_MAX; i++) {
        const struct fill_slot *slot = &fill->pool->slots[i];
        int64_t ahead;

        if (slot->fill != fill || slot->batch.revisit ||
            !open_to_batches(fill, slot->batch.relation))
            continue;
        ahead = fill->ranges[slot->batch.range].end - slot->batch.to;
        if (ahead <= most)
            continue;
        most = ahead;
        at = slot->batch.to + most / 2;
        largest = slot->batch.range;
    }
    if (largest == FILL_NONE)
        return RC_OK;
    return fill_mark_split(engine, m, largest, at, range, err);
}

static size_t free_range(const struct eng_fill *fill)
{
    size_t best = FILL_NONE;

    for (size_t i = 0; i < fill->nranges; i++) {
        const struct fill_range *range = &fill->ranges[i];

        if (range->next >= range->end || !open_to_batches(fill, range->relation) ||
            busy_with(fill, i))
            continue;
        if (best == FILL_NONE || range->relation < fill->ranges[best].relation)
            best = i;
    }
    return best;
}

/* Rows of a batch at most, by the throttle and by the VACUUM beside; 0: no cap. */
static double rows_cap(const struct eng_engine *engine, const struct eng_fill *fill,
                       size_t relation)
{
    double rows = throttle_rows_max(&engine->throttle);
    double room = fill_vacuum_room(fill, relation);

    if (isinf(room))
        return rows;
    return rows > 0 && rows < room ? rows : room;
}

/* Bytes of a batch at most, where values are stored out of line that could be more; 0: no cap. What
 * a disk takes within the time that a batch is to take. */
static double bytes_cap(const struct eng_engine *engine, const struct eng_fill *fill,
                        size_t relation)
{
    const struct fill_relation *rel = &fill->relations[relation];
    double most = engine->options.batch_wal_bytes_max;

    most = most < BATCH_BYTES_MAX ? most : BATCH_BYTES_MAX;
    return fill->texts[rel->table].weight && rel->out_of_line > most ? most : 0;
}

/* The next piece of work that nobody has: a range, rows that were locked, half of a range. */
static enum rc pick(struct eng_engine *engine, struct eng_migration *m, struct fill_slot *slot,
                    struct fill_batch *batch, bool *found, int64_t *due_us, struct err *err)
{
    struct eng_fill *fill = m->fill;
    size_t i = free_range(fill);

    *found = false;
    *batch = (struct fill_batch){0};
    for (size_t r = 0; r < fill->nrelations && i == FILL_NONE && !*found; r++) {
        if (open_to_batches(fill, r) &&
            pick_revisit(engine, m, r, batch, found, due_us, err) != RC_OK)
            return RC_ERR;
    }
    if (*found)
        return RC_OK;
    if (i == FILL_NONE && pick_half(engine, m, &i, err) != RC_OK)
        return RC_ERR;
    if (i == FILL_NONE)
        return RC_OK;
    *found = true;
    batch->range = i;
    batch->relation = fill->ranges[i].relation;
    batch->from = fill->ranges[i].next;
    batch->item = fill->ranges[i].item;
    batch->bytes_max = bytes_cap(engine, fill, batch->relation);
    batch->rows_max = throttle_rows_max(&engine->throttle);
    batch->to = batch->from + sizing_next(&fill->sizing[slot - fill->pool->slots],
                                          rows_cap(engine, fill, batch->relation));
    if (batch->to > fill->ranges[i].end)
        batch->to = fill->ranges[i].end;
    return RC_OK;
}

static enum rc begin_batches(struct eng_engine *engine, struct eng_migration *m, int64_t *due_us,
                             struct err *err)
{
    struct fill_batch batch;
    struct fill_slot *slot;
    bool found = true;
    enum rc rc;

    m->fill->wanted_us = clock_us();
    while (found && (slot = fill_pool_idle(engine, m, due_us))) {
        int64_t paced_us = throttle_paced_us(&engine->throttle);

        if (paced_us > clock_us()) {
            *due_us = paced_us < *due_us ? paced_us : *due_us;
            return RC_OK;
        }
        if (!fill_pool_turn(engine, m)) {
            *due_us = clock_us() + OTHERS_MS * 1000;
            return RC_OK;
        }
        rc = pick(engine, m, slot, &batch, &found, due_us, err);
        if (rc == RC_OK && found)
            rc = fill_pool_send(engine, m, slot, &batch, err);
        if (rc == RC_ERR)
            return rc;
        if (rc == RC_OK && found)
            m->fill->relations[batch.relation].busy++;
    }
    if (!found)
        m->fill->wanted_us = 0;
    return RC_OK;
}

/* ---- the turn ---- */

static bool all_marked(const struct eng_migration *m)
{
    for (size_t i = 0; i < m->plan->nsteps; i++) {
        if (m->plan->steps[i].kind == ENG_STEP_FILL && !m->step_done[i])
            return false;
    }
    return true;
}

bool eng_fill_wanted(const struct eng_migration *m)
{
    return m->fill || (m->phase == PH_BACKFILLING && !all_marked(m));
}

/* The first relation that is not done, or NULL. */
static const struct fill_relation *first_left(const struct eng_fill *fill)
{
    for (size_t i = 0; i < fill->nrelations; i++) {
        if (!fill->relations[i].done)
            return &fill->relations[i];
    }
    return NULL;
}

static void say_step(struct eng_migration *m, const struct fill_relation *rel)
{
    unsigned busy = fill_pool_busy(m->fill->pool, m->fill);
    struct buf more = {0};

    if (rel->skipped > 0)
        buf_printf(&more, ": %" PRId64 " ranges with locked rows", rel->skipped);
    if (busy > 1)
        buf_printf(&more, ", %u batches at once", busy);
    snprintf(m->step, sizeof(m->step), "%s %s%s", m->repairing ? "repair" : "backfill", rel->name,
             more.len ? more.data : "");
    buf_fini(&more);
}

static enum rc finish(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    bool more;

    FAULT(fill_mark);
    if (fill_mark_new(engine, m, &more, err) != RC_OK)
        return RC_ERR;
    if (more) {
        eng_fill_drop(m);
        m->not_before_us = 0;
        return RC_AGAIN;
    }
    if (fill_mark_steps(engine, m, err) != RC_OK)
        return RC_ERR;
    FAULT(fill_marked);
    m->stats.rows_total = m->stats.rows_done;
    eng_fill_drop(m);
    eng_pool_trim(engine); /* what comes next may want the server's room for it */
    m->not_before_us = 0;
    return RC_OK;
}

enum rc eng_fill_more(struct eng_engine *engine, struct eng_migration *m, bool *more,
                      struct err *err)
{
    *more = false;
    if (fill_mark_new(engine, m, more, err) != RC_OK ||
        fill_mark_left(engine, m, more, err) != RC_OK)
        return RC_ERR;
    return *more ? fill_prepare(engine, m, err) : RC_OK;
}

enum rc eng_fill_turn(struct eng_engine *engine, struct eng_migration *m, struct err *err)
{
    int64_t due_us = clock_us() + LOOK_MS * 1000;
    const struct fill_relation *left;

    if (!m->fill && all_marked(m) && !m->repairing)
        return RC_OK;
    if (!m->fill && (eng_tables_check(engine, m, NOT_OURS, err) != RC_OK ||
                     fill_prepare(engine, m, err) != RC_OK))
        return RC_ERR;
    if (take_answers(engine, m, err) != RC_OK)
        return RC_ERR;
    fill_vacuum_poll(engine, m, &due_us);
    survey(m->fill);
    left = first_left(m->fill);
    if (!left)
        return finish(engine, m, err);
    say_step(m, left);
    m->fill->verdict = throttle_check(engine, m);
    if (m->fill->verdict == THROTTLE_HOLD) {
        m->fill->wanted_us = 0;
        eng_status_put(engine, m);
        eng_sleep(m, HOLD_MS);
        m->not_before_us = due_us < m->not_before_us ? due_us : m->not_before_us;
        return RC_AGAIN;
    }
    if (fill_pool_triggers(engine, err) != RC_OK)
        return RC_ERR;
    for (size_t i = 0; i < m->fill->nrelations; i++) {
        if (tend(engine, m, i, err) != RC_OK)
            return RC_ERR;
    }
    if (first_left(m->fill) && begin_batches(engine, m, &due_us, err) != RC_OK)
        return RC_ERR;
    if (fill_pool_busy(m->fill->pool,
                       m->fill)) { /* in the middle of a batch: who is blocked is seen */
        int64_t middle_us = clock_us() + (int64_t)engine->options.batch_target_ms * 500;
        int64_t read_us = throttle_due_us(&engine->throttle);

        read_us = read_us > middle_us ? read_us : middle_us;
        due_us = read_us < due_us ? read_us : due_us;
    }
    eng_status_put(engine, m);
    m->not_before_us = first_left(m->fill) ? due_us : 0;
    return RC_AGAIN;
}
