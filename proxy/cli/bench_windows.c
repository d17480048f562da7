/*
 * The throttled fill, paused and going on in turn, while the same clients go on all the time: a
 * machine that becomes slower or faster meanwhile does so for both. The moments after a turn count
 * for neither, nor does a paused window begin before a VACUUM of the fill has ended.
 */
#include "bench.h"
#include "segue/base/clock.h"

#define TURN_SHARE 5 /* of a window's time: one part in so many passes before it begins */
#define BEGIN_MS 20
#define VACUUM_LOOK_MS 100
#define VACUUM_WAIT_MS 10000

/* A window with the turn that leads to it. */
struct stretch {
    struct bench_progress at;
    double wal;
    int64_t at_us;
};

static enum rc look(struct bench *b, struct bench_segue *segue, struct stretch *out,
                    struct err *err)
{
    *out = (struct stretch){.at_us = clock_us()};
    if (bench_segue_look(segue, &out->at, err) != RC_OK)
        return RC_ERR;
    out->wal = bench_wal(b, err);
    if (bench_stopped(b))
        return RC_AGAIN;
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc wait_until_filling(struct bench *b, struct bench_segue *segue, struct err *err)
{
    struct bench_progress at = {0};

    while (!at.filling && !at.filled) {
        if (bench_stopped(b))
            return RC_AGAIN;
        clock_sleep_ms(BEGIN_MS);
        if (bench_segue_look(segue, &at, err) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

static enum rc wait_for_vacuum(struct bench *b, struct err *err)
{
    int64_t until = clock_ms() + VACUUM_WAIT_MS;

    while (bench_number(b, b->work,
                        "SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = "
                        "'bench_rows'::regclass",
                        err) > 0 &&
           !err_is_set(err) && clock_ms() < until && !bench_stopped(b))
        clock_sleep_ms(VACUUM_LOOK_MS);
    return bench_stopped(b) ? RC_AGAIN : err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc turn(struct bench *b, struct bench_segue *segue, bool filling, struct err *err)
{
    if (bench_segue_pause(segue, !filling, err) != RC_OK)
        return RC_ERR;
    if (!filling) {
        enum rc rc = wait_for_vacuum(b, err);

        if (rc != RC_OK)
            return rc;
    }
    bench_let_run(b, b->set->values[BENCH_WINDOW_MS].number / TURN_SHARE);
    return RC_OK;
}

/* *filled: the rows were out meanwhile, there is no such window. */
static enum rc one(struct bench *b, struct bench_segue *segue, struct bench_load *load,
                   struct bench_window *w, struct stretch *last, bool *filled, struct err *err)
{
    struct stretch now;
    enum rc rc = turn(b, segue, w->filling, err);

    if (rc != RC_OK)
        return rc;
    bench_load_p99(load, &w->requests); /* those until here */
    bench_let_run(b, b->set->values[BENCH_WINDOW_MS].number);
    w->p99_ms = bench_load_p99(load, &w->requests);
    rc = look(b, segue, &now, err);
    if (rc != RC_OK)
        return rc;
    *filled = now.at.filled;
    w->seconds = (double)(now.at_us - last->at_us) / 1e6;
    w->rows = now.at.rows - last->at.rows;
    w->wal_bytes = now.wal - last->wal;
    *last = now;
    return RC_OK;
}

/* p99: the medians are made of all windows of a kind; speed and WAL are of those that fill. */
static void sum_up(struct bench_result *out)
{
    double p99[2][BENCH_WINDOWS_MAX];
    size_t n[2] = {0, 0};

    out->seconds = out->rows = out->wal_bytes = 0;
    out->requests = 0;
    for (size_t i = 0; i < out->nwindows; i++) {
        const struct bench_window *w = &out->windows[i];

        p99[w->filling][n[w->filling]++] = w->p99_ms;
        out->requests += w->requests;
        if (!w->filling)
            continue;
        out->seconds += w->seconds;
        out->rows += w->rows;
        out->wal_bytes += w->wal_bytes;
    }
    out->p99_before_ms = bench_median(p99[false], n[false]);
    out->p99_ms = bench_median(p99[true], n[true]);
    bench_pair(out, 1, out);
}

enum rc bench_windows_run(struct bench *b, struct bench_segue *segue, struct bench_load *load,
                          struct bench_result *out, struct err *err)
{
    struct stretch last;
    bool filled = false;
    enum rc rc = wait_until_filling(b, segue, err);
    size_t n;

    if (rc == RC_OK) /* it finds its pace first */
        bench_let_run(b, b->set->values[BENCH_WINDOW_MS].number);
    if (rc == RC_OK)
        rc = look(b, segue, &last, err);
    for (n = 0; n < BENCH_WINDOWS_MAX && rc == RC_OK && !last.at.filled; n += !filled) {
        out->windows[n] = (struct bench_window){.filling = n % 2 == 1};
        rc = one(b, segue, load, &out->windows[n], &last, &filled, err);
    }
    if (rc != RC_OK)
        return rc;
    if (n >= 2) {
        out->nwindows = n;
        sum_up(out);
    }
    if (bench_segue_unthrottle(segue, err) != RC_OK)
        return RC_ERR;
    return last.at.filled ? RC_OK : bench_segue_pause(segue, false, err);
}
