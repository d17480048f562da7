/*
 * Deadlines by time: a binary heap of what its owners hold. Private to this layer.
 */
#ifndef SEGUE_NET_TIMERS_H
#define SEGUE_NET_TIMERS_H

#include "segue/net/loop.h"

struct net_timers {
    struct net_timer **heap; /* from 1: heap[n / 2] is not later than heap[n] */
    size_t len, cap;
};

void net_timers_set(struct net_timers *timers, struct net_timer *timer, int64_t at_us);
void net_timers_clear(struct net_timers *timers, struct net_timer *timer);
struct net_timer *net_timers_first(const struct net_timers *timers); /* NULL: none */
void net_timers_fini(struct net_timers *timers); /* those that are still set are forgotten */

#endif
