/*
 * What the rooms of the backfill share. A fill belongs to a migration: its relations, each in one
 * range of blocks or, where several workers are at it, in several. A pool belongs to the engine:
 * the connections on which batches run, shared by all migrations in flight.
 *
 * A batch is one string of statements, so that the server commits it (or not) whatever becomes of
 * this process or of its next turn: nobody ever waits for rows that segue holds while it does
 * something else.
 *
 * Rooms: backfill.c (who does what next), fill_batch.c (the SQL and its answer), fill_mark.c (the
 * watermarks), fill_pool.c (connections and whose turn it is), fill_vacuum.c, fill_guess.c (how
 * much is left).
 */
#ifndef SEGUE_ENGINE_FILL_H
#define SEGUE_ENGINE_FILL_H

#include "runner.h"
#include "sizing.h"

#define FILL_WORKERS_MAX 16
#define FILL_NONE SIZE_MAX
#define FILL_STRIPS 64 /* parts of a relation, for the estimate */

struct fill_text { /* a table's expressions */
    char *set, *in_step, *unfilled;
    char *weight; /* bytes as they are stored of what `up` reads of a row; NULL: of nothing */
};

struct fill_relation {
    uint32_t oid;
    char *name; /* qualified and quoted */
    uint32_t relfilenode;
    int table;                  /* index into plan->tables */
    double out_of_line;         /* bytes of its TOAST table, where `up` may read there */
    double vacuum_every;        /* rows; 0: not looked up */
    double since_vacuum;        /* rows filled */
    double vacuum_owed;         /* what that was when its VACUUM began */
    unsigned given_way;         /* times in a row that its VACUUM has */
    int64_t skipped;            /* ranges in which rows were locked; -1: to be looked up */
    unsigned left, busy;        /* ranges with blocks ahead; batches under way (fill_survey) */
    int64_t skipped_last;       /* when it was last looked up */
    unsigned revisits;          /* that did not help */
    int64_t blocks;             /* when it was sampled */
    double strips[FILL_STRIPS]; /* rows there, by the sample */
    int64_t revisit_at_us;
    bool rewritten; /* it is another file now, or gone: to begin again once no batch is on it */
    bool done;
};

/* A row of segue.progress, named by where it begins. */
struct fill_range {
    size_t relation;
    int64_t from, next, end; /* blocks */
    int item;                /* in block next, where a batch has ended within it; 0: all of it */
    int64_t rows;
};

struct fill_batch {
    size_t relation, range;
    int64_t from, to; /* blocks */
    int item;         /* in block from */
    double rows_max;  /* it ends before the block in which more of them begin; 0: no cap */
    double bytes_max; /* it ends behind the row with which there are more; 0: no cap */
    bool skip_locked; /* after a lock timeout */
    bool revisit;     /* of rows that were skipped */
};

struct fill_answer {
    int64_t rows, range_rows; /* of the batch; of its range so far */
    int64_t to;               /* block: where it ended */
    int item;                 /* in that one, likewise */
    double ms;                /* by the server's clock */
    double wal_bytes;         /* the server's, while the batch ran */
};

struct eng_fill {
    struct fill_text *texts; /* one a table of the plan; set NULL: nothing to fill there */
    size_t ntexts;
    struct fill_relation *relations;
    size_t nrelations;
    struct fill_range *ranges;
    size_t nranges;
    size_t vacuuming; /* relation, or FILL_NONE */
    bool giving_way;  /* its VACUUM was told to end */
    unsigned pinned;  /* looks in a row that found it at a page of somebody's */
    struct eng_pool *pool;
    struct sizing sizing[FILL_WORKERS_MAX]; /* by slot */
    enum throttle_verdict verdict;
    int64_t started_us, wanted_us; /* a batch; one, but others were first */
};

struct fill_slot {
    struct eng_conn conn;  /* busy: the batch runs */
    struct eng_fill *fill; /* whose batch it is; NULL: none runs */
    struct fill_batch batch;
    int64_t began_us, ended_us;
    double ms;             /* that the last batch took */
    int64_t open_after_us; /* connecting has failed: not again before */
};

struct eng_pool {
    struct fill_slot slots[FILL_WORKERS_MAX];
    int quiet_triggers; /* may set session_replication_role: 1 yes, 0 no, -1 not tried */
};

/* ---- fill_mark.c: segue.progress and segue.skipped, over the work connection ---- */

/* Reads the watermarks of a table, or writes the first ones. */
enum rc fill_mark_load(struct eng_engine *engine, struct eng_migration *m, struct eng_fill *fill,
                       int table, struct err *err) MUST_CHECK;
/* From block 0 again, with the relation's present name, file and size. No batch may be on it. */
enum rc fill_mark_again(struct eng_engine *engine, struct eng_migration *m, size_t relation,
                        struct err *err) MUST_CHECK;
/* What is left of the range from `at` on becomes a range of its own: its index in *out. */
enum rc fill_mark_split(struct eng_engine *engine, struct eng_migration *m, size_t range,
                        int64_t at, size_t *out, struct err *err) MUST_CHECK;
/* One of the ranges with locked rows, by chance, into batch; rel->skipped: how many there are. */
enum rc fill_mark_skipped(struct eng_engine *engine, struct eng_migration *m,
                          struct fill_relation *rel, struct fill_batch *batch,
                          struct err *err) MUST_CHECK;
/* Partitions that were attached meanwhile get their watermarks; *any: there were some. */
enum rc fill_mark_new(struct eng_engine *engine, struct eng_migration *m, bool *any,
                      struct err *err) MUST_CHECK;
/* Is something of what has watermarks not filled yet? */
enum rc fill_mark_left(struct eng_engine *engine, const struct eng_migration *m, bool *left,
                       struct err *err) MUST_CHECK;
/* The fill steps of the plan are done. */
enum rc fill_mark_steps(struct eng_engine *engine, struct eng_migration *m,
                        struct err *err) MUST_CHECK;

/* ---- fill_batch.c ---- */

/* SQLSTATE of a batch whose relation is not the file of the watermark any more. */
#define FILL_OTHER_FILE "SG001"

char *fill_weight(const struct eng_table *table); /* heap, or NULL */
char *fill_batch_sql(struct eng_engine *engine, const struct eng_migration *m,
                     const struct fill_batch *batch); /* heap */
bool fill_batch_answer(const PGresult *res, struct fill_answer *out);

/* ---- fill_guess.c ---- */

struct fill_guess {
    double share; /* 0..1 of the work */
    double rows;  /* filled in the end: never less than are by now */
};

/* Once, when the ranges are known; without a sample all blocks are held to be alike. */
void fill_guess_sample(struct eng_engine *engine, struct eng_fill *fill);
struct fill_guess fill_guess(const struct eng_fill *fill);

/* ---- fill_pool.c ---- */

struct eng_pool *eng_pool_of(struct eng_engine *engine); /* made when it is not there */
/* An idle slot that may be used now, or NULL; *due_us: when one may be, at the latest. */
struct fill_slot *fill_pool_idle(struct eng_engine *engine, struct eng_migration *m,
                                 int64_t *due_us);
/* Sends the batch. RC_AGAIN: this slot cannot connect now, others do. */
enum rc fill_pool_send(struct eng_engine *engine, struct eng_migration *m, struct fill_slot *slot,
                       const struct fill_batch *batch, struct err *err) MUST_CHECK;
unsigned fill_pool_busy(const struct eng_pool *pool, const struct eng_fill *fill); /* NULL: all */
void fill_pool_freed(struct eng_engine *engine, const struct eng_migration *m); /* a slot, by m */
/* May m begin a batch, or is it another migration's turn? */
bool fill_pool_turn(struct eng_engine *engine, struct eng_migration *m);
enum rc fill_pool_triggers(struct eng_engine *engine, struct err *err) MUST_CHECK;
void fill_pool_leave(struct eng_pool *pool, const struct eng_fill *fill); /* ends its batches */

/* ---- fill_vacuum.c ---- */

/* Looks up how often the relation is vacuumed. */
enum rc fill_vacuum_plan(struct eng_engine *engine, struct fill_relation *rel,
                         struct err *err) MUST_CHECK;
bool fill_vacuum_due(const struct eng_engine *engine, const struct fill_relation *rel);
/* Rows that the next batch on the relation may fill, so that the table stays small: 0 while its
 * VACUUM is behind, INFINITY while nothing is known. */
double fill_vacuum_room(const struct eng_fill *fill, size_t relation);
enum rc fill_vacuum_start(struct eng_engine *engine, struct eng_migration *m, size_t relation,
                          struct err *err) MUST_CHECK;
/* Takes its answer, if there is one. Whoever waits for its lock does not wait for its end: it is
 * cancelled, and comes again. *due_us: the next look at the latest. */
void fill_vacuum_poll(struct eng_engine *engine, struct eng_migration *m, int64_t *due_us);

#endif
