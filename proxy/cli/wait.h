/*
 * Waiting for a migration to come somewhere: polls SHOW STATUS, shows progress, survives a
 * restart of segue, lets go at Ctrl-C and says what goes on without it.
 */
#ifndef SEGUE_CLI_WAIT_H
#define SEGUE_CLI_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "client.h"

enum cli_goal {
    CLI_GOAL_READY,    /* start */
    CLI_GOAL_SOAKING,  /* migrate */
    CLI_GOAL_CUTOVER,  /* soaking, or back to ready: refused */
    CLI_GOAL_PROVEN,   /* complete: what binds since the cut-over is proven; it may be said again */
    CLI_GOAL_DONE,     /* complete */
    CLI_GOAL_REVERTED, /* rollback in soak: ready */
    CLI_GOAL_ABORTED,  /* abort, or rollback before the cut-over */
    CLI_GOAL_WAIT_READY, /* wait: whoever asked for what, it comes there or fails */
    CLI_GOAL_WAIT_SOAKING,
    CLI_GOAL_WAIT_DONE,
    CLI_GOAL_WAIT_ABORTED,
    CLI_GOAL_END, /* status --watch: done or aborted */
    CLI_GOAL_COUNT
};

enum cli_outcome { CLI_WAITING, CLI_REACHED, CLI_TURNED_BACK, CLI_FAILED };

struct cli_before { /* the state when the verb was sent; zero: there was none */
    double attempts;
    const char *error; /* borrowed; NULL: none */
};

/* What to wait for after a verb; CLI_GOAL_COUNT: nothing. The status row after it tells which of
 * its two meanings ROLLBACK had; where it could not be read (NULL), the one before. Pure. */
enum cli_goal cli_goal_of(const char *verb, const json_t *before, const json_t *now);

/* What a status row means on the way to the goal. seen_cutover: an earlier row was cutting_over.
 * waited_ms: since the verb. Pure. */
enum cli_outcome cli_outcome_of(enum cli_goal goal, const json_t *row,
                                const struct cli_before *before, bool seen_cutover, long waited_ms);

/* The status row of a migration, ended ones included; NULL when there is none or on errors. */
json_t *cli_status_row(struct cli_client *client, const char *name, enum rc *rc, struct err *err);

/* The goal of `wait --for WORD`; CLI_GOAL_COUNT: there is none of that name. Pure. */
enum cli_goal cli_goal_named(const char *word);

/* As cli_wait; timeout_ms 0: none. */
int cli_wait_for(struct cli_client *client, const char *name, enum cli_goal goal,
                 int64_t timeout_ms, bool json);

/* Returns an exit code. name NULL (CLI_GOAL_END only): all active ones. Signals are caught
 * (stop.h). */
int cli_wait(struct cli_client *client, const char *name, enum cli_goal goal, const json_t *before,
             bool json);

#endif
