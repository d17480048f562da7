/*
 * How many descriptors the process may have. The soft limit that most systems give (1024) is for
 * programs with select(), and lets in 500 sessions; segue takes what its options ask for, as far as
 * the hard limit goes.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "segue/base/log.h"
#include "worker.h"

#define A_SESSION 2 /* the client's, and the upstream's */
#define OTHERS 256  /* listening sockets, loops, the engine's connections, the console's */

void sess_descriptors_want(const struct sess_options *options)
{
    rlim_t sessions = A_SESSION * (rlim_t)options->sessions_max;
    rlim_t want = sessions + options->startup_open_max + SESS_CANCELS_AT_ONCE + OTHERS;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    if (limit.rlim_cur < want && limit.rlim_cur < limit.rlim_max) {
        struct rlimit more = {.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max,
                              .rlim_max = limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
        else
            log_warning("cannot raise the limit of open files: %s", strerror(errno));
    }
    if (limit.rlim_cur < sessions)
        log_warning("sessions_max is %u, which takes %llu open files, and the limit is %llu "
                    "(ulimit -n; LimitNOFILE of systemd): clients beyond it wait",
                    options->sessions_max, (unsigned long long)sessions,
                    (unsigned long long)limit.rlim_cur);
}
