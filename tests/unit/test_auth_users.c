/* userlist.txt, and the verifiers it holds. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "segue/auth/scram.h"
#include "segue/auth/users.h"
#include "segue/base/buf.h"
#include "segue/base/rc.h"

/* Out of pg_authid of PostgreSQL 15 and 18: CREATE ROLE ... PASSWORD '...'. */
#define VERIFIER_15                                                                                \
    "SCRAM-SHA-256$4096:QgNItmadSJFM3NhvSNKVpw==$"                                                 \
    "iJUQ0he5zuxFf2Uh5CtbK7GDqKydiI0jP2CDl5lTMiM=:S06RwcSTM3yDFWr24lZ848EkSLvxB9IJuKn0EQFxK9E="
#define VERIFIER_18                                                                                \
    "SCRAM-SHA-256$4096:5OnHUGePXDyoj3fuN44S1g==$"                                                 \
    "w1EcMtxaEUBZ9vsn2bsk9E9vHbJM+D+jJEI7S/cwk8g=:cXGljmKL4ytSSyGvmrGGquv1UjzY3IPSCXqCJcUpaj0="
/* PostgreSQL 15 with a password of U+00AA and a soft hyphen: SASLprep gives "a" and nothing. */
#define VERIFIER_PREPARED                                                                          \
    "SCRAM-SHA-256$4096:2jgH84Wx0wLJGdeJpeQ34Q==$"                                                 \
    "zjrd/bCma1qx2+5nVSvoobEc5G/Z565iPwHJePHdsVU=:l/MNncd380BCmzFiEsddrIU5CRhxBLIwDcZNyTKMcjA="
/* PostgreSQL 18 with scram_iterations = 20000. */
#define VERIFIER_LONGER                                                                            \
    "SCRAM-SHA-256$20000:61YSsc9GIrLVunQ6X3LROA==$"                                                \
    "e+1ym4Nodmy6C2Om9qrGZ6E0EazOT0en7x9sZNbtLYU=:lYJD8+geeK2jiyx5EW6EoTRlLNpreLdVkKiFwQFiQiQ="
#define HASH_MD5 "md54571bc2e04d92926b0cb2bdc83773286"

static enum rc parse(const char *text, struct auth_users **out, struct err *err)
{
    memset(err, 0, sizeof(*err));
    return auth_users_parse("list", text, strlen(text), out, err);
}

static void every_kind_of_secret_is_told(void **state)
{
    static const struct {
        const char *secret;
        enum auth_secret_kind kind;
    } rows[] = {
        {"", AUTH_SECRET_NONE},
        {"p", AUTH_SECRET_PASSWORD},
        {HASH_MD5, AUTH_SECRET_MD5},
        {"md5", AUTH_SECRET_PASSWORD},
        {"md5C4CA4238A0B923820DCC509A6F75849B", AUTH_SECRET_PASSWORD}, /* as PostgreSQL: digits */
        {"md5c4ca4238a0b923820dcc509a6f75849b0", AUTH_SECRET_PASSWORD},
        {VERIFIER_15, AUTH_SECRET_SCRAM},
        {VERIFIER_18, AUTH_SECRET_SCRAM},
        {"scram-sha-256$4096:x", AUTH_SECRET_PASSWORD},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct auth_users *users;
        struct buf text = {0};
        struct err err;

        buf_printf(&text, "\"u\" \"%s\"", rows[i].secret);
        assert_int_equal(parse(text.data, &users, &err), RC_OK);
        assert_int_equal(auth_users_find(users, "u")->kind, rows[i].kind);
        assert_string_equal(auth_users_find(users, "u")->text, rows[i].secret);
        for (int kind = AUTH_SECRET_NONE; kind <= AUTH_SECRET_SCRAM; kind++)
            assert_int_equal(auth_users_count_of(users, kind), kind == (int)rows[i].kind);
        auth_users_unref(users);
        buf_fini(&text);
    }
}

static void the_file_is_read_as_pgbouncer_reads_it(void **state)
{
    static const char text[] = "; a comment\n"
                               "\n"
                               "  \t\"joe\"   \"with \"\"quotes\"\"\"  ignored \"third\"\r\n"
                               "# another\n"
                               "\"a \"\"b\"\"\" \"\"\"\"\n"
                               "\"ann\"\"\" \"\"\r\n"
                               "\"UPPER\"\t\"no newline at the end; # no comment\"";
    struct auth_users *users;
    struct err err;

    (void)state;
    assert_int_equal(parse(text, &users, &err), RC_OK);
    assert_int_equal(auth_users_count(users), 4);
    assert_string_equal(auth_users_find(users, "joe")->text, "with \"quotes\"");
    assert_string_equal(auth_users_find(users, "a \"b\"")->text, "\"");
    assert_int_equal(auth_users_find(users, "ann\"")->kind, AUTH_SECRET_NONE);
    assert_string_equal(auth_users_find(users, "UPPER")->text,
                        "no newline at the end; # no comment");
    assert_null(auth_users_find(users, "upper"));
    assert_null(auth_users_find(users, ""));
    auth_users_unref(users);
}

static void an_empty_list_knows_nobody(void **state)
{
    struct auth_users *users;
    struct err err;

    (void)state;
    assert_int_equal(parse("", &users, &err), RC_OK);
    assert_int_equal(auth_users_count(users), 0);
    assert_null(auth_users_find(users, "joe"));
    auth_users_unref(users);
}

static void of_a_users_lines_the_last_one_counts(void **state)
{
    static const char text[] =
        "\n\"joe\" \"SCRAM-SHA-256$4096:c2FsdA==$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n"
        "\"ann\" \"x\"\n\"joe\" \"second\"\n\"ann\" \"x\"\n\"joe\" \"third\"";
    struct auth_users *users;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse(text, &users, &err), RC_OK);
    assert_int_equal(auth_users_count(users), 2);
    assert_int_equal(auth_users_overridden(users), 2);
    assert_string_equal(auth_users_find(users, "joe")->text, "third");
    assert_string_equal(auth_users_find(users, "ann")->text, "x");
    auth_users_unref(users);
}

static void errors_name_the_line_and_keep_the_secret(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"joe sesame", "list:1: a user name in double quotes is expected"},
        {"\"a\" \"b\"\n\n'joe' \"sesame\"", "list:3: a user name in double quotes is expected"},
        {"\"joe\"", "list:1: a secret in double quotes is expected after the user name"},
        {"\"joe\" sesame", "list:1: a secret in double quotes is expected after the user name"},
        {"\"joe\"\n\"sesame\"",
         "list:1: a secret in double quotes is expected after the user name"},
        {"\"joe\" \"sesame\n\"ann\" \"x\"\n", "list:1: a double quote is not closed on its line"},
        {"\"joe\" \"sesame\"\"", "list:1: a double quote is not closed on its line"},
        {"\"joe", "list:1: a double quote is not closed on its line"},
        {"\"", "list:1: a double quote is not closed on its line"},
        {"\"\" \"sesame\"", "list:1: the user name is empty"},
        {"\n\"joe\" \"SCRAM-SHA-256$4096:sesame\"",
         "list:2: the secret begins like a SCRAM verifier but is none"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct auth_users *users;
        struct err err;

        assert_int_equal(parse(rows[i].text, &users, &err), RC_ERR);
        assert_null(users);
        assert_string_equal(err.text, rows[i].error);
        assert_string_equal(err.sqlstate, "F0000");
        assert_null(strstr(err.text, "sesame"));
        assert_null(strstr(err.hint, "sesame"));
    }
}

static void a_zero_byte_is_refused_with_its_line(void **state)
{
    static const char text[] = "\"a\" \"b\"\n\"joe\" \"x\0y\"\n";
    struct auth_users *users;
    struct err err = {0};

    (void)state;
    assert_int_equal(auth_users_parse("list", text, sizeof(text) - 1, &users, &err), RC_ERR);
    assert_string_equal(err.text, "list:2: a zero byte");
}

static void names_and_secrets_have_pgbouncers_bounds(void **state)
{
    static const struct {
        size_t name, secret;
        const char *error;
    } rows[] = {{AUTH_NAME_BYTES_MAX, AUTH_SECRET_BYTES_MAX, NULL},
                {AUTH_NAME_BYTES_MAX + 1, 1, "list:1: the user name is too long"},
                {1, AUTH_SECRET_BYTES_MAX + 1, "list:1: the secret is too long"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct auth_users *users;
        struct buf text = {0};
        struct err err;

        buf_printf(&text, "\"%0*d\" \"%0*d\"", (int)rows[i].name, 0, (int)rows[i].secret, 0);
        assert_int_equal(parse(text.data, &users, &err), rows[i].error ? RC_ERR : RC_OK);
        assert_string_equal(err.text, rows[i].error ? rows[i].error : "");
        auth_users_unref(users);
        buf_fini(&text);
    }
}

static void verifiers_of_postgresql_prove_their_passwords(void **state)
{
    static const struct {
        const char *secret, *right;
    } rows[] = {{VERIFIER_15, "pencil"},
                {VERIFIER_18, "pencil"},
                {VERIFIER_PREPARED, "\xc2\xaa\xc2\xad"},
                {VERIFIER_PREPARED, "a"},
                {VERIFIER_LONGER, "pencil"},
                {HASH_MD5, "pencil"},
                {"pencil", "pencil"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct auth_users *users;
        struct buf text = {0};
        struct err err;

        buf_printf(&text, "\"joe\" \"%s\"", rows[i].secret);
        assert_int_equal(parse(text.data, &users, &err), RC_OK);
        assert_true(auth_password_is(auth_users_find(users, "joe"), "joe", rows[i].right));
        assert_false(auth_password_is(auth_users_find(users, "joe"), "joe", "pencil2"));
        assert_false(auth_password_is(auth_users_find(users, "joe"), "joe", ""));
        assert_false(auth_password_is(auth_users_find(users, "joe"), "joe", rows[i].secret) &&
                     strcmp(rows[i].secret, rows[i].right) != 0);
        auth_users_unref(users);
        buf_fini(&text);
    }
    assert_false(auth_password_is(NULL, "joe", ""));
}

static const uint8_t any_salt[AUTH_SALT_BYTES] = "sixteen bytes ..";

static void a_user_without_a_secret_has_no_password(void **state)
{
    struct auth_users *users;
    struct err err;

    (void)state;
    assert_int_equal(parse("\"joe\" \"\"", &users, &err), RC_OK);
    assert_false(auth_password_is(auth_users_find(users, "joe"), "joe", ""));
    assert_null(auth_user_verifier(auth_users_find(users, "joe"), any_salt));
    auth_users_unref(users);
}

static void a_damaged_verifier_is_not_taken_for_one(void **state)
{
    static const char *const texts[] = {
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$4096",
        "SCRAM-SHA-256$4096:AAAA",
        "SCRAM-SHA-256$4096:AAAA$",
        "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
        "SCRAM-SHA-256$0:AAAA$%k:%k",
        "SCRAM-SHA-256$-1:AAAA$%k:%k",
        "SCRAM-SHA-256$+1:AAAA$%k:%k",
        "SCRAM-SHA-256$10000001:AAAA$%k:%k",
        "SCRAM-SHA-256$99999999999999999999:AAAA$%k:%k",
        "SCRAM-SHA-256$4096:AAA$%k:%k",
        "SCRAM-SHA-256$4096:A A=$%k:%k",
        "SCRAM-SHA-256$4096:AAAB=$%k:%k",
        "SCRAM-SHA-256$4096:AAAA$%kx:%k",
        "SCRAM-SHA-256$4096:AAAA$%k:%k,",
        "SCRAM-SHA-1$4096:AAAA$%k:%k",
    };
    static const char key[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct auth_verifier verifier;
        struct buf text = {0};

        for (const char *p = texts[i]; *p; p++) {
            if (*p == '%')
                buf_append_str(&text, key), p++;
            else
                buf_append_u8(&text, (uint8_t)*p);
        }
        assert_false(auth_verifier_parse(text.data, text.len, &verifier));
        buf_fini(&text);
    }
}

static void a_verifier_is_made_once_and_shared(void **state)
{
    const struct auth_verifier *made;
    struct auth_users *users;
    struct err err;

    (void)state;
    assert_int_equal(parse("\"joe\" \"pencil\"", &users, &err), RC_OK);
    made = auth_user_verifier(auth_users_find(users, "joe"), any_salt);
    assert_int_equal(made->iterations, 4096);
    assert_int_equal(made->salt_len, sizeof(any_salt));
    assert_memory_equal(made->salt, any_salt, sizeof(any_salt));
    assert_ptr_equal(auth_user_verifier(auth_users_find(users, "joe"), any_salt), made);
    assert_ptr_equal(auth_users_ref(users), users);
    auth_users_unref(users);
    assert_ptr_equal(auth_user_verifier(auth_users_find(users, "joe"), any_salt), made);
    auth_users_unref(users);
}

#define ASKERS 8

static pthread_barrier_t together;

static void *ask(void *user)
{
    pthread_barrier_wait(&together);
    return (void *)auth_user_verifier(user, any_salt);
}

static void threads_that_ask_at_once_get_one_verifier(void **state)
{
    pthread_t askers[ASKERS];
    struct auth_users *users;
    struct err err;

    (void)state;
    assert_int_equal(parse("\"joe\" \"pencil\"", &users, &err), RC_OK);
    pthread_barrier_init(&together, NULL, ASKERS);
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(
            pthread_create(&askers[i], NULL, ask, (void *)auth_users_find(users, "joe")), 0);
    for (int i = 0; i < ASKERS; i++) {
        void *verifier;

        assert_int_equal(pthread_join(askers[i], &verifier), 0);
        assert_ptr_equal(verifier, auth_user_verifier(auth_users_find(users, "joe"), any_salt));
    }
    pthread_barrier_destroy(&together);
    auth_users_unref(users);
}

static void a_file_is_loaded_and_its_permissions_are_told(void **state)
{
    char path[] = "/tmp/segue-users-XXXXXX";
    int fd = mkstemp(path);
    struct auth_users *users;
    struct err err = {0};
    bool open_to_others;

    (void)state;
    assert_int_equal(write(fd, "\"joe\" \"pencil\"\n", 15), 15);
    assert_int_equal(fchmod(fd, 0640), 0);
    assert_int_equal(auth_users_load(path, &users, &open_to_others, &err), RC_OK);
    assert_false(open_to_others);
    assert_non_null(auth_users_find(users, "joe"));
    auth_users_unref(users);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(auth_users_load(path, &users, &open_to_others, &err), RC_OK);
    assert_true(open_to_others);
    auth_users_unref(users);
    close(fd);
    unlink(path);
    assert_int_equal(auth_users_load(path, &users, &open_to_others, &err), RC_ERR);
    assert_string_equal(err.sqlstate, "58P01");
    assert_non_null(strstr(err.text, path));
    err_clear(&err);
    assert_int_equal(auth_users_load("/tmp", &users, &open_to_others, &err), RC_ERR);
    assert_string_equal(err.text, "/tmp: not a regular file");
    err_clear(&err);
    assert_int_equal(mkfifo(path, 0600), 0); /* without a writer: must not be waited for */
    assert_int_equal(auth_users_load(path, &users, &open_to_others, &err), RC_ERR);
    assert_non_null(strstr(err.text, "not a regular file"));
    unlink(path);
}

static void the_answer_to_md5_is_that_of_postgresql(void **state)
{
    static const uint8_t salt[4] = {1, 2, 3, 4};
    char by_password[36], by_hash[36];

    (void)state;
    assert_true(auth_md5_answer("pencil", "joe", salt, by_password));
    assert_true(auth_md5_answer(HASH_MD5, "joe", salt, by_hash));
    assert_string_equal(by_password, by_hash);
    assert_string_equal(by_password, "md522bf57da1d39c1b1828b294d27d01dc3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_secret_is_told),
        cmocka_unit_test(the_file_is_read_as_pgbouncer_reads_it),
        cmocka_unit_test(an_empty_list_knows_nobody),
        cmocka_unit_test(of_a_users_lines_the_last_one_counts),
        cmocka_unit_test(errors_name_the_line_and_keep_the_secret),
        cmocka_unit_test(a_zero_byte_is_refused_with_its_line),
        cmocka_unit_test(names_and_secrets_have_pgbouncers_bounds),
        cmocka_unit_test(verifiers_of_postgresql_prove_their_passwords),
        cmocka_unit_test(a_user_without_a_secret_has_no_password),
        cmocka_unit_test(a_damaged_verifier_is_not_taken_for_one),
        cmocka_unit_test(a_verifier_is_made_once_and_shared),
        cmocka_unit_test(threads_that_ask_at_once_get_one_verifier),
        cmocka_unit_test(a_file_is_loaded_and_its_permissions_are_told),
        cmocka_unit_test(the_answer_to_md5_is_that_of_postgresql),
    };

    return cmocka_run_group_tests_name("auth/users", tests, NULL, NULL);
}
