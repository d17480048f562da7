#include "tree.h"

#include <pg_query.h>

struct sql_nodes *sql_tree_parse(const char *sql, int *position, struct err *err)
{
    PgQueryParseResult result = pg_query_parse(sql);
    struct sql_nodes *nodes = NULL;
    const char *why;

    if (position)
        *position = -1;
    if (result.error) {
        if (position && result.error->cursorpos > 0)
            *position = result.error->cursorpos - 1;
        err_set(err, "42601", "%s", result.error->message);
    } else {
        nodes = sql_nodes_read_take(result.parse_tree, &why);
        result.parse_tree = NULL;
        if (!nodes)
            err_set(err, "22021", "statement cannot be read: %s", why);
    }
    pg_query_free_parse_result(result);
    return nodes;
}

const char *sql_tree_string(const struct sql_node *node)
{
    return sql_node_text(sql_tree_get(sql_tree_get(node, "String"), "sval"));
}

const struct sql_node *sql_tree_single(const struct sql_node *tree, const char *kind)
{
    const struct sql_node *stmts = sql_tree_get(tree, "stmts");

    if (sql_node_size(stmts) != 1)
        return NULL;
    return sql_tree_get(sql_tree_get(sql_node_at(stmts, 0), "stmt"), kind);
}

int sql_tree_location(const struct sql_node *node)
{
    return (int)sql_node_number(sql_tree_get(node, "location"));
}
