/*
 * The workload: a real client program of the database that segue stands in front of.
 *
 * Reading order: revision.c (the SQL of the two application revisions), value.c (what is written),
 * client.c (one connection, three protocols), ops.c (what a client does and believes), journal.c
 * (what was acknowledged), run.c (threads, latencies, summary), oracle.c (journals against the
 * database), main.c (arguments).
 *
 * Not here: anything about segue itself. It sees a PostgreSQL server, nothing else.
 */
#ifndef SEGUE_WORKLOAD_H
#define SEGUE_WORKLOAD_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "segue/base/hist.h"
#include "segue/base/rc.h"

/* ---- revision.c: the statements of one application revision ---- */

enum wl_stmt {
    ST_READ,
    ST_READ_STAR,
    ST_READ_SEED,
    ST_LIST_USER,
    ST_FIND_CLAIM,
    ST_INSERT,
    ST_UPDATE_ALL,
    ST_UPDATE_CLAIM,
    ST_UPDATE_JSON,
    ST_TOUCH,
    ST_UPSERT,
    ST_DELETE,
    ST_LEDGER,
    ST_USER_NEW,
    ST_USER_ADD,
    ST_CACHE_PUT,
    ST_CACHE_GET,
    ST_ANON,
    ST_BEGIN,
    ST_COMMIT,
    ST_ROLLBACK,
    ST_COUNT
};

struct wl_revision {
    const char *name;   /* "old" | "new" */
    const char *claim;  /* names of the three columns that change */
    const char *config; /* JSON: text in the old schema, jsonb in the new one */
    const char *counts;
    const char *copy_in; /* COPY ... FROM STDIN */
    const char *sql[ST_COUNT];
    bool json; /* config and counts are jsonb: only valid JSON, read back in jsonb's own form */
    bool anon; /* has anonymous_usage */
};

/* NULL when there is no such revision. */
const struct wl_revision *wl_revision_find(const char *name);

/* ---- value.c: random values, made from a client's own generator ---- */

uint32_t wl_random(uint64_t *rng, uint32_t below); /* 0 .. below - 1 */

/* Text with quotes, other scripts, line ends, names of columns. Never NULL. free(). */
char *wl_random_claim(uint64_t *rng, const char *run_id);

/*
 * A JSON value, or NULL for SQL's NULL; free(). For revisions with jsonb columns it is spelled as
 * jsonb prints it; otherwise as applications spell it, and one in forty is not JSON at all.
 */
char *wl_random_json(uint64_t *rng, bool as_jsonb);

/* ---- journal.c: what the server acknowledged, one JSON object a line ---- */

enum wl_fact {
    WL_PUT,   /* is so */
    WL_GONE,  /* is not there (deleted, rolled back) */
    WL_MAYBE, /* the connection was lost with the answer outstanding: this or what was before */
    WL_MAYBE_GONE,
};

struct wl_row {
    char *run_id;
    char *claim;
    char *config; /* NULL: SQL's NULL */
    char *counts;
    char prob[24];
};

struct wl_journal;
struct wl_journal *wl_journal_open(const char *path, const char *revision, const char *prefix);
void wl_journal_row(struct wl_journal *j, enum wl_fact fact, const struct wl_row *row);

/* kind: "ledger" | "user" | "anon" */
void wl_journal_value(struct wl_journal *j, enum wl_fact fact, const char *kind, const char *key,
                      long value);
void wl_journal_flush(struct wl_journal *j);
void wl_journal_close(struct wl_journal *j); /* NULL is fine */

/* ---- run.c ---- */

enum wl_protocol { WL_SIMPLE, WL_EXTENDED, WL_PREPARED, WL_MIXED };

struct wl_options {
    const char *url;
    const struct wl_revision *revision;
    int clients;
    double seconds; /* 0: until SIGTERM / SIGINT */
    double rate;    /* statements a second, all clients together; 0: as fast as it goes */
    enum wl_protocol protocol;
    long seed_lo, seed_hi; /* ids of seeded rows this program may take over; 0, 0: none */
    const char *prefix;    /* of every key this program makes */
    const char *journal;   /* path or NULL */
    const char *report;    /* path or NULL */
    bool tolerate_disconnect;
    bool quiet;
};

int wl_run(const struct wl_options *options); /* exit code */

#define WL_ROWS_MAX 400 /* rows a client keeps alive; above, it deletes more than it inserts */

struct wl_client {
    const struct wl_options *options;
    struct wl_journal *journal;
    int index;
    pthread_t thread;
    PGconn *conn;
    uint64_t rng;
    bool prepared[ST_COUNT]; /* named statements of this connection */
    bool told_to_go;         /* the server said (57P0x) that it closes this connection */

    struct wl_row rows[WL_ROWS_MAX + 8]; /* what we believe; the last acknowledged values */
    int row_count;
    long serial;    /* for new keys */
    long seed_next; /* next seeded id to take over */
    char user_email[96];
    char user_id[24];
    long user_value;
    char anon_token[96];
    long anon_value;

    /* read by the reporter */
    struct hist hist;
    _Atomic int64_t window_max_us; /* worst since the reporter last looked */
    _Atomic int64_t busy_since_us; /* clock_us() of the statement that is out, 0 when none */
    _Atomic long statements, writes, reads_checked, errors, mismatches, disconnects;
    _Atomic bool parked;
};

/* ---- client.c ---- */

bool wl_connect(struct wl_client *c); /* counts and reports an error; tries on when tolerant */
void wl_disconnect(struct wl_client *c);

/*
 * One statement in the protocol of the options. NULL: it failed (counted), wl_lost() tells whether
 * the connection is gone. The caller clears the result.
 */
PGresult *wl_exec(struct wl_client *c, enum wl_stmt st, int n, const char *const *params);
bool wl_lost(const struct wl_client *c);

/*
 * Statements sent without waiting for answers, one Sync at the end: one implicit transaction.
 * RC_OK: all answered, results[0 .. n - 1] are the caller's to clear. RC_ERR: none was done, or
 * the connection is lost.
 */
struct wl_call {
    enum wl_stmt st;
    int n;
    const char *const *params;
};
enum rc wl_pipeline(struct wl_client *c, const struct wl_call *calls, int n, PGresult **results);

/* COPY ... FROM STDIN of these rows: RC_OK, RC_ERR. */
enum rc wl_copy_in(struct wl_client *c, const struct wl_row *rows, int n);

/* COPY (query) TO STDOUT; the lines are counted. -1 when it failed. */
int wl_copy_out(struct wl_client *c, const char *query);

/* A read that does not tell what was acknowledged. */
void wl_mismatch(struct wl_client *c, const char *key, const char *what, const char *expected,
                 const char *found);
void wl_error(struct wl_client *c, const char *where, const char *text);

/* ---- ops.c ---- */

bool wl_client_begin(struct wl_client *c); /* after each connect: its own user and token */
void wl_step(struct wl_client *c);         /* one operation, by weight */
void wl_rows_free(struct wl_client *c);

/* ---- oracle.c ---- */

enum wl_schema { WL_OLD = 1, WL_NEW = 2, WL_BOTH = 3 };

/* Copies what the seeded rows hold now, to be compared by later checks. Exit code. */
int wl_snapshot(const char *url);

/* Replays the journals and compares with the database: 0, 1 something is off, 2 cannot tell. */
int wl_check(const char *url, enum wl_schema schema, const char *const *journals, int n);

#endif
