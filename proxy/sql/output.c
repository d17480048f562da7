#include "output.h"

#include <string.h>

#include "name.h"
#include "walk.h"
#include "width.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

/* ---- the name of a value ---- */

static const char *const UNNAMED = "?column?";

/* What a name is worth: a weak one gives way to that of a cast, or of CASE. */
struct figure {
    const char *name; /* NULL: not known */
    bool weak;
};

static struct figure figure_of(const struct sql_work *w, const struct sql_node *val);

/* The last name of a list; a star and subscripts have none. */
static const char *last_name(const struct sql_work *w, const struct sql_node *list)
{
    const char *name = NULL;

    if (!sql_work_spend(w, sql_node_size(list)))
        return NULL;
    SQL_NODE_EACH_ITEM(item, list) {
        const char *word = sql_tree_string(item);

        name = word ? word : name;
    }
    return name;
}

static struct figure of_column(const struct sql_work *w, const struct sql_node *node)
{
    return (struct figure){last_name(w, get(node, "fields")), false};
}

static struct figure of_call(const struct sql_work *w, const struct sql_node *node)
{
    return (struct figure){last_name(w, get(node, "funcname")), false};
}

static struct figure of_indirection(const struct sql_work *w, const struct sql_node *node)
{
    const char *name = last_name(w, get(node, "indirection"));

    return name ? (struct figure){name, false} : figure_of(w, get(node, "arg"));
}

static struct figure of_operator(const struct sql_work *w, const struct sql_node *node)
{
    (void)w;
    const char *kind = sql_node_text(get(node, "kind"));

    if (kind && !strcmp(kind, "AEXPR_NULLIF"))
        return (struct figure){"nullif", false};
    return (struct figure){UNNAMED, true};
}

static struct figure of_cast(const struct sql_work *w, const struct sql_node *node)
{
    struct figure inner = figure_of(w, get(node, "arg"));

    if (!inner.name || !inner.weak)
        return inner;
    return (struct figure){last_name(w, get(get(node, "typeName"), "names")), true};
}

static struct figure of_collation(const struct sql_work *w, const struct sql_node *node)
{
    return figure_of(w, get(node, "arg"));
}

static struct figure of_case(const struct sql_work *w, const struct sql_node *node)
{
    const struct sql_node *rest = get(node, "defresult");
    struct figure inner = rest ? figure_of(w, rest) : (struct figure){UNNAMED, true};

    if (!inner.name || !inner.weak)
        return inner;
    return (struct figure){"case", true};
}

/* A sub-select has the name of its only column. */
static struct figure of_query(const struct sql_work *w, const struct sql_node *node)
{
    const char *kind = sql_node_text(get(node, "subLinkType"));
    const struct sql_node *query = get(get(node, "subselect"), "SelectStmt"), *target;
    const char *name;

    if (!kind || strcmp(kind, "EXPR_SUBLINK") != 0)
        return (struct figure){0};
    while (get(query, "larg") && sql_work_spend(w, 1))
        query = get(query, "larg");
    target = get(sql_node_at(get(query, "targetList"), 0), "ResTarget");
    name = sql_node_text(get(target, "name"));
    return name ? (struct figure){name, false}
                : (struct figure){sql_output_figured(w, get(target, "val")), false};
}

static struct figure of_nothing(const struct sql_work *w, const struct sql_node *node)
{
    (void)w;
    (void)node;
    return (struct figure){UNNAMED, true};
}

static const struct {
    const char *kind;
    struct figure (*figure)(const struct sql_work *w, const struct sql_node *node);
} kinds[] = {
    {"ColumnRef", of_column}, {"FuncCall", of_call},    {"A_Indirection", of_indirection},
    {"A_Expr", of_operator},  {"TypeCast", of_cast},    {"CollateClause", of_collation},
    {"CaseExpr", of_case},    {"SubLink", of_query},    {"A_Const", of_nothing},
    {"ParamRef", of_nothing}, {"BoolExpr", of_nothing}, {"NullTest", of_nothing},
};

static struct figure figure_of(const struct sql_work *w, const struct sql_node *val)
{
    const char *kind = sql_work_spend(w, 1) ? sql_tree_kind(val) : NULL;

    for (size_t i = 0; kind && i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].kind, kind))
            return kinds[i].figure(w, get(val, kind));
    return (struct figure){0};
}

const char *sql_output_figured(const struct sql_work *w, const struct sql_node *val)
{
    return figure_of(w, val).name;
}

/* ---- who is called ---- */

const struct sql_node *sql_output_named(const struct sql_work *w, const struct sql_node *ref,
                                        const struct sql_node *targets, size_t *number)
{
    const struct sql_node *fields = get(ref, "fields");
    const char *name = sql_node_size(fields) == 1 ? sql_tree_string(sql_node_at(fields, 0)) : NULL;
    bool counts = true;

    if (name && !sql_work_spend(w, sql_node_size(targets)))
        return NULL;
    for (size_t i = 0; name && i < sql_node_size(targets); i++) {
        const struct sql_node *target = get(sql_node_at(targets, i), "ResTarget");
        const struct sql_node *val = get(target, "val");
        const char *called = sql_node_text(get(target, "name"));

        if (sql_is_star(val)) {
            counts = false;
            continue;
        }
        called = called ? called : sql_output_figured(w, val);
        if (!called || strcmp(called, name) != 0)
            continue;
        if (number)
            *number = counts ? i + 1 : 0;
        return target;
    }
    return NULL;
}

/* ---- the clauses ---- */

void sql_output_sorts(struct sql_work *w, struct sql_scope *scope, const struct sql_node *list,
                      const struct sql_node *targets)
{
    SQL_NODE_EACH_ITEM(item, list) {
        const struct sql_node *sort = get(item, "SortBy");
        const struct sql_node *node = sort ? get(sort, "node") : item;

        if (!sql_output_named(w, get(node, "ColumnRef"), targets, NULL))
            sql_walk_node(w, scope, node, SQL_NAME_ANONYMOUS);
    }
}

/* (a, b) is two items, ROW(a, b) one. */
static bool is_list(const struct sql_node *row)
{
    const char *format = sql_node_text(get(row, "row_format"));

    return format && !strcmp(format, "COERCE_IMPLICIT_CAST");
}

/* Rows are told apart by what is in them. */
void sql_output_groups(struct sql_work *w, struct sql_scope *scope, const struct sql_node *list,
                       const struct sql_node *targets)
{
    SQL_NODE_EACH_ITEM(item, list) {
        const struct sql_node *set = get(item, "GroupingSet"), *row = get(item, "RowExpr");

        if (set)
            sql_output_groups(w, scope, get(set, "content"), targets);
        else if (row && is_list(row))
            sql_output_groups(w, scope, get(row, "args"), targets);
        else if (!sql_name_output(w, scope, get(item, "ColumnRef"), targets))
            sql_walk_node(w, scope, item, SQL_NAME_ANONYMOUS);
    }
}
