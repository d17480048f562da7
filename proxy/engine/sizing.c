#include "sizing.h"

#include <stdlib.h>
#include <string.h>

#define GROWTH_MAX 1.5
#define SHRINK_OVER 5.0 /* times the target */
#define SHRINK_BY 10.0

void sizing_init(struct sizing *s, double target_ms, double wal_bytes_max)
{
    memset(s, 0, sizeof(*s));
    s->target_ms = target_ms > 0 ? target_ms : 1;
    s->wal_bytes_max = wal_bytes_max;
    s->blocks = SIZING_START_BLOCKS;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static unsigned filled(const struct sizing *s)
{
    return s->n < SIZING_WINDOW ? s->n : SIZING_WINDOW;
}

static double p90(const struct sizing *s, const double *ring)
{
    double sorted[SIZING_WINDOW];
    unsigned n = filled(s);

    memcpy(sorted, ring, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_value);
    return sorted[(n * 9 + 9) / 10 - 1];
}

static double clamp(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

void sizing_note(struct sizing *s, uint32_t blocks, double ms, double wal_bytes, double rows)
{
    double want, p;

    if (blocks == 0)
        return;
    if (ms > SHRINK_OVER * s->target_ms) {
        /* what was true before is not any more: start to learn again from there */
        s->n = 0;
        s->blocks = clamp(blocks / SHRINK_BY, 1, SIZING_MAX_BLOCKS);
        return;
    }
    s->ms_a_block[s->n % SIZING_WINDOW] = ms / blocks;
    s->wal_a_block[s->n % SIZING_WINDOW] = wal_bytes / blocks;
    s->rows_a_block[s->n % SIZING_WINDOW] = rows / blocks;
    s->n++;
    if (s->n >= 2 * SIZING_WINDOW)
        s->n -= SIZING_WINDOW;
    p = p90(s, s->ms_a_block);
    want = p > 0 ? s->target_ms / p : s->blocks * GROWTH_MAX;
    want = clamp(want, 1, s->blocks * GROWTH_MAX);
    p = p90(s, s->wal_a_block);
    if (s->wal_bytes_max > 0 && p > 0)
        want = clamp(want, 1, s->wal_bytes_max / p);
    s->blocks = clamp(want, 1, SIZING_MAX_BLOCKS);
}

uint32_t sizing_next(const struct sizing *s, double rows_max)
{
    double blocks = s->blocks;
    double density = filled(s) ? p90(s, s->rows_a_block) : 0;

    if (rows_max > 0 && density > 0)
        blocks = clamp(blocks, 1, rows_max / density);
    else if (rows_max > 0 && !filled(s))
        blocks = 1; /* nothing known yet: as few rows as can be */
    return (uint32_t)clamp(blocks, 1, SIZING_MAX_BLOCKS);
}
