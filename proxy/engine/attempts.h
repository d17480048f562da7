/*
 * What is recorded of each attempt to take strong locks behind the gate (segue.attempts): steps of
 * expand and contract, cut-overs, their way back. Shown by SHOW ATTEMPTS.
 * Not here: attempting (gated.h).
 */
#ifndef SEGUE_ENGINE_ATTEMPTS_H
#define SEGUE_ENGINE_ATTEMPTS_H

#include <stdint.h>

#include <jansson.h>

#include "segue/base/err.h"

struct eng_engine;
struct eng_migration;

struct attempt {
    const char *kind; /* cutover, revert, step */
    const char *title;
    const char *outcome; /* done, blocked, second, gate, drain, lock, error, lost, replicas */
    double took_ms;      /* from its beginning until now */
    double drain_ms, lock_ms;
    int64_t stall_us;
    const json_t *blockers; /* array of objects, see gated.h */
    const json_t *acted;    /* whom the policy has cancelled or terminated before it */
    const char *error;      /* or NULL */
};

/* Writes the line and shows it. */
enum rc attempt_store(struct eng_engine *engine, struct eng_migration *m,
                      const struct attempt *attempt, struct err *err) MUST_CHECK;

/* Reads the last ones of all migrations onto the board. */
enum rc attempts_show(struct eng_engine *engine, struct err *err) MUST_CHECK;

#endif
