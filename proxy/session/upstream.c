/*
 * The upstream connection of a session: addresses tried one after the other until one accepts. Not
 * here: what is said over it (login.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "segue/wire/startup.h"
#include "worker.h"

static void unreachable(struct sess *s, const char *why)
{
    const struct sess_host *host = &s->worker->plane->options.upstream.hosts[0];
    struct err err = {0};

    net_resolver_failed(s->worker->plane->resolver);
    err_set(&err, "57P03", "cannot connect to the upstream PostgreSQL at \"%s\", port %s: %s",
            host->name, host->port, why);
    err_hint(&err, "Is the database up, and is the option upstream of segue right?");
    sess_fail(s, &err);
}

/* Tries the addresses that are left; `why` is what went wrong with the one before. */
static void connect_next(struct sess *s, const char *why)
{
    const struct sess_options *o = sess_limits(s);

    while (s->tried < s->nupstream) {
        int64_t by_us = s->worker->now_us + (int64_t)o->connect_timeout_ms * 1000;
        int fd;
        enum rc rc = net_connect(&s->upstream[s->tried++], &fd);

        if (rc == RC_ERR) {
            why = strerror(errno);
            continue;
        }
        net_tune(fd, o->keepalive_s, o->user_timeout_ms);
        sess_leg_init(s, &s->server, fd);
        if (rc == RC_OK) {
            sess_login_begin(s);
        } else {
            sess_deadline(s, by_us < s->login_by_us ? by_us : s->login_by_us);
            sess_flow(s);
        }
        return;
    }
    unreachable(s, why);
}

void sess_connect(struct sess *s, enum sess_purpose purpose)
{
    struct sess_plane *plane = s->worker->plane;
    struct buf packet = {0};

    sess_move(s, SESS_CONNECTING);
    s->purpose = purpose;
    if (purpose == SESS_FOR_LOGIN) {
        wire_startup_redirect(&packet, s->startup.data, s->startup.len,
                              plane->console->login_database(plane->console_ctx));
        buf_fini(&s->startup);
        s->startup = packet;
    }
    s->upstream = mem_calloc(NET_ADDRESSES_MAX, sizeof(*s->upstream));
    s->nupstream = net_resolver_get(plane->resolver, s->upstream);
    s->tried = 0;
    connect_next(s, "the host name does not resolve");
}

void sess_connected(struct sess *s)
{
    int why = net_connect_check(s->server.stream.fd);

    if (why == 0) {
        sess_login_begin(s);
        return;
    }
    sess_leg_fini(&s->server);
    connect_next(s, strerror(why));
}

static void forget(struct sess *s)
{
    sess_leg_fini(&s->server);
    if (s->state != SESS_CONNECTING)
        sess_move(s, SESS_CONNECTING);
}

void sess_upstream_next(struct sess *s, const char *why)
{
    forget(s);
    connect_next(s, why);
}

void sess_upstream_again(struct sess *s)
{
    forget(s);
    s->tried--;
    connect_next(s, "");
}

void sess_connect_timeout(struct sess *s)
{
    sess_leg_fini(&s->server);
    if (s->worker->now_us >= s->login_by_us)
        unreachable(s, "timeout");
    else
        connect_next(s, "timeout");
}
