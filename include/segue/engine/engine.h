/*
 * The control plane: one engine thread, blocking libpq on its own direct connections, the only
 * place that runs DDL (DESIGN 2). The console and main talk to it here.
 *
 *   engine = eng_new(&options, plane); eng_start(engine); eng_submit(engine, job); eng_stop().
 *
 * A job is answered once, by job->done on the engine thread (or on the caller's thread when the
 * engine is not running). Questions (eng_show_*) are answered at once from the status board.
 */
#ifndef SEGUE_ENGINE_ENGINE_H
#define SEGUE_ENGINE_ENGINE_H

#include <limits.h>
#include <stdbool.h>

#include <jansson.h>

#include "segue/base/err.h"
#include "segue/session/plane.h"

struct eng_engine;

/* Pauses after the first attempt, the second, ...; the last one stays. */
#define ENG_BACKOFF_MAX 16
struct eng_backoff {
    unsigned n; /* at least 1 */
    int64_t ms[ENG_BACKOFF_MAX];
};

/* What becomes of those in the way of a cut-over, rollback or complete. */
enum eng_blockers { ENG_BLOCKERS_WAIT, ENG_BLOCKERS_CANCEL, ENG_BLOCKERS_TERMINATE };

struct eng_options {
    const char *upstream;          /* connection URL or string of the control plane */
    unsigned lock_timeout_ms;      /* DDL: 200 */
    unsigned drain_timeout_ms;     /* cut-over: 1000 */
    unsigned gate_hold_max_ms;     /* hard deadline: 2000 */
    unsigned cutover_attempts_max; /* then back to ready: 10 */
    struct eng_backoff backoff;    /* of cut-over and its way back */
    enum eng_blockers blockers;
    unsigned blockers_after_ms;      /* in the way for so long: 10000 */
    const char *blockers_exempt;     /* rules, see engine/exempt.h */
    const char *postpone_file;       /* "": none */
    unsigned late_max_s;             /* of a cut-over at a time: 300 */
    unsigned replicas_wait_ms;       /* 60000 */
    unsigned transaction_age_max_ms; /* pre-flight limit for old transactions: 5000 */
    unsigned batch_target_ms;        /* 100 */
    unsigned batch_lock_timeout_ms;  /* 50 */
    unsigned batch_wal_bytes_max;    /* 64 MiB */
    unsigned vacuum_rows;            /* interleaved VACUUM every so many rows: 100000; 0: never */
    const char *throttle;            /* eng_throttle_check has let it pass */
    unsigned quiet_period_s;         /* complete: 900 */
    unsigned usage_entries_max;      /* who uses which names: 1000 */
};

enum eng_verb {
    ENG_PLAN,     /* arg: file text. Answer: eng_plan_table. Touches nothing */
    ENG_START,    /* arg: file text. Answered when `planned` is durable: {"migration": name} */
    ENG_CUTOVER,  /* the rest: answered when accepted; the phase tells the outcome */
    ENG_COMPLETE, /* force: in spite of recent users of old names */
    ENG_ROLLBACK, /* before cut-over: abort; in soak: back to ready */
    ENG_ABORT,    /* force: drop created tables even when they hold rows */
    ENG_VERIFY,   /* a full pass now; answered when it ends, with its counts */
    ENG_PAUSE,    /* name NULL: all */
    ENG_RESUME,   /* also clears a failure: tries again from where it stopped */
    ENG_THROTTLE, /* arg: signal, value: "off", "on", "default", its limit or its setting */
    ENG_EVIDENCE, /* answer: one row, one JSON document of what has happened; ended ones, too */
    ENG_BASELINE, /* name, arg: note, force: in spite of drift. Records the present schema */
    ENG_SNAPSHOT, /* name NULL: as it is; else as recorded. Answer: one row, one JSON document */
    ENG_DIFF,     /* the schema as it is against the one recorded last */
    ENG_VERSIONS, /* what stands in the version tables of Alembic and drizzle */
    ENG_DOCTOR,   /* name or NULL. Answer: eng_doctor (engine/doctor.h); works without a database */
    ENG_VERB_COUNT
};

/* SQLSTATE of COMPLETE while constraints that bind since the cut-over are being proven: nothing is
 * wrong, it may be said again when the status has no `proofs_left`. */
#define ENG_NOT_PROVEN "55S01"

struct eng_job {
    enum eng_verb verb;
    char *name; /* migration, or NULL */
    char *arg, *value;
    bool force;
    bool branch;                  /* PLAN, START: a second head is meant */
    bool migrate;                 /* START: go on through cut-over to soaking by itself */
    bool withdraw, wait_replicas; /* CUTOVER; arg: the time, or NULL for now */
    bool skip;                    /* RESUME: without the statements that it has stopped at */
    const char *accepted;         /* what the answer says of that; NULL: "yes" */
    void (*done)(struct eng_job *job, void *ctx); /* must not block; job is freed after it */
    void *ctx;
    struct err err; /* set: refused */
    json_t *result; /* {"columns", "rows"} or NULL */
};

/* For the row of option `throttle`: [{"signal": "query", "setting": "SELECT ...", "limit": 10},
 * ...],
 * "" for none. RC_ERR: which item, which field, what is allowed. */
enum rc eng_throttle_check(const char *json, struct err *err) MUST_CHECK;

struct eng_job *eng_job_new(enum eng_verb verb);
void eng_job_free(struct eng_job *job);

/* Copies the options. */
struct eng_engine *eng_new(const struct eng_options *options, struct sess_plane *plane);
enum rc eng_start(struct eng_engine *engine, struct err *err) MUST_CHECK;
void eng_stop(struct eng_engine *engine); /* ends the running step at a safe place, joins */
/* Another process has taken over: stops, and then only follows what the store says, for the clients
 * that are left, until eng_stop. */
void eng_retire(struct eng_engine *engine);
void eng_free(struct eng_engine *engine);
void eng_reload(struct eng_engine *engine, const struct eng_options *options); /* SIGHUP */

/* A segue that was taken over, and those before it, still serve this many sessions
 * (ENG_SESSIONS_UNKNOWN: not known yet), `first` of them some (0: it is not said); pid 0: it has
 * ended. As long as it lives nothing is done that needs the gate. From any thread. */
#define ENG_SESSIONS_UNKNOWN UINT_MAX
void eng_predecessor(struct eng_engine *engine, int pid, int first, unsigned sessions);

/* Another segue is about to accept clients, which are not behind this engine's gate: what needs the
 * gate does not begin until hold is false again. True: nothing of the kind runs. False: something
 * still did after wait_ms, and nothing is held. From any thread. */
bool eng_hold(struct eng_engine *engine, bool hold, unsigned wait_ms);

/* Takes the job. From any thread; never blocks. */
void eng_submit(struct eng_engine *engine, struct eng_job *job);

/* From the status board, from any thread, no database access; caller decrefs.
 * Each is {"columns": [...], "rows": [[...], ...]}. */
json_t *eng_show_migrations(struct eng_engine *engine); /* one row a migration: name, phase, ... */
json_t *eng_show_status(struct eng_engine *engine, const char *name); /* name NULL: all active */
json_t *eng_show_throttle(struct eng_engine *engine);
json_t *eng_show_history(struct eng_engine *engine);
json_t *eng_show_usage(struct eng_engine *engine, const char *name);    /* name NULL: all active */
json_t *eng_show_attempts(struct eng_engine *engine, const char *name); /* name NULL: of all */
/* Sets err (42704, with those that are in flight) where no migration has that name, now or before.
 * Of an engine that is not connected (eng_connected) that tells nothing. */
void eng_check_migration(struct eng_engine *engine, const char *name, struct err *err);
bool eng_connected(struct eng_engine *engine); /* has the engine its advisory lock? */
char *eng_trouble(struct eng_engine *engine);  /* why not; "" when there is nothing to say. Heap */

#endif
