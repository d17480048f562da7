/* Keys of a password, made in slices (scram.h has what is done with it). */
#ifndef SEGUE_PROXY_AUTH_KEY_WORK_H
#define SEGUE_PROXY_AUTH_KEY_WORK_H

#include "keys.h"
#include "segue/auth/scram.h"

/* Copies what it needs. */
struct auth_key_work *key_work_new(const char *password, const uint8_t *salt, size_t salt_len,
                                   uint32_t iterations);

/* Once auth_key_work_step has returned true. */
const struct keys *key_work_keys(const struct auth_key_work *work);

#endif
