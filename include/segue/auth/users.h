/*
 * The user list: who may log in to segue, and with which secret. PgBouncer's userlist.txt is read
 * as it is: lines of "name" "secret", where the secret is a password, "md5..." or
 * "SCRAM-SHA-256$...". Immutable after loading, shared by reference count.
 *
 * A quote inside the quotes is doubled; what follows the secret on its line is ignored; lines that
 * begin with ; or # are comments; of a user's lines the last one counts. Stricter than PgBouncer,
 * which stops silently where it does not understand: an error names the line, and a text is closed
 * on the line that opened it. Not here: the exchange that proves the secret (scram.h).
 */
#ifndef SEGUE_AUTH_USERS_H
#define SEGUE_AUTH_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segue/base/err.h"

#define AUTH_KEY_BYTES 32
#define AUTH_SALT_BYTES 16 /* of verifiers made here; as PostgreSQL's */
#define AUTH_SALT_BYTES_MAX 64
#define AUTH_ITERATIONS_MAX 10000000 /* of SCRAM: some seconds, for a client of ours, too */
#define AUTH_NAME_BYTES_MAX 127      /* PgBouncer's */
#define AUTH_ROLE_BYTES_MAX 63       /* PostgreSQL's: the rest is cut, as it does */
#define AUTH_SECRET_BYTES_MAX 2047   /* PgBouncer's */
#define AUTH_FILE_BYTES_MAX (64u << 20)

enum auth_secret_kind {
    AUTH_SECRET_NONE, /* "": the name is known, no password logs it in */
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
    const char *text; /* the secret as it stands in the list, without the quotes */
};

struct auth_users;

/* Errors (F0000, 58P01 when the file is not there) name file and line, never a secret. A file
 * that others than owner and group may read or write is accepted; *open_to_others says so, that
 * the caller may warn. */
enum rc auth_users_load(const char *path, struct auth_users **out, bool *open_to_others,
                        struct err *err) MUST_CHECK;
enum rc auth_users_parse(const char *where, const char *text, size_t len, struct auth_users **out,
                         struct err *err) MUST_CHECK;
struct auth_users *auth_users_ref(struct auth_users *users); /* any thread; NULL is harmless */
void auth_users_unref(struct auth_users *users);             /* wipes what it frees */

/* NULL: not in the list, in which no name is longer than AUTH_ROLE_BYTES_MAX. Lives as long as the
 * list. */
const struct auth_user *auth_users_find(const struct auth_users *users, const char *name);
size_t auth_users_count(const struct auth_users *users);
/* The first line that does not count, because its user is on a later one, too; 0: none. */
unsigned auth_users_overridden(const struct auth_users *users);
size_t auth_users_count_of(const struct auth_users *users, enum auth_secret_kind kind);

/* SCRAM: as given. PASSWORD: made with this salt and 4096 iterations when it is first asked for,
 * because a list of thousands would take seconds to load otherwise; any thread, all with the same
 * salt. NULL: there is none (kinds NONE and MD5). `user` is one that auth_users_find returned, and
 * the answer lives as long as the list. */
const struct auth_verifier *auth_user_verifier(const struct auth_user *user,
                                               const uint8_t salt[AUTH_SALT_BYTES]);

/* "SCRAM-SHA-256$..." of `len` bytes; false: it is none. */
bool auth_verifier_parse(const char *text, size_t len, struct auth_verifier *out);

#endif
