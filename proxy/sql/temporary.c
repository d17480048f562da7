/* Relations of schema pg_temp that a statement makes or names: they may hide a table or a
 * partition. */
#include <string.h>

#include "work.h"

static uint64_t of_range(const struct sql_rules *rules, const struct sql_node *range)
{
    const char *name = sql_node_text(sql_tree_get(range, "relname"));
    const char *schema = sql_node_text(sql_tree_get(range, "schemaname"));
    const char *kept = sql_node_text(sql_tree_get(range, "relpersistence"));
    uint64_t tables = 0;

    if (!name || !((kept && !strcmp(kept, "t")) || (schema && !strncmp(schema, "pg_temp", 7))))
        return 0;
    for (size_t i = 0; i < rules->n; i++)
        if (sql_rule_is_called(&rules->tables[i], name))
            tables |= UINT64_C(1) << i;
    for (size_t i = 0; i < rules->npartitions; i++)
        if (!strcmp(rules->partitions[i].name, name))
            tables |= sql_work_bit(&rules->partitions[i]);
    return tables;
}

uint64_t sql_temporaries(const struct sql_rules *rules, const struct sql_node *tree)
{
    static const struct sql_key relname = SQL_KEY("relname");
    uint64_t tables = 0;

    SQL_NODE_EACH_ITEM(item, tree)
        tables |= sql_temporaries(rules, item);
    SQL_NODE_EACH_MEMBER(member, tree)
        tables |=
            sql_tree_is(member, &relname) ? of_range(rules, tree) : sql_temporaries(rules, member);
    return tables;
}
