/*
 * Whom the policy of cut-overs (cutover_blockers) never cancels or terminates: the rules of option
 * cutover_blockers_exempt. Pure.
 *
 * A JSON array of objects; a blocker that one of them matches is exempt:
 *   {"user": "etl", "application_name": "pg_dump*", "query": "*nightly*"}
 * "*" stands for any text, "?" for one character; case counts, but not in queries. Fields that are
 * left out match everybody; a rule without a field is refused.
 */
#ifndef SEGUE_ENGINE_EXEMPT_H
#define SEGUE_ENGINE_EXEMPT_H

#include <stdbool.h>

#include "segue/base/err.h"

/* For the row of the option. RC_ERR: which rule, which field, what is allowed. */
enum rc eng_exempt_check(const char *json, struct err *err) MUST_CHECK;

/* `json` has been checked; "" is the empty list. A NULL could not be seen, and matches: what is
 * not known is spared. */
bool eng_exempt(const char *json, const char *user, const char *application_name,
                const char *query);

#endif
