#include "segue/sql/renames.h"

#include "segue/base/mem.h"
#include "tree.h"

static const char *text_of(const struct sql_node *node, const char *key)
{
    return sql_node_text(sql_tree_get(node, key));
}

static void read_rename(const struct sql_node *node, const char **from, const char **to)
{
    const char *kind = text_of(node, "renameType");

    if (!kind)
        return;
    *to = text_of(node, "newname");
    if (!strcmp(kind, "OBJECT_TABCONSTRAINT") || !strcmp(kind, "OBJECT_COLUMN"))
        *from = text_of(node, "subname");
    else if (!strcmp(kind, "OBJECT_INDEX"))
        *from = text_of(sql_tree_get(node, "relation"), "relname");
}

static void read_constraint(const struct sql_node *node, const char **from, const char **to)
{
    const struct sql_node *cmd =
        sql_tree_get(sql_node_at(sql_tree_get(node, "cmds"), 0), "AlterTableCmd");
    const struct sql_node *constraint = sql_tree_get(sql_tree_get(cmd, "def"), "Constraint");

    *from = text_of(constraint, "indexname");
    *to = text_of(constraint, "conname");
}

bool sql_renames(const char *text, char **from, char **to)
{
    struct err ignored = {0};
    struct sql_nodes *tree = sql_tree_parse(text, NULL, &ignored);
    const struct sql_node *root = sql_nodes_root(tree);
    const char *old = NULL, *new = NULL;

    read_rename(sql_tree_single(root, "RenameStmt"), &old, &new);
    if (!old)
        read_constraint(sql_tree_single(root, "AlterTableStmt"), &old, &new);
    *from = old && new ? mem_strdup(old) : NULL;
    *to = old && new ? mem_strdup(new) : NULL;
    sql_nodes_free(tree);
    return *from != NULL;
}
