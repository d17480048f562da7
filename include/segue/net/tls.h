/*
 * TLS behind the stream table: contexts made of files, streams made of contexts.
 *
 *   ctx = net_tls_accept_new(&options, &err);              once, and again when files change
 *   net_stream_tls_accept(&stream, fd, ctx, peeked, n);    takes the descriptor
 *   while ((rc = net_tls_handshake(&stream, &wants_write, &err)) == RC_AGAIN) wait for the socket
 *   net_recv / net_send / net_pending / net_shut / net_close as with a plain stream
 *
 * A context is immutable and shared by reference count: sessions that began under an old one
 * keep it. TLS 1.2 or newer, no renegotiation, no compression. Receiving reads ahead (one recv a
 * record or more), so after a read net_pending() must be asked before waiting for the socket.
 * Not here: PostgreSQL's SSLRequest, and which mode wants what (session).
 */
#ifndef SEGUE_NET_TLS_H
#define SEGUE_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/err.h"
#include "segue/net/stream.h"

#define NET_TLS_HASH_MAX 64
#define NET_TLS_NAME_MAX 256

struct net_tls_context;

/* ---- contexts ---- */

/* Which ciphers, on either side; NULL or "": the standard ones. */
struct net_tls_ciphers {
    const char *list;   /* of TLS 1.2, in the words of OpenSSL */
    const char *suites; /* of TLS 1.3 */
};

/* Does this OpenSSL know every word of the list? */
bool net_tls_knows_ciphers(const char *list);
bool net_tls_knows_suites(const char *list);

struct net_tls_accept_options {
    const char *cert_file, *key_file;  /* PEM; the certificate with its chain */
    const char *ca_file;               /* NULL or "": client certificates are not asked for */
    const char *crl_file;              /* NULL or "": none */
    unsigned version_min, version_max; /* 0x0303 (TLS 1.2) or 0x0304; max 0: the newest */
    unsigned ticket_key_s;             /* seconds between keys of session tickets; 0: no tickets */
    struct net_tls_ciphers ciphers;
};

enum net_tls_verify { NET_TLS_VERIFY_NONE, NET_TLS_VERIFY_CA, NET_TLS_VERIFY_FULL };

struct net_tls_connect_options {
    enum net_tls_verify verify;
    const char *ca_file;              /* NULL or "": none; "system": the system's roots */
    const char *crl_file;             /* NULL or "": none */
    const char *cert_file, *key_file; /* of segue as a client; NULL or "": none */
    bool no_sni;                      /* do not say the host's name (sslsni=0) */
    unsigned version_min, version_max;
    struct net_tls_ciphers ciphers;
};

/* Reads the files. NULL with err (which file, what is wrong with it). A key file that others may
 * read is refused, as libpq and PostgreSQL do. `before` may be NULL; else its session ticket keys
 * go on, unless ticket_key_s is another. A client that gives a certificate gives one that ca_file
 * vouches for, or the handshake fails; one that gives none passes (who must have one is the
 * caller's). */
struct net_tls_context *net_tls_accept_new(const struct net_tls_accept_options *options,
                                           const struct net_tls_context *before, struct err *err);
struct net_tls_context *net_tls_connect_new(const struct net_tls_connect_options *options,
                                            struct err *err);
struct net_tls_context *net_tls_ref(struct net_tls_context *context); /* any thread */
void net_tls_unref(struct net_tls_context *context);                  /* NULL is harmless */

/* To be called every second or so, by one thread: keys of session tickets whose time has come give
 * way. now_ms: clock_ms(). */
void net_tls_turn_keys(struct net_tls_context *context, int64_t now_ms);

/* ---- streams ---- */

/* Take the descriptor; `peeked` bytes were read from it already and come first (copied). */
void net_stream_tls_accept(struct net_stream *stream, int fd, struct net_tls_context *context,
                           const void *peeked, size_t len);

/* `host`: SNI (unless it is an address literal) and the name that VERIFY_FULL checks. `direct`:
 * the ALPN protocol "postgresql" is required of the server. Sessions are resumed by host. */
void net_stream_tls_connect(struct net_stream *stream, int fd, struct net_tls_context *context,
                            const char *host, bool direct);

/* RC_AGAIN: wait until readable, or writable when *wants_write. RC_ERR: err, 08006 or 08P01; what
 * alert there is was sent as far as the socket took it. */
enum rc net_tls_handshake(struct net_stream *stream, bool *wants_write, struct err *err) MUST_CHECK;

/* After RC_ERR of the handshake: the connection was lost, nobody has refused anything. */
bool net_tls_lost(const struct net_stream *stream);

bool net_stream_is_tls(const struct net_stream *stream);

/* After a net_recv or net_send that was RC_ERR: what TLS has against it, such as the peer's alert
 * about our certificate, which TLS 1.3 sends behind the handshake. A constant; NULL: nothing. */
const char *net_tls_trouble(const struct net_stream *stream);

/* The descriptor's first byte is this: a TLS handshake, not a start-up packet. */
#define NET_TLS_FIRST_BYTE 0x16

/* What was agreed; after the handshake. Strings are the stream's. */
struct net_tls_info {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    const char *alpn; /* "" when none */
    const char *sni;  /* accept: what the client asked for; "" when nothing */
    bool resumed;
    bool peer_cert;                 /* the peer gave a certificate, and it was verified */
    char peer_cn[NET_TLS_NAME_MAX]; /* its common name; "" when none, or when it has a NUL */
};
void net_tls_info(const struct net_stream *stream, struct net_tls_info *out);

/* tls-server-end-point (RFC 5929): hash of the server's certificate - ours on an accepted stream,
 * the peer's on a connected one - by its signature's hash, SHA-256 where that is MD5 or SHA-1. Of a
 * resumed session it is the one that the session began with. Returns its length, 0: none can be
 * made (e.g. Ed25519). */
size_t net_tls_endpoint_hash(const struct net_stream *stream, uint8_t out[NET_TLS_HASH_MAX]);

/* The accepted context's certificate for SHOW TLS: subject, issuer, not before / after (seconds
 * since 1970), SHA-256 fingerprint in hex. */
struct net_tls_cert {
    char subject[NET_TLS_NAME_MAX], issuer[NET_TLS_NAME_MAX];
    char fingerprint[65];
    int64_t not_before_s, not_after_s;
};
void net_tls_context_cert(const struct net_tls_context *context, struct net_tls_cert *out);

#endif
