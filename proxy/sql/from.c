#include "from.h"

#include <string.h>

#include "walk.h"

static const json_t *get(const json_t *node, const char *key)
{
    return sql_tree_get(node, key);
}

static const json_t *column_aliases(const json_t *node)
{
    return get(get(node, "alias"), "colnames");
}

static const char *alias_name(const json_t *node)
{
    return json_string_value(get(get(node, "alias"), "aliasname"));
}

static void add_join(struct sql_work *w, struct sql_scope *scope, const json_t *join)
{
    sql_from_add(w, scope, get(join, "larg"));
    sql_from_add(w, scope, get(join, "rarg"));
    if (json_is_true(get(join, "isNatural")))
        scope->natural = scope->merged = true;
    if (get(join, "usingClause"))
        scope->merged = true;
    if (get(join, "alias"))
        scope->covered = true;
}

static void add_subselect(struct sql_work *w, struct sql_scope *scope, const json_t *node)
{
    const json_t *query = get(get(node, "subquery"), "SelectStmt");
    struct sql_place *place;

    sql_walk_select(w, json_is_true(get(node, "lateral")) ? scope : scope->outer, query);
    place = sql_scope_add(scope, query ? SQL_PLACE_QUERY : SQL_PLACE_UNKNOWN, alias_name(node));
    place->query = query;
    place->aliases = column_aliases(node);
}

static void add_unknown(struct sql_work *w, struct sql_scope *scope, const json_t *node)
{
    struct sql_place *place;
    const json_t *value;
    const char *key;

    json_object_foreach((json_t *)node, key, value)
    {
        if (strcmp(key, "alias") != 0 && strcmp(key, "coldeflist") != 0)
            sql_walk_node(w, scope, value, 0);
    }
    place = sql_scope_add(scope, SQL_PLACE_UNKNOWN, alias_name(node));
    place->aliases = column_aliases(node);
}

static void add_sample(struct sql_work *w, struct sql_scope *scope, const json_t *node)
{
    sql_from_add(w, scope, get(node, "relation"));
    scope->places[scope->n - 1].fixed = true;
    sql_walk_node(w, scope, get(node, "args"), 0);
    sql_walk_node(w, scope, get(node, "repeatable"), 0);
}

void sql_from_add(struct sql_work *w, struct sql_scope *scope, const json_t *item)
{
    const char *kind = json_object_iter_key(json_object_iter((json_t *)item));
    const json_t *node = kind ? get(item, kind) : NULL;

    if (!kind)
        return;
    if (!strcmp(kind, "RangeVar"))
        sql_scope_add_range(w, scope, node, false);
    else if (!strcmp(kind, "JoinExpr"))
        add_join(w, scope, node);
    else if (!strcmp(kind, "RangeSubselect"))
        add_subselect(w, scope, node);
    else if (!strcmp(kind, "RangeTableSample"))
        add_sample(w, scope, node);
    else
        add_unknown(w, scope, node);
}

void sql_from_add_all(struct sql_work *w, struct sql_scope *scope, const json_t *list)
{
    const json_t *item;
    size_t i;

    scope->from = list;
    json_array_foreach((json_t *)list, i, item) sql_from_add(w, scope, item);
}

void sql_from_conditions(struct sql_work *w, struct sql_scope *scope, const json_t *node,
                         size_t *at)
{
    const json_t *item, *join = get(node, "JoinExpr");
    struct sql_scope sides = *scope;
    size_t i, begin = *at;

    json_array_foreach((json_t *)node, i, item) sql_from_conditions(w, scope, item, at);
    if (!json_is_object(node))
        return;
    if (!join) {
        ++*at;
        return;
    }
    sql_from_conditions(w, scope, get(join, "larg"), at);
    sql_from_conditions(w, scope, get(join, "rarg"), at);
    sides.places = scope->places + begin;
    sides.n = *at - begin;
    sql_walk_node(w, &sides, get(join, "quals"), 0);
}
