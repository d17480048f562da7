/*
 * How far a standby is behind in time, from where the primary was when: what was looked at is
 * remembered, thinner the older it is. Pure. Unlike a standby's own clocks this grows while a
 * standby hears nothing, and does not while the primary writes nothing.
 */
#ifndef SEGUE_ENGINE_LAG_H
#define SEGUE_ENGINE_LAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAG_POINTS 128

struct lag_history {
    struct {
        int64_t at_us;
        double lsn;
    } points[LAG_POINTS];
    size_t n;
};

/* The primary may be another one since the last note: what the former one had that this one has not
 * is lost, and nobody is behind it. */
void lag_anew(struct lag_history *history, double lsn);

/* The primary is at lsn now. */
void lag_note(struct lag_history *history, int64_t at_us, double lsn);

/* Does the history go back to where the standby is? */
bool lag_covers(const struct lag_history *history, double replayed);

/* Seconds since the primary was where the standby is, as far back as the history goes. */
double lag_s(const struct lag_history *history, int64_t now_us, double replayed);

#endif
