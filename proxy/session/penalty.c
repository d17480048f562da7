#include "penalty.h"

#include <netinet/in.h>
#include <string.h>

#define FAILURES_MAX 16 /* 2^16 times any base is beyond the cap of 5 s */

static void source_of(const struct net_address *peer, uint8_t out[16])
{
    const struct sockaddr *sa = (const struct sockaddr *)&peer->sa;

    memset(out, 0, 16);
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&peer->sa;

        out[10] = out[11] = 0xff;
        memcpy(out + 12, &in->sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&peer->sa;

        /* whoever has one address of a /64 has them all */
        memcpy(out, &in6->sin6_addr, IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 16 : 8);
    }
}

static unsigned slot_of(const uint8_t source[16])
{
    uint32_t h = 2166136261u;

    for (int i = 0; i < 16; i++)
        h = (h ^ source[i]) * 16777619u;
    return (h ^ h >> 16) % SESS_PENALTY_SLOTS;
}

int64_t sess_penalty(struct sess_penalties *p, const struct net_address *peer, int64_t base_us,
                     int64_t now_us)
{
    uint8_t source[16];
    unsigned slot;
    int64_t quiet, delay;

    if (!base_us)
        return 0;
    source_of(peer, source);
    slot = slot_of(source);
    if (memcmp(p->slots[slot].source, source, sizeof(source)) != 0) {
        memcpy(p->slots[slot].source, source, sizeof(source));
        p->slots[slot].failures = 0;
    }
    quiet =
        p->slots[slot].failures ? (now_us - p->slots[slot].last_us) / SESS_PENALTY_FORGET_US : 0;
    p->slots[slot].failures -=
        quiet < p->slots[slot].failures ? (uint32_t)quiet : p->slots[slot].failures;
    if (p->slots[slot].failures < FAILURES_MAX)
        p->slots[slot].failures++;
    p->slots[slot].last_us = now_us;
    delay = base_us << (p->slots[slot].failures - 1);
    return delay < SESS_PENALTY_US_MAX ? delay : SESS_PENALTY_US_MAX;
}
