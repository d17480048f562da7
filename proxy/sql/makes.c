/* Relations that a statement makes, or gives a name or a schema, and that are called as a table or
 * a partition of the rules is: unqualified, the name may mean them from then on. Until the rules
 * know of them only who has made them can tell. */
#include <string.h>

#include "work.h"

static const struct sql_node *get(const struct sql_node *node, const char *key)
{
    return sql_tree_get(node, key);
}

/* Those called so that are not in that schema (NULL: in whatever). */
static struct sql_taken called(const struct sql_rules *rules, const char *schema, const char *name)
{
    const struct rule *rule;
    struct sql_taken taken = {0};

    for (size_t i = 0; name && (rule = sql_rules_named(rules, name, i)); i++)
        if (!schema || strcmp(rule->schema, schema) != 0)
            taken = sql_taken_join(taken, sql_work_name(rule, name));
    return taken;
}

static struct sql_made made(struct sql_taken names)
{
    return (struct sql_made){.certain = names};
}

static struct sql_taken of_range(const struct sql_rules *rules, const struct sql_node *range)
{
    return called(rules, sql_node_text(get(range, "schemaname")),
                  sql_node_text(get(range, "relname")));
}

/* IF NOT EXISTS makes nothing where the table itself is in the schema in which it would: which that
 * is only the session's path tells, unless it is said. */
static struct sql_made of_made(const struct sql_rules *rules, const struct sql_node *node,
                               const struct sql_node *range)
{
    struct sql_taken names = of_range(rules, range);

    if (sql_node_is_true(get(node, "if_not_exists")) && !get(range, "schemaname"))
        return (struct sql_made){.unless_there = names};
    return made(names);
}

static struct sql_made of_create(const struct sql_rules *rules, const struct sql_node *node)
{
    return of_made(rules, node, get(node, "relation"));
}

static struct sql_made of_query(const struct sql_rules *rules, const struct sql_node *node)
{
    return of_made(rules, node, get(get(node, "into"), "rel"));
}

/* SELECT INTO: said by the first of a set operation. */
static struct sql_made of_select(const struct sql_rules *rules, const struct sql_node *node)
{
    while (get(node, "larg"))
        node = get(node, "larg");
    return made(of_range(rules, get(get(node, "intoClause"), "rel")));
}

static struct sql_made nothing(const struct sql_rules *rules, const struct sql_node *node)
{
    (void)rules;
    (void)node;
    return (struct sql_made){0};
}

static struct sql_made of_view(const struct sql_rules *rules, const struct sql_node *node)
{
    return of_made(rules, node, get(node, "view"));
}

static struct sql_made of_sequence(const struct sql_rules *rules, const struct sql_node *node)
{
    return of_made(rules, node, get(node, "sequence"));
}

/* Of a relation, not of a column or a constraint of one. */
static struct sql_made of_rename(const struct sql_rules *rules, const struct sql_node *node)
{
    const struct sql_node *range = get(node, "relation");

    if (!range || get(node, "subname"))
        return (struct sql_made){0};
    return made(called(rules, sql_node_text(get(range, "schemaname")),
                       sql_node_text(get(node, "newname"))));
}

static struct sql_made of_schema(const struct sql_rules *rules, const struct sql_node *node)
{
    return made(called(rules, NULL, sql_node_text(get(get(node, "relation"), "relname"))));
}

static const struct {
    struct sql_key key;
    struct sql_made (*made)(const struct sql_rules *rules, const struct sql_node *node);
} makers[] = {
    {SQL_KEY("SelectStmt"), of_select},
    {SQL_KEY("InsertStmt"), nothing},
    {SQL_KEY("UpdateStmt"), nothing},
    {SQL_KEY("DeleteStmt"), nothing},
    {SQL_KEY("MergeStmt"), nothing},
    {SQL_KEY("CreateStmt"), of_create},
    {SQL_KEY("base"), of_create}, /* of CREATE FOREIGN TABLE */
    {SQL_KEY("CreateTableAsStmt"), of_query},
    {SQL_KEY("ViewStmt"), of_view},
    {SQL_KEY("CreateSeqStmt"), of_sequence},
    {SQL_KEY("RenameStmt"), of_rename},
    {SQL_KEY("AlterObjectSchemaStmt"), of_schema},
};

static struct sql_made of_member(const struct sql_rules *rules, const struct sql_node *member)
{
    for (size_t i = 0; i < ARRAY_LEN(makers); i++)
        if (sql_tree_is(member, &makers[i].key))
            return makers[i].made(rules, member);
    return sql_namesakes_made(rules, member);
}

static void add(struct sql_made *all, struct sql_made more)
{
    all->certain = sql_taken_join(all->certain, more.certain);
    all->unless_there = sql_taken_join(all->unless_there, more.unless_there);
}

struct sql_made sql_namesakes_made(const struct sql_rules *rules, const struct sql_node *tree)
{
    struct sql_made all = {0};

    SQL_NODE_EACH_ITEM(item, tree)
        add(&all, sql_namesakes_made(rules, item));
    SQL_NODE_EACH_MEMBER(member, tree)
        add(&all, of_member(rules, member));
    return all;
}
