/* Relations of schema pg_temp that a statement makes or names: they may hide a table or a
 * partition. */
#include <string.h>

#include "work.h"

static uint64_t of_range(const struct sql_rules *rules, const json_t *range)
{
    const char *name = json_string_value(sql_tree_get(range, "relname"));
    const char *schema = json_string_value(sql_tree_get(range, "schemaname"));
    const char *kept = json_string_value(sql_tree_get(range, "relpersistence"));
    uint64_t tables = 0;

    if (!name || !((kept && !strcmp(kept, "t")) || (schema && !strncmp(schema, "pg_temp", 7))))
        return 0;
    for (size_t i = 0; i < rules->n; i++)
        if (!strcmp(rules->tables[i].name, name))
            tables |= UINT64_C(1) << i;
    for (size_t i = 0; i < rules->npartitions; i++)
        if (!strcmp(rules->partitions[i].name, name))
            tables |= sql_work_bit(&rules->partitions[i]);
    return tables;
}

uint64_t sql_temporaries(const struct sql_rules *rules, const json_t *tree)
{
    uint64_t tables = of_range(rules, tree);
    const json_t *value;
    const char *key;
    size_t i;

    if (json_is_array(tree))
        json_array_foreach((json_t *)tree, i, value) tables |= sql_temporaries(rules, value);
    else if (json_is_object(tree))
        json_object_foreach((json_t *)tree, key, value) tables |= sql_temporaries(rules, value);
    return tables;
}
