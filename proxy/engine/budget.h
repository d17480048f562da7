/*
 * Who may begin a batch when several migrations want to and connections are few. Pure.
 *
 * The one with the fewest batches under way is first, then the one that began one longest ago:
 * none starves, and none holds an idle connection back from another.
 */
#ifndef SEGUE_ENGINE_BUDGET_H
#define SEGUE_ENGINE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget_share {
    unsigned running;   /* batches */
    int64_t started_us; /* when it began one last; 0: never */
    bool wants;         /* to begin one now */
};

bool budget_may_start(const struct budget_share *all, size_t n, size_t me, unsigned running_max);

/* Rows at a rate, over all workers: when the next batch may begin after one that began at
 * began_us and filled `rows`; at_us: when it might have before. rows_per_s > 0. */
int64_t budget_pace_us(int64_t at_us, int64_t began_us, double rows, double rows_per_s);

#endif
