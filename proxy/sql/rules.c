#include "segue/sql/rules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rules_private.h"
#include "segue/base/buf.h"
#include "segue/base/mem.h"
#include "segue/sql/expr.h"
#include "segue/sql/rewrite.h"

static void search_add_list(struct sql_search *search, char *const *list, uint64_t mask)
{
    for (size_t i = 0; list[i]; i++)
        sql_search_add(search, list[i], mask);
}

struct sql_rules *sql_rules_new(uint64_t epoch)
{
    struct sql_rules *rules = mem_calloc(1, sizeof(*rules));

    rules->epoch = epoch;
    sql_search_init(&rules->names);
    sql_search_init(&rules->old_columns);
    sql_search_init(&rules->new_columns);
    atomic_init(&rules->refs, 1);
    return rules;
}

static void copy_columns(struct rule *rule, const struct sql_column_rule *columns, size_t n)
{
    rule->ncolumns = n;
    rule->columns = mem_calloc(n + 1, sizeof(*rule->columns));
    rule->retypes = false;
    for (size_t i = 0; i < n; i++) {
        rule->columns[i] = (struct rule_column){mem_strdup(columns[i].name), columns[i].sight,
                                                columns[i].generated};
        rule->retypes = rule->retypes || columns[i].sight == SQL_SEEN_NEVER;
    }
}

static struct sql_twin_rule *copy_twins(const struct sql_twin_rule *twins, size_t n)
{
    struct sql_twin_rule *copy = mem_calloc(n + 1, sizeof(*copy));

    for (size_t i = 0; i < n; i++)
        copy[i] =
            (struct sql_twin_rule){mem_strdup(twins[i].old_name), mem_strdup(twins[i].new_name)};
    return copy;
}

static void free_twins(struct sql_twin_rule *twins, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)twins[i].old_name);
        free((char *)twins[i].new_name);
    }
    free(twins);
}

static void rule_fini(struct rule *rule)
{
    for (size_t i = 0; i < rule->ncolumns; i++)
        free(rule->columns[i].name);
    free_twins(rule->twins, rule->ntwins);
    free_twins(rule->pairs, rule->npairs);
    free(rule->columns);
    free(rule->migration);
    free(rule->schema);
    free(rule->name);
    free(rule->other);
    free(rule->state);
    free(rule->progress);
    mem_strlist_free(rule->old_columns);
    mem_strlist_free(rule->new_columns);
    mem_strlist_free(rule->relatives);
    mem_strlist_free(rule->key);
}

/* ---- names that several relations have ---- */

const struct rule *sql_rules_named(const struct sql_rules *rules, const char *name, size_t i)
{
    for (size_t t = 0; t < rules->n; t++)
        if (sql_rule_is_called(&rules->tables[t], name) && i-- == 0)
            return &rules->tables[t];
    SQL_BY_NAME_EACH(partition, &rules->partitions_by, name)
        if (i-- == 0)
            return &rules->partitions[partition->at];
    return NULL;
}

static void contest(struct sql_rules *rules, const char *name)
{
    if (sql_by_name_first(&rules->contested_by, name))
        return;
    mem_grow((void **)&rules->contested, &rules->cap_contested, rules->ncontested + 1,
             sizeof(*rules->contested));
    rules->contested[rules->ncontested] = mem_strdup(name);
    sql_by_name_add(&rules->contested_by, rules->contested[rules->ncontested], rules->ncontested);
    rules->ncontested++;
}

static void contest_if_second(struct sql_rules *rules, const char *name)
{
    if (sql_rules_named(rules, name, 1))
        contest(rules, name);
}

/* ---- tables ---- */

static bool has_sides(const struct rule *rule)
{
    for (size_t i = 0; i < rule->ncolumns; i++)
        if (rule->columns[i].sight != SQL_SEEN_BY_BOTH)
            return true;
    return *rule->old_columns || *rule->new_columns || rule->ntwins;
}

/* Of text that the parser does not understand, the search tells which name it has. */
static void add_other(struct sql_rules *rules, struct rule *rule, const char *name)
{
    uint64_t mask = UINT64_C(1) << rule->bit;

    rule->other = mem_strdup(name);
    rule->sideless = !has_sides(rule);
    sql_search_add(&rules->names, name, mask);
    sql_search_add(rule->reversed ? &rules->old_columns : &rules->new_columns, name, mask);
    sql_search_add(rule->reversed ? &rules->new_columns : &rules->old_columns, rule->name, mask);
    rules->nothers++;
}

/* The first of them that is not in front of `name`. */
static size_t find_dual(const struct sql_rules *rules, const char *name)
{
    size_t low = 0, high = rules->nduals;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(rules->duals[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool sql_rules_dual(const struct sql_rules *rules, const char *column)
{
    size_t at;

    if (!rules->begins_dual[(unsigned char)*column])
        return false;
    at = find_dual(rules, column);
    return at < rules->nduals && !strcmp(rules->duals[at], column);
}

static void add_duals(struct sql_rules *rules, const struct rule *rule)
{
    for (size_t i = 0; i < rule->ncolumns; i++) {
        const char *name = rule->columns[i].name;
        size_t at;

        if (rule->columns[i].sight == SQL_SEEN_BY_BOTH || sql_rules_dual(rules, name))
            continue;
        at = find_dual(rules, name);
        mem_grow((void **)&rules->duals, &rules->cap_duals, rules->nduals + 1,
                 sizeof(*rules->duals));
        memmove(rules->duals + at + 1, rules->duals + at,
                (rules->nduals++ - at) * sizeof(*rules->duals));
        rules->duals[at] = name;
        rules->begins_dual[(unsigned char)*name] = true;
    }
}

int sql_rules_add(struct sql_rules *rules, const struct sql_table_rule *table)
{
    struct rule *rule;
    uint64_t mask;

    if (rules->n == SQL_RULES_TABLES_MAX)
        return -1;
    mask = UINT64_C(1) << rules->n;
    rule = &rules->tables[rules->n];
    rule->bit = (int)rules->n;
    rule->tag = table->tag;
    rule->migration = mem_strdup(table->migration);
    rule->schema = mem_strdup(table->schema);
    rule->name = mem_strdup(table->name);
    rule->state = mem_strdup(table->state ? table->state : "");
    rule->progress = mem_strdup(table->progress ? table->progress : "");
    rule->old_columns = mem_strlist_copy(table->old_columns);
    rule->new_columns = mem_strlist_copy(table->new_columns);
    rule->relatives = mem_strlist_copy(table->relatives);
    rule->key = table->key ? mem_strlist_copy(table->key) : NULL;
    rule->by_fields = table->by_fields;
    rule->partly = table->partly;
    rule->early = table->early;
    rule->reversed = table->reversed;
    rule->going = table->going;
    rule->coming = table->coming;
    rule->other = NULL;
    rule->sideless = false;
    copy_columns(rule, table->columns, table->ncolumns);
    add_duals(rules, rule);
    rule->old_signature = table->old_signature;
    rule->new_signature = table->new_signature;
    rule->ntwins = table->ntwins;
    rule->twins = copy_twins(table->twins, table->ntwins);
    rule->npairs = table->npairs;
    rule->pairs = copy_twins(table->pairs, table->npairs);
    sql_search_add(&rules->names, rule->name, mask);
    search_add_list(&rules->names, rule->relatives, mask);
    for (size_t i = 0; rule->relatives[i]; i++)
        sql_by_name_add(&rules->relatives_by, rule->relatives[i], rules->n);
    search_add_list(&rules->old_columns, rule->old_columns, mask);
    search_add_list(&rules->new_columns, rule->new_columns, mask);
    if (table->other_name)
        add_other(rules, rule, table->other_name);
    rules->n++;
    contest_if_second(rules, rule->name);
    if (rule->other)
        contest_if_second(rules, rule->other);
    return rule->bit;
}

void sql_rules_add_partition(struct sql_rules *rules, int bit,
                             const struct sql_partition *partition)
{
    const struct rule *table = &rules->tables[bit];
    struct rule *rule;

    mem_grow((void **)&rules->partitions, &rules->cap_partitions, rules->npartitions + 1,
             sizeof(*rules->partitions));
    rule = &rules->partitions[rules->npartitions++];
    *rule = *table;
    rule->migration = mem_strdup(table->migration);
    rule->schema = mem_strdup(partition->schema);
    rule->name = mem_strdup(partition->name);
    rule->other = NULL;
    rule->state = mem_strdup(table->state);
    rule->progress = mem_strdup(table->progress);
    rule->old_columns = mem_strlist_copy((const char *const *)table->old_columns);
    rule->new_columns = mem_strlist_copy((const char *const *)table->new_columns);
    rule->relatives = mem_strlist_copy(NULL);
    rule->key = table->key && table->key[0] /* else it may have one of its own */
                    ? mem_strlist_copy((const char *const *)table->key)
                    : NULL;
    sql_by_name_add(&rules->partitions_by, rule->name, rules->npartitions - 1);
    copy_columns(rule, partition->columns, partition->ncolumns);
    rule->old_signature = partition->old_signature;
    rule->new_signature = partition->new_signature;
    rule->twins = copy_twins(table->twins, table->ntwins);
    rule->pairs = copy_twins(table->pairs, table->npairs);
    contest_if_second(rules, rule->name);
}

static size_t *copy_places(const size_t *places, const char *const *columns)
{
    size_t n = 0, *copy;

    while (columns[n])
        n++;
    if (!places || !n)
        return NULL;
    copy = mem_calloc(n, sizeof(*copy));
    memcpy(copy, places, n * sizeof(*copy));
    return copy;
}

void sql_rules_add_namesake(struct sql_rules *rules, const struct sql_namesake *namesake)
{
    mem_grow((void **)&rules->namesakes, &rules->cap_namesakes, rules->nnamesakes + 1,
             sizeof(*rules->namesakes));
    rules->namesakes[rules->nnamesakes++] =
        (struct namesake){mem_strdup(namesake->schema), mem_strdup(namesake->name),
                          mem_strlist_copy(namesake->columns),
                          copy_places(namesake->places, namesake->columns), namesake->signature};
    sql_by_name_add(&rules->namesakes_by, rules->namesakes[rules->nnamesakes - 1].name,
                    rules->nnamesakes - 1);
    if (sql_rules_named(rules, namesake->name, 0))
        contest(rules, namesake->name);
}

void sql_rules_set_database(struct sql_rules *rules, const char *database)
{
    free(rules->database);
    rules->database = mem_strdup(database);
}

void sql_rules_set_returning(struct sql_rules *rules, bool both_rows)
{
    rules->returns_rows = both_rows;
}

bool sql_rules_is_here(const struct sql_rules *rules, const char *database)
{
    return !database || (rules->database && !strcmp(rules->database, database));
}

void sql_rules_set_access(struct sql_rules *rules, const struct sql_access *access)
{
    rules->access = *access;
}

void sql_rules_add_denied(struct sql_rules *rules, const char *role, const char *schema)
{
    mem_grow((void **)&rules->denied, &rules->cap_denied, rules->ndenied + 1,
             sizeof(*rules->denied));
    rules->denied[rules->ndenied++] = (struct denied){mem_strdup(role), mem_strdup(schema)};
}

void sql_rules_add_shown(struct sql_rules *rules, const char *now, const char *shown)
{
    mem_grow((void **)&rules->shown, &rules->cap_shown, rules->nshown + 1, sizeof(*rules->shown));
    rules->shown[rules->nshown++] = (struct shown){mem_strdup(now), mem_strdup(shown)};
}

bool sql_rules_shows(const struct sql_rules *rules)
{
    return rules && rules->nshown;
}

const char *sql_rules_shown(const struct sql_rules *rules, const char *name, size_t len)
{
    for (size_t i = 0; i < rules->nshown; i++)
        if (strlen(rules->shown[i].now) == len && !memcmp(rules->shown[i].now, name, len))
            return rules->shown[i].shown;
    return NULL;
}

void sql_rules_functions(struct sql_rules *rules, struct sql_functions *functions)
{
    assert(!rules->functions);
    rules->functions = sql_functions_ref(functions);
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
    for (size_t i = 0; i < rules->n; i++)
        rule_fini(&rules->tables[i]);
    for (size_t i = 0; i < rules->npartitions; i++)
        rule_fini(&rules->partitions[i]);
    free(rules->partitions);
    sql_by_name_fini(&rules->partitions_by);
    sql_by_name_fini(&rules->relatives_by);
    sql_by_name_fini(&rules->namesakes_by);
    sql_by_name_fini(&rules->contested_by);
    for (size_t i = 0; i < rules->nnamesakes; i++) {
        free(rules->namesakes[i].schema);
        free(rules->namesakes[i].name);
        mem_strlist_free(rules->namesakes[i].columns);
        free(rules->namesakes[i].places);
    }
    free(rules->namesakes);
    for (size_t i = 0; i < rules->ncontested; i++)
        free(rules->contested[i]);
    free(rules->contested);
    for (size_t i = 0; i < rules->ndenied; i++) {
        free(rules->denied[i].role);
        free(rules->denied[i].schema);
    }
    free(rules->denied);
    for (size_t i = 0; i < rules->nshown; i++) {
        free(rules->shown[i].now);
        free(rules->shown[i].shown);
    }
    free(rules->shown);
    free(rules->duals);
    free(rules->database);
    sql_functions_unref(rules->functions);
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

uint64_t sql_rules_tag(const struct sql_rules *rules, int bit)
{
    assert(bit >= 0 && (size_t)bit < rules->n);
    return rules->tables[bit].tag;
}

char *sql_rules_called(const struct sql_rules *rules, uint64_t tables)
{
    struct buf out = {0};

    buf_append_str(&out, "");
    for (size_t i = 0; i < sql_rules_tables(rules); i++) {
        char *name = tables & UINT64_C(1) << i
                         ? sql_quote_qualified(rules->tables[i].schema, rules->tables[i].name)
                         : NULL;

        if (name)
            buf_printf(&out, "%s%s", out.len ? ", " : "", name);
        free(name);
    }
    return out.data ? buf_take(&out) : mem_strdup("");
}

struct sql_tags sql_rules_tags(const struct sql_rules *rules, uint64_t tables)
{
    struct sql_tags tags = {0};

    for (size_t i = 0; rules && i < rules->n; i++) {
        uint64_t tag = rules->tables[i].tag + 1;

        if (!(tables & (UINT64_C(1) << i)))
            continue;
        tags.number = (tags.number ^ tag) * UINT64_C(1099511628211); /* FNV */
        tags.marks |= UINT64_C(1) << (tag * UINT64_C(0x9e3779b97f4a7c15) >> 58);
    }
    return tags;
}

struct sql_tags sql_rules_turned(const struct sql_rules *rules, uint64_t tables)
{
    uint64_t turned = 0;

    for (size_t i = 0; rules && i < rules->n; i++)
        if (rules->tables[i].reversed && !rules->tables[i].sideless)
            turned |= UINT64_C(1) << i;
    return sql_rules_tags(rules, tables & turned);
}

int sql_rules_find(const struct sql_rules *rules, const char *schema, const char *name)
{
    for (size_t i = 0; rules && i < rules->n; i++)
        if (!strcmp(rules->tables[i].schema, schema) && sql_rule_is_called(&rules->tables[i], name))
            return (int)i;
    return -1;
}

void sql_rules_early_error(const struct sql_rules *rules, uint64_t tables, struct err *err)
{
    for (size_t i = 0; i < rules->n; i++) {
        const struct rule *rule = &rules->tables[i];

        if (!(tables & (UINT64_C(1) << i)))
            continue;
        err_set(err, "55000", "the new columns of %s.%s cannot be read yet: migration \"%s\" is %s",
                rule->schema, rule->name, rule->migration, rule->state);
        err_detail(err, "%s", rule->progress);
        err_hint(err, "They may be read once it is ready; SHOW STATUS on the console of segue "
                      "tells how far it is.");
        return;
    }
}

static bool same_names(char **a, char **b)
{
    for (; *a && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return !*a && !*b;
}

/* Its name may have turned since. */
static bool same_table(const struct rule *a, const struct rule *b)
{
    return !strcmp(a->schema, b->schema) &&
           (sql_rule_is_called(a, b->name) || sql_rule_is_called(b, a->name)) &&
           same_names(a->relatives, b->relatives);
}

uint64_t sql_rules_added(const struct sql_rules *before, const struct sql_rules *after)
{
    uint64_t added = 0;

    for (size_t i = 0; after && i < after->n; i++) {
        const struct rule *table = &after->tables[i];

        if (!before || (sql_rules_find(before, table->schema, table->name) < 0 &&
                        (!table->other || sql_rules_find(before, table->schema, table->other) < 0)))
            added |= UINT64_C(1) << i;
    }
    return added;
}

bool sql_rules_same_tables(const struct sql_rules *a, const struct sql_rules *b)
{
    if (!a || !b || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_table(&a->tables[i], &b->tables[i]))
            return false;
    return true;
}

bool sql_rules_coming(const struct sql_rules *rules, uint64_t tables)
{
    for (size_t i = 0; rules && i < rules->n; i++)
        if ((tables & (UINT64_C(1) << i)) && rules->tables[i].coming)
            return true;
    return false;
}

bool sql_rules_retypes(const struct sql_rules *rules, uint64_t tables)
{
    for (size_t i = 0; rules && i < rules->n; i++)
        if ((tables & (UINT64_C(1) << i)) && rules->tables[i].retypes)
            return true;
    return false;
}

enum sql_side sql_rules_side(const struct sql_rules *rules, uint64_t tables)
{
    bool old_side = false, new_side = false, sided = false;

    /* a table that has the same columns for both goes along with the others */
    for (size_t i = 0; rules && i < rules->n; i++)
        sided |= (tables & (UINT64_C(1) << i)) && !rules->tables[i].sideless;
    for (size_t i = 0; rules && i < rules->n; i++) {
        if (!(tables & (UINT64_C(1) << i)) || (rules->tables[i].sideless && sided))
            continue;
        new_side |= rules->tables[i].reversed;
        old_side |= !rules->tables[i].reversed;
    }
    if (old_side == new_side)
        return SQL_SIDE_FOLLOW;
    return new_side ? SQL_SIDE_NEW : SQL_SIDE_OLD;
}

static bool hides_from_all(const struct rule *rule)
{
    for (size_t i = 0; i < rule->ncolumns; i++)
        if (rule->columns[i].sight == SQL_SEEN_BY_NOBODY)
            return true;
    return false;
}

uint64_t sql_rules_lasting(const struct sql_rules *rules)
{
    uint64_t tables = 0;

    for (size_t i = 0; rules && i < rules->n; i++)
        if (!rules->tables[i].other)
            tables |= UINT64_C(1) << i;
    return tables;
}

bool sql_rules_gone(const struct sql_rules *rules, uint64_t tables, enum sql_side side)
{
    enum sql_side stays;

    for (size_t i = 0; rules && i < rules->n; i++) {
        stays = rules->tables[i].reversed ? SQL_SIDE_NEW : SQL_SIDE_OLD;
        if ((tables & (UINT64_C(1) << i)) && side != SQL_SIDE_FOLLOW && side != stays &&
            hides_from_all(&rules->tables[i]))
            return true;
    }
    return false;
}

struct sql_rules_ends sql_rules_ended(const struct sql_rules *before, const struct sql_rules *after)
{
    struct sql_rules_ends ends = {0};

    for (size_t i = 0; before && i < before->n; i++) {
        const struct rule *rule = &before->tables[i];
        int bit = sql_rules_find(after, rule->schema, rule->name);

        if (rule->sideless || (bit >= 0 && after->tables[bit].tag == rule->tag))
            continue;
        ends.new_stays |= rule->reversed;
        ends.old_stays |= !rule->reversed;
    }
    return ends;
}
