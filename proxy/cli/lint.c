/*
 * segue lint: a folder of migration files against itself, and against the history of the database
 * when a segue can be asked. What can be found out without a database is found out without one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "history.h"
#include "output.h"
#include "segue/base/mem.h"
#include "segue/cli/cli.h"
#include "segue/engine/lineage.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define CONNECT_TIMEOUT_S 10
#define GUESS_TIMEOUT_S 2 /* nobody has said that there is one */

struct lint {
    const struct cli_args *args;
    struct lineage *lineage;
    json_t *findings;
    size_t files;
    bool asked; /* the database has been */
    json_t *history, *drift, *versions;
};

/* ---- the folder ---- */

static void lint_file(struct lint *lint, const char *folder, const char *name)
{
    char *path = mem_printf("%s/%s", folder, name);
    struct eng_file_head head = {0};
    struct buf text = {0};
    struct err err = {0};

    lint->files++;
    if (cli_text_read(path, FILE_BYTES_MAX, &text, &err) == RC_OK &&
        eng_file_head(path, text.data, &head, &err) == RC_OK) {
        eng_file_lint(path, text.data, lint->findings);
        lineage_add(lint->lineage,
                    &(struct lineage_node){.name = head.name,
                                           .where = path,
                                           .line = head.line,
                                           .sha256 = head.sha256,
                                           .parents = (const char *const *)head.parents,
                                           .nparents = head.nparents},
                    lint->findings);
    } else { /* the text begins with file and line */
        lineage_find(lint->findings, "error", "file", "", err.hint, "%s", err.text);
    }
    eng_file_head_fini(&head);
    buf_fini(&text);
    free(path);
}

static enum rc lint_folder(struct lint *lint, const char *folder, struct err *err)
{
    static const char *const endings[] = {".json", ".yaml", ".yml", NULL};
    size_t n;
    char **names = cli_folder_list(folder, endings, &n, err);

    if (!names)
        return RC_ERR;
    for (size_t i = 0; i < n; i++)
        lint_file(lint, folder, names[i]);
    if (n == 0)
        lineage_find(lint->findings, "warning", "files", folder, "is it the folder that is meant?",
                     "no file ends with .json, .yaml or .yml");
    mem_strlist_free(names);
    return RC_OK;
}

/* ---- the database ---- */

/* A table of versions that segue may not read is in the way of who asks for it alone. */
static enum rc ask_versions(struct lint *lint, struct cli_client *client, struct err *err)
{
    const char *severity = lint->args->alembic || lint->args->drizzle ? "error" : "warning";
    struct err why = {0};
    enum rc rc = cli_client_ask(client, "VERSIONS", NULL, &lint->versions, &why);

    if (rc == RC_ERR && strncmp(why.sqlstate, "42", 2) == 0) {
        lineage_find(lint->findings, severity, "versions", "", why.hint, "%s", why.text);
        return RC_OK;
    }
    if (rc != RC_OK)
        *err = why;
    return rc;
}

/* RC_AGAIN: nobody is there, and nobody said that there is. */
static enum rc ask_database(struct lint *lint, struct err *err)
{
    struct cli_client client = {.server = lint->args->server};
    bool told = lint->args->server_told;
    struct err why = {0};
    enum rc rc;

    if (cli_client_connect(&client, told ? CONNECT_TIMEOUT_S : GUESS_TIMEOUT_S, &why) != RC_OK) {
        if (told)
            *err = why;
        return told ? RC_ERR : RC_AGAIN;
    }
    rc = ask_versions(lint, &client, err);
    if (rc == RC_OK)
        rc = cli_client_ask(&client, "SHOW HISTORY", NULL, &lint->history, err);
    if (rc == RC_OK) {
        rc = cli_client_ask(&client, "DIFF", NULL, &lint->drift, &why);
        if (rc == RC_ERR && strcmp(why.sqlstate, "55000") == 0) {
            rc = RC_OK; /* nothing has been recorded yet */
        } else if (rc == RC_ERR && strcmp(why.sqlstate, "55006") == 0) {
            lineage_find(lint->findings, "warning", "drift", "", why.hint, "%s", why.text);
            rc = RC_OK;
        } else if (rc != RC_OK) {
            *err = why;
        }
    }
    cli_client_close(&client);
    lint->asked = rc == RC_OK;
    return rc == RC_OK ? RC_OK : RC_ERR;
}

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text ? text : "";
}

static enum lineage_state state_of(const json_t *row)
{
    if (strcmp(text_of(row, "kind"), "baseline") == 0)
        return LIN_BASELINE;
    return strcmp(text_of(row, "phase"), "done") == 0 ? LIN_APPLIED : LIN_FLIGHT;
}

static void add_history(struct lint *lint)
{
    json_t *row;
    size_t i;

    json_array_foreach(lint->history, i, row)
    {
        json_t *list = json_loads(text_of(row, "after"), 0, NULL);
        const char **parents;

        if (strcmp(text_of(row, "phase"), "aborted") != 0) {
            parents = mem_calloc(json_array_size(list) + 1, sizeof(*parents));
            for (size_t k = 0; k < json_array_size(list); k++)
                parents[k] = json_string_value(json_array_get(list, k));
            lineage_add(lint->lineage,
                        &(struct lineage_node){.name = text_of(row, "migration"),
                                               .state = state_of(row),
                                               .sha256 = text_of(row, "sha256"),
                                               .parents = parents,
                                               .nparents = json_array_size(list)},
                        lint->findings);
            free(parents);
        }
        json_decref(list);
    }
}

static void add_drift(struct lint *lint)
{
    const char *severity = lineage_ordered(lint->lineage) ? "error" : "warning";
    json_t *row;
    size_t i;

    json_array_foreach(lint->drift, i, row)
    {
        const char *part = text_of(row, "part"), *was = text_of(row, "before"),
                   *is = text_of(row, "after");

        lineage_find(lint->findings, severity, "drift", text_of(row, "object"),
                     "put it into a migration, or accept it: segue baseline --force --note '...'",
                     "%s%s%s past segue%s%s%s%s", part, *part ? " " : "", text_of(row, "change"),
                     *was ? "; was " : "", was, *is ? "; is " : "", is);
    }
}

/* ---- the answer ---- */

static size_t count(const struct lint *lint, const char *severity)
{
    size_t i, n = 0;
    json_t *finding;

    json_array_foreach(lint->findings, i, finding)
    {
        n += strcmp(text_of(finding, "severity"), severity) == 0;
    }
    return n;
}

static int answer(const struct lint *lint)
{
    size_t errors = count(lint, "error"), warnings = count(lint, "warning"), i;
    json_t *finding;

    if (lint->args->json) {
        cli_print_json(lint->findings);
        return errors ? CLI_REFUSED : CLI_DONE;
    }
    json_array_foreach(lint->findings, i, finding)
    {
        const char *where = text_of(finding, "where"), *hint = text_of(finding, "hint");

        printf("%s: %s%s%s\n", text_of(finding, "severity"), where, *where ? ": " : "",
               text_of(finding, "text"));
        if (*hint)
            printf("    hint: %s\n", hint);
    }
    printf("lint: %zu files, %s; %zu errors, %zu warnings\n", lint->files,
           lint->asked ? "compared with the database" : "without a database", errors, warnings);
    return errors ? CLI_REFUSED : CLI_DONE;
}

static enum rc run(struct lint *lint, struct err *err, int *code)
{
    const struct cli_args *args = lint->args;
    const struct lineage_how how = {
        .whole = args->nwords > 0,
        .after = true,
        .merge = "merge them: a file with \"after\" naming all of them and \"operations\": []"};

    *code = CLI_REFUSED;
    if (args->nwords && lint_folder(lint, args->words[0], err) != RC_OK)
        return RC_ERR;
    if (ask_database(lint, err) == RC_ERR) {
        *code = CLI_UNREACHABLE;
        return RC_ERR;
    }
    add_history(lint);
    lineage_check(lint->lineage, &how, lint->findings);
    add_drift(lint);
    if (cli_lint_alembic(args->alembic, lint->versions, lint->findings, err) != RC_OK ||
        cli_lint_drizzle(args->drizzle, lint->versions, lint->findings, err) != RC_OK)
        return RC_ERR;
    return RC_OK;
}

int cli_run_lint(const struct cli_command *command, const struct cli_args *args)
{
    struct lint lint = {
        .args = args, .lineage = lineage_new("migration"), .findings = json_array()};
    struct err err = {0};
    int code;

    (void)command;
    if (run(&lint, &err, &code) == RC_OK)
        code = answer(&lint);
    else
        cli_print_err(&err);
    lineage_free(lint.lineage);
    json_decref(lint.findings);
    json_decref(lint.history);
    json_decref(lint.drift);
    json_decref(lint.versions);
    return code;
}
