/*
 * The user list: who may log in to segue, and with which secret. PgBouncer's userlist.txt is read
 * as it is: lines of "name" "secret", where the secret is a password, "md5..." or
 * "SCRAM-SHA-256$...". Immutable after loading, shared by reference count.
 */
#ifndef SEGUE_AUTH_USERS_H
#define SEGUE_AUTH_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/err.h"

#define AUTH_KEY_BYTES 32
#define AUTH_SALT_BYTES_MAX 64

enum auth_secret_kind {
    AUTH_SECRET_NONE,
    AUTH_SECRET_PASSWORD,
    AUTH_SECRET_MD5,
    AUTH_SECRET_SCRAM
};

/* What is kept of "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey". */
struct auth_verifier {
    uint32_t iterations;
    uint8_t salt[AUTH_SALT_BYTES_MAX];
    size_t salt_len;
    uint8_t stored_key[AUTH_KEY_BYTES], server_key[AUTH_KEY_BYTES];
};

struct auth_user {
    const char *name;
    enum auth_secret_kind kind;
    const char *text;              /* PASSWORD: the password; MD5: "md5..." */
    struct auth_verifier verifier; /* SCRAM as given; PASSWORD: made of it with a random salt when
                                      the list is loaded */
};

struct auth_users;

/* Errors name file and line. A file that others may read is accepted with a warning in the log
 * of the caller (err stays unset; *open_to_others). */
enum rc auth_users_load(const char *path, struct auth_users **out, bool *open_to_others,
                        struct err *err) MUST_CHECK;
enum rc auth_users_parse(const char *where, const char *text, size_t len, struct auth_users **out,
                         struct err *err) MUST_CHECK;
struct auth_users *auth_users_ref(struct auth_users *users); /* any thread */
void auth_users_unref(struct auth_users *users);             /* wipes what it frees */

/* NULL: not in the list. Lives as long as the list. */
const struct auth_user *auth_users_find(const struct auth_users *users, const char *name);
size_t auth_users_count(const struct auth_users *users);

#endif
