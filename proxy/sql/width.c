#include "width.h"

#include "name.h"
#include "star.h"

static size_t sum(size_t a, size_t b)
{
    return a == SQL_WIDTH_UNKNOWN || b == SQL_WIDTH_UNKNOWN ? SQL_WIDTH_UNKNOWN : a + b;
}

bool sql_is_star(const struct sql_node *expr)
{
    const struct sql_node *fields = sql_tree_get(sql_tree_get(expr, "ColumnRef"), "fields");
    const struct sql_node *steps = sql_tree_get(sql_tree_get(expr, "A_Indirection"), "indirection");
    const struct sql_node *list = fields ? fields : steps;

    return list && sql_tree_get(sql_node_at(list, sql_node_size(list) - 1), "A_Star");
}

size_t sql_width_of_row(const struct sql_node *values)
{
    for (size_t i = 0; i < sql_node_size(values); i++)
        if (sql_is_star(sql_node_at(values, i)))
            return SQL_WIDTH_UNKNOWN;
    return sql_node_size(values);
}

/* ---- what stars mean ---- */

static size_t width_of_place(const struct sql_work *w, const struct sql_place *place)
{
    size_t width = 0;

    if (place->kind != SQL_PLACE_MIGRATING)
        return place->width;
    for (size_t i = 0; i < place->rule->ncolumns; i++)
        width += !sql_work_hides(w, place->rule, &place->rule->columns[i]);
    return width > 0 ? width : SQL_WIDTH_UNKNOWN;
}

/* Columns that USING makes one of two, in a FROM or an item of it. */
static size_t merged(const struct sql_node *node)
{
    const struct sql_node *join = sql_tree_get(node, "JoinExpr");
    size_t n = 0;

    SQL_NODE_EACH_ITEM(item, node)
        n += merged(item);
    if (!join)
        return n;
    return sql_node_size(sql_tree_get(join, "usingClause")) + merged(sql_tree_get(join, "larg")) +
           merged(sql_tree_get(join, "rarg"));
}

static size_t width_of_all(const struct sql_work *w, const struct sql_scope *scope)
{
    size_t twice, width = 0;

    if (!sql_work_spend(w, scope->n))
        return SQL_WIDTH_UNKNOWN;
    twice = merged(scope->from);

    for (size_t i = 0; i < scope->n; i++)
        if (!scope->places[i].qualified_only)
            width = sum(width, width_of_place(w, &scope->places[i]));
    if (width == SQL_WIDTH_UNKNOWN || scope->natural || width < twice)
        return SQL_WIDTH_UNKNOWN;
    return width - twice;
}

/* c.*, s.c.* */
static size_t width_of_named(const struct sql_work *w, struct sql_scope *scope,
                             const struct sql_node *star)
{
    const char *qualifier;
    const struct sql_place *place = sql_star_place(w, scope, star, &qualifier);

    return place && sql_place_is_unique(w, scope, place) ? width_of_place(w, place)
                                                         : SQL_WIDTH_UNKNOWN;
}

/* (c).* */
static size_t width_of_fields(struct sql_work *w, struct sql_scope *scope,
                              const struct sql_node *steps)
{
    const struct sql_node *fields =
        sql_tree_get(sql_tree_get(sql_tree_get(steps, "arg"), "ColumnRef"), "fields");
    const char *row = sql_tree_string(sql_node_at(fields, 0));
    const struct sql_place *place =
        row && sql_node_size(fields) == 1 ? sql_name_row(w, scope, row) : NULL;

    return place && sql_star_is_of(steps) ? width_of_place(w, place) : SQL_WIDTH_UNKNOWN;
}

static size_t width_of_value(struct sql_work *w, struct sql_scope *scope,
                             const struct sql_node *value)
{
    const struct sql_node *ref = sql_tree_get(value, "ColumnRef");

    if (!sql_is_star(value))
        return 1;
    if (!ref)
        return width_of_fields(w, scope, sql_tree_get(value, "A_Indirection"));
    return sql_node_size(sql_tree_get(ref, "fields")) == 1 ? width_of_all(w, scope)
                                                           : width_of_named(w, scope, ref);
}

size_t sql_width_of_targets(struct sql_work *w, struct sql_scope *scope,
                            const struct sql_node *targets)
{
    size_t width = 0;

    SQL_NODE_EACH_ITEM(item, targets) {
        const struct sql_node *target = sql_tree_get(item, "ResTarget");

        width = sum(width, width_of_value(w, scope, sql_tree_get(target, "val")));
    }
    return width;
}

/* ---- what is no query ---- */

size_t sql_width_of_function(const struct sql_node *function)
{
    size_t n = sql_node_size(sql_scope_listed(function));

    return n ? n + sql_node_is_true(sql_tree_get(function, "ordinality")) : SQL_WIDTH_UNKNOWN;
}

size_t sql_width_of_cte(const struct sql_node *cte, size_t width)
{
    size_t more = (sql_tree_get(cte, "search_clause") ? 1 : 0) +
                  (sql_tree_get(cte, "cycle_clause") ? 2 : 0); /* the mark, and the path */

    return sum(width, more);
}
