/* Statements of a migration that read or write rows: those that hold up others for long are told.
 */
#include "ddl.h"

#include <string.h>

#include "segue/base/rc.h"

static const struct {
    const char *kind;
    struct row row;
    const char *warning, *hint;
} whole[] = {
    {"UpdateStmt",
     {.what = "UPDATE"},
     "without WHERE it writes every row in one transaction: who writes one of them waits for its"
     " end, and the table grows by as much",
     "let add_column or alter_column fill the column, or say which rows"},
    {"DeleteStmt",
     {.what = "DELETE"},
     "without WHERE it deletes every row in one transaction: who writes one of them waits for its"
     " end",
     "say which rows, or delete them in parts before the migration"},
};

/* All tables of a FROM, or those that FOR UPDATE OF names. */
static void warn_of_locked(struct reading *r, const struct sql_node *node,
                           const struct sql_node *named)
{
    static const struct row row = {.what = "SELECT ... FOR UPDATE or SHARE"};
    const struct sql_node *var = sql_tree_get(node, "RangeVar");
    const char *alias = sql_node_text(sql_tree_get(sql_tree_get(var, "alias"), "aliasname"));
    bool is_named = !named;

    if (!alias)
        alias = sql_node_text(sql_tree_get(var, "relname"));
    SQL_NODE_EACH_ITEM(item, named)
        is_named = is_named ||
                   (alias && sql_ddl_is_text(sql_tree_get(item, "RangeVar"), "relname", alias));
    if (var && is_named)
        sql_ddl_warn_var(
            r, &row, var, "",
            "it holds its rows until the transaction ends: who writes one of them waits",
            "leave the locking out: nothing of it is left when the step is done");
    SQL_NODE_EACH_ITEM(item, node)
        warn_of_locked(r, item, named);
    SQL_NODE_EACH_MEMBER(member, node)
        warn_of_locked(r, member, named);
}

/* A statement that reads or writes rows, and all that stand in it: WITH has such, too. */
static void look_at_level(struct reading *r, const char *kind, const struct sql_node *node)
{
    const struct sql_node *locking = sql_tree_get(node, "lockingClause");

    for (size_t i = 0; kind && i < ARRAY_LEN(whole); i++)
        if (!strcmp(whole[i].kind, kind) && !sql_tree_get(node, "whereClause"))
            sql_ddl_warn_var(r, &whole[i].row, sql_tree_get(node, "relation"), "", whole[i].warning,
                             whole[i].hint);
    SQL_NODE_EACH_ITEM(item, locking)
        warn_of_locked(r, sql_tree_get(node, "fromClause"),
                       sql_tree_get(sql_tree_get(item, "LockingClause"), "lockedRels"));
    SQL_NODE_EACH_ITEM(item, node)
        look_at_level(r, NULL, item);
    SQL_NODE_EACH_MEMBER(member, node)
        look_at_level(r, member->key, member);
}

void sql_ddl_look_at_rows(struct reading *r, const struct row *row, const struct sql_node *node)
{
    look_at_level(r, row->kind, node);
}

/* ON tells which rows meet, not how many: those of VALUES are few. */
void sql_ddl_look_at_merge(struct reading *r, const struct row *row, const struct sql_node *node)
{
    const struct sql_node *whens = sql_tree_get(node, "mergeWhenClauses");
    const struct sql_node *source = sql_tree_get(
        sql_tree_get(sql_tree_get(node, "sourceRelation"), "RangeSubselect"), "subquery");

    SQL_NODE_EACH_ITEM(item, whens) {
        const struct sql_node *when = sql_tree_get(item, "MergeWhenClause");
        bool writes = sql_ddl_is_text(when, "commandType", "CMD_UPDATE") ||
                      sql_ddl_is_text(when, "commandType", "CMD_DELETE");

        if (writes && !sql_tree_get(when, "condition") &&
            !sql_tree_get(sql_tree_get(source, "SelectStmt"), "valuesLists"))
            sql_ddl_warn_var(
                r, row, sql_tree_get(node, "relation"), "",
                "a WHEN MATCHED without AND writes every row that its source meets, in one"
                " transaction: who writes one of them waits for its end",
                "say which rows, or write them in parts before the migration");
    }
    sql_ddl_look_at_rows(r, row, node);
}
