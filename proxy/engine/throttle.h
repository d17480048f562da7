/*
 * Whether the backfill may go on: a table of signals (DESIGN 7), each with its own limit, reading
 * and last reason. Any one may slow or hold; one that cannot be read holds. All reasons show.
 *
 * The judging is pure (throttle_judge); reading is by the row's function.
 */
#ifndef SEGUE_ENGINE_THROTTLE_H
#define SEGUE_ENGINE_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"
#include "segue/base/hist.h"

struct eng_engine;
struct eng_migration;

enum throttle_id {
    THROTTLE_ROWS,
    THROTTLE_NICE,
    THROTTLE_WORKERS,
    THROTTLE_LAG_S,
    THROTTLE_LAG_BYTES,
    THROTTLE_P99,
    THROTTLE_BACKPRESSURE,
    THROTTLE_PAUSE,
    THROTTLE_COUNT
};

enum throttle_verdict { THROTTLE_GO, THROTTLE_SLOW, THROTTLE_HOLD };

struct throttle_reading {
    bool known;       /* false: could not be read; holds */
    bool judged;      /* false: read, but too little to judge by; goes */
    double value;     /* in the signal's unit */
    double floor;     /* no verdict but go below it (client_p99: ms measured) */
    double measured;  /* compared with the floor */
    char detail[160]; /* whose reading, or why there is none */
};

struct throttle_signal {
    const char *name, *unit;
    double limit_default;
    bool enabled_default;
    double limit_min, limit_max;
    double slow_at; /* share of the limit from which it slows; 1: it holds or goes */
    /* NULL: nothing to read, the limit itself paces (rows_per_s, nice_ratio) */
    void (*read)(struct eng_engine *engine, struct throttle_reading *out);
    const char *help;
};

struct throttle_state {
    double limit;
    bool enabled;
    struct throttle_reading reading;
    enum throttle_verdict verdict;
    char reason[240];
};

struct throttle {
    struct throttle_state signals[THROTTLE_COUNT];
    int64_t read_us;
    int64_t pace_us; /* rows_per_s: when the next batch of anybody may begin */
    /* client latency: two windows that slide */
    struct hist_copy before, older, newer;
    int64_t before_us, older_us, newer_us;
    double baseline_us; /* p99 before the backfill; 0: not known */
    char standbys[16][96];
    size_t nstandbys;
    /* the server's count of time in which it held writers back */
    char held_back_call[160];              /* SQL that gives it; "": the server has none */
    bool held_back_known;                  /* the above was looked up */
    int64_t held_back_us, held_back_at_us; /* last reading; 0: none */
};

const struct throttle_signal *throttle_signal(size_t i);
int throttle_find(const char *name); /* -1: no such signal */
void throttle_init(struct throttle *t);
const char *throttle_verdict_name(enum throttle_verdict verdict);

/* Pure: verdict and reason from a reading. */
enum throttle_verdict throttle_judge(const struct throttle_signal *signal, double limit,
                                     const struct throttle_reading *reading, char *reason,
                                     size_t size);

/* "off", "on", "default", or a number (which also turns it on). */
enum rc throttle_set(struct throttle *t, size_t i, const char *value, struct err *err) MUST_CHECK;

/* Reads what is due (twice a second) and tells whether m's backfill may go on; m->throttled
 * gets every reason. */
enum throttle_verdict throttle_check(struct eng_engine *engine, struct eng_migration *m);

/* Pause of a worker after a batch that took `ms`, from nice_ratio and a slow verdict. */
int64_t throttle_pause_ms(const struct throttle *t, enum throttle_verdict verdict, double ms);
/* A batch that began at began_us has filled `rows`; when, by rows_per_s, the next may begin. */
void throttle_filled(struct throttle *t, int64_t began_us, double rows);
int64_t throttle_paced_us(const struct throttle *t);
double throttle_rows_max(const struct throttle *t);  /* a batch; 0: no cap */
unsigned throttle_workers(const struct throttle *t); /* batches at once, over all migrations */

void throttle_watch(struct eng_engine *engine);    /* between backfills: latency of clients */
void throttle_baseline(struct eng_engine *engine); /* a backfill begins */
void throttle_show(struct eng_engine *engine);     /* rows onto the board */

#endif
