#include "segue/base/hist.h"

#include <stddef.h>

static size_t bucket_of(uint64_t us)
{
    int shift;
    size_t i;

    if (us < HIST_STEPS)
        return (size_t)us;
    shift = 63 - __builtin_clzll(us) - 4; /* 2^4 = HIST_STEPS */
    i = (size_t)(shift + 1) * HIST_STEPS + (size_t)((us >> shift) & (HIST_STEPS - 1));
    return i < HIST_BUCKETS ? i : HIST_BUCKETS - 1;
}

static int64_t bucket_upper(size_t i)
{
    size_t row = i / HIST_STEPS;

    if (row == 0)
        return (int64_t)i;
    return (int64_t)((HIST_STEPS + i % HIST_STEPS + 1) << (row - 1)) - 1;
}

void hist_add(struct hist *hist, int64_t us)
{
    _Atomic uint64_t *slot = &hist->count[bucket_of(us > 0 ? (uint64_t)us : 0)];

    /* one writer: a plain load and store is enough, and cheaper than a locked add */
    atomic_store_explicit(slot, atomic_load_explicit(slot, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void hist_read(const struct hist *hist, struct hist_copy *copy)
{
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        copy->count[i] += atomic_load_explicit(&hist->count[i], memory_order_relaxed);
}

void hist_diff(const struct hist_copy *later, const struct hist_copy *earlier,
               struct hist_copy *window)
{
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        window->count[i] = later->count[i] - earlier->count[i];
}

uint64_t hist_total(const struct hist_copy *copy)
{
    uint64_t total = 0;

    for (size_t i = 0; i < HIST_BUCKETS; i++)
        total += copy->count[i];
    return total;
}

uint64_t hist_above(const struct hist_copy *copy, int64_t us)
{
    uint64_t above = 0;

    for (size_t i = bucket_of(us > 0 ? (uint64_t)us : 0) + 1; i < HIST_BUCKETS; i++)
        above += copy->count[i];
    return above;
}

int64_t hist_quantile_us(const struct hist_copy *copy, double q)
{
    uint64_t total = hist_total(copy);
    uint64_t want = (uint64_t)((double)total * q);
    uint64_t seen = 0;

    if (total == 0)
        return 0;
    if (want < 1)
        want = 1;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += copy->count[i];
        if (seen >= want)
            return bucket_upper(i);
    }
    return bucket_upper(HIST_BUCKETS - 1);
}
