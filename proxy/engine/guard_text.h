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
/* In the trigger: which of the two it is, whatever the writer's search_path. */
#define INSERTS "TG_OP OPERATOR(pg_catalog.=) 'INSERT'"
#define UPDATES "TG_OP OPERATOR(pg_catalog.=) 'UPDATE'"

/* A dual column as the direction sees it: `source` is the truth, `target` follows. */
struct guard_side {
    const char *source, *target; /* borrowed; source NULL: the column is only added */
    char *to_target;             /* expression with row prefix, cast to the target's type */
    char *to_source;
};
struct guard_side guard_side(const struct eng_dual *dual, enum eng_direction dir, const char *row);
void guard_side_fini(struct guard_side *side);

/* Does it follow, or lead, by itself (not as a member of a group)? */
bool guard_has(const struct eng_dual *dual);

/* Of a type whose = compares bytes: what it wants for that. */
const char *guard_collate(const struct eng_dual *dual);

/* The expression over `row`, cast to the column's type (byte comparison needs equal types), or as
 * it is when `plain`; heap. */
char *guard_over_row(const char *expr, const char *type, bool plain, const char *row);

/* What `up` or `down` of a dual makes of `row`, as its column's type; heap. */
char *guard_up(const struct eng_dual *dual, const char *row);
char *guard_down(const struct eng_dual *dual, const char *row);

/* Appends "ROW(row.column)::record op ROW(value)::record". */
void guard_compare(struct buf *out, const char *row, const char *column, const char *op,
                   const char *value);

void guard_changed(struct buf *out, const char *column); /* appends: has an UPDATE changed it? */

/*
 * A row that was written past the guard, and of which an UPDATE changes neither half, stays as it
 * is: which half is right, a verify leaves to who had the guard off. Not where it goes to another
 * partition: what comes there is an INSERT with both halves, as of one who knows only the half that
 * follows, and would overwrite the truth. So it goes in step, by the truth.
 */
#define MOVES_DECLARE "  segue_stays pg_catalog.bool;\n"
/* Opens an IF, in the trigger that is fired where the row comes from. A constraint that gives NULL
 * is met. */
#define IF_MOVES                                                                                   \
    "      EXECUTE pg_catalog.format('SELECT %s FROM (SELECT ($1).*) AS segue_row', "              \
    "COALESCE(pg_catalog.pg_get_partition_constraintdef(TG_RELID), 'true')) INTO segue_stays "     \
    "USING NEW;\n      IF NOT segue_stays THEN\n"

#endif
