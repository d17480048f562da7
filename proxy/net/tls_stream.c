/* A TLS stream: the functions of the stream table, the handshake, what was agreed. */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "segue/base/mem.h"
#include "tls_private.h"

/* ---- the stream table ---- */

/* Bytes lie here that were read ahead. */
static bool buffered(const struct tls_stream *t)
{
    return t->peeked || SSL_has_pending(t->ssl);
}

/* Bytes lie here or in the socket, and no edge will tell of them. */
static bool pending(const struct tls_stream *t)
{
    return t->more || buffered(t);
}

/* What a failed call means. RC_OK: the end, also when the socket ended without saying so (the
 * messages inside are framed: a cut cannot be mistaken). RC_ERR: errno. */
static enum rc outcome(struct tls_stream *t, int result)
{
    int why = SSL_get_error(t->ssl, result);

    if (why == SSL_ERROR_WANT_READ)
        return RC_AGAIN;
    if (why == SSL_ERROR_ZERO_RETURN)
        return RC_OK;
    t->trouble = ERR_reason_error_string(ERR_peek_error());
    errno = t->broken = t->error ? t->error : EPROTO;
    return RC_ERR;
}

/* Reading goes on when sending does not. */
static void flush_quietly(struct tls_stream *t)
{
    if (tls_flush(t) == RC_ERR)
        t->error = 0;
}

/* One recv at most, then whatever is buffered, so that nothing is left unless `to` is full. */
static enum rc tls_recv(struct net_stream *stream, void *to, size_t size, size_t *got)
{
    struct tls_stream *t = stream->state;
    size_t total = 0;
    enum rc rc;
    int n;

    *got = 0;
    stream->pending = false;
    if (t->broken) {
        errno = t->broken;
        return RC_ERR;
    }
    tls_clear_errors();
    t->asked = 0;
    do {
        size_t room = size - total < INT_MAX ? size - total : INT_MAX;

        n = SSL_read(t->ssl, (char *)to + total, (int)room);
        if (n <= 0)
            break;
        total += (size_t)n;
        t->hold = true;
    } while (total < size && buffered(t));
    t->hold = false;
    rc = n > 0 ? RC_AGAIN : outcome(t, n);
    if (t->late.len) /* an answer of TLS itself, which waits no longer than it must */
        flush_quietly(t);
    if (total == 0)
        return rc;
    /* an end comes with the next */
    stream->pending = rc != RC_AGAIN || t->more || (n > 0 && buffered(t));
    *got = total;
    return RC_OK;
}

/* The peer may have said why, and closed, before it was sent what it does not read any more. */
static enum rc mute(struct tls_stream *t)
{
    errno = t->mute = t->error ? t->error : EPROTO;
    t->error = 0;
    t->held = 0;
    buf_fini(&t->late);
    return RC_ERR;
}

/* The socket is full while OpenSSL has made a record of the caller's bytes: it keeps the record,
 * the caller keeps the bytes, and offering them again says that they are sent. */
static enum rc tls_send(struct net_stream *stream, const void *from, size_t len, size_t *put)
{
    struct tls_stream *t = stream->state;
    enum rc rc;
    int n;

    if (t->broken || t->mute) {
        errno = t->broken ? t->broken : t->mute;
        return RC_ERR;
    }
    rc = tls_flush(t);
    if (rc != RC_OK)
        return rc == RC_ERR ? mute(t) : rc;
    if (t->held) {
        assert(t->held <= len);
        *put = t->held;
        t->held = 0;
        return RC_OK;
    }
    tls_clear_errors();
    n = SSL_write(t->ssl, from, (int)(len < INT_MAX ? len : INT_MAX));
    if (n <= 0)
        return mute(t);
    if (t->late.len) {
        t->held = (size_t)n;
        return RC_AGAIN;
    }
    *put = (size_t)n;
    return RC_OK;
}

/* Says that nothing more comes, once; harmless before the handshake's end and after errors. */
static void say_end(struct tls_stream *t)
{
    if (t->broken || t->mute || !SSL_is_init_finished(t->ssl) ||
        (SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
        return;
    tls_clear_errors();
    SSL_shutdown(t->ssl);
    t->error = 0;
    flush_quietly(t);
}

static void tls_shut(struct net_stream *stream)
{
    say_end(stream->state);
    shutdown(stream->fd, SHUT_WR);
}

static void tls_close(struct net_stream *stream)
{
    struct tls_stream *t = stream->state;

    say_end(t);
    SSL_free(t->ssl);
    net_tls_unref(t->context);
    free(t->host);
    free(t->peeked);
    buf_fini(&t->late);
    free(t);
    close(stream->fd);
}

static const struct net_stream_ops tls = {tls_recv, tls_send, tls_shut, tls_close};

bool net_tls_lost(const struct net_stream *stream)
{
    const struct tls_stream *t = stream->state;

    return t->ended || t->error;
}

bool net_stream_is_tls(const struct net_stream *stream)
{
    return stream->ops == &tls;
}

const char *net_tls_trouble(const struct net_stream *stream)
{
    return net_stream_is_tls(stream) ? ((const struct tls_stream *)stream->state)->trouble : NULL;
}

/* ---- beginning ---- */

static struct tls_stream *begin(struct net_stream *stream, int fd, struct net_tls_context *context)
{
    struct tls_stream *t = mem_calloc(1, sizeof(*t));
    BIO *bio = mem_checked(tls_bio_new(t));

    t->fd = fd;
    t->more = true; /* for all that is known here */
    t->context = net_tls_ref(context);
    t->ssl = mem_checked(SSL_new(context->ssl));
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    *stream = (struct net_stream){.ops = &tls, .fd = fd, .state = t};
    return t;
}

void net_stream_tls_accept(struct net_stream *stream, int fd, struct net_tls_context *context,
                           const void *peeked, size_t len)
{
    struct tls_stream *t = begin(stream, fd, context);

    if (len) {
        t->peeked = mem_alloc(len);
        t->npeeked = len;
        memcpy(t->peeked, peeked, len);
    }
    SSL_set_accept_state(t->ssl);
}

void net_stream_tls_connect(struct net_stream *stream, int fd, struct net_tls_context *context,
                            const char *host, bool direct)
{
    struct tls_stream *t = begin(stream, fd, context);
    SSL_SESSION *session;

    t->host = mem_strdup(host ? host : "");
    t->direct = direct;
    SSL_set_connect_state(t->ssl);
    if (*t->host && !context->no_sni && !tls_is_literal(t->host))
        SSL_set_tlsext_host_name(t->ssl, t->host);
    session = tls_session_get(context, t->host);
    if (session) {
        SSL_set_session(t->ssl, session);
        SSL_SESSION_free(session);
    }
}

/* ---- the handshake ---- */

#define NO_COMMON_VERSION                                                                          \
    "The peer offers no TLS version that tls_version_min and tls_version_max allow."

/* Refusals by either side that have a known cure. */
static const struct {
    int reason;
    const char *hint;
} cures[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "What answers there does not speak TLS."},
    {SSL_R_UNSUPPORTED_PROTOCOL, NO_COMMON_VERSION},
    {SSL_R_VERSION_TOO_LOW, NO_COMMON_VERSION},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "The peer asks for another TLS version."},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, "The peer does not know who signed segue's certificate."},
    {SSL_R_NO_APPLICATION_PROTOCOL, "Direct TLS asks for the ALPN protocol \"postgresql\"."},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, "The server does not know PostgreSQL by ALPN."},
};

static void refuse_certificate(const struct tls_stream *t, struct err *err)
{
    const char *why = X509_verify_cert_error_string(SSL_get_verify_result(t->ssl));

    if (!t->host) {
        err_set(err, "08006", "the client's certificate was refused: %s", why);
        return;
    }
    err_set(err, "08006", "certificate verify failed: %s (host \"%s\")", why, t->host);
    err_hint(err, "sslrootcert must hold who signed the server's certificate (\"system\": the "
                  "system's roots); sslmode=require verifies nothing.");
}

static void explain(const struct tls_stream *t, struct err *err)
{
    const char *peer = t->host ? "server" : "client";
    unsigned long code = ERR_peek_error();
    const char *words = ERR_reason_error_string(code);
    int reason = ERR_GET_REASON(code);

    if (t->error) {
        err_set(err, "08006", "TLS handshake with the %s: %s", peer, strerror(t->error));
    } else if (t->ended) {
        err_set(err, "08006", "the %s closed the connection during the TLS handshake", peer);
    } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        refuse_certificate(t, err);
    } else {
        err_set(err, "08P01", "TLS handshake with the %s failed: %s", peer,
                words ? words : "unknown error");
        for (size_t i = 0; i < ARRAY_LEN(cures); i++)
            if (cures[i].reason == reason)
                err_hint(err, "%s", cures[i].hint);
    }
}

static bool agreed_on_alpn(const struct tls_stream *t)
{
    const unsigned char *alpn;
    unsigned len;

    SSL_get0_alpn_selected(t->ssl, &alpn, &len);
    return len == tls_alpn[0] && memcmp(alpn, tls_alpn + 1, len) == 0;
}

/* What OpenSSL does not judge: the name, and that a direct connection is really PostgreSQL's. */
static enum rc judge(const struct tls_stream *t, struct err *err)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);

    if (!t->host)
        return RC_OK;
    if (t->direct && !agreed_on_alpn(t)) {
        err_set(err, "08P01",
                "direct TLS was established without the ALPN protocol "
                "\"postgresql\"");
        err_hint(err, "PostgreSQL 17 is the first that knows it: use upstream_tls_negotiation = "
                      "postgres.");
        return RC_ERR;
    }
    if (t->context->verify != NET_TLS_VERIFY_FULL)
        return RC_OK;
    if (!cert) {
        err_set(err, "08006", "the server has given no certificate (host \"%s\")", t->host);
        return RC_ERR;
    }
    return tls_check_host(cert, t->host, err);
}

enum rc net_tls_handshake(struct net_stream *stream, bool *wants_write, struct err *err)
{
    struct tls_stream *t = stream->state;
    enum rc rc = tls_flush(t);
    int n = 0;

    tls_clear_errors();
    t->asked = 0;
    if (rc == RC_OK) {
        n = SSL_do_handshake(t->ssl);
        if (n != 1 && SSL_get_error(t->ssl, n) != SSL_ERROR_WANT_READ)
            rc = RC_ERR;
        else if (n != 1 || t->late.len)
            rc = RC_AGAIN;
    }
    *wants_write = t->late.len > 0;
    if (rc == RC_OK) {
        stream->pending = pending(t);
        return judge(t, err);
    }
    if (rc == RC_ERR) {
        explain(t, err);
        t->broken = t->error ? t->error : EPROTO;
    }
    return rc;
}

/* ---- what was agreed ---- */

void net_tls_info(const struct net_stream *stream, struct net_tls_info *out)
{
    const struct tls_stream *t = stream->state;
    const char *sni = t->host ? NULL : SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    bool verifies = SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER;

    *out = (struct net_tls_info){
        .version = SSL_get_version(t->ssl),
        .cipher = SSL_get_cipher_name(t->ssl),
        .alpn = agreed_on_alpn(t) ? (const char *)tls_alpn + 1 : "",
        .sni = sni ? sni : "",
        .resumed = SSL_session_reused(t->ssl),
        .peer_cert = cert && verifies && SSL_get_verify_result(t->ssl) == X509_V_OK,
    };
    if (cert)
        tls_common_name(cert, out->peer_cn);
}

size_t net_tls_endpoint_hash(const struct net_stream *stream, uint8_t out[NET_TLS_HASH_MAX])
{
    const struct tls_stream *t = stream->state;
    X509 *cert;

    if (t->context->accepts && SSL_session_reused(t->ssl))
        return tls_ticket_endpoint(t, out);
    if (t->context->accepts) {
        memcpy(out, t->context->endpoint, t->context->endpoint_len);
        return t->context->endpoint_len;
    }
    cert = SSL_get0_peer_certificate(t->ssl);
    return cert ? tls_cert_hash(cert, out) : 0;
}
