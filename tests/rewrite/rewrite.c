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

/* Fills `to` with the strings of a JSON list, NULL-terminated; they stay the list's. */
static void strings(const json_t *list, const char **to)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item) if (i < LIST_MAX - 1) to[i] = json_string_value(item);
    to[json_array_size(list) < LIST_MAX ? json_array_size(list) : LIST_MAX - 1] = NULL;
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

static void add_table(struct sql_rules *rules, const json_t *table)
{
    const char *old_columns[LIST_MAX], *new_columns[LIST_MAX], *relatives[LIST_MAX];
    struct sql_column_rule columns[LIST_MAX];
    struct sql_twin_rule twins[LIST_MAX];
    struct sql_table_rule rule = {0};
    size_t i;
    json_t *item;

    strings(json_object_get(table, "old"), old_columns);
    strings(json_object_get(table, "new"), new_columns);
    strings(json_object_get(table, "relatives"), relatives);
    json_array_foreach(json_object_get(table, "columns"), i, item) if (i < LIST_MAX)
        columns[rule.ncolumns++] =
            (struct sql_column_rule){json_string_value(json_object_get(item, "name")),
                                     sight_of(json_string_value(json_object_get(item, "sight"))),
                                     json_is_true(json_object_get(item, "generated"))};
    json_array_foreach(json_object_get(table, "twins"), i, item) if (i < LIST_MAX)
        twins[rule.ntwins++] = (struct sql_twin_rule){json_string_value(json_array_get(item, 0)),
                                                      json_string_value(json_array_get(item, 1))};
    rule.migration = json_string_value(json_object_get(table, "migration"));
    rule.schema = json_string_value(json_object_get(table, "schema"));
    rule.name = json_string_value(json_object_get(table, "name"));
    rule.old_columns = old_columns;
    rule.new_columns = new_columns;
    rule.relatives = relatives;
    rule.columns = columns;
    rule.twins = twins;
    rule.early = json_is_true(json_object_get(table, "early"));
    rule.reversed = json_is_true(json_object_get(table, "reversed"));
    sql_rules_add(rules, &rule);
}

static struct sql_rules *rules_of(const json_t *description)
{
    struct sql_rules *rules = sql_rules_new(1);
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(description, "tables"), i, item) add_table(rules, item);
    json_array_foreach(json_object_get(description, "namesakes"), i, item)
    {
        const char *columns[LIST_MAX];

        strings(json_object_get(item, "columns"), columns);
        sql_rules_add_namesake(
            rules,
            &(struct sql_namesake){json_string_value(json_object_get(item, "schema")),
                                   json_string_value(json_object_get(item, "name")), columns});
    }
    return rules;
}

static json_t *answer(const struct sql_rules *rules, const json_t *request)
{
    const json_t *sql = json_object_get(request, "sql");
    const char *text = json_string_value(sql);
    size_t len = json_string_length(sql);
    json_int_t position = json_integer_value(json_object_get(request, "position"));
    struct sql_sight_of_session session = {
        .side = side_of(json_string_value(json_object_get(request, "side"))),
        .rewrites = true,
        .shadowed = (uint64_t)json_integer_value(json_object_get(request, "shadowed")),
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
