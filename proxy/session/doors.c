#include "doors.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segue/base/mem.h"

#define BUCKETS 4096 /* a power of two */

struct door {
    struct door *chain;
    uint64_t key;
    unsigned open;
};

struct sess_doors {
    pthread_mutex_t lock; /* of all below */
    uint64_t seed;        /* nobody shall choose addresses that share a bucket */
    size_t count;
    struct door *buckets[BUCKETS];
};

struct sess_doors *sess_doors_new(void)
{
    struct sess_doors *doors = mem_calloc(1, sizeof(*doors));

    pthread_mutex_init(&doors->lock, NULL);
    if (getentropy(&doors->seed, sizeof(doors->seed)) != 0)
        doors->seed = (uint64_t)(uintptr_t)doors;
    return doors;
}

void sess_doors_free(struct sess_doors *doors)
{
    if (!doors)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct door *at = doors->buckets[i], *next; at; at = next) {
            next = at->chain;
            free(at);
        }
    }
    pthread_mutex_destroy(&doors->lock);
    free(doors);
}

/* 0: none. Of an IPv6 address the network, of an IPv4 address itself, in a part of the space of
 * keys that no global network has. */
static uint64_t key_of(const struct net_address *address)
{
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address->sa;
    uint32_t four = 0;
    uint64_t key = 0;

    if (address->sa.ss_family == AF_INET)
        four = ((const struct sockaddr_in *)&address->sa)->sin_addr.s_addr;
    else if (address->sa.ss_family != AF_INET6)
        return 0;
    else if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
        memcpy(&four, &six->sin6_addr.s6_addr[12], sizeof(four));
    else if (IN6_IS_ADDR_LOOPBACK(&six->sin6_addr))
        return 1;
    else
        memcpy(&key, &six->sin6_addr, sizeof(key));
    return key ? key : UINT64_C(0xffff) << 48 | ntohl(four);
}

static struct door **find(struct sess_doors *doors, uint64_t key)
{
    uint64_t hash = (key ^ doors->seed) * UINT64_C(0x9e3779b97f4a7c15);
    struct door **at;

    hash ^= hash >> 29;
    hash *= UINT64_C(0xbf58476d1ce4e5b9);
    at = &doors->buckets[(hash >> 32) & (BUCKETS - 1)];
    while (*at && (*at)->key != key)
        at = &(*at)->chain;
    return at;
}

bool sess_doors_enter(struct sess_doors *doors, const struct net_address *address, unsigned max)
{
    uint64_t key = key_of(address);
    struct door **at;
    bool in;

    if (!key)
        return true;
    pthread_mutex_lock(&doors->lock);
    at = find(doors, key);
    in = (*at ? (*at)->open : 0) < max;
    if (in) {
        if (!*at) {
            *at = mem_calloc(1, sizeof(**at));
            (*at)->key = key;
            doors->count++;
        }
        (*at)->open++;
    }
    pthread_mutex_unlock(&doors->lock);
    return in;
}

void sess_doors_leave(struct sess_doors *doors, const struct net_address *address)
{
    uint64_t key = key_of(address);
    struct door **at, *gone;

    if (!key)
        return;
    pthread_mutex_lock(&doors->lock);
    at = find(doors, key);
    gone = *at;
    if (gone && --gone->open == 0) {
        *at = gone->chain;
        doors->count--;
        free(gone);
    }
    pthread_mutex_unlock(&doors->lock);
}

size_t sess_doors_count(struct sess_doors *doors)
{
    size_t n;

    pthread_mutex_lock(&doors->lock);
    n = doors->count;
    pthread_mutex_unlock(&doors->lock);
    return n;
}
