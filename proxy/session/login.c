/*
 * What follows the connection to the upstream: the start-up packet, verbatim, so that RESET and
 * everything else mean what they mean on a direct connection.
 */
#include "worker.h"

void sess_login_begin(struct sess *s)
{
    switch (s->purpose) {
    case SESS_FOR_RELAY:
        sess_move(s, SESS_AUTH);
        sess_track_init(&s->track);
        break;
    case SESS_FOR_CANCEL:
        sess_move(s, SESS_CANCELLING);
        break;
    case SESS_FOR_LOGIN:
        sess_move(s, SESS_LOGIN);
        break;
    }
    sess_deadline(s, s->login_by_us);
    sess_send(s, &s->server, s->startup.data, s->startup.len);
}
