/*
 * A log-linear latency histogram: one writer thread, any number of readers, no lock.
 *
 * Values are microseconds. 16 linear steps in each power of two: an error of at most 1/16, from
 * 1 us to about an hour. Readers take differences of two copies to look at a window.
 */
#ifndef SEGUE_BASE_HIST_H
#define SEGUE_BASE_HIST_H

#include <stdatomic.h>
#include <stdint.h>

#define HIST_STEPS 16
#define HIST_BUCKETS (HIST_STEPS * 29)

struct hist {
    _Atomic uint64_t count[HIST_BUCKETS];
};

struct hist_copy {
    uint64_t count[HIST_BUCKETS];
};

void hist_add(struct hist *hist, int64_t us); /* the one writer only */

/* Adds the counts of `hist` to `copy` (zero it first). */
void hist_read(const struct hist *hist, struct hist_copy *copy);

/* later - earlier, into `window`. */
void hist_diff(const struct hist_copy *later, const struct hist_copy *earlier,
               struct hist_copy *window);
uint64_t hist_total(const struct hist_copy *copy);

/* Values that are surely above `us`: those of its own bucket are not counted. */
uint64_t hist_above(const struct hist_copy *copy, int64_t us);

/* Upper bound in us of the bucket that holds the q-quantile (0 < q <= 1); 0 when empty. */
int64_t hist_quantile_us(const struct hist_copy *copy, double q);

#endif
