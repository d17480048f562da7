/* The small things secrets need: wiping, comparing, randomness, MD5, a password against a list. */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "keys.h"
#include "segue/auth/scram.h"

#define MD5_BYTES 16
#define MD5_HEX (2 * MD5_BYTES)

void auth_wipe(void *secret, size_t len)
{
    if (!secret)
        return;
    memset(secret, 0, len); /* seen by sanitizers, unlike the next, which is assembly */
    OPENSSL_cleanse(secret, len);
}

bool auth_same(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

bool auth_random(void *out, size_t len)
{
    return RAND_priv_bytes(out, (int)len) == 1;
}

/* "md5" and the digits of md5(a b), as PostgreSQL's pg_md5_encrypt. */
static bool md5_of(const void *a, size_t alen, const void *b, size_t blen, char out[36])
{
    static const char digits[] = "0123456789abcdef";
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t sum[MD5_BYTES];
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, a, alen) == 1 && EVP_DigestUpdate(ctx, b, blen) == 1 &&
              EVP_DigestFinal_ex(ctx, sum, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    if (!ok)
        return false;
    memcpy(out, "md5", 3);
    for (size_t i = 0; i < MD5_BYTES; i++) {
        out[3 + 2 * i] = digits[sum[i] >> 4];
        out[4 + 2 * i] = digits[sum[i] & 15];
    }
    out[3 + MD5_HEX] = '\0';
    auth_wipe(sum, sizeof(sum));
    return true;
}

bool md5_is_secret(const char *text, size_t len)
{
    return len == 3 + MD5_HEX && memcmp(text, "md5", 3) == 0 &&
           strspn(text + 3, "0123456789abcdef") >= MD5_HEX;
}

bool auth_md5_answer(const char *secret, const char *name, const uint8_t salt[4], char out[36])
{
    char stored[36];
    bool ok = true;

    if (md5_is_secret(secret, strlen(secret)))
        memcpy(stored, secret, sizeof(stored));
    else
        ok = md5_of(secret, strlen(secret), name, strlen(name), stored);
    ok = ok && md5_of(stored + 3, MD5_HEX, salt, 4, out);
    auth_wipe(stored, sizeof(stored));
    return ok;
}

/* Of different lengths, too: what is compared is their hashes. */
static bool same_text(const char *a, const char *b)
{
    uint8_t ha[AUTH_KEY_BYTES], hb[AUTH_KEY_BYTES];
    bool same;

    keys_hash(a, strlen(a), ha);
    keys_hash(b, strlen(b), hb);
    same = auth_same(ha, hb, sizeof(ha));
    auth_wipe(ha, sizeof(ha));
    auth_wipe(hb, sizeof(hb));
    return same;
}

static bool same_md5(const char *stored, const char *name, const char *password)
{
    char made[36];
    bool same = md5_of(password, strlen(password), name, strlen(name), made) &&
                auth_same(made, stored, sizeof(made));

    auth_wipe(made, sizeof(made));
    return same;
}

static bool same_scram(const struct auth_verifier *verifier, const char *password)
{
    struct keys keys;
    bool same;

    keys_of_password(password, verifier->salt, verifier->salt_len, verifier->iterations, &keys);
    same = auth_same(keys.server_key, verifier->server_key, AUTH_KEY_BYTES);
    auth_wipe(&keys, sizeof(keys));
    return same;
}

bool auth_password_is(const struct auth_user *user, const char *name, const char *password)
{
    if (!user)
        return false;
    switch (user->kind) {
    case AUTH_SECRET_PASSWORD:
        return same_text(user->text, password);
    case AUTH_SECRET_MD5:
        return same_md5(user->text, name, password);
    case AUTH_SECRET_SCRAM:
        return same_scram(auth_user_verifier(user, NULL), password);
    case AUTH_SECRET_NONE:
        break;
    }
    return false;
}
