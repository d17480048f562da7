/*
 * TLS on both legs: who asks for it, the handshakes, and what becomes of a leg without it.
 *
 * Bytes that stand behind a request or its answer were sent before their sender could know what
 * the other side said: someone injects plain text (CVE-2021-23214, CVE-2021-23222).
 */
#include <string.h>

#include "login.h"
#include "segue/base/log.h"
#include "segue/wire/build.h"

/* ---- the client's leg ---- */

static void begin_client(struct sess *s, const char *peeked, size_t len)
{
    struct net_stream *stream = &s->client.stream;

    net_stream_tls_accept(stream, stream->fd, s->login->limits->accept, peeked, len);
    s->login->wants_write = false;
    sess_move(s, SESS_CLIENT_TLS);
}

static bool offered(const struct sess *s)
{
    return s->login->limits->accept && !sess_is_local(s);
}

/* In the server's own words. */
static void refuse_bytes_behind(struct sess *s, bool ssl)
{
    struct err err = {0};

    err_set(&err, "08P01", "received unencrypted data after %s request",
            ssl ? "SSL" : "GSSAPI encryption");
    err_detail(&err, "This could be either a client-software bug or evidence of an attempted "
                     "man-in-the-middle attack.");
    sess_fail(s, &err);
}

void sess_client_tls_answer(struct sess *s, bool ssl, bool bytes_behind)
{
    if (bytes_behind)
        sess_log(s, LOG_WARNING, NULL, "bytes behind a request for encryption: closed");
    if (!ssl || !offered(s)) {
        sess_send(s, &s->client, "N", 1);
        if (bytes_behind)
            refuse_bytes_behind(s, ssl);
        return;
    }
    if (bytes_behind) { /* who expects a handshake cannot be told */
        sess_close(s);
        return;
    }
    sess_send(s, &s->client, "S", 1);
    if (s->state == SESS_GONE)
        return;
    if (s->client.out.len) /* a socket that never took a byte has no room for one */
        sess_close(s);
    else
        begin_client(s, NULL, 0);
}

void sess_client_tls_direct(struct sess *s, const char *data, size_t len)
{
    if (!offered(s)) {
        sess_log(s, LOG_INFO, NULL, "TLS at once, which is not offered here: closed");
        sess_close(s);
        return;
    }
    s->login->direct = true;
    begin_client(s, data, len);
    sess_client_tls_step(s);
}

void sess_client_tls_step(struct sess *s)
{
    struct err err = {0};
    struct net_tls_info info;
    enum rc rc = net_tls_handshake(&s->client.stream, &s->login->wants_write, &err);

    if (rc != RC_AGAIN)
        sess_report_tls(s, &s->client, rc == RC_OK);
    if (rc == RC_ERR) {
        sess_log(s, LOG_INFO, &err, "TLS with the client: %s", err.text);
        sess_close(s);
        return;
    }
    if (rc == RC_AGAIN) {
        sess_flow(s);
        return;
    }
    net_tls_info(&s->client.stream, &info);
    if (s->login->direct && strcmp(info.alpn, "postgresql") != 0) {
        sess_log(s, LOG_INFO, NULL,
                 "TLS at once without the protocol \"postgresql\" (ALPN): closed");
        sess_close(s);
        return;
    }
    if (s->worker->draining) {
        sess_close(s);
        return;
    }
    sess_move(s, SESS_STARTUP);
    sess_flow(s);
    sess_leg_kick(&s->client);
}

/* ---- the server's leg ---- */

static const struct sess_upstream_options *upstream_of(const struct sess *s)
{
    return &s->worker->plane->options.upstream;
}

static bool is_retry(const struct sess *s, enum sess_retry retry)
{
    return s->login->retry == retry && s->login->retry_host == s->host;
}

bool sess_upstream_is_local(const struct sess *s)
{
    const struct sess_host *host = &upstream_of(s)->hosts[s->host];
    const char *name = host->addr ? host->addr : host->name;

    return name[0] == '/' || name[0] == '@';
}

static bool wants_tls(const struct sess *s)
{
    if (sess_upstream_is_local(s) || !s->login->limits->connect)
        return false;
    switch (upstream_of(s)->tls) {
    case SESS_TLS_DISABLE:
        return false;
    case SESS_TLS_ALLOW:
        return is_retry(s, SESS_RETRY_TLS);
    case SESS_TLS_PREFER:
        return !is_retry(s, SESS_RETRY_PLAIN);
    default:
        return true;
    }
}

static void attempt_deadline(struct sess *s)
{
    int64_t by_us = s->worker->now_us + (int64_t)sess_limits(s)->connect_timeout_ms * 1000;

    sess_deadline(s, by_us < s->login_by_us ? by_us : s->login_by_us);
}

static void begin_server(struct sess *s)
{
    const struct sess_upstream_options *o = upstream_of(s);
    struct net_stream *stream = &s->server.stream;

    net_stream_tls_connect(stream, stream->fd, s->login->limits->connect, o->hosts[s->host].name,
                           o->tls_direct);
    s->login->wants_write = false;
    sess_move(s, SESS_SERVER_TLS);
    sess_server_tls_step(s);
}

void sess_login_begin(struct sess *s)
{
    struct buf out = {0};

    if (!wants_tls(s)) {
        sess_login_enter(s);
        return;
    }
    attempt_deadline(s);
    if (upstream_of(s)->tls_direct) {
        begin_server(s);
        return;
    }
    sess_move(s, SESS_TLS_ASK);
    wire_put_ssl_request(&out);
    sess_send(s, &s->server, out.data, out.len);
    buf_fini(&out);
}

size_t sess_server_tls_answered(struct sess *s, const char *data, size_t len)
{
    if (data[0] == 'E') { /* it cannot fork; in words of nobody who was authenticated: not shown */
        sess_upstream_busy(s, "server sent an error response during SSL exchange");
    } else if (len > 1) {
        sess_log(s, LOG_WARNING, NULL, "bytes behind the upstream's answer to SSLRequest: closed");
        sess_upstream_next(s, "received unencrypted data after SSL response");
    } else if (data[0] == 'S') {
        begin_server(s);
    } else if (data[0] == 'N' && upstream_of(s)->tls < SESS_TLS_REQUIRE) {
        sess_login_enter(s);
    } else if (data[0] == 'N') {
        sess_upstream_next(s, "server does not support SSL, but SSL was required");
    } else {
        sess_upstream_next(s, "received invalid response to SSL negotiation");
    }
    return len;
}

void sess_server_tls_step(struct sess *s)
{
    struct err err = {0};
    enum rc rc = net_tls_handshake(&s->server.stream, &s->login->wants_write, &err);

    if (rc == RC_AGAIN) {
        sess_flow(s);
        return;
    }
    sess_report_tls(s, &s->server, rc == RC_OK);
    if (rc == RC_OK) {
        sess_login_enter(s);
        if (s->state != SESS_GONE)
            sess_leg_kick(&s->server);
    } else if (upstream_of(s)->tls == SESS_TLS_PREFER) {
        sess_log(s, LOG_DEBUG, &err, "TLS with the upstream: %s; again without", err.text);
        s->login->retry = SESS_RETRY_PLAIN;
        s->login->retry_host = s->host;
        sess_upstream_again(s);
    } else if (net_tls_lost(&s->server.stream)) {
        sess_upstream_lost(s);
    } else {
        sess_log(s, LOG_WARNING, &err, "TLS with the upstream: %s", err.text);
        sess_upstream_next(s, err.text);
    }
}
