/*
 * `segue bench backfill`: what filling a column costs on the user's own server, by segue's backfill
 * at several batch targets, by batches of 1000 keys with a trigger, and by one UPDATE.
 *
 * Everything happens in a database of its own, made for it and dropped at the end, at SIGINT, and
 * by the next run when a run was killed. Rooms: bench.c (command, question, order), bench_db.c (the
 * database's life, space), bench_table.c (the table: generated, or copied), bench_run.c (the
 * contenders), bench_windows.c (the throttled fill, on and off in turn), bench_segue.c (a segue of
 * the bench's own), bench_load.c (clients beside), bench_report.c and bench_svg.c (table, JSON,
 * advice, plot).
 */
#ifndef SEGUE_CLI_BENCH_H
#define SEGUE_CLI_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"
#include "segue/base/option.h"

#define BENCH_KEY "segue_bench_id"
#define BENCH_APPLICATION "segue-bench"
#define BENCH_RUNS_MAX 32
#define BENCH_WINDOWS_MAX 17 /* of a throttled fill; the first and the last one are paused */

enum bench_option {
    BENCH_DSN,
    BENCH_TABLE,
    BENCH_COLUMN,
    BENCH_ROWS,
    BENCH_TARGETS,
    BENCH_WORKERS,
    BENCH_CONTENDERS,
    BENCH_ROUNDS,
    BENCH_CLIENTS,
    BENCH_RATE,
    BENCH_WINDOW_MS,
    BENCH_SECONDS_MAX,
    BENCH_FREE_MB,
    BENCH_SVG,
    BENCH_OPTION_COUNT
};

struct bench {
    struct opt_set *set;
    bool json, yes;
    PGconn *home; /* of --dsn */
    PGconn *work; /* in the bench's database; keeps it from being taken for a leftover */
    char database[64];
    char *column;       /* of bench_rows, that is filled into `fresh`; quoted */
    char *column_plain; /* the same, not quoted */
    char *source;       /* what the rows are, for people */
    int64_t rows;
    int64_t table_bytes; /* of the table as it is before a run */
    int64_t until_us;    /* of the whole bench */
    char version[64];
};

/* A part of the throttled fill, with the moments after the turn that its p99 leaves out. */
struct bench_window {
    bool filling;
    double p99_ms;
    int64_t requests;
    double seconds, rows, wal_bytes;
};

/* p99 of each filling window against that of either neighbour, in which the fill was paused. */
struct bench_pairs {
    size_t n;                 /* 0: the rest says nothing */
    double median, low, high; /* a quarter of the pairs lies below low, a quarter above high */
};

struct bench_result {
    char name[64];
    unsigned target_ms; /* 0: not segue */
    unsigned workers;
    bool throttled;
    bool done;   /* false: the time was over, or it was stopped */
    double rows; /* that seconds, rows_per_s and wal_bytes are of */
    double seconds, rows_per_s, wal_bytes, bytes_ratio;
    double p99_before_ms, p99_ms;
    int64_t requests, request_errors;
    struct bench_window windows[BENCH_WINDOWS_MAX];
    size_t nwindows; /* 0: not throttled, or filled too soon */
    struct bench_pairs pairs;
};

/* SIGINT, SIGTERM, or the time is over. */
bool bench_stopped(const struct bench *b);
void bench_catch_signals(void);
bool bench_interrupted(void);

/* ---- bench_db.c ---- */

PGconn *bench_connect(struct bench *b, const char *database, struct err *err); /* NULL: its own */
/* The same as a connection string; heap. NULL: libpq does not understand it. */
char *bench_conninfo(const struct bench *b, const char *database);
/* One statement or several; is cancelled when the bench is stopped. The caller's to PQclear; NULL
 * with err. */
PGresult *bench_query(struct bench *b, PGconn *conn, const char *sql, struct err *err) MUST_CHECK;
enum rc bench_exec(struct bench *b, PGconn *conn, struct err *err, const char *fmt, ...)
    PRINTF_LIKE(4, 5) MUST_CHECK;
double bench_number(struct bench *b, PGconn *conn, const char *sql, struct err *err);
enum rc bench_open(struct bench *b, struct err *err) MUST_CHECK; /* home */
size_t bench_drop_leftovers(struct bench *b, struct err *err);   /* how many */
enum rc bench_check_space(struct bench *b, struct buf *said, struct err *err) MUST_CHECK;
enum rc bench_make_database(struct bench *b, struct err *err) MUST_CHECK; /* and work */
void bench_drop_database(struct bench *b);                                /* also after a stop */

/* ---- bench_table.c ---- */

/* Looks at --table, or takes --rows: rows, bytes, column, source. Writes nothing. */
enum rc bench_table_look(struct bench *b, struct err *err) MUST_CHECK;
enum rc bench_table_make(struct bench *b, struct err *err) MUST_CHECK;  /* bench_template */
enum rc bench_table_fresh(struct bench *b, struct err *err) MUST_CHECK; /* bench_rows */

/* ---- bench_load.c: clients that read and write single rows ---- */

struct bench_load;

struct bench_load *bench_load_start(struct bench *b, const char *conninfo, struct err *err);
/* p99 in ms of what was asked since the start or the last call; what has no answer yet counts with
 * the time it has waited. 0: nothing was asked. */
double bench_load_p99(struct bench_load *load, int64_t *requests);
/* Joins, frees; *errors: requests that failed. NULL is harmless. */
void bench_load_stop(struct bench_load *load, int64_t *errors);

/* ---- bench_segue.c: a segue serve of the bench's own ---- */

struct bench_segue;

struct bench_segue *bench_segue_start(struct bench *b, unsigned target_ms, struct err *err);
void bench_segue_stop(struct bench_segue *segue); /* NULL is harmless */
char *bench_segue_conninfo(const struct bench *b,
                           const struct bench_segue *segue); /* for clients */
/* Begins to fill the column. */
enum rc bench_segue_begin(struct bench *b, struct bench_segue *segue, unsigned workers,
                          bool throttled, struct err *err) MUST_CHECK;
/* How far it is: rows filled, and whether it is at it, or all are. RC_ERR: it has stopped. */
struct bench_progress {
    double rows;
    bool filling, filled;
};
enum rc bench_segue_look(struct bench_segue *segue, struct bench_progress *out,
                         struct err *err) MUST_CHECK;
enum rc bench_segue_pause(struct bench_segue *segue, bool pause, struct err *err) MUST_CHECK;
/* What is left goes as fast as it can. */
enum rc bench_segue_unthrottle(struct bench_segue *segue, struct err *err) MUST_CHECK;
/* Until all rows are filled; RC_AGAIN: the bench was stopped. */
enum rc bench_segue_wait(struct bench *b, struct bench_segue *segue, struct err *err) MUST_CHECK;

/* ---- bench_windows.c ---- */

/* Of a throttled fill that has begun: the windows into out, until there are enough or the rows are
 * out; then the rest is filled as fast as it can be. RC_AGAIN: the bench was stopped. */
enum rc bench_windows_run(struct bench *b, struct bench_segue *segue, struct bench_load *load,
                          struct bench_result *out, struct err *err) MUST_CHECK;

/* ---- bench_run.c ---- */

enum bench_way { BENCH_WAY_SEGUE, BENCH_WAY_KEYSET, BENCH_WAY_UPDATE };

struct bench_contender {
    char name[64];
    enum bench_way way;
    unsigned target_ms, workers;
    bool throttled;
};

/* Who takes part by the options, in the order of the first round: how many, BENCH_RUNS_MAX at most.
 * Pure. */
size_t bench_contenders(const struct bench *b, struct bench_contender *out);
double bench_wal(struct bench *b, struct err *err); /* bytes that the server has written */
void bench_let_run(const struct bench *b, int64_t ms);
/* NULL: these are contenders, with commas. */
const char *bench_refuse_contenders(const char *text);
/* All contenders, ROUNDS times in turn. results: BENCH_RUNS_MAX rows a round. */
enum rc bench_run_all(struct bench *b, struct bench_result *results, size_t *n,
                      struct err *err) MUST_CHECK;

/* ---- bench_report.c, bench_svg.c: pure ---- */

double bench_median(double *values, size_t n); /* sorts them; at least one */
/* Medians by name, in the order of their first appearance; n shrinks. Pairs of windows are those of
 * all runs of the name, the windows themselves stay with the runs. */
void bench_medians(struct bench_result *results, size_t *n);
/* Sets out->pairs from the windows of those results that have out's name. */
void bench_pair(const struct bench_result *results, size_t n, struct bench_result *out);
/* The index of the one that is recommended, -1: none. */
int bench_recommend(const struct bench_result *results, size_t n);
void bench_report_table(const struct bench *b, const struct bench_result *medians, size_t n,
                        const struct bench_result *runs, size_t nruns, struct buf *out);
json_t *bench_report_json(const struct bench *b, const struct bench_result *medians, size_t n,
                          const struct bench_result *runs, size_t nruns);
void bench_svg(const struct bench_result *results, size_t n, const char *title, struct buf *out);

/* `segue bench ...`: argv behind "bench"; an exit code of cli.h. */
int bench_main(int argc, char **argv);
void bench_help(void);

#endif
