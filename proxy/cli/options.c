/* The option table: names, defaults, limits, help. One row makes the flag, the variable, the field.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/clock.h"
#include "segue/cli/config.h"
#include "segue/engine/exempt.h"
#include "segue/net/tls.h"
#include "segue/net/unix.h"
#include "segue/session/versions.h"

static const char *refuse_upstream(const char *text)
{
    static _Thread_local char allowed[sizeof(((struct err *)0)->text)];
    struct cfg_upstream up = {0};
    struct err err = {0};
    enum rc rc = *text ? cfg_upstream_parse(text, &up, &err) : RC_OK;

    cfg_upstream_fini(&up);
    snprintf(allowed, sizeof(allowed), "%s", err.text);
    return rc == RC_OK ? NULL : allowed;
}

/* What net_listen_parse takes, as far as the form goes. */
static bool is_listen_address(const char *from, size_t len)
{
    const char *colon = memrchr(from, ':', len);
    size_t digits = colon ? (size_t)(from + len - colon - 1) : 0;
    unsigned long port;

    if (digits == 0 || digits > 5 || colon == from)
        return false;
    for (size_t i = 1; i <= digits; i++) {
        if (!isdigit((unsigned char)colon[i]))
            return false;
    }
    port = strtoul(colon + 1, NULL, 10);
    if (from[0] == '/')
        return port >= 1 && port <= 65535;
    if (memchr(from, ':', (size_t)(colon - from)) && (from[0] != '[' || colon[-1] != ']'))
        return false;
    return port <= 65535;
}

static const char *refuse_listen(const char *text)
{
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");

        if (!is_listen_address(p, len))
            return "HOST:PORT, [IPv6]:PORT or /DIRECTORY:PORT (several with commas; port 0: any "
                   "free one)";
        p += len;
        if (!*p)
            return NULL;
    }
}

static const char *refuse_socket_mode(const char *text)
{
    size_t len = strspn(text, "01234567");

    return len >= 3 && len <= 4 && !text[len] ? NULL : "an octal mode such as 0777";
}

static const char *refuse_group(const char *text)
{
    gid_t group;

    return net_unix_group(text, &group) ? NULL : "a group of this system";
}

static const char *refuse_relative(const char *text)
{
    return !*text || text[0] == '/' ? NULL : "an absolute path";
}

static const char *refuse_backoff(const char *text)
{
    static const char allowed[] = "a list of 1 to 16 pauses such as 500ms, 5s, 2min, 1h";
    char item[32];
    unsigned n = 0;
    int64_t ms;

    while (*text) {
        size_t len = strcspn(text, ",");

        snprintf(item, sizeof(item), "%.*s", (int)len, text);
        if (len >= sizeof(item) || clock_duration_parse(item, &ms) != RC_OK ||
            ++n > ENG_BACKOFF_MAX)
            return allowed;
        text += len + (text[len] == ',');
    }
    return n ? NULL : allowed;
}

static const char *refuse_cert_map(const char *text)
{
    static const char allowed[] = "a list of COMMON-NAME=USER";

    while (*text) {
        size_t len = strcspn(text, ",");
        const char *sign = memrchr(text, '=', len);

        if (!sign || sign == text || sign + 1 == text + len)
            return allowed;
        text += len + (text[len] == ',');
    }
    return NULL;
}

static const char *refuse_ciphers(const char *text)
{
    return !*text || net_tls_knows_ciphers(text)
               ? NULL
               : "a list of ciphers that this OpenSSL knows (openssl ciphers -v -tls1_2)";
}

static const char *refuse_suites(const char *text)
{
    return !*text || net_tls_knows_suites(text)
               ? NULL
               : "a list of ciphers of TLS 1.3 (openssl ciphers -s -tls1_3)";
}

static const char *const tls_modes[] = {"disable",   "allow",       "prefer", "require",
                                        "verify-ca", "verify-full", NULL};
static const char *const tls_versions[] = {"TLSv1.2", "TLSv1.3", NULL};
static const char *const negotiations[] = {"postgres", "direct", NULL};
static const char *const auth_modes[] = {"pass-through", "scram", "password", "cert", NULL};
static const char *const blockers[] = {"wait", "cancel", "terminate", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

/* clang-format off */
#define NUMBER(option, standard, least, most) \
    .name = option, .type = OPT_NUMBER, .fallback = standard, .min = least, .max = most

const struct opt_row cfg_rows[CFG_COUNT] = {
    [CFG_UPSTREAM] = {.name = "upstream", .type = OPT_TEXT, .fallback = "",
        .refuse = refuse_upstream, .secret = true,
        .help = "PostgreSQL behind segue: connection URL or string of libpq; user, password, database "
                "are the control plane's, hosts and TLS are for clients' sessions, too"},
    [CFG_LISTEN] = {.name = "listen", .type = OPT_TEXT, .fallback = "127.0.0.1:6432",
        .refuse = refuse_listen,
        .help = "where clients connect: HOST:PORT, [IPv6]:PORT, /DIRECTORY:PORT (Unix socket), several "
                "with commas; port 0: any; *: every address; a name: all of its that this machine has"},
    [CFG_WORKERS] = {NUMBER("workers", "0", 0, 256),
        .help = "worker threads of the data plane; 0: half the cores"},
    [CFG_ADMIN_USERS] = {.name = "admin_users", .type = OPT_LIST, .fallback = "", .reload = true,
        .help = "who may use the console, after logging in to the upstream; empty: anybody over "
                "loopback, nobody else"},
    [CFG_STATS_USERS] = {.name = "stats_users", .type = OPT_LIST, .fallback = "", .reload = true,
        .help = "who may look at the console and change nothing, after logging in likewise: SHOW, "
                "DOCTOR, EVIDENCE, SNAPSHOT, DIFF, VERSIONS"},
    [CFG_LOG_LEVEL] = {.name = "log_level", .type = OPT_CHOICE, .fallback = "info",
        .choices = log_levels, .reload = true,
        .help = "least important lines that are logged"},
    [CFG_LOG_FORMAT] = {.name = "log_format", .type = OPT_CHOICE, .fallback = "text",
        .choices = log_formats, .reload = true,
        .help = "one line an event: text for people, or a JSON object"},
    [CFG_CONTROL_SOCKET] = {.name = "control_socket", .type = OPT_TEXT, .fallback = "",
        .help = "where `serve --takeover` finds the segue that runs: a path, or @name (abstract); "
                "empty: @segue. and the first listen address"},
    [CFG_DRAIN_TIMEOUT_S] = {NUMBER("drain_timeout_s", "30", 0, 3600), .reload = true,
        .help = "how long SIGTERM waits for sessions to come to a safe point"},
    [CFG_TAKEOVER_TIMEOUT_S] = {NUMBER("takeover_timeout_s", "3600", 0, 604800), .reload = true,
        .help = "how long a segue that was taken over serves its sessions to their end"},
    [CFG_UNIX_SOCKET_MODE] = {.name = "unix_socket_mode", .type = OPT_TEXT, .fallback = "0777",
        .refuse = refuse_socket_mode,
        .help = "permissions of the Unix sockets in listen"},
    [CFG_UNIX_SOCKET_GROUP] = {.name = "unix_socket_group", .type = OPT_TEXT, .fallback = "",
        .refuse = refuse_group,
        .help = "their group, by name or number; empty: that of the user segue runs as"},

    [CFG_CLIENT_TLS] = {.name = "client_tls", .type = OPT_CHOICE, .fallback = "prefer",
        .choices = tls_modes, .reload = true,
        .help = "TLS with clients: prefer offers it when there is a certificate; require refuses "
                "plain text; verify-ca asks for a client certificate, verify-full for one that names "
                "the user"},
    [CFG_CLIENT_TLS_CERT_FILE] = {.name = "client_tls_cert_file", .type = OPT_TEXT, .fallback = "",
        .reload = true, .help = "PEM file: segue's certificate for clients, with its chain"},
    [CFG_CLIENT_TLS_KEY_FILE] = {.name = "client_tls_key_file", .type = OPT_TEXT, .fallback = "",
        .reload = true, .help = "PEM file: its private key, readable by segue alone"},
    [CFG_CLIENT_TLS_CA_FILE] = {.name = "client_tls_ca_file", .type = OPT_TEXT, .fallback = "",
        .reload = true, .help = "PEM file: who vouches for client certificates"},
    [CFG_CLIENT_TLS_CRL_FILE] = {.name = "client_tls_crl_file", .type = OPT_TEXT, .fallback = "",
        .reload = true, .help = "PEM file: client certificates that were revoked"},
    [CFG_CLIENT_TLS_TICKET_KEY_S] = {NUMBER("client_tls_ticket_key_s", "43200", 0, 604800),
        .reload = true,
        .help = "how long one key makes session tickets; clients resume with the one before it for as "
                "long again; 0: no tickets"},
    [CFG_TLS_VERSION_MIN] = {.name = "tls_version_min", .type = OPT_CHOICE, .fallback = "TLSv1.2",
        .choices = tls_versions, .reload = true,
        .help = "oldest TLS version of clients, of their sessions with the upstream, and, as of "
                "the start, of the engine's own"},
    [CFG_TLS_VERSION_MAX] = {.name = "tls_version_max", .type = OPT_CHOICE, .fallback = "TLSv1.3",
        .choices = tls_versions, .reload = true, .help = "newest TLS version, of the same"},
    [CFG_CLIENT_TLS_CIPHERS] = {.name = "client_tls_ciphers", .type = OPT_TEXT, .fallback = "",
        .reload = true, .refuse = refuse_ciphers,
        .help = "ciphers of TLS 1.2 with clients, as OpenSSL names them; empty: HIGH:!aNULL:!eNULL"},
    [CFG_CLIENT_TLS13_CIPHERS] = {.name = "client_tls13_ciphers", .type = OPT_TEXT, .fallback = "",
        .reload = true, .refuse = refuse_suites,
        .help = "ciphers of TLS 1.3 with clients, with colons between; empty: OpenSSL's own choice"},
    [CFG_UPSTREAM_TLS_CIPHERS] = {.name = "upstream_tls_ciphers", .type = OPT_TEXT, .fallback = "",
        .reload = true, .refuse = refuse_ciphers,
        .help = "the same as client_tls_ciphers, of sessions with the upstream"},
    [CFG_UPSTREAM_TLS13_CIPHERS] = {.name = "upstream_tls13_ciphers", .type = OPT_TEXT,
        .fallback = "", .reload = true, .refuse = refuse_suites,
        .help = "the same as client_tls13_ciphers, of sessions with the upstream"},
    [CFG_UPSTREAM_TLS_NEGOTIATION] = {.name = "upstream_tls_negotiation", .type = OPT_CHOICE,
        .fallback = "postgres", .choices = negotiations,
        .help = "direct: TLS at once, without SSLRequest (PostgreSQL 17 and newer); all else of the "
                "upstream's TLS is in its URL (sslmode, sslrootcert, ...)"},
    [CFG_AUTH] = {.name = "auth", .type = OPT_CHOICE, .fallback = "pass-through",
        .choices = auth_modes, .reload = true,
        .help = "who checks clients: the upstream (pass-through), segue by auth_file (scram, cert), "
                "the upstream by the password given to segue inside TLS (password)"},
    [CFG_AUTH_FILE] = {.name = "auth_file", .type = OPT_TEXT, .fallback = "", .reload = true,
        .help = "users and their passwords or verifiers, as PgBouncer's userlist.txt"},
    [CFG_CERT_MAP] = {.name = "cert_map", .type = OPT_LIST, .fallback = "", .reload = true,
        .refuse = refuse_cert_map,
        .help = "common name=user (divided by the last =), for client certificates; empty: the name is "
                "the user"},
    [CFG_SCHEMA_RULES] = {.name = "schema_rules", .type = OPT_OBJECTS, .fallback = "",
        .check = sess_versions_check, .reload = true,
        .help = "which schema version sessions see, and whether their statements are rewritten; the "
                "first rule that matches counts, without one a session follows the migration"},
    [CFG_SESSIONS_MAX] = {NUMBER("sessions_max", "10000", 1, 1000000), .reload = true,
        .help = "clients at the same time; more are refused with 53300; segue raises its limit of open "
                "files for them (two each), and warns when the hard limit is lower"},
    [CFG_STARTUP_OPEN_MAX] = {NUMBER("startup_open_max", "4000", 1, 1000000), .reload = true,
        .help = "connections at the same time that have not finished their start-up"},
    [CFG_STARTUP_OPEN_PER_ADDRESS_MAX] = {NUMBER("startup_open_per_address_max", "0", 0, 1000000),
        .reload = true,
        .help = "of them, from one address (a network of 64 bits of IPv6); 0: nine tenths of "
                "startup_open_max"},
    [CFG_STARTUP_BYTES_MAX] = {NUMBER("startup_bytes_max", "10000", 64, 10000), .reload = true,
        .help = "longest start-up packet, without its length; PostgreSQL's own limit is 10000"},
    [CFG_LOGIN_TIMEOUT_MS] = {NUMBER("login_timeout_ms", "60000", 100, 3600000), .reload = true,
        .help = "from accepting a client to the end of its login"},
    [CFG_FAILED_LOGIN_DELAY_MS] = {NUMBER("failed_login_delay_ms", "100", 0, 5000),
        .reload = true,
        .help = "a failed login is answered so late; doubles with each failure from one address, to "
                "at most 5 s"},
    [CFG_CONNECT_TIMEOUT_MS] = {NUMBER("connect_timeout_ms", "10000", 100, 600000), .reload = true,
        .help = "connecting to the upstream for a client"},
    [CFG_UPSTREAM_WAIT_MS] = {NUMBER("upstream_wait_ms", "15000", 0, 600000), .reload = true,
        .help = "new sessions wait so long for an upstream that is away or starting, then get 57P03"},
    [CFG_RULES_WAIT_MS] = {NUMBER("rules_wait_ms", "2000", 0, 600000),
        .help = "after a start statements wait so long for what the database says of migrations in "
                "flight; then they pass as they are; on a standby, in each turn, until that has "
                "replayed it; then they go by what was before; 0: they do not wait"},
    [CFG_IDLE_TIMEOUT_S] = {NUMBER("idle_timeout_s", "0", 0, 2147483), .reload = true,
        .help = "a client so long idle outside a transaction is ended with 57P05; 0: never"},
    [CFG_BUFFER_BYTES_MAX] = {NUMBER("buffer_bytes_max", "262144", 16384, 1073741824),
        .reload = true,
        .help = "unsent bytes a direction of a session before the other side stops reading"},
    [CFG_INSPECT_BYTES_MAX] = {NUMBER("inspect_bytes_max", "1048576", 1024, 1073741824),
        .reload = true,
        .help = "longer statements are taken to touch every migrating table, unread"},
    [CFG_CACHE_ENTRIES] = {NUMBER("cache_entries", "4096", 16, 10000000),
        .help = "statements a worker remembers having looked at"},
    [CFG_CACHE_BYTES] = {NUMBER("cache_bytes", "16777216", 65536, 2147483648),
        .help = "memory of that cache, a worker"},
    [CFG_USAGE_ENTRIES_MAX] = {NUMBER("usage_entries_max", "1000", 16, 1000000),
        .help = "clients, tables and kinds of use that SHOW USAGE tells apart; past it the one not "
                "seen for longest is counted without its name"},
    [CFG_STATEMENTS_BYTES_MAX] = {NUMBER("statements_bytes_max", "4194304", 65536, 2147483648),
        .reload = true,
        .help = "memory for the texts of a session's named statements"},
    [CFG_KEEPALIVE_S] = {NUMBER("keepalive_s", "60", 0, 86400), .reload = true,
        .help = "TCP keepalive idle time on both legs; 0: the system's"},
    [CFG_USER_TIMEOUT_MS] = {NUMBER("user_timeout_ms", "0", 0, 86400000), .reload = true,
        .help = "TCP_USER_TIMEOUT on both legs; 0: the system's"},
    [CFG_LOCK_TIMEOUT_MS] = {NUMBER("lock_timeout_ms", "200", 10, 60000), .reload = true,
        .help = "longest wait for a strong lock; then segue lets go and tries again. No longer than "
        "the server's deadlock_timeout"},
    [CFG_CUTOVER_DRAIN_MS] = {NUMBER("cutover_drain_ms", "1000", 10, 60000), .reload = true,
        .help = "how long a cut-over waits for open transactions on the tables; then the gate "
                "opens and it tries again"},
    [CFG_GATE_HOLD_MAX_MS] = {NUMBER("gate_hold_max_ms", "2000", 20, 120000), .reload = true,
        .help = "hard deadline: workers open the gate by themselves after it"},
    [CFG_CUTOVER_ATTEMPTS_MAX] = {NUMBER("cutover_attempts_max", "10", 1, 10000), .reload = true,
        .help = "attempts before a cut-over goes back to ready and names the blockers"},
    [CFG_CUTOVER_BACKOFF] = {.name = "cutover_backoff", .type = OPT_LIST,
        .fallback = "0s,5s,30s,2min", .refuse = refuse_backoff, .reload = true,
        .help = "pauses after the first attempt of a cut-over or rollback, the second, ...; the "
                "last one stays"},
    [CFG_CUTOVER_BLOCKERS] = {.name = "cutover_blockers", .type = OPT_CHOICE, .fallback = "wait",
        .choices = blockers, .reload = true,
        .help = "transactions in the way of a cut-over, rollback or complete: wait for them, cancel "
                "their statement, terminate their connection; never replication, prepared "
                "transactions or segue's own"},
    [CFG_CUTOVER_BLOCKERS_AFTER_MS] = {NUMBER("cutover_blockers_after_ms", "10000", 0, 86400000),
        .reload = true,
        .help = "they are cancelled or terminated once they have been in the way for so long"},
    [CFG_CUTOVER_BLOCKERS_EXEMPT] = {.name = "cutover_blockers_exempt", .type = OPT_OBJECTS,
        .fallback = "", .check = eng_exempt_check, .reload = true,
        .help = "who is waited for all the same: patterns of user, application_name, query"},
    [CFG_CUTOVER_POSTPONE_FILE] = {.name = "cutover_postpone_file", .type = OPT_TEXT,
        .fallback = "", .refuse = refuse_relative, .reload = true,
        .help = "no cut-over begins while this file is there, or cannot be looked at; empty: none"},
    [CFG_CUTOVER_LATE_MAX_S] = {NUMBER("cutover_late_max_s", "300", 1, 86400), .reload = true,
        .help = "a cut-over at a time does not begin by itself when it is later than this"},
    [CFG_CUTOVER_REPLICAS_WAIT_MS] = {NUMBER("cutover_replicas_wait_ms", "60000", 100, 86400000),
        .reload = true,
        .help = "how long a cut-over that waits for replicas does so; then it is ready again"},
    [CFG_TRANSACTION_AGE_MAX_MS] = {NUMBER("transaction_age_max_ms", "5000", 100, 3600000),
        .reload = true,
        .help = "a cut-over is not tried while an older transaction holds the tables"},
    [CFG_BATCH_TARGET_MS] = {NUMBER("batch_target_ms", "100", 5, 60000), .reload = true,
        .help = "how long one backfill batch should take; its size follows"},
    [CFG_BATCH_LOCK_TIMEOUT_MS] = {NUMBER("batch_lock_timeout_ms", "50", 1, 60000), .reload = true,
        .help = "how long a batch waits for a row the application holds before it skips it"},
    [CFG_BATCH_WAL_BYTES_MAX] = {NUMBER("batch_wal_bytes_max", "67108864", 65536, 2147483648),
        .reload = true,
        .help = "WAL a batch may write"},
    [CFG_VACUUM_ROWS] = {NUMBER("vacuum_rows", "100000", 0, 2147483648), .reload = true,
        .help = "the backfill vacuums the table every so many rows; 0: never"},
    [CFG_THROTTLE] = {.name = "throttle", .type = OPT_OBJECTS, .fallback = "",
        .check = eng_throttle_check, .reload = true,
        .help = "limits and settings of the signals that slow or hold the backfill; what is set "
                "live by segue throttle goes over them"},
    [CFG_QUIET_PERIOD_S] = {NUMBER("quiet_period_s", "900", 0, 31536000), .reload = true,
        .help = "complete refuses while old names were used within this time"},
};
/* clang-format on */
