/* Are rules true of a server that is not at the state they were made from? (A standby, that will
 * replay it, or has replayed more.) */
#include "rules_private.h"

static const struct rule_column *column_of(const struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->ncolumns; i++)
        if (strcmp(rule->columns[i].name, name) == 0)
            return &rule->columns[i];
    return NULL;
}

static bool is_shown(enum sql_sight sight)
{
    return sight != SQL_SEEN_BY_NOBODY && sight != SQL_SEEN_NEVER;
}

/* What a text of the rule may name is there, and not about to go. New columns that may not be read
 * are in no text that the server reads. */
static bool finds_columns(const struct rule *rule, const struct rule *there)
{
    for (size_t i = 0; i < rule->ncolumns; i++) {
        const struct rule_column *column = &rule->columns[i], *found;

        if (!is_shown(column->sight) || (rule->early && column->sight == SQL_SEEN_BY_NEW))
            continue;
        found = column_of(there, column->name);
        if (!found || !is_shown(found->sight))
            return false;
    }
    return true;
}

static bool has(char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* The key that the server has decides what GROUP BY and ON CONFLICT may say. */
static bool same_key(const struct rule *rule, const struct rule *there)
{
    size_t i = 0;

    for (; rule->key && rule->key[i]; i++)
        if (!has(there->key, rule->key[i]) ||
            (rule->reversed != there->reversed &&
             (has(rule->old_columns, rule->key[i]) || has(rule->new_columns, rule->key[i]))))
            return false;
    return !(there->key && there->key[i]);
}

/* New columns that may be read from the first moment are not there before they have come. */
static bool has_come_meanwhile(const struct rule *rule, const struct rule *there)
{
    return rule->coming != there->coming && !rule->early && *rule->new_columns;
}

static bool fits(const struct rule *rule, const struct rule *there)
{
    if (rule->tag != there->tag || strcmp(rule->name, there->name) != 0 ||
        (there->early && !rule->early) || has_come_meanwhile(rule, there))
        return false;
    return same_key(rule, there) && finds_columns(rule, there);
}

/* Where no migration has the table: what it has hidden from all is all that is not there. */
static bool fits_none(const struct rule *rule)
{
    for (size_t i = 0; i < rule->ncolumns && !rule->coming; i++)
        if (rule->columns[i].sight != SQL_SEEN_BY_BOTH && is_shown(rule->columns[i].sight))
            return false;
    return true;
}

static bool same_list(char *const *a, char *const *b)
{
    while (*a && *b && strcmp(*a, *b) == 0) {
        a++;
        b++;
    }
    return !*a && !*b;
}

/* Lists of aliases go by them. */
static bool same_places(const struct namesake *a, const struct namesake *b)
{
    if (!a->places || !b->places)
        return a->places == b->places;
    for (size_t i = 0; a->columns[i]; i++)
        if (a->places[i] != b->places[i])
            return false;
    return true;
}

/* From there on; a standby has no temporary relations. NULL: there is none. */
static const struct namesake *lasting(const struct sql_rules *rules, size_t *i)
{
    while (*i < rules->nnamesakes) {
        const struct namesake *one = &rules->namesakes[(*i)++];

        if (strncmp(one->schema, "pg_temp_", 8) != 0)
            return one;
    }
    return NULL;
}

/* Which relations have a table's name, and which have columns called as its: with one more, or one
 * less, a text names another relation, or another column. In the order of the catalog, both. */
static bool same_namesakes(const struct sql_rules *rules, const struct sql_rules *there)
{
    size_t i = 0, j = 0;
    const struct namesake *a = lasting(rules, &i), *b = lasting(there, &j);

    while (a && b) {
        if (strcmp(a->schema, b->schema) != 0 || strcmp(a->name, b->name) != 0 ||
            a->signature != b->signature || !same_list(a->columns, b->columns) ||
            !same_places(a, b))
            return false;
        a = lasting(rules, &i);
        b = lasting(there, &j);
    }
    return !a && !b;
}

bool sql_rules_fit(const struct sql_rules *rules, const struct sql_rules *there)
{
    if (rules && rules->n && there && there->n && !same_namesakes(rules, there))
        return false;
    for (size_t i = 0; rules && i < rules->n; i++) {
        const struct rule *rule = &rules->tables[i];
        int bit = sql_rules_find(there, rule->schema, rule->name);

        if (bit < 0 ? !fits_none(rule) : !fits(rule, &there->tables[bit]))
            return false;
    }
    return true;
}

static bool is_among(const struct sql_rules *rules, const struct rule *rule)
{
    int bit = sql_rules_find(rules, rule->schema, rule->name);

    return bit >= 0 && rules->tables[bit].tag == rule->tag;
}

bool sql_rules_go_on(const struct sql_rules *before, const struct sql_rules *after)
{
    for (size_t i = 0; before && i < before->n; i++)
        if (!is_among(after, &before->tables[i]))
            return false;
    for (size_t i = 0; after && i < after->n; i++)
        if (!after->tables[i].coming && !is_among(before, &after->tables[i]))
            return false;
    return true;
}
