/*
 * What a worker counts. One writer, the worker's thread: a plain load and store, no lock. Any
 * thread may read and add up. The names, help texts and the order in SHOW STATS are the rows of
 * stats.c.
 */
#ifndef SEGUE_SESSION_COUNTERS_H
#define SEGUE_SESSION_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "class.h"
#include "segue/base/hist.h"
#include "segue/sql/rewrite.h"

struct sess_worker_counters {
    /* clients */
    _Atomic uint64_t accepted, logins, logins_failed, cancels, cancels_waiting, keys_made,
        idle_ended;
    struct sess_tls_counters {
        _Atomic uint64_t done, resumed, failed; /* handshakes */
    } tls_client, tls_server;
    /* turned away: protocol or other, and by the limit that was met */
    _Atomic uint64_t refused, refused_startups, refused_address, refused_cancels, refused_sessions,
        refused_console;
    /* bytes received and sent, on the client's and on the server's leg */
    _Atomic uint64_t from_client, to_client, from_server, to_server;
    /* work */
    _Atomic uint64_t transactions; /* ReadyForQuery 'I' after work */
    _Atomic uint64_t requests;     /* answered Query / Sync / FunctionCall */
    _Atomic uint64_t errors;       /* ErrorResponse of the server */
    _Atomic uint64_t inspected, cache_hits;
    _Atomic uint64_t usage_gone;         /* entries past usage_entries_max */
    _Atomic uint64_t rewritten;          /* sent as another text */
    _Atomic uint64_t sent_again;         /* refused so, and sent as it was written */
    _Atomic uint64_t prepared_again;     /* statements, because the rules had changed */
    _Atomic uint64_t named_unseen;       /* PREPARE and DEALLOCATE inside other texts */
    _Atomic uint64_t paths_asked;        /* times a server was asked for a search path */
    _Atomic uint64_t early_refused;      /* reads of new columns before they are ready */
    _Atomic uint64_t changed_refused;    /* uses of statements whose result has changed */
    _Atomic uint64_t doubts[SQL_DOUBTS]; /* left as they are, by reason */
    /* the gate */
    _Atomic uint64_t held_now, held_total; /* total: since the gate was closed */
    _Atomic int64_t stall_us_max;          /* since the gate was closed */
    /* the loop, by a tick a second */
    _Atomic int64_t lag_us_max; /* posted to served, since the history last looked */
    _Atomic int64_t cpu_us;     /* of the thread, at the last tick */

    _Atomic uint64_t from_client_messages[256], from_server_messages[256]; /* by type */
    _Atomic uint64_t sqlstates[SESS_SQLSTATES];                            /* of the errors */
    struct hist latency[SESS_CLASSES]; /* first byte of a request to its ReadyForQuery */
};

#define COUNT(counter, n)                                                                          \
    atomic_store_explicit(&(counter),                                                              \
                          atomic_load_explicit(&(counter), memory_order_relaxed) + (n),            \
                          memory_order_relaxed)
#define READ(counter) atomic_load_explicit(&(counter), memory_order_relaxed)

#endif
