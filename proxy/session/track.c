#include "track.h"

#include <string.h>

enum effect {
    NOTHING,
    ASKS,      /* answered by ReadyForQuery on its own */
    SYNCS,     /* the same, and it ends what OPENS began */
    OPENS,     /* starts an implicit transaction */
    LOOSE,     /* has an answer, starts nothing */
    ENDS_COPY, /* of a copy-in */
};

static const uint8_t client_effects[256] = {
    ['Q'] = ASKS,  ['F'] = ASKS,      ['S'] = SYNCS,     ['P'] = OPENS,
    ['B'] = OPENS, ['E'] = OPENS,     ['D'] = OPENS,     ['C'] = LOOSE,
    ['H'] = LOOSE, ['c'] = ENDS_COPY, ['f'] = ENDS_COPY,
};

void sess_track_init(struct sess_track *track)
{
    memset(track, 0, sizeof(*track));
    track->status = 'I';
    track->expected = 1;
}

void sess_track_client(struct sess_track *t, uint8_t type)
{
    switch ((enum effect)client_effects[type]) {
    case NOTHING:
        break;
    case ASKS:
        t->expected++;
        t->syncs = 0;
        t->opened = false;
        t->ended_ahead = false;
        break;
    case SYNCS:
        if (t->copy == SESS_COPY_IN)
            break;
        t->expected++;
        t->syncs++;
        t->opened = false;
        t->loose = false;
        break;
    case OPENS:
        t->opened = true;
        t->ended_ahead = false;
        break;
    case LOOSE:
        t->loose = true;
        break;
    case ENDS_COPY:
        if (t->copy == SESS_COPY_IN) {
            t->copy = SESS_COPY_IN_DONE;
        } else if (t->copy == SESS_COPY_NONE && !sess_track_between(t)) {
            t->ended_ahead = true;
            t->syncs_ahead = t->syncs;
        }
        break;
    }
}

/* The server reads these Syncs inside copy-in and does not answer them. With nothing else to be
 * answered the copy belongs to an Execute, and its implicit transaction waits for another Sync. */
static void take_back(struct sess_track *t, uint32_t syncs)
{
    if (syncs > t->syncs)
        syncs = t->syncs;
    t->syncs -= syncs;
    t->expected -= syncs;
    if (syncs && !t->expected)
        t->opened = true;
}

void sess_track_server(struct sess_track *t, uint8_t type)
{
    switch (type) {
    case 'G':
        take_back(t, t->ended_ahead ? t->syncs_ahead : t->syncs);
        t->copy = t->ended_ahead ? SESS_COPY_IN_DONE : SESS_COPY_IN;
        t->ended_ahead = false;
        break;
    case 'H':
        t->copy = SESS_COPY_OUT;
        break;
    case 'W':
        t->copy = SESS_COPY_BOTH;
        break;
    case 'C':
    case 'E':
        if (t->copy != SESS_COPY_BOTH)
            t->copy = SESS_COPY_NONE;
        break;
    default:
        break;
    }
}

void sess_track_ready(struct sess_track *t, char status)
{
    if (t->expected)
        t->expected--;
    if (t->syncs > t->expected)
        t->syncs = t->expected;
    if (!t->expected)
        t->ended_ahead = false;
    t->copy = SESS_COPY_NONE;
    t->status = status;
}
