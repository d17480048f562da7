/*
 * Session tickets for clients: sealed and opened with the keys of tls_keys.h. OpenSSL does the work
 * between, and checks how old the session is (two hours at most). And, on either side, which
 * sessions are too old to be resumed for another reason.
 */
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "segue/base/clock.h"
#include "tls_private.h"

/* What OpenSSL takes for an answer. */
enum { FAILED = -1, NO_KEY = 0, USE = 1, USE_AND_RENEW = 2 };

static bool set_mac(EVP_MAC_CTX *mac, struct tls_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal(const struct tls_keys *keys, struct tls_key *key, unsigned char *name,
                unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const EVP_CIPHER *aes = EVP_aes_256_cbc();

    tls_keys_make(keys, key);
    memcpy(name, key->name, sizeof(key->name));
    return RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) == 1 &&
                   EVP_EncryptInit_ex(cipher, aes, NULL, key->cipher, iv) == 1 && set_mac(mac, key)
               ? USE
               : FAILED;
}

/* In TLS 1.3 a ticket serves once, and its successor comes only with "renew". */
static int unseal(const struct tls_keys *keys, struct tls_key *key, bool once,
                  const unsigned char *name, const unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac)
{
    enum tls_key_is is = tls_keys_find(keys, name, key);

    if (is == TLS_KEY_UNKNOWN)
        return NO_KEY;
    if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) != 1 ||
        !set_mac(mac, key))
        return FAILED;
    return once || is == TLS_KEY_PREVIOUS ? USE_AND_RENEW : USE;
}

static int on_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int sealing)
{
    const struct tls_stream *t = SSL_get_app_data(ssl);
    const struct tls_keys *keys = t->context->keys;
    struct tls_key key;
    int answer =
        sealing ? seal(keys, &key, name, iv, cipher, mac)
                : unseal(keys, &key, SSL_version(ssl) >= TLS1_3_VERSION, name, iv, cipher, mac);

    OPENSSL_cleanse(&key, sizeof(key));
    return answer;
}

/* A session holds the peer's certificate, and with TLS 1.3 each resumption gives one with a new
 * age: without this look no certificate would end. A full handshake says what is wrong with it. */
bool tls_session_ended(SSL_SESSION *session)
{
    const X509 *cert = SSL_SESSION_get0_peer(session);

    return cert && X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0;
}

static SSL_TICKET_RETURN on_opened(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t len, SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl;
    (void)name;
    (void)len;
    (void)arg;
    if ((status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) ||
        tls_session_ended(session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* A ticket also says which certificate its client has seen. A renewed one says it already. */
static int on_made(SSL *ssl, void *arg)
{
    const struct tls_stream *t = SSL_get_app_data(ssl);

    (void)arg;
    return SSL_session_reused(ssl) ||
           SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), t->context->endpoint,
                                           t->context->endpoint_len) == 1;
}

size_t tls_ticket_endpoint(const struct tls_stream *t, uint8_t out[NET_TLS_HASH_MAX])
{
    void *hash = NULL;
    size_t len = 0;

    if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(t->ssl), &hash, &len) != 1 || !len ||
        len > NET_TLS_HASH_MAX)
        return 0;
    memcpy(out, hash, len);
    return len;
}

bool tls_tickets_set(struct net_tls_context *context, unsigned key_s,
                     const struct net_tls_context *before)
{
    int64_t period_ms = (int64_t)key_s * 1000;

    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    if (!key_s) {
        SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(context->ssl, 0) == 1;
    }
    if (before && before->keys && tls_keys_period_ms(before->keys) == period_ms)
        context->keys = tls_keys_ref(before->keys);
    else
        context->keys = tls_keys_new(period_ms, clock_ms());
    return context->keys && SSL_CTX_set_num_tickets(context->ssl, 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(context->ssl, on_key) == 1 &&
           SSL_CTX_set_session_ticket_cb(context->ssl, on_made, on_opened, NULL) == 1;
}

void net_tls_turn_keys(struct net_tls_context *context, int64_t now_ms)
{
    if (context->keys)
        tls_keys_turn(context->keys, now_ms);
}
