/*
 * SCRAM messages, verifiers, user lists and passwords. First byte: what the rest is. A message
 * that was not made from the secret never logs in.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../proxy/auth/message.h"
#include "../../proxy/auth/saslprep.h"
#include "segue/auth/scram.h"
#include "target.h"

static const uint8_t salt_key[AUTH_KEY_BYTES];
static const struct auth_binding bindings[2] = {{.len = 0}, {.hash = "0123456789", .len = 32}};

static void parse_all(const char *text, size_t len)
{
    struct message_client_first client_first;
    struct message_client_final client_final;
    struct message_server_first server_first;
    uint8_t signature[AUTH_KEY_BYTES];
    struct auth_verifier verifier;
    struct err err = {0};

    assert((message_client_first(text, len, &client_first, &err) == RC_OK) != err_is_set(&err));
    err_clear(&err);
    assert((message_client_final(text, len, &client_final, &err) == RC_OK) != err_is_set(&err));
    err_clear(&err);
    assert((message_server_first(text, len, &server_first, &err) == RC_OK) != err_is_set(&err));
    err_clear(&err);
    assert((message_server_final(text, len, signature, &err) == RC_OK) != err_is_set(&err));
    auth_verifier_parse(text, len, &verifier);
}

static void parse_list(const char *text, size_t len)
{
    struct auth_users *users = NULL;
    struct err err = {0};

    assert((auth_users_parse("list", text, len, &users, &err) == RC_OK) != err_is_set(&err));
    auth_users_unref(users);
}

/* A client's two messages, parted by a line feed, against a user's verifier or nobody's. */
static void prove(const char *text, size_t len, unsigned how)
{
    static const char list[] = "\"joe\" \"pencil\"";
    static struct auth_users *users;
    const char *cut = memchr(text, '\n', len);
    size_t first = cut ? (size_t)(cut - text) : len;
    struct auth_scram_server *server;
    struct buf out = {0};
    struct err err = {0};

    if (!users && auth_users_parse("list", list, sizeof(list) - 1, &users, &err) != RC_OK)
        abort();
    server = auth_scram_server_new("joe", how & 1 ? auth_users_find(users, "joe") : NULL,
                                   &bindings[how >> 1 & 1], salt_key);
    if (auth_scram_server_first(server, how & 4 ? AUTH_MECHANISM_PLUS : AUTH_MECHANISM, text, first,
                                &out, &err) == RC_OK &&
        cut)
        assert(auth_scram_server_final(server, cut + 1, len - first - 1, &out, &err) == RC_ERR);
    auth_scram_server_free(server);
    buf_fini(&out);
}

/* A server's two messages, likewise: none of them knows the secret. */
static void log_in(const char *text, size_t len, unsigned how)
{
    const char *cut = memchr(text, '\n', len);
    size_t first = cut ? (size_t)(cut - text) : len;
    struct auth_keys keys = {0};
    struct auth_scram_client *client =
        auth_scram_client_new(NULL, &keys, &bindings[how & 1], how >> 1 & 1, NULL);
    struct buf out = {0};
    struct err err = {0};

    if (auth_scram_client_first(client, &out, &err) == RC_OK &&
        auth_scram_client_final(client, text, first, &out, &err) == RC_OK && cut)
        assert(auth_scram_client_check(client, cut + 1, len - first - 1, &err) == RC_ERR);
    auth_scram_client_free(client);
    buf_fini(&out);
}

int fuzz_one(const uint8_t *data, size_t len)
{
    char *text;

    if (!len)
        return 0;
    text = malloc(len);
    memcpy(text, data + 1, len - 1);
    text[len - 1] = '\0';
    switch (data[0] & 7) {
    case 0:
        parse_list(text, len - 1);
        break;
    case 1:
        free(saslprep(text));
        break;
    case 2:
    case 3:
        prove(text, len - 1, data[0] >> 3);
        break;
    case 4:
        log_in(text, len - 1, data[0] >> 3);
        break;
    default:
        parse_all(text, len - 1);
        break;
    }
    free(text);
    return 0;
}

const struct fuzz_seed fuzz_seeds[] = {
    FUZZ_SEED("\x0a"
              "n,,n=,r=rOprNGfwEbeRWgbNEkqO\nc=biws,r=rOprNGfwEbeRWgbNEkqOx,p="
              "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
    FUZZ_SEED("\x32"
              "p=tls-server-end-point,,n=joe,r=rOprNGfwEbeRWgbNEkqO"),
    FUZZ_SEED("\x1a"
              "y,,n=,r=x"),
    FUZZ_SEED("\4r=rOprNGfwEbeRWgbNEkqO%hvY,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096\nv=dHzbZapWIk4jUhN+"
              "Ute9ytag9zjfMHgsqmmiz7AndVQ="),
    FUZZ_SEED("\5c=biws,r=abc,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
    FUZZ_SEED("\5SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7"
              "AndVQ=:dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
    FUZZ_SEED("\0\"joe\" \"pencil\"\n; comment\n\"ann\" \"md5c4ca4238a0b923820dcc509a6f75849b\"\n"),
    FUZZ_SEED("\1p\xc3\xa4sswort \xef\xac\x81 \xd8\xa7"),
};
const size_t fuzz_nseeds = sizeof(fuzz_seeds) / sizeof(fuzz_seeds[0]);
