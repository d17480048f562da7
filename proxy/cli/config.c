/* The option table, its sources, and the planes' views on it. */
#include "segue/cli/config.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "segue/base/log.h"
#include "segue/base/mem.h"

static const char *refuse_upstream(const char *text)
{
    PQconninfoOption *options;
    const char *refused = NULL;

    if (!*text)
        return NULL;
    options = PQconninfoParse(text, NULL); /* its message may quote the password: not used */
    if (!options)
        refused = "a connection URL or string, as postgresql://user@host:5432/database";
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        bool address = !strcmp(o->keyword, "host") || !strcmp(o->keyword, "port") ||
                       !strcmp(o->keyword, "hostaddr");

        if (address && o->val && strchr(o->val, ','))
            refused = "a connection URL or string with one host";
    }
    PQconninfoFree(options);
    return refused;
}

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
    if (memchr(from, ':', (size_t)(colon - from)) && (from[0] != '[' || colon[-1] != ']'))
        return false;
    return port <= 65535;
}

static const char *refuse_listen(const char *text)
{
    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");

        if (!is_listen_address(p, len))
            return "HOST:PORT or [IPv6]:PORT (several with commas; port 0: any free one)";
        p += len;
        if (!*p)
            return NULL;
    }
}

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};

/* clang-format off */
#define NUMBER(option, standard, least, most) \
    .name = option, .type = OPT_NUMBER, .fallback = standard, .min = least, .max = most

const struct opt_row cfg_rows[CFG_COUNT] = {
    [CFG_UPSTREAM] = {.name = "upstream", .type = OPT_TEXT, .fallback = "",
        .refuse = refuse_upstream, .secret = true,
        .help = "PostgreSQL behind segue: connection URL of the control plane (user, password, "
                "database); clients' sessions go to the same host and port"},
    [CFG_LISTEN] = {.name = "listen", .type = OPT_TEXT, .fallback = "127.0.0.1:6432",
        .refuse = refuse_listen,
        .help = "where clients connect: HOST:PORT, [IPv6]:PORT, several with commas; port 0: any"},
    [CFG_WORKERS] = {NUMBER("workers", "0", 0, 256),
        .help = "worker threads of the data plane; 0: one a core"},
    [CFG_ADMIN_USERS] = {.name = "admin_users", .type = OPT_LIST, .fallback = "", .reload = true,
        .help = "who may use the console, after logging in to the upstream; empty: anybody over "
                "loopback, nobody else"},
    [CFG_LOG_LEVEL] = {.name = "log_level", .type = OPT_CHOICE, .fallback = "info",
        .choices = log_levels, .reload = true,
        .help = "least important lines that are logged"},
    [CFG_DRAIN_TIMEOUT_S] = {NUMBER("drain_timeout_s", "30", 0, 3600), .reload = true,
        .help = "how long SIGTERM waits for sessions to come to a safe point"},
    [CFG_SESSIONS_MAX] = {NUMBER("sessions_max", "10000", 1, 1000000), .reload = true,
        .help = "clients at the same time; more are refused with 53300"},
    [CFG_STARTUP_OPEN_MAX] = {NUMBER("startup_open_max", "1000", 1, 1000000), .reload = true,
        .help = "connections at the same time that have not finished their start-up"},
    [CFG_LOGIN_TIMEOUT_MS] = {NUMBER("login_timeout_ms", "60000", 100, 3600000), .reload = true,
        .help = "from accepting a client to the end of its login"},
    [CFG_CONNECT_TIMEOUT_MS] = {NUMBER("connect_timeout_ms", "10000", 100, 600000), .reload = true,
        .help = "connecting to the upstream for a client"},
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
    [CFG_STATEMENTS_BYTES_MAX] = {NUMBER("statements_bytes_max", "4194304", 65536, 2147483648),
        .reload = true,
        .help = "memory for the texts of a session's named statements"},
    [CFG_KEEPALIVE_S] = {NUMBER("keepalive_s", "60", 0, 86400), .reload = true,
        .help = "TCP keepalive idle time on both legs; 0: the system's"},
    [CFG_USER_TIMEOUT_MS] = {NUMBER("user_timeout_ms", "0", 0, 86400000), .reload = true,
        .help = "TCP_USER_TIMEOUT on both legs; 0: the system's"},
    [CFG_LOCK_TIMEOUT_MS] = {NUMBER("lock_timeout_ms", "200", 10, 60000), .reload = true,
        .help = "longest wait for a strong lock; then segue lets go and tries again"},
    [CFG_CUTOVER_DRAIN_MS] = {NUMBER("cutover_drain_ms", "1000", 10, 60000), .reload = true,
        .help = "how long a cut-over waits for open transactions on the tables; then the gate "
                "opens and it tries again"},
    [CFG_GATE_HOLD_MAX_MS] = {NUMBER("gate_hold_max_ms", "2000", 20, 120000), .reload = true,
        .help = "hard deadline: workers open the gate by themselves after it"},
    [CFG_CUTOVER_ATTEMPTS_MAX] = {NUMBER("cutover_attempts_max", "10", 1, 10000), .reload = true,
        .help = "attempts before a cut-over goes back to ready and names the blockers"},
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
    [CFG_QUIET_PERIOD_S] = {NUMBER("quiet_period_s", "900", 0, 31536000), .reload = true,
        .help = "complete refuses while old names were used within this time"},
};
/* clang-format on */

void cfg_free(struct cfg *cfg)
{
    if (!cfg)
        return;
    opt_set_free(cfg->set);
    free(cfg->upstream.host);
    free(cfg->upstream.port);
    free(cfg->upstream.database);
    free(cfg->file);
    free(cfg);
}

/* libpq's words, with libpq's own defaults (PGHOST, ...). */
static enum rc take_apart(const char *url, struct cfg_upstream *out, struct err *err)
{
    PQconninfoOption *given = PQconninfoParse(url, NULL), *standard = PQconndefaults();
    const char *user = NULL;

    if (!given || !standard) {
        err_set(err, "22023", "option \"upstream\" cannot be parsed");
        PQconninfoFree(given);
        PQconninfoFree(standard);
        return RC_ERR;
    }
    for (size_t i = 0; given[i].keyword; i++) { /* both are in the same order */
        const char *key = given[i].keyword;
        const char *val = given[i].val && *given[i].val ? given[i].val : standard[i].val;

        if (!val || !*val)
            continue;
        if (!strcmp(key, "hostaddr") || (!strcmp(key, "host") && !out->host)) {
            free(out->host);
            out->host = mem_strdup(val);
        } else if (!strcmp(key, "port")) {
            out->port = mem_strdup(val);
        } else if (!strcmp(key, "dbname")) {
            out->database = mem_strdup(val);
        } else if (!strcmp(key, "user")) {
            user = val;
        }
    }
    if (!out->host)
        out->host = mem_strdup("/var/run/postgresql");
    if (!out->port)
        out->port = mem_strdup("5432");
    if (!out->database)
        out->database = mem_strdup(user ? user : "postgres");
    PQconninfoFree(given);
    PQconninfoFree(standard);
    return RC_OK;
}

/* One flag: "--name value" or "--name=value", "-c file". Moves *i past it. */
static enum rc flag(struct cfg *cfg, int argc, char *const *argv, int *i, bool file_only,
                    struct err *err)
{
    const char *word = argv[*i], *value = NULL;
    char name[64];
    size_t len = strcspn(word, "=");
    bool file;
    int row;

    snprintf(name, sizeof(name), "%.*s", (int)len, word);
    file = !strcmp(name, "-c") || !strcmp(name, "--config");
    row = strncmp(name, "--", 2) == 0 ? opt_find(cfg->set, name + 2) : -1;
    if (word[len] == '=')
        value = word + len + 1;
    else if (*i + 1 < argc)
        value = argv[++*i];
    if (!file && row < 0)
        err_set(err, "42704", "serve does not know \"%s\"", name);
    else if (!value)
        err_set(err, "22023", "%s needs a value", name);
    if (err_is_set(err)) {
        err_hint(err, "segue serve --help");
        return RC_ERR;
    }
    if (file) {
        free(cfg->file);
        cfg->file = mem_strdup(value);
    } else if (!file_only && opt_set_text(cfg->set, row, value, OPT_FLAG, err) != RC_OK) {
        err_prefix(err, "%s", name);
        return RC_ERR;
    }
    return RC_OK;
}

static enum rc flags(struct cfg *cfg, int argc, char *const *argv, bool file_only, struct err *err)
{
    for (int i = 0; i < argc; i++) {
        if (flag(cfg, argc, argv, &i, file_only, err) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

static enum rc load_database_url(struct cfg *cfg, struct err *err)
{
    const char *url = getenv("DATABASE_URL");

    if (!url || !*url || *cfg->set->values[CFG_UPSTREAM].text)
        return RC_OK;
    if (opt_set_text(cfg->set, CFG_UPSTREAM, url, OPT_ENVIRONMENT, err) != RC_OK) {
        err_prefix(err, "environment variable DATABASE_URL");
        return RC_ERR;
    }
    return RC_OK;
}

/* What single options cannot say. */
static enum rc check_together(const struct cfg *cfg, struct err *err)
{
    const struct opt_value *v = cfg->set->values;

    if (!*v[CFG_UPSTREAM].text) {
        err_set(err, "22023", "option \"upstream\" is not set");
        err_hint(err, "--upstream postgresql://user@host:5432/database, or DATABASE_URL, or the "
                      "configuration file");
        return RC_ERR;
    }
    if (v[CFG_GATE_HOLD_MAX_MS].number <= v[CFG_CUTOVER_DRAIN_MS].number)
        log_warning(
            "the gate opens by itself (gate_hold_max_ms, %u) before a cut-over stops waiting "
            "(cutover_drain_ms, %u)",
            v[CFG_GATE_HOLD_MAX_MS].number, v[CFG_CUTOVER_DRAIN_MS].number);
    return RC_OK;
}

enum rc cfg_load(int argc, char *const *argv, struct cfg **out, struct err *err)
{
    struct cfg *cfg = mem_calloc(1, sizeof(*cfg));

    cfg->set = opt_set_new(cfg_rows, CFG_COUNT);
    *out = NULL;
    if (flags(cfg, argc, argv, true, err) != RC_OK ||
        (cfg->file && opt_load_file(cfg->set, cfg->file, err) != RC_OK) ||
        opt_load_environment(cfg->set, "SEGUE_", err) != RC_OK ||
        flags(cfg, argc, argv, false, err) != RC_OK || load_database_url(cfg, err) != RC_OK ||
        check_together(cfg, err) != RC_OK ||
        take_apart(cfg->set->values[CFG_UPSTREAM].text, &cfg->upstream, err) != RC_OK) {
        cfg_free(cfg);
        return RC_ERR;
    }
    *out = cfg;
    return RC_OK;
}

size_t cfg_take_over(struct cfg *cfg, struct cfg *next)
{
    size_t taken = 0;

    for (int i = 0; i < CFG_COUNT; i++) {
        struct opt_value *mine = &cfg->set->values[i], *theirs = &next->set->values[i],
                         swap = *mine;
        char *shown;

        if (strcmp(mine->text, theirs->text) == 0)
            continue;
        shown = opt_shown(next->set, i);
        if (!cfg_rows[i].reload) {
            log_warning("reload: \"%s\" is now \"%s\": takes effect with the next start",
                        cfg_rows[i].name, shown);
        } else {
            log_info("reload: \"%s\" is now \"%s\"", cfg_rows[i].name, shown);
            *mine = *theirs;
            *theirs = swap;
            taken++;
        }
        free(shown);
    }
    return taken;
}

void cfg_session_options(const struct cfg *cfg, struct sess_options *out)
{
    const struct opt_value *v = cfg->set->values;

    *out = (struct sess_options){
        .listen = v[CFG_LISTEN].text,
        .upstream_host = cfg->upstream.host,
        .upstream_port = cfg->upstream.port,
        .workers = v[CFG_WORKERS].number,
        .sessions_max = v[CFG_SESSIONS_MAX].number,
        .startup_open_max = v[CFG_STARTUP_OPEN_MAX].number,
        .login_timeout_ms = v[CFG_LOGIN_TIMEOUT_MS].number,
        .connect_timeout_ms = v[CFG_CONNECT_TIMEOUT_MS].number,
        .buffer_bytes_max = v[CFG_BUFFER_BYTES_MAX].number,
        .inspect_bytes_max = v[CFG_INSPECT_BYTES_MAX].number,
        .cache_entries = v[CFG_CACHE_ENTRIES].number,
        .cache_bytes = v[CFG_CACHE_BYTES].number,
        .statements_bytes_max = v[CFG_STATEMENTS_BYTES_MAX].number,
        .keepalive_s = v[CFG_KEEPALIVE_S].number,
        .user_timeout_ms = v[CFG_USER_TIMEOUT_MS].number,
    };
}

void cfg_engine_options(const struct cfg *cfg, struct eng_options *out)
{
    const struct opt_value *v = cfg->set->values;

    *out = (struct eng_options){
        .upstream = v[CFG_UPSTREAM].text,
        .lock_timeout_ms = v[CFG_LOCK_TIMEOUT_MS].number,
        .drain_timeout_ms = v[CFG_CUTOVER_DRAIN_MS].number,
        .gate_hold_max_ms = v[CFG_GATE_HOLD_MAX_MS].number,
        .cutover_attempts_max = v[CFG_CUTOVER_ATTEMPTS_MAX].number,
        .transaction_age_max_ms = v[CFG_TRANSACTION_AGE_MAX_MS].number,
        .batch_target_ms = v[CFG_BATCH_TARGET_MS].number,
        .batch_lock_timeout_ms = v[CFG_BATCH_LOCK_TIMEOUT_MS].number,
        .batch_wal_bytes_max = v[CFG_BATCH_WAL_BYTES_MAX].number,
        .vacuum_rows = v[CFG_VACUUM_ROWS].number,
        .quiet_period_s = v[CFG_QUIET_PERIOD_S].number,
    };
}

json_t *cfg_show(const struct cfg *cfg)
{
    json_t *rows = json_array();

    for (int i = 0; i < CFG_COUNT; i++) {
        const struct opt_row *row = &cfg_rows[i];
        char *shown = opt_shown(cfg->set, i);
        char allowed[256];

        opt_allowed(row, allowed, sizeof(allowed));
        json_array_append_new(rows, json_pack("[s, s, s, s, b, s, s]", row->name, shown,
                                              opt_source_name(cfg->set->values[i].source),
                                              row->fallback, (int)row->reload, allowed, row->help));
        free(shown);
    }
    return json_pack("{s: [s, s, s, s, s, s, s], s: o}", "columns", "option", "value", "source",
                     "default", "reload", "allowed", "help", "rows", rows);
}
