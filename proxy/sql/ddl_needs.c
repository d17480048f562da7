/*
 * Relations that a migration's own statements name because they are to be there, and those that
 * they make themselves. Of what rows are read or written nothing is wanted: only DDL is sure to
 * fail, and only it is cheap to say right.
 */
#include "ddl.h"

#include <string.h>

#include "segue/base/mem.h"
#include "segue/base/rc.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

void sql_ddl_made(struct reading *r, const char *name)
{
    struct sql_ddl *out = r->out;

    if (!name)
        return;
    mem_grow((void **)&out->made, &out->made_cap, out->nmade + 1, sizeof(*out->made));
    out->made[out->nmade++] = mem_strdup(name);
}

static void need(struct reading *r, const struct row *row, const char *schema, const char *name)
{
    struct sql_ddl *out = r->out;

    if (!name)
        return;
    mem_grow((void **)&out->needs, &out->needs_cap, out->nneeds + 1, sizeof(*out->needs));
    out->needs[out->nneeds++] =
        (struct sql_ddl_name){r->statement, row->what, mem_strdup(schema), mem_strdup(name)};
}

static void need_var(struct reading *r, const struct row *row, const struct sql_node *var)
{
    need(r, row, sql_node_text(get(var, "schemaname")), sql_node_text(get(var, "relname")));
}

/* schema.relation of a list of names, of which the last `skip` are of something on it. */
static void need_named(struct reading *r, const struct row *row, const struct sql_node *list,
                       size_t skip)
{
    const struct sql_node *names = get(get(list, "List"), "items");
    size_t n = sql_node_size(names);

    if (n <= skip)
        return;
    n -= skip;
    need(r, row, n > 1 ? sql_tree_string(sql_node_at(names, n - 2)) : NULL,
         sql_tree_string(sql_node_at(names, n - 1)));
}

/* ---- kinds of objects ---- */

static const struct {
    const char *type;
    size_t skip;
} relations[] = {
    {"OBJECT_TABLE", 0},   {"OBJECT_INDEX", 0},         {"OBJECT_VIEW", 0},
    {"OBJECT_MATVIEW", 0}, {"OBJECT_FOREIGN_TABLE", 0}, {"OBJECT_SEQUENCE", 0},
    {"OBJECT_COLUMN", 1},  {"OBJECT_TRIGGER", 1},       {"OBJECT_POLICY", 1},
    {"OBJECT_RULE", 1},    {"OBJECT_TABCONSTRAINT", 1},
};

/* Has the statement to do with a relation? */
static bool is_of_relation(const struct sql_node *type, size_t *skip)
{
    const char *text = sql_node_text(type);

    for (size_t i = 0; text && i < ARRAY_LEN(relations); i++) {
        *skip = relations[i].skip;
        if (!strcmp(relations[i].type, text))
            return true;
    }
    return false;
}

/* ---- kinds of statements ---- */

static void of_drop(struct reading *r, const struct row *row, const struct sql_node *node)
{
    const struct sql_node *objects = get(node, "objects");
    size_t skip;

    if (is_of_relation(get(node, "removeType"), &skip))
        SQL_NODE_EACH_ITEM(item, objects)
            need_named(r, row, item, skip);
}

static void of_comment(struct reading *r, const struct row *row, const struct sql_node *node)
{
    size_t skip;

    if (is_of_relation(get(node, "objtype"), &skip))
        need_named(r, row, get(node, "object"), skip);
}

static void of_grant(struct reading *r, const struct row *row, const struct sql_node *node)
{
    const struct sql_node *objects = get(node, "objects");

    SQL_NODE_EACH_ITEM(item, objects)
        need_var(r, row, get(item, "RangeVar"));
}

static void of_truncate(struct reading *r, const struct row *row, const struct sql_node *node)
{
    const struct sql_node *named = get(node, "relations");

    SQL_NODE_EACH_ITEM(item, named)
        need_var(r, row, get(item, "RangeVar"));
}

static void of_alter(struct reading *r, const struct row *row, const struct sql_node *node)
{
    if (!sql_ddl_is_text(node, "objtype", "OBJECT_TYPE")) /* else it is looked for as such */
        need_var(r, row, get(node, "relation"));
}

static const struct {
    const char *kind;
    void (*look)(struct reading *r, const struct row *row, const struct sql_node *node);
    const char *needed, *made; /* members */
} kinds[] = {
    {"AlterTableStmt", of_alter, NULL, NULL},
    {"RenameStmt", NULL, "relation", NULL},
    {"AlterObjectSchemaStmt", NULL, "relation", NULL},
    {"AlterSeqStmt", NULL, "sequence", NULL},
    {"CreateTrigStmt", NULL, "relation", NULL},
    {"RuleStmt", NULL, "relation", NULL},
    {"CreatePolicyStmt", NULL, "table", NULL},
    {"AlterPolicyStmt", NULL, "table", NULL},
    {"IndexStmt", NULL, "relation", NULL},
    {"DropStmt", of_drop, NULL, NULL},
    {"CommentStmt", of_comment, NULL, NULL},
    {"GrantStmt", of_grant, NULL, NULL},
    {"TruncateStmt", of_truncate, NULL, NULL},
    {"ViewStmt", NULL, NULL, "view"},
    {"CreateSeqStmt", NULL, NULL, "sequence"},
};

/* ---- what stands anywhere in it ---- */

static void parents(struct reading *r, const struct row *row, const struct sql_node *node)
{
    SQL_NODE_EACH_ITEM(item, node)
        need_var(r, row, get(item, "RangeVar"));
}

static void look_within(struct reading *r, const struct row *row, const struct sql_node *node)
{
    SQL_NODE_EACH_ITEM(item, node)
        look_within(r, row, item);
    SQL_NODE_EACH_MEMBER(member, node) {
        if (!strcmp(member->key, "pktable"))
            need_var(r, row, member);
        else if (!strcmp(member->key, "inhRelations"))
            parents(r, row, member);
        else
            look_within(r, row, member);
    }
}

/* A function may make anything; so may an extension, and what stands in CREATE SCHEMA. */
static bool calls(const struct sql_node *node)
{
    SQL_NODE_EACH_ITEM(item, node)
        if (calls(item))
            return true;
    SQL_NODE_EACH_MEMBER(member, node)
        if (!strcmp(member->key, "FuncCall") || calls(member))
            return true;
    return false;
}

static bool is_unseen(const char *kind, const struct sql_node *node)
{
    static const char *const all[] = {"DoStmt", "CallStmt", "CreateExtensionStmt",
                                      "AlterExtensionStmt", "CreateSchemaStmt"};
    static const char *const calling[] = {"SelectStmt", "InsertStmt", "UpdateStmt",
                                          "DeleteStmt", "MergeStmt",  "CreateTableAsStmt"};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (!strcmp(all[i], kind))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(calling); i++)
        if (!strcmp(calling[i], kind))
            return calls(node);
    return false;
}

static void look_at_kind(struct reading *r, const struct row *row, const struct sql_node *node)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].kind, row->kind) != 0)
            continue;
        if (kinds[i].look)
            kinds[i].look(r, row, node);
        if (kinds[i].needed)
            need_var(r, row, get(node, kinds[i].needed));
        if (kinds[i].made)
            sql_ddl_made(r, sql_node_text(get(get(node, kinds[i].made), "relname")));
    }
}

void sql_ddl_look_for_names(struct reading *r, const struct row *row, const struct sql_node *node)
{
    if (!r->out->unseen && is_unseen(row->kind, node))
        r->out->unseen = r->statement;
    sql_ddl_made(r, sql_node_text(get(node, "idxname")));
    if (get(node, "relation") && !strcmp(row->kind, "RenameStmt") && !get(node, "subname"))
        sql_ddl_made(r, sql_node_text(get(node, "newname")));
    sql_ddl_made(r, sql_node_text(get(get(get(node, "intoClause"), "rel"), "relname")));
    if (sql_node_is_true(get(node, "missing_ok"))) /* IF EXISTS */
        return;
    look_at_kind(r, row, node);
    look_within(r, row, node);
}
