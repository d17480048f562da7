/*
 * Each list is parsed in the statement that it is for, and the tree must hold that statement alone,
 * with nothing but the list in it.
 */
#include "segue/sql/options.h"

#include <stdlib.h>
#include <string.h>

#include "segue/base/mem.h"
#include "tree.h"

/* Caller frees; NULL with err, whose position is one of `text`. */
static struct sql_nodes *parse(const char *before, const char *text, const char *after,
                               struct err *err)
{
    char *sql = mem_printf("%s%s\n%s", before, text, after); /* it may end with a comment */
    int position, begin = (int)strlen(before);
    struct err why = {0};
    struct sql_nodes *tree = sql_tree_parse(sql, &position, &why);

    free(sql);
    if (!tree && position >= begin && position < begin + (int)strlen(text))
        err_set(err, why.sqlstate, "%s, at byte %d", why.text, position - begin + 1);
    else if (!tree)
        err_set(err, why.sqlstate, "%s", why.text);
    return tree;
}

/* What the only part of an ALTER TABLE is about, or NULL. */
static const struct sql_node *only_part(const struct sql_nodes *tree, const char *subtype)
{
    const struct sql_node *statement = sql_tree_single(sql_nodes_root(tree), "AlterTableStmt");
    const struct sql_node *parts = sql_tree_get(statement, "cmds");
    const struct sql_node *part = sql_tree_get(sql_node_at(parts, 0), "AlterTableCmd");
    const char *is = sql_node_text(sql_tree_get(part, "subtype"));

    return sql_node_size(parts) == 1 && is && !strcmp(is, subtype) ? sql_tree_get(part, "def")
                                                                   : NULL;
}

static enum rc is_more(struct err *err, const char *what)
{
    err_set(err, "42601", "not a list of %s, and nothing else", what);
    return RC_ERR;
}

enum rc sql_parameters_parse(const char *text, size_t *n, struct err *err)
{
    struct sql_nodes *tree = parse("ALTER INDEX i SET (", text, ")", err);
    const struct sql_node *list;

    if (!tree)
        return RC_ERR;
    list = sql_tree_get(sql_tree_get(only_part(tree, "AT_SetRelOptions"), "List"), "items");
    *n = sql_node_size(list);
    sql_nodes_free(tree);
    return *n ? RC_OK : is_more(err, "parameters");
}

/* Is it of those that CREATE SEQUENCE takes, other than who owns it? */
static bool is_of_create(const char *option)
{
    static const char *const known[] = {"as",    "increment", "minvalue", "maxvalue",
                                        "start", "cache",     "cycle"};

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (!strcmp(option, known[i]))
            return true;
    return false;
}

enum rc sql_sequence_parse(const char *text, struct err *err)
{
    struct sql_nodes *tree = parse("ALTER SEQUENCE s ", text, "", err);
    const struct sql_node *options;
    enum rc rc = RC_OK;

    if (!tree)
        return RC_ERR;
    options = sql_tree_get(sql_tree_single(sql_nodes_root(tree), "AlterSeqStmt"), "options");
    if (sql_node_size(options) == 0)
        rc = is_more(err, "options of a sequence");
    for (size_t i = 0; rc == RC_OK && i < sql_node_size(options); i++) {
        const struct sql_node *option = sql_tree_get(sql_node_at(options, i), "DefElem");
        const char *name = sql_node_text(sql_tree_get(option, "defname"));

        if (name && is_of_create(name))
            continue;
        err_hint(err, "AS, INCREMENT, MINVALUE, MAXVALUE, START, CACHE and CYCLE are allowed");
        err_set(err, "0A000", "option \"%s\" is none of a sequence that is new", name ? name : "");
        rc = RC_ERR;
    }
    sql_nodes_free(tree);
    return rc;
}

enum rc sql_exclusion_parse(const char *text, struct err *err)
{
    static const char *const more[] = {"including",    "options",    "indexspace",
                                       "where_clause", "deferrable", "initdeferred"};
    struct sql_nodes *tree = parse("ALTER TABLE t ADD EXCLUDE USING m (", text, ")", err);
    const struct sql_node *constraint;
    bool fits;

    if (!tree)
        return RC_ERR;
    constraint = sql_tree_get(only_part(tree, "AT_AddConstraint"), "Constraint");
    fits = sql_node_size(sql_tree_get(constraint, "exclusions")) > 0;
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        fits &= sql_tree_get(constraint, more[i]) == NULL;
    sql_nodes_free(tree);
    return fits ? RC_OK : is_more(err, "what is compared, and how: \"column WITH operator\"");
}
