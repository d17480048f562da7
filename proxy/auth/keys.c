#include "keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base64.h"
#include "key_work.h"
#include "segue/auth/scram.h"

#define VERIFIER_PREFIX "SCRAM-SHA-256$"

void keys_must(bool ok)
{
    if (!ok) {
        fputs("segue: OpenSSL does not compute SHA-256\n", stderr);
        abort();
    }
}

void keys_hash(const void *data, size_t len, uint8_t out[AUTH_KEY_BYTES])
{
    keys_must(EVP_Digest(data, len, out, NULL, EVP_sha256(), NULL) == 1);
}

void keys_hmac(const uint8_t key[AUTH_KEY_BYTES], const void *data, size_t len,
               uint8_t out[AUTH_KEY_BYTES])
{
    keys_must(HMAC(EVP_sha256(), key, AUTH_KEY_BYTES, data, len, out, NULL) != NULL);
}

void keys_xor(const uint8_t *a, const uint8_t *b, uint8_t out[AUTH_KEY_BYTES])
{
    for (size_t i = 0; i < AUTH_KEY_BYTES; i++)
        out[i] = a[i] ^ b[i];
}

void keys_of_password(const char *password, const uint8_t *salt, size_t salt_len,
                      uint32_t iterations, struct keys *out)
{
    struct auth_key_work *work = key_work_new(password, salt, salt_len, iterations);

    if (auth_key_work_step(work, iterations))
        *out = *key_work_keys(work);
    auth_key_work_free(work);
}

void keys_verifier(const char *password, const uint8_t salt[AUTH_SALT_BYTES],
                   struct auth_verifier *out)
{
    struct keys keys;

    *out = (struct auth_verifier){.iterations = KEYS_ITERATIONS, .salt_len = AUTH_SALT_BYTES};
    memcpy(out->salt, salt, AUTH_SALT_BYTES);
    keys_of_password(password, out->salt, out->salt_len, out->iterations, &keys);
    keys_hash(keys.client_key, AUTH_KEY_BYTES, out->stored_key);
    memcpy(out->server_key, keys.server_key, AUTH_KEY_BYTES);
    auth_wipe(&keys, sizeof(keys));
}

/* What stands before `until`; moves behind it. NULL: there is no such character. */
static const char *field_take(const char **at, const char *end, char until, size_t *len)
{
    const char *start = *at;
    const char *found = memchr(start, until, (size_t)(end - start));

    if (!found)
        return NULL;
    *len = (size_t)(found - start);
    *at = found + 1;
    return start;
}

bool auth_verifier_parse(const char *text, size_t len, struct auth_verifier *out)
{
    const char *at = text + strlen(VERIFIER_PREFIX), *end = text + len;
    const char *iterations, *salt, *stored;
    size_t iterations_len, salt_len, stored_len, n;

    if (len < strlen(VERIFIER_PREFIX) || memcmp(text, VERIFIER_PREFIX, strlen(VERIFIER_PREFIX)))
        return false;
    iterations = field_take(&at, end, ':', &iterations_len);
    salt = iterations ? field_take(&at, end, '$', &salt_len) : NULL;
    stored = salt ? field_take(&at, end, ':', &stored_len) : NULL;
    return stored && keys_iterations(iterations, iterations_len, &out->iterations) &&
           base64_decode(salt, salt_len, out->salt, sizeof(out->salt), &out->salt_len) &&
           base64_decode(stored, stored_len, out->stored_key, AUTH_KEY_BYTES, &n) &&
           n == AUTH_KEY_BYTES &&
           base64_decode(at, (size_t)(end - at), out->server_key, AUTH_KEY_BYTES, &n) &&
           n == AUTH_KEY_BYTES;
}

bool keys_iterations(const char *digits, size_t len, uint32_t *out)
{
    uint32_t n = 0;

    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(digits[i] - '0');
        if (n > AUTH_ITERATIONS_MAX)
            return false;
    }
    *out = n;
    return n >= 1;
}
