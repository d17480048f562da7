/*
 * Whether a server is what the option upstream asks for, by its own word: it says at each login
 * whether it is a standby (in_hot_standby, since PostgreSQL 14), as libpq's target_session_attrs
 * relies on. What hosts.c knows is up to two seconds old, and in the time of a switch-over the old
 * primary may be back as a standby within one; whoever lands there stays for as long as his pool
 * keeps him.
 *
 * So the server's answer to a login that succeeded is withheld up to there. Where it does not fit,
 * the next host is tried, if the client has heard nothing of this one; else the connection ends
 * before anything was asked. default_transaction_read_only may be the role's own setting, or the
 * client's: who is read-only by it is let in; who is not, and was to be, is turned down; neither
 * says anything for others. But the host is asked again then.
 */
#include <string.h>

#include "login.h"
#include "segue/wire/build.h"
#include "segue/wire/read.h"

#define WITHHELD_BYTES_MAX 30000 /* what is longer is passed on, unjudged */

static void welcome(struct sess *s)
{
    sess_move(s, SESS_WELCOME);
    sess_login_end(s);
}

void sess_let_in(struct sess *s)
{
    if (sess_hosts_judged(s->worker->plane->hosts))
        sess_move(s, SESS_CHECKING);
    else
        welcome(s);
}

struct words {
    bool said; /* whether it is a standby */
    bool standby, read_only;
};

static void hear(struct words *words, const struct wire_status *status)
{
    bool on = strcmp(status->value, "on") == 0;

    if (strcmp(status->name, "in_hot_standby") == 0) {
        words->said = true;
        words->standby = on;
    } else if (strcmp(status->name, "default_transaction_read_only") == 0) {
        words->read_only = on;
    }
}

/* RC_AGAIN: there is more to come. */
static enum rc listen_to(const char *data, size_t len, struct words *words)
{
    static const char passed_over[] = "RNS";
    struct wire_status status;
    struct wire_frame frame;

    for (size_t pos = 0; pos < len; pos += frame.total) {
        enum rc rc = wire_frame_read(data + pos, len - pos, &frame);

        if (rc != RC_OK)
            return rc;
        if (!memchr(passed_over, frame.type, sizeof(passed_over) - 1))
            return RC_OK;
        if (len - pos < frame.total)
            return RC_AGAIN;
        if (frame.type == 'S' && wire_read_status(data + pos, frame.total, &status) == RC_OK)
            hear(words, &status);
    }
    return RC_AGAIN;
}

static void turn_down(struct sess *s, enum sess_role role)
{
    struct buf bye = {0};
    struct err err = {0};

    wire_put_terminate(&bye);
    sess_send(s, &s->server, bye.data, bye.len);
    buf_fini(&bye);
    if (!s->login->heard && !s->client.ended) {
        sess_login_afresh(s);
        sess_upstream_misfit(s, role);
        return;
    }
    err_set(&err, "57P03", "the upstream PostgreSQL is %s, and %s was asked for",
            sess_role_name(role), sess_target_name(s->worker->plane->options.upstream.target));
    err_hint(&err, "It has changed a moment ago: connect again. target_session_attrs in the option "
                   "upstream asks for it; see SHOW UPSTREAMS.");
    sess_fail(s, &err);
}

size_t sess_check_server(struct sess *s, const char *data, size_t len)
{
    struct sess_hosts *hosts = s->worker->plane->hosts;
    struct words words = {0};
    enum sess_role role;

    if (listen_to(data, len, &words) == RC_AGAIN && len < WITHHELD_BYTES_MAX)
        return 0;
    role = !words.said       ? SESS_ROLE_UNKNOWN
           : words.standby   ? SESS_ROLE_STANDBY
           : words.read_only ? SESS_ROLE_READ_ONLY
                             : SESS_ROLE_READ_WRITE;
    if (sess_hosts_told(hosts, s->host, role)) {
        welcome(s);
        return 0;
    }
    turn_down(s, role);
    return len;
}
