/* The server side of an exchange, as PostgreSQL's auth-scram.c: a doomed one (no such user, no
 * verifier) does the same work to its end. A listed password's verifier, of which only the first
 * login has to be waited for, is made when the proof is there: nobody may tell by the time that the
 * challenge takes who is in the list. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "exchange.h"
#include "segue/base/mem.h"

enum server_state { SERVER_NEW, SERVER_SALT_SENT, SERVER_PROVEN, SERVER_FAILED };

struct auth_scram_server {
    enum server_state state;
    char *name;
    bool doomed;                  /* fails at the end, whatever the proof */
    const struct auth_user *user; /* whose verifier comes with the proof; NULL: it is here */
    struct auth_verifier verifier;
    struct auth_binding binding;
    char flag;               /* of the client's gs2-header */
    struct buf nonce;        /* both sides' */
    struct buf auth_message; /* client-first-bare "," server-first "," client-final-without-proof */
    uint8_t client_key[AUTH_KEY_BYTES];
};

/* The same name has the same salt as long as the process lives. */
static void salt_of(const char *name, const uint8_t *salt_key, struct auth_verifier *out)
{
    uint8_t hash[AUTH_KEY_BYTES];

    *out = (struct auth_verifier){.iterations = KEYS_ITERATIONS, .salt_len = AUTH_SALT_BYTES};
    keys_hmac(salt_key, name, strlen(name), hash);
    memcpy(out->salt, hash, AUTH_SALT_BYTES);
}

struct auth_scram_server *auth_scram_server_new(const char *name, const struct auth_user *user,
                                                const struct auth_binding *binding,
                                                const uint8_t salt_key[AUTH_KEY_BYTES])
{
    struct auth_scram_server *server = mem_calloc(1, sizeof(*server));
    enum auth_secret_kind kind = user ? user->kind : AUTH_SECRET_NONE;

    assert(binding->len <= sizeof(binding->hash));
    server->name = mem_strdup(name);
    server->binding = *binding;
    server->doomed = kind != AUTH_SECRET_SCRAM && kind != AUTH_SECRET_PASSWORD;
    server->user = kind == AUTH_SECRET_PASSWORD ? user : NULL;
    salt_of(name, salt_key, &server->verifier);
    if (kind == AUTH_SECRET_SCRAM)
        server->verifier = *auth_user_verifier(user, server->verifier.salt);
    return server;
}

void auth_scram_server_free(struct auth_scram_server *server)
{
    if (!server)
        return;
    free(server->name);
    buf_fini(&server->nonce);
    buf_fini(&server->auth_message);
    auth_wipe(server, sizeof(*server));
    free(server);
}

/* Does the flag fit the mechanism, and what was offered? */
static enum rc flag_check(const struct auth_scram_server *server, bool plus,
                          const struct message_client_first *first, struct err *err)
{
    if (plus && first->flag != 'p') {
        err_set(err, "08P01",
                "malformed SCRAM message (the client selected SCRAM-SHA-256-PLUS, but the SCRAM "
                "message does not include channel binding data)");
        return RC_ERR;
    }
    if (!plus && first->flag == 'p') {
        err_set(err, "08P01",
                "malformed SCRAM message (the client selected SCRAM-SHA-256 without channel "
                "binding, but the SCRAM message includes channel binding data)");
        return RC_ERR;
    }
    if (first->flag == 'y' && server->binding.len > 0) {
        err_set(err, "28000", "SCRAM channel binding negotiation error");
        err_hint(err, "The client supports SCRAM channel binding but thinks the server does not. "
                      "However, this server does support channel binding.");
        return RC_ERR;
    }
    if (first->flag == 'p' && !message_text_is(&first->binding, EXCHANGE_BINDING_TYPE)) {
        char type[31];
        size_t n = first->binding.len < sizeof(type) - 1 ? first->binding.len : sizeof(type) - 1;

        for (size_t i = 0; i < n; i++)
            type[i] = first->binding.p[i] >= 0x21 && first->binding.p[i] <= 0x7E
                          ? first->binding.p[i]
                          : '?';
        type[n] = '\0';
        err_set(err, "08P01", "unsupported SCRAM channel-binding type \"%s\"", type);
        return RC_ERR;
    }
    return RC_OK;
}

static enum rc mechanism_check(const struct auth_scram_server *server, const char *mechanism,
                               bool *plus, struct err *err)
{
    *plus = server->binding.len > 0 && strcmp(mechanism, AUTH_MECHANISM_PLUS) == 0;
    if (*plus || strcmp(mechanism, AUTH_MECHANISM) == 0)
        return RC_OK;
    err_set(err, "08P01", "client selected an invalid SASL authentication mechanism");
    return RC_ERR;
}

/* Appends server-first-message to `out` and to what signatures cover. */
static enum rc challenge(struct auth_scram_server *server, const struct message_client_first *first,
                         struct buf *out, struct err *err)
{
    struct buf *covered = &server->auth_message;
    size_t start;

    buf_append(&server->nonce, first->nonce.p, first->nonce.len);
    if (exchange_nonce(&server->nonce, err) != RC_OK)
        return RC_ERR;
    buf_append(covered, first->bare.p, first->bare.len);
    buf_append_u8(covered, ',');
    start = covered->len;
    buf_printf(covered, "r=%s,s=", server->nonce.data);
    base64_append(covered, server->verifier.salt, server->verifier.salt_len);
    buf_printf(covered, ",i=%u", server->verifier.iterations);
    buf_append(out, covered->data + start, covered->len - start);
    buf_append_u8(covered, ',');
    return RC_OK;
}

enum rc auth_scram_server_first(struct auth_scram_server *server, const char *mechanism,
                                const char *msg, size_t len, struct buf *out, struct err *err)
{
    struct message_client_first first;
    bool plus;

    assert(server->state == SERVER_NEW);
    if (mechanism_check(server, mechanism, &plus, err) == RC_OK) {
        if (!msg)
            return RC_AGAIN;
        if (message_client_first(msg, len, &first, err) == RC_OK &&
            flag_check(server, plus, &first, err) == RC_OK &&
            challenge(server, &first, out, err) == RC_OK) {
            server->flag = first.flag;
            server->state = SERVER_SALT_SENT;
            return RC_OK;
        }
    }
    server->state = SERVER_FAILED;
    return RC_ERR;
}

static enum rc binding_check(const struct auth_scram_server *server,
                             const struct message_text *given, struct err *err)
{
    struct buf expected = {0};
    bool same;

    exchange_binding(server->flag, &server->binding, &expected);
    same = message_text_is(given, expected.data);
    buf_fini(&expected);
    if (same)
        return RC_OK;
    if (server->flag == 'p') {
        err_set(err, "28000", "SCRAM channel binding check failed");
        err_hint(err, "The client is bound to another TLS connection than this one: something "
                      "between the client and segue terminates TLS.");
    } else {
        err_set(err, "08P01", "unexpected SCRAM channel-binding attribute in client-final-message");
    }
    return RC_ERR;
}

/* Recovers the client's key; is it the one of the verifier? */
static bool proof_check(struct auth_scram_server *server,
                        const struct message_client_final *final_message)
{
    uint8_t signature[AUTH_KEY_BYTES], stored[AUTH_KEY_BYTES];

    if (server->user)
        server->verifier = *auth_user_verifier(server->user, server->verifier.salt);
    exchange_sign(server->verifier.stored_key, &server->auth_message, signature);
    keys_xor(final_message->proof, signature, server->client_key);
    keys_hash(server->client_key, AUTH_KEY_BYTES, stored);
    return auth_same(stored, server->verifier.stored_key, AUTH_KEY_BYTES);
}

enum rc auth_scram_server_final(struct auth_scram_server *server, const char *msg, size_t len,
                                struct buf *out, struct err *err)
{
    struct message_client_final final_message;
    uint8_t signature[AUTH_KEY_BYTES];

    assert(server->state == SERVER_SALT_SENT);
    server->state = SERVER_FAILED;
    if (message_client_final(msg, len, &final_message, err) != RC_OK ||
        binding_check(server, &final_message.binding, err) != RC_OK)
        return RC_ERR;
    if (!message_text_is(&final_message.nonce, server->nonce.data)) {
        err_set(err, "08P01", "invalid SCRAM response (nonce does not match)");
        return RC_ERR;
    }
    buf_append(&server->auth_message, final_message.without_proof.p,
               final_message.without_proof.len);
    /* the proof is computed for unknown users, too: they must not be told by the time it takes */
    if (!proof_check(server, &final_message) || server->doomed) {
        err_set(err, "28P01", "password authentication failed for user \"%s\"", server->name);
        return RC_ERR;
    }
    exchange_sign(server->verifier.server_key, &server->auth_message, signature);
    buf_append_str(out, "v=");
    base64_append(out, signature, sizeof(signature));
    server->state = SERVER_PROVEN;
    return RC_OK;
}

void auth_scram_server_keys(const struct auth_scram_server *server, struct auth_keys *out)
{
    assert(server->state == SERVER_PROVEN);
    out->verifier = server->verifier;
    memcpy(out->client_key, server->client_key, AUTH_KEY_BYTES);
}
