/*
 * Which expressions may stand in a statement twice, and which only elsewhere. Of functions and
 * operators the catalog knows whether they give the same value again and without an effect
 * (segue/sql/functions.h). Not here is what ends where only the grammar knows (CASE, sub-selects).
 */
#include <string.h>

#include "work.h"

/* Kinds of nodes, and the members in which their operands are. */
static const struct {
    const char *kind, *operands[2];
    bool moves; /* may be evaluated once, but is not written twice */
} nodes[] = {
    {"A_Const", {NULL}, false},
    {"ParamRef", {NULL}, false},
    {"SQLValueFunction",
     {NULL},
     false}, /* CURRENT_TIMESTAMP, CURRENT_USER: one value a statement */
    {"ColumnRef", {NULL}, false},
    {"TypeCast", {"arg"}, false},
    {"A_Expr", {"lexpr", "rexpr"}, false},
    {"BoolExpr", {"args"}, false},
    {"NullTest", {"arg"}, false},
    {"CoalesceExpr", {"args"}, false},
    {"A_ArrayExpr", {"elements"}, false},
    {"FuncCall", {"args"}, false},
    {"NamedArgExpr", {"arg"}, false},
    {"MinMaxExpr", {"args"}, true},
    {"BooleanTest", {"arg"}, true},
    {"CollateClause", {"arg"}, true},
    {"List", {"items"}, true}, /* IN (1, 2) */
};

static const char *last_name(const struct sql_node *node, const char *member)
{
    const struct sql_node *names = sql_tree_get(node, member);

    return sql_tree_string(sql_node_at(names, sql_node_size(names) - 1));
}

static bool knows(const struct sql_work *w, enum sql_function_kind kind, const char *name)
{
    return name && sql_functions_has(w->rules->functions, kind, name);
}

/* Without what only an aggregate or a window function has. */
static bool is_plain_call(const struct sql_node *call)
{
    static const char *const others[] = {"agg_order",        "agg_filter",   "over",
                                         "agg_within_group", "agg_distinct", "agg_star"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (sql_tree_get(call, others[i]))
            return false;
    return true;
}

/* IS DISTINCT FROM, BETWEEN, IN and the like are no plain operators. */
static bool is_plain_operator(const struct sql_node *node)
{
    const char *op = sql_node_text(sql_tree_get(node, "kind"));

    return op && !strcmp(op, "AEXPR_OP");
}

/* Stars are no values. */
static bool may_once(const struct sql_work *w, const char *kind, const struct sql_node *node)
{
    const char *name = last_name(node, "funcname");
    const struct sql_node *fields = sql_tree_get(node, "fields");

    if (!strcmp(kind, "ColumnRef"))
        return !sql_tree_get(sql_node_at(fields, sql_node_size(fields) - 1), "A_Star");
    if (!strcmp(kind, "FuncCall"))
        return is_plain_call(node) &&
               (knows(w, SQL_FUNCTION_ONCE, name) || knows(w, SQL_FUNCTION_TWICE, name));
    if (!strcmp(kind, "A_Expr"))
        return !is_plain_operator(node) || knows(w, SQL_FUNCTION_OPERATOR, last_name(node, "name"));
    return true;
}

static bool may_twice(const struct sql_work *w, const char *kind, const struct sql_node *node)
{
    if (!strcmp(kind, "TypeCast"))
        return knows(w, SQL_FUNCTION_CASTS, "");
    if (!strcmp(kind, "FuncCall"))
        return is_plain_call(node) && knows(w, SQL_FUNCTION_TWICE, last_name(node, "funcname"));
    if (!strcmp(kind, "A_Expr") && !is_plain_operator(node))
        return false;
    return may_once(w, kind, node);
}

static bool may(const struct sql_work *w, const struct sql_node *expr, bool once);

static bool all_may(const struct sql_work *w, const struct sql_node *operand, bool once)
{
    if (!(operand && operand->kind == SQL_NODE_LIST))
        return !operand || may(w, operand, once);
    for (size_t i = 0; i < sql_node_size(operand); i++)
        if (!may(w, sql_node_at(operand, i), once))
            return false;
    return true;
}

static bool may(const struct sql_work *w, const struct sql_node *expr, bool once)
{
    const char *kind = sql_tree_kind(expr);

    for (size_t i = 0; kind && i < ARRAY_LEN(nodes); i++) {
        const struct sql_node *node = sql_tree_get(expr, kind);
        bool able;

        if (strcmp(kind, nodes[i].kind) != 0)
            continue;
        able = once ? may_once(w, kind, node) : !nodes[i].moves && may_twice(w, kind, node);
        for (size_t k = 0; k < ARRAY_LEN(nodes[i].operands); k++)
            if (nodes[i].operands[k])
                able = able && all_may(w, sql_tree_get(node, nodes[i].operands[k]), once);
        return able;
    }
    return false;
}

bool sql_expr_may_repeat(const struct sql_work *w, const struct sql_node *expr)
{
    return may(w, expr, false);
}

/* A literal alone takes the type of the column that it is written to, elsewhere it would be text;
 * ARRAY[] has no type. */
bool sql_expr_may_move(const struct sql_work *w, const struct sql_node *expr)
{
    static const char *const typed[] = {"FuncCall", "A_Expr",   "BoolExpr",
                                        "NullTest", "TypeCast", "CoalesceExpr"};

    for (size_t i = 0; i < ARRAY_LEN(typed); i++)
        if (sql_tree_get(expr, typed[i]))
            return may(w, expr, true);
    return false;
}

/* Kinds of nodes whose inside is not seen, or is evaluated as often as the planner likes. */
static bool is_stirring(const struct sql_work *w, const char *kind, const struct sql_node *node)
{
    static const char *const kinds[] = {"SubLink", "SetToDefault"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kind, kinds[i]))
            return true;
    if (!strcmp(kind, "FuncCall"))
        return !may_twice(w, kind, node);
    return !strcmp(kind, "A_Expr") && !may_once(w, kind, node);
}

bool sql_expr_is_calm(const struct sql_work *w, const struct sql_node *expr)
{
    SQL_NODE_EACH_ITEM(item, expr) {
        if (!sql_expr_is_calm(w, item))
            return false;
    }
    SQL_NODE_EACH_MEMBER(member, expr) {
        if (is_stirring(w, member->key, member) || !sql_expr_is_calm(w, member))
            return false;
    }
    return true;
}

bool sql_expr_is_value(const struct sql_node *expr)
{
    static const char *const values[] = {"A_Const", "ParamRef", "SQLValueFunction", "ColumnRef"};
    const char *kind = sql_tree_kind(expr);

    if (kind && !strcmp(kind, "TypeCast")) /* of a constant: the planner does it */
        return sql_tree_get(sql_tree_get(sql_tree_get(expr, kind), "arg"), "A_Const");
    for (size_t i = 0; kind && i < ARRAY_LEN(values); i++)
        if (!strcmp(kind, values[i]))
            return true;
    return false;
}
