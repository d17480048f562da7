/*
 * The walk over expressions: what is in a node is told to the pass that knows its kind (name.c,
 * alike.c), or is a query of its own (walk.c); kinds that are not in the table are walked through.
 */
#include <string.h>

#include "alike.h"
#include "name.h"
#include "record.h"
#include "star.h"
#include "walk.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

static void on_select_node(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                           unsigned flags)
{
    (void)flags;
    sql_walk_select(w, scope, node);
}

static void on_insert_node(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                           unsigned flags)
{
    (void)flags;
    sql_walk_insert(w, scope, node);
}

static void on_update_node(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                           unsigned flags)
{
    (void)flags;
    sql_walk_update(w, scope, node);
}

static void on_delete_node(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                           unsigned flags)
{
    (void)flags;
    sql_walk_delete(w, scope, node);
}

static void on_merge_node(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                          unsigned flags)
{
    (void)flags;
    sql_walk_merge(w, scope, node);
}

static void on_call(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                    unsigned flags)
{
    bool rows = sql_record_is_taken(get(node, "funcname"), flags);
    bool needed = sql_record_is_needed(get(node, "funcname"));
    unsigned args = (flags & SQL_NAME_WRITTEN) | (rows ? SQL_NAME_ANONYMOUS : 0) |
                    (needed ? SQL_NAME_RECORD : 0);

    sql_name_call(w, scope, node, flags);
    SQL_NODE_EACH_ITEM(item, get(node, "args"))
        sql_walk_node(w, scope, item, args);
    SQL_NODE_EACH_MEMBER(member, node)
        if (strcmp(member->key, "args") != 0 && strcmp(member->key, "funcname") != 0)
            sql_walk_node(w, scope, member, flags & SQL_NAME_WRITTEN);
}

static void on_null_test(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                         unsigned flags)
{
    sql_walk_node(w, scope, get(node, "arg"), (flags & SQL_NAME_WRITTEN) | SQL_NAME_ANONYMOUS);
}

/* What a row is as text does not depend on its type. */
static void on_cast(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                    unsigned flags)
{
    const struct sql_node *type = get(node, "typeName"), *names = get(type, "names");
    const char *name = sql_tree_string(sql_node_at(names, sql_node_size(names) - 1));
    bool text =
        name && !get(type, "arrayBounds") && (!strcmp(name, "text") || !strcmp(name, "varchar"));

    sql_walk_node(w, scope, get(node, "arg"),
                  (flags & SQL_NAME_WRITTEN) | (text ? SQL_NAME_ANONYMOUS : 0));
}

/* Rows are compared column by column, of whatever types they are. */
static void on_operator(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                        unsigned flags)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    const struct sql_node *list = get(node, "name");
    const char *kind = sql_node_text(get(node, "kind"));
    const char *name = sql_tree_string(sql_node_at(list, 0));
    bool compares = false;

    for (size_t i = 0; name && sql_node_size(list) == 1 && i < ARRAY_LEN(names); i++)
        compares = compares || !strcmp(names[i], name);
    compares = compares && kind &&
               (!strcmp(kind, "AEXPR_OP") || !strcmp(kind, "AEXPR_DISTINCT") ||
                !strcmp(kind, "AEXPR_NOT_DISTINCT"));
    if (sql_alike_nullif(w, scope, node, flags))
        return;
    flags = (flags & SQL_NAME_WRITTEN) | (compares ? SQL_NAME_ANONYMOUS : 0);
    sql_walk_node(w, scope, get(node, "lexpr"), flags);
    sql_walk_node(w, scope, get(node, "rexpr"), flags);
}

static void on_values(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                      unsigned flags)
{
    sql_alike_list(w, scope, get(node, "args"), flags);
}

static void on_array(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                     unsigned flags)
{
    sql_alike_list(w, scope, get(node, "elements"), flags);
}

static void on_row(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                   unsigned flags)
{
    sql_walk_row(w, scope, get(node, "args"), flags);
}

/* The server finds the fields of a row that is a record where the row is a table's, or a column of
 * a query in FROM. It does not look into a sub-select that stands in an expression. */
static void on_sublink(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                       unsigned flags)
{
    size_t before = w->records.n;

    sql_walk_node(w, scope, node, flags & SQL_NAME_WRITTEN);
    w->buried |= sql_record_has_fields(w, before);
}

static void note_fields(struct sql_work *w, const struct sql_node *arg,
                        const struct sql_node *steps)
{
    bool named = false;

    SQL_NODE_EACH_ITEM(step, steps)
        named |= !get(step, "A_Indices");
    if (named && (w->buried || (get(arg, "SubLink") && sql_record_has_fields(w, 0))))
        sql_work_doubt(w, SQL_DOUBT_ROW);
}

/* (c).x reads one column of the row, whatever else is in it; (c).* is a star. */
static void on_indirection(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                           unsigned flags)
{
    const struct sql_node *steps = get(node, "indirection"),
                          *ref = get(get(node, "arg"), "ColumnRef");
    const char *column = sql_tree_string(sql_node_at(steps, 0));
    const struct sql_node *fields = get(ref, "fields");
    const char *name = sql_node_size(fields) == 1 ? sql_tree_string(sql_node_at(fields, 0)) : NULL;
    struct sql_place *place = name ? sql_scope_place(w, scope, name) : NULL;
    bool subscript = get(sql_node_at(steps, 0), "A_Indices");

    if (!place && name && !sql_is_dual_name(w, name)) /* (old).x */
        place = sql_name_row(w, scope, name);
    sql_walk_node(w, scope, steps, flags & SQL_NAME_WRITTEN);
    if (column && place && place->kind == SQL_PLACE_MIGRATING &&
        sql_place_has(w, place, column) != SQL_HAS_NOT &&
        (!sql_is_dual_name(w, name) || sql_name_field(w, scope, node))) {
        if (!place->qualified_only)
            sql_name_used(w, place, column, flags);
        return;
    }
    if (column && place && place->kind == SQL_PLACE_MIGRATING && sql_place_hides(w, place) &&
        sql_place_has(w, place, column) == SQL_HAS_NOT &&
        sql_name_calls(w, column) == SQL_CALLS_PERHAPS)
        sql_work_doubt(w, SQL_DOUBT_ROW);
    sql_walk_node(w, scope, get(node, "arg"),
                  (flags & SQL_NAME_WRITTEN) | SQL_NAME_ANONYMOUS | SQL_NAME_FIELDS |
                      (subscript ? 0 : SQL_NAME_RECORD));
    note_fields(w, get(node, "arg"), steps);
}

/* SET (a, b) = (SELECT ...): each of the columns has the one sub-select. */
static void on_multiple(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                        unsigned flags)
{
    if (sql_node_number(get(node, "colno")) == 1)
        sql_walk_node(w, scope, get(node, "source"), flags & SQL_NAME_WRITTEN);
}

static void skip(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                 unsigned flags)
{
    (void)w;
    (void)scope;
    (void)node;
    (void)flags;
}

static const struct {
    struct sql_key key;
    void (*handle)(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                   unsigned flags);
} nodes[] = {
    {SQL_KEY("ColumnRef"), sql_name_column},
    {SQL_KEY("FuncCall"), on_call},
    {SQL_KEY("A_Const"), skip},
    {SQL_KEY("typeName"), skip},
    {SQL_KEY("RowExpr"), on_row},
    {SQL_KEY("CaseExpr"), sql_alike_case},
    {SQL_KEY("CoalesceExpr"), on_values},
    {SQL_KEY("MinMaxExpr"), on_values},
    {SQL_KEY("A_ArrayExpr"), on_array},
    {SQL_KEY("A_Indirection"), on_indirection},
    {SQL_KEY("SubLink"), on_sublink},
    {SQL_KEY("NullTest"), on_null_test},
    {SQL_KEY("TypeCast"), on_cast},
    {SQL_KEY("A_Expr"), on_operator},
    {SQL_KEY("MultiAssignRef"), on_multiple},
    {SQL_KEY("SelectStmt"), on_select_node},
    {SQL_KEY("InsertStmt"), on_insert_node},
    {SQL_KEY("UpdateStmt"), on_update_node},
    {SQL_KEY("DeleteStmt"), on_delete_node},
    {SQL_KEY("MergeStmt"), on_merge_node},
    {SQL_KEY("opclass"), skip},
    {SQL_KEY("collname"), skip},
};

void sql_walk_node(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                   unsigned flags)
{
    SQL_NODE_EACH_ITEM(item, node)
        sql_walk_node(w, scope, item, flags & SQL_NAME_WRITTEN);
    SQL_NODE_EACH_MEMBER(member, node) {
        size_t i = 0;

        while (i < ARRAY_LEN(nodes) && !sql_tree_is(member, &nodes[i].key))
            i++;
        if (i < ARRAY_LEN(nodes))
            nodes[i].handle(w, scope, member, flags);
        else
            sql_walk_node(w, scope, member, flags & SQL_NAME_WRITTEN);
    }
}
