#include "guard_reads.h"

#include <stdlib.h>
#include <string.h>

#include "guard_text.h"
#include "nulls.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

static bool is_pair(const struct eng_dual *dual)
{
    return dual->old_name && dual->new_name && !dual->plain;
}

static bool is_own(const struct eng_dual *dual, const char *column)
{
    return !strcmp(column, dual->old_name) || !strcmp(column, dual->new_name);
}

/* Appends "changed or changed" of what the follower's expression reads beside the pair. */
static bool read_changed(struct buf *out, const struct eng_dual *dual, enum eng_direction dir)
{
    char **columns = dir == ENG_FORWARD ? dual->up_columns : dual->down_columns;
    size_t n = dir == ENG_FORWARD ? dual->nup_columns : dual->ndown_columns;
    bool any = false;

    for (size_t i = 0; is_pair(dual) && i < n; i++) {
        if (is_own(dual, columns[i]))
            continue;
        buf_append_str(out, any ? " OR " : "");
        guard_changed(out, columns[i]);
        any = true;
    }
    return any;
}

/* "Its new half was not written", as far as there is one. */
static void new_unwritten(struct buf *out, const struct eng_table *table, size_t k)
{
    const struct eng_dual *old = &table->duals[k];

    for (size_t i = 0; i < table->nduals; i++)
        if (i == k || (old->group && table->duals[i].group == old->group))
            if (table->duals[i].new_name)
                buf_printf(out, " AND NOT segue_new_%zu", i);
}

/* Appends "written by its old name or ..." of old columns that `up` reads beside its own. */
static bool old_written(struct buf *out, const struct eng_table *table, const struct eng_dual *dual,
                        enum eng_direction dir)
{
    bool any = false;

    for (size_t i = 0; is_pair(dual) && dir == ENG_REVERSE && i < dual->nup_columns; i++) {
        const char *column = dual->up_columns[i];

        for (size_t k = 0; !is_own(dual, column) && k < table->nduals; k++) {
            const char *old = table->duals[k].old_name;

            if (!old || strcmp(old, column) != 0)
                continue;
            buf_printf(out, "%s(segue_old_%zu", any ? " OR " : "", k);
            new_unwritten(out, table, k);
            buf_append_str(out, ")");
            any = true;
        }
    }
    return any;
}

/* Does "in step" say anything of other columns? */
static bool reads(const struct eng_dual *dual)
{
    struct buf ignored = {0};
    bool yes =
        read_changed(&ignored, dual, ENG_FORWARD) || read_changed(&ignored, dual, ENG_REVERSE);

    buf_fini(&ignored);
    return yes;
}

bool guard_reads_any(const struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++)
        if (reads(&table->duals[i]))
            return true;
    return false;
}

char *guard_reads_quiet(const struct eng_table *table, const struct eng_dual *dual,
                        enum eng_direction dir)
{
    struct buf ignored = {0}, out = {0};
    struct guard_side side = guard_side(dual, dir, "NEW.");

    if (read_changed(&ignored, dual, dir))
        guard_compare(&out, "NEW.", side.target, EQUALS, side.to_target);
    if (old_written(&ignored, table, dual, dir)) {
        buf_append_str(&out, out.len ? " AND " : "");
        guard_compare(&out, "NEW.", side.source, EQUALS, side.to_source);
    }
    guard_side_fini(&side);
    buf_fini(&ignored);
    return out.len ? buf_take(&out) : NULL;
}

/* ---- the trigger's body ---- */

void guard_reads_declare(struct buf *out, const struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++) {
        if (table->duals[i].old_name)
            buf_printf(out, "  segue_old_%zu pg_catalog.bool := false;\n", i);
        if (table->duals[i].new_name)
            buf_printf(out, "  segue_new_%zu pg_catalog.bool := false;\n", i);
    }
}

void guard_reads_note(struct buf *out, const struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        const char *const names[] = {dual->old_name, dual->new_name};

        for (size_t k = 0; k < ARRAY_LEN(names); k++) {
            char *name = names[k] ? sql_quote_ident(names[k]) : NULL;
            const char *side = k ? "new" : "old";

            if (!name)
                continue;
            buf_printf(out, "  segue_%s_%zu := NEW.%s " IS_NOT_NULL ";\n  IF " UPDATES " THEN\n",
                       side, i, name);
            buf_printf(out, "    segue_%s_%zu := ", side, i);
            guard_changed(out, names[k]);
            buf_append_str(out, ";\n  END IF;\n");
            free(name);
        }
    }
}

static void set(struct buf *out, const char *column, const char *value)
{
    char *name = sql_quote_ident(column);

    buf_printf(out, " THEN\n      NEW.%s := %s;\n", name, value);
    free(name);
}

/* As verify sees it: after the cut-over a NULL in the old half may be what it was made of. */
static char *in_step(const struct eng_dual *dual, const struct guard_side *side,
                     enum eng_direction dir)
{
    char *strict = eng_dual_in_step(dual, dir, "NEW.");
    struct buf out = {0};

    if (dir == ENG_FORWARD)
        return strict;
    buf_printf(&out, "(%s OR ", strict);
    guard_compare(&out, "NEW.", side->source, EQUALS, side->to_source);
    buf_append_str(&out, ")");
    free(strict);
    return buf_take(&out);
}

static void dual_rules(struct buf *out, const struct eng_table *table, size_t i,
                       enum eng_direction dir)
{
    const struct eng_dual *dual = &table->duals[i];
    const char *source = dir == ENG_FORWARD ? "old" : "new";
    const char *target = dir == ENG_FORWARD ? "new" : "old";
    struct guard_side side = guard_side(dual, dir, "NEW.");
    char *step = in_step(dual, &side, dir);
    struct buf test = {0};

    if (old_written(&test, table, dual, dir)) {
        buf_printf(out, "    IF " UPDATES " AND NOT segue_new_%zu AND (%s)", i, test.data);
        set(out, side.source, side.to_source);
        buf_append_str(out, "    ELSIF ");
    } else {
        buf_append_str(out, "    IF ");
    }
    buf_printf(out, "NOT %s AND segue_%s_%zu AND NOT segue_%s_%zu", step, target, i, source, i);
    set(out, side.source, side.to_source);
    buf_printf(out, "    ELSIF NOT %s", step);
    set(out, side.target, side.to_target);
    buf_reset(&test);
    if (read_changed(&test, dual, dir)) { /* there is no OLD row to look at in an INSERT */
        buf_printf(out, "    ELSIF " UPDATES " AND NOT segue_%s_%zu THEN\n      IF %s", target, i,
                   test.data);
        set(out, side.target, side.to_target);
        buf_append_str(out, "      END IF;\n");
    }
    buf_append_str(out, "    END IF;\n");
    buf_fini(&test);
    free(step);
    guard_side_fini(&side);
}

/* What one pair is given another one may read: as many rounds as there are pairs settle that, since
 * what a follower was made of is not made itself. */
void guard_reads_rules(struct buf *out, const struct eng_table *table, enum eng_direction dir)
{
    size_t n = 0;

    for (size_t i = 0; i < table->nduals; i++)
        n += reads(&table->duals[i]);
    buf_printf(out, "  FOR segue_round IN 1..%zu LOOP\n", n);
    for (size_t i = 0; i < table->nduals; i++)
        if (reads(&table->duals[i]))
            dual_rules(out, table, i, dir);
    buf_append_str(out, "  END LOOP;\n");
}
