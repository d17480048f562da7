/*
 * The dual-write rules of DESIGN 5 as SQL text. One place makes these expressions; trigger,
 * backfill and plan use them. (Verify writes its own, from the migration file, on purpose.)
 *
 * All functions return heap text. `row` is the prefix of column references: "" for the bare
 * table, "NEW." in the trigger.
 */
#ifndef SEGUE_ENGINE_GUARD_H
#define SEGUE_ENGINE_GUARD_H

#include "segue/engine/plan.h"

enum eng_direction { ENG_FORWARD, ENG_REVERSE };

/* "this dual column is in step": never NULL-valued, compares bytes (*=). */
char *eng_dual_in_step(const struct eng_dual *dual, enum eng_direction dir, const char *row);

/* Conjunction over all duals of the table that the direction guards; "true" when none. */
char *eng_table_in_step(const struct eng_table *table, enum eng_direction dir, const char *row);

/* "n1 = CASE WHEN in_step THEN n1 ELSE up END, ...": the SET list of a forward backfill. */
char *eng_table_fill(const struct eng_table *table);

/* The rows a backfill must write: every row that is not in step. A row whose `up` gives NULL for
 * a value may be among them each time (finding out would cost an `up` for all the others). */
char *eng_table_unfilled(const struct eng_table *table);

/* "SET LOCAL name = value;" lines: what the guard's function fixes, for whoever says an expression
 * of the table beside it. Else it would give something else there, once the role, the database or
 * the server has another TimeZone than at start. "" where nothing depends on settings. */
char *eng_table_settings_sql(const struct eng_table *table);

/* CREATE OR REPLACE FUNCTION segue."..." and CREATE OR REPLACE TRIGGER + ENABLE ALWAYS, one
 * statement each, for the direction; *n statements in a heap array of heap strings. The table has
 * its name of before the cut-over: that renames it last, and the way back first. */
char **eng_guard_sql(const struct eng_table *table, enum eng_direction dir, size_t *n);
/* That function as it is in soak, once the way back has given columns their old names: for what it
 * writes in its middle. One statement, heap. */
char *eng_guard_back_sql(const struct eng_table *table);
/* What that function calls where a dual is `by_trees`, *n statements: in front of the first of
 * these, once. */
char **eng_guard_calls_sql(const struct eng_table *table, size_t *n);
/* Drops all of it; ENG_REVERSE: the table is called as it is since the cut-over. */
char **eng_guard_drop_sql(const struct eng_table *table, enum eng_direction dir, size_t *n);

#endif
