#include "segue/cli/upstream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "conninfo.h"
#include "segue/base/mem.h"
#include "segue/base/option.h"

#define DEFAULT_SOCKET_DIR "/var/run/postgresql" /* Debian's libpq */
#define DEFAULT_PORT "5432"
#define LIBPQ_KNOWS_SYSTEM 160000 /* sslrootcert=system */

struct parse {
    struct conninfo given;
    PQconninfoOption *standard; /* what this libpq knows, with the values of PGHOST and the like */
    struct cfg_upstream *out;
    struct err *err;
};

/* ---- words ---- */

static const char *const tls_modes[] = {"disable",   "allow",       "prefer", "require",
                                        "verify-ca", "verify-full", NULL};
static const char *const targets[] = {"any",     "read-write",     "read-only", "primary",
                                      "standby", "prefer-standby", NULL};
static const char *const bindings[] = {"disable", "prefer", "require", NULL};
static const char *const negotiations[] = {"postgres", "direct", NULL};
static const char *const balances[] = {"disable", "random", NULL};
static const char *const flags[] = {"0", "1", NULL};
static const char *const versions[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL};
static const char *const newest[] = {"TLSv1.2", "TLSv1.3", NULL};
static const char *const not_required[] = {"disable", "allow", NULL};
static const char *const not_gss[] = {"disable", "prefer", NULL};

/* What is checked here, and the words of newer libpqs that segue can do without. Words that are
 * not here are libpq's alone (user, password, options, keepalives, ...). */
static const struct word {
    const char *name;
    const char *const *choices; /* NULL: anything */
    const char *refused;        /* why a value cannot be honoured; NULL: it can */
} words[] = {
    {"sslmode", tls_modes, NULL},
    {"target_session_attrs", targets, NULL},
    {"channel_binding", bindings, NULL},
    {"sslnegotiation", negotiations, NULL},
    {"load_balance_hosts", balances, NULL},
    {"sslsni", flags, NULL},
    {"ssl_min_protocol_version", versions, NULL},
    {"ssl_max_protocol_version", newest, NULL},
    {"sslcertmode", not_required, NULL},
    {"gssencmode", not_gss, NULL},
    {"min_protocol_version", NULL, NULL}, /* clients choose theirs; the control plane needs 3.0 */
    {"max_protocol_version", NULL, NULL},
    {"servicefile", NULL, "write host, port and dbname out"},
    {"service", NULL, "write host, port and dbname out"},
    {"replication", NULL, "clients ask for it themselves"},
    {"requirepeer", NULL, "it cannot be checked for clients' sessions"},
    {"require_auth", NULL,
     "it cannot be checked for clients' sessions; channel_binding=require can"},
    {"sslpassword", NULL, "the key in sslkey must not be encrypted"},
    {"sslcrldir", NULL, "use sslcrl"},
    {"sslkeylogfile", NULL, "keys are not written anywhere"},
};

static enum rc bad(const struct parse *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum rc bad(const struct parse *p, const char *fmt, ...)
{
    struct buf text = {0};
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(p->err, "22023", CONNINFO_MUST_BE " in which %s", text.data);
    buf_fini(&text);
    return RC_ERR;
}

static const struct word *find_word(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].name, name) == 0)
            return &words[i];
    }
    return NULL;
}

static const PQconninfoOption *of_libpq(const struct parse *p, const char *name)
{
    for (const PQconninfoOption *o = p->standard; o->keyword; o++) {
        if (strcmp(o->keyword, name) == 0)
            return o;
    }
    return NULL;
}

/* As given, or libpq's default; NULL: neither. libpq takes an empty value as none. */
static const char *value(const struct parse *p, const char *name)
{
    const char *given = conninfo_get(&p->given, name);
    const PQconninfoOption *standard = of_libpq(p, name);

    if (given && *given)
        return given;
    return standard && standard->val && *standard->val ? standard->val : NULL;
}

/* Which of the word's choices its value is; `fallback` when there is none. */
static int choice(const struct parse *p, const char *name, int fallback)
{
    const char *const *choices = find_word(name)->choices;
    const char *text = value(p, name);

    for (int i = 0; text && choices[i]; i++) {
        if (strcmp(choices[i], text) == 0)
            return i;
    }
    return fallback;
}

static enum rc unknown(const struct parse *p, const char *name)
{
    const char *names[128];
    const char *near;
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        names[n++] = words[i].name;
    for (const PQconninfoOption *o = p->standard; o->keyword && n < ARRAY_LEN(names); o++)
        names[n++] = o->keyword;
    if (p->given.doubtful)
        return bad(p, "all words are libpq's, and signs in the password are escaped");
    near = opt_nearest(name, names, n);
    return bad(p, "all words are libpq's: there is no \"%.32s\"%s%s%s", name,
               near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

static enum rc check_word(const struct parse *p, const struct word *word)
{
    const char *text = value(p, word->name);
    struct buf allowed = {0};

    if (!text)
        return RC_OK;
    if (word->refused)
        return bad(p, "%s is not given (%s)", word->name, word->refused);
    for (size_t i = 0; word->choices && word->choices[i]; i++) {
        if (strcmp(word->choices[i], text) == 0) {
            buf_fini(&allowed);
            return RC_OK;
        }
        buf_printf(&allowed, "%s%s", i ? ", " : "", word->choices[i]);
    }
    if (!word->choices)
        return RC_OK;
    bad(p, "%s is one of %s, not \"%.32s\"", word->name, allowed.data, text);
    buf_fini(&allowed);
    return RC_ERR;
}

static enum rc check_words(const struct parse *p)
{
    for (size_t i = 0; i < p->given.count; i++) {
        const char *name = p->given.pairs[i].word;

        if (!find_word(name) && !of_libpq(p, name))
            return unknown(p, name);
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (check_word(p, &words[i]) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

/* ---- hosts ---- */

static const char *keep(struct cfg_upstream *out, char *text)
{
    assert(out->nstrings < CFG_UPSTREAM_STRINGS);
    out->strings[out->nstrings++] = text;
    return text;
}

static size_t items(const char *list)
{
    size_t n = list ? 1 : 0;

    for (; list && *list; list++)
        n += *list == ',';
    return n;
}

/* Item `i` of a list with commas (of the only one, when there is one); "" when there is no list. */
static char *item(const char *list, size_t i)
{
    size_t n = items(list);

    if (!n)
        return mem_strdup("");
    for (i = n == 1 ? 0 : i; i; i--)
        list += strcspn(list, ",") + 1;
    return mem_strndup(list, strcspn(list, ","));
}

static bool is_port(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long port = strtoul(text, NULL, 10);

    return digits && digits <= 5 && !text[digits] && port >= 1 && port <= 65535;
}

static enum rc one_host(const struct parse *p, size_t i)
{
    struct sess_host *host = &p->out->sessions.hosts[i];
    char *name = item(value(p, "host"), i), *addr = item(value(p, "hostaddr"), i);
    char *port = item(value(p, "port"), i);

    if (!*name) {
        free(name);
        name = mem_strdup(*addr ? addr : DEFAULT_SOCKET_DIR);
    }
    if (!*port) {
        free(port);
        port = mem_strdup(DEFAULT_PORT);
    }
    host->name = keep(p->out, name);
    host->port = keep(p->out, port);
    host->addr = *keep(p->out, addr) ? addr : NULL;
    if (!is_port(port))
        return bad(p, "port is a number from 1 to 65535"); /* not shown: user:password without @ */
    if (!p->out->pooler && strstr(name, "-pooler.") && strstr(name, ".neon."))
        p->out->pooler = name;
    return RC_OK;
}

static enum rc read_hosts(const struct parse *p)
{
    size_t names = items(value(p, "host")), addrs = items(value(p, "hostaddr"));
    size_t ports = items(value(p, "port")), n = names ? names : addrs ? addrs : 1;

    if (names && addrs && names != addrs)
        return bad(p, "host and hostaddr are as many (%zu and %zu are given)", names, addrs);
    if (ports > 1 && ports != n)
        return bad(p, "port is one, or one for each of the %zu hosts (%zu are given)", n, ports);
    if (n > SESS_HOSTS_MAX)
        return bad(p, "there are at most %d hosts (%zu are given)", SESS_HOSTS_MAX, n);
    p->out->sessions.nhosts = n;
    for (size_t i = 0; i < n; i++) {
        if (one_host(p, i) != RC_OK)
            return RC_ERR;
    }
    return RC_OK;
}

/* ---- TLS ---- */

/* The file of this name that libpq would look for, or NULL. */
static const char *in_home(const struct parse *p, const char *name)
{
    const char *home = getenv("HOME");
    char *path;

    if (!home || !*home)
        return NULL;
    path = mem_printf("%s/.postgresql/%s", home, name);
    if (access(path, F_OK) == 0)
        return keep(p->out, path);
    free(path);
    return NULL;
}

static const char *file_of(const struct parse *p, const char *word, const char *name_in_home)
{
    const char *text = value(p, word);

    return text ? keep(p->out, mem_strdup(text)) : in_home(p, name_in_home);
}

static enum rc read_trust(const struct parse *p)
{
    struct sess_upstream_options *o = &p->out->sessions;

    o->ca_file = file_of(p, "sslrootcert", "root.crt");
    o->crl_file = file_of(p, "sslcrl", "root.crl");
    if (o->ca_file && strcmp(o->ca_file, "system") == 0) {
        if (conninfo_get(&p->given, "sslmode") && o->tls != SESS_TLS_VERIFY_FULL)
            return bad(p, "sslmode is verify-full when sslrootcert is system");
        o->tls = SESS_TLS_VERIFY_FULL;
        return RC_OK;
    }
    if (o->ca_file && access(o->ca_file, R_OK) != 0 && o->tls >= SESS_TLS_VERIFY_CA)
        return bad(p, "sslrootcert is a file that can be read, or system; \"%.200s\" cannot",
                   o->ca_file);
    if (o->ca_file && access(o->ca_file, R_OK) != 0)
        o->ca_file = NULL; /* as libpq */
    if (!o->ca_file && o->tls == SESS_TLS_VERIFY_CA)
        return bad(p, "sslrootcert says who vouches for the server when sslmode is verify-ca");
    if (!o->ca_file && o->tls == SESS_TLS_VERIFY_FULL)
        o->ca_file = "system"; /* libpq refuses; a name that is checked makes them good enough */
    if (o->ca_file && o->tls == SESS_TLS_REQUIRE)
        o->tls = SESS_TLS_VERIFY_CA; /* as libpq */
    return RC_OK;
}

static enum rc read_tls(const struct parse *p)
{
    struct sess_upstream_options *o = &p->out->sessions;
    const char *key;

    o->tls = (enum sess_tls_mode)choice(p, "sslmode", SESS_TLS_PREFER);
    if (read_trust(p) != RC_OK)
        return RC_ERR;
    o->tls_direct = choice(p, "sslnegotiation", 0) == 1;
    if (o->tls_direct && o->tls < SESS_TLS_REQUIRE)
        return bad(p, "sslmode is require, verify-ca or verify-full when sslnegotiation is direct");
    o->sni = choice(p, "sslsni", 1) == 1;
    o->channel_binding_required = choice(p, "channel_binding", 1) == 2;
    if (o->channel_binding_required && o->tls == SESS_TLS_DISABLE)
        return bad(p, "sslmode is not disable when channel_binding is require");
    o->tls_version_min = choice(p, "ssl_min_protocol_version", 2) == 3 ? 0x0304 : 0x0303;
    o->tls_version_max = choice(p, "ssl_max_protocol_version", 1) == 0 ? 0x0303 : 0x0304;
    if (choice(p, "sslcertmode", 1) == 0)
        return RC_OK;
    o->cert_file = file_of(p, "sslcert", "postgresql.crt");
    key = o->cert_file ? file_of(p, "sslkey", "postgresql.key") : NULL;
    if (o->cert_file && access(o->cert_file, F_OK) != 0)
        o->cert_file = NULL; /* as libpq: then the client has none */
    o->key_file = o->cert_file ? key : NULL;
    if (o->cert_file && !key)
        return bad(p, "sslkey is given with sslcert");
    return RC_OK;
}

/* ---- strings for libpq ---- */

static const char *system_roots(void)
{
    static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    const char *chosen = getenv("SSL_CERT_FILE"); /* as OpenSSL */

    for (size_t i = 0; !(chosen && *chosen) && i < ARRAY_LEN(places); i++) {
        if (access(places[i], R_OK) == 0)
            return places[i];
    }
    return chosen && *chosen ? chosen : places[0];
}

/* Everything but hosts and target. */
static void put_words(const struct parse *p, struct buf *out)
{
    static const char *const others[] = {"host",
                                         "hostaddr",
                                         "port",
                                         "target_session_attrs",
                                         "sslrootcert",
                                         "ssl_min_protocol_version",
                                         "ssl_max_protocol_version"};
    const struct sess_upstream_options *o = &p->out->sessions;
    bool is_system = o->ca_file && strcmp(o->ca_file, "system") == 0;

    for (size_t i = 0; i < p->given.count; i++) {
        const struct conninfo_pair *pair = &p->given.pairs[i];
        bool other = !of_libpq(p, pair->word) || !*pair->value;

        for (size_t j = 0; j < ARRAY_LEN(others); j++)
            other = other || strcmp(pair->word, others[j]) == 0;
        if (!other)
            conninfo_put(out, pair->word, pair->value);
    }
    if (is_system) {
        conninfo_put(out, "sslmode", "verify-full");
        conninfo_put(out, "sslrootcert",
                     PQlibVersion() >= LIBPQ_KNOWS_SYSTEM ? "system" : system_roots());
    } else if (conninfo_get(&p->given, "sslrootcert")) {
        conninfo_put(out, "sslrootcert", conninfo_get(&p->given, "sslrootcert"));
    }
    if (o->tls == SESS_TLS_DISABLE)
        return;
    if (o->tls_version_min > 0x0303 || p->out->tls_version_least > 0x0303)
        conninfo_put(out, "ssl_min_protocol_version", "TLSv1.3");
    if (o->tls_version_max < 0x0304 || p->out->tls_version_most == 0x0303)
        conninfo_put(out, "ssl_max_protocol_version", "TLSv1.2");
}

static void put_list(struct buf *out, const char *word, const struct cfg_upstream *from,
                     const char *(*field)(const struct sess_host *host))
{
    struct buf list = {0};

    for (size_t i = 0; i < from->sessions.nhosts; i++)
        buf_printf(&list, "%s%s", i ? "," : "", field(&from->sessions.hosts[i]));
    conninfo_put(out, word, list.data);
    buf_fini(&list);
}

static const char *name_of(const struct sess_host *host)
{
    return host->name;
}

static const char *addr_of(const struct sess_host *host)
{
    return host->addr ? host->addr : "";
}

static const char *port_of(const struct sess_host *host)
{
    return host->port;
}

static void make_strings(const struct parse *p)
{
    struct cfg_upstream *up = p->out;
    struct buf engine = {0};

    put_words(p, &engine);
    for (size_t i = 0; i < up->sessions.nhosts; i++) {
        struct sess_host *host = &up->sessions.hosts[i];
        struct buf probe = {0};

        buf_append(&probe, engine.data, engine.len);
        conninfo_put(&probe, "host", host->name);
        if (host->addr)
            conninfo_put(&probe, "hostaddr", host->addr);
        conninfo_put(&probe, "port", host->port);
        conninfo_put(&probe, "target_session_attrs", "any");
        host->probe = keep(up, buf_take(&probe));
    }
    put_list(&engine, "host", up, name_of);
    if (value(p, "hostaddr"))
        put_list(&engine, "hostaddr", up, addr_of);
    put_list(&engine, "port", up, port_of);
    conninfo_put(&engine, "target_session_attrs", up->sessions.nhosts > 1 ? "read-write" : "any");
    up->engine = buf_take(&engine);
}

/* ---- all of it ---- */

static enum rc read_rest(const struct parse *p)
{
    struct cfg_upstream *up = p->out;
    const char *database = value(p, "dbname"), *user = value(p, "user");
    const char *timeout = value(p, "connect_timeout");

    up->sessions.target = (enum sess_target)choice(p, "target_session_attrs", SESS_TARGET_ANY);
    up->sessions.shuffled = choice(p, "load_balance_hosts", 0) == 1;
    up->database = mem_strdup(database ? database : user ? user : "postgres");
    up->sessions.database = up->database;
    if (timeout) {
        char *end;
        long seconds = strtol(timeout, &end, 10);

        if (*end || seconds > 86400)
            return bad(p, "connect_timeout is a number of seconds, not \"%.16s\"", timeout);
        /* libpq waits for ever when it is 0, and 2 s at least */
        up->connect_timeout_s = seconds <= 0 ? 0 : seconds < 2 ? 2 : (unsigned)seconds;
    }
    return RC_OK;
}

enum rc cfg_upstream_parse(const char *text, struct cfg_upstream *out, struct err *err)
{
    struct parse p = {.standard = PQconndefaults(), .out = out, .err = err};
    enum rc rc = RC_ERR;

    if (!p.standard) {
        err_set(err, "53200", "something that fits in memory");
        return RC_ERR;
    }
    if (conninfo_parse(text, &p.given, err) == RC_OK && check_words(&p) == RC_OK &&
        read_hosts(&p) == RC_OK && read_tls(&p) == RC_OK && read_rest(&p) == RC_OK) {
        make_strings(&p);
        rc = RC_OK;
    }
    conninfo_fini(&p.given);
    PQconninfoFree(p.standard);
    return rc;
}

void cfg_upstream_fini(struct cfg_upstream *upstream)
{
    for (size_t i = 0; i < upstream->nstrings; i++)
        free(upstream->strings[i]);
    free(upstream->engine);
    free(upstream->database);
    *upstream = (struct cfg_upstream){0};
}
