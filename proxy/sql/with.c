#include "with.h"

#include "columns.h"
#include "walk.h"
#include "width.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

void sql_with_shows(struct sql_work *w, struct sql_scope *scope, const struct sql_node *targets)
{
    w->width = sql_width_of_targets(w, scope, targets);
    w->shows = sql_columns_of_targets(w, scope, targets);
}

void sql_with_shows_query(struct sql_work *w, struct sql_scope *scope,
                          const struct sql_node *select)
{
    const struct sql_node *row = sql_node_at(get(select, "valuesLists"), 0);
    const struct sql_node *values = get(get(row, "List"), "items");

    if (!row) {
        sql_with_shows(w, scope, get(select, "targetList"));
        return;
    }
    w->width = sql_width_of_row(values);
    w->shows = sql_columns_of_row(w, values);
}

/* The server does not look for a row's fields behind a query that reads itself: there a row keeps
 * its type. */
void sql_with(struct sql_work *w, struct sql_scope *scope, const struct sql_node *with)
{
    bool recursive = sql_node_is_true(get(with, "recursive")), stored = w->stored;
    size_t i = 0;

    if (recursive)
        SQL_NODE_EACH_ITEM(item, get(with, "ctes")) {
            struct sql_cte *cte = sql_scope_add_cte(scope, get(item, "CommonTableExpr"));

            cte->shows = sql_columns_of_cte(w, cte->node, cte->shows);
        }
    SQL_NODE_EACH_ITEM(item, get(with, "ctes")) {
        const struct sql_node *cte = get(item, "CommonTableExpr"), *query = get(cte, "ctequery");

        w->width = SQL_WIDTH_UNKNOWN;
        w->shows = (struct sql_shows){0};
        w->stored = stored || (recursive && get(get(query, "SelectStmt"), "larg"));
        sql_walk_node(w, scope, query, 0);
        w->stored = stored;
        if (!recursive)
            sql_scope_add_cte(scope, cte);
        scope->ctes[i].shows = sql_columns_of_cte(w, cte, w->shows);
        scope->ctes[i++].width = sql_width_of_cte(cte, w->width);
    }
}

void sql_with_first_branch(struct sql_work *w, struct sql_scope *scope,
                           const struct sql_node *select)
{
    if (!scope || !sql_work_spend(w, scope->nctes))
        return;
    for (size_t i = 0; i < scope->nctes; i++)
        if (scope->ctes[i].select == select)
            scope->ctes[i].shows = sql_columns_of_cte(w, scope->ctes[i].node, w->shows);
}
