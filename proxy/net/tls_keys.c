/* Two keys that follow each other, read without a lock. */
#include "tls_keys.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "segue/base/mem.h"

#define WORDS (sizeof(struct tls_key) / sizeof(uint64_t))

static_assert(sizeof(struct tls_key) % sizeof(uint64_t) == 0, "a key is a number of words");

enum { CURRENT, PREVIOUS, BOTH };

struct tls_keys {
    atomic_int refs;
    int64_t period_ms;
    int64_t since_ms;   /* of who turns: when the current key's period began */
    atomic_uint writes; /* odd: the words are being written */
    _Atomic uint64_t words[BOTH][WORDS];
};

/* ---- reading and writing ---- */

/* The words are loaded by acquire and stored by release, so whoever has met a new word finds
 * `writes` moved. */
static void copy_out(const struct tls_keys *keys, int which, struct tls_key *out)
{
    uint64_t words[WORDS];
    unsigned before;

    do {
        before = atomic_load_explicit(&keys->writes, memory_order_acquire);
        for (size_t i = 0; i < WORDS; i++)
            words[i] = atomic_load_explicit(&keys->words[which][i], memory_order_acquire);
    } while (before % 2 || atomic_load_explicit(&keys->writes, memory_order_relaxed) != before);
    memcpy(out, words, sizeof(*out));
    OPENSSL_cleanse(words, sizeof(words));
}

static void copy_in(struct tls_keys *keys, const struct tls_key from[BOTH])
{
    unsigned writes = atomic_load_explicit(&keys->writes, memory_order_relaxed);
    uint64_t words[BOTH][WORDS];

    memcpy(words, from, sizeof(words));
    atomic_store_explicit(&keys->writes, writes + 1, memory_order_relaxed);
    for (size_t which = 0; which < BOTH; which++)
        for (size_t i = 0; i < WORDS; i++)
            atomic_store_explicit(&keys->words[which][i], words[which][i], memory_order_release);
    atomic_store_explicit(&keys->writes, writes + 2, memory_order_release);
    OPENSSL_cleanse(words, sizeof(words));
}

/* ---- a life ---- */

/* A key that nobody has used is as good as none: no ticket bears its name. */
static bool fresh(struct tls_key *key)
{
    return RAND_priv_bytes((unsigned char *)key, (int)sizeof(*key)) == 1;
}

struct tls_keys *tls_keys_new(int64_t period_ms, int64_t now_ms)
{
    struct tls_keys *keys = mem_calloc(1, sizeof(*keys));
    struct tls_key both[BOTH];

    atomic_init(&keys->refs, 1);
    keys->period_ms = period_ms;
    keys->since_ms = now_ms;
    if (!fresh(&both[CURRENT]) || !fresh(&both[PREVIOUS])) {
        tls_keys_unref(keys);
        return NULL;
    }
    copy_in(keys, both);
    OPENSSL_cleanse(both, sizeof(both));
    return keys;
}

struct tls_keys *tls_keys_ref(struct tls_keys *keys)
{
    atomic_fetch_add_explicit(&keys->refs, 1, memory_order_relaxed);
    return keys;
}

void tls_keys_unref(struct tls_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->refs, 1, memory_order_acq_rel) != 1)
        return;
    OPENSSL_cleanse(keys, sizeof(*keys));
    free(keys);
}

int64_t tls_keys_period_ms(const struct tls_keys *keys)
{
    return keys->period_ms;
}

/* Periods are counted from the first one on, however late this comes: a key that has slept through
 * its own is not taken for another. */
void tls_keys_turn(struct tls_keys *keys, int64_t now_ms)
{
    int64_t periods = (now_ms - keys->since_ms) / keys->period_ms;
    struct tls_key both[BOTH];
    bool ok;

    if (periods < 1)
        return;
    if (periods == 1)
        tls_keys_make(keys, &both[PREVIOUS]);
    ok = fresh(&both[CURRENT]) && (periods == 1 || fresh(&both[PREVIOUS]));
    if (ok) {
        copy_in(keys, both);
        keys->since_ms += periods * keys->period_ms;
    }
    OPENSSL_cleanse(both, sizeof(both));
}

/* ---- what tickets ask for ---- */

void tls_keys_make(const struct tls_keys *keys, struct tls_key *out)
{
    copy_out(keys, CURRENT, out);
}

/* A turn between the two looks hides none that is still good: the current one was looked at. */
enum tls_key_is tls_keys_find(const struct tls_keys *keys, const uint8_t name[TLS_KEY_NAME_BYTES],
                              struct tls_key *out)
{
    static const enum tls_key_is is[] = {
        [CURRENT] = TLS_KEY_CURRENT, [PREVIOUS] = TLS_KEY_PREVIOUS};

    for (int which = 0; which < BOTH; which++) {
        copy_out(keys, which, out);
        if (memcmp(out->name, name, sizeof(out->name)) == 0)
            return is[which];
    }
    OPENSSL_cleanse(out, sizeof(*out));
    return TLS_KEY_UNKNOWN;
}
