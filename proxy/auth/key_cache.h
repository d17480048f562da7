/* Keys of passwords, remembered (scram.h has its life cycle). */
#ifndef SEGUE_PROXY_AUTH_KEY_CACHE_H
#define SEGUE_PROXY_AUTH_KEY_CACHE_H

#include "keys.h"
#include "segue/auth/scram.h"

/* False: they are not in it. `cache` may be NULL, which keeps nothing. */
bool key_cache_find(struct auth_key_cache *cache, const char *password, const uint8_t *salt,
                    size_t salt_len, uint32_t iterations, struct keys *out);
/* What has not been found; in place of what was longest unused. */
void key_cache_keep(struct auth_key_cache *cache, const char *password, const uint8_t *salt,
                    size_t salt_len, uint32_t iterations, const struct keys *keys);

/* For tests: how often keys were not found. */
uint64_t key_cache_misses(const struct auth_key_cache *cache);

#endif
