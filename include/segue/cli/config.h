/*
 * The configuration of `segue serve`: which options there are, and how they become the options
 * of the planes.
 *
 * Sources, the later wins: defaults, the JSON file, the environment (SEGUE_<OPTION>), flags;
 * DATABASE_URL is the upstream when none of them names one. Reading again (SIGHUP) takes over what
 * can change while running. A configuration is not locked: who shares it between threads does. Not
 * here: parsing of single values (base/option.h), the command line's other commands.
 */
#ifndef SEGUE_CLI_CONFIG_H
#define SEGUE_CLI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "segue/base/err.h"
#include "segue/base/option.h"
#include "segue/cli/upstream.h"
#include "segue/engine/engine.h"
#include "segue/session/plane.h"

enum cfg_option {
    CFG_UPSTREAM,
    CFG_LISTEN,
    CFG_WORKERS,
    CFG_ADMIN_USERS,
    CFG_STATS_USERS,
    CFG_LOG_LEVEL,
    CFG_LOG_FORMAT,
    CFG_CONTROL_SOCKET,
    CFG_DRAIN_TIMEOUT_S,
    CFG_TAKEOVER_TIMEOUT_S,
    CFG_UNIX_SOCKET_MODE,
    CFG_UNIX_SOCKET_GROUP,
    CFG_CLIENT_TLS,
    CFG_CLIENT_TLS_CERT_FILE,
    CFG_CLIENT_TLS_KEY_FILE,
    CFG_CLIENT_TLS_CA_FILE,
    CFG_CLIENT_TLS_CRL_FILE,
    CFG_CLIENT_TLS_TICKET_KEY_S,
    CFG_TLS_VERSION_MIN,
    CFG_TLS_VERSION_MAX,
    CFG_CLIENT_TLS_CIPHERS,
    CFG_CLIENT_TLS13_CIPHERS,
    CFG_UPSTREAM_TLS_CIPHERS,
    CFG_UPSTREAM_TLS13_CIPHERS,
    CFG_UPSTREAM_TLS_NEGOTIATION,
    CFG_AUTH,
    CFG_AUTH_FILE,
    CFG_CERT_MAP,
    CFG_SCHEMA_RULES,
    CFG_SESSIONS_MAX,
    CFG_STARTUP_OPEN_MAX,
    CFG_STARTUP_OPEN_PER_ADDRESS_MAX,
    CFG_STARTUP_BYTES_MAX,
    CFG_LOGIN_TIMEOUT_MS,
    CFG_FAILED_LOGIN_DELAY_MS,
    CFG_CONNECT_TIMEOUT_MS,
    CFG_UPSTREAM_WAIT_MS,
    CFG_RULES_WAIT_MS,
    CFG_IDLE_TIMEOUT_S,
    CFG_BUFFER_BYTES_MAX,
    CFG_INSPECT_BYTES_MAX,
    CFG_CACHE_ENTRIES,
    CFG_CACHE_BYTES,
    CFG_USAGE_ENTRIES_MAX,
    CFG_STATEMENTS_BYTES_MAX,
    CFG_KEEPALIVE_S,
    CFG_USER_TIMEOUT_MS,
    CFG_LOCK_TIMEOUT_MS,
    CFG_CUTOVER_DRAIN_MS,
    CFG_GATE_HOLD_MAX_MS,
    CFG_CUTOVER_ATTEMPTS_MAX,
    CFG_CUTOVER_BACKOFF,
    CFG_CUTOVER_BLOCKERS,
    CFG_CUTOVER_BLOCKERS_AFTER_MS,
    CFG_CUTOVER_BLOCKERS_EXEMPT,
    CFG_CUTOVER_POSTPONE_FILE,
    CFG_CUTOVER_LATE_MAX_S,
    CFG_CUTOVER_REPLICAS_WAIT_MS,
    CFG_TRANSACTION_AGE_MAX_MS,
    CFG_BATCH_TARGET_MS,
    CFG_BATCH_LOCK_TIMEOUT_MS,
    CFG_BATCH_WAL_BYTES_MAX,
    CFG_VACUUM_ROWS,
    CFG_THROTTLE,
    CFG_QUIET_PERIOD_S,
    CFG_COUNT
};

extern const struct opt_row cfg_rows[CFG_COUNT];

struct cfg {
    struct opt_set *set;
    struct cfg_upstream upstream;
    char *file; /* NULL: none */
};

/* argv: the words after `serve`. RC_ERR: err says what is wrong with which source. */
enum rc cfg_load(int argc, char *const *argv, struct cfg **cfg, struct err *err) MUST_CHECK;
void cfg_free(struct cfg *cfg);

/* Swaps what can change while running: `cfg` has the values of `next` then, and the reverse; once
 * more undoes it. */
void cfg_swap(struct cfg *cfg, struct cfg *next);
/* After a swap: logs what has changed, and what would have if it could; returns how many changes
 * took effect. */
size_t cfg_log_changes(const struct cfg *cfg, const struct cfg *swapped);

/* Views on cfg: valid as long as it is, and not changed. */
void cfg_session_options(const struct cfg *cfg, struct sess_options *out);
void cfg_engine_options(const struct cfg *cfg, struct eng_options *out);

/* SHOW CONFIG: {"columns": [...], "rows": [[...]]}, secrets masked. Caller decrefs. */
json_t *cfg_show(const struct cfg *cfg);

#endif
