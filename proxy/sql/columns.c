#include "columns.h"

#include <string.h>

#include "name.h"
#include "output.h"
#include "segue/base/mem.h"
#include "star.h"
#include "width.h"

#define COLUMNS_MAX 1700 /* of a query: the server has no more than 1664 */
#define ALL_MAX 100000   /* of all queries of a text; what is beyond is not known */

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

/* ---- putting ---- */

static void put(struct sql_work *w, struct sql_column column)
{
    struct sql_columns *all = &w->columns;

    mem_grow((void **)&all->items, &all->cap, all->n + 1, sizeof(*all->items));
    all->items[all->n++] = column;
}

static void put_any(struct sql_work *w)
{
    put(w, (struct sql_column){.kind = SQL_COLUMN_ANY});
}

static void put_named(struct sql_work *w, const char *name)
{
    put(w,
        (struct sql_column){.kind = name ? SQL_COLUMN_NAMED : SQL_COLUMN_NAMELESS, .name = name});
}

/* All that were put behind the first `at`. */
static struct sql_shows take(struct sql_work *w, size_t at, bool loose)
{
    size_t n = w->columns.n - at;

    if (n <= COLUMNS_MAX && w->columns.n <= ALL_MAX)
        return (struct sql_shows){.at = at, .n = n, .known = true, .loose = loose};
    w->columns.n = at;
    return (struct sql_shows){0};
}

static bool is_one(const struct sql_column *column)
{
    return column->kind != SQL_COLUMN_ANY && column->kind != SQL_COLUMN_STAR;
}

/* ---- signatures ---- */

/* Whatever it is of: the text is the same, and so the order. */
static void add_signature(struct sql_shows *to, uint64_t signature)
{
    to->unknown = to->unknown || !signature;
    to->signature = ((to->signature ^ signature) * UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

/* What a star over the place stands for. */
static void add_place(const struct sql_work *w, struct sql_shows *to, const struct sql_place *place)
{
    const char *name = sql_node_text(sql_tree_get(place->range, "relname"));

    switch (place->kind) {
    case SQL_PLACE_MIGRATING:
        add_signature(to, sql_work_signature(w, place->rule));
        break;
    case SQL_PLACE_RELATION:
        if (name && !place->schema && sql_rules_named(w->rules, name, 0))
            add_signature(to, sql_path_signature(w->rules, w->path.path, name));
        else
            to->open = to->open || !place->schema;
        break;
    case SQL_PLACE_QUERY:
        to->open = to->open || place->shows.open || !place->shows.known;
        if (place->shows.unknown || place->shows.signature)
            add_signature(to, place->shows.unknown ? 0 : place->shows.signature);
        break;
    case SQL_PLACE_LISTED:
    case SQL_PLACE_UNKNOWN:
        to->open = true;
    }
}

static void add_all(const struct sql_work *w, struct sql_shows *to, const struct sql_scope *scope)
{
    if (!sql_work_spend(w, 2 * scope->n)) /* they are put, too */
        return;
    for (size_t i = 0; i < scope->n; i++)
        if (!scope->places[i].qualified_only)
            add_place(w, to, &scope->places[i]);
}

static struct sql_shows signed_as(struct sql_shows shows, const struct sql_shows *as)
{
    shows.signature = as->signature;
    shows.open = as->open;
    shows.unknown = as->unknown || !shows.known;
    return shows;
}

void sql_columns_note(struct sql_work *w, const char *kind, const struct sql_node *stmt)
{
    static const char *const giving[] = {"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt",
                                         "MergeStmt"};
    bool gives = false;

    if (!strcmp(kind, "PrepareStmt"))
        return; /* what it prepares was noted */
    for (size_t i = 0; i < ARRAY_LEN(giving); i++)
        gives = gives || !strcmp(giving[i], kind);
    gives = gives && !w->shows.unknown && !get(stmt, "intoClause");
    w->out->signature = gives ? w->shows.signature : 0;
    w->out->closed = !w->shows.open;
}

/* ---- of places ---- */

static void put_list(struct sql_work *w, const struct sql_node *names)
{
    SQL_NODE_EACH_ITEM(item, names)
        put_named(w, sql_tree_string(item));
}

/* Those behind the first `renamed`. True: nobody knows in which order. */
static bool put_shown(struct sql_work *w, struct sql_shows shows, size_t renamed)
{
    if (!shows.known || (renamed > 0 && shows.loose)) {
        put_any(w);
        return false;
    }
    for (size_t i = 0; i < shows.n; i++) {
        struct sql_column column = w->columns.items[shows.at + i]; /* putting moves them */

        if (renamed > 0 && !is_one(&column)) {
            put_any(w);
            return false;
        }
        if (renamed > 0)
            renamed--;
        else
            put(w, column);
    }
    return shows.loose;
}

static void put_table(struct sql_work *w, const struct sql_place *place)
{
    const struct rule *rule = place->rule;
    size_t seen = 0;

    for (size_t i = 0; i < rule->ncolumns; i++) {
        const struct sql_node *alias;

        if (sql_work_hides(w, rule, &rule->columns[i]))
            continue;
        alias = sql_node_at(place->aliases, seen++);
        put_named(w, alias ? sql_tree_string(alias) : rule->columns[i].name);
    }
    if (!seen)
        put_any(w);
}

/* True: nobody knows in which order. */
static bool put_place(struct sql_work *w, const struct sql_place *place)
{
    size_t renamed = sql_node_size(place->aliases);

    if (place->kind == SQL_PLACE_MIGRATING) {
        put_table(w, place);
        return false;
    }
    put_list(w, place->aliases);
    switch (place->kind) {
    case SQL_PLACE_RELATION:
        put(w, (struct sql_column){
                   .kind = SQL_COLUMN_STAR, .range = place->range, .renamed = renamed});
        break;
    case SQL_PLACE_QUERY:
        return put_shown(w, place->shows, renamed);
    case SQL_PLACE_LISTED:
        for (size_t i = renamed; i < sql_node_size(place->listed); i++)
            put_named(w, sql_scope_listed_name(sql_node_at(place->listed, i)));
        break;
    case SQL_PLACE_MIGRATING:
    case SQL_PLACE_UNKNOWN:
        put_any(w);
        break;
    }
    return false;
}

/* ---- stars ---- */

static bool put_all(struct sql_work *w, const struct sql_scope *scope)
{
    bool loose = scope->merged; /* what was merged comes first */

    if (scope->covered && sql_scope_renames(w, scope)) {
        put_any(w);
        return false;
    }
    for (size_t i = 0; i < scope->n; i++)
        if (!scope->places[i].qualified_only)
            loose = put_place(w, &scope->places[i]) || loose;
    return loose;
}

/* c.*, (c).* */
static bool put_star_of(struct sql_work *w, struct sql_scope *scope, const struct sql_node *star,
                        struct sql_shows *signs)
{
    const struct sql_node *ref = get(star, "ColumnRef"), *steps = get(star, "A_Indirection");
    const struct sql_node *fields = get(get(get(steps, "arg"), "ColumnRef"), "fields");
    const char *row = sql_tree_string(sql_node_at(fields, 0)), *qualifier;
    const struct sql_place *place = NULL;

    if (ref)
        place = sql_star_place(w, scope, ref, &qualifier);
    else if (row && sql_node_size(fields) == 1 && sql_star_is_of(steps))
        place = sql_name_row(w, scope, row);
    if (place && sql_place_is_unique(w, scope, place)) {
        add_place(w, signs, place);
        return put_place(w, place);
    }
    signs->unknown = true;
    put_any(w);
    return false;
}

/* ---- queries ---- */

struct sql_shows sql_columns_of_targets(struct sql_work *w, struct sql_scope *scope,
                                        const struct sql_node *targets)
{
    struct sql_shows signs = {0};
    size_t at = w->columns.n;
    bool loose = false;

    SQL_NODE_EACH_ITEM(item, targets) {
        const struct sql_node *target = get(item, "ResTarget"), *val = get(target, "val");
        const char *name = sql_node_text(get(target, "name"));

        if (w->columns.n - at > COLUMNS_MAX)
            break;
        signs.open = signs.open || !sql_is_star(val);
        if (!sql_is_star(val)) {
            put_named(w, name ? name : sql_output_figured(w, val));
        } else if (sql_node_size(get(get(val, "ColumnRef"), "fields")) == 1) {
            add_all(w, &signs, scope);
            loose = put_all(w, scope) || loose;
        } else {
            loose = put_star_of(w, scope, val, &signs) || loose;
        }
    }
    return signed_as(take(w, at, loose), &signs);
}

struct sql_shows sql_columns_of_row(struct sql_work *w, const struct sql_node *values)
{
    size_t at = w->columns.n;

    SQL_NODE_EACH_ITEM(item, values) {
        if (sql_is_star(item))
            put_any(w);
        else
            put(w, (struct sql_column){.kind = SQL_COLUMN_NUMBERED});
    }
    return signed_as(take(w, at, false), &(struct sql_shows){.open = true});
}

static void put_if(struct sql_work *w, const struct sql_node *name)
{
    if (name)
        put_named(w, sql_node_text(name));
}

struct sql_shows sql_columns_of_cte(struct sql_work *w, const struct sql_node *cte,
                                    struct sql_shows shows)
{
    const struct sql_node *list = get(cte, "aliascolnames"), *cycle = get(cte, "cycle_clause");
    const struct sql_node *search = get(cte, "search_clause");
    size_t at = w->columns.n;
    bool loose;

    if (!list && !cycle && !search)
        return shows;
    put_list(w, list);
    loose = put_shown(w, shows, sql_node_size(list));
    put_if(w, get(search, "search_seq_column"));
    put_if(w, get(cycle, "cycle_mark_column"));
    put_if(w, get(cycle, "cycle_path_column"));
    return signed_as(take(w, at, loose), &shows);
}

/* ---- functions ---- */

struct sql_shows sql_columns_of_function(struct sql_work *w, const struct sql_node *function)
{
    const struct sql_node *functions = get(function, "functions");
    const char *alias = sql_node_text(get(get(function, "alias"), "aliasname"));
    bool alone = sql_node_size(functions) == 1;
    size_t at = w->columns.n;

    if (!functions)
        return (struct sql_shows){0};
    SQL_NODE_EACH_ITEM(item, functions) {
        const struct sql_node *parts = get(get(item, "List"), "items");
        const struct sql_node *call = get(sql_node_at(parts, 0), "FuncCall");
        const struct sql_node *listed = get(get(sql_node_at(parts, 1), "List"), "items");
        const struct sql_node *names = get(call, "funcname");
        const char *name = sql_tree_string(sql_node_at(names, sql_node_size(names) - 1));

        if (listed) { /* in ROWS FROM */
            SQL_NODE_EACH_ITEM(column, listed)
                put_named(w, sql_scope_listed_name(column));
            continue;
        }
        if (!name || !sql_functions_has(w->rules->functions, SQL_FUNCTION_SCALAR, name)) {
            w->columns.n = at;
            return (struct sql_shows){0};
        }
        put_named(w, alone && alias ? alias : name);
    }
    if (sql_node_is_true(get(function, "ordinality")))
        put_named(w, "ordinality");
    return signed_as(take(w, at, false), &(struct sql_shows){.open = true});
}

/* ---- asking ---- */

static enum sql_has is_called(const struct sql_work *w, const struct sql_column *column,
                              const char *name)
{
    switch (column->kind) {
    case SQL_COLUMN_NAMED:
        return strcmp(column->name, name) == 0 ? SQL_HAS : SQL_HAS_NOT;
    case SQL_COLUMN_NUMBERED:
        return strncmp(name, "column", 6) == 0 ? SQL_HAS_PERHAPS : SQL_HAS_NOT;
    case SQL_COLUMN_STAR:
        return sql_is_dual_name(w, name) ? sql_relation_has(w, column->range, column->renamed, name)
                                         : SQL_HAS_PERHAPS;
    case SQL_COLUMN_NAMELESS:
    case SQL_COLUMN_ANY:
        break;
    }
    return SQL_HAS_PERHAPS;
}

enum sql_has sql_columns_have(const struct sql_work *w, struct sql_shows shows, size_t renamed,
                              const char *column)
{
    bool unsure = renamed > 0 && shows.loose;
    enum sql_has has = shows.known ? SQL_HAS_NOT : SQL_HAS_PERHAPS;

    if (shows.known && !sql_work_spend(w, shows.n))
        return SQL_HAS_PERHAPS;
    for (size_t i = 0; shows.known && i < shows.n; i++) {
        const struct sql_column *each = &w->columns.items[shows.at + i];
        enum sql_has answer;

        if (renamed > 0 && !unsure && is_one(each)) {
            renamed--;
            continue;
        }
        unsure = unsure || renamed > 0;
        answer = is_called(w, each, column);
        if (answer == SQL_HAS && !unsure)
            return SQL_HAS;
        has = answer == SQL_HAS_NOT ? has : SQL_HAS_PERHAPS;
    }
    return has;
}
