/*
 * What the rooms of TLS share: tls_context.c (files), tls_ticket.c (session tickets, by the keys of
 * tls_keys.h), tls_stream.c (the stream's functions), tls_bio.c (bytes between OpenSSL and the
 * socket), tls_name.c (who may be whom).
 *
 * OpenSSL's error queue is per thread: whoever enters OpenSSL and may ask SSL_get_error() calls
 * tls_clear_errors() first.
 */
#ifndef SEGUE_NET_TLS_PRIVATE_H
#define SEGUE_NET_TLS_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "segue/base/buf.h"
#include "segue/net/tls.h"
#include "tls_keys.h"

#define TLS_HOSTS_MAX 16 /* sessions kept for resumption, by host */

struct tls_session {
    char *host;           /* NULL: free */
    SSL_SESSION *session; /* a copy that no connection uses */
};

struct net_tls_context {
    atomic_int refs;
    SSL_CTX *ssl;
    bool accepts;

    /* accept */
    struct net_tls_cert cert;
    uint8_t endpoint[NET_TLS_HASH_MAX];
    size_t endpoint_len;
    struct tls_keys *keys; /* a reference; NULL: no tickets */

    /* connect */
    enum net_tls_verify verify;
    bool no_sni;
    pthread_mutex_t lock; /* of the sessions */
    struct tls_session sessions[TLS_HOSTS_MAX];
    size_t oldest;
};

struct tls_stream {
    SSL *ssl;
    struct net_tls_context *context; /* a reference */
    int fd;
    char *host; /* connect: the server's; else NULL */
    bool direct;
    char *peeked; /* read before TLS began; NULL when used up */
    size_t npeeked, taken;
    struct buf late;     /* records that the socket did not take yet */
    size_t held;         /* bytes of the caller that are in `late`, and were not said to be sent */
    size_t asked;        /* bytes that OpenSSL has read of the socket in the call under way */
    bool more;           /* the socket may hold more than was read of it */
    bool hold;           /* give what is buffered, do not ask the socket */
    bool ended;          /* the socket is at its end */
    int error;           /* errno of the socket's last failure; 0: none */
    int broken;          /* the errno that every further call gets; 0: none */
    int mute;            /* the same of every further send: what was received can still be read */
    const char *trouble; /* OpenSSL\'s words for it; NULL: none */
};

/* Almost always the queue is empty, and looking is cheaper than clearing. */
static inline void tls_clear_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

/* tls_bio.c: a BIO over t->fd that first gives the peeked bytes. NULL: out of memory. */
BIO *tls_bio_new(struct tls_stream *t);
enum rc tls_flush(struct tls_stream *t) MUST_CHECK; /* RC_OK: nothing is late; RC_ERR: t->error */

/* tls_context.c: the session to offer to this host (the caller's), or NULL; and a new one. */
SSL_SESSION *tls_session_get(struct net_tls_context *context, const char *host);
void tls_session_put(struct net_tls_context *context, const char *host, SSL_SESSION *session);

/* tls_ticket.c: clients get one ticket, which carries the session itself, so that any worker
 * resumes it. The keys are those of `before` (may be NULL) where the period is the same. */
bool tls_tickets_set(struct net_tls_context *context, unsigned key_s,
                     const struct net_tls_context *before);
/* Of a resumed session: the hash of the certificate that it began with, as tls_cert_hash. */
size_t tls_ticket_endpoint(const struct tls_stream *t, uint8_t out[NET_TLS_HASH_MAX]);
bool tls_session_ended(SSL_SESSION *session); /* the peer's certificate in it is out of date */

/* tls_name.c */
#define TLS_ALPN_BYTES 11
extern const unsigned char tls_alpn[TLS_ALPN_BYTES + 1]; /* "postgresql" behind its length */
bool tls_is_literal(const char *host);                   /* an IPv4 or IPv6 address */
/* Is this the certificate of `host`, by libpq's rules? RC_ERR with err (08006). */
enum rc tls_check_host(X509 *cert, const char *host, struct err *err) MUST_CHECK;
void tls_common_name(X509 *cert, char out[NET_TLS_NAME_MAX]); /* "" when none, or with a NUL */
size_t tls_cert_hash(X509 *cert, uint8_t out[NET_TLS_HASH_MAX]);

#endif
