#include "timers.h"

#include <stdlib.h>

#include "segue/base/mem.h"

#define CAP_FIRST 64

static void put(struct net_timers *timers, size_t place, struct net_timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void rise(struct net_timers *timers, size_t place, struct net_timer *timer)
{
    while (place > 1 && timer->at_us < timers->heap[place / 2]->at_us) {
        put(timers, place, timers->heap[place / 2]);
        place /= 2;
    }
    put(timers, place, timer);
}

static void sink(struct net_timers *timers, size_t place, struct net_timer *timer)
{
    for (size_t child = 2 * place; child <= timers->len; child = 2 * place) {
        if (child < timers->len && timers->heap[child + 1]->at_us < timers->heap[child]->at_us)
            child++;
        if (timer->at_us <= timers->heap[child]->at_us)
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

static void settle(struct net_timers *timers, size_t place, struct net_timer *timer)
{
    if (place > 1 && timer->at_us < timers->heap[place / 2]->at_us)
        rise(timers, place, timer);
    else
        sink(timers, place, timer);
}

void net_timers_set(struct net_timers *timers, struct net_timer *timer, int64_t at_us)
{
    timer->at_us = at_us;
    if (timer->place) {
        settle(timers, timer->place, timer);
        return;
    }
    if (timers->len + 1 >= timers->cap) {
        timers->cap = timers->cap ? 2 * timers->cap : CAP_FIRST;
        timers->heap = mem_realloc(timers->heap, timers->cap * sizeof(struct net_timer *));
    }
    rise(timers, ++timers->len, timer);
}

void net_timers_clear(struct net_timers *timers, struct net_timer *timer)
{
    size_t place = timer->place;
    struct net_timer *last;

    if (!place)
        return;
    timer->place = 0;
    last = timers->heap[timers->len--];
    if (last != timer)
        settle(timers, place, last);
}

struct net_timer *net_timers_first(const struct net_timers *timers)
{
    return timers->len ? timers->heap[1] : NULL;
}

void net_timers_fini(struct net_timers *timers)
{
    for (size_t i = 1; i <= timers->len; i++)
        timers->heap[i]->place = 0;
    free(timers->heap);
    *timers = (struct net_timers){0};
}
