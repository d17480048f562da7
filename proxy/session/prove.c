/*
 * The client shows segue who it is: by SCRAM against the user list, or by giving the password that
 * the upstream will judge. Only 'p' comes from the client here, and 'X'.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "login.h"
#include "segue/base/mem.h"
#include "segue/wire/build.h"
#include "segue/wire/read.h"

void sess_login_binding(const struct sess_leg *leg, struct auth_binding *out)
{
    static_assert(sizeof(out->hash) >= NET_TLS_HASH_MAX, "a hash that does not fit");

    out->len = net_stream_is_tls(&leg->stream) ? net_tls_endpoint_hash(&leg->stream, out->hash) : 0;
}

static void offer_scram(struct sess *s, struct buf *out)
{
    struct sess_login *l = s->login;
    struct auth_binding binding;
    struct buf list = {0};
    const char *name = sess_login_user(s);

    l->user = l->limits->users ? auth_users_find(l->limits->users, name) : NULL;
    sess_login_binding(&s->client, &binding);
    l->prover = auth_scram_server_new(name, l->user, &binding, s->worker->plane->salt_key);
    if (binding.len)
        buf_append(&list, AUTH_MECHANISM_PLUS, sizeof(AUTH_MECHANISM_PLUS));
    buf_append(&list, AUTH_MECHANISM, sizeof(AUTH_MECHANISM));
    buf_append_u8(&list, 0);
    wire_put_auth(out, WIRE_AUTH_SASL, list.data, list.len);
    buf_fini(&list);
}

void sess_prove_begin(struct sess *s)
{
    struct buf out = {0};

    sess_move(s, SESS_PROVING);
    if (s->login->limits->options.auth == SESS_AUTH_SCRAM)
        offer_scram(s, &out);
    else
        wire_put_auth(&out, WIRE_AUTH_CLEARTEXT, NULL, 0);
    sess_send(s, &s->client, out.data, out.len);
    buf_fini(&out);
}

const char *sess_prove_hint(const struct sess *s)
{
    const struct sess_login *l = s->login;

    if (!l->prover)
        return "";
    if (!l->user)
        return "auth_file does not have this user";
    if (l->user->kind == AUTH_SECRET_MD5)
        return "auth_file has an md5 hash for this user, and with that there is no SCRAM: it needs "
               "the password or the SCRAM verifier";
    return l->user->kind == AUTH_SECRET_NONE ? "auth_file has no password for this user" : "";
}

/* ---- the client's messages ---- */

static void on_password(struct sess *s, const char *msg, size_t total)
{
    const char *text = msg + WIRE_HEADER_BYTES;
    size_t len = total - WIRE_HEADER_BYTES;
    struct err err = {0};

    if (len < 1 || memchr(text, '\0', len) != text + len - 1)
        err_set(&err, "08P01", "invalid password packet size");
    else if (len == 1)
        err_set(&err, "28P01", "empty password returned by client");
    if (err_is_set(&err)) {
        sess_login_refuse(s, &err);
        return;
    }
    s->login->secret = SESS_SECRET_PASSWORD;
    s->login->password = mem_strdup(text);
    sess_login_proven(s);
}

/* The proof holds: what logs in upstream is the list's password, or the key it has shown. */
static void proven(struct sess *s)
{
    struct sess_login *l = s->login;

    if (l->user->kind == AUTH_SECRET_PASSWORD) {
        l->secret = SESS_SECRET_PASSWORD;
        l->password = mem_strdup(l->user->text);
    } else {
        l->secret = SESS_SECRET_KEYS;
        auth_scram_server_keys(l->prover, &l->keys);
    }
    sess_login_proven(s);
}

static enum rc on_first(struct sess *s, const char *msg, size_t total, struct buf *out,
                        struct err *err)
{
    struct sess_login *l = s->login;
    struct wire_sasl_first first;

    if (l->mechanism[0]) { /* it was chosen, without a response */
        first.data = msg + WIRE_HEADER_BYTES;
        first.len = total - WIRE_HEADER_BYTES;
    } else if (wire_read_sasl_first(msg, total, &first) != RC_OK) {
        err_set(err, "08P01", "malformed SASLInitialResponse message");
        return RC_ERR;
    } else {
        snprintf(l->mechanism, sizeof(l->mechanism), "%s", first.mechanism);
    }
    return auth_scram_server_first(l->prover, l->mechanism, first.data, first.len, out, err);
}

static void on_sasl(struct sess *s, const char *msg, size_t total)
{
    struct sess_login *l = s->login;
    struct buf data = {0}, out = {0};
    struct err err = {0};
    bool last = l->challenged;
    enum rc rc = last ? auth_scram_server_final(l->prover, msg + WIRE_HEADER_BYTES,
                                                total - WIRE_HEADER_BYTES, &data, &err)
                      : on_first(s, msg, total, &data, &err);

    if (rc == RC_ERR) {
        sess_login_refuse(s, &err);
    } else {
        l->challenged = rc == RC_OK;
        wire_put_auth(&out, last ? WIRE_AUTH_SASL_FINAL : WIRE_AUTH_SASL_CONTINUE, data.data,
                      data.len);
        sess_send(s, &s->client, out.data, out.len);
        if (last && s->state != SESS_GONE)
            proven(s);
    }
    buf_fini(&data);
    buf_fini(&out);
}

static bool is_scram(const struct sess *s)
{
    return s->login->limits->options.auth == SESS_AUTH_SCRAM;
}

static void unexpected(struct sess *s, uint8_t type)
{
    struct err err = {0};

    if (type == 'X') {
        sess_finish(s);
        return;
    }
    err_set(&err, "08P01", "expected %s response, got message type %d",
            is_scram(s) ? "SASL" : "password", type);
    sess_fail(s, &err);
}

/* PostgreSQL takes a SASL message that cannot be so long for a wrong password. */
static void bad_length(struct sess *s)
{
    struct err err = {0};

    if (is_scram(s))
        err_set(&err, "28P01", "password authentication failed for user \"%s\"",
                sess_login_user(s));
    else
        err_set(&err, "08P01", "invalid length of an authentication message");
    sess_login_refuse(s, &err);
}

size_t sess_prove_client(struct sess *s, const char *data, size_t len)
{
    bool scram = is_scram(s);
    size_t most = scram ? AUTH_MESSAGE_BYTES_MAX : SESS_SECRET_BYTES_MAX, pos = 0;
    struct wire_frame frame;
    struct buf msg = {0};

    while (pos < len && s->state == SESS_PROVING) {
        enum rc rc = wire_frame_read(data + pos, len - pos, &frame);

        if (rc == RC_AGAIN)
            break;
        if (data[pos] != 'p') {
            unexpected(s, (uint8_t)data[pos]);
            return len;
        }
        if (rc == RC_ERR || frame.total - WIRE_HEADER_BYTES > most) {
            bad_length(s);
            return len;
        }
        if (len - pos < frame.total)
            break;
        buf_append(&msg, data + pos, frame.total);
        auth_wipe((char *)data + pos, frame.total); /* before the session's end may free it */
        pos += frame.total;
        if (scram)
            on_sasl(s, msg.data, msg.len);
        else
            on_password(s, msg.data, msg.len);
        auth_wipe(msg.data, msg.len);
        buf_fini(&msg);
    }
    return pos;
}
