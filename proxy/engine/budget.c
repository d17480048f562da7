#include "budget.h"

#define US_A_S 1e6
#define PAUSE_US_MAX 1e15 /* who waits for years waits for another limit */

static bool before(const struct budget_share *a, const struct budget_share *b)
{
    return a->running != b->running ? a->running < b->running : a->started_us < b->started_us;
}

bool budget_may_start(const struct budget_share *all, size_t n, size_t me, unsigned running_max)
{
    unsigned running = 0;

    for (size_t i = 0; i < n; i++)
        running += all[i].running;
    if (running >= running_max)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (i != me && all[i].wants && before(&all[i], &all[me]))
            return false;
    }
    return true;
}

int64_t budget_pace_us(int64_t at_us, int64_t began_us, double rows, double rows_per_s)
{
    int64_t from = at_us > began_us ? at_us : began_us;
    double us = rows * US_A_S / rows_per_s;

    return from + (int64_t)(us < PAUSE_US_MAX ? us : PAUSE_US_MAX);
}
