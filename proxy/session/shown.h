/*
 * Names of segue's own in errors: while a migration is in flight, constraints, indexes and columns
 * of the half that waits have one. The client is told what they are called in the end. Pure.
 */
#ifndef SEGUE_SESSION_SHOWN_H
#define SEGUE_SESSION_SHOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/buf.h"
#include "segue/sql/rules.h"

/* An ErrorResponse, whole: the constraint or column that it is about by its fields, in its message,
 * too, and columns of a key in its detail. True: `out` has it with other names. `ascii`: only names
 * in ASCII may be put there, since the client has another encoding than UTF8. */
bool sess_shown_error(const struct sql_rules *rules, bool ascii, const char *msg, size_t total,
                      struct buf *out);

#endif
