/*
 * What the rooms of the engine share: the engine, a migration in flight, and who does what.
 * Everything here belongs to the engine thread, except what says otherwise.
 */
#ifndef SEGUE_ENGINE_RUNNER_H
#define SEGUE_ENGINE_RUNNER_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "board.h"
#include "conn.h"
#include "hidden.h"
#include "phase.h"
#include "remaining.h"
#include "segue/base/buf.h"
#include "segue/engine/engine.h"
#include "segue/engine/plan.h"
#include "segue/net/address.h"
#include "sight.h"
#include "throttle.h"

struct eng_fill;   /* fill.h */
struct eng_pool;   /* fill.h */
struct eng_verify; /* verify.c */
struct eng_usage;  /* usage.h */
struct eng_policy; /* policy.h */

/* A relation that migrating locks: the plan's tables, and what else its gated steps lock. Named as
 * when it was planned: a table may have changed its name since (eng_locked_called). */
struct eng_locked {
    char *schema, *name;
    int table;  /* index into plan->tables, or -1 */
    int bit;    /* in the published rules; -1: not published */
    bool turns; /* the cut-over locks it */
};

/* When a cut-over is to begin, see schedule.h. */
struct eng_due {
    bool set, wait_replicas, postponed;
    int64_t at_us, read_us; /* read: the database's clock may be set meanwhile */
    char at[32];            /* UTC, for people */
};

/* What standbys are to have replayed, see replicas.h. */
struct eng_caught_up {
    char lsn[24]; /* "": it has not begun */
    int64_t until_us;
    json_t *names; /* who was there when it began */
};

struct eng_stats {
    int64_t rows_done, rows_total;
    double rows_per_s; /* 0: unknown */
    double progress;   /* 0..100, of the road to ready */
    int64_t stall_us_max, lock_us_max;
    int64_t rows_verified, rows_bad; /* last verify; -1: none yet */
    int64_t rows_wrapped;            /* in step, holding text that segue.json_or_wrap wrapped */
    int64_t bytes_before, bytes_now;
    unsigned attempts;
    struct remaining remaining;
    enum eng_phase_id remaining_of; /* the phase that it was measured in */
};

struct eng_migration {
    int64_t id;
    char *name;
    struct eng_plan *plan;
    enum eng_phase_id phase;
    bool paused, migrate, force;
    struct err failure;      /* set: stopped at a step; resume tries again */
    bool unsaved;            /* that could not be written down (no room on the disk) */
    int64_t stopped_said_us; /* when the log had it */
    int64_t epoch;
    char started_at[40], cutover_at[40], finished_at[40];

    bool *step_done; /* by index into plan->steps */
    struct eng_locked *locked;
    size_t nlocked;
    struct eng_shown *shown; /* see shown.h */
    size_t nshown;

    int64_t not_before_us;     /* no turn before */
    int64_t unjudged_until_us; /* expand waits for statements of before the rules; 0: not begun */
    unsigned changed_under;    /* so often the catalog changed while it came to a gate of expand */
    unsigned retries;          /* of what runs now */
    unsigned slow;             /* so often, one after the other, it took too long under its lock */
    unsigned tried;            /* attempts of this cut-over, or of this way back */
    bool wait_replicas;        /* this cut-over: once they have caught up */
    struct eng_due due;
    struct eng_caught_up caught_up;
    char *elders; /* rows of VALUES, who is waited for before `ready`: elders.h; NULL: nobody */
    char elders_before[24]; /* the xid before which their snapshots, and those of standbys, are */
    struct eng_policy *policy;
    struct eng_conn lng; /* long statements of this migration */
    int64_t yield_us;    /* no look before whether it is to give way (yield.h) */
    int long_step;       /* index of the step that runs on lng, -1: none */
    int64_t long_since_us;
    char *long_on;        /* the partition that it was sent for, qualified and quoted, or NULL */
    char *long_makes;     /* the index that it makes there, as the catalog has it */
    char step[200];       /* title of what runs now */
    struct buf blockers;  /* text */
    json_t *blocking;     /* who was in the way last: an array, see gated.h */
    json_t *acted;        /* whom the policy has ended since the last attempt, see policy.h */
    struct buf throttled; /* text: every reason that holds or slows */

    struct eng_fill *fill;
    struct eng_verify *verify;
    struct eng_job *verify_jobs[8]; /* waiting for the pass that runs */
    size_t nverify_jobs;
    bool verify_wanted;
    bool repairing;
    unsigned repairs;
    int64_t turned_ms; /* clock_ms() of the cut-over; INT64_MIN: the old names are the truth */
    int64_t refreshed_us;
    struct err unbuilt; /* set: an index that a partition wants since; tried again at leaves_us */
    int64_t leaves_us; /* no look for partitions without an index of theirs before (leaf_index.h) */
    struct eng_stats stats;
};

struct eng_inbox {
    struct eng_job *job;
    struct eng_inbox *next;
};

/* What workers were given last. */
struct eng_published {
    int64_t epoch;
    struct buf meaning, states; /* see snapshot.h */
};

#define MOVED_SAME_MAX 8

struct eng_engine {
    struct eng_options options; /* upstream owned */
    struct eng_options reload;  /* under lock, taken when reload_wanted */
    bool reload_wanted;
    struct sess_plane *plane;
    struct eng_board *board;
    pthread_t thread;
    bool started; /* under lock */
    bool retired; /* taken over: it only follows who came after; under lock */
    atomic_bool stop;
    pthread_mutex_t lock; /* inbox, started, reload */
    struct eng_inbox *head, **tail;
    int wakefd;

    atomic_int predecessor;       /* process whose sessions are not behind our gate; 0: none */
    atomic_int predecessor_first; /* of its chain: who has some of the sessions; 0: not said */
    atomic_uint predecessor_sessions;
    atomic_bool held;  /* by eng_hold: nothing that needs the gate begins */
    atomic_bool gated; /* something that needs the gate runs, or is about to */

    struct eng_conn work;
    bool ready;                        /* connected, advisory lock held, migrations loaded */
    bool store;                        /* the schema segue is there */
    bool asleep;                       /* not connected, and nobody is here who needs it */
    bool lost;                         /* it was dropped while it was needed */
    bool told;                         /* workers have had rules, or the word that there are none */
    bool serves_others;                /* when last it did not take this, the server took others */
    atomic_bool asked;                 /* a client waits for them, or has changed the catalog */
    unsigned connects_failed, dropped; /* attempts; connections that did not last, in a row */
    int64_t connected_us;
    int64_t began_us, connect_at_us, lock_said_us;
    int64_t reported_us; /* the predecessor first said how many sessions it has; 0: not yet */
    struct cat_reach *elsewhere; /* moved.c: where the upstream's name leads now; NULL: here */
    int64_t moved_due_us;        /* the next look at that */
    char moved_same[MOVED_SAME_MAX][NET_ADDRESS_HOST]; /* addresses that led to this same server */
    unsigned moved_nsame;                              /* so many were found; the oldest go */
    bool open_said;                                    /* that the connection takes long */
    bool asks;         /* another segue, to hold its clients: second.h */
    bool obeyed;       /* has held, or tried to, since the other one asked */
    bool unknown_said; /* it was warned that the store does not tell what the other one does */
    /* backend of our last good connection, to end it should the lost one linger */
    int backend_pid;
    char backend_start[40];
    int64_t epoch;
    struct eng_sight sight;
    int64_t sight_due_us;  /* when the catalog is to be read for it again */
    int64_t sight_soon_us; /* and when there is a sign that it has changed */
    uint64_t changes;      /* of which it knows (sess_plane_changes) */
    bool overtaking;       /* what is unjudged has its locks by now, or will not be waited for */
    uint64_t settled;      /* of them, before no open transaction had made a relation */
    struct eng_published published;
    uint64_t doubt_position; /* while a COMMIT without an answer is settled: eng_position; 0: not */
    struct buf followed;     /* what the store said last while another segue has the lock */
    struct eng_migration **migrations; /* active ones */
    size_t nmigrations;
    struct throttle throttle;
    struct eng_pool *pool; /* connections of the backfill; NULL: not needed yet */
    struct eng_usage *usage;
    struct hidden hidden;
};

/* ---- engine.c ---- */
void eng_jobs_refuse(struct eng_engine *engine, const struct err *why); /* those that wait now */

/* ---- connect.c ---- */
/* No migration is in flight, as far as this engine knows; who waits is answered. */
void eng_forget_all(struct eng_engine *engine);
/* One try, when it is time for it: engine->ready once the lock is held and all is read back. */
void eng_connect_turn(struct eng_engine *engine);
/* A connection that idles may be gone, and a pause before the next attempt may be long: found out
 * and made up for before a job is run, not by it. */
void eng_connect_for_job(struct eng_engine *engine);
void eng_disconnect(struct eng_engine *engine, const struct err *err); /* it is lost: says so */

/* Its socket is readable, and nothing was asked: it may have ended. */
void eng_heed(struct eng_engine *engine);

/* ---- moved.c ---- */
/* Leads the upstream's name to another server by now? Then the connection is given up. */
void eng_moved_turn(struct eng_engine *engine);
void eng_moved_forget(struct eng_engine *engine);

/* ---- turns.c ---- */
void eng_round(struct eng_engine *engine); /* a turn for each migration; the connection is up */

/* second.c: somebody else has the advisory lock; says so from time to time, and publishes the rules
 * of what the other one does */
void eng_lock_waits(struct eng_engine *engine);
/* Opens a further connection of this engine, which ends when another one takes the lock. 08006: it
 * is another's already; 55P03: a stranger keeps it from having its mark. */
enum eng_beside { ENG_BESIDE_BATCH, ENG_BESIDE_LONG };
enum rc eng_beside_open(struct eng_engine *engine, struct eng_conn *conn, enum eng_beside what,
                        struct err *err) MUST_CHECK;
/* Ends those of whoever had the lock before. RC_AGAIN: some have not ended yet. */
enum rc eng_beside_end_others(struct eng_engine *engine, struct err *err) MUST_CHECK;
/* Is a backend still at this long statement, whose segue, or whose connection, was lost? */
enum rc eng_beside_sent(struct eng_engine *engine, const char *sql, bool *is,
                        struct err *err) MUST_CHECK;
/* The same; and such a backend is cancelled, and may be there for a moment more. */
enum rc eng_beside_cancel(struct eng_engine *engine, const char *sql, bool *is,
                          struct err *err) MUST_CHECK;

/* ---- migration.c: making, freeing, what the parts need of it ---- */
struct eng_migration *eng_migration_new(struct eng_plan *plan);
void eng_migration_free(struct eng_migration *m);
void eng_migration_let_go(struct eng_migration *m); /* of its statement, its fill, its verify */
struct eng_migration *eng_migration_find(struct eng_engine *engine, const char *name);
void eng_migration_add(struct eng_engine *engine, struct eng_migration *m);
void eng_migration_drop(struct eng_engine *engine, struct eng_migration *m); /* frees */
void eng_sleep(struct eng_migration *m, int64_t ms); /* no turn for so long */
/* What the catalog calls it now, and what the other side of the cut-over does (NULL: the same). */
struct eng_called {
    const char *name, *other;
};
struct eng_called eng_locked_called(const struct eng_migration *m, const struct eng_locked *locked);
/* The name that the migration gives to it, or NULL. */
const char *eng_renamed_to(const struct eng_migration *m, const struct eng_locked *locked);
uint64_t eng_mask_all(const struct eng_migration *m);
/* The same where statements may name what the other side of a turn does not have: a table's name,
 * or what a key is over (ON CONFLICT, GROUP BY). Else 0. */
uint64_t eng_mask_names(const struct eng_migration *m);
uint64_t eng_mask_step(const struct eng_migration *m, const struct eng_step *step);
/* "'a.b', 'c.d'" of the relations a step locks (NULL: all the migration's), for to_regclass. */
char *eng_lock_names(const struct eng_migration *m, const struct eng_step *step);

/* ---- clash.c ---- */

/* RC_ERR: another migration in flight has one of this plan's relations, or one of the two renames a
 * table by whose names the other makes or does something. */
enum rc eng_migration_clash(struct eng_engine *engine, const struct eng_migration *m,
                            struct err *err) MUST_CHECK;
/* The same of one table, under any of its names; what `err` said before is forgotten then. */
enum rc eng_migration_clash_table(struct eng_engine *engine, const char *schema, const char *name,
                                  struct err *err) MUST_CHECK;

/* ---- wait.c ---- */
bool eng_wants_turn(const struct eng_migration *m); /* now */
void eng_wait(struct eng_engine *engine); /* for a job, an answer to a batch, the next turn */

/* ---- publish.c ---- */
/* Publishes the snapshot of everything active under engine->epoch, which grows when it would mean
 * two things. */
void eng_publish(struct eng_engine *engine);
/* From time to time: has the catalog changed, how far has the backfill come? Publishes if so. */
void eng_publish_refresh(struct eng_engine *engine);
/* In the WAL, behind what was committed until now. */
enum rc eng_position(struct eng_conn *conn, uint64_t *position, struct err *err) MUST_CHECK;
int64_t eng_publish_due_us(const struct eng_engine *engine); /* when there may be something to do */
void eng_published_fini(struct eng_published *published);

/* ---- rooms ---- */
/* One step of the stage at most. RC_OK: the stage is complete. */
enum rc eng_steps_turn(struct eng_engine *engine, struct eng_migration *m, enum eng_stage stage,
                       struct err *err) MUST_CHECK;
void eng_steps_cancel(struct eng_migration *m); /* what runs on the long connection */
enum rc eng_fill_turn(struct eng_engine *engine, struct eng_migration *m,
                      struct err *err) MUST_CHECK;   /* RC_OK: every row of every table visited */
void eng_fill_drop(struct eng_migration *m);         /* m->fill, where there is one */
bool eng_fill_wanted(const struct eng_migration *m); /* it goes on, or is to begin */
/* When all was filled: is there more since? Then the next turn goes on with it. */
enum rc eng_fill_more(struct eng_engine *engine, struct eng_migration *m, bool *more,
                      struct err *err) MUST_CHECK;
enum rc eng_fill_restart(struct eng_engine *engine, struct eng_migration *m,
                         struct err *err) MUST_CHECK; /* forgets the watermarks: repair pass */
/* 0..1 of the work; *rows_total: rows that will have been filled, 0 without a fill. */
double eng_fill_share(const struct eng_migration *m, int64_t *rows_total);
/* Sockets on which something of its backfill ends, at most max: how many. */
size_t eng_fill_fds(const struct eng_engine *engine, const struct eng_migration *m,
                    struct pollfd *fds, size_t max);
#define ENG_FILL_FDS_MAX 17                     /* a migration */
void eng_pool_trim(struct eng_engine *engine);  /* closes connections that nobody needs */
void eng_pool_close(struct eng_engine *engine); /* all of them, and what runs there */

/* One range of blocks. RC_OK: the pass is complete, stats.rows_verified / rows_bad are set and
 * the result is stored. */
enum rc eng_verify_turn(struct eng_engine *engine, struct eng_migration *m,
                        struct err *err) MUST_CHECK;
void eng_verify_drop(struct eng_migration *m); /* what runs, and what was wanted */
double eng_verify_share(const struct eng_migration *m);
void eng_verify_answer(struct eng_engine *engine, struct eng_migration *m,
                       const struct err *err); /* waiting jobs */
enum rc eng_verify_wanted_turn(struct eng_engine *engine, struct eng_migration *m,
                               struct err *err) MUST_CHECK; /* on demand */

enum rc eng_phase_planned(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_expanding(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_backfilling(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_verifying(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_ready(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_cutting_over(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_soaking(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_contracting(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_aborting(struct eng_engine *, struct eng_migration *, struct err *);
enum rc eng_phase_reverting(struct eng_engine *, struct eng_migration *, struct err *);

/* Refusals of `cutover`, `complete` and `abort`, before the phase moves. */
enum rc eng_cutover_preflight(struct eng_engine *engine, struct eng_migration *m,
                              struct err *err) MUST_CHECK;
enum rc eng_contract_preflight(struct eng_engine *engine, struct eng_migration *m,
                               struct err *err) MUST_CHECK;
enum rc eng_abort_preflight(struct eng_engine *engine, struct eng_migration *m,
                            struct err *err) MUST_CHECK;
/* ENG_NOT_PROVEN while a constraint of the new schema is not proven for every row (55006: and will
 * not be without help); force is no help. */
enum rc eng_proofs_check(const struct eng_migration *m, struct err *err) MUST_CHECK;
/* What the steps of contract themselves would find (ENG_LOOKS), when there is no way back any more;
 * nor does force help. */
enum rc eng_contract_looks(struct eng_engine *engine, const struct eng_migration *m,
                           struct err *err) MUST_CHECK;

/* Of soak; of ready, what is proven again. */
unsigned eng_proofs_left(const struct eng_migration *m);
unsigned eng_builds_left(const struct eng_migration *m); /* steps that ready does again */

/* bypass.c: writes that the guard has not seen would be lost with the side that follows, or goes.
 */
/* Are all rows in step, as far as can be told: by the last verify (what it has found is the
 * operator's to correct), by guards that are on and always were, by the rows where they were not.
 */
enum rc eng_rows_check(struct eng_engine *engine, struct eng_migration *m,
                       struct err *err) MUST_CHECK;
/* Are the guards on, as a statement that fails, for the transaction that turns or drops the guards
 * of all tables (-1) or of one, under its lock: the turned guard would bear no trace. Heap; ""
 * where nothing is filled. */
char *eng_guards_sql(const struct eng_migration *m, int table);
/* Of tables that inherit from those of the migration: part of eng_rows_check and of eng_guards_sql,
 * and what an abort looks for, which asks for nothing else of the rows. */
enum rc eng_heirs_check(struct eng_engine *engine, const struct eng_migration *m,
                        struct err *err) MUST_CHECK;
char *eng_heirs_sql(const struct eng_migration *m, int table);
/* Behind it, when the guards have been turned: the rows of the catalog that it has written are no
 * trace of others. Heap. */
char *eng_guards_turned_sql(const struct eng_migration *m);
/* A pass over these has found their rows in step. */
struct eng_relations;
enum rc eng_guards_seen(struct eng_engine *engine, const struct eng_migration *m,
                        const struct eng_relations *relations, struct err *err) MUST_CHECK;
/* What is to be done about rows that verify has found, and what of the file may be their cause. */
void eng_verdict_hint(const struct eng_migration *m, const char *hint, struct err *err);
/* What turns, is filled or dropped must be what was planned for: another table of that name is not.
 * refused: TABLE_BIT()s of relations.h. */
enum rc eng_tables_check(struct eng_engine *engine, struct eng_migration *m, unsigned refused,
                         struct err *err) MUST_CHECK;
/* The last part of eng_rows_check: rows of partitions that came after the backfill, and of
 * relations from which the guard was away: in step, as the phase has it? */
enum rc eng_attached_check(struct eng_engine *engine, struct eng_migration *m,
                           struct err *err) MUST_CHECK;
/* From time to time at rest: partitions that have come, and are empty yet, need no such look. */
void eng_parts_watch(struct eng_engine *engine, const struct eng_migration *m);

/* lost.c */
/* A statement has failed: because schema segue was dropped? Then err says that instead. */
bool eng_store_lost(struct eng_engine *engine, struct err *err);
void eng_store_lost_stop(struct eng_engine *engine); /* what is in flight */

/* predecessor.c */
/* True: gated_run may be called, and must be. False: what needs the gate waits, and the migration's
 * blockers say for whom. */
bool eng_gate_free(struct eng_engine *engine, struct eng_migration *m);
/* The process, while it has sessions or may have some; else 0. */
int eng_predecessor_serves(struct eng_engine *engine);
/* Of it and those before it: whose sessions are waited for. 0: there is no predecessor. */
int eng_predecessor_first(struct eng_engine *engine);
/* While it lives, its sessions count as users of old names. */
void eng_predecessor_unseen(struct eng_engine *engine, struct eng_migration *m);

/* usage.c: who uses which names, from the workers to the board and to segue.usage */
struct eng_usage *eng_usage_new(size_t entries_max);
void eng_usage_free(struct eng_usage *usage);
uint64_t eng_usage_tag(const struct eng_migration *m, size_t locked); /* of m->locked[locked] */
void eng_usage_look(struct eng_engine *engine); /* takes what workers have seen, now */
void eng_usage_turn(struct eng_engine *engine); /* looks, writes and shows when it is time */
void eng_usage_forget_ended(struct eng_engine *engine); /* what is of migrations that are gone */
/* Somebody whom nobody sees may use old names. */
void eng_usage_unseen(struct eng_engine *engine, struct eng_migration *m, const char *why);
/* When an old name was last used since the cut-over; false: never. */
bool eng_usage_old_last(struct eng_engine *engine, const struct eng_migration *m, int64_t *last_ms);
/* How many clients have used old names after that (clock_ms()) and since the cut-over; appends who
 * the latest of them are. */
size_t eng_usage_old_clients(struct eng_engine *engine, const struct eng_migration *m,
                             int64_t after_ms, struct buf *out);
/* usage_store.c: segue.usage */
enum rc eng_usage_load(struct eng_engine *engine, struct err *err) MUST_CHECK;
void eng_usage_save(struct eng_engine *engine);
/* outside.c: clients that connect past segue. Appends how many there are that count, if any; 55006
 * when there are. */
void eng_outside_tell(struct eng_engine *engine, struct buf *out);
enum rc eng_outside_check(struct eng_engine *engine, const struct eng_migration *m,
                          struct err *err) MUST_CHECK;

/* jobs.c */
void eng_job_run(struct eng_engine *engine, struct eng_job *job);
void eng_job_answer(struct eng_job *job); /* done(), then freed */

/* status.c: board rows from a migration; the periodic look at sizes */
void eng_status_put(struct eng_engine *engine, struct eng_migration *m);
enum rc eng_status_refresh(struct eng_engine *engine, struct eng_migration *m,
                           struct err *err) MUST_CHECK;
enum rc eng_status_bytes(struct eng_engine *engine, struct eng_migration *m,
                         struct err *err) MUST_CHECK; /* stats.bytes_now, and nothing is shown */

#endif
