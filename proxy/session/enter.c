/*
 * segue logs in upstream for a client: by the password or the keys that the login has, whatever of
 * it the upstream asks for. What it says to that goes to the client as it is; the first the client
 * hears of success is the upstream's own AuthenticationOk. The upstream says in how many iterations
 * the password's keys are made: many are not for the worker's thread (keying.h).
 */
#include <stdlib.h>
#include <string.h>

#include "login.h"
#include "segue/wire/build.h"
#include "segue/wire/read.h"

#define MESSAGE_BYTES_MAX 30000 /* of the upstream, before it has said yes; as libpq's limit */

static void refuse(struct sess *s, const char *hint, const char *text)
{
    struct err err = {0};

    err_set(&err, "28000", "segue cannot log in to the upstream: %s", text);
    err_hint(&err, "%s", hint);
    sess_login_refuse(s, &err);
}

static void no_secret(struct sess *s, const char *method)
{
    struct err err = {0};

    err_set(&err, "28000",
            "segue cannot log in to the upstream: it asks for %s, and nothing known "
            "of this user answers that",
            method);
    err_hint(&err, "auth_file must have the user's password");
    sess_login_refuse(s, &err);
}

static bool requires_binding(const struct sess *s)
{
    return s->worker->plane->options.upstream.channel_binding_required;
}

static void send_wiped(struct sess *s, struct buf *out)
{
    sess_send(s, &s->server, out->data, out->len);
    auth_wipe(out->data, out->len);
    buf_fini(out);
}

/* ---- what the upstream asks for ---- */

static void on_ok(struct sess *s, const struct wire_auth *auth)
{
    struct sess_login *l = s->login;

    (void)auth;
    if (l->scram && !l->upstream_proven) {
        refuse(s, "Is it the right server?", "it did not prove that it knows the secret");
    } else if (requires_binding(s) && !l->plus_used) {
        refuse(s, "the upstream's URL says channel_binding=require",
               "it let segue in without channel binding");
    } else if (s->purpose == SESS_FOR_LOGIN) {
        sess_login_unasked(s);
        sess_login_to_console(s);
    } else {
        sess_login_unasked(s);
        sess_let_in(s);
    }
}

static void on_cleartext(struct sess *s, const struct wire_auth *auth)
{
    struct sess_login *l = s->login;
    struct buf out = {0};

    (void)auth;
    if (l->secret != SESS_SECRET_PASSWORD) {
        no_secret(s, "the password");
    } else if (requires_binding(s)) {
        refuse(s, "the upstream's URL says channel_binding=require",
               "it asks for the password without channel binding");
    } else if (!net_stream_is_tls(&s->server.stream) && !sess_upstream_is_local(s)) {
        refuse(s, "sslmode=require in the upstream's URL",
               "it asks for the password in clear text outside TLS");
    } else {
        wire_put_secret(&out, l->password, strlen(l->password) + 1);
        send_wiped(s, &out);
    }
}

static void on_md5(struct sess *s, const struct wire_auth *auth)
{
    struct sess_login *l = s->login;
    struct buf out = {0};
    char answer[36];

    if (auth->len != 4) {
        refuse(s, "Is it a PostgreSQL server?", "its md5 request is malformed");
    } else if (l->secret != SESS_SECRET_PASSWORD && l->secret != SESS_SECRET_MD5) {
        no_secret(s, "an md5 password");
    } else if (requires_binding(s)) {
        refuse(s, "the upstream's URL says channel_binding=require",
               "it asks for an md5 password, without channel binding");
    } else if (!auth_md5_answer(l->password, sess_login_user(s), (const uint8_t *)auth->data,
                                answer)) {
        refuse(s, "This OpenSSL has no MD5.", "it asks for an md5 password");
    } else {
        wire_put_secret(&out, answer, strlen(answer) + 1);
        send_wiped(s, &out);
        auth_wipe(answer, sizeof(answer));
    }
}

static void on_sasl(struct sess *s, const struct wire_auth *auth)
{
    struct sess_login *l = s->login;
    struct auth_binding binding;
    struct buf data = {0}, out = {0};
    struct err err = {0};
    bool base = false, plus = false;
    const char *name;

    for (size_t at = 0; (name = wire_sasl_mechanism(auth, &at)) != NULL;) {
        base = base || strcmp(name, AUTH_MECHANISM) == 0;
        plus = plus || strcmp(name, AUTH_MECHANISM_PLUS) == 0;
    }
    sess_login_binding(&s->server, &binding);
    l->plus_used = plus && binding.len;
    if (l->secret != SESS_SECRET_PASSWORD && l->secret != SESS_SECRET_KEYS) {
        no_secret(s, "SCRAM");
        return;
    }
    if (l->scram || (!base && !l->plus_used)) {
        refuse(s, "SCRAM-SHA-256 is what segue speaks", "none of its SASL mechanisms will do");
        return;
    }
    if (requires_binding(s) && !l->plus_used) {
        refuse(s, "the upstream's URL says channel_binding=require",
               plus && net_stream_is_tls(&s->server.stream)
                   ? "its certificate's signature has no hash to bind the channel by"
                   : "it does not offer channel binding");
        return;
    }
    l->scram = auth_scram_client_new(l->secret == SESS_SECRET_PASSWORD ? l->password : NULL,
                                     l->secret == SESS_SECRET_KEYS ? &l->keys : NULL, &binding,
                                     plus, s->worker->keys);
    if (auth_scram_client_first(l->scram, &data, &err) != RC_OK) {
        sess_login_refuse(s, &err);
    } else {
        wire_put_sasl_first(&out, auth_scram_client_mechanism(l->scram), data.data, data.len);
        send_wiped(s, &out);
    }
    buf_fini(&data);
}

static void send_final(struct sess *s, const struct buf *data)
{
    struct buf out = {0};

    wire_put_secret(&out, data->data, data->len);
    send_wiped(s, &out);
}

/* On any thread. */
static void keys_made(void *ctx, uint64_t id)
{
    sess_worker_post(ctx, MAIL_KEYS, id, NULL, 0);
}

void sess_enter_keys(struct sess *s)
{
    const struct auth_key_work *work =
        s->login && s->login->job ? sess_keying_result(s->login->job) : NULL;
    struct buf data = {0};

    if (!work || s->state != SESS_ENTERING)
        return;
    auth_scram_client_worked(s->login->scram, work, &data);
    sess_keying_drop(s->login->job);
    s->login->job = NULL;
    send_final(s, &data);
    buf_fini(&data);
}

static void on_continue(struct sess *s, const struct wire_auth *auth)
{
    struct sess_login *l = s->login;
    struct buf data = {0};
    struct err err = {0};

    if (!s->login->scram) {
        refuse(s, "Is it a PostgreSQL server?", "it answers what nobody has asked");
        return;
    }
    switch (auth_scram_client_final(l->scram, auth->data, auth->len, &data, &err)) {
    case RC_OK:
        send_final(s, &data);
        break;
    case RC_AGAIN:
        COUNT(s->worker->counters.keys_made, 1);
        l->job = sess_keying_ask(s->worker->plane->keying, auth_scram_client_work(l->scram),
                                 keys_made, s->worker, s->id);
        break;
    case RC_ERR:
        sess_login_refuse(s, &err);
        break;
    }
    buf_fini(&data);
}

static void on_final(struct sess *s, const struct wire_auth *auth)
{
    struct err err = {0};

    if (!s->login->scram) {
        refuse(s, "Is it a PostgreSQL server?", "it answers what nobody has asked");
        return;
    }
    if (auth_scram_client_check(s->login->scram, auth->data, auth->len, &err) != RC_OK)
        sess_login_refuse(s, &err);
    else
        s->login->upstream_proven = true;
}

static const struct {
    uint32_t method;
    void (*take)(struct sess *s, const struct wire_auth *auth);
} methods[] = {
    {WIRE_AUTH_OK, on_ok},
    {WIRE_AUTH_CLEARTEXT, on_cleartext},
    {WIRE_AUTH_MD5, on_md5},
    {WIRE_AUTH_SASL, on_sasl},
    {WIRE_AUTH_SASL_CONTINUE, on_continue},
    {WIRE_AUTH_SASL_FINAL, on_final},
};

static void on_request(struct sess *s, const char *msg, size_t total)
{
    struct wire_auth auth;

    if (wire_read_auth(msg, total, &auth) == RC_OK) {
        s->login->proof_asked |= auth.method != WIRE_AUTH_OK;
        for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
            if (methods[i].method == auth.method) {
                methods[i].take(s, &auth);
                return;
            }
        }
    }
    refuse(s,
           "segue speaks SCRAM-SHA-256, md5 and cleartext; the others work with "
           "auth=pass-through",
           "it asks for an authentication that segue does not know");
}

static void pass(struct sess *s, const char *msg, size_t total)
{
    s->login->heard = true;
    sess_send(s, &s->client, msg, total);
}

size_t sess_enter_server(struct sess *s, const char *data, size_t len)
{
    struct wire_frame frame;
    size_t pos = 0;

    while (pos < len && s->state == SESS_ENTERING) {
        enum rc rc = wire_frame_read(data + pos, len - pos, &frame);

        if (rc == RC_AGAIN)
            break;
        if (rc == RC_ERR || frame.total > MESSAGE_BYTES_MAX) {
            refuse(s, "Is it a PostgreSQL server?", "it sent an invalid message");
            break;
        }
        if (len - pos < frame.total)
            break;
        if (frame.type == 'E') {
            sess_login_denied(s, data + pos, frame.total);
            return len;
        }
        if (frame.type == 'R')
            on_request(s, data + pos, frame.total);
        else if (frame.type != 'N' && frame.type != 'v')
            refuse(s, "Is it a PostgreSQL server?", "it sent an unexpected message");
        else if (frame.type == 'N' || s->purpose == SESS_FOR_RELAY) /* the console says its own */
            pass(s, data + pos, frame.total);
        if (s->state == SESS_ENTERING) {
            s->login->answered = true;
            pos += frame.total;
        }
    }
    return s->state == SESS_ENTERING || s->state == SESS_CHECKING || s->state == SESS_WELCOME ? pos
                                                                                              : len;
}
