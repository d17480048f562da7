/* Observations: counters, latency, sessions, who uses which names. Read from any thread. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/clock.h"
#include "segue/net/tls.h"
#include "segue/session/show.h"
#include "segue/wire/read.h"
#include "worker.h"

void sess_plane_latency(struct sess_plane *plane, struct hist_copy *out)
{
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < plane->nworkers; i++)
        for (size_t class = 0; class < SESS_CLASSES; class ++)
            hist_read(&plane->workers[i]->counters.latency[class], out);
}

/* ---- usage ---- */

static void note(struct sess *s, struct sess_use_key *key, uint64_t tables,
                 const struct sql_rewrite *seen, unsigned times, const char *text, size_t len)
{
    struct sess_worker *w = s->worker;
    const struct sql_rules *rules = sess_rules(s);
    size_t n = sql_rules_tables(rules);

    tables &= n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX; /* SQL_TOUCH_ALL: of those there are */
    for (; tables; tables &= tables - 1) {
        struct sess_use *use;

        key->table = sql_rules_tag(rules, __builtin_ctzll(tables));
        use = sess_usage_of(w->usage, key);
        sess_use_count(use, times, w->now_us / 1000, text, len);
        if (key->kind == SESS_USE_DOUBT)
            snprintf(use->why, sizeof(use->why), "%s", sql_doubt_text(seen->doubt));
    }
}

/* By name, or by what a session that has said that it is old takes for the old columns in their
 * order: with them goes what its stars show, and where its values without a list go. */
static uint64_t old_tables(const struct sess *s, const struct sql_rewrite *seen)
{
    uint64_t unnamed = s->version.side == SQL_SIDE_OLD ? seen->stars | seen->positional : 0;

    return seen->verdict.old_names | unnamed;
}

void sess_usage_note(struct sess *s, const struct sql_rewrite *seen, unsigned times,
                     const char *text, size_t len)
{
    const struct sql_verdict *v = &seen->verdict;
    const uint64_t old = old_tables(s, seen);
    /* EXECUTE uses what one of the session's PREPAREs has named: which one is not looked for */
    const uint64_t tables[SESS_USES] = {
        [SESS_USE_OLD] = old | (v->executes ? s->prepared_old : 0),
        [SESS_USE_NEW] = v->new_names | (v->executes ? s->prepared_new : 0),
        [SESS_USE_STAR] = seen->stars,
        [SESS_USE_POSITIONAL] = seen->positional,
        [SESS_USE_DOUBT] = seen->doubt == SQL_DOUBT_NONE ? 0 : v->touches,
    };
    struct sess_use_key key = {
        .user = s->user, .application = s->application, .address = s->address};
    struct sess_worker *w = s->worker;
    uint64_t gone;

    s->prepared_old |= v->prepares ? old : 0;
    s->prepared_new |= v->prepares ? v->new_names : 0;
    if (!(tables[SESS_USE_OLD] | tables[SESS_USE_NEW] | tables[SESS_USE_STAR] |
          tables[SESS_USE_POSITIONAL] | tables[SESS_USE_DOUBT]))
        return;
    pthread_mutex_lock(&w->usage_lock); /* the engine's, for the moment of an exchange */
    gone = sess_usage_gone(w->usage);
    for (key.kind = 0; key.kind < SESS_USES; key.kind++)
        note(s, &key, tables[key.kind], seen, times, text, len);
    COUNT(w->counters.usage_gone, sess_usage_gone(w->usage) - gone);
    pthread_mutex_unlock(&w->usage_lock);
}

void sess_plane_usage_take(struct sess_plane *plane,
                           void (*each)(void *ctx, const struct sess_use *use), void *ctx)
{
    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker *w = plane->workers[i];
        struct sess_usage *empty = sess_usage_new(plane->options.usage_entries_max), *taken;

        pthread_mutex_lock(&w->usage_lock);
        taken = w->usage;
        w->usage = empty;
        pthread_mutex_unlock(&w->usage_lock);
        for (const struct sess_use *use = sess_usage_next(taken, NULL); use;
             use = sess_usage_next(taken, use))
            each(ctx, use);
        sess_usage_free(taken);
    }
}

/* ---- sessions ---- */

void sess_report_bytes(struct sess *s)
{
    size_t bytes = sizeof(*s) + s->client.in.cap + s->client.out.cap + s->server.in.cap +
                   s->server.out.cap + s->startup.cap + sess_statements_bytes(s->statements) +
                   sess_namings_bytes(s->namings) + s->failed.cap +
                   (s->unnamed ? sess_statement_bytes(s->unnamed) : 0) +
                   sess_pipeline_bytes(s->pipeline);

    if (bytes != READ(s->bytes))
        atomic_store_explicit(&s->bytes, bytes, memory_order_relaxed);
}

void sess_report_tls(struct sess *s, struct sess_leg *leg, bool good)
{
    bool client = leg == &s->client;
    struct sess_worker_counters *all = &s->worker->counters;
    struct sess_tls_counters *c = client ? &all->tls_client : &all->tls_server;
    struct net_tls_info info;

    if (!good) {
        COUNT(c->failed, 1);
        return;
    }
    net_tls_info(&leg->stream, &info);
    COUNT(c->done, 1);
    COUNT(c->resumed, info.resumed);
    pthread_mutex_lock(&s->worker->registry_lock);
    snprintf(client ? s->tls_client : s->tls_server, sizeof(s->tls_client), "%s %s", info.version,
             info.cipher);
    pthread_mutex_unlock(&s->worker->registry_lock);
}

size_t sess_worker_bytes(struct sess_worker *w)
{
    size_t bytes = 0;

    pthread_mutex_lock(&w->registry_lock);
    for (struct sess *s = w->sessions; s; s = s->next)
        bytes += READ(s->bytes);
    pthread_mutex_unlock(&w->registry_lock);
    return bytes;
}

size_t sess_plane_backends(struct sess_plane *plane, int32_t *pids, size_t max)
{
    size_t n = 0;

    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker *w = plane->workers[i];

        pthread_mutex_lock(&w->registry_lock);
        for (struct sess *s = w->sessions; s && n < max; s = s->next)
            if (READ(s->backend_pid) && !READ(s->on_standby))
                pids[n++] = READ(s->backend_pid);
        pthread_mutex_unlock(&w->registry_lock);
    }
    return n;
}

/* Its first bytes: more of a secret is not kept. Never 0. */
static uint64_t mark_of(const struct wire_key *key)
{
    uint64_t mark = 0;

    memcpy(&mark, key->key, key->key_len < sizeof(mark) ? key->key_len : sizeof(mark));
    return mark ? mark : 1;
}

void sess_report_key(struct sess *s, const struct wire_key *key)
{
    pthread_mutex_lock(&s->worker->registry_lock);
    s->key_mark = mark_of(key);
    pthread_mutex_unlock(&s->worker->registry_lock);
    atomic_store_explicit(&s->backend_pid, key->pid, memory_order_relaxed);
}

bool sess_plane_keyed(struct sess_plane *plane, const struct wire_key *key, struct sess_keyed *out)
{
    uint64_t mark = mark_of(key);
    bool found = false;

    for (unsigned i = 0; i < plane->nworkers && !found; i++) {
        struct sess_worker *w = plane->workers[i];

        pthread_mutex_lock(&w->registry_lock);
        for (struct sess *s = w->sessions; s && !found; s = s->next) {
            if (s->key_mark != mark || READ(s->backend_pid) != key->pid)
                continue;
            found = true;
            *out = (struct sess_keyed){.address = s->server_address,
                                       .host = s->server_host,
                                       .held = READ(s->held_us) != 0,
                                       .worker = w,
                                       .id = s->id};
        }
        pthread_mutex_unlock(&w->registry_lock);
    }
    return found;
}

bool sess_plane_leads_to(struct sess_plane *plane, const char *name, const char *port,
                         const char *address)
{
    return sess_hosts_lead_to(plane->hosts, name, port, address);
}

json_t *sess_show_upstreams(struct sess_plane *plane)
{
    return sess_hosts_show(plane->hosts);
}

const char *const sess_shown_names[SHOWN_COUNT] = {
    [SHOWN_STARTUP] = "startup", [SHOWN_IDLE] = "idle",
    [SHOWN_ACTIVE] = "active",   [SHOWN_TRANSACTION] = "transaction",
    [SHOWN_BEHIND] = "behind",   [SHOWN_HELD] = "held",
    [SHOWN_COPY] = "copy",       [SHOWN_CONSOLE] = "console",
    [SHOWN_CLOSING] = "closing",
};

/* The registry lock is held. */
static void tell_carried(const struct sess *s, struct sess_carried *out)
{
    int64_t since_us = READ(s->since_us);

    snprintf(out->address, sizeof(out->address), "%s", s->address);
    snprintf(out->user, sizeof(out->user), "%s", s->user);
    snprintf(out->application, sizeof(out->application), "%s", s->application);
    net_address_text(&s->server_address, out->upstream);
    out->pid = READ(s->backend_pid);
    out->state = sess_shown_names[READ(s->shown)];
    out->transaction_s = since_us ? (double)(clock_us() - since_us) / 1e6 : -1;
}

bool sess_plane_carried(struct sess_plane *plane, int32_t pid, struct sess_carried *out)
{
    bool found = false;

    for (unsigned i = 0; i < plane->nworkers && !found; i++) {
        struct sess_worker *w = plane->workers[i];

        pthread_mutex_lock(&w->registry_lock);
        for (struct sess *s = w->sessions; s && !found; s = s->next) {
            if (READ(s->backend_pid) != pid || READ(s->on_standby))
                continue;
            found = true;
            tell_carried(s, out);
        }
        pthread_mutex_unlock(&w->registry_lock);
    }
    return found;
}

size_t sess_gate_waiting_on_standbys(struct sess_plane *plane, uint64_t mask,
                                     struct sess_carried *out, size_t max)
{
    size_t n = 0;

    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker *w = plane->workers[i];

        pthread_mutex_lock(&w->registry_lock);
        for (struct sess *s = w->sessions; s && n < max; s = s->next)
            if (READ(s->on_standby) && (READ(s->touched) & mask))
                tell_carried(s, &out[n++]);
        pthread_mutex_unlock(&w->registry_lock);
    }
    return n;
}

static json_t *seconds(int64_t since_us, int64_t now_us)
{
    return since_us ? json_real((double)((now_us - since_us) / 1000) / 1000.0) : json_null();
}

/* Bits are those of the worker's order: of another one they mean other tables. */
static json_t *touches(const struct sess *s, const struct sess_order *order)
{
    uint64_t mask = READ(s->touched);
    json_t *names;
    char *called;

    if (mask == 0 || mask == SQL_TOUCH_ALL)
        return json_string(mask ? "all" : "");
    if (atomic_load_explicit(&s->worker->seen, memory_order_acquire) != order->number)
        return json_string("?");
    called = sql_rules_called(order->rules, mask);
    names = json_string(called);
    free(called);
    return names;
}

/* The one that workers have, or come to; the caller's to unref. */
static struct sess_order *order_now(struct sess_plane *plane)
{
    struct sess_order *order;

    pthread_mutex_lock(&plane->lock);
    order = plane->order;
    atomic_fetch_add_explicit(&order->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&plane->lock);
    return order;
}

/* Names come from a client and need not be UTF-8. */
static json_t *name(const char *text)
{
    json_t *value = json_string(text);

    return value ? value : json_string("(not UTF-8)");
}

/* ---- listeners ---- */

/* A listening TCP socket tells its queue where others tell of segments (kernel: tcp_get_info). */
static void put_backlog(json_t *row, const struct sess_listener *l)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    bool known = l->address.sa.ss_family != AF_UNIX &&
                 getsockopt(l->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0;

    json_array_append_new(row, known ? json_integer(info.tcpi_unacked) : json_null());
    json_array_append_new(row, known ? json_integer(info.tcpi_sacked) : json_null());
}

json_t *sess_show_listeners(struct sess_plane *plane)
{
    json_t *rows = json_array();
    char address[NET_ADDRESS_TEXT];

    pthread_mutex_lock(&plane->lock); /* of the links */
    for (unsigned i = 0; i < plane->nworkers; i++) {
        for (const struct sess_listener *l = plane->workers[i]->listeners; l; l = l->next) {
            json_t *row;

            net_address_text(&l->address, address);
            row = json_pack("[s, i, i, b, b, I]", address, (int)i, l->fd, (int)l->adopted,
                            (int)l->retiring, (json_int_t)READ(l->accepted));
            put_backlog(row, l);
            json_array_append_new(rows, row);
        }
    }
    pthread_mutex_unlock(&plane->lock);
    return json_pack("{s: [s, s, s, s, s, s, s, s], s: o}", "columns", "address", "worker", "fd",
                     "adopted", "retiring", "accepted", "backlog_now", "backlog_max", "rows", rows);
}

/* ---- the rows of SHOW SESSIONS ---- */

/* What the session waits for, by what it is doing; "": for nothing but time. */
static const char *const waits[SHOWN_COUNT] = {
    [SHOWN_STARTUP] = "login",      [SHOWN_IDLE] = "client",    [SHOWN_ACTIVE] = "server",
    [SHOWN_TRANSACTION] = "client", [SHOWN_BEHIND] = "standby", [SHOWN_HELD] = "gate",
    [SHOWN_COPY] = "peer",          [SHOWN_CONSOLE] = "client", [SHOWN_CLOSING] = "client",
};

static json_t *protocol(uint32_t version)
{
    char text[16];

    if (!version)
        return json_null();
    snprintf(text, sizeof(text), "%u.%u", version >> 16, version & 0xffff);
    return json_string(text);
}

static json_t *session_row(struct sess *s, const struct sess_order *order, int64_t now)
{
    char peer[NET_ADDRESS_TEXT], server[NET_ADDRESS_TEXT] = "";
    int64_t held = READ(s->held_us), idle = READ(s->idle_us);
    int32_t pid = READ(s->backend_pid);
    enum sess_shown shown = (enum sess_shown)READ(s->shown);
    bool looked_at = sess_is_client(shown) && !s->foreign;
    bool resting = shown == SHOWN_IDLE || shown == SHOWN_TRANSACTION || shown == SHOWN_CONSOLE;

    net_address_text(&s->peer, peer);
    if (s->server_address.len)
        net_address_text(&s->server_address, server);
    json_t *const values[] = {
        json_integer((json_int_t)s->id),
        json_integer(s->worker->number),
        name(s->user),
        name(s->database),
        name(s->application),
        name(peer),
        pid ? json_integer(pid) : json_null(),
        json_string(sess_shown_names[shown]),
        seconds(READ(s->since_us), now),
        touches(s, order),
        json_integer(held ? (now - held) / 1000 : 0),
        json_integer((json_int_t)READ(s->client.bytes)),
        json_integer((json_int_t)READ(s->server.bytes)),
        seconds(s->connected_us, now),
        json_string(waits[shown]),
        seconds(resting ? idle : 0, now),
        json_integer((json_int_t)READ(s->bytes)),
        protocol(s->protocol),
        json_string(server),
        json_string(s->tls_client),
        json_string(s->tls_server),
        looked_at ? json_string(sess_side_name(s->version.side)) : json_null(),
        looked_at ? json_boolean(s->version.rewrites) : json_null(),
    };
    json_t *row = json_array();

    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        json_array_append_new(row, values[i]);
    return row;
}

json_t *sess_show_sessions(struct sess_plane *plane)
{
    static const char *const columns[] = {
        "id",         "worker",       "user",      "database",         "application_name",
        "client",     "backend_pid",  "state",     "in_transaction_s", "touches",
        "held_ms",    "bytes_in",     "bytes_out", "connected_s",      "waits_for",
        "idle_s",     "memory_bytes", "protocol",  "upstream",         "tls_client",
        "tls_server", "schema",       "rewrite",
    };
    json_t *names = json_array(), *rows = json_array();
    struct sess_order *order = order_now(plane);
    int64_t now = clock_us();

    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        json_array_append_new(names, json_string(columns[i]));
    for (unsigned i = 0; i < plane->nworkers; i++) {
        struct sess_worker *w = plane->workers[i];

        pthread_mutex_lock(&w->registry_lock);
        for (struct sess *s = w->sessions; s; s = s->next)
            json_array_append_new(rows, session_row(s, order, now));
        pthread_mutex_unlock(&w->registry_lock);
    }
    sess_order_unref(order);
    return json_pack("{s:o,s:o}", "columns", names, "rows", rows);
}
