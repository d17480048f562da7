#include "group.h"

#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "output.h"
#include "segue/base/mem.h"
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
static bool may_be_target(const struct sql_work *w, const struct sql_place *place,
                          const struct sql_node *item, const struct sql_node *targets,
                          const char *column)
{
    bool number = sql_tree_get(item, "A_Const");
    const struct sql_node *named =
        sql_output_named(w, sql_tree_get(item, "ColumnRef"), targets, NULL);

    if (!number && !named)
        return false;
    if (!sql_work_spend(w, sql_node_size(targets)))
        return true;
    SQL_NODE_EACH_ITEM(each, targets) {
        const struct sql_node *target = sql_tree_get(each, "ResTarget"),
                              *value = sql_tree_get(target, "val");

        if ((number || target == named) &&
            (sql_star_is(sql_tree_get(value, "ColumnRef")) || may_be_column(place, value, column)))
            return true;
    }
    return false;
}

static bool may_group_by(const struct sql_work *w, const struct sql_place *place,
                         const struct sql_node *item, const struct sql_node *targets,
                         const char *column);

/* The server counts on what is in each of the sets. ROLLUP and CUBE have an empty one. */
static bool may_all_sets(const struct sql_work *w, const struct sql_place *place,
                         const struct sql_node *sets, const struct sql_node *targets,
                         const char *column)
{
    const char *kind = sql_node_text(sql_tree_get(sets, "kind"));

    if (!kind || strcmp(kind, "GROUPING_SET_SETS") != 0)
        return false;
    SQL_NODE_EACH_ITEM(set, sql_tree_get(sets, "content"))
        if (!may_group_by(w, place, set, targets, column))
            return false;
    return true;
}

static bool may_group_by(const struct sql_work *w, const struct sql_place *place,
                         const struct sql_node *item, const struct sql_node *targets,
                         const char *column)
{
    if (!sql_work_spend(w, 1))
        return true;
    SQL_NODE_EACH_ITEM(part, sql_tree_get(sql_tree_get(item, "RowExpr"), "args"))
        if (may_group_by(w, place, part, targets, column))
            return true;
    if (sql_tree_get(item, "GroupingSet"))
        return may_all_sets(w, place, sql_tree_get(item, "GroupingSet"), targets, column);
    return may_be_column(place, item, column) || may_be_target(w, place, item, targets, column);
}

/* By one of its halves, where it has two. */
static bool may_group_by_half(const struct sql_work *w, const struct sql_place *place,
                              const struct sql_node *item, const struct sql_node *targets,
                              const char *column)
{
    const struct sql_twin_rule *pair = sql_key_pair(place->rule, column);

    if (!pair)
        return may_group_by(w, place, item, targets, column);
    return may_group_by(w, place, item, targets, pair->old_name) ||
           may_group_by(w, place, item, targets, pair->new_name);
}

bool sql_groups_by_key(const struct sql_work *w, const struct sql_place *place,
                       const struct sql_node *select)
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
            found = found || may_group_by_half(w, place, item, targets, *key);
        if (!found)
            return false;
    }
    return place->rule->key[0] != NULL;
}

/* ---- rows that are made ---- */

static bool has_sets(const struct sql_node *select)
{
    SQL_NODE_EACH_ITEM(item, sql_tree_get(select, "groupClause"))
        if (sql_tree_get(item, "GroupingSet"))
            return true;
    return false;
}

/* Aggregates of columns may be those of a query around this one. */
static bool counts_rows(const struct sql_node *node)
{
    const struct sql_node *call = sql_tree_get(node, "FuncCall");

    if (sql_tree_get(node, "SubLink"))
        return false;
    if (sql_node_is_true(sql_tree_get(call, "agg_star")) && !sql_tree_get(call, "over") &&
        !sql_tree_get(call, "agg_filter"))
        return true;
    SQL_NODE_EACH_ITEM(item, node)
        if (counts_rows(item))
            return true;
    SQL_NODE_EACH_MEMBER(member, node)
        if (counts_rows(member))
            return true;
    return false;
}

/* Outside of what might be an aggregate, and of other queries. */
static void find_bare(struct sql_grouping *grouping, const struct sql_node *node)
{
    if (sql_tree_get(node, "FuncCall") || sql_tree_get(node, "SubLink"))
        return;
    SQL_NODE_EACH_ITEM(item, node)
        find_bare(grouping, item);
    SQL_NODE_EACH_MEMBER(member, node) {
        if (strcmp(member->key, "ColumnRef") != 0) {
            find_bare(grouping, member);
            continue;
        }
        mem_grow((void **)&grouping->bare, &grouping->cap, grouping->nbare + 1,
                 sizeof(*grouping->bare));
        grouping->bare[grouping->nbare++] = member;
    }
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t) * (const struct sql_node *const *)a;
    uintptr_t y = (uintptr_t) * (const struct sql_node *const *)b;

    return (x > y) - (x < y);
}

static void know(struct sql_grouping *grouping)
{
    const struct sql_node *targets = sql_tree_get(grouping->select, "targetList");

    grouping->known = true;
    grouping->sets = has_sets(grouping->select);
    grouping->counts = counts_rows(targets);
    find_bare(grouping, targets);
    if (grouping->nbare > 0)
        qsort(grouping->bare, grouping->nbare, sizeof(*grouping->bare), by_address);
}

void sql_grouping_fini(struct sql_grouping *grouping)
{
    free(grouping->bare);
    *grouping = (struct sql_grouping){0};
}

static bool is_bare(const struct sql_grouping *grouping, const struct sql_node *ref)
{
    return grouping->nbare > 0 && bsearch(&ref, grouping->bare, grouping->nbare,
                                          sizeof(*grouping->bare), by_address) != NULL;
}

/* May the expression be the place's row, or, where its columns are called otherwise than the key
 * knows, one of them? */
static bool may_be_of(const struct sql_work *w, const struct sql_place *place,
                      const struct sql_node *expr)
{
    const struct sql_node *fields = sql_tree_get(sql_tree_get(expr, "ColumnRef"), "fields");
    size_t n = sql_node_size(fields);
    const char *name = n ? sql_tree_string(sql_node_at(fields, n - 1)) : NULL;

    return !name || !place->name || !strcmp(name, place->name) ||
           (place->aliases && sql_place_has(w, place, name) != SQL_HAS_NOT);
}

/* Does it group by the row itself, or perhaps by the key? */
static bool may_group_by_row(const struct sql_work *w, const struct sql_place *place,
                             const struct sql_node *select)
{
    const struct sql_node *targets = sql_tree_get(select, "targetList");

    if (!place->aliases && sql_groups_by_key(w, place, select))
        return true;
    SQL_NODE_EACH_ITEM(item, sql_tree_get(select, "groupClause")) {
        const struct sql_node *column = sql_tree_get(item, "ColumnRef");
        const struct sql_node *named = sql_output_named(w, column, targets, NULL);

        if (may_be_of(w, place, item) || (named && may_be_of(w, place, sql_tree_get(named, "val"))))
            return true;
    }
    return false;
}

static bool groups_by_row(const struct sql_work *w, const struct sql_place *place,
                          struct sql_grouping *grouping)
{
    if (grouping->range != place->range)
        grouping->by_row = may_group_by_row(w, place, grouping->select);
    grouping->range = place->range;
    return grouping->by_row;
}

/* The reference is in a target by itself, and groups are not made by what it is. */
static bool is_refused(const struct sql_work *w, const struct sql_place *place,
                       struct sql_grouping *grouping, const struct sql_node *ref)
{
    if (!is_bare(grouping, ref))
        return false;
    if (sql_tree_get(grouping->select, "groupClause"))
        return !groups_by_row(w, place, grouping);
    return sql_tree_get(grouping->select, "havingClause") || grouping->counts;
}

bool sql_group_forbids(const struct sql_work *w, const struct sql_place *place,
                       struct sql_grouping *grouping, const struct sql_node *ref)
{
    if (!grouping->known)
        know(grouping);
    return grouping->sets || is_refused(w, place, grouping, ref);
}
