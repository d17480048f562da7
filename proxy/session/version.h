/*
 * The schema version of one session. Private to this layer.
 *
 * Chosen once, from the start-up packet: what the client asks for (setting segue.schema, "old",
 * "new" or "follow"), else the first rule of option schema_rules that matches, else the session
 * follows each table's own migration. What a session is does not change while it lives; what "it
 * follows" means does, and comes with the rules (sql_table_rule.reversed).
 */
#ifndef SEGUE_SESSION_VERSION_H
#define SEGUE_SESSION_VERSION_H

#include "session.h"

/* From the start-up packet in s->startup, after its names are known. RC_ERR: err is for the client.
 */
enum rc sess_version_choose(struct sess *s, struct err *err) MUST_CHECK;

/* What sql_rewrite is to know of the session. */
void sess_sight(const struct sess *s, struct sql_sight_of_session *out);

#endif
