#include "remaining.h"

#include <string.h>

#define APART_MAX 1.5 /* halves of a window whose paces differ by more do not agree */

/* Samples before the newest: ten seconds, five, three. */
static const size_t windows[] = {20, 10, 6};

#define NWINDOWS (sizeof(windows) / sizeof(windows[0]))

void remaining_reset(struct remaining *r)
{
    r->count = 0;
}

void remaining_note(struct remaining *r, int64_t now_us, double share, int64_t rows)
{
    if (r->count > 0 && now_us - r->samples[r->count - 1].at_us < REMAINING_EVERY_US)
        return;
    if (r->count == REMAINING_SAMPLES) {
        memmove(&r->samples[0], &r->samples[1], (--r->count) * sizeof(r->samples[0]));
    }
    r->samples[r->count++] = (struct remaining_sample){now_us, rows, share};
}

static double pace(const struct remaining_sample *from, const struct remaining_sample *to)
{
    return (to->share - from->share) * 1e6 / (double)(to->at_us - from->at_us);
}

/* The longest window whose halves agree; NULL: none. */
static const struct remaining_sample *agreed(const struct remaining *r)
{
    for (size_t i = 0; i < NWINDOWS; i++) {
        const struct remaining_sample *newest, *oldest, *middle;
        double before, after;

        if (r->count <= windows[i])
            continue;
        newest = &r->samples[r->count - 1];
        oldest = newest - windows[i];
        middle = newest - windows[i] / 2;
        before = pace(oldest, middle);
        after = pace(middle, newest);
        if (before > 0 && after > 0 && before <= APART_MAX * after && after <= APART_MAX * before)
            return oldest;
    }
    return NULL;
}

double remaining_s(const struct remaining *r)
{
    const struct remaining_sample *oldest = agreed(r), *newest;

    if (!oldest)
        return -1;
    newest = &r->samples[r->count - 1];
    return (1 - newest->share) / pace(oldest, newest);
}

double remaining_rows_per_s(const struct remaining *r)
{
    const struct remaining_sample *oldest, *newest;

    if (r->count < 2)
        return 0;
    newest = &r->samples[r->count - 1];
    oldest = agreed(r);
    if (!oldest)
        oldest = r->count > windows[NWINDOWS - 1] ? newest - windows[NWINDOWS - 1] : r->samples;
    return (double)(newest->rows - oldest->rows) * 1e6 / (double)(newest->at_us - oldest->at_us);
}
