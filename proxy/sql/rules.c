#include "segue/sql/rules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rules_private.h"
#include "segue/base/mem.h"

static void search_add_list(struct sql_search *search, char *const *list, uint64_t mask)
{
    for (size_t i = 0; list[i]; i++)
        sql_search_add(search, list[i], mask);
}

struct sql_rules *sql_rules_new(uint64_t epoch)
{
    struct sql_rules *rules = mem_calloc(1, sizeof(*rules));

    rules->epoch = epoch;
    atomic_init(&rules->refs, 1);
    return rules;
}

int sql_rules_add(struct sql_rules *rules, const struct sql_table_rule *table)
{
    struct rule *rule;
    uint64_t mask;

    if (rules->n == SQL_RULES_TABLES_MAX)
        return -1;
    mask = UINT64_C(1) << rules->n;
    rule = &rules->tables[rules->n];
    rule->migration = mem_strdup(table->migration);
    rule->schema = mem_strdup(table->schema);
    rule->name = mem_strdup(table->name);
    rule->old_columns = mem_strlist_copy(table->old_columns);
    rule->new_columns = mem_strlist_copy(table->new_columns);
    rule->relatives = mem_strlist_copy(table->relatives);
    sql_search_add(&rules->names, rule->name, mask);
    search_add_list(&rules->names, rule->relatives, mask);
    search_add_list(&rules->old_columns, rule->old_columns, mask);
    search_add_list(&rules->new_columns, rule->new_columns, mask);
    return (int)rules->n++;
}

struct sql_rules *sql_rules_ref(struct sql_rules *rules)
{
    if (rules)
        atomic_fetch_add_explicit(&rules->refs, 1, memory_order_relaxed);
    return rules;
}

void sql_rules_unref(struct sql_rules *rules)
{
    unsigned before;

    if (!rules)
        return;
    before = atomic_fetch_sub_explicit(&rules->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    for (size_t i = 0; i < rules->n; i++) {
        struct rule *rule = &rules->tables[i];

        free(rule->migration);
        free(rule->schema);
        free(rule->name);
        mem_strlist_free(rule->old_columns);
        mem_strlist_free(rule->new_columns);
        mem_strlist_free(rule->relatives);
    }
    sql_search_fini(&rules->names);
    sql_search_fini(&rules->old_columns);
    sql_search_fini(&rules->new_columns);
    free(rules);
}

uint64_t sql_rules_epoch(const struct sql_rules *rules)
{
    return rules ? rules->epoch : 0;
}

size_t sql_rules_tables(const struct sql_rules *rules)
{
    return rules ? rules->n : 0;
}

int sql_rules_find(const struct sql_rules *rules, const char *schema, const char *name)
{
    for (size_t i = 0; rules && i < rules->n; i++)
        if (!strcmp(rules->tables[i].schema, schema) && !strcmp(rules->tables[i].name, name))
            return (int)i;
    return -1;
}

static bool same_names(char **a, char **b)
{
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return !*a && !*b;
}

bool sql_rules_same_tables(const struct sql_rules *a, const struct sql_rules *b)
{
    if (!a || !b || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->tables[i].schema, b->tables[i].schema) != 0 ||
            strcmp(a->tables[i].name, b->tables[i].name) != 0 ||
            !same_names(a->tables[i].relatives, b->tables[i].relatives))
            return false;
    return true;
}
