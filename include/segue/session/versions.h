/*
 * Which schema version a session has: the rules of option schema_rules (DESIGN 6). Pure.
 *
 * A JSON array of objects; the first that matches a session decides:
 *   {"user": "old_app", "application_name": "report*", "port": 6433,
 *    "schema": "old" | "new" | "follow", "rewrite": true | false}
 * A name that ends in * means all that begin so. Fields that are left out match everybody;
 * "schema" is "follow" then, "rewrite" true.
 * Not here: what the client itself asks for at start-up (proxy/session/version.c).
 */
#ifndef SEGUE_SESSION_VERSIONS_H
#define SEGUE_SESSION_VERSIONS_H

#include <stdbool.h>

#include "segue/base/err.h"
#include "segue/sql/rewrite.h"

struct sess_version {
    enum sql_side side;
    bool rewrites; /* false: its statements go out as they are */
};

struct sess_versions; /* immutable */

/* `json`: as above; "" is the empty list. NULL with err: which rule, which field, what is allowed.
 */
struct sess_versions *sess_versions_new(const char *json, struct err *err);
void sess_versions_free(struct sess_versions *versions);

/* For the row of the option: RC_ERR as sess_versions_new. */
enum rc sess_versions_check(const char *json, struct err *err) MUST_CHECK;

/* Does a rule ask where the client has come in? */
bool sess_versions_by_port(const struct sess_versions *versions);

/* `port`: of the listening socket; 0: not known. Follows and is rewritten when no rule matches. */
struct sess_version sess_versions_find(const struct sess_versions *versions, const char *user,
                                       const char *application_name, unsigned port);

/* "old", "new", "follow". */
const char *sess_side_name(enum sql_side side);
enum rc sess_side_parse(const char *name, enum sql_side *side) MUST_CHECK;

#endif
