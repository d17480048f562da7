#include "guard_group.h"

#include <stdlib.h>
#include <string.h>

#include "guard_text.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"

/* num_nonnulls, unlike IS NOT NULL, takes a composite value with a NULL in it for a value */
#define WRITTEN "pg_catalog.num_nonnulls(%s) OPERATOR(pg_catalog.>) 0"
#define EMPTY "pg_catalog.num_nonnulls(%s) OPERATOR(pg_catalog.=) 0"
#define NULLS "pg_catalog.num_nulls(%s) OPERATOR(pg_catalog.>) 0"

bool guard_group_leads(const struct eng_table *table, size_t i)
{
    const struct eng_dual *dual = &table->duals[i];

    for (size_t k = 0; dual->group && k < i; k++)
        if (table->duals[k].group == dual->group)
            return false;
    return dual->group != 0;
}

/* ---- the two sides ---- */

struct side { /* members of one side; borrowed */
    const struct eng_dual **v;
    size_t n;
};

struct sides { /* as the direction sees them: `target` follows */
    struct side source, target;
};

static void add(struct side *side, const struct eng_table *table, const struct eng_dual *dual)
{
    if (!side->v)
        side->v = mem_calloc(table->nduals, sizeof(*side->v));
    side->v[side->n++] = dual;
}

static struct sides sides_of(const struct eng_table *table, int group, enum eng_direction dir)
{
    struct sides sides = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (dual->group == group)
            add((dual->old_name != NULL) == (dir == ENG_FORWARD) ? &sides.source : &sides.target,
                table, dual);
    }
    return sides;
}

static void sides_fini(struct sides *sides)
{
    free(sides->source.v);
    free(sides->target.v);
}

static const char *name_of(const struct eng_dual *dual)
{
    return dual->old_name ? dual->old_name : dual->new_name;
}

/* What the other side makes of it. */
static char *made(const struct eng_dual *dual, const char *row)
{
    return dual->old_name ? guard_down(dual, row) : guard_up(dual, row);
}

static bool is_any(const struct eng_dual *dual)
{
    (void)dual;
    return true;
}

static bool is_not_null(const struct eng_dual *dual)
{
    return dual->not_null;
}

static bool has_default(const struct eng_dual *dual)
{
    return dual->def != NULL;
}

/* "NEW.a, NEW.b" of those that `are`; heap, empty when none is. */
static char *columns(const struct side *side, const char *row,
                     bool (*are)(const struct eng_dual *dual))
{
    struct buf out = {0};

    buf_append_str(&out, "");
    for (size_t i = 0; i < side->n; i++) {
        if (!are(side->v[i]))
            continue;
        buf_printf(&out, "%s%s", out.len ? ", " : "", row);
        sql_quote_ident_put(&out, name_of(side->v[i]));
    }
    return buf_take(&out);
}

static char *values(const struct side *side, const char *row)
{
    struct buf out = {0};

    for (size_t i = 0; i < side->n; i++) {
        char *value = made(side->v[i], row);

        buf_printf(&out, "%s%s", i ? ", " : "", value);
        free(value);
    }
    return buf_take(&out);
}

/* Appends `fmt` of the columns that `are`, behind `before`; nothing when there are none. */
static void append_test(struct buf *out, const char *before, const char *fmt,
                        const struct side *side, const char *row,
                        bool (*are)(const struct eng_dual *dual))
{
    char *list = columns(side, row, are);
    const char *at = strstr(fmt, "%s");

    if (*list)
        buf_printf(out, "%s%.*s%s%s", before, (int)(at - fmt), fmt, list, at + 2);
    free(list);
}

/* ---- in step ---- */

char *guard_group_in_step(const struct eng_table *table, int group, enum eng_direction dir,
                          const char *row)
{
    struct sides sides = sides_of(table, group, dir);
    char *source = columns(&sides.source, row, is_any), *back = values(&sides.source, row);
    char *target = columns(&sides.target, row, is_any), *follows = values(&sides.target, row);
    char *out = mem_printf("(ROW(%s)::record " EQUALS " ROW(%s)::record OR (" WRITTEN
                           " AND ROW(%s)::record " EQUALS " ROW(%s)::record))",
                           target, follows, target, source, back);

    free(follows);
    free(target);
    free(back);
    free(source);
    sides_fini(&sides);
    return out;
}

/* In step, and nothing is left out that an INSERT wants: a NOT NULL member of the truth, which the
 * other side's writer does not know, or a default of a member of the side that was written. */
char *guard_group_quiet(const struct eng_table *table, int group, enum eng_direction dir)
{
    struct sides sides = sides_of(table, group, dir);
    char *in_step = guard_group_in_step(table, group, dir, "NEW.");
    struct buf out = {0};
    bool defaults = false;

    for (size_t i = 0; i < sides.target.n; i++)
        defaults |= has_default(sides.target.v[i]);
    buf_printf(&out, "(%s", in_step);
    append_test(&out, " AND NOT ", NULLS, &sides.source, "NEW.", is_not_null);
    if (defaults) {
        append_test(&out, " AND NOT (", NULLS, &sides.target, "NEW.", has_default);
        append_test(&out, " AND ", WRITTEN, &sides.target, "NEW.", is_any);
        append_test(&out, " AND ", EMPTY, &sides.source, "NEW.", is_any);
        buf_append_str(&out, ")");
    }
    buf_append_str(&out, ")");
    free(in_step);
    sides_fini(&sides);
    return buf_take(&out);
}

/* ---- the trigger's body ---- */

static void set_all(struct buf *out, const char *indent, const struct side *side)
{
    for (size_t i = 0; i < side->n; i++) {
        char *name = sql_quote_ident(name_of(side->v[i])), *value = made(side->v[i], "NEW.");

        buf_printf(out, "%sNEW.%s := %s;\n", indent, name, value);
        free(value);
        free(name);
    }
}

/* Without touching what is there. */
static void set_missing(struct buf *out, const char *indent, const struct side *side,
                        bool by_default)
{
    for (size_t i = 0; i < side->n; i++) {
        const struct eng_dual *dual = side->v[i];
        const char *type = dual->old_name ? dual->old_type : dual->new_type;
        char *name, *value;

        if (by_default && !dual->def)
            continue;
        name = sql_quote_ident(name_of(dual));
        value = !by_default      ? made(dual, "NEW.")
                : dual->def_call ? mem_strdup(dual->def_call)
                                 : mem_printf("(%s\n)::%s", dual->def, type);
        buf_printf(out, "%sIF NEW.%s IS NOT DISTINCT FROM NULL THEN NEW.%s := %s; END IF;\n",
                   indent, name, name, value);
        free(value);
        free(name);
    }
}

static void changed_any(struct buf *out, const struct side *side)
{
    for (size_t i = 0; i < side->n; i++) {
        buf_append_str(out, i ? " OR " : "");
        guard_changed(out, name_of(side->v[i]));
    }
}

static void insert_rules(struct buf *out, const struct sides *sides)
{
    struct buf missing = {0};

    append_test(out, "    IF ", WRITTEN, &sides->target, "NEW.", is_any);
    buf_append_str(out, " THEN\n");
    set_missing(out, "      ", &sides->target, true);
    set_all(out, "      ", &sides->source);
    buf_append_str(out, "    ELSE\n");
    append_test(&missing, "      IF ", NULLS, &sides->source, "NEW.", is_not_null);
    if (missing.len) { /* nobody who knows the truth would leave that out */
        buf_printf(out, "%s THEN\n", missing.data);
        set_missing(out, "        ", &sides->target, true);
        set_missing(out, "        ", &sides->source, false);
        buf_append_str(out, "      END IF;\n");
    }
    set_all(out, "      ", &sides->target);
    buf_append_str(out, "    END IF;\n");
    buf_fini(&missing);
}

/* A row that was not filled: what the statement did not write is what `to` makes of the truth. */
static void fill_rest(struct buf *out, const struct side *target)
{
    append_test(out, "      IF ", EMPTY, target, "OLD.", is_any);
    buf_append_str(out, " THEN\n");
    for (size_t i = 0; i < target->n; i++) {
        char *name = sql_quote_ident(name_of(target->v[i])), *value = made(target->v[i], "NEW.");

        buf_append_str(out, "        IF NOT (");
        guard_changed(out, name_of(target->v[i]));
        buf_printf(out, ") THEN NEW.%s := %s; END IF;\n", name, value);
        free(value);
        free(name);
    }
    buf_append_str(out, "      END IF;\n");
}

void guard_group_rules(struct buf *out, const struct eng_table *table, int group,
                       enum eng_direction dir)
{
    struct sides sides = sides_of(table, group, dir);
    char *in_step = guard_group_in_step(table, group, dir, "NEW.");
    char *quiet = guard_group_quiet(table, group, dir);

    buf_printf(out, "  IF " INSERTS " AND NOT %s THEN\n", quiet);
    insert_rules(out, &sides);
    buf_printf(out, "  ELSIF " UPDATES " AND NOT %s THEN\n    IF ", in_step);
    changed_any(out, &sides.source);
    buf_append_str(out, " THEN\n");
    set_all(out, "      ", &sides.target);
    buf_append_str(out, "    ELSIF ");
    changed_any(out, &sides.target);
    buf_append_str(out, " THEN\n");
    fill_rest(out, &sides.target);
    set_all(out, "      ", &sides.source);
    append_test(out, "    ELSIF ", EMPTY, &sides.target, "NEW.", is_any);
    buf_append_str(out, " THEN\n");
    set_all(out, "      ", &sides.target);
    append_test(out, "    ELSIF ", WRITTEN, &sides.source, "NEW.", is_any);
    buf_append_str(out, " THEN\n" IF_MOVES);
    set_all(out, "        ", &sides.target);
    buf_append_str(out, "      END IF;\n    END IF;\n  END IF;\n");
    free(quiet);
    free(in_step);
    sides_fini(&sides);
}

/* ---- the backfill ---- */

char *guard_group_fill(const struct eng_table *table, int group)
{
    struct sides sides = sides_of(table, group, ENG_FORWARD);
    char *in_step = guard_group_in_step(table, group, ENG_FORWARD, "");
    char *news = columns(&sides.target, "", is_any);
    struct buf out = {0};

    for (size_t i = 0; i < sides.target.n; i++) {
        char *name = sql_quote_ident(name_of(sides.target.v[i]));
        char *value = made(sides.target.v[i], "");

        /* the first WHEN saves the expressions of the second for nearly every row */
        buf_printf(&out, "%s%s = CASE WHEN " EMPTY " THEN %s WHEN %s THEN %s ELSE %s END",
                   i ? ", " : "", name, news, value, in_step, name, value);
        free(value);
        free(name);
    }
    free(news);
    free(in_step);
    sides_fini(&sides);
    return buf_take(&out);
}

char *guard_group_unfilled(const struct eng_table *table, int group)
{
    struct sides sides = sides_of(table, group, ENG_FORWARD);
    char *in_step = guard_group_in_step(table, group, ENG_FORWARD, "");
    char *olds = columns(&sides.source, "", is_any), *news = columns(&sides.target, "", is_any);
    char *follows = values(&sides.target, "");
    char *out = mem_printf("CASE WHEN " EMPTY " THEN " WRITTEN " OR " WRITTEN " ELSE NOT %s END",
                           news, olds, follows, in_step);

    free(follows);
    free(news);
    free(olds);
    free(in_step);
    sides_fini(&sides);
    return out;
}
