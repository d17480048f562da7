/* What a text does to the search path, and to the role on which "$user" and the right to use a
 * schema depend. A few words tell whether the parser has to be asked at all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runs.h"
#include "segue/base/mem.h"
#include "segue/base/rc.h"
#include "segue/sql/expr.h"
#include "segue/sql/inspect.h"
#include "segue/sql/path.h"
#include "tree.h"

/* ---- may it? ---- */

/* Each has an underscore, by which they are looked for. */
static bool names_setting(const char *text, size_t len)
{
    static const struct {
        const char *before, *after; /* the underscore */
    } words[] = {{"search", "path"}, {"set", "config"}, {"pg", "settings"}};
    const char *end = text + len;

    for (const char *p = text; (p = memchr(p, '_', (size_t)(end - p))); p++)
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            size_t before = strlen(words[i].before), after = strlen(words[i].after);

            if ((size_t)(p - text) >= before && (size_t)(end - p) > after &&
                !strncasecmp(p - before, words[i].before, before) &&
                !strncasecmp(p + 1, words[i].after, after))
                return true;
        }
    for (const char *p = text; (p = memchr(p, '&', (size_t)(end - p))); p++)
        if (p > text && (p[-1] | 0x20) == 'u' && end - p > 1)
            return true; /* U&"...": any name */
    return false;
}

/* First words of what sets, ends transactions, or runs what was prepared. */
static bool begins_so(const char *text, size_t len)
{
    static const char *const words[] = {"set",     "reset",    "discard", "commit",
                                        "end",     "rollback", "abort",   "prepare",
                                        "execute", "explain",  "create"};
    size_t from = sql_first_at(text, len);

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (len - from >= strlen(words[i]) && !strncasecmp(text + from, words[i], strlen(words[i])))
            return true;
    return false;
}

static bool may_move(const char *text, size_t len)
{
    return begins_so(text, len) || names_setting(text, len) || memchr(text, ';', len ? len - 1 : 0);
}

/* ---- what it does ---- */

static const struct sql_path_move lost = {.kind = SQL_PATH_LOST, .tag = ""};

static void add(struct sql_path_move *all, const struct sql_path_move *one)
{
    if (one->kind == SQL_PATH_STAYS)
        return;
    if (all->kind == SQL_PATH_STAYS)
        *all = *one;
    else if (all->kind != SQL_PATH_ENDS || one->kind != SQL_PATH_ENDS)
        *all = lost;
}

/* The text of a constant; NULL: it is none, or not one of text. */
static const char *text_of(const struct sql_node *node)
{
    return sql_node_text(sql_tree_get(sql_tree_get(sql_tree_get(node, "A_Const"), "sval"), "sval"));
}

static void give(struct sql_path_move *move, const char *value)
{
    move->known = value && strlen(value) < sizeof(move->value);
    if (move->known)
        snprintf(move->value, sizeof(move->value), "%s", value);
}

/* As the server writes the list down: each name in quotes where it must be. */
static void give_list(struct sql_path_move *move, const struct sql_node *args)
{
    size_t used = 0;

    move->known = sql_node_size(args) > 0;
    SQL_NODE_EACH_ITEM(item, args) {
        const char *name = text_of(item);
        char *quoted = name ? sql_quote_ident(name) : NULL;
        size_t len = quoted ? strlen(quoted) : 0;

        if (!quoted || used + len + 3 > sizeof(move->value))
            move->known = false;
        else
            used += (size_t)sprintf(move->value + used, "%s%s", used ? ", " : "", quoted);
        free(quoted);
    }
}

static bool is(const struct sql_node *node, const char *member, const char *value)
{
    const char *text = sql_node_text(sql_tree_get(node, member));

    return text && !strcasecmp(text, value);
}

/* Known only as a name of its own: "none" depends on how the session began. */
static void give_role(struct sql_path_move *move, const char *name)
{
    give(move, name && strcmp(name, "none") != 0 ? name : NULL);
}

static struct sql_path_move of_set(const struct sql_node *set)
{
    struct sql_path_move move = {.local = sql_node_is_true(sql_tree_get(set, "is_local"))};
    const struct sql_node *args = sql_tree_get(set, "args");
    bool value = is(set, "kind", "VAR_SET_VALUE");
    bool reset = is(set, "kind", "VAR_RESET") || is(set, "kind", "VAR_RESET_ALL");

    move.tag = reset ? "RESET" : "SET";
    if (is(set, "kind", "VAR_RESET_ALL")) {
        move.kind = SQL_PATH_RESETS;
    } else if (is(set, "name", "search_path")) {
        move.kind = value || is(set, "kind", "VAR_SET_CURRENT") ? SQL_PATH_SETS : SQL_PATH_RESETS;
        if (value)
            give_list(&move, args);
    } else if (is(set, "name", "role") || is(set, "name", "session_authorization")) {
        move.kind = SQL_PATH_ROLE;
        if (value && is(set, "name", "role"))
            give_role(&move, text_of(sql_node_at(args, 0)));
    }
    return move;
}

/* set_config(name, value, is_local); `sure`: it is called once, whatever the data. */
static struct sql_path_move of_set_config(const struct sql_node *args, bool sure)
{
    const char *name = text_of(sql_node_at(args, 0)), *value = text_of(sql_node_at(args, 1));
    const struct sql_node *local =
        sql_tree_get(sql_tree_get(sql_node_at(args, 2), "A_Const"), "boolval");
    struct sql_path_move move = {.tag = "SELECT",
                                 .local = sql_node_is_true(sql_tree_get(local, "boolval"))};

    if (!name)
        return lost;
    if (!strcasecmp(name, "search_path"))
        move.kind = SQL_PATH_SETS;
    else if (!strcasecmp(name, "role") || !strcasecmp(name, "session_authorization"))
        move.kind = SQL_PATH_ROLE;
    if (!sure || !local)
        return move;
    if (move.kind == SQL_PATH_SETS)
        give(&move, value);
    else if (!strcasecmp(name, "role"))
        give_role(&move, value);
    return move;
}

static bool calls(const struct sql_node *call, const char *name)
{
    const struct sql_node *names = sql_tree_get(call, "funcname");
    size_t n = sql_node_size(names);
    const char *last = n ? sql_tree_string(sql_node_at(names, n - 1)) : NULL;

    return last && !strcmp(last, name);
}

/* Everything below a node that is not known to run once: calls, EXECUTE, pg_settings. */
static void look_below(struct sql_path_move *all, const struct sql_node *node)
{
    const struct sql_node *call = sql_tree_get(node, "FuncCall");
    struct sql_path_move move;

    if (call && calls(call, "set_config")) {
        move = of_set_config(sql_tree_get(call, "args"), false);
        add(all, &move);
    }
    if (sql_tree_get(node, "ExecuteStmt") || sql_tree_get(node, "DoStmt") ||
        is(node, "relname", "pg_settings"))
        add(all, &lost);
    SQL_NODE_EACH_ITEM(item, node)
        look_below(all, item);
    SQL_NODE_EACH_MEMBER(member, node)
        look_below(all, member);
}

/* SELECT set_config(...), ... and nothing else. */
static bool is_bare(const struct sql_node *select)
{
    static const char *const clauses[] = {
        "fromClause", "whereClause", "groupClause", "havingClause", "withClause",
        "larg",       "limitCount",  "limitOffset", "valuesLists",  "distinctClause"};

    for (size_t i = 0; i < ARRAY_LEN(clauses); i++)
        if (sql_tree_get(select, clauses[i]))
            return false;
    return select != NULL;
}

static void of_select(struct sql_path_move *all, const struct sql_node *select)
{
    if (!is_bare(select)) {
        look_below(all, select);
        return;
    }
    SQL_NODE_EACH_ITEM(item, sql_tree_get(select, "targetList")) {
        const struct sql_node *val = sql_tree_get(sql_tree_get(item, "ResTarget"), "val");
        const struct sql_node *call = sql_tree_get(val, "FuncCall");
        struct sql_path_move move;

        if (!call || !calls(call, "set_config")) {
            look_below(all, val);
            continue;
        }
        move = of_set_config(sql_tree_get(call, "args"), true);
        add(all, &move);
    }
}

static void of_transaction(struct sql_path_move *all, const struct sql_node *stmt)
{
    static const char *const ends[] = {"TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK",
                                       "TRANS_STMT_ROLLBACK_TO", "TRANS_STMT_PREPARE"};

    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (is(stmt, "kind", ends[i]))
            add(all, &(struct sql_path_move){.kind = SQL_PATH_ENDS, .tag = ""});
}

static void of_statement(struct sql_path_move *all, const struct sql_node *stmt)
{
    const struct sql_node *set = sql_tree_get(stmt, "VariableSetStmt");
    const struct sql_node *select = sql_tree_get(stmt, "SelectStmt");
    const struct sql_node *transaction = sql_tree_get(stmt, "TransactionStmt");
    const struct sql_node *discard = sql_tree_get(stmt, "DiscardStmt");
    struct sql_path_move move;

    if (set) {
        move = of_set(set);
        add(all, &move);
    } else if (select) {
        of_select(all, select);
    } else if (transaction) {
        of_transaction(all, transaction);
    } else if (discard) {
        if (is(discard, "target", "DISCARD_ALL"))
            add(all, &lost);
    } else if (!sql_tree_get(stmt, "CreateFunctionStmt") &&
               !sql_tree_get(stmt, "AlterRoleSetStmt") &&
               !sql_tree_get(stmt, "AlterDatabaseSetStmt")) {
        look_below(all, stmt);
    }
}

/* DO, EXECUTE: what they run is not seen. */
static bool runs_unseen(const struct sql_node *stmt)
{
    return sql_tree_get(stmt, "DoStmt") || sql_tree_get(stmt, "ExecuteStmt");
}

static bool says_setting(const char *text, size_t len, const struct sql_node *item)
{
    size_t from = (size_t)sql_node_number(sql_tree_get(item, "stmt_location"));
    size_t n = (size_t)sql_node_number(sql_tree_get(item, "stmt_len"));

    return names_setting(text + from, n ? n : len - from);
}

void sql_path_each_move(const char *text, size_t len, sql_path_each *each, void *ctx)
{
    struct sql_nodes *nodes;
    unsigned at = 0;
    char *copy;

    if (!may_move(text, len))
        return;
    copy = mem_strndup(text, len);
    nodes =
        strlen(copy) == len && sql_runs_tame(copy, len) ? sql_tree_parse(copy, NULL, NULL) : NULL;
    free(copy);
    if (!nodes)
        each(ctx, 0, false, &lost);
    SQL_NODE_EACH_ITEM(item, sql_tree_get(sql_nodes_root(nodes), "stmts")) {
        const struct sql_node *stmt = sql_tree_get(item, "stmt");
        struct sql_path_move move = {.kind = SQL_PATH_STAYS, .tag = ""};

        at++;
        of_statement(&move, stmt);
        if (move.kind != SQL_PATH_STAYS)
            each(ctx, at, runs_unseen(stmt) && !says_setting(text, len, item), &move);
    }
    sql_nodes_free(nodes);
}

static void join(void *ctx, unsigned at, bool perhaps, const struct sql_path_move *move)
{
    (void)at;
    (void)perhaps;
    add(ctx, move);
}

void sql_path_move(const char *text, size_t len, struct sql_path_move *out)
{
    out->kind = SQL_PATH_STAYS;
    out->local = out->known = false;
    out->tag = "";
    sql_path_each_move(text, len, join, out);
}
