#include "scope.h"

#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "newer.h"
#include "said.h"
#include "segue/base/mem.h"
#include "segue/sql/path.h"
#include "width.h"

void sql_scope_fini(struct sql_scope *scope)
{
    free(scope->places);
    free(scope->ctes);
}

struct sql_place *sql_scope_add(struct sql_scope *scope, enum sql_place_kind kind, const char *name)
{
    mem_grow((void **)&scope->places, &scope->cap, scope->n + 1, sizeof(*scope->places));
    scope->places[scope->n] =
        (struct sql_place){.kind = kind, .name = name, .width = SQL_WIDTH_UNKNOWN};
    return &scope->places[scope->n++];
}

struct sql_cte *sql_scope_add_cte(struct sql_scope *scope, const struct sql_node *cte)
{
    const char *name = sql_node_text(sql_tree_get(cte, "ctename"));

    mem_grow((void **)&scope->ctes, &scope->cap_ctes, scope->nctes + 1, sizeof(*scope->ctes));
    scope->ctes[scope->nctes] =
        (struct sql_cte){.name = name,
                         .node = cte,
                         .select = sql_tree_get(sql_tree_get(cte, "ctequery"), "SelectStmt"),
                         .width = SQL_WIDTH_UNKNOWN};
    return &scope->ctes[scope->nctes++];
}

static const struct sql_cte *find_cte(const struct sql_work *w, const struct sql_scope *scope,
                                      const char *name)
{
    for (; scope; scope = scope->outer) {
        if (!sql_work_spend(w, scope->nctes))
            break;
        for (size_t i = scope->nctes; i-- > 0;)
            if (!strcmp(scope->ctes[i].name, name))
                return &scope->ctes[i];
    }
    return NULL;
}

/* ---- what a relation's name means ---- */

static const struct rule *find_in(const struct sql_rules *rules, const char *schema,
                                  const char *name)
{
    const struct rule *rule;

    for (size_t i = 0; (rule = sql_rules_named(rules, name, i)); i++)
        if (!strcmp(rule->schema, schema))
            return rule;
    return NULL;
}

/* It may be a temporary relation of this session's, of which the rules do not know. */
static bool is_taken(const struct sql_work *w, const struct rule *rule, const char *name)
{
    struct sql_taken taken = sql_taken_join(w->session->shadowed, w->hidden);
    struct sql_taken said = sql_work_name(rule, name);

    return (taken.old & said.old) || (taken.new &said.new);
}

static bool is_contested(const struct sql_rules *rules, const char *name)
{
    const struct rule *found;

    return sql_path_meaning(rules, SQL_PATH_UNKNOWN, name, &found) == SQL_MEANS_PERHAPS;
}

/* Do all that migrate under that name show the session the same, and under no other name? */
static bool is_shown_alike(const struct sql_work *w, const char *name)
{
    const struct rule *first = sql_rules_named(w->rules, name, 0), *rule;

    for (size_t n = 0; (rule = sql_rules_named(w->rules, name, n)); n++) {
        size_t i = 0, j = 0;

        if (sql_rule_is_other(rule, name))
            return false;
        for (;; i++, j++) {
            while (i < first->ncolumns && sql_work_hides(w, first, &first->columns[i]))
                i++;
            while (j < rule->ncolumns && sql_work_hides(w, rule, &rule->columns[j]))
                j++;
            if (i == first->ncolumns || j == rule->ncolumns)
                break;
            if (strcmp(first->columns[i].name, rule->columns[j].name) != 0)
                return false;
        }
        if (i != first->ncolumns || j != rule->ncolumns)
            return false;
    }
    return true;
}

static const struct rule *find_rule(struct sql_work *w, const char *schema, const char *name)
{
    const struct sql_rules *rules = w->rules;
    const struct rule *found;
    bool perhaps;

    if (schema)
        return find_in(rules, schema, name);
    perhaps = sql_path_meaning(rules, w->path.path, name, &found) == SQL_MEANS_PERHAPS;
    if (found && is_taken(w, found, name))
        sql_work_doubt(w, SQL_DOUBT_PATH);
    else if (perhaps && w->by_places && is_shown_alike(w, name))
        w->perhaps = true;
    else if (perhaps)
        sql_work_doubt(w, SQL_DOUBT_PATH);
    w->unseen |= found && ((sql_work_bit(found) & (w->session->unseen | w->opaque)) ||
                           (w->path.perhaps && is_contested(rules, name)));
    return found;
}

static const char *alias_of(const struct sql_node *node)
{
    return sql_node_text(sql_tree_get(sql_tree_get(node, "alias"), "aliasname"));
}

struct sql_place *sql_scope_add_range(struct sql_work *w, struct sql_scope *scope,
                                      const struct sql_node *range, bool written)
{
    const char *name = sql_node_text(sql_tree_get(range, "relname"));
    const char *schema = sql_node_text(sql_tree_get(range, "schemaname"));
    const char *alias = alias_of(range);
    const struct sql_cte *cte = schema || !name || written ? NULL : find_cte(w, scope, name);
    const struct rule *rule = cte || !name ? NULL : find_rule(w, schema, name);
    struct sql_place *place = sql_scope_add(scope, SQL_PLACE_RELATION, alias ? alias : name);

    place->written = written;
    place->schema = schema;
    place->range = range;
    place->aliases = sql_tree_get(sql_tree_get(range, "alias"), "colnames");
    if (cte) {
        place->kind = SQL_PLACE_QUERY;
        place->shows = cte->shows;
        place->width = cte->width;
    } else if (rule) {
        place->kind = SQL_PLACE_MIGRATING;
        place->rule = rule;
        place->other = sql_rule_is_other(rule, name);
        place->taken = !schema && is_taken(w, rule, name);
        if (!rule->ncolumns)
            sql_work_doubt(w, SQL_DOUBT_COLUMNS);
        if (!sql_rules_is_here(w->rules, sql_node_text(sql_tree_get(range, "catalogname")))) {
            w->unnamed = true;
            sql_work_doubt(w, SQL_DOUBT_CLAUSE);
        }
        sql_said_table(w, rule, name);
    }
    return place;
}

static bool is_called(const struct sql_node *alias, const char *name)
{
    const char *own = sql_node_text(sql_tree_get(alias, "aliasname"));

    return own && !strcmp(own, name);
}

/* Is a join of that FROM, or its USING, called so? */
static bool is_join(const struct sql_work *w, const struct sql_node *node, const char *name)
{
    const struct sql_node *join = sql_tree_get(node, "JoinExpr");

    if (!sql_work_spend(w, 1))
        return false;
    SQL_NODE_EACH_ITEM(item, node)
        if (is_join(w, item, name))
            return true;
    return join && (is_called(sql_tree_get(join, "alias"), name) ||
                    is_called(sql_tree_get(join, "join_using_alias"), name) ||
                    is_join(w, sql_tree_get(join, "larg"), name) ||
                    is_join(w, sql_tree_get(join, "rarg"), name));
}

bool sql_scope_is_join(const struct sql_work *w, const struct sql_scope *scope, const char *name)
{
    return is_join(w, scope->from, name);
}

struct sql_place *sql_scope_place(const struct sql_work *w, struct sql_scope *scope,
                                  const char *name)
{
    for (; scope; scope = scope->outer) {
        if (!sql_work_spend(w, scope->n))
            break;
        for (size_t i = 0; i < scope->n; i++)
            if (scope->places[i].name && !scope->places[i].covered &&
                !strcmp(scope->places[i].name, name))
                return &scope->places[i];
        if ((scope->covered || scope->merged) && is_join(w, scope->from, name))
            return NULL;
    }
    return NULL;
}

const char *sql_scope_call(struct sql_work *w, struct sql_place *place)
{
    uint32_t at;

    if (!place->name && sql_newer_alias(place->may_be_called, &at)) {
        place->name = place->may_be_called;
        sql_edits_add_take(&w->edits, at, 0, mem_printf(" AS \"%s\"", place->name));
    }
    return place->name;
}

const struct sql_node *sql_scope_listed(const struct sql_node *function)
{
    static const char *const lists[] = {"coldeflist", "columns", "jsonColumns"};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const struct sql_node *list = sql_tree_get(function, lists[i]);

        if (sql_node_size(list))
            return list;
    }
    return NULL;
}

bool sql_place_is_unique(const struct sql_work *w, const struct sql_scope *scope,
                         const struct sql_place *place)
{
    if (!sql_work_spend(w, scope->n))
        return false;
    for (size_t i = 0; i < scope->n; i++)
        if (&scope->places[i] != place && scope->places[i].name &&
            !strcmp(scope->places[i].name, place->name))
            return false;
    return true;
}

/* ---- columns ---- */

bool sql_place_hides(const struct sql_work *w, const struct sql_place *place)
{
    for (size_t i = 0; place->rule && i < place->rule->ncolumns; i++)
        if (sql_work_hides(w, place->rule, &place->rule->columns[i]))
            return true;
    return false;
}

bool sql_is_dual_name(const struct sql_work *w, const char *column)
{
    return sql_rules_dual(w->rules, column);
}

static bool in_list(const struct sql_work *w, const struct sql_node *list, const char *column)
{
    if (!sql_work_spend(w, sql_node_size(list)))
        return false;
    SQL_NODE_EACH_ITEM(item, list) {
        const char *name = sql_tree_string(item);

        if (name && !strcmp(name, column))
            return true;
    }
    return false;
}

static bool joins_by(const struct sql_work *w, const struct sql_node *node, const char *column)
{
    const struct sql_node *join = sql_tree_get(node, "JoinExpr");

    if (!sql_work_spend(w, 1))
        return false;
    SQL_NODE_EACH_ITEM(item, node)
        if (joins_by(w, item, column))
            return true;
    return join && (in_list(w, sql_tree_get(join, "usingClause"), column) ||
                    joins_by(w, sql_tree_get(join, "larg"), column) ||
                    joins_by(w, sql_tree_get(join, "rarg"), column));
}

bool sql_scope_joins_by(const struct sql_work *w, const struct sql_scope *scope, const char *column)
{
    return joins_by(w, scope->from, column);
}

static bool renames_to(const struct sql_work *w, const struct sql_node *node, const char *column)
{
    const struct sql_node *join = sql_tree_get(node, "JoinExpr");

    if (!sql_work_spend(w, 1))
        return false;
    SQL_NODE_EACH_ITEM(item, node)
        if (renames_to(w, item, column))
            return true;
    return join && (in_list(w, sql_tree_get(sql_tree_get(join, "alias"), "colnames"), column) ||
                    renames_to(w, sql_tree_get(join, "larg"), column) ||
                    renames_to(w, sql_tree_get(join, "rarg"), column));
}

bool sql_scope_renames_to(const struct sql_work *w, const struct sql_scope *scope,
                          const char *column)
{
    return scope->covered && renames_to(w, scope->from, column);
}

static bool renames(const struct sql_work *w, const struct sql_node *node)
{
    const struct sql_node *join = sql_tree_get(node, "JoinExpr");

    if (!sql_work_spend(w, 1))
        return false;
    SQL_NODE_EACH_ITEM(item, node)
        if (renames(w, item))
            return true;
    return join &&
           (sql_node_size(sql_tree_get(sql_tree_get(join, "alias"), "colnames")) > 0 ||
            renames(w, sql_tree_get(join, "larg")) || renames(w, sql_tree_get(join, "rarg")));
}

bool sql_scope_renames(const struct sql_work *w, const struct sql_scope *scope)
{
    return renames(w, scope->from);
}

const char *sql_place_called(const struct sql_place *place, size_t index, const char *name)
{
    const char *alias = place->aliases ? sql_tree_string(sql_node_at(place->aliases, index)) : NULL;

    return alias ? alias : name;
}

static enum sql_has table_has(const struct sql_work *w, const struct sql_place *place,
                              const char *column)
{
    size_t renamed = sql_node_size(place->aliases); /* that many of the session's first ones */

    for (size_t i = 0; i < place->rule->ncolumns; i++) {
        const struct rule_column *c = &place->rule->columns[i];
        bool hidden = sql_work_hides(w, place->rule, c);

        if (!strcmp(c->name, column))
            return hidden ? SQL_HAS_HIDDEN : renamed ? SQL_HAS_NOT : SQL_HAS;
        renamed -= !hidden && renamed;
    }
    return SQL_HAS_NOT;
}

/* Behind the `renamed` first ones, which a list of aliases calls otherwise? */
static enum sql_has namesake_has(const struct namesake *n, size_t renamed, const char *column)
{
    for (size_t i = 0; n->columns[i]; i++) {
        if (strcmp(n->columns[i], column) != 0)
            continue;
        if (renamed && !n->places)
            return SQL_HAS_PERHAPS;
        return renamed && n->places[i] <= renamed ? SQL_HAS_NOT : SQL_HAS;
    }
    return SQL_HAS_NOT;
}

/* Where several are called so, they may not agree. */
enum sql_has sql_relation_has(const struct sql_work *w, const struct sql_node *range,
                              size_t renamed, const char *column)
{
    const char *name = sql_node_text(sql_tree_get(range, "relname"));
    const char *schema = sql_node_text(sql_tree_get(range, "schemaname"));
    bool yes = false, no = false, perhaps = false;

    SQL_BY_NAME_EACH(other, &w->rules->namesakes_by, name ? name : "") {
        const struct namesake *n = &w->rules->namesakes[other->at];

        if (schema && strcmp(n->schema, schema) != 0)
            continue;
        switch (namesake_has(n, renamed, column)) {
        case SQL_HAS:
            yes = true;
            break;
        case SQL_HAS_NOT:
            no = true;
            break;
        case SQL_HAS_PERHAPS:
        case SQL_HAS_HIDDEN:
            perhaps = true;
            break;
        }
    }
    if (!yes && !perhaps)
        return w->session->unlisted || w->out->verdict.columns ? SQL_HAS_PERHAPS : SQL_HAS_NOT;
    return no || perhaps ? SQL_HAS_PERHAPS : SQL_HAS;
}

const char *sql_scope_listed_name(const struct sql_node *item)
{
    static const struct {
        const char *kind, *name;
    } kinds[] = {{"ColumnDef", "colname"}, {"RangeTableFuncCol", "colname"}, {"ResTarget", "name"}};
    const char *name = NULL;

    for (size_t i = 0; !name && i < ARRAY_LEN(kinds); i++)
        name = sql_node_text(sql_tree_get(sql_tree_get(item, kinds[i].kind), kinds[i].name));
    return name;
}

static enum sql_has list_has(const struct sql_work *w, const struct sql_place *place,
                             const char *column)
{
    size_t renamed = sql_node_size(place->aliases); /* that many of the first columns */

    if (!sql_work_spend(w, sql_node_size(place->listed)))
        return SQL_HAS_NOT;
    for (size_t i = renamed; i < sql_node_size(place->listed); i++) {
        const char *name = sql_scope_listed_name(sql_node_at(place->listed, i));

        if (!name || !strcmp(name, column))
            return name ? SQL_HAS : SQL_HAS_PERHAPS;
    }
    return SQL_HAS_NOT;
}

bool sql_place_lists(const struct sql_work *w, const struct sql_place *place, const char *column)
{
    return place->aliases && in_list(w, place->aliases, column);
}

void sql_place_is_early(struct sql_work *w, const struct sql_place *place)
{
    if (!place->taken)
        w->out->early |= sql_work_bit(place->rule);
}

enum sql_has sql_place_has(const struct sql_work *w, const struct sql_place *place,
                           const char *column)
{
    if (sql_place_lists(w, place, column))
        return SQL_HAS;
    switch (place->kind) {
    case SQL_PLACE_MIGRATING:
        return table_has(w, place, column);
    case SQL_PLACE_RELATION:
        return sql_relation_has(w, place->range, sql_node_size(place->aliases), column);
    case SQL_PLACE_QUERY:
        return sql_columns_have(w, place->shows, sql_node_size(place->aliases), column);
    case SQL_PLACE_LISTED:
        return list_has(w, place, column);
    case SQL_PLACE_UNKNOWN:
        break;
    }
    return SQL_HAS_PERHAPS;
}
