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
#define AUTH_MESSAGE_BYTES_MAX 1024 /* longer SASL messages are refused */

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

/* `user` NULL: unknown; kind MD5 or NONE cannot be proven: as unknown. `binding->len` 0: PLUS was
 * not offered. Copies what it needs. `mock_key`: 32 secret bytes of this process, so that the salt
 * shown for an unknown name is always the same. */
struct auth_scram_server *auth_scram_server_new(const char *name, const struct auth_user *user,
                                                const struct auth_binding *binding, bool tls,
                                                const uint8_t mock_key[AUTH_KEY_BYTES]);
void auth_scram_server_free(struct auth_scram_server *server);

/* First: mechanism name and client-first-message of SASLInitialResponse; appends
 * server-first-message. Then: client-final-message; appends server-final-message ("v=...").
 * RC_ERR: err has the SQLSTATE PostgreSQL gives: 08P01 for malformed messages, 28P01 "password
 * authentication failed for user ..." for a wrong proof or an unknown user. */
enum rc auth_scram_server_first(struct auth_scram_server *server, const char *mechanism,
                                const char *msg, size_t len, struct buf *out,
                                struct err *err) MUST_CHECK;
enum rc auth_scram_server_final(struct auth_scram_server *server, const char *msg, size_t len,
                                struct buf *out, struct err *err) MUST_CHECK;

/* After auth_scram_server_final said RC_OK. */
void auth_scram_server_keys(const struct auth_scram_server *server, struct auth_keys *out);

/* ---- client side: logging in upstream ---- */

struct auth_scram_client;

/* Exactly one of password (copied, SASLprep applied) and keys. `binding`: of the upstream's TLS;
 * `plus`: the upstream offers PLUS. With TLS, a binding and PLUS it binds; with TLS and a binding
 * but no PLUS offered it says "y"; else "n". */
struct auth_scram_client *auth_scram_client_new(const char *password, const struct auth_keys *keys,
                                                const struct auth_binding *binding, bool plus);
void auth_scram_client_free(struct auth_scram_client *client);

const char *auth_scram_client_mechanism(const struct auth_scram_client *client);
void auth_scram_client_first(struct auth_scram_client *client, struct buf *out);

/* server-first-message in, client-final-message out. RC_ERR 08P01: malformed, nonce wrong,
 * iterations out of 1 to 1,000,000; 28000 with a hint: keys of another salt or iteration count. */
enum rc auth_scram_client_final(struct auth_scram_client *client, const char *msg, size_t len,
                                struct buf *out, struct err *err) MUST_CHECK;
/* server-final-message: is it the server that knows the secret? */
enum rc auth_scram_client_check(struct auth_scram_client *client, const char *msg, size_t len,
                                struct err *err) MUST_CHECK;

/* ---- passwords ---- */

/* A cleartext password against a list entry (any kind; md5 needs the name). Constant time. */
bool auth_password_is(const struct auth_user *user, const char *name, const char *password);

/* The answer to AuthenticationMD5Password: "md5" and 32 hex digits, NUL-terminated. `secret` is
 * a password or "md5...". */
void auth_md5_answer(const char *secret, const char *name, const uint8_t salt[4], char out[36]);

void auth_wipe(void *secret, size_t len);                 /* not optimised away */
bool auth_same(const void *a, const void *b, size_t len); /* constant time */

#endif
