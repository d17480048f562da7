/*
 * May a message of the client that has been looked at go to the server now, or is it to wait: for
 * the gate, for answers, for room in the pipeline? Private to this layer. Not here: what it touches
 * (look.c), standbys (behind.h), though they are asked here.
 *
 * STOP: it waits, and the state has moved.
 */
#ifndef SEGUE_SESSION_ADMIT_H
#define SEGUE_SESSION_ADMIT_H

#include "session.h"

/* It may touch these tables; `begins`: and open a transaction, which may touch any. PASS: that is
 * counted. */
enum sess_look sess_admit(struct sess *s, uint64_t touches, bool begins);

/* It is to go out as another text, or behind one, if `rewritten`, and cannot yet. */
bool sess_waits_for_rest(struct sess *s, bool rewritten);

/* The pipeline is full. */
enum sess_look sess_wait_for_room(struct sess *s);

#endif
