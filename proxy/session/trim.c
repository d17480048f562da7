/*
 * Memory that a crowd has left is given back to the system. The allocator keeps free pages between
 * the few that are in use, an arena a worker; after a storm of clients that is most of them.
 */
#include <malloc.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "worker.h"

#define CROWD 64 /* sessions that have gone at least */
#define EVERY_MS 5000

/* Most sessions since the last look, which one that came and left between two would not see. */
static unsigned most_since(struct sess_plane *plane)
{
    unsigned n = 0;

    for (unsigned i = 0; i < plane->nworkers; i++)
        n += atomic_exchange_explicit(&plane->workers[i]->most_sessions, 0, memory_order_relaxed);
    return n;
}

void sess_trim_tick(struct sess_plane *plane)
{
    unsigned now = sess_plane_left(plane), most = most_since(plane);
    bool leaving = now < plane->crowd_last; /* more may go before there is time for it again */
    int64_t began = clock_us();

    plane->crowd_last = now;
    if (now > most)
        most = now;
    if (most > plane->crowd)
        plane->crowd = most;
    if (leaving || plane->crowd - now < CROWD || now > plane->crowd / 2 ||
        began / 1000 - plane->trimmed_ms < EVERY_MS)
        return;
    malloc_trim(0);
    plane->trimmed_ms = began / 1000;
    log_debug("of %u sessions %u are left: memory given back in %.1f ms", plane->crowd, now,
              (double)(clock_us() - began) / 1000);
    plane->crowd = now;
}
