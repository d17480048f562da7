/*
 * How late a failed login is answered: the delay doubles with each failure of a source, up to
 * 5 s, and a failure is forgotten every ten quiet seconds. A bounded table; where two sources
 * meet in a slot the newer one takes it. Pure: the caller has the clock.
 */
#ifndef SEGUE_SESSION_PENALTY_H
#define SEGUE_SESSION_PENALTY_H

#include <stdint.h>

#include "segue/net/address.h"

#define SESS_PENALTY_SLOTS 512
#define SESS_PENALTY_US_MAX 5000000
#define SESS_PENALTY_FORGET_US 10000000

struct sess_penalties {
    struct {
        uint8_t source[16]; /* IPv6 address, its /64 alone; IPv4 mapped; zeros: Unix sockets */
        uint32_t failures;
        int64_t last_us;
    } slots[SESS_PENALTY_SLOTS];
};

/* Counts a failure of `peer` and returns its delay in microseconds. base_us 0: no delay. */
int64_t sess_penalty(struct sess_penalties *p, const struct net_address *peer, int64_t base_us,
                     int64_t now_us);

#endif
