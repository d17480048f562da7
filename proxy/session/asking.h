/*
 * Which search path a session has is asked of the server itself, in the session, and its texts are
 * followed from there (path.h). Private to this layer.
 *
 * Only while a migrating table has a namesake, only at a safe point, and only until it is known.
 * The client's message waits for the answer; the client sees nothing of it. One round trip.
 */
#ifndef SEGUE_SESSION_ASKING_H
#define SEGUE_SESSION_ASKING_H

#include "rewriting.h"
#include "session.h"

/* A client's message is about to be looked at. True: it is to wait; the state has moved. */
bool sess_path_waits(struct sess *s);

/* An answer of the server, of which `avail` bytes are there, while it is asked. */
enum sess_answer sess_path_answer(struct sess *s, const struct wire_frame *frame, const char *msg,
                                  size_t avail);

/* The session has a path, and statements are not looked at from here on. */
void sess_path_forget(struct sess *s);

#endif
