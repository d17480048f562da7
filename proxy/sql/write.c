/* One statement that writes one table, by PostgreSQL's own grammar. */
#include "segue/sql/write.h"

#include "segue/base/mem.h"
#include "tree.h"

static const char *text_of(const struct sql_node *node)
{
    return node && node->kind == SQL_NODE_TEXT ? node->text : NULL;
}

enum rc sql_write_parse(const char *text, char **schema, char **table, struct err *err)
{
    static const char *const kinds[] = {"InsertStmt", "UpdateStmt", "DeleteStmt"};
    struct sql_nodes *tree = sql_tree_parse(text, NULL, err);
    const struct sql_node *found = NULL, *relation;
    const char *name;

    *schema = *table = NULL;
    if (!tree)
        return RC_ERR;
    for (size_t i = 0; i < ARRAY_LEN(kinds) && !found; i++)
        found = sql_tree_single(sql_nodes_root(tree), kinds[i]);
    relation = sql_tree_get(found, "relation");
    name = text_of(sql_tree_get(relation, "relname"));
    if (name) {
        *schema = mem_strdup(text_of(sql_tree_get(relation, "schemaname")));
        *table = mem_strdup(name);
    } else {
        err_set(err, "42601", "one INSERT, UPDATE or DELETE is wanted");
    }
    sql_nodes_free(tree);
    return name ? RC_OK : RC_ERR;
}
