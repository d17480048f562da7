/* The sources of the configuration, and the planes' views on it. */
#include "segue/cli/config.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "segue/net/unix.h"

#define PREFIX "SEGUE_" /* of the environment */

void cfg_free(struct cfg *cfg)
{
    if (!cfg)
        return;
    opt_set_free(cfg->set);
    cfg_upstream_fini(&cfg->upstream);
    free(cfg->file);
    free(cfg);
}

static const char *nearest_option(const char *word)
{
    const char *names[CFG_COUNT];

    for (int i = 0; i < CFG_COUNT; i++)
        names[i] = cfg_rows[i].name;
    return opt_nearest(word, names, CFG_COUNT);
}

static void unknown_flag(const char *word, struct err *err)
{
    const char *near = strncmp(word, "--", 2) == 0 ? nearest_option(word + 2) : NULL;

    err_set(err, "42704", "serve does not know \"%s\"", word);
    if (near)
        err_hint(err, "did you mean --%s?", near);
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
        unknown_flag(name, err);
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

/* Others may use the prefix, too: only what is nearly an option is worth a line. */
static void warn_of_variables(const struct cfg *cfg)
{
    for (char **variable = environ; *variable; variable++) {
        size_t len = strcspn(*variable, "=");
        char name[64];
        const char *near;

        if (strncmp(*variable, PREFIX, strlen(PREFIX)) != 0 || len >= sizeof(name))
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)len, *variable);
        for (char *p = name; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        near = nearest_option(name + strlen(PREFIX));
        if (near && *near == name[strlen(PREFIX)] && opt_find(cfg->set, name + strlen(PREFIX)) < 0)
            log_warning("the environment variable %.*s is no option: did you mean \"%s\"?",
                        (int)len, *variable, near);
    }
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

static unsigned tls_version(const struct opt_value *value)
{
    return strcmp(value->text, "TLSv1.3") == 0 ? 0x0304 : 0x0303;
}

/* The row's own check has parsed it before: what fails now has changed since (a file). */
static enum rc read_upstream(struct cfg *cfg, struct err *err)
{
    struct cfg_upstream *up = &cfg->upstream;

    up->tls_version_least = tls_version(&cfg->set->values[CFG_TLS_VERSION_MIN]);
    up->tls_version_most = tls_version(&cfg->set->values[CFG_TLS_VERSION_MAX]);
    if (cfg_upstream_parse(cfg->set->values[CFG_UPSTREAM].text, up, err) != RC_OK) {
        err_prefix(err, "option \"upstream\" must be");
        return RC_ERR;
    }
    if (up->pooler)
        log_warning("the upstream \"%s\" is a pooler: the control plane needs a direct connection "
                    "HINT: take \"-pooler\" out of the host name in the option upstream",
                    up->pooler);
    return RC_OK;
}

/* Is the listen address of `len` bytes where `host` leads to? By their texts: what is meant is the
 * URL of the application, which leads to segue already, given to segue as well. */
static bool same_place(const char *item, size_t len, const struct sess_host *host)
{
    static const char *const local[] = {"127.0.0.1", "localhost"};
    const char *name = host->addr ? host->addr : host->name;
    bool ours = false, theirs = false, any;
    char own[256], *port;

    snprintf(own, sizeof(own), "%.*s", (int)len - (*item == '['), item + (*item == '['));
    port = strrchr(own, ':');
    if (!port || !name || strcmp(port + 1, host->port) != 0)
        return false;
    port[*item == '[' && port > own ? -1 : 0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(local); i++) {
        ours |= strcmp(own, local[i]) == 0;
        theirs |= strcmp(name, local[i]) == 0;
    }
    any = !*own || strcmp(own, "*") == 0 || strcmp(own, "0.0.0.0") == 0;
    return strcmp(own, name) == 0 || (theirs && (ours || any));
}

static enum rc check_no_loop(const struct cfg *cfg, struct err *err)
{
    const struct sess_upstream_options *up = &cfg->upstream.sessions;

    for (const char *item = cfg->set->values[CFG_LISTEN].text; *item;) {
        size_t len = strcspn(item, ",");

        for (size_t i = 0; i < up->nhosts; i++) {
            if (!same_place(item, len, &up->hosts[i]))
                continue;
            err_set(err, "22023", "option \"upstream\" leads to segue itself: \"listen\" has %.*s",
                    (int)len, item);
            err_hint(err, "the upstream is PostgreSQL; the URL of the application is another");
            return RC_ERR;
        }
        item += len;
        item += strspn(item, ", ");
    }
    return RC_OK;
}

enum rc cfg_load(int argc, char *const *argv, struct cfg **out, struct err *err)
{
    struct cfg *cfg = mem_calloc(1, sizeof(*cfg));

    cfg->set = opt_set_new(cfg_rows, CFG_COUNT);
    *out = NULL;
    if (flags(cfg, argc, argv, true, err) != RC_OK ||
        (cfg->file && opt_load_file(cfg->set, cfg->file, err) != RC_OK) ||
        opt_load_environment(cfg->set, PREFIX, err) != RC_OK ||
        flags(cfg, argc, argv, false, err) != RC_OK || load_database_url(cfg, err) != RC_OK ||
        check_together(cfg, err) != RC_OK || read_upstream(cfg, err) != RC_OK ||
        check_no_loop(cfg, err) != RC_OK) {
        cfg_free(cfg);
        return RC_ERR;
    }
    warn_of_variables(cfg);
    *out = cfg;
    return RC_OK;
}

void cfg_swap(struct cfg *cfg, struct cfg *next)
{
    for (int i = 0; i < CFG_COUNT; i++) {
        struct opt_value *mine = &cfg->set->values[i], *theirs = &next->set->values[i],
                         swap = *mine;

        if (!cfg_rows[i].reload)
            continue; /* of those of the same text it counts, too, who says it */
        *mine = *theirs;
        *theirs = swap;
    }
}

size_t cfg_log_changes(const struct cfg *cfg, const struct cfg *swapped)
{
    size_t changed = 0;

    for (int i = 0; i < CFG_COUNT; i++) {
        bool reload = cfg_rows[i].reload;
        char *shown;

        if (strcmp(cfg->set->values[i].text, swapped->set->values[i].text) == 0)
            continue;
        shown = opt_shown(reload ? cfg->set : swapped->set, i);
        if (reload)
            log_info("reload: \"%s\" is now \"%s\"", cfg_rows[i].name, shown);
        else
            log_warning("reload: \"%s\" is now \"%s\": takes effect with the next start",
                        cfg_rows[i].name, shown);
        free(shown);
        changed += reload;
    }
    return changed;
}

/* The URL's, unless the option says otherwise. */
static unsigned connect_timeout_ms(const struct cfg *cfg)
{
    const struct opt_value *option = &cfg->set->values[CFG_CONNECT_TIMEOUT_MS];
    unsigned seconds = cfg->upstream.connect_timeout_s;

    return seconds && option->source == OPT_DEFAULT ? seconds * 1000 : option->number;
}

void cfg_session_options(const struct cfg *cfg, struct sess_options *out)
{
    const struct opt_value *v = cfg->set->values;

    *out = (struct sess_options){
        .listen = v[CFG_LISTEN].text,
        .unix_socket_mode = (unsigned)strtoul(v[CFG_UNIX_SOCKET_MODE].text, NULL, 8),
        .upstream = cfg->upstream.sessions,
        .client_tls = {.mode = (enum sess_tls_mode)opt_choice(&cfg_rows[CFG_CLIENT_TLS],
                                                              v[CFG_CLIENT_TLS].text),
                       .cert_file = v[CFG_CLIENT_TLS_CERT_FILE].text,
                       .key_file = v[CFG_CLIENT_TLS_KEY_FILE].text,
                       .ca_file = v[CFG_CLIENT_TLS_CA_FILE].text,
                       .crl_file = v[CFG_CLIENT_TLS_CRL_FILE].text,
                       .ciphers = v[CFG_CLIENT_TLS_CIPHERS].text,
                       .suites = v[CFG_CLIENT_TLS13_CIPHERS].text,
                       .version_min = tls_version(&v[CFG_TLS_VERSION_MIN]),
                       .version_max = tls_version(&v[CFG_TLS_VERSION_MAX]),
                       .ticket_key_s = v[CFG_CLIENT_TLS_TICKET_KEY_S].number},
        .auth = (enum sess_auth_mode)opt_choice(&cfg_rows[CFG_AUTH], v[CFG_AUTH].text),
        .auth_file = v[CFG_AUTH_FILE].text,
        .cert_map = v[CFG_CERT_MAP].list,
        .schema_rules = v[CFG_SCHEMA_RULES].text,
        .workers = v[CFG_WORKERS].number,
        .sessions_max = v[CFG_SESSIONS_MAX].number,
        .startup_open_max = v[CFG_STARTUP_OPEN_MAX].number,
        .startup_open_per_address_max = v[CFG_STARTUP_OPEN_PER_ADDRESS_MAX].number,
        .startup_bytes_max = v[CFG_STARTUP_BYTES_MAX].number,
        .login_timeout_ms = v[CFG_LOGIN_TIMEOUT_MS].number,
        .failed_login_delay_ms = v[CFG_FAILED_LOGIN_DELAY_MS].number,
        .connect_timeout_ms = connect_timeout_ms(cfg),
        .upstream_wait_ms = v[CFG_UPSTREAM_WAIT_MS].number,
        .rules_wait_ms = v[CFG_RULES_WAIT_MS].number,
        .idle_timeout_s = v[CFG_IDLE_TIMEOUT_S].number,
        .buffer_bytes_max = v[CFG_BUFFER_BYTES_MAX].number,
        .inspect_bytes_max = v[CFG_INSPECT_BYTES_MAX].number,
        .cache_entries = v[CFG_CACHE_ENTRIES].number,
        .cache_bytes = v[CFG_CACHE_BYTES].number,
        .usage_entries_max = v[CFG_USAGE_ENTRIES_MAX].number,
        .statements_bytes_max = v[CFG_STATEMENTS_BYTES_MAX].number,
        .keepalive_s = v[CFG_KEEPALIVE_S].number,
        .user_timeout_ms = v[CFG_USER_TIMEOUT_MS].number,
    };
    net_unix_group(v[CFG_UNIX_SOCKET_GROUP].text, &out->unix_socket_group);
    out->upstream.tls_ciphers = v[CFG_UPSTREAM_TLS_CIPHERS].text;
    out->upstream.tls_suites = v[CFG_UPSTREAM_TLS13_CIPHERS].text;
    if (out->upstream.tls_version_min < tls_version(&v[CFG_TLS_VERSION_MIN]))
        out->upstream.tls_version_min = tls_version(&v[CFG_TLS_VERSION_MIN]);
    if (out->upstream.tls_version_max > tls_version(&v[CFG_TLS_VERSION_MAX]))
        out->upstream.tls_version_max = tls_version(&v[CFG_TLS_VERSION_MAX]);
    if (strcmp(v[CFG_UPSTREAM_TLS_NEGOTIATION].text, "direct") == 0)
        out->upstream.tls_direct = true;
}

/* The row's own check has parsed every item before. */
static struct eng_backoff backoff(char *const *list)
{
    struct eng_backoff out = {0};

    for (size_t i = 0; list[i] && out.n < ENG_BACKOFF_MAX; i++) {
        if (clock_duration_parse(list[i], &out.ms[out.n]) == RC_OK)
            out.n++;
    }
    out.n += out.n == 0;
    return out;
}

void cfg_engine_options(const struct cfg *cfg, struct eng_options *out)
{
    const struct opt_value *v = cfg->set->values;

    *out = (struct eng_options){
        .upstream = cfg->upstream.engine,
        .lock_timeout_ms = v[CFG_LOCK_TIMEOUT_MS].number,
        .drain_timeout_ms = v[CFG_CUTOVER_DRAIN_MS].number,
        .gate_hold_max_ms = v[CFG_GATE_HOLD_MAX_MS].number,
        .cutover_attempts_max = v[CFG_CUTOVER_ATTEMPTS_MAX].number,
        .blockers = (enum eng_blockers)opt_choice(&cfg_rows[CFG_CUTOVER_BLOCKERS],
                                                  v[CFG_CUTOVER_BLOCKERS].text),
        .blockers_after_ms = v[CFG_CUTOVER_BLOCKERS_AFTER_MS].number,
        .blockers_exempt = v[CFG_CUTOVER_BLOCKERS_EXEMPT].text,
        .postpone_file = v[CFG_CUTOVER_POSTPONE_FILE].text,
        .late_max_s = v[CFG_CUTOVER_LATE_MAX_S].number,
        .replicas_wait_ms = v[CFG_CUTOVER_REPLICAS_WAIT_MS].number,
        .backoff = backoff(v[CFG_CUTOVER_BACKOFF].list),
        .transaction_age_max_ms = v[CFG_TRANSACTION_AGE_MAX_MS].number,
        .batch_target_ms = v[CFG_BATCH_TARGET_MS].number,
        .batch_lock_timeout_ms = v[CFG_BATCH_LOCK_TIMEOUT_MS].number,
        .batch_wal_bytes_max = v[CFG_BATCH_WAL_BYTES_MAX].number,
        .vacuum_rows = v[CFG_VACUUM_ROWS].number,
        .throttle = v[CFG_THROTTLE].text,
        .quiet_period_s = v[CFG_QUIET_PERIOD_S].number,
        .usage_entries_max = v[CFG_USAGE_ENTRIES_MAX].number,
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
