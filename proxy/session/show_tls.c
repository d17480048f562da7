/* SHOW TLS: what is offered to clients and asked of the upstream, and what came of it. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "segue/net/tls.h"
#include "segue/session/show.h"
#include "worker.h"

static const char *const modes[] = {
    [SESS_TLS_DISABLE] = "disable",     [SESS_TLS_ALLOW] = "allow",
    [SESS_TLS_PREFER] = "prefer",       [SESS_TLS_REQUIRE] = "require",
    [SESS_TLS_VERIFY_CA] = "verify-ca", [SESS_TLS_VERIFY_FULL] = "verify-full",
};

static json_t *when(int64_t s)
{
    time_t at = (time_t)s;
    struct tm tm;
    char text[32];

    gmtime_r(&at, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &tm);
    return json_string(text);
}

/* Subject, issuer, not before, not after, fingerprint; nulls without a certificate. Names come from
 * files and need not be UTF-8. */
static void put_certificate(json_t *row, const struct net_tls_context *context)
{
    struct net_tls_cert cert = {0};

    if (context)
        net_tls_context_cert(context, &cert);
    if (!cert.fingerprint[0]) {
        for (int i = 0; i < 5; i++)
            json_array_append_new(row, json_null());
        return;
    }
    json_array_append_new(row, json_string(cert.subject));
    json_array_append_new(row, json_string(cert.issuer));
    json_array_append_new(row, when(cert.not_before_s));
    json_array_append_new(row, when(cert.not_after_s));
    json_array_append_new(row, json_string(cert.fingerprint));
}

static json_t *leg_row(struct sess_plane *plane, bool client, const struct sess_limits *limits)
{
    enum sess_tls_mode mode =
        client ? limits->options.client_tls.mode : plane->options.upstream.tls;
    const struct net_tls_context *context = client ? limits->accept : limits->connect;
    json_t *row =
        json_pack("[s, s, b]", client ? "client" : "upstream", modes[mode], (int)(context != NULL));
    uint64_t done = 0, resumed = 0, failed = 0;

    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker_counters *all = &plane->workers[i]->counters;
        struct sess_tls_counters *c = client ? &all->tls_client : &all->tls_server;

        done += READ(c->done);
        resumed += READ(c->resumed);
        failed += READ(c->failed);
    }
    put_certificate(row, context);
    json_array_append_new(row, json_integer((json_int_t)done));
    json_array_append_new(row, json_integer((json_int_t)resumed));
    json_array_append_new(row, json_integer((json_int_t)failed));
    return row;
}

json_t *sess_show_tls(struct sess_plane *plane)
{
    struct sess_limits *limits;
    json_t *rows = json_array();

    pthread_mutex_lock(&plane->lock);
    limits = sess_limits_ref(plane->limits);
    pthread_mutex_unlock(&plane->lock);
    json_array_append_new(rows, leg_row(plane, true, limits));
    json_array_append_new(rows, leg_row(plane, false, limits));
    sess_limits_unref(limits);
    return json_pack("{s: [s, s, s, s, s, s, s, s, s, s, s], s: o}", "columns", "leg", "mode",
                     "active", "subject", "issuer", "not_before", "not_after", "fingerprint",
                     "handshakes", "resumed", "failed", "rows", rows);
}
