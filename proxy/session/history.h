/*
 * The last minute: what all workers had counted some seconds ago, kept by a thread that looks at
 * the clock so that workers need not. It also ticks the workers, once a second.
 */
#ifndef SEGUE_SESSION_HISTORY_H
#define SEGUE_SESSION_HISTORY_H

#include "counters.h"
#include "segue/base/err.h"

#define SESS_TOTALS_MAX 52

struct sess_plane;
struct sess_history;

/* Of one worker, for its rates. */
struct sess_worker_sample {
    uint64_t transactions, requests, from_client, from_server;
    int64_t cpu_us;
    int64_t lag_us_max; /* since the sample before */
};

/* All workers added up, at one moment. */
struct sess_sample {
    int64_t at_us;                    /* clock_us() */
    uint64_t totals[SESS_TOTALS_MAX]; /* by the rows of stats.c */
    uint64_t from_client_messages[256], from_server_messages[256];
    struct hist_copy latency[SESS_CLASSES];
    struct sess_worker_sample *workers; /* one each */
};

/* The plane's workers run. NULL with err. */
struct sess_history *sess_history_new(struct sess_plane *plane, struct err *err);
void sess_history_free(struct sess_history *history); /* joins its thread; NULL is harmless */

struct sess_sample *sess_sample_new(struct sess_plane *plane); /* now */
void sess_sample_free(struct sess_sample *sample);

/* A copy of the sample of about a minute ago, or of the start, whichever is later; the longest lags
 * since then are put into `now`. Free it. */
struct sess_sample *sess_history_minute(struct sess_history *history, struct sess_sample *now);

#endif
