#include "width.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

static size_t sum(size_t a, size_t b)
{
    return a == SQL_WIDTH_UNKNOWN || b == SQL_WIDTH_UNKNOWN ? SQL_WIDTH_UNKNOWN : a + b;
}

static const struct sql_node *value_of(const struct sql_node *targets, size_t i)
{
    return sql_tree_get(sql_tree_get(sql_node_at(targets, i), "ResTarget"), "val");
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

/* ---- stars ---- */

/* What has been written instead of the bytes at `at`; NULL: nothing. */
static const char *edit_at(const struct sql_work *w, uint32_t at)
{
    for (size_t i = 0; i < w->edits.n; i++)
        if (w->edits.items[i].at == at && w->edits.items[i].removed > 0)
            return w->edits.items[i].text;
    return NULL;
}

/* Columns of a query that consists of what has been written instead of something. */
static size_t width_of_edit(const char *front, const char *edit, const char *back)
{
    char *query = mem_printf("%s%s%s", front, edit, back);
    struct sql_nodes *tree = sql_tree_parse(query, NULL, NULL);
    const struct sql_node *targets =
        sql_tree_get(sql_tree_single(sql_nodes_root(tree), "SelectStmt"), "targetList");
    size_t width = sql_node_size(targets);

    for (size_t i = 0; i < sql_node_size(targets); i++)
        if (sql_is_star(value_of(targets, i)))
            width = SQL_WIDTH_UNKNOWN;
    sql_nodes_free(tree);
    free(query);
    return width > 0 ? width : SQL_WIDTH_UNKNOWN;
}

/* TABLE t, which becomes SELECT a, b FROM t. */
static size_t width_of_table(const struct sql_work *w, const struct sql_node *from)
{
    const struct sql_node *range = sql_tree_get(sql_node_at(from, 0), "RangeVar");
    size_t i = sql_tokens_at(&w->tokens, sql_tree_location(range));
    const char *edit = NULL;

    if (i > 0 && i < w->tokens.n && w->tokens.items[i - 1].kind == PG_QUERY__TOKEN__TABLE)
        edit = edit_at(w, w->tokens.items[i - 1].start);
    return edit ? width_of_edit("", edit, " t") : SQL_WIDTH_UNKNOWN;
}

static size_t width_of_from(const struct sql_work *w, const struct sql_node *item)
{
    const struct sql_node *join = sql_tree_get(item, "JoinExpr");
    const struct sql_node *query = sql_tree_get(sql_tree_get(item, "RangeSubselect"), "subquery");

    if (query)
        return sql_width(w, sql_tree_get(query, "SelectStmt"));
    if (!join || sql_tree_get(join, "isNatural") || sql_tree_get(join, "usingClause"))
        return SQL_WIDTH_UNKNOWN;
    return sum(width_of_from(w, sql_tree_get(join, "larg")),
               width_of_from(w, sql_tree_get(join, "rarg")));
}

/* A star that is left as it is may be over sub-selects only. */
static size_t width_of_star(const struct sql_work *w, const struct sql_node *select,
                            const struct sql_node *ref)
{
    const struct sql_node *from = sql_tree_get(select, "fromClause");
    int location = sql_tree_location(ref);
    const char *edit = location > 0 ? edit_at(w, (uint32_t)location) : NULL;
    size_t width = 0;

    if (edit)
        return width_of_edit("SELECT ", edit, "");
    if (sql_node_size(sql_tree_get(ref, "fields")) != 1)
        return SQL_WIDTH_UNKNOWN;
    if (location < 0)
        return width_of_table(w, from);
    for (size_t i = 0; i < sql_node_size(from); i++)
        width = sum(width, width_of_from(w, sql_node_at(from, i)));
    return width;
}

static size_t width_of_targets(const struct sql_work *w, const struct sql_node *select)
{
    const struct sql_node *targets = sql_tree_get(select, "targetList");
    size_t width = 0;

    for (size_t i = 0; i < sql_node_size(targets); i++) {
        const struct sql_node *value = value_of(targets, i);

        width = sum(width, sql_is_star(value)
                               ? width_of_star(w, select, sql_tree_get(value, "ColumnRef"))
                               : 1);
    }
    return width;
}

size_t sql_width(const struct sql_work *w, const struct sql_node *select)
{
    const struct sql_node *lists;

    while (sql_tree_get(select, "larg")) /* all sides of a set operation have the same number */
        select = sql_tree_get(select, "larg");
    lists = sql_tree_get(select, "valuesLists");
    if (lists)
        return sql_width_of_row(sql_tree_get(sql_tree_get(sql_node_at(lists, 0), "List"), "items"));
    return width_of_targets(w, select);
}
