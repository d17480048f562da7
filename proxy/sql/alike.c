/*
 * Several values become one of a common type, so a row that is made in place of a table's stands
 * beside rows of the same kind only: all of the values must be the same name, or NULL. What is in
 * such a row is then as good as in the table's, but for its fields by name: no sub-select tells
 * those of an expression.
 */
#include "alike.h"

#include <string.h>

#include "name.h"
#include "walk.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

static bool is_null(const struct sql_node *value)
{
    return sql_node_is_true(get(get(value, "A_Const"), "isnull"));
}

/* t, or t.*: its fields. */
static const struct sql_node *row_of(const struct sql_node *value)
{
    const struct sql_node *fields = get(get(value, "ColumnRef"), "fields");
    size_t n = sql_node_size(fields);

    return n == 1 || (n == 2 && get(sql_node_at(fields, 1), "A_Star")) ? fields : NULL;
}

/* Is the value NULL, or the one that the others are (NULL: they were all NULL)? */
static bool is_alike(const struct sql_node *value, const char **name, size_t *n)
{
    const struct sql_node *fields = row_of(value);
    const char *own = sql_tree_string(sql_node_at(fields, 0));

    if (!value || is_null(value))
        return true;
    if (!own || (*name && (strcmp(*name, own) != 0 || *n != sql_node_size(fields))))
        return false;
    *name = own;
    *n = sql_node_size(fields);
    return true;
}

static unsigned flags_of(bool alike, unsigned flags)
{
    unsigned rows = alike && !(flags & SQL_NAME_FIELDS) ? SQL_NAME_ANONYMOUS : 0;

    return flags & (SQL_NAME_WRITTEN | rows);
}

void sql_alike_list(struct sql_work *w, struct sql_scope *scope, const struct sql_node *list,
                    unsigned flags)
{
    const char *name = NULL;
    bool alike = true;
    size_t n = 0;

    SQL_NODE_EACH_ITEM(item, list)
        alike = alike && is_alike(item, &name, &n);
    SQL_NODE_EACH_ITEM(item, list)
        sql_walk_node(w, scope, item, flags_of(alike, flags));
}

void sql_alike_case(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                    unsigned flags)
{
    const struct sql_node *rest = get(node, "defresult");
    const char *name = NULL;
    size_t n = 0;
    bool alike = is_alike(rest, &name, &n);

    sql_walk_node(w, scope, get(node, "arg"), flags & SQL_NAME_WRITTEN);
    SQL_NODE_EACH_ITEM(item, get(node, "args")) {
        const struct sql_node *when = get(item, "CaseWhen");

        alike = alike && is_alike(get(when, "result"), &name, &n);
        sql_walk_node(w, scope, get(when, "expr"), flags & SQL_NAME_WRITTEN);
    }
    SQL_NODE_EACH_ITEM(item, get(node, "args"))
        sql_walk_node(w, scope, get(get(item, "CaseWhen"), "result"), flags_of(alike, flags));
    sql_walk_node(w, scope, rest, flags_of(alike, flags));
}

bool sql_alike_nullif(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                      unsigned flags)
{
    const char *kind = sql_node_text(get(node, "kind")), *name = NULL;
    size_t n = 0;

    if (!kind || strcmp(kind, "AEXPR_NULLIF") != 0 || !is_alike(get(node, "lexpr"), &name, &n) ||
        !is_alike(get(node, "rexpr"), &name, &n))
        return false;
    sql_walk_node(w, scope, get(node, "lexpr"), flags_of(true, flags));
    sql_walk_node(w, scope, get(node, "rexpr"), flags_of(true, flags));
    return true;
}
