/*
 * How fast a fill or a verification is, and how long it will take from here. Pure: a
 * window of samples, no clock of its own.
 *
 * The pace of a fill is no constant: it comes in batches, begins with long pauses beside clients
 * (throttle_ease.c) and changes with each limit that is set. So there is an answer only where the
 * two halves of a window agree on it: the longest such window counts. Where none does, nothing is
 * known yet, and a guess from the first moments would be wrong by any factor.
 */
#ifndef SEGUE_ENGINE_REMAINING_H
#define SEGUE_ENGINE_REMAINING_H

#include <stddef.h>
#include <stdint.h>

#define REMAINING_SAMPLES 21
#define REMAINING_EVERY_US 500000 /* between two samples: the whole window has ten seconds */

struct remaining_sample {
    int64_t at_us, rows;
    double share; /* 0..1, of the road */
};

struct remaining {
    struct remaining_sample samples[REMAINING_SAMPLES]; /* the oldest first */
    size_t count;
};

/* What was seen before says nothing any more: another phase, a pause. */
void remaining_reset(struct remaining *r);

/* Too soon after the last one: no sample. */
void remaining_note(struct remaining *r, int64_t now_us, double share, int64_t rows);

/* Seconds to the end of the road; -1: unknown. */
double remaining_s(const struct remaining *r);

/* Rows a second in the window that remaining_s goes by, else in the newest seconds; 0: unknown. */
double remaining_rows_per_s(const struct remaining *r);

#endif
