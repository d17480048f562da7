/* The rules of a migration in flight, so that statements are looked at. */
#ifndef SEGUE_TESTS_FUZZ_RULES_H
#define SEGUE_TESTS_FUZZ_RULES_H

#include "segue/sql/rules.h"

static inline struct sql_rules *fuzz_rules(void)
{
    static const char *const old_columns[] = {"claim_text", NULL};
    static const char *const new_columns[] = {"claim", NULL};
    static const char *const relatives[] = {"checks_2026", NULL};
    const struct sql_table_rule rule = {.migration = "m",
                                        .schema = "public",
                                        .name = "checks",
                                        .old_columns = old_columns,
                                        .new_columns = new_columns,
                                        .relatives = relatives};
    struct sql_rules *rules = sql_rules_new(1);

    sql_rules_add(rules, &rule);
    return rules;
}

/* A column has come that `*` does not show. `reversed`: after the cut-over. Each time of an epoch
 * of its own. */
static inline struct sql_rules *fuzz_star_rules(bool reversed)
{
    static uint64_t epoch;
    static const char *const old_columns[] = {"claim_text", NULL};
    static const char *const new_columns[] = {"claim", NULL}, *const none[] = {NULL};
    static const struct sql_column_rule columns[] = {{"id", SQL_SEEN_BY_BOTH, false},
                                                     {"claim_text", SQL_SEEN_BY_OLD, false},
                                                     {"claim", SQL_SEEN_BY_NEW, false}};
    const struct sql_table_rule rule = {.tag = 1,
                                        .migration = "m",
                                        .schema = "public",
                                        .name = "checks",
                                        .old_columns = old_columns,
                                        .new_columns = new_columns,
                                        .relatives = none,
                                        .columns = columns,
                                        .ncolumns = sizeof(columns) / sizeof(columns[0]),
                                        .reversed = reversed,
                                        .key = none};
    struct sql_rules *rules = sql_rules_new(++epoch);

    sql_rules_add(rules, &rule);
    return rules;
}

#endif
