/* The inside of a rule snapshot. Private to the sql layer. */
#ifndef SEGUE_SQL_RULES_PRIVATE_H
#define SEGUE_SQL_RULES_PRIVATE_H

#include <stdatomic.h>
#include <string.h>

#include "by_name.h"
#include "search.h"
#include "segue/sql/rules.h"

struct rule_column {
    char *name;
    enum sql_sight sight;
    bool generated;
};

/* A table, or a partition of one: then `bit` is the table's. */
struct rule {
    int bit;
    uint64_t tag;
    char *migration, *schema, *name, *state, *progress;
    char *other; /* the name of the other side; NULL: there is none */
    char **old_columns, **new_columns, **relatives; /* NULL-terminated */
    struct rule_column *columns;
    size_t ncolumns;
    uint64_t old_signature, new_signature;
    char **key;                          /* NULL-terminated; NULL: not known */
    struct sql_twin_rule *twins, *pairs; /* their names are the rule's */
    size_t ntwins, npairs;
    bool by_fields, partly, early, reversed, going, coming;
    bool retypes;  /* a column changes its type: names and places are not the catalog's for good */
    bool sideless; /* it only changes its name: both sides see the same columns */
};

/* Is that the name of the other side, of a table that has another one now? */
static inline bool sql_rule_is_other(const struct rule *rule, const char *name)
{
    return rule->other && !strcmp(rule->other, name);
}

/* Does the name mean the table, in its schema? */
static inline bool sql_rule_is_called(const struct rule *rule, const char *name)
{
    return !strcmp(rule->name, name) || sql_rule_is_other(rule, name);
}

struct namesake {
    char *schema, *name;
    char **columns; /* NULL-terminated */
    size_t *places; /* as many; NULL: not known */
    uint64_t signature;
};

struct denied {
    char *role, *schema;
};

struct shown {
    char *now, *shown;
};

struct sql_rules {
    uint64_t epoch;
    _Atomic unsigned refs;
    char *database;    /* NULL: not known */
    bool returns_rows; /* sql_rules_set_returning */
    size_t n;
    size_t nothers; /* tables with a name of the other side */
    struct rule tables[SQL_RULES_TABLES_MAX];
    struct sql_search names;       /* tables and relatives */
    struct sql_search old_columns; /* for text the parser does not understand */
    struct sql_search new_columns;
    const char **duals; /* names of columns that not both sides see, in any table, in order */
    size_t nduals, cap_duals;
    bool begins_dual[256]; /* one of them begins with that byte */
    struct rule *partitions;
    size_t npartitions, cap_partitions;
    struct sql_by_name partitions_by; /* name */
    struct sql_by_name relatives_by;  /* name: tables */
    struct namesake *namesakes;
    size_t nnamesakes, cap_namesakes;
    struct sql_by_name namesakes_by; /* name */
    char **contested; /* names of tables and partitions that other relations have, too */
    size_t ncontested, cap_contested;
    struct sql_by_name contested_by; /* name */
    struct sql_access access;
    struct denied *denied;
    size_t ndenied, cap_denied;
    struct shown *shown;
    size_t nshown, cap_shown;
    struct sql_functions *functions; /* NULL: nothing is known of them */
};

/* A name in front of a schema's (NULL: there is none): is it for certain this database's? */
bool sql_rules_is_here(const struct sql_rules *rules, const char *database);

/* Is it the name of a column that not both sides see, in any migrating table? */
bool sql_rules_dual(const struct sql_rules *rules, const char *column);

/* path.c: what an unqualified name means to a session whose path is of this class. */
enum sql_meaning {
    SQL_MEANS_OTHER, /* no migrating table, or none at all */
    SQL_MEANS_RULE,
    SQL_MEANS_PERHAPS, /* cannot tell */
};

/* *rule: which; PERHAPS: one that it may be; OTHER: NULL. */
enum sql_meaning sql_path_meaning(const struct sql_rules *rules, uint64_t class, const char *name,
                                  const struct rule **rule);

/* The columns of another relation that such a name means, where they are those that a side of the
 * table sees; 0: they are others, or not known. */
uint64_t sql_path_signature(const struct sql_rules *rules, uint64_t class, const char *name);

/* The i-th table or partition of that name, tables first; NULL: there are not so many. */
const struct rule *sql_rules_named(const struct sql_rules *rules, const char *name, size_t i);

#endif
