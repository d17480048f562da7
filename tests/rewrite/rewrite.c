/*
 * The SQL layer as a filter: statements in, rewritten statements out, one JSON object a line.
 *
 * The first line describes the rules (tests/rewrite/rules.py writes it). Each further one is a
 * request {"sql", "side": "old" | "new" | "follow", "shadowed": mask, "position": number}; its
 * answer {"text", "doubt", "early", "stars", "positional", "position"}, where text is null when the
 * statement goes out as it is, doubt null when there is none, and position the one asked for,
 * mapped back. Ends with 1 when a line is not understood.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segue/sql/rewrite.h"

#define LIST_MAX 256

/* A member that is a string. */
static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Fills `to` with the strings of a JSON list, NULL-terminated; they stay the list's. */
static void strings(const json_t *list, const char **to)
{
    size_t n = 0;

    for (; n < json_array_size(list) && n < LIST_MAX - 1; n++)
        to[n] = json_string_value(json_array_get(list, n));
    to[n] = NULL;
}

static void numbers(const json_t *list, size_t *to)
{
    for (size_t i = 0; i < json_array_size(list) && i < LIST_MAX; i++)
        to[i] = (size_t)json_integer_value(json_array_get(list, i));
}

static enum sql_sight sight_of(const char *name)
{
    if (strcmp(name, "old") == 0)
        return SQL_SEEN_BY_OLD;
    return strcmp(name, "new") == 0 ? SQL_SEEN_BY_NEW : SQL_SEEN_BY_BOTH;
}

static enum sql_side side_of(const char *name)
{
    if (name && strcmp(name, "old") == 0)
        return SQL_SIDE_OLD;
    return name && strcmp(name, "new") == 0 ? SQL_SIDE_NEW : SQL_SIDE_FOLLOW;
}

/* Fills `to`; how many. */
static size_t columns_of(const json_t *relation, struct sql_column_rule *to)
{
    const json_t *list = json_object_get(relation, "columns");
    size_t n = 0;

    for (; n < json_array_size(list) && n < LIST_MAX; n++) {
        const json_t *column = json_array_get(list, n);

        to[n].name = text_of(column, "name");
        to[n].sight = sight_of(text_of(column, "sight"));
        to[n].generated = json_is_true(json_object_get(column, "generated"));
    }
    return n;
}

static size_t twins_of(const json_t *table, const char *key, struct sql_twin_rule *to)
{
    const json_t *list = json_object_get(table, key);
    size_t n = 0;

    for (; n < json_array_size(list) && n < LIST_MAX; n++) {
        to[n].old_name = json_string_value(json_array_get(json_array_get(list, n), 0));
        to[n].new_name = json_string_value(json_array_get(json_array_get(list, n), 1));
    }
    return n;
}

static void add_partition(struct sql_rules *rules, int bit, const json_t *partition)
{
    struct sql_column_rule columns[LIST_MAX];
    const struct sql_partition rule = {
        .schema = text_of(partition, "schema"),
        .name = text_of(partition, "name"),
        .columns = columns,
        .ncolumns = columns_of(partition, columns),
    };

    sql_rules_add_partition(rules, bit, &rule);
}

static void add_table(struct sql_rules *rules, const json_t *table)
{
    const char *old_columns[LIST_MAX], *new_columns[LIST_MAX], *relatives[LIST_MAX], *key[LIST_MAX];
    const json_t *partitions = json_object_get(table, "partitions");
    struct sql_column_rule columns[LIST_MAX];
    struct sql_twin_rule twins[LIST_MAX], pairs[LIST_MAX];
    const struct sql_table_rule rule = {
        .migration = text_of(table, "migration"),
        .schema = text_of(table, "schema"),
        .name = text_of(table, "name"),
        .old_columns = old_columns,
        .new_columns = new_columns,
        .relatives = relatives,
        .columns = columns,
        .ncolumns = columns_of(table, columns),
        .key = key,
        .twins = twins,
        .ntwins = twins_of(table, "twins", twins),
        .pairs = pairs,
        .npairs = twins_of(table, "pairs", pairs),
        .early = json_is_true(json_object_get(table, "early")),
        .reversed = json_is_true(json_object_get(table, "reversed")),
        .other_name = text_of(table, "other"),
    };
    int bit;

    strings(json_object_get(table, "old"), old_columns);
    strings(json_object_get(table, "new"), new_columns);
    strings(json_object_get(table, "relatives"), relatives);
    strings(json_object_get(table, "key"), key);
    bit = sql_rules_add(rules, &rule);
    for (size_t i = 0; i < json_array_size(partitions); i++)
        add_partition(rules, bit, json_array_get(partitions, i));
}

/* Each is its kind's letter and its name. */
static void add_functions(struct sql_rules *rules, const json_t *names)
{
    size_t n = json_array_size(names);
    struct sql_function *list = calloc(n + 1, sizeof(*list));
    struct sql_functions *functions;

    for (size_t i = 0; list && i < n; i++) {
        const char *name = json_string_value(json_array_get(names, i));

        list[i] = (struct sql_function){name[0], name + 1};
    }
    functions = sql_functions_new(list, list ? n : 0);
    sql_rules_functions(rules, functions);
    sql_functions_unref(functions);
    free(list);
}

static struct sql_rules *rules_of(const json_t *description)
{
    const json_t *tables = json_object_get(description, "tables");
    const json_t *namesakes = json_object_get(description, "namesakes");
    struct sql_rules *rules = sql_rules_new(1);

    for (size_t i = 0; i < json_array_size(tables); i++)
        add_table(rules, json_array_get(tables, i));
    for (size_t i = 0; i < json_array_size(namesakes); i++) {
        const json_t *item = json_array_get(namesakes, i);
        const char *columns[LIST_MAX];
        size_t places[LIST_MAX] = {0};
        const struct sql_namesake namesake = {text_of(item, "schema"), text_of(item, "name"),
                                              columns, 0, places};

        numbers(json_object_get(item, "places"), places);
        strings(json_object_get(item, "columns"), columns);
        sql_rules_add_namesake(rules, &namesake);
    }
    add_functions(rules, json_object_get(description, "functions"));
    sql_rules_set_returning(rules, json_is_true(json_object_get(description, "returns_rows")));
    return rules;
}

static json_t *answer(const struct sql_rules *rules, const json_t *request)
{
    const json_t *sql = json_object_get(request, "sql");
    const char *text = json_string_value(sql);
    size_t len = json_string_length(sql);
    json_int_t position = json_integer_value(json_object_get(request, "position"));
    struct sql_sight_of_session session = {
        .side = side_of(text_of(request, "side")),
        .follows = json_is_true(json_object_get(request, "follows")),
        .rewrites = true,
        .shadowed = {.old = (uint64_t)json_integer_value(json_object_get(request, "shadowed"))},
    };
    struct sql_rewrite rewrite;
    json_t *out = json_object();

    sql_rewrite(rules, &session, text, len, &rewrite);
    json_object_set_new(out, "text",
                        rewrite.text ? json_stringn(rewrite.text, rewrite.len) : json_null());
    json_object_set_new(out, "doubt",
                        rewrite.doubt ? json_string(sql_doubt_text(rewrite.doubt)) : json_null());
    json_object_set_new(out, "early", json_integer((json_int_t)rewrite.early));
    json_object_set_new(out, "stars", json_integer((json_int_t)rewrite.stars));
    json_object_set_new(out, "positional", json_integer((json_int_t)rewrite.positional));
    if (position > 0)
        json_object_set_new(
            out, "position",
            json_integer(sql_rewrite_position(&rewrite, text, len, (uint32_t)position)));
    sql_rewrite_fini(&rewrite);
    return out;
}

static json_t *read_line(char **line, size_t *cap)
{
    ssize_t len = getline(line, cap, stdin);
    json_error_t error;
    json_t *json;

    if (len <= 0)
        return NULL;
    json = json_loadb(*line, (size_t)len, 0, &error);
    if (!json)
        fprintf(stderr, "rewrite: %s\n", error.text);
    return json;
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    struct sql_rules *rules;
    json_t *json = read_line(&line, &cap);

    if (!json)
        return 1;
    rules = rules_of(json);
    json_decref(json);
    while ((json = read_line(&line, &cap))) {
        json_t *out;

        if (!json_is_string(json_object_get(json, "sql")))
            return 1;
        out = answer(rules, json);
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(out);
        json_decref(json);
    }
    free(line);
    sql_rules_unref(rules);
    return feof(stdin) ? 0 : 1;
}
