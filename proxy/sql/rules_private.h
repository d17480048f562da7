/* The inside of a rule snapshot. Private to the sql layer. */
#ifndef SEGUE_SQL_RULES_PRIVATE_H
#define SEGUE_SQL_RULES_PRIVATE_H

#include <stdatomic.h>

#include "search.h"
#include "segue/sql/rules.h"

struct rule_column {
    char *name;
    enum sql_sight sight;
    bool generated;
};

struct rule_twin {
    char *old_name, *new_name;
};

/* A table, or a partition of one: then `bit` is the table's. */
struct rule {
    int bit;
    uint64_t tag;
    char *migration, *schema, *name, *state, *progress;
    char **old_columns, **new_columns, **relatives; /* NULL-terminated */
    struct rule_column *columns;
    size_t ncolumns;
    struct rule_twin *twins;
    size_t ntwins;
    bool early, reversed;
};

struct namesake {
    char *schema, *name;
    char **columns; /* NULL-terminated */
};

struct sql_rules {
    uint64_t epoch;
    _Atomic unsigned refs;
    size_t n;
    struct rule tables[SQL_RULES_TABLES_MAX];
    struct sql_search names;       /* tables and relatives */
    struct sql_search old_columns; /* for text the parser does not understand */
    struct sql_search new_columns;
    struct rule *partitions;
    size_t npartitions, cap_partitions;
    struct namesake *namesakes;
    size_t nnamesakes, cap_namesakes;
};

#endif
