/*
 * PBKDF2 (RFC 8018, 5.2; SCRAM's Hi) in slices, of HMAC-SHA-256 and one block: what the key of the
 * HMAC has hashed before the message is kept, so an iteration is two blocks. Faster than OpenSSL's
 * own, which can be neither stopped nor divided.
 */
#include "key_work.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "saslprep.h"
#include "segue/base/mem.h"

#define BLOCK_BYTES 64 /* of SHA-256 */

struct auth_key_work {
    uint8_t block[BLOCK_BYTES]; /* the password as HMAC's key: as such, or its hash */
    uint8_t salt[AUTH_SALT_BYTES_MAX];
    size_t salt_len;
    uint32_t iterations, left;
    EVP_MD_CTX *inner, *outer; /* that have hashed the key; NULL: not begun, or done */
    EVP_MD_CTX *md;
    uint8_t last[AUTH_KEY_BYTES], sum[AUTH_KEY_BYTES];
    struct keys keys; /* when nothing is left */
};

struct auth_key_work *key_work_new(const char *password, const uint8_t *salt, size_t salt_len,
                                   uint32_t iterations)
{
    struct auth_key_work *work = mem_calloc(1, sizeof(*work));
    char *prepared = saslprep(password);
    const char *text = prepared ? prepared : password;
    size_t len = strlen(text);

    if (len > BLOCK_BYTES)
        keys_hash(text, len, work->block);
    else
        memcpy(work->block, text, len);
    memcpy(work->salt, salt, salt_len);
    work->salt_len = salt_len;
    work->iterations = work->left = iterations;
    if (prepared)
        auth_wipe(prepared, strlen(prepared));
    free(prepared);
    return work;
}

/* OpenSSL wipes what its contexts hold. */
static void contexts_free(struct auth_key_work *work)
{
    EVP_MD_CTX_free(work->inner);
    EVP_MD_CTX_free(work->outer);
    EVP_MD_CTX_free(work->md);
    work->inner = work->outer = work->md = NULL;
}

void auth_key_work_free(struct auth_key_work *work)
{
    if (!work)
        return;
    contexts_free(work);
    auth_wipe(work, sizeof(*work));
    free(work);
}

static EVP_MD_CTX *keyed(const struct auth_key_work *work, uint8_t pad)
{
    EVP_MD_CTX *md = mem_checked(EVP_MD_CTX_new());
    uint8_t block[BLOCK_BYTES];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = work->block[i] ^ pad;
    keys_must(EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(md, block, sizeof(block)) == 1);
    auth_wipe(block, sizeof(block));
    return md;
}

/* last = HMAC(message) */
static void iterate(struct auth_key_work *work, const uint8_t *message, size_t len)
{
    EVP_MD_CTX *md = work->md;

    keys_must(EVP_MD_CTX_copy_ex(md, work->inner) == 1 && EVP_DigestUpdate(md, message, len) == 1 &&
              EVP_DigestFinal_ex(md, work->last, NULL) == 1 &&
              EVP_MD_CTX_copy_ex(md, work->outer) == 1 &&
              EVP_DigestUpdate(md, work->last, AUTH_KEY_BYTES) == 1 &&
              EVP_DigestFinal_ex(md, work->last, NULL) == 1);
    keys_xor(work->sum, work->last, work->sum);
    work->left--;
}

static void begin(struct auth_key_work *work)
{
    static const uint8_t first_block[] = {0, 0, 0, 1};
    uint8_t message[AUTH_SALT_BYTES_MAX + sizeof(first_block)];

    work->inner = keyed(work, 0x36);
    work->outer = keyed(work, 0x5c);
    work->md = mem_checked(EVP_MD_CTX_new());
    memcpy(message, work->salt, work->salt_len);
    memcpy(message + work->salt_len, first_block, sizeof(first_block));
    iterate(work, message, work->salt_len + sizeof(first_block));
}

static void finish(struct auth_key_work *work)
{
    keys_hmac(work->sum, "Client Key", 10, work->keys.client_key);
    keys_hmac(work->sum, "Server Key", 10, work->keys.server_key);
    contexts_free(work);
    auth_wipe(work->last, sizeof(work->last));
    auth_wipe(work->sum, sizeof(work->sum));
}

bool auth_key_work_step(struct auth_key_work *work, uint32_t iterations)
{
    uint32_t until = iterations < work->left ? work->left - iterations : 0;

    if (!work->left)
        return true;
    if (!work->inner)
        begin(work);
    while (work->left > until)
        iterate(work, work->last, AUTH_KEY_BYTES);
    if (!work->left)
        finish(work);
    return !work->left;
}

bool auth_key_work_same(const struct auth_key_work *a, const struct auth_key_work *b)
{
    return a->iterations == b->iterations && a->salt_len == b->salt_len &&
           memcmp(a->salt, b->salt, a->salt_len) == 0 &&
           auth_same(a->block, b->block, sizeof(a->block));
}

void auth_key_work_take(struct auth_key_work *work, const struct auth_key_work *done)
{
    contexts_free(work);
    work->keys = done->keys;
    work->left = 0;
}

const struct keys *key_work_keys(const struct auth_key_work *work)
{
    return &work->keys;
}
