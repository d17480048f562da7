/*
 * Pieces of SQL that the rooms of the guard share. Private to guard*.c. `row` is the prefix of
 * column references: "" for the bare table, "NEW." in the trigger.
 */
#ifndef SEGUE_ENGINE_GUARD_TEXT_H
#define SEGUE_ENGINE_GUARD_TEXT_H

#include "segue/base/buf.h"
#include "segue/engine/guard.h"

#define DIFFERS "OPERATOR(pg_catalog.*<>)"
#define EQUALS "OPERATOR(pg_catalog.*=)"

/* The expression over `row`, cast to the column's type (byte comparison needs equal types), or as
 * it is when `plain`; heap. */
char *guard_over_row(const char *expr, const char *type, bool plain, const char *row);

/* Appends "ROW(row.column)::record op ROW(value)::record". */
void guard_compare(struct buf *out, const char *row, const char *column, const char *op,
                   const char *value);

void guard_changed(struct buf *out, const char *column); /* appends: has an UPDATE changed it? */

#endif
