/*
 * How a client logs in: by which mode, with which encryption and certificate, what is passed
 * through, and what becomes of a failure.
 *
 * Pass-through carries the messages between client and upstream. It looks at two of them, because
 * SCRAM's channel binding names the certificate of the TLS connection it runs in, and there are two
 * such connections: the upstream's offer of SCRAM-SHA-256-PLUS is not shown to the client, and a
 * client that believes none was made ("y") is told why it cannot come in this way; the upstream
 * would only say that somebody has tampered with the offer. Not here: proving the client to segue
 * (prove.c), segue's own login (enter.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "login.h"
#include "segue/base/mem.h"
#include "segue/wire/build.h"
#include "segue/wire/read.h"
#include "segue/wire/startup.h"

#define DENIAL_BYTES_MAX 30000 /* of an ErrorResponse that is kept for later, as libpq's limit */

struct sess_login *sess_login_new(struct sess *s)
{
    struct sess_login *l = mem_calloc(1, sizeof(*l));

    l->limits = sess_limits_ref(s->worker->limits);
    return l;
}

void sess_login_end(struct sess *s)
{
    struct sess_login *l = s->login;

    if (!l)
        return;
    auth_scram_server_free(l->prover);
    auth_scram_client_free(l->scram);
    sess_keying_drop(l->job);
    if (l->password)
        auth_wipe(l->password, strlen(l->password));
    free(l->password);
    auth_wipe(&l->keys, sizeof(l->keys));
    buf_fini(&l->answer);
    sess_limits_unref(l->limits);
    free(l);
    s->login = NULL;
}

const char *sess_login_user(const struct sess *s)
{
    struct wire_startup st;
    struct err err = {0};

    /* it was read before */
    if (wire_startup_read(s->startup.data, s->startup.len, &st, &err) != RC_OK)
        return "";
    snprintf(s->login->user_name, sizeof(s->login->user_name), "%s", st.user);
    return s->login->user_name;
}

/* ---- may this client come this way? ---- */

static enum sess_auth_mode mode_of(const struct sess *s)
{
    return s->login->limits->options.auth;
}

/* The user that the certificate's name may be: by the map, or by the name itself where the map is
 * silent about it. Names of certificates have a "=" more often than those of users: a row is
 * divided by its last one, so that it has one meaning. */
static bool names_user(const struct sess_limits *limits, const char *cn, const char *user)
{
    size_t len = strlen(cn);
    bool mapped = false;

    if (!len)
        return false;
    for (char **row = limits->cert_map; *row; row++) {
        const char *sign = strrchr(*row, '=');

        if (!sign || (size_t)(sign - *row) != len || memcmp(*row, cn, len) != 0)
            continue;
        mapped = true;
        if (strcmp(sign + 1, user) == 0)
            return true;
    }
    return !mapped && strcmp(cn, user) == 0;
}

static enum rc check_certificate(struct sess *s, const char *user, struct err *err)
{
    struct net_tls_info info;
    bool must_name = mode_of(s) == SESS_AUTH_CERT ||
                     s->login->limits->options.client_tls.mode == SESS_TLS_VERIFY_FULL;

    net_tls_info(&s->client.stream, &info);
    if (!info.peer_cert) {
        err_set(err, "28000", "connection requires a valid client certificate");
        err_hint(err, "connect with sslcert and sslkey: a certificate that client_tls_ca_file of "
                      "segue vouches for, and its key");
    } else if (must_name && !names_user(s->login->limits, info.peer_cn, user)) {
        err_set(err, "28000", "certificate authentication failed for user \"%s\"", user);
        err_hint(err, "the certificate's common name must be the user's, or option cert_map of "
                      "segue must say whose it is");
    }
    return err_is_set(err) ? RC_ERR : RC_OK;
}

static enum rc check_leg(struct sess *s, const char *user, struct err *err)
{
    enum sess_tls_mode tls = s->login->limits->options.client_tls.mode;
    bool inside = net_stream_is_tls(&s->client.stream);
    const char *how = sess_is_local(s) ? "a Unix socket has no TLS: connect over TCP" : "connect";

    if (!inside && mode_of(s) == SESS_AUTH_PASSWORD) {
        err_set(err, "28000", "segue takes passwords inside TLS only");
        err_hint(err, "%s with sslmode=require%s", how,
                 sess_is_local(s) ? ", or let segue have another auth, such as scram" : "");
    } else if (!inside && mode_of(s) == SESS_AUTH_CERT) {
        err_set(err, "28000", "connection requires a valid client certificate");
        err_hint(err, "%s with sslmode=require, sslcert and sslkey", how);
    } else if (!inside && !sess_is_local(s) && tls >= SESS_TLS_REQUIRE) {
        err_set(err, "28000", "segue refuses connections without TLS (option client_tls)");
        err_hint(err, "connect with sslmode=require");
    } else if (inside && (tls >= SESS_TLS_VERIFY_CA || mode_of(s) == SESS_AUTH_CERT)) {
        return check_certificate(s, user, err);
    }
    return err_is_set(err) ? RC_ERR : RC_OK;
}

/* ---- which way ---- */

static bool is_console(const struct sess *s)
{
    return s->purpose == SESS_FOR_LOGIN;
}

/* For whom a certificate has spoken: the list's password, where it has one. */
static void take_listed_secret(struct sess *s)
{
    struct sess_login *l = s->login;
    const struct auth_user *user =
        l->limits->users ? auth_users_find(l->limits->users, sess_login_user(s)) : NULL;

    if (!user || (user->kind != AUTH_SECRET_PASSWORD && user->kind != AUTH_SECRET_MD5))
        return;
    l->secret = user->kind == AUTH_SECRET_MD5 ? SESS_SECRET_MD5 : SESS_SECRET_PASSWORD;
    l->password = mem_strdup(user->text);
}

/* At once, unlike a failed login: nobody has guessed anything, and libpq's sslmode=prefer answers
 * such a refusal with a second attempt. */
static void turn_away(struct sess *s, const struct err *e)
{
    COUNT(s->worker->counters.refused, 1);
    sess_fail(s, e);
}

void sess_login_start(struct sess *s, enum sess_purpose purpose, bool trusted)
{
    struct err err = {0};

    s->purpose = purpose;
    if (check_leg(s, sess_login_user(s), &err) != RC_OK) {
        turn_away(s, &err);
        return;
    }
    switch (mode_of(s)) {
    case SESS_AUTH_PASS:
        if (trusted) {
            s->console.trusted = true;
            sess_console_enter(s);
            return;
        }
        if (s->worker->plane->options.upstream.channel_binding_required) {
            err_set(&err, "28000",
                    "the upstream's URL says channel_binding=require, which no client can keep "
                    "through segue");
            err_hint(&err, "set option auth of segue to scram or password, or take "
                           "channel_binding=require out of the URL");
            turn_away(s, &err);
            return;
        }
        sess_connect(s, purpose);
        break;
    case SESS_AUTH_SCRAM:
    case SESS_AUTH_PASSWORD:
        sess_prove_begin(s);
        break;
    case SESS_AUTH_CERT:
        take_listed_secret(s);
        sess_login_proven(s);
        break;
    }
}

/* The client has shown who it is, or given what the upstream will judge. */
void sess_login_proven(struct sess *s)
{
    if (is_console(s) && mode_of(s) != SESS_AUTH_PASSWORD)
        sess_console_enter(s);
    else
        sess_connect(s, s->purpose);
}

void sess_login_enter(struct sess *s)
{
    bool cancels = s->purpose == SESS_FOR_CANCEL;
    bool others = cancels || s->worker->plane->options.upstream.nhosts > 1;
    int64_t by_us = s->worker->now_us + (int64_t)sess_limits(s)->connect_timeout_ms * 1000;

    sess_move(s, cancels ? SESS_CANCELLING : SESS_ASKED);
    sess_deadline(s, others && by_us < s->login_by_us ? by_us : s->login_by_us);
    sess_send(s, &s->server, s->startup.data, s->startup.len);
}

void sess_login_answered(struct sess *s)
{
    sess_move(s, mode_of(s) == SESS_AUTH_PASS ? SESS_AUTH : SESS_ENTERING);
    sess_track_init(&s->track);
    sess_deadline(s, s->login_by_us);
}

/* pg_hba.conf sees segue where it means the client: its address, over a Unix socket its system
 * user, and its certificate. Where the client is on the same machine, the address says the same. */
static bool is_seen_as_segue(const struct sess *s)
{
    const char *cert = s->worker->plane->options.upstream.cert_file;

    return !net_address_is_loopback(&s->peer) || sess_upstream_is_local(s) ||
           (cert && *cert && net_stream_is_tls(&s->server.stream));
}

void sess_login_unasked(struct sess *s)
{
    struct sess_plane *plane = s->worker->plane;
    bool judges = mode_of(s) == SESS_AUTH_PASS || mode_of(s) == SESS_AUTH_PASSWORD;
    struct err err = {0};

    if (s->login->proof_asked || !judges || !is_seen_as_segue(s) ||
        atomic_exchange(&plane->said_unasked, true))
        return;
    err_hint(&err, "pg_hba.conf judges segue's address, system user and certificate, not the "
                   "client's: let it ask segue for passwords (scram-sha-256 in place of trust, "
                   "peer, ident, cert), or set option auth of segue to scram or cert");
    sess_log(s, LOG_WARNING, &err,
             "the upstream has let this client in without asking for a proof: so comes in whoever "
             "reaches segue, by any name that pg_hba.conf lets in (said once)");
}

void sess_login_to_console(struct sess *s)
{
    struct buf bye = {0};

    wire_put_terminate(&bye);
    sess_send(s, &s->server, bye.data, bye.len);
    buf_fini(&bye);
    sess_console_enter(s);
}

/* ---- failures ---- */

/* Takes `answer`. */
static void delay(struct sess *s, struct buf *answer)
{
    struct sess_worker *w = s->worker;
    int64_t base_us = (int64_t)s->login->limits->options.failed_login_delay_ms * 1000;

    s->login->answer = *answer;
    sess_upstream_left(s);
    sess_leg_fini(&s->server);
    sess_move(s, SESS_DELAYING);
    sess_deadline(s, w->now_us + sess_penalty(&w->penalties, &s->peer, base_us, w->now_us));
    if (!base_us)
        sess_login_answer(s);
}

void sess_login_refuse(struct sess *s, const struct err *e)
{
    struct err logged = *e;
    struct buf answer = {0};

    if (strncmp(e->sqlstate, "28", 2) != 0) {
        sess_fail(s, e);
        return;
    }
    err_hint(&logged, "%s", sess_prove_hint(s));
    sess_log_failed(s, &logged);
    wire_put_error(&answer, "FATAL", e);
    delay(s, &answer);
}

void sess_login_answer(struct sess *s)
{
    sess_send(s, &s->client, s->login->answer.data, s->login->answer.len);
    if (s->state != SESS_GONE)
        sess_finish(s);
}

/* libpq's allow and prefer: where the upstream refuses a connection by its kind (pg_hba.conf), the
 * other kind is tried. Only while the client has heard nothing. */
static bool try_otherwise(struct sess *s, const char *sqlstate)
{
    struct sess_login *l = s->login;
    enum sess_tls_mode mode = s->worker->plane->options.upstream.tls;
    bool inside = net_stream_is_tls(&s->server.stream);
    enum sess_retry retry = mode == SESS_TLS_ALLOW && !inside   ? SESS_RETRY_TLS
                            : mode == SESS_TLS_PREFER && inside ? SESS_RETRY_PLAIN
                                                                : SESS_RETRY_NONE;

    if (l->answered || retry == SESS_RETRY_NONE || strcmp(sqlstate, "28000") != 0 ||
        (l->retry != SESS_RETRY_NONE && l->retry_host == s->host) || !l->limits->connect)
        return false;
    l->retry = retry;
    l->retry_host = s->host;
    sess_upstream_again(s);
    return true;
}

void sess_login_afresh(struct sess *s)
{
    struct sess_login *l = s->login;

    auth_scram_client_free(l->scram);
    l->scram = NULL;
    sess_keying_drop(l->job);
    l->job = NULL;
    l->proof_asked = l->answered = l->heard = l->plus_offered = l->sasl_awaited = false;
    l->proof_awaited = l->token_awaited = l->refuses = false;
    l->plus_used = l->upstream_proven = false;
}

void sess_login_denied(struct sess *s, const char *msg, size_t total)
{
    struct wire_error error;
    struct buf answer = {0};

    if (wire_read_error(msg, total, &error) != RC_OK)
        error.sqlstate = "";
    if (try_otherwise(s, error.sqlstate))
        return;
    sess_log_server_refusal(s, msg, total);
    buf_append(&answer, msg, total);
    if (strncmp(error.sqlstate, "28", 2) == 0) {
        delay(s, &answer);
        return;
    }
    sess_send(s, &s->client, answer.data, answer.len);
    buf_fini(&answer);
    if (s->state != SESS_GONE)
        sess_finish(s);
}

/* ---- pass-through ---- */

static void no_binding(struct sess *s)
{
    struct err err = {0};

    err_set(&err, "28000", "SCRAM cannot pass through two TLS connections");
    err_hint(&err, "set option auth of segue to scram or password, or connect with "
                   "channel_binding=disable");
    turn_away(s, &err);
}

/* The list of mechanisms without the one that binds a channel which the client does not have. */
static void pass_mechanisms(struct sess *s, const struct wire_auth *auth)
{
    struct buf list = {0}, out = {0};
    const char *name;
    size_t at = 0;

    while ((name = wire_sasl_mechanism(auth, &at)) != NULL) {
        if (strcmp(name, AUTH_MECHANISM_PLUS) == 0)
            s->login->plus_offered = true;
        else
            buf_append(&list, name, strlen(name) + 1);
    }
    s->login->sasl_awaited = true;
    if (s->login->plus_offered && !list.len) {
        no_binding(s);
    } else {
        buf_append_u8(&list, 0);
        s->login->heard = true;
        wire_put_auth(&out, WIRE_AUTH_SASL, list.data, list.len);
        sess_send(s, &s->client, out.data, out.len);
    }
    buf_fini(&list);
    buf_fini(&out);
}

/* SASLInitialResponse: its first byte says whether the client thinks it could have bound. */
static bool may_pass(struct sess *s, const char *msg, size_t total)
{
    struct wire_sasl_first first;

    if (!s->login->sasl_awaited)
        return true;
    s->login->sasl_awaited = false;
    if (s->login->plus_offered && wire_read_sasl_first(msg, total, &first) == RC_OK && first.data &&
        first.len && first.data[0] == 'y') {
        no_binding(s);
        return false;
    }
    return true;
}

/* What else comes while the upstream waits for a proof is its to refuse, and it ends with that.
 * What comes before it is asked for, or behind it, is withheld until the login is over: who has not
 * shown who it is has its statements neither judged nor remembered, nor counted. */
static size_t take_other(struct sess *s, const char *data, size_t len)
{
    if (!s->login->proof_awaited || is_console(s))
        return 0;
    s->login->refuses = true;
    sess_send(s, &s->server, data, len);
    return len;
}

/* One message of the client, whole; 0: more bytes are needed, or it is not for now. */
static size_t take_proof(struct sess *s, const char *data, size_t len)
{
    struct wire_frame frame;
    struct err err = {0};
    enum rc rc;

    if (data[0] != 'p' || s->login->refuses)
        return take_other(s, data, len);
    if (!s->login->token_awaited)
        return 0;
    rc = wire_frame_read(data, len, &frame);
    if (rc == RC_AGAIN)
        return 0;
    if (rc == RC_ERR || frame.total > SESS_SECRET_BYTES_MAX) {
        err_set(&err, "08P01", "invalid length of an authentication message");
        sess_fail(s, &err);
        return len;
    }
    if (len < frame.total)
        return 0;
    s->login->proof_awaited = s->login->token_awaited = false;
    COUNT(s->worker->counters.from_client_messages[frame.type], 1);
    if (may_pass(s, data, frame.total))
        sess_send(s, &s->server, data, frame.total);
    return frame.total;
}

size_t sess_auth_client(struct sess *s, const char *data, size_t len)
{
    size_t pos = 0, used;

    do {
        used = take_proof(s, data + pos, len - pos);
        pos += used;
    } while (used && pos < len && s->state == SESS_AUTH);
    return pos;
}

/* Authentication... of the upstream, whole. True: it was dealt with here. */
static bool take_auth(struct sess *s, const char *msg, size_t total)
{
    struct wire_auth auth;

    if (wire_read_auth(msg, total, &auth) != RC_OK)
        return false;
    if (auth.method == WIRE_AUTH_OK) {
        sess_login_unasked(s);
        if (is_console(s)) {
            sess_login_to_console(s);
            return true;
        }
        sess_let_in(s);
        return false;
    }
    s->login->proof_asked = true;
    s->login->token_awaited = auth.method != WIRE_AUTH_SASL_FINAL;
    s->login->proof_awaited = s->login->token_awaited && auth.method != WIRE_AUTH_GSS_CONTINUE;
    if (auth.method != WIRE_AUTH_SASL)
        return false;
    pass_mechanisms(s, &auth);
    return true;
}

size_t sess_auth_server(struct sess *s, const char *data, size_t len)
{
    struct wire_frame frame;
    size_t pos = 0;

    while (pos < len && s->state == SESS_AUTH) {
        enum rc rc = wire_frame_read(data + pos, len - pos, &frame);

        if (rc == RC_AGAIN)
            break;
        if (rc == RC_ERR || frame.total > DENIAL_BYTES_MAX) {
            sess_finish(s);
            return len;
        }
        if (len - pos < frame.total)
            break;
        if (frame.type == 'E') {
            sess_login_denied(s, data + pos, frame.total);
            return len;
        }
        s->login->answered = true;
        if (frame.type == 'R' && take_auth(s, data + pos, frame.total)) {
            pos += frame.total;
        } else if (s->state == SESS_AUTH) {
            if (frame.type != 'v' || !is_console(s)) { /* the console has said what it speaks */
                s->login->heard = true;
                sess_send(s, &s->client, data + pos, frame.total);
            }
            pos += frame.total;
        }
    }
    if (s->state == SESS_AUTH && s->login->token_awaited && s->client.in.len)
        sess_resume(s); /* what it has sent before it was asked */
    return s->state == SESS_GONE || s->state == SESS_DELAYING || s->state == SESS_CLOSING ? len
                                                                                          : pos;
}
