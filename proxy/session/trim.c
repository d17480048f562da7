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

void sess_trim_tick(struct sess_plane *plane)
{
    unsigned now = sess_plane_left(plane);
    bool leaving = now < plane->crowd_last; /* more may go before there is time for it again */
    int64_t began = clock_us();

    plane->crowd_last = now;
    if (now > plane->crowd)
        plane->crowd = now;
    if (leaving || plane->crowd - now < CROWD || now > plane->crowd / 2 ||
        began / 1000 - plane->trimmed_ms < EVERY_MS)
        return;
    malloc_trim(0);
    plane->trimmed_ms = began / 1000;
    log_debug("of %u sessions %u are left: memory given back in %.1f ms", plane->crowd, now,
              (double)(clock_us() - began) / 1000);
    plane->crowd = now;
}
