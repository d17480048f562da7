/*
 * Replicas that segue asks itself, over a connection to each (throttle signal direct_lag_s): for
 * those that pg_stat_replication does not know, such as cascaded ones, those fed by files, or those
 * behind a service that hides them. Nothing here waits: connecting and asking go on from look to
 * look, and what has not answered for STANDBY_STALE_MS is not known.
 */
#ifndef SEGUE_ENGINE_STANDBY_H
#define SEGUE_ENGINE_STANDBY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/err.h"

#define STANDBY_MAX 16
#define STANDBY_STALE_MS 5000

struct standbys;

/* "postgresql://a/db, host=b port=5433": connection strings with commas between them. 22023 when
 * one is none, or holds a password: it would be stored and shown (a password file is for that). */
enum rc standbys_check(const char *list, struct err *err) MUST_CHECK;

/* list has been checked. Connects with the next look. */
struct standbys *standbys_new(const char *list);
void standbys_free(struct standbys *standbys); /* NULL is harmless */

/* Takes answers, asks again what is due. */
void standbys_look(struct standbys *standbys);

struct standby_state {
    const char *name; /* host:port */
    bool known;
    double replayed; /* LSN as a number */
    int64_t age_ms;  /* of the answer */
    const char *why; /* it is not known */
};
size_t standbys_count(const struct standbys *standbys);
struct standby_state standbys_state(const struct standbys *standbys, size_t i);

#endif
