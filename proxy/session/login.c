/*
 * What follows the connection to the upstream: the start-up packet, verbatim, so that RESET and
 * everything else mean what they mean on a direct connection.
 */
#include "worker.h"

void sess_login_begin(struct sess *s)
{
    bool others = s->worker->plane->options.upstream.nhosts > 1;
    int64_t connect_us = (int64_t)sess_limits(s)->connect_timeout_ms * 1000;

    if (s->purpose == SESS_FOR_CANCEL) {
        sess_move(s, SESS_CANCELLING);
        sess_deadline(s, s->login_by_us);
    } else {
        sess_move(s, SESS_ASKED);
        sess_deadline(s, others && s->worker->now_us + connect_us < s->login_by_us
                             ? s->worker->now_us + connect_us
                             : s->login_by_us);
    }
    sess_send(s, &s->server, s->startup.data, s->startup.len);
}

void sess_login_answered(struct sess *s)
{
    if (s->purpose == SESS_FOR_LOGIN) {
        sess_move(s, SESS_LOGIN);
    } else {
        sess_move(s, SESS_AUTH);
        sess_track_init(&s->track);
    }
    sess_deadline(s, s->login_by_us);
}
