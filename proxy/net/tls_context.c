/* Contexts: files in, an immutable SSL_CTX out; the sessions to resume with the upstream. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "segue/base/log.h"
#include "segue/base/mem.h"
#include "tls_private.h"

#define SQLSTATE_FILE "F0000"  /* config_file_error */
#define READ_AHEAD_BYTES 65640 /* four full records of TLS 1.3, and a little */

/* What OpenSSL thinks went wrong first, in its words. */
static const char *openssl_words(void)
{
    unsigned long code = ERR_peek_error();
    const char *words =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);

    return words ? words : "unknown error";
}

static bool given(const char *file)
{
    return file && *file;
}

/* ---- the key and its certificate ---- */

/* A FIFO would wait for a writer, and who reloads with it; of a folder OpenSSL says strange things.
 */
static bool is_regular(const char *what, const char *file, struct stat *st, struct err *err)
{
    if (stat(file, st) < 0)
        err_set(err, SQLSTATE_FILE, "cannot load the %s \"%s\": %s", what, file, strerror(errno));
    else if (!S_ISREG(st->st_mode))
        err_set(err, SQLSTATE_FILE, "cannot load the %s \"%s\": not a regular file", what, file);
    else
        return true;
    return false;
}

/* libpq's rule: others may read it only when it is root's, and then only its group. */
static bool key_is_private(const char *file, struct err *err)
{
    struct stat st;

    if (!is_regular("private key", file, &st, err))
        return false;
    if (st.st_mode & (st.st_uid == 0 ? (S_IWGRP | S_IXGRP | S_IRWXO) : (S_IRWXG | S_IRWXO))) {
        err_set(err, SQLSTATE_FILE, "the private key \"%s\" has group or world access", file);
        err_hint(err, "It must have permissions u=rw (0600) or less, or u=rw,g=r (0640) or less "
                      "when root owns it.");
        return false;
    }
    return true;
}

/* Never ask the terminal for a passphrase. */
static int no_passphrase(char *to, int size, int writing, void *asked)
{
    (void)to;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static bool load_pair(SSL_CTX *ssl, const char *cert, const char *key, struct err *err)
{
    bool encrypted = false, loaded;
    struct stat st;

    if (!given(cert) || !given(key)) {
        err_set(err, SQLSTATE_FILE, "TLS needs a certificate and its private key: there is no %s",
                given(cert) ? "private key" : "certificate");
        return false;
    }
    if (!is_regular("certificate", cert, &st, err))
        return false;
    if (SSL_CTX_use_certificate_chain_file(ssl, cert) != 1) {
        err_set(err, SQLSTATE_FILE, "cannot load the certificate \"%s\": %s", cert,
                openssl_words());
        return false;
    }
    if (!key_is_private(key, err))
        return false;
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &encrypted);
    loaded = SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    if (encrypted) {
        err_set(err, SQLSTATE_FILE, "the private key \"%s\" is encrypted", key);
        err_hint(err, "segue cannot ask for a passphrase: give a key without one, readable by "
                      "segue alone.");
    } else if (!loaded && ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH) {
        err_set(err, SQLSTATE_FILE, "the private key \"%s\" is not that of the certificate \"%s\"",
                key, cert);
    } else if (!loaded) {
        err_set(err, SQLSTATE_FILE, "cannot load the private key \"%s\": %s", key, openssl_words());
    }
    return loaded;
}

static int64_t seconds(const ASN1_TIME *when)
{
    struct tm tm;

    return ASN1_TIME_to_tm(when, &tm) ? (int64_t)timegm(&tm) : 0;
}

static void one_line(X509_NAME *name, char out[NET_TLS_NAME_MAX])
{
    BIO *text = BIO_new(BIO_s_mem());
    int n = 0;

    if (text && X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        n = BIO_read(text, out, NET_TLS_NAME_MAX - 1);
    out[n > 0 ? n : 0] = 0;
    BIO_free(text);
}

static void describe(struct net_tls_context *context, const char *file)
{
    X509 *cert = SSL_CTX_get0_certificate(context->ssl);
    struct net_tls_cert *out = &context->cert;
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int64_t now = (int64_t)time(NULL);

    one_line(X509_get_subject_name(cert), out->subject);
    one_line(X509_get_issuer_name(cert), out->issuer);
    out->not_before_s = seconds(X509_get0_notBefore(cert));
    out->not_after_s = seconds(X509_get0_notAfter(cert));
    X509_digest(cert, EVP_sha256(), hash, &len);
    for (unsigned i = 0; i < len; i++)
        snprintf(out->fingerprint + 2 * (size_t)i, 3, "%02x", hash[i]);
    context->endpoint_len = tls_cert_hash(cert, context->endpoint);
    if (out->not_after_s < now)
        log_warning("the certificate \"%s\" has expired", file);
    else if (out->not_before_s > now)
        log_warning("the certificate \"%s\" is not valid yet", file);
}

/* ---- whom to trust ---- */

static bool load_revoked(SSL_CTX *ssl, const char *file, struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ssl);
    X509_LOOKUP *lookup;
    struct stat st;

    if (!given(file))
        return true;
    if (!is_regular("certificate revocation list", file, &st, err))
        return false;
    lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (!lookup || X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) <= 0) {
        err_set(err, SQLSTATE_FILE, "cannot load the certificate revocation list \"%s\": %s", file,
                openssl_words());
        return false;
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return true;
}

static bool load_roots(SSL_CTX *ssl, const char *file, struct err *err)
{
    bool system = strcmp(file, "system") == 0;
    struct stat st;

    if (!system && !is_regular("root certificates", file, &st, err))
        return false;
    if (system ? SSL_CTX_set_default_verify_paths(ssl) == 1
               : SSL_CTX_load_verify_file(ssl, file) == 1)
        return true;
    err_set(err, SQLSTATE_FILE, "cannot load the root certificates \"%s\": %s", file,
            openssl_words());
    return false;
}

/* A resumed session was judged when it began. Contexts that judge otherwise must not resume it:
 * the id names who vouches and who was revoked. */
static bool name_sessions(SSL_CTX *ssl, const struct net_tls_accept_options *options)
{
    const char *const files[] = {options->ca_file, options->crl_file};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t id[EVP_MAX_MD_SIZE] = {0};
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; ok && i < ARRAY_LEN(files); i++) {
        FILE *file = given(files[i]) ? fopen(files[i], "re") : NULL;
        char bytes[4096];
        size_t n;

        ok = EVP_DigestUpdate(md, file ? "+" : "-", 1) == 1;
        while (file && ok && (n = fread(bytes, 1, sizeof(bytes), file)) > 0)
            ok = EVP_DigestUpdate(md, bytes, n) == 1;
        if (file)
            fclose(file);
    }
    ok = ok && EVP_DigestFinal_ex(md, id, NULL) == 1 &&
         SSL_CTX_set_session_id_context(ssl, id, SSL_MAX_SID_CTX_LENGTH) == 1;
    EVP_MD_CTX_free(md);
    return ok;
}

/* ---- contexts ---- */

/* As PostgreSQL 17: who speaks ALPN must speak ours. */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
                       const unsigned char *offered, unsigned noffered, void *arg)
{
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto((unsigned char **)out, len, tls_alpn, TLS_ALPN_BYTES, offered,
                              noffered) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_stream *t = SSL_get_app_data(ssl);

    tls_session_put(t->context, t->host, session);
    return 0;
}

static bool set_ciphers(SSL_CTX *ssl, const struct net_tls_ciphers *ciphers)
{
    const char *list = given(ciphers->list) ? ciphers->list : "HIGH:!aNULL:!eNULL";

    return SSL_CTX_set_cipher_list(ssl, list) == 1 &&
           (!given(ciphers->suites) || SSL_CTX_set_ciphersuites(ssl, ciphers->suites) == 1);
}

static struct net_tls_context *context_new(const SSL_METHOD *method, unsigned version_min,
                                           unsigned version_max,
                                           const struct net_tls_ciphers *ciphers, struct err *err)
{
    struct net_tls_context *context = mem_calloc(1, sizeof(*context));

    ERR_clear_error();
    atomic_init(&context->refs, 1);
    pthread_mutex_init(&context->lock, NULL);
    context->ssl = SSL_CTX_new(method);
    if (!context->ssl || !SSL_CTX_set_min_proto_version(context->ssl, (int)version_min) ||
        !SSL_CTX_set_max_proto_version(context->ssl, (int)version_max) ||
        !set_ciphers(context->ssl, ciphers)) {
        err_set(err, "53000", "cannot make a TLS context: %s", openssl_words());
        net_tls_unref(context);
        return NULL;
    }
    SSL_CTX_set_options(context->ssl, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION |
                                          SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context->ssl, 1);
    SSL_CTX_set_default_read_buffer_len(context->ssl, READ_AHEAD_BYTES);
    return context;
}

struct net_tls_context *net_tls_accept_new(const struct net_tls_accept_options *options,
                                           const struct net_tls_context *before, struct err *err)
{
    struct net_tls_context *context = context_new(TLS_server_method(), options->version_min,
                                                  options->version_max, &options->ciphers, err);
    SSL_CTX *ssl = context ? context->ssl : NULL;

    if (!context)
        return NULL;
    context->accepts = true;
    if (!load_pair(ssl, options->cert_file, options->key_file, err))
        goto failed;
    if (given(options->ca_file)) {
        if (!load_roots(ssl, options->ca_file, err) || !load_revoked(ssl, options->crl_file, err))
            goto failed;
        SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(options->ca_file));
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
    }
    if (!tls_tickets_set(context, options->ticket_key_s, before) || !name_sessions(ssl, options)) {
        err_set(err, "53000", "cannot set up TLS session tickets: %s", openssl_words());
        goto failed;
    }
    SSL_CTX_set_dh_auto(ssl, 1);
    SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, NULL);
    describe(context, options->cert_file);
    return context;
failed:
    net_tls_unref(context);
    return NULL;
}

struct net_tls_context *net_tls_connect_new(const struct net_tls_connect_options *options,
                                            struct err *err)
{
    struct net_tls_context *context = context_new(TLS_client_method(), options->version_min,
                                                  options->version_max, &options->ciphers, err);
    SSL_CTX *ssl = context ? context->ssl : NULL;

    if (!context)
        return NULL;
    context->verify = options->verify;
    context->no_sni = options->no_sni;
    if ((given(options->cert_file) || given(options->key_file)) &&
        !load_pair(ssl, options->cert_file, options->key_file, err))
        goto failed;
    if (options->verify != NET_TLS_VERIFY_NONE) {
        if (!given(options->ca_file)) {
            err_set(err, SQLSTATE_FILE,
                    "verifying the server's certificate needs root "
                    "certificates");
            err_hint(err, "Give sslrootcert (a file, or system), or sslmode=require to verify "
                          "nothing.");
            goto failed;
        }
        if (!load_roots(ssl, options->ca_file, err) || !load_revoked(ssl, options->crl_file, err))
            goto failed;
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    }
    if (SSL_CTX_set_alpn_protos(ssl, tls_alpn, TLS_ALPN_BYTES) != 0) {
        err_set(err, "53000", "cannot set up TLS: %s", openssl_words());
        goto failed;
    }
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, keep_session);
    return context;
failed:
    net_tls_unref(context);
    return NULL;
}

struct net_tls_context *net_tls_ref(struct net_tls_context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void net_tls_unref(struct net_tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < TLS_HOSTS_MAX; i++) {
        SSL_SESSION_free(context->sessions[i].session);
        free(context->sessions[i].host);
    }
    SSL_CTX_free(context->ssl);
    tls_keys_unref(context->keys);
    pthread_mutex_destroy(&context->lock);
    free(context);
}

void net_tls_context_cert(const struct net_tls_context *context, struct net_tls_cert *out)
{
    *out = context->cert;
}

/* ---- sessions to resume ---- */

/* Copies go in and out: OpenSSL changes a session that a connection uses. */
SSL_SESSION *tls_session_get(struct net_tls_context *context, const char *host)
{
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&context->lock);
    for (size_t i = 0; i < TLS_HOSTS_MAX && context->sessions[i].host; i++)
        if (strcmp(context->sessions[i].host, host) == 0 &&
            !tls_session_ended(context->sessions[i].session))
            session = SSL_SESSION_dup(context->sessions[i].session);
    pthread_mutex_unlock(&context->lock);
    return session;
}

void tls_session_put(struct net_tls_context *context, const char *host, SSL_SESSION *session)
{
    SSL_SESSION *copy = SSL_SESSION_dup(session);
    struct tls_session *slot;
    size_t i = 0;

    if (!copy)
        return;
    pthread_mutex_lock(&context->lock);
    while (i < TLS_HOSTS_MAX && context->sessions[i].host &&
           strcmp(context->sessions[i].host, host) != 0)
        i++;
    if (i == TLS_HOSTS_MAX)
        i = context->oldest++ % TLS_HOSTS_MAX;
    slot = &context->sessions[i];
    if (!slot->host || strcmp(slot->host, host) != 0) {
        free(slot->host);
        slot->host = mem_strdup(host);
    }
    SSL_SESSION_free(slot->session);
    slot->session = copy;
    pthread_mutex_unlock(&context->lock);
}
