/*
 * Where a session's transaction stands, from the types of the messages that pass. Pure.
 *
 * Safe point: ReadyForQuery 'I', nothing that opens a transaction forwarded since, no answer
 * outstanding. Every Query, FunctionCall and Sync is answered by one ReadyForQuery, except a Sync
 * that the server reads during copy-in: the ones sent ahead of the CopyInResponse are taken back
 * when it arrives. Where the client has ended a copy ahead of that, too, is remembered
 * (SESS_ENDS_MAX at once; beyond it Syncs are not taken back: the safe side, as below). Where Syncs
 * stand among the data of a copy that fails, it is not known how many were read in it: the most are
 * waited for, as below. One that fails before it has read anything (a trigger BEFORE STATEMENT) is
 * taken to have read the Syncs right behind its request: by the types it is no other.
 *
 * After an error in an extended message the server reads nothing but Sync: a Query or FunctionCall
 * sent behind such messages without a Sync between ("mixed") then gets no answer. To tell whose an
 * error is, the extended messages ahead of a mixed request are counted, and the answers to them.
 * Mixed requests beyond SESS_MIXED_MAX at once are not remembered: should the server skip one of
 * those, the session never counts as safe again (the safe side; sess_track_lost).
 */
#ifndef SEGUE_SESSION_TRACK_H
#define SEGUE_SESSION_TRACK_H

#include <stdbool.h>
#include <stdint.h>

enum sess_copy { SESS_COPY_NONE, SESS_COPY_IN, SESS_COPY_IN_DONE, SESS_COPY_OUT, SESS_COPY_BOTH };

enum { SESS_MIXED_MAX = 8, SESS_ENDS_MAX = 4 };

struct sess_mixed {
    uint32_t ask;     /* number of the request, as `asked` counts */
    uint32_t ahead;   /* extended messages since the request before it */
    uint32_t segment; /* as `segment` below */
};

/* A CopyDone or CopyFail whose CopyInResponse was not seen yet, or that comes late, for nothing. */
struct sess_copy_end {
    uint32_t ask;   /* the newest request before it, as `asked` counts */
    uint32_t syncs; /* of the requests up to that one, the newest that are Syncs */
    uint32_t ahead; /* extended messages between that request and this */
    bool opened;    /* there are any but Close */
};

struct sess_track {
    uint32_t expected; /* ReadyForQuery still to come */
    uint32_t asked;    /* requests for ReadyForQuery forwarded in all; wraps */
    uint32_t syncs;    /* of them, the newest ones that a Sync asked for */
    char status;       /* of the last ReadyForQuery */
    uint8_t copy;      /* enum sess_copy */
    uint8_t mixed_count;
    uint8_t ends_count;
    bool ends_lost;     /* more than SESS_ENDS_MAX at once */
    bool mixed_lost;    /* more than SESS_MIXED_MAX, or the most that may come is counted */
    bool opened;        /* Parse / Bind / Describe / Execute forwarded, no Sync yet */
    bool fed;           /* CopyData forwarded since the last message that is no Sync */
    bool feeds_on;      /* a Sync forwarded behind such data */
    bool loose;         /* Close / Flush forwarded, no Sync yet */
    bool unsynced;      /* an extended message forwarded since the last Sync */
    bool skipping;      /* the server reads nothing until a Sync that is not sent yet */
    uint32_t segment;   /* Syncs forwarded; wraps */
    uint32_t ahead;     /* extended messages forwarded since the last request */
    uint32_t swallowed; /* Syncs that the copy-in under way has been sent */
    uint32_t done;      /* extended messages answered since the last ReadyForQuery */
    struct sess_mixed mixed[SESS_MIXED_MAX];  /* outstanding, oldest first */
    struct sess_copy_end ends[SESS_ENDS_MAX]; /* oldest first */
};

void sess_track_init(struct sess_track *track); /* start-up sent: one ReadyForQuery to come */
void sess_track_client(struct sess_track *track, uint8_t type);
void sess_track_server(struct sess_track *track, uint8_t type); /* all but ReadyForQuery */
void sess_track_ready(struct sess_track *track, char status);

/* No transaction is open and none can open from what was forwarded. */
static inline bool sess_track_safe(const struct sess_track *t)
{
    return !t->expected && !t->opened && t->status == 'I';
}

/* Between two requests, in or out of a transaction block. */
static inline bool sess_track_between(const struct sess_track *t)
{
    return !t->expected && !t->opened;
}

/* Answers may be counted on that never come. */
static inline bool sess_track_lost(const struct sess_track *t)
{
    return t->ends_lost || t->mixed_lost;
}

/* Answers may wait for what the client has still to send of a copy. */
static inline bool sess_track_copies(const struct sess_track *t)
{
    return t->copy == SESS_COPY_IN || t->copy == SESS_COPY_BOTH ||
           (t->copy == SESS_COPY_IN_DONE && sess_track_lost(t));
}

#endif
