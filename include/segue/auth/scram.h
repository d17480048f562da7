/*
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677), both sides. Pure: message bodies in,
 * message bodies out; the SASL framing of PostgreSQL ('R' and 'p') is the caller's.
 *
 * The server side proves a client against a verifier; an unknown user goes through the whole
 * exchange against a mock verifier and fails at the end, as in PostgreSQL. A successful exchange
 * recovers the client's ClientKey, which logs in upstream wherever the upstream's verifier has the
 * same salt and iteration count. The client side logs in with a password or such keys.
 * Secrets are wiped by _free. Not here: who may log in (users.h).
 */
#ifndef SEGUE_AUTH_SCRAM_H
#define SEGUE_AUTH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/auth/users.h"
#include "segue/base/buf.h"
#include "segue/base/err.h"

#define AUTH_MECHANISM "SCRAM-SHA-256"
#define AUTH_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"
#define AUTH_ITERATIONS_AT_ONCE 8192 /* about a millisecond */
#define AUTH_MESSAGE_BYTES_MAX 1024  /* longer SASL messages are refused, as by PostgreSQL */

struct auth_binding { /* tls-server-end-point */
    uint8_t hash[64];
    size_t len; /* 0: there is none (no TLS, or a certificate without a usable hash) */
};

/* Keys that log in without the password. */
struct auth_keys {
    struct auth_verifier verifier; /* whose salt and iterations the upstream must have */
    uint8_t client_key[AUTH_KEY_BYTES];
};

/* ---- server side: proving a client ---- */

struct auth_scram_server;

/* `user` NULL: unknown; a user without a verifier (kind MD5 or NONE) cannot be proven: as unknown.
 * `binding->len` 0: PLUS was not offered, and a client that says so ("y") is right. Copies what it
 * needs but the user, who must live as long. `salt_key`: secret bytes of this process (auth_random)
 * that give each name its salt, be it unknown or one of the list with a password: the salt tells
 * neither from the other, and stays the same. */
struct auth_scram_server *auth_scram_server_new(const char *name, const struct auth_user *user,
                                                const struct auth_binding *binding,
                                                const uint8_t salt_key[AUTH_KEY_BYTES]);
void auth_scram_server_free(struct auth_scram_server *server);

/* First: mechanism name and client-first-message of SASLInitialResponse; appends
 * server-first-message. A SASLInitialResponse without a response is `msg` NULL: RC_AGAIN, send an
 * empty challenge and call again with the next response and the same mechanism.
 * Then: client-final-message; appends server-final-message ("v=...").
 * RC_ERR: err has the SQLSTATE PostgreSQL gives: 08P01 for malformed messages, 0A000 for what is
 * not supported (authzid, mandatory extensions), 28000 where the channel binding does not hold,
 * 28P01 "password authentication failed for user ..." for a wrong proof or an unknown user. */
enum rc auth_scram_server_first(struct auth_scram_server *server, const char *mechanism,
                                const char *msg, size_t len, struct buf *out,
                                struct err *err) MUST_CHECK;
enum rc auth_scram_server_final(struct auth_scram_server *server, const char *msg, size_t len,
                                struct buf *out, struct err *err) MUST_CHECK;

/* After auth_scram_server_final said RC_OK. The caller wipes them. */
void auth_scram_server_keys(const struct auth_scram_server *server, struct auth_keys *out);

/* ---- client side: logging in upstream ---- */

/* Keys made of passwords for an upstream's salt and iteration count, so that the thousands of
 * hashes are not done at each login. Bounded: of a few
 * neighbours the one longest unused gives way. One thread's. Passwords
 * are not kept, only a keyed hash of them. */
struct auth_key_cache;
struct auth_key_cache *auth_key_cache_new(size_t entries_max);
void auth_key_cache_free(struct auth_key_cache *cache); /* wipes; NULL is harmless */

struct auth_scram_client;

/* Exactly one of password (copied, SASLprep applied) and keys (copied). `binding`: of the
 * upstream's TLS; `plus`: the upstream offers PLUS. With a binding and PLUS it binds; with a
 * binding but no PLUS offered it says "y"; else "n". `cache` may be NULL; it outlives the client.
 */
struct auth_scram_client *auth_scram_client_new(const char *password, const struct auth_keys *keys,
                                                const struct auth_binding *binding, bool plus,
                                                struct auth_key_cache *cache);
void auth_scram_client_free(struct auth_scram_client *client);

const char *auth_scram_client_mechanism(const struct auth_scram_client *client);
/* RC_ERR XX000: no randomness. */
enum rc auth_scram_client_first(struct auth_scram_client *client, struct buf *out,
                                struct err *err) MUST_CHECK;

/* server-first-message in, client-final-message out. RC_ERR 08P01: malformed, nonce wrong; 54000
 * with a hint: more iterations than AUTH_ITERATIONS_MAX; 28000 with a hint: keys of another salt or
 * iteration count. A password that the cache does not know costs 0.15 ms a thousand iterations:
 * RC_AGAIN where they are more than AUTH_ITERATIONS_AT_ONCE, and nothing was appended. */
enum rc auth_scram_client_final(struct auth_scram_client *client, const char *msg, size_t len,
                                struct buf *out, struct err *err) MUST_CHECK;
/* After RC_AGAIN: the work that is to be done, on any thread; then, with it, the message. */
struct auth_key_work;
struct auth_key_work *auth_scram_client_work(const struct auth_scram_client *client);
void auth_scram_client_worked(struct auth_scram_client *client, const struct auth_key_work *work,
                              struct buf *out);
/* So many iterations more. True: it is done, `work` may be told of. */
bool auth_key_work_step(struct auth_key_work *work, uint32_t iterations);
/* Have both the same result? Constant time in the password. */
bool auth_key_work_same(const struct auth_key_work *a, const struct auth_key_work *b);
/* Of one that is the same, and done: `work` is done, too. */
void auth_key_work_take(struct auth_key_work *work, const struct auth_key_work *done);
void auth_key_work_free(struct auth_key_work *work); /* wipes; NULL is harmless */

/* server-final-message: is it the server that knows the secret? RC_ERR 08P01 malformed, 28000 it
 * is not. */
enum rc auth_scram_client_check(struct auth_scram_client *client, const char *msg, size_t len,
                                struct err *err) MUST_CHECK;

/* ---- passwords ---- */

/* A cleartext password against a list entry (any kind; md5 needs the name). Constant time. */
bool auth_password_is(const struct auth_user *user, const char *name, const char *password);

/* The answer to AuthenticationMD5Password: "md5" and 32 hex digits, NUL-terminated. `secret` is
 * a password or "md5...". false: this OpenSSL has no MD5 (FIPS). */
bool auth_md5_answer(const char *secret, const char *name, const uint8_t salt[4],
                     char out[36]) MUST_CHECK;

bool auth_random(void *out, size_t len) MUST_CHECK;       /* of the quality of keys */
void auth_wipe(void *secret, size_t len);                 /* not optimised away */
bool auth_same(const void *a, const void *b, size_t len); /* constant time */

#endif
