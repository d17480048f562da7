/* Relations of schema pg_temp that a statement makes or names: they may hide a table or a
 * partition. */
#include <string.h>

#include "work.h"

static struct sql_taken of_range(const struct sql_rules *rules, const struct sql_node *range)
{
    const char *name = sql_node_text(sql_tree_get(range, "relname"));
    const char *schema = sql_node_text(sql_tree_get(range, "schemaname"));
    const char *kept = sql_node_text(sql_tree_get(range, "relpersistence"));
    struct sql_taken taken = {0};

    if (!name || !((kept && !strcmp(kept, "t")) || (schema && !strncmp(schema, "pg_temp", 7))))
        return taken;
    for (size_t i = 0; i < rules->n; i++)
        if (sql_rule_is_called(&rules->tables[i], name))
            taken = sql_taken_join(taken, sql_work_name(&rules->tables[i], name));
    SQL_BY_NAME_EACH(partition, &rules->partitions_by, name)
        taken = sql_taken_join(taken, sql_work_name(&rules->partitions[partition->at], name));
    return taken;
}

struct sql_taken sql_temporaries(const struct sql_rules *rules, const struct sql_node *tree)
{
    static const struct sql_key relname = SQL_KEY("relname");
    struct sql_taken taken = {0};

    SQL_NODE_EACH_ITEM(item, tree)
        taken = sql_taken_join(taken, sql_temporaries(rules, item));
    SQL_NODE_EACH_MEMBER(member, tree)
        taken =
            sql_taken_join(taken, sql_tree_is(member, &relname) ? of_range(rules, tree)
                                                                : sql_temporaries(rules, member));
    return taken;
}
