/*
 * A hash table of fixed size with buckets of a few entries; in a bucket the one longest unused
 * gives way. What is looked up is a keyed hash of password, salt and iterations: the key is the
 * cache's own, so that entries tell nothing about passwords, and a changed password finds nothing.
 */
#include "key_cache.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/buf.h"
#include "segue/base/mem.h"

#define WAYS 4

struct entry {
    uint64_t used; /* turn of the last use; 0: empty */
    uint8_t id[AUTH_KEY_BYTES];
    struct keys keys;
};

struct auth_key_cache {
    size_t buckets;
    uint64_t turn, misses;
    bool off; /* no randomness for the key: nothing is kept */
    uint8_t key[AUTH_KEY_BYTES];
    struct entry entries[];
};

struct auth_key_cache *auth_key_cache_new(size_t entries_max)
{
    size_t buckets = entries_max / WAYS ? entries_max / WAYS : 1;
    struct auth_key_cache *cache =
        mem_calloc(1, sizeof(*cache) + buckets * WAYS * sizeof(struct entry));

    cache->buckets = buckets;
    cache->off = !auth_random(cache->key, sizeof(cache->key));
    return cache;
}

void auth_key_cache_free(struct auth_key_cache *cache)
{
    if (!cache)
        return;
    auth_wipe(cache, sizeof(*cache) + cache->buckets * WAYS * sizeof(struct entry));
    free(cache);
}

static void identify(const struct auth_key_cache *cache, const char *password, const uint8_t *salt,
                     size_t salt_len, uint32_t iterations, uint8_t out[AUTH_KEY_BYTES])
{
    uint8_t hash[AUTH_KEY_BYTES];
    struct buf input = {0};

    keys_hmac(cache->key, password, strlen(password), hash);
    buf_append(&input, hash, sizeof(hash)); /* of fixed length, so what follows is unambiguous */
    buf_append_u32(&input, iterations);
    buf_append(&input, salt, salt_len);
    keys_hmac(cache->key, input.data, input.len, out);
    auth_wipe(hash, sizeof(hash));
    auth_wipe(input.data, input.len);
    buf_fini(&input);
}

static struct entry *bucket_of(struct auth_key_cache *cache, const uint8_t id[AUTH_KEY_BYTES])
{
    uint64_t n;

    memcpy(&n, id, sizeof(n));
    return cache->entries + (n % cache->buckets) * WAYS;
}

bool key_cache_find(struct auth_key_cache *cache, const char *password, const uint8_t *salt,
                    size_t salt_len, uint32_t iterations, struct keys *out)
{
    uint8_t id[AUTH_KEY_BYTES];
    struct entry *bucket;

    if (!cache || cache->off)
        return false;
    identify(cache, password, salt, salt_len, iterations, id);
    bucket = bucket_of(cache, id);
    for (struct entry *e = bucket; e < bucket + WAYS; e++) {
        if (e->used && auth_same(e->id, id, sizeof(id))) {
            e->used = ++cache->turn;
            *out = e->keys;
            return true;
        }
    }
    cache->misses++;
    return false;
}

void key_cache_keep(struct auth_key_cache *cache, const char *password, const uint8_t *salt,
                    size_t salt_len, uint32_t iterations, const struct keys *keys)
{
    uint8_t id[AUTH_KEY_BYTES];
    struct entry *bucket, *place;

    if (!cache || cache->off)
        return;
    identify(cache, password, salt, salt_len, iterations, id);
    place = bucket = bucket_of(cache, id);
    for (struct entry *e = bucket; e < bucket + WAYS; e++) {
        if (e->used && auth_same(e->id, id, sizeof(id))) { /* another login was as slow */
            place = e;
            break;
        }
        if (e->used < place->used)
            place = e;
    }
    place->used = ++cache->turn;
    memcpy(place->id, id, sizeof(id));
    place->keys = *keys;
}

uint64_t key_cache_misses(const struct auth_key_cache *cache)
{
    return cache->misses;
}
