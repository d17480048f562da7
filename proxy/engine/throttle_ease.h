/*
 * How long the backfill pauses after a batch so that clients hardly feel it: as long as no more
 * than one request in a hundred takes longer than the limit of client_p99 allows. Pure.
 *
 * It begins slowly, goes faster while clients stay well, and backs off at once when they do not.
 * What is owed to them is kept as a debt, so that a lucky moment is not taken for the truth.
 */
#ifndef SEGUE_ENGINE_THROTTLE_EASE_H
#define SEGUE_ENGINE_THROTTLE_EASE_H

#include <stdbool.h>
#include <stdint.h>

#include "segue/base/err.h"

struct throttle_ease {
    double pause;     /* in times the batch took; 0: none */
    double debt;      /* slow requests over what is allowed; below 0: in hand */
    unsigned at_most; /* readings in a row with the longest pause, and clients not well */
};

void throttle_ease_begin(struct throttle_ease *ease);
void throttle_ease_hush(struct throttle_ease *ease); /* next to no batches: to see how clients are
                                                        without them */

/* Of `requests` since the last reading `slow` took too long. true: pausing does not help, what is
 * compared with is out of date. */
bool throttle_ease_note(struct throttle_ease *ease, uint64_t requests, uint64_t slow) MUST_CHECK;

#endif
