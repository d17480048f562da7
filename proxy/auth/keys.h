/*
 * The arithmetic of SCRAM-SHA-256 (RFC 5802, section 3): keys of passwords, signatures, proofs.
 * A failing SHA-256 or HMAC (out of memory) ends the process, as other allocations do.
 */
#ifndef SEGUE_PROXY_AUTH_KEYS_H
#define SEGUE_PROXY_AUTH_KEYS_H

#include "segue/auth/users.h"

#define KEYS_ITERATIONS 4096 /* of verifiers made here; PostgreSQL's scram_iterations */

struct keys {
    uint8_t client_key[AUTH_KEY_BYTES], server_key[AUTH_KEY_BYTES];
};

void keys_must(bool ok); /* else ends the process */

/* SASLprep, then the salted password's keys. 4096 iterations cost 0.6 ms. */
void keys_of_password(const char *password, const uint8_t *salt, size_t salt_len,
                      uint32_t iterations, struct keys *out);

void keys_hash(const void *data, size_t len, uint8_t out[AUTH_KEY_BYTES]);
void keys_hmac(const uint8_t key[AUTH_KEY_BYTES], const void *data, size_t len,
               uint8_t out[AUTH_KEY_BYTES]);

/* out = a XOR b; may be the same memory. */
void keys_xor(const uint8_t *a, const uint8_t *b, uint8_t out[AUTH_KEY_BYTES]);

/* A verifier of the password with this salt. */
void keys_verifier(const char *password, const uint8_t salt[AUTH_SALT_BYTES],
                   struct auth_verifier *out);

/* Decimal digits, 1 to AUTH_ITERATIONS_MAX. */
bool keys_iterations(const char *digits, size_t len, uint32_t *out);

/* "md5" and 32 hex digits: as PostgreSQL and PgBouncer tell it from a password. */
bool md5_is_secret(const char *text, size_t len);

#endif
