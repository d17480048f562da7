/*
 * The dual-write rules as SQL (DESIGN 5). For a column pair the reverse direction is the forward
 * one with both sides exchanged, so everything is written once over `struct guard_side`. Here:
 * which rows are in step, and how they are filled. The trigger is in guard_trigger.c.
 */
#include "segue/engine/guard.h"

#include <stdlib.h>
#include <string.h>

#include "guard_group.h"
#include "guard_text.h"
#include "nulls.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

char *guard_over_row(const char *expr, const char *type, bool plain, const char *row)
{
    char *text = sql_expr_rename(expr, row, NULL, NULL, 0, true, NULL);
    /* a line comment in the author's text must not swallow what follows */
    const char *end = strstr(expr, "--") ? "\n" : "";
    char *out;

    if (!text) /* cannot be: the planner has parsed it */
        text = mem_strdup(expr);
    if (plain)
        return text;
    out = mem_printf("(%s%s)::%s", text, end, type);
    free(text);
    return out;
}

char *guard_up(const struct eng_dual *dual, const char *row)
{
    return dual->up_call ? mem_strdup(dual->up_call)
                         : guard_over_row(dual->up, dual->new_type, dual->plain, row);
}

char *guard_down(const struct eng_dual *dual, const char *row)
{
    return dual->down_call ? mem_strdup(dual->down_call)
                           : guard_over_row(dual->down, dual->old_type, dual->plain, row);
}

struct guard_side guard_side(const struct eng_dual *dual, enum eng_direction dir, const char *row)
{
    char *up = dual->up ? guard_up(dual, row) : NULL;
    char *down = dual->down ? guard_down(dual, row) : NULL;

    if (dir == ENG_FORWARD || !dual->old_name)
        return (struct guard_side){dual->old_name, dual->new_name, up, down};
    return (struct guard_side){dual->new_name, dual->old_name, down, up};
}

void guard_side_fini(struct guard_side *side)
{
    free(side->to_target);
    free(side->to_source);
}

void guard_compare(struct buf *out, const char *row, const char *column, const char *op,
                   const char *value)
{
    char *name = sql_quote_ident(column);

    buf_printf(out, "ROW(%s%s)::record %s ROW(%s)::record", row, name, op, value);
    free(name);
}

bool guard_has(const struct eng_dual *dual)
{
    return dual->new_name && dual->up && !dual->group;
}

/* ---- in step ---- */

static void added_in_step(struct buf *out, const struct eng_dual *dual,
                          const struct guard_side *side, const char *row)
{
    char *name = sql_quote_ident(side->target);

    buf_printf(out, "(%s%s " IS_NOT_NULL, row, name);
    if (!dual->counts) /* else it gives a value each time, and another one */
        buf_printf(out, " OR %s " IS_NULL, side->to_target);
    buf_append_str(out, ")");
    free(name);
}

const char *guard_collate(const struct eng_dual *dual)
{
    return !strcmp(dual->equality, "text") ? " COLLATE pg_catalog.\"C\"" : "";
}

/* What *= says, for types whose = compares bytes too: it has no records to build, which is most of
 * what a guard with nothing to do costs a row. */
static void same_bytes(struct buf *out, const struct eng_dual *dual, const struct guard_side *side,
                       const char *row)
{
    char *name = sql_quote_ident(side->target);
    char *target = mem_printf("%s%s", row, name);
    const char *collate = guard_collate(dual);

    buf_printf(
        out, "((%s%s OPERATOR(pg_catalog.=) %s%s) IS TRUE OR (%s " IS_NULL " AND %s " IS_NULL "))",
        target, collate, side->to_target, collate, target, side->to_target);
    free(target);
    free(name);
}

static void pair_in_step(struct buf *out, const struct eng_dual *dual,
                         const struct guard_side *side, const char *row)
{
    char *target;

    if (dual->plain && dual->equality) {
        same_bytes(out, dual, side, row);
        return;
    }
    target = sql_quote_ident(side->target);
    buf_append_str(out, "(");
    guard_compare(out, row, side->target, EQUALS, side->to_target);
    if (!dual->plain) {
        buf_printf(out, " OR (%s%s " IS_NOT_NULL " AND ", row, target);
        guard_compare(out, row, side->source, EQUALS, side->to_source);
        buf_append_str(out, ")");
    }
    buf_append_str(out, ")");
    free(target);
}

char *eng_dual_in_step(const struct eng_dual *dual, enum eng_direction dir, const char *row)
{
    struct guard_side side;
    struct buf out = {0};

    if (!guard_has(dual) || (!dual->old_name && dir == ENG_REVERSE))
        return mem_strdup("true");
    side = guard_side(dual, dir, row);
    if (side.source)
        pair_in_step(&out, dual, &side, row);
    else
        added_in_step(&out, dual, &side, row);
    guard_side_fini(&side);
    return buf_take(&out);
}

char *eng_table_in_step(const struct eng_table *table, enum eng_direction dir, const char *row)
{
    struct buf out = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *one = guard_group_leads(table, i) ? guard_group_in_step(table, dual->group, dir, row)
                                                : eng_dual_in_step(dual, dir, row);

        if (strcmp(one, "true"))
            buf_printf(&out, "%s%s", out.len ? " AND " : "", one);
        free(one);
    }
    if (!out.len)
        buf_append_str(&out, "true");
    return buf_take(&out);
}

char *eng_table_settings_sql(const struct eng_table *table)
{
    static const char word[] = " SET ";
    struct buf out = {0};
    bool quoted = false;

    for (const char *at = table->settings; at && *at; at++) {
        quoted ^= *at == '\'';
        if (quoted || strncmp(at, word, sizeof(word) - 1) != 0) {
            buf_append(&out, at, 1);
            continue;
        }
        buf_append_str(&out, out.len ? ";\nSET LOCAL " : "SET LOCAL ");
        at += sizeof(word) - 2;
    }
    if (!out.len)
        return mem_strdup("");
    buf_append_str(&out, ";\n");
    return buf_take(&out);
}

char *eng_table_fill(const struct eng_table *table)
{
    struct buf out = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        struct guard_side side;
        char *name, *in_step;

        if (guard_group_leads(table, i)) {
            char *group = guard_group_fill(table, dual->group);

            buf_printf(&out, "%s%s", out.len ? ", " : "", group);
            free(group);
        }
        if (!guard_has(dual))
            continue;
        side = guard_side(dual, ENG_FORWARD, "");
        name = sql_quote_ident(dual->new_name);
        in_step = eng_dual_in_step(dual, ENG_FORWARD, "");
        buf_append_str(&out, out.len ? ", " : "");
        if (dual->plain)
            buf_printf(&out, "%s = %s", name, side.to_target);
        else if (!dual->old_name)
            buf_printf(&out, "%s = COALESCE(%s, %s)", name, name, side.to_target);
        else
            /* the first WHEN saves an `up` for nearly every row */
            buf_printf(&out, "%s = CASE WHEN %s " IS_NULL " THEN %s WHEN %s THEN %s ELSE %s END",
                       name, name, side.to_target, in_step, name, side.to_target);
        free(in_step);
        free(name);
        guard_side_fini(&side);
    }
    return buf_take(&out);
}

/* Cheap for the rows that matter: `up` is not evaluated to find out that n is still NULL. */
static char *dual_unfilled(const struct eng_dual *dual)
{
    char *in_step = eng_dual_in_step(dual, ENG_FORWARD, "");
    char *o, *n, *out;
    struct guard_side side;

    if (dual->plain || !dual->old_name || !guard_has(dual)) {
        out = mem_printf("NOT (%s)", in_step);
        free(in_step);
        return out;
    }
    side = guard_side(dual, ENG_FORWARD, "");
    o = sql_quote_ident(dual->old_name);
    n = sql_quote_ident(dual->new_name);
    out = mem_printf("CASE WHEN %s " IS_NULL " THEN %s " IS_NOT_NULL " OR %s " IS_NOT_NULL
                     " ELSE NOT (%s) END",
                     n, o, side.to_target, in_step);
    guard_side_fini(&side);
    free(in_step);
    free(n);
    free(o);
    return out;
}

char *eng_table_unfilled(const struct eng_table *table)
{
    struct buf out = {0};

    for (int plain = 1; plain >= 0; plain--) { /* byte comparisons first: OR stops at the first */
        for (size_t i = 0; i < table->nduals; i++) {
            const struct eng_dual *dual = &table->duals[i];
            bool leads = guard_group_leads(table, i);
            char *one;

            if (dual->plain != (bool)plain || (!leads && !guard_has(dual)))
                continue;
            one = leads ? guard_group_unfilled(table, dual->group) : dual_unfilled(dual);
            buf_printf(&out, "%s%s", out.len ? " OR " : "", one);
            free(one);
        }
    }
    if (!out.len)
        buf_append_str(&out, "false");
    return buf_take(&out);
}
