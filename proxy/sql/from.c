#include "from.h"

#include <string.h>

#include "called.h"
#include "columns.h"
#include "name.h"
#include "output.h"
#include "walk.h"
#include "width.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

static const struct sql_node *column_aliases(const struct sql_node *node)
{
    return get(get(node, "alias"), "colnames");
}

static const char *alias_name(const struct sql_node *node)
{
    return sql_node_text(get(get(node, "alias"), "aliasname"));
}

static void cover(struct sql_scope *scope, size_t begin, size_t end, const struct sql_node *join)
{
    for (size_t i = begin; get(join, "alias") && i < end; i++)
        scope->places[i].covered = true;
}

/* No row of these may be found. */
static void miss(struct sql_scope *scope, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        scope->places[i].nullable = true;
}

static void miss_sides(struct sql_scope *scope, size_t begin, size_t middle,
                       const struct sql_node *join)
{
    const char *type = sql_node_text(get(join, "jointype"));
    bool full = type && !strcmp(type, "JOIN_FULL");

    if (full || (type && !strcmp(type, "JOIN_RIGHT")))
        miss(scope, begin, middle);
    if (full || (type && !strcmp(type, "JOIN_LEFT")))
        miss(scope, middle, scope->n);
}

/* Where one place of a side has the column of USING, another's hidden one must not be there, too.
 */
static void uncover(struct sql_work *w, struct sql_scope *scope, size_t begin, size_t end,
                    const char *column)
{
    bool has = false;

    if (!sql_work_spend(w, 3 * (end - begin)))
        return;
    for (size_t i = begin; i < end; i++) {
        enum sql_has answer = sql_place_has(w, &scope->places[i], column);

        has = has || answer == SQL_HAS || answer == SQL_HAS_PERHAPS;
    }
    for (size_t i = begin; has && i < end; i++)
        if (sql_place_has(w, &scope->places[i], column) == SQL_HAS_HIDDEN)
            scope->places[i].wrap = true;
}

/* It is read, of each that has it. */
static void join_by(struct sql_work *w, struct sql_scope *scope, size_t begin, const char *column)
{
    for (size_t i = begin; i < scope->n; i++) {
        struct sql_place *place = &scope->places[i];
        enum sql_has has = place->wrap ? SQL_HAS_NOT : sql_place_has(w, place, column);

        if (has == SQL_HAS || has == SQL_HAS_HIDDEN)
            sql_name_used(w, place, column, 0);
    }
}

static void add_join(struct sql_work *w, struct sql_scope *scope, const struct sql_node *join)
{
    size_t begin = scope->n, middle;

    sql_from_add(w, scope, get(join, "larg"));
    middle = scope->n;
    sql_from_add(w, scope, get(join, "rarg"));
    miss_sides(scope, begin, middle, join);
    SQL_NODE_EACH_ITEM(item, get(join, "usingClause")) {
        uncover(w, scope, begin, middle, sql_tree_string(item));
        uncover(w, scope, middle, scope->n, sql_tree_string(item));
        join_by(w, scope, begin, sql_tree_string(item));
    }
    cover(scope, begin, scope->n, join);
    if (sql_node_is_true(get(join, "isNatural")))
        scope->natural = scope->merged = true;
    if (get(join, "usingClause"))
        scope->merged = true;
    if (get(join, "alias"))
        scope->covered = true;
}

static void add_subselect(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    const struct sql_node *query = get(get(node, "subquery"), "SelectStmt");
    struct sql_place *place;

    sql_walk_select(w, sql_node_is_true(get(node, "lateral")) ? scope : scope->outer, query);
    place = sql_scope_add(scope, query ? SQL_PLACE_QUERY : SQL_PLACE_UNKNOWN, alias_name(node));
    place->may_be_called = sql_node_text(get(node, "mayBeCalled"));
    place->shows = w->shows;
    place->width = w->width;
    place->aliases = column_aliases(node);
}

/* Of what is called in FROM, without an alias. */
static const char *called_as(const struct sql_work *w, const struct sql_node *node)
{
    const struct sql_node *functions = get(node, "functions");

    if (!functions)
        return "xmltable";
    return sql_output_figured(w,
                              sql_node_at(get(get(sql_node_at(functions, 0), "List"), "items"), 0));
}

static bool is_walked(const struct sql_node *member)
{
    static const char *const others[] = {"alias", "coldeflist", "jsonColumns"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (!strcmp(member->key, others[i]))
            return false;
    return true;
}

static void add_unknown(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    const struct sql_node *listed = sql_scope_listed(node);
    const char *name = alias_name(node);
    struct sql_shows shows = {0};
    struct sql_place *place;

    SQL_NODE_EACH_MEMBER(member, node)
        if (is_walked(member))
            sql_walk_node(w, scope, member, 0);
    if (!listed)
        shows = sql_columns_of_function(w, node);
    if (!name && (listed || shows.known))
        name = called_as(w, node);
    place = sql_scope_add(scope,
                          listed        ? SQL_PLACE_LISTED
                          : shows.known ? SQL_PLACE_QUERY
                                        : SQL_PLACE_UNKNOWN,
                          name);
    place->listed = listed;
    place->shows = shows;
    place->width = sql_width_of_function(node);
    place->aliases = column_aliases(node);
}

static void add_sample(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node)
{
    sql_from_add(w, scope, get(node, "relation"));
    scope->places[scope->n - 1].fixed = true;
    scope->places[scope->n - 1].nullable = true; /* a row may be none of the sample */
    sql_walk_node(w, scope, get(node, "args"), 0);
    sql_walk_node(w, scope, get(node, "repeatable"), 0);
}

void sql_from_add(struct sql_work *w, struct sql_scope *scope, const struct sql_node *item)
{
    const char *kind = sql_tree_kind(item);
    const struct sql_node *node = kind ? get(item, kind) : NULL;

    if (!kind)
        return;
    if (!strcmp(kind, "RangeVar"))
        sql_called_put(w, sql_scope_add_range(w, scope, node, false), true);
    else if (!strcmp(kind, "JoinExpr"))
        add_join(w, scope, node);
    else if (!strcmp(kind, "RangeSubselect"))
        add_subselect(w, scope, node);
    else if (!strcmp(kind, "RangeTableSample"))
        add_sample(w, scope, node);
    else
        add_unknown(w, scope, node);
}

void sql_from_add_all(struct sql_work *w, struct sql_scope *scope, const struct sql_node *list)
{
    scope->from = list;
    SQL_NODE_EACH_ITEM(item, list)
        sql_from_add(w, scope, item);
}

void sql_from_conditions(struct sql_work *w, struct sql_scope *scope, const struct sql_node *node,
                         size_t *at)
{
    const struct sql_node *join = get(node, "JoinExpr");
    struct sql_scope sides = *scope;
    size_t begin = *at;

    SQL_NODE_EACH_ITEM(item, node)
        sql_from_conditions(w, scope, item, at);
    if (!node || node->kind != SQL_NODE_OBJECT)
        return;
    if (!join) {
        scope->places[(*at)++].covered = false;
        return;
    }
    sql_from_conditions(w, scope, get(join, "larg"), at);
    sql_from_conditions(w, scope, get(join, "rarg"), at);
    sides.places = scope->places + begin;
    sides.n = *at - begin;
    sql_walk_node(w, &sides, get(join, "quals"), 0);
    cover(scope, begin, *at, join); /* in there its places had their names */
}
