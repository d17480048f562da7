#include "width.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"

static size_t sum(size_t a, size_t b)
{
    return a == SQL_WIDTH_UNKNOWN || b == SQL_WIDTH_UNKNOWN ? SQL_WIDTH_UNKNOWN : a + b;
}

static const json_t *value_of(const json_t *targets, size_t i)
{
    return sql_tree_get(sql_tree_get(json_array_get(targets, i), "ResTarget"), "val");
}

bool sql_is_star(const json_t *expr)
{
    const json_t *fields = sql_tree_get(sql_tree_get(expr, "ColumnRef"), "fields");
    const json_t *steps = sql_tree_get(sql_tree_get(expr, "A_Indirection"), "indirection");
    const json_t *list = fields ? fields : steps;

    return list && sql_tree_get(json_array_get(list, json_array_size(list) - 1), "A_Star");
}

size_t sql_width_of_row(const json_t *values)
{
    for (size_t i = 0; i < json_array_size(values); i++)
        if (sql_is_star(json_array_get(values, i)))
            return SQL_WIDTH_UNKNOWN;
    return json_array_size(values);
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
    json_t *tree = sql_tree_parse(query, NULL, NULL);
    const json_t *targets = sql_tree_get(sql_tree_single(tree, "SelectStmt"), "targetList");
    size_t width = json_array_size(targets);

    for (size_t i = 0; i < json_array_size(targets); i++)
        if (sql_is_star(value_of(targets, i)))
            width = SQL_WIDTH_UNKNOWN;
    json_decref(tree);
    free(query);
    return width > 0 ? width : SQL_WIDTH_UNKNOWN;
}

/* TABLE t, which becomes SELECT a, b FROM t. */
static size_t width_of_table(const struct sql_work *w, const json_t *from)
{
    const json_t *range = sql_tree_get(json_array_get(from, 0), "RangeVar");
    size_t i = sql_tokens_at(&w->tokens, sql_tree_location(range));
    const char *edit = NULL;

    if (i > 0 && i < w->tokens.n && w->tokens.items[i - 1].kind == PG_QUERY__TOKEN__TABLE)
        edit = edit_at(w, w->tokens.items[i - 1].start);
    return edit ? width_of_edit("", edit, " t") : SQL_WIDTH_UNKNOWN;
}

static size_t width_of_from(const struct sql_work *w, const json_t *item)
{
    const json_t *join = sql_tree_get(item, "JoinExpr");
    const json_t *query = sql_tree_get(sql_tree_get(item, "RangeSubselect"), "subquery");

    if (query)
        return sql_width(w, sql_tree_get(query, "SelectStmt"));
    if (!join || sql_tree_get(join, "isNatural") || sql_tree_get(join, "usingClause"))
        return SQL_WIDTH_UNKNOWN;
    return sum(width_of_from(w, sql_tree_get(join, "larg")),
               width_of_from(w, sql_tree_get(join, "rarg")));
}

/* A star that is left as it is may be over sub-selects only. */
static size_t width_of_star(const struct sql_work *w, const json_t *select, const json_t *ref)
{
    const json_t *from = sql_tree_get(select, "fromClause");
    int location = sql_tree_location(ref);
    const char *edit = location > 0 ? edit_at(w, (uint32_t)location) : NULL;
    size_t width = 0;

    if (edit)
        return width_of_edit("SELECT ", edit, "");
    if (json_array_size(sql_tree_get(ref, "fields")) != 1)
        return SQL_WIDTH_UNKNOWN;
    if (location < 0)
        return width_of_table(w, from);
    for (size_t i = 0; i < json_array_size(from); i++)
        width = sum(width, width_of_from(w, json_array_get(from, i)));
    return width;
}

static size_t width_of_targets(const struct sql_work *w, const json_t *select)
{
    const json_t *targets = sql_tree_get(select, "targetList");
    size_t width = 0;

    for (size_t i = 0; i < json_array_size(targets); i++) {
        const json_t *value = value_of(targets, i);

        width = sum(width, sql_is_star(value)
                               ? width_of_star(w, select, sql_tree_get(value, "ColumnRef"))
                               : 1);
    }
    return width;
}

size_t sql_width(const struct sql_work *w, const json_t *select)
{
    const json_t *lists;

    while (sql_tree_get(select, "larg")) /* all sides of a set operation have the same number */
        select = sql_tree_get(select, "larg");
    lists = sql_tree_get(select, "valuesLists");
    if (lists)
        return sql_width_of_row(
            sql_tree_get(sql_tree_get(json_array_get(lists, 0), "List"), "items"));
    return width_of_targets(w, select);
}
