/*
 * The guard itself: the trigger's function, what its WHEN says, and how it goes. The rules are
 * DESIGN 5's table; their pieces are in guard.c and guard_group.c.
 */
#include <stdlib.h>
#include <string.h>

#include "guard_calls.h"
#include "guard_group.h"
#include "guard_reads.h"
#include "guard_text.h"
#include "nulls.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "turned.h"

#define TRIGGER "\"~segue_guard\""

/* A column that only goes, and is filled for those who do not know it any more. */
static bool is_going(const struct eng_dual *dual)
{
    return !dual->new_name && dual->down && !dual->group;
}

/* Before the cut-over a column that goes belongs to its application: a NULL that it may write stays
 * NULL. Only where none may be, a row without a value is of somebody who does not know the column.
 */
static char *going_quiet(const struct eng_dual *dual, enum eng_direction dir)
{
    char *name = sql_quote_ident(dual->old_name), *value;
    struct buf out = {0};

    if (dir == ENG_FORWARD && !dual->not_null) {
        buf_append_str(&out, "true");
    } else if (dir == ENG_FORWARD || dual->nup_columns == 0) {
        buf_printf(&out, "NEW.%s " IS_NOT_NULL, name);
    } else {
        value = guard_down(dual, "NEW.");
        buf_append_str(&out, "(");
        guard_compare(&out, "NEW.", dual->old_name, EQUALS, value);
        buf_append_str(&out, ")");
        free(value);
    }
    free(name);
    return buf_take(&out);
}

/* Is the truth NOT NULL and the side that follows not? Then who inserts by the latter may leave
 * both out, and gets a value through the other expression. */
static bool is_stricter(const struct eng_dual *dual, enum eng_direction dir)
{
    bool source = dir == ENG_FORWARD ? dual->old_not_null : dual->not_null;
    bool target = dir == ENG_FORWARD ? dual->not_null : dual->old_not_null;

    return dual->old_name && dual->new_name && !dual->plain && source && !target;
}

static char *pair_quiet(const struct eng_dual *dual, enum eng_direction dir)
{
    char *in_step = eng_dual_in_step(dual, dir, "NEW."), *source, *out;

    if (!is_stricter(dual, dir))
        return in_step;
    source = sql_quote_ident(dir == ENG_FORWARD ? dual->old_name : dual->new_name);
    out = mem_printf("(%s AND NEW.%s " IS_NOT_NULL ")", in_step, source);
    free(source);
    free(in_step);
    return out;
}

/* When the trigger may be skipped. For an added column this is not "in step": an update of what
 * `up` reads must be seen, and WHEN knows no OLD row in a trigger that also serves INSERT. */
static char *quiet(const struct eng_dual *dual, enum eng_direction dir)
{
    struct guard_side side;
    struct buf out = {0};
    char *name;

    if (is_going(dual))
        return going_quiet(dual, dir);
    if (dual->old_name || !guard_has(dual))
        return pair_quiet(dual, dir);
    if (dir == ENG_REVERSE && dual->nup_columns == 0 && (!dual->not_null || dual->def))
        return mem_strdup("true"); /* a NULL, or its default, is what such a row is to have */
    side = guard_side(dual, dir, "NEW.");
    name = sql_quote_ident(dual->new_name);
    if (dir == ENG_REVERSE || dual->nup_columns == 0) {
        buf_printf(&out, "NEW.%s " IS_NOT_NULL, name);
    } else {
        buf_append_str(&out, "(");
        guard_compare(&out, "NEW.", dual->new_name, EQUALS, side.to_target);
        buf_append_str(&out, ")");
    }
    free(name);
    guard_side_fini(&side);
    return buf_take(&out);
}

void guard_changed(struct buf *out, const char *column)
{
    char *name = sql_quote_ident(column);
    char *old = mem_printf("OLD.%s", name);

    guard_compare(out, "NEW.", column, DIFFERS, old);
    free(old);
    free(name);
}

static void pair_rules(struct buf *out, const struct eng_dual *dual, const struct guard_side *side,
                       enum eng_direction dir, const char *in_step)
{
    char *source = sql_quote_ident(side->source);
    char *target = sql_quote_ident(side->target);

    buf_printf(out, "  IF NOT %s THEN\n    IF " INSERTS " THEN\n", in_step);
    buf_printf(out, "      IF NEW.%s " IS_NOT_NULL " THEN\n        NEW.%s := %s;\n", target, source,
               side->to_source);
    buf_printf(out, "      ELSE\n        NEW.%s := %s;\n", target, side->to_target);
    if (is_stricter(dual, dir))
        buf_printf(out,
                   "        IF NEW.%s " IS_NULL " THEN\n          NEW.%s := %s;\n        END IF;\n",
                   source, source, side->to_source);
    buf_append_str(out, "      END IF;\n    ELSIF ");
    guard_changed(out, side->source);
    buf_printf(out, " THEN\n      NEW.%s := %s;\n    ELSIF ", target, side->to_target);
    guard_changed(out, side->target);
    buf_printf(out, " THEN\n      NEW.%s := %s;\n", source, side->to_source);
    buf_printf(out, "    ELSIF NEW.%s " IS_NULL " THEN\n      NEW.%s := %s;\n", target, target,
               side->to_target);
    buf_printf(out, "    ELSIF NEW.%s " IS_NOT_NULL " THEN\n", source);
    buf_append_str(out, IF_MOVES);
    buf_printf(out, "        NEW.%s := %s;\n      END IF;\n    END IF;\n  END IF;\n", target,
               side->to_target);
    free(source);
    free(target);
}

static void added_rules(struct buf *out, const struct eng_dual *dual, const struct guard_side *side,
                        enum eng_direction dir)
{
    char *name = sql_quote_ident(side->target);

    if (dir == ENG_REVERSE) {
        buf_printf(out, "  IF " INSERTS " AND NEW.%s " IS_NULL " THEN\n    NEW.%s := %s;\n", name,
                   name, side->to_target);
        buf_append_str(out, "  END IF;\n");
        free(name);
        return;
    }
    buf_printf(out, "  IF NEW.%s " IS_NULL, name);
    if (dual->nup_columns > 0) {
        buf_append_str(out, " THEN\n    ");
        buf_printf(out, "NEW.%s := %s;\n  ELSIF " UPDATES " THEN\n    IF NOT (", name,
                   side->to_target);
        guard_changed(out, dual->new_name);
        buf_append_str(out, ") AND (");
        for (size_t i = 0; i < dual->nup_columns; i++) {
            buf_append_str(out, i ? " OR " : "");
            guard_changed(out, dual->up_columns[i]);
        }
        buf_printf(out, ") THEN\n      NEW.%s := %s;\n    END IF;\n  END IF;\n", name,
                   side->to_target);
    } else {
        buf_printf(out, " THEN\n    NEW.%s := %s;\n  END IF;\n", name, side->to_target);
    }
    free(name);
}

/* The column that goes follows what its `down` reads, unless the statement writes it itself. */
static void going_rules(struct buf *out, const struct eng_dual *dual, enum eng_direction dir)
{
    char *name = sql_quote_ident(dual->old_name);
    char *value = guard_down(dual, "NEW.");

    buf_printf(out,
               "  IF " INSERTS " THEN\n    IF NEW.%s " IS_NULL " THEN\n      NEW.%s := %s;\n"
               "    END IF;\n",
               name, name, value);
    if (dir == ENG_REVERSE && dual->nup_columns > 0) {
        buf_append_str(out, "  ELSIF NOT (");
        guard_changed(out, dual->old_name);
        buf_append_str(out, ") AND (");
        for (size_t i = 0; i < dual->nup_columns; i++) {
            buf_append_str(out, i ? " OR " : "");
            guard_changed(out, dual->up_columns[i]);
        }
        buf_printf(out, ") THEN\n    NEW.%s := %s;\n", name, value);
    }
    buf_append_str(out, "  END IF;\n");
    free(value);
    free(name);
}

/* What an `up` reads must be right before it is read: renames first, then pairs and groups, which
 * others may read, then the columns that are only added, then those that only go. */
enum { RANK_PAIRS = 1, RANKS = 4 };

static int rank_of(const struct eng_dual *dual)
{
    return dual->group       ? RANK_PAIRS
           : !dual->new_name ? 3
           : !dual->old_name ? 2
           : dual->plain     ? 0
                             : RANK_PAIRS;
}

static void dual_rules(struct buf *body, const struct eng_dual *dual, enum eng_direction dir)
{
    char *skip = quiet(dual, dir);

    if (strcmp(skip, "true") && is_going(dual)) {
        going_rules(body, dual, dir);
    } else if (strcmp(skip, "true")) {
        struct guard_side side = guard_side(dual, dir, "NEW.");

        if (side.source)
            pair_rules(body, dual, &side, dir, skip);
        else
            added_rules(body, dual, &side, dir);
        guard_side_fini(&side);
    }
    free(skip);
}

static bool all_plain(const struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++)
        if (!table->duals[i].plain)
            return false;
    return true;
}

static char *guard_function(const struct eng_table *table, enum eng_direction dir,
                            const char *function)
{
    bool reads = guard_reads_any(table);
    struct buf body = {0}, out = {0};
    char *literal;

    buf_append_str(&body, "DECLARE\n" MOVES_DECLARE);
    if (reads)
        guard_reads_declare(&body, table);
    buf_append_str(&body, "BEGIN\n");
    if (reads)
        guard_reads_note(&body, table);
    for (int rank = 0; rank < RANKS; rank++) {
        for (size_t i = 0; i < table->nduals; i++)
            if (guard_group_leads(table, i) && rank_of(&table->duals[i]) == rank)
                guard_group_rules(&body, table, table->duals[i].group, dir);
            else if (rank_of(&table->duals[i]) == rank)
                dual_rules(&body, &table->duals[i], dir);
        if (reads && rank == RANK_PAIRS)
            guard_reads_rules(&body, table, dir);
    }
    buf_append_str(&body, "  RETURN NEW;\nEND");
    literal = sql_quote_literal(body.data);
    buf_printf(&out, "CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql", function);
    /* expressions of the file mean what they meant to its author, whoever writes the row; plain
     * renames name nothing that a search_path could change */
    if (!all_plain(table) && table->search_path)
        buf_printf(&out, " SET search_path = %s", table->search_path);
    if (table->settings)
        buf_append_str(&out, table->settings);
    if (strchr(body.data, '\\')) /* the writer's setting says how the body's literals are read */
        buf_append_str(&out, " SET standard_conforming_strings = on");
    buf_printf(&out, " AS %s", literal);
    free(literal);
    buf_fini(&body);
    return buf_take(&out);
}

static bool is_said_by_when(const struct eng_dual *dual)
{
    bool says = (dual->old_name && dual->new_name) || dual->group || dual->nup_columns == 0;

    return dual->plain || (says && !dual->varies);
}

static void put_read(struct buf *out, const char *expr)
{
    struct sql_expr_info info;

    if (!expr || sql_expr_parse(expr, &info, NULL) != RC_OK)
        return;
    for (size_t i = 0; i < info.ncolumns; i++) {
        buf_append_str(out, " OR NEW.");
        sql_quote_ident_put(out, info.columns[i]);
        buf_append_str(out, " " IS_NULL);
    }
    sql_expr_info_fini(&info);
}

/* What the function reads and WHEN does not ask: a column that WHEN says nobody can drop, or give
 * another type (2BP01, 0A000), whereas who writes would get an error from a function that does not
 * find it. The server strikes this out before it looks at a row. */
static void keep_columns(struct buf *out, const struct eng_table *table)
{
    struct buf read = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (is_said_by_when(dual))
            continue;
        put_read(&read, dual->up);
        put_read(&read, dual->down);
    }
    if (read.len)
        buf_printf(out, " AND (true%s)", read.data);
    buf_fini(&read);
}

/* WHEN is judged under the writer's settings, the function under its own: where they matter, the
 * function alone decides. */
static char *guard_when(const struct eng_table *table, enum eng_direction dir)
{
    struct buf out = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        char *one = guard_group_leads(table, i) ? guard_group_quiet(table, dual->group, dir)
                                                : quiet(dual, dir);
        char *reads = guard_reads_quiet(table, dual, dir);

        if (strcmp(one, "true"))
            buf_printf(&out, "%s%s", out.len ? " AND " : "",
                       table->duals[i].varies ? "false" : one);
        if (reads && !dual->varies)
            buf_printf(&out, " AND %s", reads);
        free(reads);
        free(one);
    }
    if (!out.len)
        buf_append_str(&out, "true");
    keep_columns(&out, table);
    return buf_take(&out);
}

/* ---- WHEN of renames alone ---- */

static bool all_same_bytes(const struct eng_table *table)
{
    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];

        if (!dual->plain || !dual->equality || dual->varies || !dual->old_name || !guard_has(dual))
            return false;
    }
    return table->nduals > 0;
}

/* "Not in step", as short as it can be said: every statement that writes the table reads the tree
 * of WHEN anew, and for one of one row that was half of what a silent guard cost. The = of IS
 * DISTINCT FROM cannot be qualified: under_own_path() sees to it. */
static char *differ_when(const struct eng_table *table, enum eng_direction dir)
{
    struct buf out = {0};

    for (size_t i = 0; i < table->nduals; i++) {
        const struct eng_dual *dual = &table->duals[i];
        struct guard_side side = guard_side(dual, dir, "NEW.");
        const char *collate = guard_collate(dual);

        buf_append_str(&out, i ? " OR NEW." : "NEW.");
        sql_quote_ident_put(&out, side.target);
        buf_printf(&out, "%s IS DISTINCT FROM %s%s", collate, side.to_target, collate);
        guard_side_fini(&side);
    }
    return buf_take(&out);
}

/* `create` where an unqualified operator is PostgreSQL's own, whatever the connection's search_path
 * and whoever made an operator for the type. In one statement: it also runs outside a transaction.
 */
static char *under_own_path(const char *create)
{
    char *body = mem_printf("DECLARE path text := pg_catalog.current_setting('search_path');\n"
                            "BEGIN\n"
                            "  PERFORM pg_catalog.set_config('search_path', 'pg_catalog', true);\n"
                            "  %s;\n"
                            "  PERFORM pg_catalog.set_config('search_path', path, true);\n"
                            "END",
                            create);
    char *literal = sql_quote_literal(body);
    char *out = mem_printf("DO LANGUAGE plpgsql %s", literal);

    free(literal);
    free(body);
    return out;
}

static char *trigger_sql(const struct eng_table *table, enum eng_direction dir,
                         const char *relation, const char *function)
{
    bool differs = all_same_bytes(table);
    char *when = differs ? differ_when(table, dir) : guard_when(table, dir);
    char *create = mem_printf("CREATE OR REPLACE TRIGGER " TRIGGER " BEFORE INSERT OR UPDATE ON %s"
                              " FOR EACH ROW WHEN (%s%s%s) EXECUTE FUNCTION %s()",
                              relation, differs ? "" : "NOT (", when, differs ? "" : ")", function);
    char *out = differs ? under_own_path(create) : mem_strdup(create);

    free(create);
    free(when);
    return out;
}

char **eng_guard_sql(const struct eng_table *table, enum eng_direction dir, size_t *n)
{
    char **sql = mem_calloc(3, sizeof(*sql));
    char *relation = sql_quote_qualified(table->schema, table->name);
    char *function = sql_quote_qualified("segue", table->guard);
    struct eng_table turned;

    eng_turned_init(&turned, table, dir == ENG_REVERSE);
    guard_calls_init(&turned);
    sql[0] = guard_function(&turned, dir, function);
    guard_calls_fini(&turned); /* WHEN is a tree itself */
    sql[1] = trigger_sql(&turned, dir, relation, function);
    sql[2] = mem_printf("ALTER TABLE %s ENABLE ALWAYS TRIGGER " TRIGGER, relation);
    *n = 3;
    eng_turned_fini(&turned);
    free(function);
    free(relation);
    return sql;
}

char *eng_guard_back_sql(const struct eng_table *table)
{
    char *function = sql_quote_qualified("segue", table->guard), *sql;
    struct eng_table named;

    eng_turned_init(&named, table, false);
    guard_calls_init(&named);
    sql = guard_function(&named, ENG_REVERSE, function);
    guard_calls_fini(&named);
    eng_turned_fini(&named);
    free(function);
    return sql;
}

char **eng_guard_drop_sql(const struct eng_table *table, enum eng_direction dir, size_t *n)
{
    bool turned = dir == ENG_REVERSE && table->renamed;
    char **sql = mem_calloc(2, sizeof(*sql));
    char *relation = sql_quote_qualified(table->schema, turned ? table->renamed : table->name);
    char *function = sql_quote_qualified("segue", table->guard);

    sql[0] = mem_printf("DROP TRIGGER IF EXISTS " TRIGGER " ON %s", relation);
    sql[1] = mem_printf("DROP FUNCTION IF EXISTS %s()", function);
    *n = 2;
    free(function);
    free(relation);
    return guard_calls_drop_sql(table, sql, n);
}
