/* segue doctor: asks the running segue, or looks at the database itself. */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "output.h"
#include "segue/base/mem.h"
#include "segue/cli/cli.h"
#include "segue/cli/upstream.h"
#include "segue/engine/doctor.h"

#define CONNECT_TIMEOUT_S 10

/* Rows as the console's client gives them: objects. */
static json_t *as_objects(const json_t *table)
{
    json_t *columns = json_object_get(table, "columns"), *rows = json_array(), *row, *column;
    size_t r, c;

    json_array_foreach(json_object_get(table, "rows"), r, row)
    {
        json_t *object = json_object();

        json_array_foreach(columns, c, column)
        {
            json_object_set(object, json_string_value(column), json_array_get(row, c));
        }
        json_array_append_new(rows, object);
    }
    return rows;
}

static int look(const struct cli_args *args, const char *name, json_t **rows, struct err *err)
{
    struct cfg_upstream upstream = {0};
    json_t *table = NULL;
    int code = CLI_DONE;

    if (cfg_upstream_parse(args->upstream, &upstream, err) != RC_OK) {
        err_prefix(err, "--upstream must be");
        code = CLI_USAGE;
    } else if (eng_doctor(upstream.engine, NULL, name, &table, err) != RC_OK) {
        code = CLI_REFUSED;
    } else {
        *rows = as_objects(table);
    }
    cfg_upstream_fini(&upstream);
    json_decref(table);
    return code;
}

static int ask(const struct cli_args *args, const char *name, json_t **rows, struct err *err)
{
    struct cli_client client = {.server = args->server};
    struct buf statement = {0};
    int code = CLI_DONE;
    enum rc rc;

    if (cli_client_connect(&client, CONNECT_TIMEOUT_S, err) != RC_OK) {
        err->hint[0] = '\0';
        err_hint(err, "segue doctor --upstream URL looks at the database without it");
        return CLI_UNREACHABLE;
    }
    buf_append_str(&statement, "DOCTOR");
    if (name) {
        buf_append_u8(&statement, ' ');
        cli_append_literal(&statement, name);
    }
    rc = cli_client_ask(&client, statement.data, NULL, rows, err);
    if (rc != RC_OK)
        code = rc == RC_AGAIN ? CLI_UNREACHABLE : CLI_REFUSED;
    buf_fini(&statement);
    cli_client_close(&client);
    return code;
}

static const char *text_of(const json_t *row, const char *column)
{
    const char *text = json_string_value(json_object_get(row, column));

    return text ? text : "";
}

static bool is_note(const json_t *row)
{
    return strcmp(text_of(row, "weight"), "note") == 0;
}

/* "wrong: name: stopped: what", below it the hint and the command. */
static void format(const json_t *rows, struct buf *out)
{
    json_t *row;
    size_t i, n = 0;

    json_array_foreach(rows, i, row)
    {
        const char *migration = text_of(row, "migration"), *hint = text_of(row, "hint"),
                   *command = text_of(row, "command");

        n += !is_note(row);
        buf_printf(out, "%s: %s%s%s: %s\n", text_of(row, "weight"), migration,
                   *migration ? ": " : "", text_of(row, "finding"), text_of(row, "what"));
        if (*hint)
            buf_printf(out, "    hint: %s\n", hint);
        if (*command)
            buf_printf(out, "    next: %s\n", command);
    }
    buf_append_str(out, n ? "" : "nothing is wrong\n");
}

int cli_doctor(const struct cli_command *command, const struct cli_args *args)
{
    const char *name = args->nwords ? args->words[0] : NULL;
    json_t *rows = NULL, *row;
    struct buf out = {0};
    struct err err = {0};
    int code = (args->upstream ? look : ask)(args, name, &rows, &err);
    size_t i;

    (void)command;
    if (code != CLI_DONE) {
        cli_print_err(&err);
        return code;
    }
    if (args->json) {
        cli_print_json(rows);
    } else {
        format(rows, &out);
        cli_print(&out);
    }
    json_array_foreach(rows, i, row)
    {
        code = is_note(row) ? code : CLI_REFUSED;
    }
    buf_fini(&out);
    json_decref(rows);
    return code;
}
