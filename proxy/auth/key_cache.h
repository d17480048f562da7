/* Keys of passwords, remembered (scram.h has its life cycle). */
#ifndef SEGUE_PROXY_AUTH_KEY_CACHE_H
#define SEGUE_PROXY_AUTH_KEY_CACHE_H

#include "keys.h"
#include "segue/auth/scram.h"

/* As keys_of_password, from the cache where they are in it. `cache` may be NULL. */
void key_cache_keys(struct auth_key_cache *cache, const char *password, const uint8_t *salt,
                    size_t salt_len, uint32_t iterations, struct keys *out);

/* For tests: how often keys had to be made. */
uint64_t key_cache_misses(const struct auth_key_cache *cache);

#endif
