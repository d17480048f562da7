/*
 * Where a session's transaction stands, from the types of the messages that pass. Pure.
 *
 * Safe point: ReadyForQuery 'I', nothing that opens a transaction forwarded since, no answer
 * outstanding. Every Query, FunctionCall and Sync is answered by one ReadyForQuery, except a Sync
 * that the server reads during copy-in: the ones sent ahead of the CopyInResponse are taken back
 * when it arrives.
 */
#ifndef SEGUE_SESSION_TRACK_H
#define SEGUE_SESSION_TRACK_H

#include <stdbool.h>
#include <stdint.h>

enum sess_copy { SESS_COPY_NONE, SESS_COPY_IN, SESS_COPY_IN_DONE, SESS_COPY_OUT, SESS_COPY_BOTH };

struct sess_track {
    uint32_t expected;    /* ReadyForQuery still to come */
    uint32_t syncs;       /* of them, the newest ones that a Sync asked for */
    uint32_t syncs_ahead; /* value of `syncs` when the client ended a copy not yet seen */
    char status;          /* of the last ReadyForQuery */
    uint8_t copy;         /* enum sess_copy */
    bool opened;          /* Parse / Bind / Describe / Execute forwarded, no Sync yet */
    bool loose;           /* Close / Flush forwarded, no Sync yet */
    bool ended_ahead;     /* the client ended a copy whose CopyInResponse was not seen yet */
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

#endif
