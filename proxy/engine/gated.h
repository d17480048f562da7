/*
 * One transaction behind the gate: hold traffic on the tables, drain, lock in the order of oids,
 * run, commit, open. Steps of expand and contract, the cut-over and its way back all go through
 * here, so that there is one place where a strong lock is taken.
 *
 * The gate is opened on every path. Not here: trying again.
 */
#ifndef SEGUE_ENGINE_GATED_H
#define SEGUE_ENGINE_GATED_H

#include "runner.h"

enum gated_outcome {
    GATED_DONE,
    GATED_BUSY,   /* blocked, not drained, or no lock in time: rolled back, try again */
    GATED_FAILED, /* another error, in err: rolled back */
    GATED_LOST,   /* the connection went away; whether COMMIT came through is not known */
};

struct gated_spec {
    const char *kind;  /* of the attempt: step, cutover, revert */
    const char *title; /* for the attempt and the log */
    uint64_t mask;
    const char *names;   /* as eng_lock_names */
    const char *mode;    /* "ACCESS EXCLUSIVE"; "": the statements lock for themselves */
    uint64_t names_turn; /* of the mask: eng_mask_names */
    bool answers;    /* wait for those of statements under way: what they name is not there then */
    bool row_lock;   /* lock the migration's row first: the marker of the cut-over */
    bool as_read;    /* not where somebody may have made what hides a table since names were read */
    const char *sql; /* statements, separated by ";" */
    /* phase to switch to between COMMIT and opening, or -1 */
    int phase;
};

struct gated_result {
    enum gated_outcome outcome;
    const char *word; /* done, blocked, second, gate, drain, changed, lock, slow, error, lost */
    double drain_ms, lock_ms;
    int64_t stall_us;
};

/* m->blocking (and m->blockers, for people) says who was in the way when the outcome is GATED_BUSY.
 * Everything but GATED_DONE sets err. The attempt is recorded in segue.attempts. */
void gated_run(struct eng_engine *engine, struct eng_migration *m, const struct gated_spec *spec,
               struct gated_result *result, struct err *err);

/* ---- doubt.c ---- */
/* COMMIT; `names_turn`: with it what statements name (eng_mask_names). While there is no answer,
 * those that may name it wait, however long that takes. RC_AGAIN: the gate did not hold until then,
 * and nothing was said. */
enum rc gated_commit(struct eng_engine *engine, bool names_turn, struct err *err) MUST_CHECK;
/* `to` is where the transaction whose COMMIT has no answer was to go. Moves m there, and
 * publishes that, when it has been committed; needs no connection of the engine's. */
void gated_settle(struct eng_engine *engine, struct eng_migration *m, enum eng_phase_id to);

/* ---- blockers.c ---- */

/* Appends who holds locks on the relations (names as eng_lock_names) in a transaction older than
 * age_ms, the oldest first, and an autovacuum that is known to prevent wraparound, whatever its
 * age; *autovacuum (may be NULL): there is another one, which is not among them. One object a
 * blocker: pid, application_name, user, client_addr, state, age_s, query (its beginning),
 * backend_type, xact_start; or prepared_transaction and age_s. (Of a partition on its way out:
 * detaching.h.) What the server hides is null; of a session that segue carries itself address,
 * state and age are segue's, with through_segue, and with its upstream where that is a standby. Of
 * another one whose age is hidden held_s is for how long segue has seen it hold such a lock.
 * RC_ERR: could not look. */
enum rc blockers_of(struct eng_engine *engine, const char *names, unsigned age_ms, json_t *out,
                    bool *autovacuum, struct err *err) MUST_CHECK;
/* The same for people. */
/* Also objects of standbys, see replicas.h. */
void blockers_text(const json_t *list, struct buf *out);
/* The same without the beginnings of statements, in which there are literals. */
void blockers_log_text(const json_t *list, struct buf *out);

/* Does anybody else hold a lock on the relations (or their partitions) right now? */
enum rc blockers_locked(struct eng_engine *engine, const char *names, bool *locked,
                        struct err *err) MUST_CHECK;
/* Appends who these backends are. */
void blockers_describe(struct eng_engine *engine, const int32_t *pids, size_t n, json_t *out);
/* Appends sessions on standbys. */
void blockers_on_standbys(const struct sess_carried *list, size_t n, json_t *out);
/* Appends who blocks the backend `pid` now. */
void blockers_waited_for(struct eng_engine *engine, int pid, struct buf *out);
/* Makes an autovacuum on the relations step aside without anybody queueing behind us. */
void blockers_shake_off_autovacuum(struct eng_engine *engine, const char *names);
/* Appends those that have not. */
enum rc blockers_stayed(struct eng_engine *engine, const char *names, json_t *out,
                        struct err *err) MUST_CHECK;

#endif
