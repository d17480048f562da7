#include "history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "client.h"
#include "output.h"
#include "segue/base/mem.h"
#include "segue/catalog/schema.h"
#include "segue/cli/cli.h"

#define SNAPSHOT_BYTES_MAX (64 * 1024 * 1024)
#define PARENTS_SHOWN 2

/* ---- history ---- */

/* ["a","b"] in a text becomes a list, or "a, b" for people, the first of many: a baseline may
 * follow all files that there are. */
static void open_parents(json_t *row, bool for_people)
{
    const char *text = json_string_value(json_object_get(row, "after"));
    json_t *list = text ? json_loads(text, 0, NULL) : NULL, *name;
    struct buf joined = {0};
    size_t i;

    if (!list)
        return;
    if (!for_people) {
        json_object_set_new(row, "after", list);
        return;
    }
    json_array_foreach(list, i, name)
    {
        if (i == PARENTS_SHOWN && json_array_size(list) > PARENTS_SHOWN + 1) {
            buf_printf(&joined, ", and %zu more", json_array_size(list) - i);
            break;
        }
        buf_printf(&joined, "%s%s", i ? ", " : "", json_string_value(name));
    }
    json_object_set_new(row, "after", json_string(joined.data ? joined.data : ""));
    buf_fini(&joined);
    json_decref(list);
}

/* To the second, and the first digits of the sum: a line of a terminal is short. */
static void shorten(json_t *row)
{
    static const char *const times[] = {"started_at", "applied_at"};
    const char *sum = json_string_value(json_object_get(row, "sha256"));
    json_t *seconds = json_object_get(row, "duration_s");
    char text[32];

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        const char *at = json_string_value(json_object_get(row, times[i]));

        if (!at)
            continue;
        snprintf(text, sizeof(text), "%.19s", at);
        json_object_set_new(row, times[i], json_string(text));
    }
    if (sum) {
        snprintf(text, sizeof(text), "%.12s", sum);
        json_object_set_new(row, "sha256", json_string(text));
    }
    if (json_is_real(seconds)) {
        snprintf(text, sizeof(text), "%.1f", json_real_value(seconds));
        json_object_set_new(row, "duration_s", json_string(text));
    }
}

int cli_run_history(const struct cli_command *command, const struct cli_args *args)
{
    json_t *columns = NULL, *rows, *row;
    struct buf out = {0};
    size_t i;
    int code = cli_ask_once(args, "SHOW HISTORY", &columns, &rows);

    (void)command;
    json_array_foreach(rows, i, row)
    {
        open_parents(row, !args->json);
        if (!args->json)
            shorten(row);
    }
    if (code == CLI_DONE && args->json)
        cli_print_json(rows);
    else if (code == CLI_DONE)
        cli_format_table(columns, rows, &out);
    cli_print(&out);
    buf_fini(&out);
    json_decref(columns);
    json_decref(rows);
    return code;
}

/* ---- baseline ---- */

int cli_run_baseline(const struct cli_command *command, const struct cli_args *args)
{
    struct buf statement = {0};
    json_t *rows, *row;
    int code;

    buf_printf(&statement, "%s%s", command->verb, args->options & CLI_FORCE ? " FORCE" : "");
    if (args->note) {
        buf_append_str(&statement, " NOTE ");
        cli_append_literal(&statement, args->note);
    }
    if (args->nwords) {
        buf_append_str(&statement, " AS ");
        cli_append_literal(&statement, args->words[0]);
    }
    code = cli_ask_once(args, statement.data, NULL, &rows);
    row = json_array_get(rows, 0);
    if (code == CLI_DONE && args->json)
        cli_print_json(rows);
    else if (code == CLI_DONE)
        printf("%s: %lld objects, recorded: %s\n",
               json_string_value(json_object_get(row, "baseline")),
               (long long)json_integer_value(json_object_get(row, "objects")),
               json_string_value(json_object_get(row, "recorded")));
    json_decref(rows);
    buf_fini(&statement);
    return code;
}

/* ---- snapshot and diff ---- */

/* The document of a row, sorted and indented: what is written to a file can be compared by text. */
static void print_document(const json_t *document)
{
    char *text = json_dumps(document, JSON_INDENT(2) | JSON_SORT_KEYS);
    struct buf out = {0};

    buf_printf(&out, "%s\n", text ? text : "{}");
    cli_print(&out);
    buf_fini(&out);
    free(text);
}

static int ask_schema(const struct cli_args *args, const char *statement, json_t **schema)
{
    json_t *rows;
    const char *text;
    int code = cli_ask_once(args, statement, NULL, &rows);

    text = json_string_value(json_object_get(json_array_get(rows, 0), "schema"));
    *schema = text ? json_loads(text, 0, NULL) : NULL;
    json_decref(rows);
    return code;
}

int cli_run_snapshot(const struct cli_command *command, const struct cli_args *args)
{
    struct buf statement = {0};
    json_t *schema;
    int code;

    buf_append_str(&statement, command->verb);
    if (args->nwords) {
        buf_append_u8(&statement, ' ');
        cli_append_literal(&statement, args->words[0]);
    }
    code = ask_schema(args, statement.data, &schema);
    if (code == CLI_DONE)
        print_document(schema);
    json_decref(schema);
    buf_fini(&statement);
    return code;
}

/* Where the text says the entry; 1 when it spells it in another way. */
static int line_of(const char *text, const char *entry)
{
    json_t *name = json_string(entry);
    char *quoted = json_dumps(name, JSON_ENCODE_ANY);
    const char *at = strstr(text, quoted);
    int line = 1;

    for (const char *p = text; at && p < at; p++)
        line += *p == '\n';
    free(quoted);
    json_decref(name);
    return line;
}

static json_t *read_snapshot(const char *path, struct err *err)
{
    struct buf text = {0};
    json_error_t why;
    json_t *schema = NULL;
    const char *entry;

    if (cli_text_read(path, SNAPSHOT_BYTES_MAX, &text, err) == RC_OK) {
        schema = json_loads(text.data, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
        if (!schema)
            err_set(err, "22032", "%s:%d: %s", path, why.line, why.text);
        else if (cat_schema_check(schema, &entry, err) != RC_OK)
            err_prefix(err, "%s:%d", path, entry ? line_of(text.data, entry) : 1);
    }
    buf_fini(&text);
    if (!err_is_set(err))
        return schema;
    err_hint(err, "segue snapshot > FILE makes one");
    json_decref(schema);
    return NULL;
}

/* The differences of what was named; NULL when *code says why not. */
static json_t *find_differences(const struct cli_command *command, const struct cli_args *args,
                                int *code)
{
    json_t *before = NULL, *after = NULL, *rows = NULL;
    struct err err = {0};

    *code = CLI_DONE;
    if (args->nwords == 0) {
        *code = cli_ask_once(args, command->verb, NULL, &rows);
        return rows;
    }
    before = read_snapshot(args->words[0], &err);
    if (before && args->nwords == 2)
        after = read_snapshot(args->words[1], &err);
    else if (before)
        *code = ask_schema(args, "SNAPSHOT", &after);
    if (err_is_set(&err)) {
        cli_print_err(&err);
        *code = CLI_REFUSED;
    }
    if (before && after)
        rows = cat_schema_diff(before, after);
    json_decref(before);
    json_decref(after);
    return rows;
}

int cli_run_diff(const struct cli_command *command, const struct cli_args *args)
{
    static const char sign[][2] = {"+", "-", "~"};
    json_t *rows, *row;
    size_t i;
    int code;

    rows = find_differences(command, args, &code);
    if (code == CLI_DONE && args->json)
        cli_print_json(rows);
    json_array_foreach(rows, i, row)
    {
        const char *change = json_string_value(json_object_get(row, "change"));
        const char *part = json_string_value(json_object_get(row, "part"));
        const char *was = json_string_value(json_object_get(row, "before"));
        const char *is = json_string_value(json_object_get(row, "after"));

        if (args->json)
            continue;
        printf("%s %s%s%s\n",
               sign[*change == 'a'   ? 0
                    : *change == 'd' ? 1
                                     : 2],
               json_string_value(json_object_get(row, "object")), *part ? ": " : "", part);
        if (*was)
            printf("    was: %s\n", was);
        if (*is)
            printf("    is:  %s\n", is);
    }
    if (code == CLI_DONE && json_array_size(rows))
        code = CLI_REFUSED;
    json_decref(rows);
    return code;
}
