/*
 * Which expressions may stand in a statement twice. Of functions only the catalog knows whether
 * they give the same value again and without an effect; they are not here, and neither is what
 * takes a while or ends where only the grammar knows (CASE, sub-selects).
 */
#include <string.h>

#include "work.h"

/* Kinds of nodes, and the members in which their operands are. */
static const struct {
    const char *kind, *operands[2];
} repeatable[] = {
    {"A_Const", {NULL}},
    {"ParamRef", {NULL}},
    {"SQLValueFunction", {NULL}}, /* CURRENT_TIMESTAMP, CURRENT_USER: one value a statement */
    {"ColumnRef", {NULL}},
    {"TypeCast", {"arg"}},
    {"A_Expr", {"lexpr", "rexpr"}},
    {"BoolExpr", {"args"}},
    {"NullTest", {"arg"}},
    {"CoalesceExpr", {"args"}},
    {"A_ArrayExpr", {"elements"}},
};

static bool all_may_repeat(const struct sql_node *operand)
{
    if (!operand || operand->kind != SQL_NODE_LIST)
        return !operand || sql_expr_may_repeat(operand);
    for (size_t i = 0; i < sql_node_size(operand); i++)
        if (!sql_expr_may_repeat(sql_node_at(operand, i)))
            return false;
    return true;
}

/* Stars are no values; IS DISTINCT FROM, BETWEEN, IN and the like are no plain operators. */
static bool is_plain(const char *kind, const struct sql_node *node)
{
    const struct sql_node *fields = sql_tree_get(node, "fields");
    const char *op = sql_node_text(sql_tree_get(node, "kind"));

    if (!strcmp(kind, "ColumnRef"))
        return !sql_tree_get(sql_node_at(fields, sql_node_size(fields) - 1), "A_Star");
    if (!strcmp(kind, "A_Expr"))
        return op && !strcmp(op, "AEXPR_OP");
    return true;
}

bool sql_expr_may_repeat(const struct sql_node *expr)
{
    const char *kind = sql_tree_kind(expr);

    for (size_t i = 0; kind && i < ARRAY_LEN(repeatable); i++) {
        const struct sql_node *node = sql_tree_get(expr, kind);
        bool may = true;

        if (strcmp(kind, repeatable[i].kind) != 0)
            continue;
        for (size_t k = 0; k < ARRAY_LEN(repeatable[i].operands); k++)
            if (repeatable[i].operands[k])
                may = may && all_may_repeat(sql_tree_get(node, repeatable[i].operands[k]));
        return may && is_plain(kind, node);
    }
    return false;
}
