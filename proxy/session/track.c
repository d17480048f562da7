#include "track.h"

#include <string.h>

enum effect {
    NOTHING,
    ASKS,      /* answered by ReadyForQuery on its own */
    SYNCS,     /* the same, and it ends what OPENS began */
    OPENS,     /* starts an implicit transaction */
    CLOSES,    /* has an answer, starts nothing */
    LOOSE,     /* neither */
    FEEDS,     /* a copy-in with data */
    ENDS_COPY, /* of a copy-in */
};

static const uint8_t client_effects[256] = {
    ['Q'] = ASKS,  ['F'] = ASKS,  ['S'] = SYNCS,     ['P'] = OPENS,
    ['B'] = OPENS, ['E'] = OPENS, ['D'] = OPENS,     ['C'] = CLOSES,
    ['H'] = LOOSE, ['d'] = FEEDS, ['c'] = ENDS_COPY, ['f'] = ENDS_COPY,
};

void sess_track_init(struct sess_track *track)
{
    memset(track, 0, sizeof(*track));
    track->status = 'I';
    track->expected = 1;
    track->asked = 1;
}

/* ---- requests behind extended messages without a Sync ---- */

static void add_ahead(struct sess_track *t)
{
    t->ahead++;
    t->unsynced = true;
    t->fed = false;
}

static void remember_mixed(struct sess_track *t)
{
    if (t->mixed_count == SESS_MIXED_MAX)
        t->mixed_lost = true;
    else
        t->mixed[t->mixed_count++] =
            (struct sess_mixed){.ask = t->asked, .ahead = t->ahead, .segment = t->segment};
}

static void forget_mixed(struct sess_track *t, unsigned count)
{
    t->mixed_count -= (uint8_t)count;
    memmove(t->mixed, t->mixed + count, t->mixed_count * sizeof(*t->mixed));
}

/* An ErrorResponse: whose is it, and what will the server skip? */
static void on_failure(struct sess_track *t)
{
    unsigned skipped = 0;

    if (!t->expected) {
        t->skipping = t->unsynced;
        return;
    }
    if (t->mixed_lost)
        return; /* there are requests that nobody answers: whose it is is not known */
    if (!t->mixed_count || t->mixed[0].ask != t->asked - t->expected + 1 ||
        t->mixed[0].ahead <= t->done)
        return; /* of a Sync's own messages, or of the request itself: it is answered */
    while (skipped < t->mixed_count && t->mixed[skipped].segment == t->mixed[0].segment)
        skipped++;
    t->expected -= skipped;
    if (t->mixed[0].segment == t->segment) {
        t->skipping = true;
        t->opened = true;
    }
    forget_mixed(t, skipped);
}

/* ---- copies that the client ends before their CopyInResponse was seen ---- */

/* Behind one that is lost none is remembered: it would be taken for that. */
static void remember_end(struct sess_track *t)
{
    if (t->ends_lost || t->ends_count == SESS_ENDS_MAX)
        t->ends_lost = true;
    else
        t->ends[t->ends_count++] = (struct sess_copy_end){
            .ask = t->asked, .syncs = t->syncs, .ahead = t->ahead, .opened = t->opened};
    t->unsynced |= t->syncs > 0; /* the copy may be one that swallows them: see mix() */
}

/* Numbers of requests wrap: is `ask` later than `than`? */
static bool is_later(uint32_t ask, uint32_t than)
{
    return ask != than && ask - than < UINT32_MAX / 2;
}

/* So many Syncs, up to the request number `ask`, are none any more. */
static void forget_syncs(struct sess_copy_end *end, uint32_t ask, uint32_t syncs)
{
    if (end->ask != ask && !is_later(end->ask, ask))
        return;
    if (end->ask - ask < end->syncs)
        end->syncs -= syncs;
    end->ask -= syncs;
}

/* So many Syncs, up to the request number `ask`, are none: the copy has swallowed them. */
static void take_back(struct sess_track *t, uint32_t ask, uint32_t syncs)
{
    t->swallowed = syncs;
    if (t->asked - ask < t->syncs)
        t->syncs -= syncs;
    t->expected -= syncs;
    t->asked -= syncs;
    for (unsigned i = 0; i < t->mixed_count; i++)
        t->mixed[i].ask -= is_later(t->mixed[i].ask, ask) ? syncs : 0;
    for (unsigned i = 0; i < t->ends_count; i++)
        forget_syncs(&t->ends[i], ask, syncs);
    if (syncs && !t->expected) { /* of an Execute: its transaction waits for another Sync */
        t->opened = true;
        t->unsynced = true;
        t->ahead += t->done + 1;
    }
}

/* Between the Execute of the copy that begins and request number `ask` there is no Sync any more.
 */
static void mix(struct sess_track *t, uint32_t ask)
{
    for (unsigned i = 0; i < t->mixed_count; i++)
        if (t->mixed[i].ask == ask)
            t->mixed[i].ahead += t->done + 1;
    for (unsigned i = 0; i < t->ends_count; i++)
        if (t->ends[i].ask + 1 == ask)
            t->ends[i].ahead += t->done + 1;
}

/* Syncs among its data were read in the copy, or behind its failure, and then each is answered:
 * nobody knows. Counted are the most that there may be. */
static void fail_copy(struct sess_track *t)
{
    if (!t->feeds_on)
        return;
    t->expected += t->swallowed;
    t->asked += t->swallowed;
    t->mixed_lost = true;
}

/* Has the client ended the copy that begins now? Its request is number `head` itself (a Query), or
 * an Execute before number `head`, to which so much of its segment is answered. */
static bool take_end(struct sess_track *t, uint32_t head)
{
    for (unsigned i = 0; i < t->ends_count; i++) {
        const struct sess_copy_end end = t->ends[i];
        uint32_t behind = end.ask + 1 - head; /* requests from `head` to this end */

        if (is_later(head, end.ask + 1) ||
            (behind ? behind > end.syncs + 1 : !end.opened || end.ahead <= t->done))
            continue; /* of an earlier request, or of none */
        t->ends_count -= (uint8_t)(i + 1);
        memmove(t->ends, t->ends + i + 1, t->ends_count * sizeof(end));
        take_back(t, end.ask, behind < end.syncs ? behind : end.syncs);
        if (behind && behind <= end.syncs) /* of an Execute */
            mix(t, end.ask - behind + 1);
        return true;
    }
    return false;
}

/* Where requests are counted that nobody answers, it is not known whose copy this is. Where its end
 * is not remembered, such are counted from here on. */
static void on_copy_in(struct sess_track *t)
{
    bool ended;

    t->swallowed = 0;
    ended = t->mixed_lost || take_end(t, t->asked - t->expected + 1);
    t->mixed_lost |= !ended && t->ends_lost;
    t->copy = ended || t->mixed_lost ? SESS_COPY_IN_DONE : SESS_COPY_IN;
    if (t->copy == SESS_COPY_IN)
        take_back(t, t->asked, t->syncs);
}

/* ---- the client's messages ---- */

void sess_track_client(struct sess_track *t, uint8_t type)
{
    switch ((enum effect)client_effects[type]) {
    case NOTHING:
        break;
    case ASKS:
        t->fed = false;
        if (t->skipping && !t->mixed_lost)
            break;
        t->expected++;
        t->asked++;
        if (t->unsynced)
            remember_mixed(t);
        t->ahead = 0;
        t->syncs = 0;
        t->opened = false;
        break;
    case SYNCS:
        t->feeds_on |= t->fed;
        if (t->copy == SESS_COPY_IN) {
            t->swallowed++;
            break;
        }
        t->expected++;
        t->asked++;
        t->syncs++;
        t->segment++;
        t->ahead = 0;
        t->unsynced = false;
        t->skipping = false;
        t->opened = false;
        t->loose = false;
        break;
    case OPENS:
        add_ahead(t);
        t->opened = true;
        break;
    case CLOSES:
        add_ahead(t);
        t->loose = true;
        break;
    case LOOSE:
        t->loose = true;
        break;
    case FEEDS:
        t->fed = true;
        break;
    case ENDS_COPY:
        t->fed = false;
        if (t->copy == SESS_COPY_IN || t->copy == SESS_COPY_BOTH)
            t->copy = SESS_COPY_IN_DONE;
        else if (!sess_track_between(t)) /* of one behind that which goes on now, perhaps */
            remember_end(t);
        break;
    }
}

/* ---- the server's messages ---- */

void sess_track_server(struct sess_track *t, uint8_t type)
{
    switch (type) {
    case 'G':
        on_copy_in(t);
        break;
    case 'H':
        t->copy = SESS_COPY_OUT;
        break;
    case 'W':
        t->copy = SESS_COPY_BOTH;
        break;
    case 'C':
        t->done++;
        if (t->copy != SESS_COPY_BOTH)
            t->copy = SESS_COPY_NONE;
        break;
    case '1': /* ParseComplete, BindComplete, CloseComplete */
    case '2':
    case '3':
    case 'T': /* of Describe: RowDescription or NoData */
    case 'n':
    case 'I': /* of Execute: EmptyQueryResponse, PortalSuspended */
    case 's':
        t->done++;
        break;
    case 'E':
        if (t->copy == SESS_COPY_IN || t->copy == SESS_COPY_IN_DONE)
            fail_copy(t);
        on_failure(t);
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
    if (t->mixed_count && t->mixed[0].ask == t->asked - t->expected)
        forget_mixed(t, 1);
    t->done = 0;
    if (t->syncs > t->expected)
        t->syncs = t->expected;
    if (sess_track_between(t)) {
        t->ends_count = 0;
        t->ends_lost = false;
        t->mixed_lost = false;
        t->feeds_on = false;
    }
    t->copy = SESS_COPY_NONE;
    t->status = status;
}
