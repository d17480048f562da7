#include "group.h"

#include <string.h>

#include "name.h"
#include "star.h"

/* Is the expression that column of the place, or perhaps? */
static bool may_be_column(const struct sql_place *place, const struct sql_node *expr,
                          const char *column)
{
    const struct sql_node *fields = sql_tree_get(sql_tree_get(expr, "ColumnRef"), "fields");
    size_t n = sql_node_size(fields);
    const char *name = n ? sql_tree_string(sql_node_at(fields, n - 1)) : NULL;
    const char *of = n > 1 ? sql_tree_string(sql_node_at(fields, n - 2)) : NULL;

    if (sql_tree_get(expr, "A_Indirection")) /* (t).id */
        return true;
    return name && !strcmp(name, column) && (!of || !place->name || !strcmp(of, place->name));
}

/* Does the item mean one of the target list, by its name or by its number, that may be the column?
 * Which number it is does not matter: statements that differ in literals have one shape. */
static bool may_be_target(const struct sql_place *place, const struct sql_node *item,
                          const struct sql_node *targets, const char *column)
{
    bool number = sql_tree_get(item, "A_Const");
    size_t name = sql_name_of_output(sql_tree_get(item, "ColumnRef"), targets);

    for (size_t i = 0; i < sql_node_size(targets); i++) {
        const struct sql_node *value =
            sql_tree_get(sql_tree_get(sql_node_at(targets, i), "ResTarget"), "val");

        if ((number || i + 1 == name) &&
            (sql_star_is(sql_tree_get(value, "ColumnRef")) || may_be_column(place, value, column)))
            return true;
    }
    return false;
}

static bool may_group_by(const struct sql_place *place, const struct sql_node *item,
                         const struct sql_node *targets, const char *column)
{
    SQL_NODE_EACH_ITEM(part, sql_tree_get(sql_tree_get(item, "RowExpr"), "args"))
        if (may_group_by(place, part, targets, column))
            return true;
    return sql_tree_get(item, "GroupingSet") || may_be_column(place, item, column) ||
           may_be_target(place, item, targets, column);
}

bool sql_groups_by_key(const struct sql_place *place, const struct sql_node *select)
{
    const struct sql_node *group = sql_tree_get(select, "groupClause");
    const struct sql_node *targets = sql_tree_get(select, "targetList");
    char **key = place->rule ? place->rule->key : NULL;

    if (!group)
        return false;
    if (!key || place->aliases)
        return true; /* nobody knows */
    for (; *key; key++) {
        bool found = false;

        SQL_NODE_EACH_ITEM(item, group)
            found = found || may_group_by(place, item, targets, *key);
        if (!found)
            return false;
    }
    return place->rule->key[0] != NULL;
}
