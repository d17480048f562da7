/*
 * An index of a partitioned table, which PostgreSQL does not build CONCURRENTLY: it is made of the
 * table alone (not valid as yet), of each leaf CONCURRENTLY, and what is there is attached, until
 * the server finds that all partitions have it.
 *
 * A turn is one piece. Which one, the catalog says each time: so it does not matter where segue was
 * killed, and partitions that come or go meanwhile are seen (from the first piece on the server
 * itself gives the index to those that are made or attached).
 *
 *   the table's index    behind the gate, with its note in segue.begun
 *   of a leaf            under a name of segue's own, "~segue_<leaf>_<migration>_<step>"
 *   ... when it is valid gets the name that PostgreSQL would give, with its note in segue.pieces
 *   ... found            one with the same definition, of the user's: noted, not built
 *   of a branch          (a partition with partitions) behind the gate, and attached at once
 *   when none is left    all that is noted is attached, some at a time, behind the gate
 *
 * The way back drops what was built; an index of the user's, attached, goes with the whole and is
 * built again before.
 */
#ifndef SEGUE_ENGINE_PARTS_H
#define SEGUE_ENGINE_PARTS_H

#include "runner.h"

/* The next piece of step i, of kind ENG_STEP_PARTITIONS. Never RC_OK: its mark says it is done. */
enum rc parts_turn(struct eng_engine *engine, struct eng_migration *m, size_t i,
                   struct err *err) MUST_CHECK;

/* ---- parts_name.c ---- */
/* What PostgreSQL would call an index on columns (or what it calls expressions) of the relation,
 * "items_a_b_idx", the pass-th name it would try (from 0). At most 63 bytes, cut between
 * characters of UTF-8. Heap. */
char *parts_name(const char *relation, const char *const *columns, size_t n, const char *label,
                 unsigned pass);
/* A template of eng_parts_sql, with names (quoted; NULL: it has none) in place; heap. */
char *parts_fill(const char *text, const char *whole, const char *index, const char *partition);

#endif
