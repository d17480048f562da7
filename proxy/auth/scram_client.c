/* The client side of an exchange: logging in upstream, with a password or with recovered keys. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "exchange.h"
#include "key_cache.h"
#include "key_work.h"
#include "segue/base/mem.h"

enum client_state {
    CLIENT_NEW,
    CLIENT_NONCE_SENT,
    CLIENT_KEYS_AWAITED,
    CLIENT_PROOF_SENT,
    CLIENT_DONE
};

struct auth_scram_client {
    enum client_state state;
    char *password; /* NULL: `given` logs in */
    struct auth_keys given;
    struct auth_key_cache *cache; /* may be NULL */
    char flag;
    struct auth_binding binding;
    struct buf nonce;        /* ours */
    struct buf auth_message; /* client-first-bare "," server-first "," client-final-without-proof */
    struct message_server_first first; /* its nonce points into both_nonces */
    struct buf both_nonces;
    struct keys keys;
};

struct auth_scram_client *auth_scram_client_new(const char *password, const struct auth_keys *keys,
                                                const struct auth_binding *binding, bool plus,
                                                struct auth_key_cache *cache)
{
    struct auth_scram_client *client = mem_calloc(1, sizeof(*client));

    assert((password != NULL) != (keys != NULL));
    client->password = mem_strdup(password);
    if (keys)
        client->given = *keys;
    client->binding = *binding;
    client->flag = binding->len == 0 ? 'n' : plus ? 'p' : 'y';
    client->cache = cache;
    return client;
}

void auth_scram_client_free(struct auth_scram_client *client)
{
    if (!client)
        return;
    if (client->password)
        auth_wipe(client->password, strlen(client->password));
    free(client->password);
    buf_fini(&client->nonce);
    buf_fini(&client->both_nonces);
    buf_fini(&client->auth_message);
    auth_wipe(client, sizeof(*client));
    free(client);
}

const char *auth_scram_client_mechanism(const struct auth_scram_client *client)
{
    return client->flag == 'p' ? AUTH_MECHANISM_PLUS : AUTH_MECHANISM;
}

enum rc auth_scram_client_first(struct auth_scram_client *client, struct buf *out, struct err *err)
{
    assert(client->state == CLIENT_NEW);
    if (exchange_nonce(&client->nonce, err) != RC_OK)
        return RC_ERR;
    buf_append_u8(out, (uint8_t)client->flag);
    buf_append_str(out, client->flag == 'p' ? "=" EXCHANGE_BINDING_TYPE ",," : ",,");
    /* no name: PostgreSQL takes that of the start-up packet */
    buf_printf(&client->auth_message, "n=,r=%s", client->nonce.data);
    buf_append(out, client->auth_message.data, client->auth_message.len);
    buf_append_u8(&client->auth_message, ',');
    client->state = CLIENT_NONCE_SENT;
    return RC_OK;
}

static enum rc nonce_check(const struct auth_scram_client *client, const struct message_text *both,
                           struct err *err)
{
    if (both->len > client->nonce.len &&
        memcmp(both->p, client->nonce.data, client->nonce.len) == 0)
        return RC_OK;
    err_set(err, "08P01", "invalid SCRAM response (nonce mismatch)");
    return RC_ERR;
}

static void keys_keep(struct auth_scram_client *client)
{
    const struct message_server_first *first = &client->first;

    key_cache_keep(client->cache, client->password, first->salt, first->salt_len, first->iterations,
                   &client->keys);
}

/* RC_AGAIN: to make them takes longer than the caller should stand still for. */
static enum rc keys_find(struct auth_scram_client *client, struct err *err)
{
    const struct auth_verifier *own = &client->given.verifier;
    const struct message_server_first *first = &client->first;

    if (client->password) {
        if (key_cache_find(client->cache, client->password, first->salt, first->salt_len,
                           first->iterations, &client->keys))
            return RC_OK;
        if (first->iterations > AUTH_ITERATIONS_AT_ONCE)
            return RC_AGAIN;
        keys_of_password(client->password, first->salt, first->salt_len, first->iterations,
                         &client->keys);
        keys_keep(client);
        return RC_OK;
    }
    if (own->iterations != first->iterations || own->salt_len != first->salt_len ||
        memcmp(own->salt, first->salt, own->salt_len) != 0) {
        err_set(err, "28000",
                "the upstream's SCRAM verifier has another salt or iteration count than the one "
                "in the user list");
        err_hint(err, "Copy the user's verifier from the upstream's pg_authid.rolpassword again, "
                      "or put the password into the user list.");
        return RC_ERR;
    }
    memcpy(client->keys.client_key, client->given.client_key, AUTH_KEY_BYTES);
    memcpy(client->keys.server_key, own->server_key, AUTH_KEY_BYTES);
    return RC_OK;
}

/* Appends client-final-message to `out`, without its proof to what signatures cover. */
static void answer(struct auth_scram_client *client, struct buf *out)
{
    const struct message_text *nonce = &client->first.nonce;
    struct buf *covered = &client->auth_message;
    uint8_t stored[AUTH_KEY_BYTES], proof[AUTH_KEY_BYTES];
    size_t start = covered->len;

    buf_append_str(covered, "c=");
    exchange_binding(client->flag, &client->binding, covered);
    buf_append_str(covered, ",r=");
    buf_append(covered, nonce->p, nonce->len);
    buf_append(out, covered->data + start, covered->len - start);

    keys_hash(client->keys.client_key, AUTH_KEY_BYTES, stored);
    exchange_sign(stored, covered, proof);
    keys_xor(proof, client->keys.client_key, proof);
    buf_append_str(out, ",p=");
    base64_append(out, proof, sizeof(proof));
    client->state = CLIENT_PROOF_SENT;
}

/* The upstream sends what it likes, also out of turn. */
static enum rc turn_check(const struct auth_scram_client *client, enum client_state state,
                          struct err *err)
{
    if (client->state == state)
        return RC_OK;
    err_set(err, "08P01", "the upstream sent a SCRAM message out of turn");
    return RC_ERR;
}

enum rc auth_scram_client_final(struct auth_scram_client *client, const char *msg, size_t len,
                                struct buf *out, struct err *err)
{
    struct message_server_first *first = &client->first;
    enum rc rc;

    if (turn_check(client, CLIENT_NONCE_SENT, err) != RC_OK)
        return RC_ERR;
    client->state = CLIENT_DONE;
    if (message_server_first(msg, len, first, err) != RC_OK ||
        nonce_check(client, &first->nonce, err) != RC_OK)
        return RC_ERR;
    buf_append(&client->both_nonces, first->nonce.p, first->nonce.len);
    first->nonce.p = client->both_nonces.data;
    buf_append(&client->auth_message, msg, len);
    buf_append_u8(&client->auth_message, ',');
    rc = keys_find(client, err);
    if (rc == RC_OK)
        answer(client, out);
    else if (rc == RC_AGAIN)
        client->state = CLIENT_KEYS_AWAITED;
    return rc;
}

struct auth_key_work *auth_scram_client_work(const struct auth_scram_client *client)
{
    const struct message_server_first *first = &client->first;

    assert(client->state == CLIENT_KEYS_AWAITED);
    return key_work_new(client->password, first->salt, first->salt_len, first->iterations);
}

void auth_scram_client_worked(struct auth_scram_client *client, const struct auth_key_work *work,
                              struct buf *out)
{
    assert(client->state == CLIENT_KEYS_AWAITED);
    client->keys = *key_work_keys(work);
    keys_keep(client);
    answer(client, out);
}

enum rc auth_scram_client_check(struct auth_scram_client *client, const char *msg, size_t len,
                                struct err *err)
{
    uint8_t given[AUTH_KEY_BYTES], expected[AUTH_KEY_BYTES];

    if (turn_check(client, CLIENT_PROOF_SENT, err) != RC_OK)
        return RC_ERR;
    client->state = CLIENT_DONE;
    if (message_server_final(msg, len, given, err) != RC_OK)
        return RC_ERR;
    exchange_sign(client->keys.server_key, &client->auth_message, expected);
    if (auth_same(given, expected, sizeof(given)))
        return RC_OK;
    err_set(err, "28000", "the upstream does not know the password: incorrect server signature");
    err_hint(err, "Something answers in place of the upstream, or it keeps another server key than "
                  "the verifier in the user list.");
    return RC_ERR;
}
