/*
 * Whether the backfill may go on: a table of signals (DESIGN 7), each with its own limit, reading
 * and last reason. Any one may slow or hold; one that cannot be read, or whose reading is old,
 * holds. All reasons show.
 *
 * Rooms: throttle.c (the table, judging, pacing), throttle_set.c (limits: configured, live),
 * throttle_store.c (segue.throttle), throttle_sample.c (what the server says, in one query),
 * throttle_read.c, throttle_lag.c and throttle_client.c (each signal's reading), throttle_ease.c
 * (the pace that clients' latency asks for), throttle_show.c.
 */
#ifndef SEGUE_ENGINE_THROTTLE_H
#define SEGUE_ENGINE_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

#include "lag.h"
#include "segue/base/buf.h"
#include "segue/base/err.h"
#include "segue/base/hist.h"
#include "throttle_ease.h"

struct eng_engine;
struct eng_migration;
struct standbys;

enum throttle_id {
    THROTTLE_ROWS,
    THROTTLE_NICE,
    THROTTLE_WORKERS,
    THROTTLE_LAG_S,
    THROTTLE_LAG_BYTES,
    THROTTLE_DIRECT_S,
    THROTTLE_DIRECT_BYTES,
    THROTTLE_SLOTS,
    THROTTLE_P99,
    THROTTLE_ACTIVE,
    THROTTLE_BLOCKED,
    THROTTLE_WAL,
    THROTTLE_AUTOVACUUM,
    THROTTLE_BACKPRESSURE,
    THROTTLE_QUERY,
    THROTTLE_FILE,
    THROTTLE_WINDOW,
    THROTTLE_PAUSE,
    THROTTLE_COUNT
};

enum throttle_verdict { THROTTLE_GO, THROTTLE_SLOW, THROTTLE_HOLD };

/* Parts of the one query, by what a signal needs. */
enum throttle_part {
    PART_STANDBYS = 1,
    PART_SLOTS = 2,
    PART_ACTIVE = 4,
    PART_BLOCKED = 8,
    PART_WAL = 16,
    PART_VACUUMS = 32,
    PART_PRESSURE = 64,
};

struct throttle_reading {
    bool known;       /* false: could not be read; holds */
    bool judged;      /* false: read, but too little to judge by; goes */
    double value;     /* in the signal's unit */
    double floor;     /* does not hold below it (client_p99: ms measured) */
    double measured;  /* compared with the floor */
    double pause;     /* slows by itself: so many times what a batch took (client_p99) */
    int64_t age_ms;   /* over THROTTLE_STALE_MS it holds */
    char detail[160]; /* whose reading, or why there is none */
};
#define THROTTLE_STALE_MS 5000

struct throttle_signal {
    const char *name, *unit;
    double limit_default;
    bool enabled_default;
    double limit_min, limit_max; /* max 0: the signal has no limit */
    double slow_at;              /* share of the limit from which it slows; 1: it holds or goes */
    unsigned parts;              /* of the sample */
    /* NULL: nothing to read, the limit itself paces (rows_per_s, nice_ratio) */
    void (*read)(struct eng_engine *engine, struct throttle_reading *out);
    const char *setting; /* what text it takes: "an absolute path"; NULL: none */
    bool setting_needed; /* without one it cannot be on */
    enum rc (*check)(const char *text, struct err *err);
    const char *help;
    double hold_at; /* times the limit from which it holds; 0: once */
};

struct throttle_choice { /* one signal's limit */
    double limit;
    bool enabled;
    char *setting; /* owned; NULL: none */
};

struct throttle_state {
    struct throttle_choice now;
    struct throttle_choice configured; /* where `default` goes back to */
    bool is_configured;                /* by the configuration; else it is the table's */
    bool live;                         /* set by THROTTLE: stays over restarts */
    struct throttle_reading reading;
    enum throttle_verdict verdict;
    char reason[240];
};

struct throttle {
    struct throttle_state signals[THROTTLE_COUNT];
    int64_t read_us;  /* when signals were read last; 0: never, or look again at once */
    int64_t every_us; /* and how often they may be, by what that took */
    int64_t pace_us;  /* rows_per_s: when the next batch of anybody may begin */
    PGresult *sample; /* the one query's row; NULL: it has failed */
    char sample_error[160];
    /* client latency: two windows that slide */
    struct hist_copy before, older, newer, eased;
    int64_t before_us, older_us, newer_us;
    double baseline_us;  /* p99 before the backfill; 0: not known */
    int64_t learning_us; /* since when it is being found out; 0: is not */
    struct throttle_ease ease;
    char **standbys; /* that are expected to be there, as pg_stat_replication has them; owned */
    size_t nstandbys, standbys_cap;
    double beat_lsn; /* where the primary was at the last reading; when a row was written last */
    int64_t beat_us;
    struct standbys *direct; /* connections to the replicas of THROTTLE_DIRECT_S */
    char *direct_of;         /* the setting they were made of */
    struct lag_history history;
    bool connected_anew; /* since the last note in it: the primary may be another one */
    double wal_lsn;      /* last reading; 0: none */
    int64_t wal_at_us;
    /* the server's count of time in which it held writers back */
    char held_back_call[160];              /* SQL that gives it; "": the server has none */
    bool held_back_known;                  /* the above was looked up */
    int64_t held_back_us, held_back_at_us; /* last reading; 0: none */
};

const struct throttle_signal *throttle_signal(size_t i);
int throttle_find(const char *name); /* -1: no such signal */
void throttle_init(struct throttle *t);
void throttle_fini(struct throttle *t);
const char *throttle_verdict_name(enum throttle_verdict verdict);

/* Pure: verdict and reason from a reading. */
enum throttle_verdict throttle_judge(const struct throttle_signal *signal, double limit,
                                     const struct throttle_reading *reading, char *reason,
                                     size_t size);

/* ---- throttle_set.c ---- */

/* "off", "on", "default", a number (the limit) or a text (the setting); the last two also turn it
 * on. RC_ERR: nothing has changed. */
enum rc throttle_set(struct throttle *t, size_t i, const char *value, struct err *err) MUST_CHECK;
/* The option `throttle` (engine.h), checked before. What was set live stays. */
void throttle_configure(struct throttle *t, const char *json);
void throttle_choose(struct throttle_choice *choice, double limit, bool enabled,
                     const char *setting); /* copies */

/* ---- throttle_store.c ---- */
enum rc throttle_load(struct eng_engine *engine, struct err *err) MUST_CHECK;
enum rc throttle_save(struct eng_engine *engine, size_t signal, struct err *err) MUST_CHECK;

/* Reads what is due (twice a second; seldomer where reading takes long) and tells whether m's
 * backfill may go on; m->throttled gets every reason. */
enum throttle_verdict throttle_check(struct eng_engine *engine, struct eng_migration *m);
int64_t throttle_due_us(const struct throttle *t); /* when signals are to be read again, at best
                                                    * while a batch runs */
void throttle_read_now(struct eng_engine *engine); /* all that are on, and shows them */
void throttle_rest(struct eng_engine *engine);     /* no backfill runs any more: no readings */

/* Pause of a worker after a batch that took `ms`, from nice_ratio and a slow verdict. */
int64_t throttle_pause_ms(const struct throttle *t, enum throttle_verdict verdict, double ms);
bool throttle_eases(const struct throttle *t); /* clients feel the backfill: it pauses for them */
/* A batch that began at began_us has filled `rows`; when, by rows_per_s, the next may begin. */
void throttle_filled(struct throttle *t, int64_t began_us, double rows);
int64_t throttle_paced_us(const struct throttle *t);
double throttle_rows_max(const struct throttle *t);  /* a batch; 0: no cap */
unsigned throttle_workers(const struct throttle *t); /* batches at once, over all migrations */

/* ---- throttle_client.c ---- */
void throttle_watch(struct eng_engine *engine);    /* between backfills: latency of clients */
void throttle_baseline(struct eng_engine *engine); /* a backfill begins */

/* ---- throttle_show.c ---- */
void throttle_show(struct eng_engine *engine); /* rows onto the board */

#endif
