/*
 * The options that may change while running, and what is made of the files they name: TLS
 * contexts, the user list. One immutable value by reference count: whoever logs in keeps the one
 * it began with.
 */
#include <stdlib.h>
#include <string.h>

#include "segue/base/clock.h"
#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "worker.h"

static bool given(const char *text)
{
    return text && text[0];
}

/* Options that cannot be meant. */
static enum rc check(const struct sess_options *o, struct err *err)
{
    const struct sess_client_tls_options *tls = &o->client_tls;
    const struct sess_upstream_options *up = &o->upstream;
    bool on = tls->mode != SESS_TLS_DISABLE && given(tls->cert_file);
    const struct {
        bool wrong;
        const char *text, *hint;
    } rules[] = {
        {tls->mode >= SESS_TLS_REQUIRE && !given(tls->cert_file),
         "client_tls asks for TLS, and there is no certificate",
         "set client_tls_cert_file and client_tls_key_file"},
        {tls->version_min > tls->version_max, "tls_version_min is above tls_version_max",
         "set tls_version_max to TLSv1.3"},
        {up->tls > SESS_TLS_DISABLE && up->tls_version_min > up->tls_version_max,
         "no TLS version is left for the upstream: its URL and the options allow none together",
         "see ssl_min_protocol_version and ssl_max_protocol_version in the URL, tls_version_min "
         "and tls_version_max"},
        {on && !given(tls->key_file), "client_tls_cert_file is set and client_tls_key_file is not",
         "set client_tls_key_file"},
        {given(tls->key_file) && !given(tls->cert_file),
         "client_tls_key_file is set and client_tls_cert_file is not", "set client_tls_cert_file"},
        {given(tls->ca_file) && !given(tls->cert_file),
         "client_tls_ca_file is set, and without a certificate there is no TLS with clients",
         "set client_tls_cert_file and client_tls_key_file"},
        {given(tls->crl_file) && !given(tls->ca_file),
         "client_tls_crl_file is set and client_tls_ca_file is not", "set client_tls_ca_file"},
        {tls->mode >= SESS_TLS_VERIFY_CA && !given(tls->ca_file),
         "client_tls asks for client certificates, and nobody vouches for them",
         "set client_tls_ca_file"},
        {o->auth == SESS_AUTH_CERT && !(on && given(tls->ca_file)),
         "auth is \"cert\", and clients cannot show certificates",
         "set client_tls_cert_file, client_tls_key_file and client_tls_ca_file"},
        {o->auth == SESS_AUTH_PASSWORD && !on,
         "auth is \"password\", which is offered inside TLS only, and clients have no TLS",
         "set client_tls_cert_file and client_tls_key_file"},
        {o->auth == SESS_AUTH_SCRAM && !given(o->auth_file),
         "auth is \"scram\", and there is no user list", "set auth_file"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (rules[i].wrong) {
            err_set(err, "22023", "%s", rules[i].text);
            err_hint(err, "%s", rules[i].hint);
            return RC_ERR;
        }
    }
    return RC_OK;
}

static enum rc make_accept(struct sess_limits *limits, const struct sess_client_tls_options *o,
                           const struct sess_limits *before, struct err *err)
{
    const struct net_tls_accept_options files = {
        .cert_file = o->cert_file,
        .key_file = o->key_file,
        .ca_file = o->ca_file,
        .crl_file = o->crl_file,
        .version_min = o->version_min,
        .version_max = o->version_max,
        .ticket_key_s = o->ticket_key_s,
        .ciphers = {o->ciphers, o->suites},
    };

    if (o->mode == SESS_TLS_DISABLE || !given(o->cert_file))
        return RC_OK;
    limits->accept = net_tls_accept_new(&files, before ? before->accept : NULL, err);
    if (limits->accept)
        return RC_OK;
    err_hint(err, "client_tls_cert_file, client_tls_key_file, client_tls_ca_file and "
                  "client_tls_crl_file name the files");
    return RC_ERR;
}

/* A root certificate makes even the weaker modes look at what the server shows, as in libpq. */
static enum net_tls_verify verify_of(const struct sess_upstream_options *o)
{
    if (o->tls == SESS_TLS_VERIFY_FULL)
        return NET_TLS_VERIFY_FULL;
    if (o->tls == SESS_TLS_VERIFY_CA || given(o->ca_file))
        return NET_TLS_VERIFY_CA;
    return NET_TLS_VERIFY_NONE;
}

static enum rc make_connect(struct sess_limits *limits, const struct sess_upstream_options *o,
                            struct err *err)
{
    const struct net_tls_connect_options files = {
        .verify = verify_of(o),
        .ca_file = o->ca_file,
        .crl_file = o->crl_file,
        .cert_file = o->cert_file,
        .key_file = o->key_file,
        .no_sni = !o->sni,
        .version_min = o->tls_version_min,
        .version_max = o->tls_version_max,
        .ciphers = {o->tls_ciphers, o->tls_suites},
    };

    if (o->tls == SESS_TLS_DISABLE)
        return RC_OK;
    limits->connect = net_tls_connect_new(&files, err);
    if (limits->connect)
        return RC_OK;
    err_hint(err, "sslrootcert, sslcrl, sslcert and sslkey in the upstream's URL name the files");
    return RC_ERR;
}

/* What a list means that came along from PgBouncer, and does nothing here. */
static void warn_of_users(const struct sess_limits *limits, const char *path)
{
    enum sess_auth_mode auth = limits->options.auth;
    size_t md5 = auth_users_count_of(limits->users, AUTH_SECRET_MD5);
    size_t verifiers = md5 + auth_users_count_of(limits->users, AUTH_SECRET_SCRAM);
    unsigned overridden = auth_users_overridden(limits->users);

    if (auth == SESS_AUTH_PASS || auth == SESS_AUTH_PASSWORD)
        log_warning("the user list %s is not used: auth is neither \"scram\" nor \"cert\"", path);
    if (overridden)
        log_warning("%s:%u: the user is on a later line again, and the last one counts", path,
                    overridden);
    if (auth == SESS_AUTH_SCRAM && !auth_users_count(limits->users))
        log_warning("there is no user in %s: nobody can log in", path);
    if (auth == SESS_AUTH_SCRAM && md5)
        log_warning("%zu users in %s cannot log in: with an md5 hash there is no SCRAM", md5, path);
    if (auth == SESS_AUTH_CERT && verifiers)
        log_warning("%zu users in %s have a verifier in place of the password, and with that segue "
                    "cannot log in for them (with an md5 hash only where the database asks for "
                    "md5): auth is \"cert\", so put their passwords there",
                    verifiers, path);
}

static bool has_unix(const char *listen)
{
    for (const char *one = listen; one; one = strchr(one, ',')) {
        one += strspn(one, ", ");
        if (*one == '/')
            return true;
    }
    return false;
}

static void warn_of_sockets(const struct sess_options *o)
{
    if ((o->auth == SESS_AUTH_PASSWORD || o->auth == SESS_AUTH_CERT) && has_unix(o->listen))
        log_warning("nobody can log in over the Unix sockets in listen: auth is \"%s\", which "
                    "wants TLS, and there is none on them: leave them out, or take auth scram",
                    o->auth == SESS_AUTH_CERT ? "cert" : "password");
}

static bool has_users(const struct sess_limits *limits)
{
    return limits && limits->users && auth_users_count(limits->users);
}

static enum rc load_users(struct sess_limits *limits, const char *path,
                          const struct sess_limits *before, struct err *err)
{
    bool open_to_others = false;

    if (!given(path))
        return RC_OK;
    if (auth_users_load(path, &limits->users, &open_to_others, err) != RC_OK) {
        err_hint(err, "auth_file names the user list");
        return RC_ERR;
    }
    /* more often cut short by whoever writes it than meant: it would shut everybody out */
    if (has_users(before) && !has_users(limits)) {
        err_set(err, "F0000", "%s: there is no user in it", path);
        err_hint(err, "the users of the list that was read before may still log in; a start takes "
                      "an empty one");
        return RC_ERR;
    }
    if (open_to_others)
        log_warning("others may read the user list %s", path);
    warn_of_users(limits, path);
    return RC_OK;
}

static enum rc read_versions(struct sess_limits *limits, const char *rules, struct err *err)
{
    limits->versions = sess_versions_new(rules ? rules : "", err);
    if (limits->versions)
        return RC_OK;
    err_prefix(err, "option \"schema_rules\"");
    return RC_ERR;
}

struct sess_limits *sess_limits_new(const struct sess_options *options,
                                    const struct sess_limits *before, struct err *err)
{
    struct sess_limits *limits = mem_calloc(1, sizeof(*limits));

    atomic_init(&limits->refs, 1);
    limits->options = *options;
    limits->options.listen = NULL;
    limits->options.auth_file = NULL;
    limits->options.cert_map = NULL;
    limits->options.schema_rules = NULL;
    memset(&limits->options.upstream, 0, sizeof(limits->options.upstream));
    limits->options.client_tls = (struct sess_client_tls_options){
        .mode = options->client_tls.mode,
    };
    limits->cert_map = mem_strlist_copy((const char *const *)options->cert_map);
    if (check(options, err) != RC_OK ||
        make_accept(limits, &options->client_tls, before, err) != RC_OK ||
        make_connect(limits, &options->upstream, err) != RC_OK ||
        load_users(limits, options->auth_file, before, err) != RC_OK ||
        read_versions(limits, options->schema_rules, err) != RC_OK) {
        sess_limits_unref(limits);
        return NULL;
    }
    warn_of_sockets(options);
    return limits;
}

void sess_limits_tick(struct sess_plane *plane)
{
    struct sess_limits *limits;

    pthread_mutex_lock(&plane->lock);
    limits = sess_limits_ref(plane->limits);
    pthread_mutex_unlock(&plane->lock);
    if (limits->accept)
        net_tls_turn_keys(limits->accept, clock_ms());
    sess_limits_unref(limits);
}

struct sess_limits *sess_limits_ref(struct sess_limits *limits)
{
    atomic_fetch_add_explicit(&limits->refs, 1, memory_order_relaxed);
    return limits;
}

void sess_limits_unref(struct sess_limits *limits)
{
    if (!limits || atomic_fetch_sub_explicit(&limits->refs, 1, memory_order_acq_rel) != 1)
        return;
    net_tls_unref(limits->accept);
    net_tls_unref(limits->connect);
    auth_users_unref(limits->users);
    mem_strlist_free(limits->cert_map);
    sess_versions_free(limits->versions);
    free(limits);
}
