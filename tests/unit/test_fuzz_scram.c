/* Mutated SCRAM messages and user lists are read or refused, never a crash; none logs in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/auth/message.h"
#include "../../proxy/auth/saslprep.h"
#include "fuzz.h"
#include "segue/auth/scram.h"

#define ROUNDS 30000
#define CAP 1200

#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static const char *const corpus[] = {
    "n,,n=,r=rOprNGfwEbeRWgbNEkqO",
    "p=tls-server-end-point,,n=joe,r=rOprNGfwEbeRWgbNEkqO,x=y",
    "y,a=joe,m=1,n=,r=x",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=" PROOF,
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "v=" PROOF,
    "e=invalid-proof",
    "\"joe\" \"pencil\"\n; comment\n\"ann\" \"md5c4ca4238a0b923820dcc509a6f75849b\"\n",
    "\"joe\" \"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" PROOF ":" PROOF "\"",
    "p\xc3\xa4sswort \xef\xac\x81 \xd8\xa7",
};

static const char *const words[] = {",",
                                    "=",
                                    "n,,",
                                    "y,,",
                                    "p=",
                                    "r=",
                                    "c=",
                                    "s=",
                                    "i=",
                                    "v=",
                                    "e=",
                                    "m=",
                                    "a=",
                                    "==",
                                    "4294971392",
                                    "\"",
                                    "\n",
                                    "\"\"",
                                    "\xff",
                                    "\xf0\x9f\x98\x80",
                                    "$",
                                    ":",
                                    ";",
                                    "\xcc\x80",
                                    "\xe1\x84\x80\xe1\x85\xa1",
                                    "SCRAM-SHA-256$"};

/* What every reader must keep: an error is set exactly when something is refused. */
static void kept(enum rc rc, struct err *err, int *read, int *refused)
{
    assert_int_equal(err_is_set(err), rc == RC_ERR);
    *(rc == RC_OK ? read : refused) += 1;
    err_clear(err);
}

static void read_as_everything(const char *bytes, size_t len, int *read, int *refused)
{
    struct message_client_first client_first;
    struct message_client_final client_final;
    struct message_server_first server_first;
    uint8_t signature[AUTH_KEY_BYTES];
    struct auth_verifier verifier;
    struct auth_users *users;
    struct err err = {0};

    kept(message_client_first(bytes, len, &client_first, &err), &err, read, refused);
    kept(message_client_final(bytes, len, &client_final, &err), &err, read, refused);
    kept(message_server_first(bytes, len, &server_first, &err), &err, read, refused);
    kept(message_server_final(bytes, len, signature, &err), &err, read, refused);
    kept(auth_users_parse("list", bytes, len, &users, &err), &err, read, refused);
    auth_users_unref(users);
    auth_verifier_parse(bytes, len, &verifier);
}

static void mutated_messages_and_lists_are_read_or_refused(void **state)
{
    struct fuzz fuzz = {0x5eed4, words, sizeof(words) / sizeof(words[0])};
    char text[CAP + 1];
    int read = 0, refused = 0;

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        const char *seed = corpus[fuzz_below(&fuzz, sizeof(corpus) / sizeof(corpus[0]))];
        size_t len = strlen(seed);
        char *exact;

        memcpy(text, seed, len);
        for (size_t n = fuzz_below(&fuzz, 6); n > 0; n--)
            len = fuzz_mutate(&fuzz, text, len, CAP);
        exact = fuzz_exact(text, len);
        read_as_everything(exact, len, &read, &refused);
        free(exact);
        text[len] = '\0';
        exact = fuzz_exact(text, len + 1);
        free(saslprep(exact));
        free(exact);
    }
    assert_true(read > ROUNDS / 100);
    assert_true(refused > ROUNDS / 100);
}

static const uint8_t salt_key[AUTH_KEY_BYTES];
static const struct auth_binding bindings[] = {{.len = 0}, {.hash = "0123456789", .len = 32}};

/* A whole exchange of which the client's last message is mutated. */
static enum rc exchange(struct fuzz *fuzz, const struct auth_user *user)
{
    const struct auth_binding *binding = &bindings[fuzz_below(fuzz, 2)];
    struct auth_scram_server *server = auth_scram_server_new("joe", user, binding, salt_key);
    struct auth_scram_client *client =
        auth_scram_client_new(NULL, &(struct auth_keys){0}, binding, true, NULL);
    struct buf a = {0}, b = {0}, out = {0};
    struct err err = {0};
    char text[CAP];
    enum rc rc;

    assert_int_equal(auth_scram_client_first(client, &a, &err), RC_OK);
    assert_int_equal(auth_scram_server_first(server, auth_scram_client_mechanism(client), a.data,
                                             a.len, &b, &err),
                     RC_OK);
    buf_reset(&a);
    buf_printf(&a, "c=%s,%.*s,p=" PROOF, binding->len ? "cD10bHM=" : "biws",
               (int)(strchr(b.data, ',') - b.data), b.data);
    memcpy(text, a.data, a.len);
    for (size_t n = fuzz_below(fuzz, 4); n > 0; n--)
        a.len = fuzz_mutate(fuzz, text, a.len, CAP);
    rc = auth_scram_server_final(server, text, a.len, &out, &err);
    assert_int_equal(err_is_set(&err), rc == RC_ERR);
    auth_scram_server_free(server);
    auth_scram_client_free(client);
    buf_fini(&a);
    buf_fini(&b);
    buf_fini(&out);
    return rc;
}

static void no_mutated_proof_logs_in(void **state)
{
    static const char list[] = "\"joe\" \"pencil\"";
    struct fuzz fuzz = {0x5eed5, words, sizeof(words) / sizeof(words[0])};
    struct auth_users *users;
    struct err err = {0};

    (void)state;
    assert_int_equal(auth_users_parse("list", list, sizeof(list) - 1, &users, &err), RC_OK);
    for (int i = 0; i < ROUNDS / 10; i++) {
        const struct auth_user *user = fuzz_below(&fuzz, 2) ? auth_users_find(users, "joe") : NULL;

        assert_int_equal(exchange(&fuzz, user), RC_ERR);
    }
    auth_users_unref(users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_messages_and_lists_are_read_or_refused),
        cmocka_unit_test(no_mutated_proof_logs_in),
    };

    return cmocka_run_group_tests_name("fuzz/scram", tests, NULL, NULL);
}
