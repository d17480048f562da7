/* Both sides of SCRAM against each other and against RFC 7677's vector. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "../../proxy/auth/base64.h"
#include "../../proxy/auth/exchange.h"
#include "../../proxy/auth/key_cache.h"
#include "../../proxy/auth/key_work.h"
#include "segue/auth/scram.h"
#include "segue/base/rc.h"

/* PostgreSQL 18 with scram_iterations = 20000. */
#define VERIFIER_20000                                                                             \
    "SCRAM-SHA-256$20000:61YSsc9GIrLVunQ6X3LROA==$"                                                \
    "e+1ym4Nodmy6C2Om9qrGZ6E0EazOT0en7x9sZNbtLYU=:lYJD8+geeK2jiyx5EW6EoTRlLNpreLdVkKiFwQFiQiQ="

static const uint8_t salt_key[AUTH_KEY_BYTES] = "a secret of this test's process";
static const struct auth_binding unbound;
static const struct auth_binding bound = {.hash = "0123456789abcdef0123456789abcdef", .len = 32};
static const struct auth_binding other = {.hash = "0123456789abcdef0123456789abcdeX", .len = 32};

/* Blocks that keys of passwords were hashed in: the linker takes this in place of the library's. */
static unsigned copied;

int EVP_MD_CTX_copy_ex(EVP_MD_CTX *out, const EVP_MD_CTX *in)
{
    int (*real)(EVP_MD_CTX *, const EVP_MD_CTX *);

    *(void **)&real = dlsym(RTLD_NEXT, "EVP_MD_CTX_copy_ex");
    copied++;
    return real(out, in);
}

static unsigned hashed(void) /* passwords, of 4096 iterations */
{
    return copied / (2 * 4096);
}

static const char *const list = "\"joe\" \"pencil\"\n\"ann\" \"\"\n"
                                "\"old\" \"md5c4ca4238a0b923820dcc509a6f75849b\"\n";

static struct auth_users *users_of(const char *text)
{
    struct auth_users *users;
    struct err err = {0};

    assert_int_equal(auth_users_parse("users", text, strlen(text), &users, &err), RC_OK);
    return users;
}

/* The exchange that a test plays, and where it ended. */
struct play {
    const char *name;     /* who logs in */
    const char *password; /* the client's, or `keys` */
    const struct auth_keys *keys;
    const struct auth_binding *server_binding, *client_binding;
    bool plus; /* the client was offered PLUS */
    struct auth_key_cache *cache;
    enum { AT_FIRST, AT_CHALLENGE, AT_FINAL, AT_CHECK, AT_END } at;
    struct err err;
    struct auth_keys found; /* when it ended well */
    unsigned slices;        /* in which keys were made */
};

static unsigned work_through(struct auth_scram_client *client, struct buf *out)
{
    struct auth_key_work *work = auth_scram_client_work(client);
    unsigned slices = 1;

    while (!auth_key_work_step(work, 1000))
        slices++;
    auth_scram_client_worked(client, work, out);
    auth_key_work_free(work);
    return slices;
}

static void play(struct play *p, const struct auth_users *users)
{
    struct auth_scram_client *client =
        auth_scram_client_new(p->password, p->keys, p->client_binding, p->plus, p->cache);
    struct auth_scram_server *server = auth_scram_server_new(
        p->name, auth_users_find(users, p->name), p->server_binding, salt_key);
    struct buf a = {0}, b = {0};

    memset(&p->err, 0, sizeof(p->err));
    assert_int_equal(auth_scram_client_first(client, &a, &p->err), RC_OK);
    p->at = AT_FIRST;
    if (auth_scram_server_first(server, auth_scram_client_mechanism(client), a.data, a.len, &b,
                                &p->err) != RC_OK)
        goto out;
    p->at = AT_CHALLENGE;
    buf_reset(&a);
    switch (auth_scram_client_final(client, b.data, b.len, &a, &p->err)) {
    case RC_AGAIN:
        assert_int_equal(a.len, 0);
        p->slices += work_through(client, &a);
        break;
    case RC_ERR:
        goto out;
    case RC_OK:
        break;
    }
    p->at = AT_FINAL;
    buf_reset(&b);
    if (auth_scram_server_final(server, a.data, a.len, &b, &p->err) != RC_OK)
        goto out;
    auth_scram_server_keys(server, &p->found);
    p->at = AT_CHECK;
    if (auth_scram_client_check(client, b.data, b.len, &p->err) != RC_OK)
        goto out;
    p->at = AT_END;
out:
    assert_int_equal(err_is_set(&p->err), p->at != AT_END);
    auth_scram_client_free(client);
    auth_scram_server_free(server);
    buf_fini(&a);
    buf_fini(&b);
}

static void the_vector_of_rfc_7677_is_computed(void **state)
{
    static const char *const covered =
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    uint8_t salt[AUTH_SALT_BYTES_MAX], stored[AUTH_KEY_BYTES], signature[AUTH_KEY_BYTES];
    struct buf message = {0}, text = {0};
    struct keys keys;
    size_t len;

    (void)state;
    assert_true(base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==", 24, salt, sizeof(salt), &len));
    keys_of_password("pencil", salt, len, 4096, &keys);
    keys_hash(keys.client_key, AUTH_KEY_BYTES, stored);
    buf_append_str(&message, covered);
    exchange_sign(stored, &message, signature);
    keys_xor(signature, keys.client_key, signature);
    base64_append(&text, signature, sizeof(signature));
    assert_string_equal(text.data, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    buf_reset(&text);
    exchange_sign(keys.server_key, &message, signature);
    base64_append(&text, signature, sizeof(signature));
    assert_string_equal(text.data, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    buf_fini(&text);
    buf_fini(&message);
}

static void the_right_password_is_proven_with_and_without_binding(void **state)
{
    struct auth_users *users = users_of(list);
    struct {
        const struct auth_binding *server, *client;
        bool plus;
    } rows[] = {{&unbound, &unbound, false},
                {&bound, &bound, true},
                {&bound, &unbound, false},
                {&bound, &unbound, true},
                {&unbound, &bound, false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct play p = {.name = "joe",
                         .password = "pencil",
                         .server_binding = rows[i].server,
                         .client_binding = rows[i].client,
                         .plus = rows[i].plus};

        play(&p, users);
        assert_int_equal(p.at, AT_END);
    }
    auth_users_unref(users);
}

static void a_wrong_password_and_an_unknown_user_get_the_same_answer(void **state)
{
    struct auth_users *users = users_of(list);
    static const char *const names[] = {"joe", "nobody", "ann", "old"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct play p = {.name = names[i],
                         .password = "pen",
                         .server_binding = &unbound,
                         .client_binding = &unbound};
        char expected[100];

        play(&p, users);
        assert_int_equal(p.at, AT_FINAL);
        assert_string_equal(p.err.sqlstate, "28P01");
        snprintf(expected, sizeof(expected), "password authentication failed for user \"%s\"",
                 names[i]);
        assert_string_equal(p.err.text, expected);
    }
    auth_users_unref(users);
}

static void another_certificate_than_the_servers_is_refused(void **state)
{
    struct auth_users *users = users_of(list);
    struct play p = {.name = "joe",
                     .password = "pencil",
                     .server_binding = &bound,
                     .client_binding = &other,
                     .plus = true};

    (void)state;
    play(&p, users);
    assert_int_equal(p.at, AT_FINAL);
    assert_string_equal(p.err.sqlstate, "28000");
    assert_string_equal(p.err.text, "SCRAM channel binding check failed");
    auth_users_unref(users);
}

static void a_client_that_was_not_shown_plus_is_refused_where_it_was_offered(void **state)
{
    struct auth_users *users = users_of(list);
    struct play p = {.name = "joe",
                     .password = "pencil",
                     .server_binding = &bound,
                     .client_binding = &bound,
                     .plus = false};

    (void)state;
    play(&p, users);
    assert_int_equal(p.at, AT_FIRST);
    assert_string_equal(p.err.sqlstate, "28000");
    assert_string_equal(p.err.text, "SCRAM channel binding negotiation error");
    auth_users_unref(users);
}

static void recovered_keys_log_in_where_salt_and_iterations_are_the_same(void **state)
{
    struct auth_users *users = users_of(list);
    struct play first = {.name = "joe",
                         .password = "pencil",
                         .server_binding = &unbound,
                         .client_binding = &unbound};
    struct play again = {.name = "joe",
                         .keys = &first.found,
                         .server_binding = &unbound,
                         .client_binding = &unbound};

    (void)state;
    play(&first, users);
    play(&again, users);
    assert_int_equal(again.at, AT_END);
    first.found.verifier.salt[0] ^= 1;
    play(&again, users);
    assert_int_equal(again.at, AT_CHALLENGE);
    assert_string_equal(again.err.sqlstate, "28000");
    assert_non_null(strstr(again.err.text, "another salt or iteration count"));
    assert_non_null(strstr(again.err.hint, "pg_authid"));
    auth_users_unref(users);
}

static void a_server_that_does_not_know_the_password_is_found_out(void **state)
{
    struct auth_users *users = users_of(list);
    struct play first = {.name = "joe",
                         .password = "pencil",
                         .server_binding = &unbound,
                         .client_binding = &unbound};
    struct play again = {.name = "joe",
                         .keys = &first.found,
                         .server_binding = &unbound,
                         .client_binding = &unbound};

    (void)state;
    play(&first, users);
    first.found.verifier.server_key[0] ^= 1;
    play(&again, users);
    assert_int_equal(again.at, AT_CHECK);
    assert_string_equal(again.err.sqlstate, "28000");
    auth_users_unref(users);
}

static void challenge_of(const char *name, const struct auth_users *users, struct buf *out)
{
    struct auth_scram_server *server =
        auth_scram_server_new(name, auth_users_find(users, name), &unbound, salt_key);
    struct err err = {0};

    buf_reset(out);
    assert_int_equal(auth_scram_server_first(server, AUTH_MECHANISM, "n,,n=,r=abc", 11, out, &err),
                     RC_OK);
    auth_scram_server_free(server);
}

/* What follows the nonce. */
static const char *salt_of(const struct buf *challenge)
{
    return strstr(challenge->data, ",s=");
}

static void an_unknown_user_always_has_the_same_salt(void **state)
{
    struct auth_users *users = users_of(list);
    struct buf a = {0}, b = {0};

    (void)state;
    challenge_of("nobody", users, &a);
    challenge_of("nobody", users, &b);
    assert_string_equal(salt_of(&a), salt_of(&b));
    assert_string_not_equal(a.data, b.data); /* the nonce is new */
    assert_non_null(strstr(a.data, "==,i=4096"));
    challenge_of("nobody2", users, &b);
    assert_string_not_equal(salt_of(&a), salt_of(&b));
    challenge_of("joe", users, &a);
    challenge_of("joe", users, &b);
    assert_string_equal(salt_of(&a), salt_of(&b));
    assert_int_equal(strlen(salt_of(&a)), strlen(",s=012345678901234567890w==,i=4096"));
    buf_fini(&a);
    buf_fini(&b);
    auth_users_unref(users);
}

/* Neither by being put into the list nor by its being read again does a name's salt change. */
static void a_listed_password_has_the_salt_that_its_name_has_unknown(void **state)
{
    struct auth_users *users = users_of(list), *others = users_of("\"jim\" \"pencil\"\n");
    struct buf listed = {0}, unknown = {0};

    (void)state;
    challenge_of("joe", users, &listed);
    challenge_of("joe", others, &unknown);
    assert_string_equal(salt_of(&listed), salt_of(&unknown));
    buf_fini(&listed);
    buf_fini(&unknown);
    auth_users_unref(users);
    auth_users_unref(others);
}

static void no_challenge_waits_for_a_hash_of_the_password(void **state)
{
    struct auth_users *users = users_of(list);
    struct play p = {.name = "joe",
                     .password = "pencil",
                     .server_binding = &unbound,
                     .client_binding = &unbound};
    struct buf out = {0};

    (void)state;
    copied = 0;
    challenge_of("joe", users, &out);
    challenge_of("nobody", users, &out);
    assert_int_equal(hashed(), 0);
    play(&p, users);
    assert_int_equal(p.at, AT_END);
    assert_int_equal(hashed(), 2); /* the client's, and the one of the list */
    play(&p, users);
    assert_int_equal(hashed(), 3);
    buf_fini(&out);
    auth_users_unref(users);
}

static void a_mechanism_that_was_not_offered_is_refused(void **state)
{
    struct auth_users *users = users_of(list);
    static const char *const names[] = {AUTH_MECHANISM_PLUS, "SCRAM-SHA-1", "", "scram-sha-256"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct auth_scram_server *server =
            auth_scram_server_new("joe", auth_users_find(users, "joe"), &unbound, salt_key);
        struct buf out = {0};
        struct err err = {0};

        assert_int_equal(auth_scram_server_first(server, names[i], "n,,n=,r=abc", 11, &out, &err),
                         RC_ERR);
        assert_string_equal(err.sqlstate, "08P01");
        assert_int_equal(out.len, 0);
        auth_scram_server_free(server);
    }
    auth_users_unref(users);
}

static void a_missing_initial_response_is_asked_for(void **state)
{
    struct auth_users *users = users_of(list);
    struct auth_scram_server *server =
        auth_scram_server_new("joe", auth_users_find(users, "joe"), &unbound, salt_key);
    struct buf out = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(auth_scram_server_first(server, AUTH_MECHANISM, NULL, 0, &out, &err),
                     RC_AGAIN);
    assert_int_equal(out.len, 0);
    assert_int_equal(auth_scram_server_first(server, AUTH_MECHANISM, "n,,n=,r=abc", 11, &out, &err),
                     RC_OK);
    assert_memory_equal(out.data, "r=abc", 5);
    buf_fini(&out);
    auth_scram_server_free(server);
    auth_users_unref(users);
}

static void a_server_must_continue_our_nonce(void **state)
{
    /* %s: the client's own nonce */
    static const char *const challenges[] = {
        "r=%s,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=X%s,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=short,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(challenges); i++) {
        struct auth_scram_client *client =
            auth_scram_client_new("pencil", NULL, &unbound, false, NULL);
        struct buf first = {0}, challenge = {0}, out = {0};
        struct err err = {0};

        assert_int_equal(auth_scram_client_first(client, &first, &err), RC_OK);
        buf_printf(&challenge, challenges[i], strstr(first.data, "r=") + 2);
        assert_int_equal(auth_scram_client_final(client, challenge.data, challenge.len, &out, &err),
                         RC_ERR);
        assert_string_equal(err.text, "invalid SCRAM response (nonce mismatch)");
        auth_scram_client_free(client);
        buf_fini(&first);
        buf_fini(&challenge);
        buf_fini(&out);
    }
}

static void a_client_must_repeat_the_nonce(void **state)
{
    struct auth_users *users = users_of(list);
    static const char *const nonces[] = {"", "abc", "abcX%s", "%sX"}; /* %s: the whole nonce */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nonces); i++) {
        struct auth_scram_server *server =
            auth_scram_server_new("joe", auth_users_find(users, "joe"), &unbound, salt_key);
        struct buf challenge = {0}, nonce = {0}, answer = {0}, out = {0};
        struct err err = {0};

        assert_int_equal(
            auth_scram_server_first(server, AUTH_MECHANISM, "n,,n=,r=abc", 11, &challenge, &err),
            RC_OK);
        buf_append(&nonce, challenge.data + 2, strcspn(challenge.data, ",") - 2);
        buf_append_str(&answer, "c=biws,r=");
        buf_printf(&answer, nonces[i], nonce.data);
        buf_append_str(&answer, ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_int_equal(auth_scram_server_final(server, answer.data, answer.len, &out, &err),
                         RC_ERR);
        assert_string_equal(err.sqlstate, "08P01");
        assert_string_equal(err.text, "invalid SCRAM response (nonce does not match)");
        auth_scram_server_free(server);
        buf_fini(&challenge);
        buf_fini(&nonce);
        buf_fini(&answer);
    }
    auth_users_unref(users);
}

static void keys_of_many_iterations_are_made_in_slices_and_once(void **state)
{
    struct auth_users *users = users_of("\"joe\" \"" VERIFIER_20000 "\"\n");
    struct auth_key_cache *cache = auth_key_cache_new(8);
    struct play p = {.name = "joe",
                     .password = "pencil",
                     .server_binding = &unbound,
                     .client_binding = &unbound,
                     .cache = cache};

    (void)state;
    play(&p, users);
    assert_int_equal(p.at, AT_END);
    assert_int_equal(p.slices, 20);
    play(&p, users);
    assert_int_equal(p.at, AT_END);
    assert_int_equal(p.slices, 20);
    p.password = "Pencil";
    play(&p, users);
    assert_int_equal(p.at, AT_FINAL);
    assert_int_equal(p.slices, 40);
    auth_key_cache_free(cache);
    auth_users_unref(users);
}

static void slices_give_what_openssl_gives(void **state)
{
    static const struct {
        size_t len;
        unsigned iterations, slice;
    } rows[] = {{0, 1, 1}, {1, 2, 1}, {63, 3, 2}, {64, 100, 7}, {65, 100, 100}, {500, 1000, 999}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char password[501] = "";
        uint8_t salt[AUTH_SALT_BYTES_MAX], salted[AUTH_KEY_BYTES];
        struct keys expected;
        struct auth_key_work *work, *twin, *other_one;

        memset(password, 'p', rows[i].len);
        memset(salt, (int)i, sizeof(salt));
        assert_int_equal(PKCS5_PBKDF2_HMAC(password, (int)rows[i].len, salt, (int)sizeof(salt),
                                           (int)rows[i].iterations, EVP_sha256(), sizeof(salted),
                                           salted),
                         1);
        keys_hmac(salted, "Client Key", 10, expected.client_key);
        keys_hmac(salted, "Server Key", 10, expected.server_key);
        work = key_work_new(password, salt, sizeof(salt), rows[i].iterations);
        twin = key_work_new(password, salt, sizeof(salt), rows[i].iterations);
        other_one = key_work_new("q", salt, sizeof(salt), rows[i].iterations);
        assert_true(auth_key_work_same(work, twin));
        assert_false(auth_key_work_same(work, other_one));
        auth_key_work_step(twin, 1);
        while (!auth_key_work_step(work, rows[i].slice))
            ;
        auth_key_work_take(twin, work);
        assert_true(auth_key_work_step(twin, 1));
        assert_memory_equal(key_work_keys(work), &expected, sizeof(expected));
        assert_memory_equal(key_work_keys(twin), &expected, sizeof(expected));
        auth_key_work_free(work);
        auth_key_work_free(twin);
        auth_key_work_free(other_one);
    }
}

static void keys_of_a_password_are_made_once(void **state)
{
    struct auth_users *users = users_of(list);
    struct auth_key_cache *cache = auth_key_cache_new(8);
    struct play p = {.name = "joe",
                     .password = "pencil",
                     .server_binding = &unbound,
                     .client_binding = &unbound,
                     .cache = cache};

    (void)state;
    play(&p, users);
    play(&p, users);
    assert_int_equal(p.at, AT_END);
    assert_int_equal(key_cache_misses(cache), 1);
    p.password = "pencil2";
    play(&p, users);
    assert_int_equal(p.at, AT_FINAL);
    assert_int_equal(key_cache_misses(cache), 2);
    auth_key_cache_free(cache);
    auth_users_unref(users);
}

static void keys_from(struct auth_key_cache *cache, const char *password, const uint8_t *salt,
                      size_t salt_len, uint32_t iterations, struct keys *out)
{
    if (key_cache_find(cache, password, salt, salt_len, iterations, out))
        return;
    keys_of_password(password, salt, salt_len, iterations, out);
    key_cache_keep(cache, password, salt, salt_len, iterations, out);
    key_cache_keep(cache, password, salt, salt_len, iterations, out); /* in the same place */
}

static void the_cache_is_bounded_and_keeps_what_is_used(void **state)
{
    struct auth_key_cache *cache = auth_key_cache_new(4);
    struct keys keys, again;
    uint8_t salt = 0;

    (void)state;
    keys_from(cache, "p", &salt, 1, 1, &keys);
    for (salt = 1; salt < 100; salt++) {
        keys_from(cache, "p", &salt, 1, 1, &again);
        assert_memory_not_equal(&keys, &again, sizeof(keys));
        keys_from(cache, "p", (const uint8_t *)"", 1, 1, &again);
        assert_memory_equal(&keys, &again, sizeof(keys));
    }
    assert_int_equal(key_cache_misses(cache), 100);
    salt = 1; /* gave way long ago */
    keys_from(cache, "p", &salt, 1, 1, &again);
    assert_int_equal(key_cache_misses(cache), 101);
    keys_from(cache, "p", &salt, 1, 2, &again);
    assert_int_equal(key_cache_misses(cache), 102);
    auth_key_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_of_rfc_7677_is_computed),
        cmocka_unit_test(the_right_password_is_proven_with_and_without_binding),
        cmocka_unit_test(a_wrong_password_and_an_unknown_user_get_the_same_answer),
        cmocka_unit_test(another_certificate_than_the_servers_is_refused),
        cmocka_unit_test(a_client_that_was_not_shown_plus_is_refused_where_it_was_offered),
        cmocka_unit_test(recovered_keys_log_in_where_salt_and_iterations_are_the_same),
        cmocka_unit_test(a_server_that_does_not_know_the_password_is_found_out),
        cmocka_unit_test(an_unknown_user_always_has_the_same_salt),
        cmocka_unit_test(a_listed_password_has_the_salt_that_its_name_has_unknown),
        cmocka_unit_test(no_challenge_waits_for_a_hash_of_the_password),
        cmocka_unit_test(a_mechanism_that_was_not_offered_is_refused),
        cmocka_unit_test(a_missing_initial_response_is_asked_for),
        cmocka_unit_test(a_server_must_continue_our_nonce),
        cmocka_unit_test(a_client_must_repeat_the_nonce),
        cmocka_unit_test(keys_of_many_iterations_are_made_in_slices_and_once),
        cmocka_unit_test(slices_give_what_openssl_gives),
        cmocka_unit_test(keys_of_a_password_are_made_once),
        cmocka_unit_test(the_cache_is_bounded_and_keeps_what_is_used),
    };

    return cmocka_run_group_tests_name("auth/scram", tests, NULL, NULL);
}
