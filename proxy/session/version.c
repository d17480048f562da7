#include "version.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "login.h"
#include "made.h"
#include "path.h"
#include "segue/wire/startup.h"
#include "worker.h"

#define SETTING "segue.schema"

/* Port of the socket the client has come in by; of a Unix socket, the end of its name. */
static unsigned port_of(const struct sess *s)
{
    struct net_address own = {.len = sizeof(own.sa)};
    const char *dot;

    if (getsockname(s->client.stream.fd, (struct sockaddr *)&own.sa, &own.len) != 0)
        return 0;
    switch (own.sa.ss_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)&own.sa)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)&own.sa)->sin6_port);
    case AF_UNIX:
        dot = strrchr(((const struct sockaddr_un *)&own.sa)->sun_path, '.');
        return dot ? (unsigned)strtoul(dot + 1, NULL, 10) : 0;
    default:
        return 0;
    }
}

enum rc sess_version_choose(struct sess *s, struct err *err)
{
    const struct sess_versions *versions = s->login->limits->versions;
    unsigned port = sess_versions_by_port(versions) ? port_of(s) : 0;
    struct sess_version version = sess_versions_find(versions, s->user, s->application, port);
    char asked[32];

    if (wire_startup_setting(s->startup.data, s->startup.len, SETTING, asked, sizeof(asked)) &&
        sess_side_parse(asked, &version.side) != RC_OK) {
        err_set(err, "22023", "invalid value for parameter \"" SETTING "\": \"%s\"", asked);
        err_hint(err, "Available values: old, new, follow.");
        return RC_ERR;
    }
    pthread_mutex_lock(&s->worker->registry_lock);
    s->version = version;
    pthread_mutex_unlock(&s->worker->registry_lock);
    return RC_OK;
}

void sess_sight(const struct sess *s, struct sql_sight_of_session *out)
{
    *out = (struct sql_sight_of_session){.side = s->version.side,
                                         .follows = s->version.side == SQL_SIDE_FOLLOW,
                                         .rewrites = s->version.rewrites && !s->odd_strings &&
                                                     s->altered <= s->worker->order->changes,
                                         .shadowed = sess_shadowed(s),
                                         .unseen = sess_unseen(s),
                                         .unlisted = sess_unlisted(s),
                                         .fickle = sess_fickle(s),
                                         .path = sess_path_class(s->path, sess_rules(s))};
}
