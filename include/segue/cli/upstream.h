/*
 * The option `upstream` taken apart: libpq's words and defaults, for two readers that know
 * different subsets of them: the data plane (sessions) and the libpq that the control plane runs
 * on.
 *
 * Words that libpq's version does not know (load_balance_hosts, sslnegotiation, ...) are taken out
 * of its string when segue can do without them there; what neither can honour is refused: a demand
 * on security that is silently dropped would be worse.
 * Not here: connecting, and which host fits (session).
 */
#ifndef SEGUE_CLI_UPSTREAM_H
#define SEGUE_CLI_UPSTREAM_H

#include "segue/base/err.h"
#include "segue/session/options.h"

#define CFG_UPSTREAM_STRINGS 64

struct cfg_upstream {
    unsigned tls_version_least, tls_version_most; /* read, for the strings: of the options, or 0 */
    struct sess_upstream_options sessions; /* probe and TLS versions beyond the options: caller's */
    char *engine;               /* connection string for libpq; with several hosts read-write */
    char *database;             /* that the control plane works in */
    unsigned connect_timeout_s; /* 0: not said */
    const char *pooler;         /* a host that is a pooler by its name, or NULL */
    char *strings[CFG_UPSTREAM_STRINGS]; /* what the pointers above point at */
    size_t nstrings;
};

/* RC_ERR: err (22023) has what is allowed, in words that follow "option ... must be"; it never
 * quotes a password. Zero `out` but for the versions first, and fini it in any case. */
enum rc cfg_upstream_parse(const char *text, struct cfg_upstream *out, struct err *err) MUST_CHECK;
void cfg_upstream_fini(struct cfg_upstream *upstream);

#endif
