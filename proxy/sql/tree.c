#include "tree.h"

#include <pg_query.h>
#include <string.h>

json_t *sql_tree_parse(const char *sql, int *position, struct err *err)
{
    PgQueryParseResult result = pg_query_parse(sql);
    json_t *tree = NULL;
    json_error_t why;

    if (position)
        *position = -1;
    if (result.error) {
        if (position && result.error->cursorpos > 0)
            *position = result.error->cursorpos - 1;
        err_set(err, "42601", "%s", result.error->message);
    } else {
        tree = json_loads(result.parse_tree, 0, &why);
        if (!tree)
            err_set(err, "22021", "statement cannot be read: %s", why.text);
    }
    pg_query_free_parse_result(result);
    return tree;
}

const json_t *sql_tree_get(const json_t *node, const char *key)
{
    return json_object_get(node, key);
}

const char *sql_tree_string(const json_t *node)
{
    return json_string_value(json_object_get(json_object_get(node, "String"), "sval"));
}

const json_t *sql_tree_single(const json_t *tree, const char *kind)
{
    const json_t *stmts = json_object_get(tree, "stmts");

    if (json_array_size(stmts) != 1)
        return NULL;
    return json_object_get(json_object_get(json_array_get(stmts, 0), "stmt"), kind);
}

int sql_tree_location(const json_t *node)
{
    return (int)json_integer_value(json_object_get(node, "location"));
}
