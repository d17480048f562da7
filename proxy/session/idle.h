/*
 * What is remembered of statements that pass as they are: their texts, for a migration that comes
 * between their Parse and their use. Private to this layer.
 *
 * Without rules (sess_look_idle) a named Parse is, an unnamed one whose Bind does not come with it,
 * and what SQL prepares.
 */
#ifndef SEGUE_SESSION_IDLE_H
#define SEGUE_SESSION_IDLE_H

#include "session.h"

/* RC_AGAIN: not all there yet; RC_ERR: longer than what is looked at. */
enum rc sess_look_whole(const struct sess *s, const struct wire_frame *frame, size_t avail);

/* Is no Bind behind an unnamed Parse? `behind` is what the client has sent after it, as far as it
 * is here: one that is still to come is none. */
bool sess_parse_is_alone(const char *behind, size_t len);

/* A Parse passes as it is, and nobody will see its end. */
void sess_remember(struct sess *s, const struct sess_parse *parse);

/* The unnamed statement is dropped, by what passes as it is. */
void sess_remember_dropped(struct sess *s);

/* A Query, or a Parse, while there are no rules. */
enum sess_look sess_look_idle(struct sess *s, const struct wire_frame *frame, const char *msg,
                              size_t avail);

#endif
