/* The command table, and what each command says to the console. */
#include "segue/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "client.h"
#include "command.h"
#include "history.h"
#include "output.h"
#include "segue/admin/console.h"
#include "segue/base/mem.h"
#include "segue/base/option.h"
#include "segue/engine/engine.h"
#include "stop.h"
#include "wait.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define CONNECT_TIMEOUT_S 10
#define TIMEOUT_S_MAX (365 * 86400)

static int run_plan(const struct cli_command *command, const struct cli_args *args);
static int run_start(const struct cli_command *command, const struct cli_args *args);
static int run_status(const struct cli_command *command, const struct cli_args *args);
static int run_wait(const struct cli_command *command, const struct cli_args *args);
static int run_usage(const struct cli_command *command, const struct cli_args *args);
static int run_verb(const struct cli_command *command, const struct cli_args *args);
static int run_verify(const struct cli_command *command, const struct cli_args *args);
static int run_throttle(const struct cli_command *command, const struct cli_args *args);
static int run_attempts(const struct cli_command *command, const struct cli_args *args);
static int run_evidence(const struct cli_command *command, const struct cli_args *args);

/* clang-format off */
const struct cli_command cli_commands[] = {
    {"serve", "[-c FILE] [--takeover] [--OPTION VALUE]...", 0, 0, 0, NULL, NULL,
     "run the proxy and its engine"},
    {"plan", "FILE", 1, 1, CLI_BRANCH, "PLAN", run_plan,
     "show what a migration would do; touches nothing"},
    {"start", "FILE", 1, 1, CLI_DETACH | CLI_BRANCH, "START", run_start,
     "expand, backfill, verify; stop at ready"},
    {"migrate", "FILE", 1, 1, CLI_DETACH | CLI_BRANCH, "START", run_start,
     "the same, and on through the cut-over to soaking"},
    {"status", "[NAME]", 0, 1, CLI_WATCH, NULL, run_status,
     "phase, progress, what slows it, worst stall"},
    {"wait", "NAME", 1, 1, CLI_FOR | CLI_TIMEOUT, NULL, run_wait,
     "wait until a migration in flight is ready, or soaking, done, aborted"},
    {"usage", "[NAME]", 0, 1, 0, NULL, run_usage,
     "who uses old and new names, and who connects past segue"},
    {"attempts", "[NAME]", 0, 1, 0, NULL, run_attempts,
     "the last tries of cut-overs, rollbacks and steps, and who was in the way"},
    {"evidence", "NAME", 1, 1, 0, "EVIDENCE", run_evidence,
     "one JSON document of what has happened: phases, rows, attempts, usage"},
    {"cutover", "NAME", 1, 1, CLI_AT | CLI_WAIT_REPLICAS | CLI_WITHDRAW, "CUTOVER", run_verb,
     "make the new schema the source of truth"},
    {"complete", "NAME", 1, 1, CLI_FORCE | CLI_NO_WAIT, "COMPLETE", run_verb,
     "drop everything old; not reversible"},
    {"rollback", "NAME", 1, 1, 0, "ROLLBACK", run_verb,
     "in soak: back to ready, nothing lost; before: abort"},
    {"abort", "NAME", 1, 1, CLI_FORCE, "ABORT", run_verb,
     "before the cut-over: drop everything new"},
    {"verify", "NAME", 1, 1, 0, "VERIFY", run_verify,
     "check every row now"},
    {"pause", "[NAME]", 0, 1, 0, "PAUSE", run_verb,
     "hold a migration, or all"},
    {"resume", "[NAME]", 0, 1, CLI_SKIP, "RESUME", run_verb,
     "go on, also after a failure"},
    {"history", "", 0, 0, 0, NULL, cli_run_history,
     "what was applied: file, SHA-256, after what, when"},
    {"lint", "[DIR]", 0, 1, CLI_ALEMBIC | CLI_DRIZZLE, NULL, cli_run_lint,
     "check a folder of migration files, and the database against it"},
    {"baseline", "[NAME]", 0, 1, CLI_FORCE | CLI_NOTE, "BASELINE", cli_run_baseline,
     "record the present schema as what migrations start from"},
    {"snapshot", "[NAME]", 0, 1, 0, "SNAPSHOT", cli_run_snapshot,
     "print the schema as JSON that can be compared; of NAME: as it was recorded"},
    {"diff", "[FILE [FILE]]", 0, 2, 0, "DIFF", cli_run_diff,
     "two snapshots, or one and the database, or the last record and the database"},
    {"doctor", "[NAME]", 0, 1, CLI_UPSTREAM, "DOCTOR", cli_doctor,
     "why a migration does not go on, and what to do"},
    {"throttle", "[SIGNAL VALUE]", 0, 2, 0, "THROTTLE", run_throttle,
     "show or set (to a limit, off, on, default) what holds and slows a migration"},
    {"bench", "backfill --dsn URL [--OPTION VALUE]...", 0, 0, 0, NULL, NULL,
     "measure backfills on your own server, in a database that is dropped again"},
};
/* clang-format on */

const size_t cli_ncommands = ARRAY_LEN(cli_commands);

const struct cli_command *cli_command_find(const char *name)
{
    for (size_t i = 0; i < cli_ncommands; i++) {
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    }
    return NULL;
}

static int fail(int code, const struct err *err)
{
    cli_print_err(err);
    return code;
}

/* Connects, or says why not. */
static int open_client(const struct cli_args *args, struct cli_client *client)
{
    struct err err = {0};

    *client = (struct cli_client){.server = args->server};
    if (cli_client_connect(client, CONNECT_TIMEOUT_S, &err) == RC_OK)
        return CLI_DONE;
    return fail(strcmp(err.sqlstate, CLI_NO_URL) == 0 ? CLI_USAGE : CLI_UNREACHABLE, &err);
}

static int answered(enum rc rc, struct err *err)
{
    if (rc == RC_OK)
        return CLI_DONE;
    if (rc == RC_AGAIN && cli_stop_signal()) {
        err_hint(err, "it may be done all the same: segue status tells");
        return fail(cli_stop_code(), err);
    }
    return fail(rc == RC_AGAIN ? CLI_UNREACHABLE : CLI_REFUSED, err);
}

static int ask(struct cli_client *client, const char *statement, json_t **columns, json_t **rows)
{
    struct err err = {0};
    enum rc rc = cli_client_ask(client, statement, columns, rows, &err);

    return answered(rc, &err);
}

/* ---- the migration file ---- */

/* "VERB 'text' FILE 'path'"; NULL after an error was printed. free() it. */
static char *file_statement(const char *verb, const char *path)
{
    struct buf text = {0}, statement = {0};
    struct err err = {0};

    if (cli_text_read(path, FILE_BYTES_MAX, &text, &err) != RC_OK) {
        cli_print_err(&err);
        buf_fini(&text);
        return NULL;
    }
    buf_printf(&statement, "%s ", verb);
    cli_append_literal(&statement, text.data);
    buf_append_str(&statement, " FILE ");
    cli_append_literal(&statement, path);
    buf_fini(&text);
    return buf_take(&statement);
}

static int run_plan(const struct cli_command *command, const struct cli_args *args)
{
    struct cli_client client;
    struct buf out = {0};
    json_t *rows = NULL;
    char *statement = file_statement(command->verb, args->words[0]);
    int code;

    if (statement && (args->options & CLI_BRANCH)) {
        char *plain = statement;

        statement = mem_printf("%s BRANCH", plain);
        free(plain);
    }
    if (!statement)
        return CLI_REFUSED;
    code = open_client(args, &client);
    if (code == CLI_DONE)
        code = ask(&client, statement, NULL, &rows);
    if (code == CLI_DONE) {
        if (args->json)
            cli_print_json(rows);
        else
            cli_format_plan(rows, &out);
        cli_print(&out);
        code = cli_plan_refusals(rows) ? CLI_REFUSED : CLI_DONE;
    }
    buf_fini(&out);
    json_decref(rows);
    cli_client_close(&client);
    free(statement);
    return code;
}

static int run_start(const struct cli_command *command, const struct cli_args *args)
{
    bool migrate = strcmp(command->name, "migrate") == 0;
    struct cli_client client;
    json_t *rows = NULL;
    const char *name;
    char *statement = file_statement(command->verb, args->words[0]), *full;
    int code;

    if (!statement)
        return CLI_REFUSED;
    full = mem_printf("%s%s%s", statement, migrate ? " MIGRATE" : "",
                      args->options & CLI_BRANCH ? " BRANCH" : "");
    free(statement);
    code = open_client(args, &client);
    cli_stop_catch();
    if (code == CLI_DONE)
        code = ask(&client, full, NULL, &rows);
    free(full);
    if (code == CLI_DONE) {
        name = json_string_value(json_object_get(json_array_get(rows, 0), "migration"));
        if ((args->options & CLI_DETACH) && args->json)
            cli_print_json(rows);
        else if ((args->options & CLI_DETACH) || !name)
            printf("%s: started\n", name ? name : args->words[0]);
        else
            code = cli_wait(&client, name, migrate ? CLI_GOAL_SOAKING : CLI_GOAL_READY, NULL,
                            args->json);
    }
    json_decref(rows);
    cli_client_close(&client);
    return code;
}

/* ---- questions ---- */

/* SHOW STATUS had no row: none is in flight, or the engine has not looked yet. */
static int no_status(struct cli_client *client, const struct cli_args *args)
{
    struct err err = {0};
    json_t *rows = NULL;
    int code = ask(client, "SHOW VERSION", NULL, &rows);
    bool blind = json_is_false(json_object_get(json_array_get(rows, 0), "engine_connected"));

    json_decref(rows);
    if (code != CLI_DONE)
        return code;
    if (blind || args->nwords) { /* of a name that is not there the console says so by itself */
        err_set(&err, "08003", "the proxy has no connection of its own to the database yet");
        err_hint(&err, "it keeps trying; segue doctor says why");
        return fail(CLI_REFUSED, &err);
    }
    if (!args->json)
        puts("no active migration");
    return CLI_DONE;
}

/* Shows what a statement answers. */
static int show(const struct cli_args *args, const char *statement, bool records)
{
    struct cli_client client;
    struct buf out = {0};
    json_t *columns = NULL, *rows = NULL;
    int code = open_client(args, &client);

    if (code == CLI_DONE)
        code = ask(&client, statement, &columns, &rows);
    if (code == CLI_DONE) {
        if (args->json)
            cli_print_json(rows);
        else if (records)
            cli_format_records(columns, rows, &out);
        else if (json_array_size(columns))
            cli_format_table(columns, rows, &out);
        cli_print(&out);
    }
    if (code == CLI_DONE && records && json_array_size(rows) == 0)
        code = no_status(&client, args);
    buf_fini(&out);
    json_decref(columns);
    json_decref(rows);
    cli_client_close(&client);
    return code;
}

/* "VERB 'word' 'word' [AT 'time'] [FORCE] ..."; free() it. */
static char *word_statement(const char *verb, const struct cli_args *args)
{
    static const struct {
        enum cli_option option;
        const char *word;
    } words[] = {{CLI_FORCE, "FORCE"},
                 {CLI_WAIT_REPLICAS, "WAIT REPLICAS"},
                 {CLI_WITHDRAW, "WITHDRAW"},
                 {CLI_SKIP, "SKIP"}};
    struct buf out = {0};

    buf_append_str(&out, verb);
    for (size_t i = 0; i < args->nwords; i++) {
        buf_append_u8(&out, ' ');
        cli_append_literal(&out, args->words[i]);
    }
    if (args->at) {
        buf_append_str(&out, " AT ");
        cli_append_literal(&out, args->at);
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (args->options & words[i].option)
            buf_printf(&out, " %s", words[i].word);
    }
    return buf_take(&out);
}

static int run_status(const struct cli_command *command, const struct cli_args *args)
{
    struct cli_client client;
    char *statement;
    int code;

    (void)command;
    if (args->options & CLI_WATCH) {
        code = open_client(args, &client);
        if (code == CLI_DONE)
            code = cli_wait(&client, args->nwords ? args->words[0] : NULL, CLI_GOAL_END, NULL,
                            args->json);
        cli_client_close(&client);
        return code;
    }
    statement = word_statement("SHOW STATUS", args);
    code = show(args, statement, true);
    free(statement);
    return code;
}

static int run_wait(const struct cli_command *command, const struct cli_args *args)
{
    enum cli_goal goal = cli_goal_named(args->until ? args->until : "ready");
    int64_t timeout_s = 0;
    struct cli_client client;
    struct err err = {0};
    char *end = NULL;
    int code;

    (void)command;
    if (goal == CLI_GOAL_COUNT)
        err_set(&err, "42601", "nobody waits for \"%s\": ready, soaking, done or aborted",
                args->until);
    if (args->timeout) {
        timeout_s = strtol(args->timeout, &end, 10);
        if (!*args->timeout || *end || timeout_s < 1 || timeout_s > TIMEOUT_S_MAX)
            err_set(&err, "42601", "--timeout takes seconds, 1 to %d, not \"%s\"", TIMEOUT_S_MAX,
                    args->timeout);
    }
    if (err_is_set(&err))
        return fail(CLI_USAGE, &err);
    code = open_client(args, &client);
    if (code == CLI_DONE)
        code = cli_wait_for(&client, args->words[0], goal, timeout_s * 1000, args->json);
    cli_client_close(&client);
    return code;
}

static int run_usage(const struct cli_command *command, const struct cli_args *args)
{
    char *statement = word_statement("SHOW USAGE", args);
    int code = show(args, statement, false);

    (void)command;
    free(statement);
    return code;
}

static int run_attempts(const struct cli_command *command, const struct cli_args *args)
{
    char *statement = word_statement("SHOW ATTEMPTS", args);
    int code = show(args, statement, false);

    (void)command;
    free(statement);
    return code;
}

static int run_evidence(const struct cli_command *command, const struct cli_args *args)
{
    struct cli_client client;
    char *statement = word_statement(command->verb, args);
    json_t *rows = NULL;
    int code = open_client(args, &client);

    if (code == CLI_DONE)
        code = ask(&client, statement, NULL, &rows);
    if (code == CLI_DONE)
        cli_print_json(json_object_get(json_array_get(rows, 0), "evidence"));
    json_decref(rows);
    cli_client_close(&client);
    free(statement);
    return code;
}

static int run_throttle(const struct cli_command *command, const struct cli_args *args)
{
    struct err err = {0};
    char *statement;
    int code;

    if (args->nwords == 1) {
        err_set(&err, "42601", "throttle needs a SIGNAL and a VALUE, or neither");
        return fail(CLI_USAGE, &err);
    }
    statement = word_statement(args->nwords ? command->verb : "SHOW THROTTLE", args);
    code = show(args, statement, false);
    free(statement);
    return code;
}

/* ---- verbs ---- */

/* COMPLETE waits for what is being proven since the cut-over, and is said again: all else that it
 * asks for must hold then, too. */
static int ask_patiently(struct cli_client *client, const struct cli_args *args,
                         const char *statement, const json_t *before, json_t **rows)
{
    for (bool first = true;; first = false) {
        struct err err = {0};
        enum rc rc = cli_client_ask(client, statement, NULL, rows, &err);
        int code;

        if (rc != RC_ERR || (args->options & CLI_NO_WAIT) ||
            strcmp(err.sqlstate, ENG_NOT_PROVEN) != 0)
            return answered(rc, &err);
        if (first)
            fprintf(stderr, "segue: %s; waiting for that\n", err.text);
        code = cli_wait(client, args->words[0], CLI_GOAL_PROVEN, before, args->json);
        if (code != CLI_DONE)
            return code;
    }
}

/* What RESUME has answered where it had nothing to do; NULL: it had. */
static const char *unneeded(const json_t *rows)
{
    const char *accepted = json_string_value(json_object_get(json_array_get(rows, 0), "accepted"));

    return accepted && strcmp(accepted, "yes") != 0 ? accepted : NULL;
}

static void say_done(const struct cli_command *command, const struct cli_args *args,
                     const json_t *rows, const json_t *now)
{
    const char *due = json_string_value(json_object_get(now, "cutover_due"));
    const char *name = args->nwords ? args->words[0] : "all migrations";

    if (args->options & CLI_WITHDRAW)
        printf("%s: the cut-over was withdrawn\n", name);
    else if (args->at && due)
        printf("%s: the cut-over is to begin at %s\n", name, due);
    else if (unneeded(rows))
        printf("%s: %s\n", name, unneeded(rows));
    else
        printf("%s: %s\n", name, command->name);
}

static int run_verb(const struct cli_command *command, const struct cli_args *args)
{
    struct cli_client client;
    struct err err = {0};
    char *statement = word_statement(command->verb, args);
    json_t *rows = NULL, *before = NULL, *now = NULL;
    enum cli_goal goal;
    enum rc rc;
    int code = open_client(args, &client);

    cli_stop_catch();
    if (code == CLI_DONE && args->nwords) {
        before = cli_status_row(&client, args->words[0], &rc, &err);
        code = rc == RC_AGAIN ? answered(rc, &err) : code;
    }
    if (code == CLI_DONE)
        code = ask_patiently(&client, args, statement, before, &rows);
    if (code == CLI_DONE && args->nwords)
        now = cli_status_row(&client, args->words[0], &rc, &err);
    goal = cli_goal_of(command->verb, before, now);
    if (args->options & (CLI_AT | CLI_WITHDRAW))
        goal = CLI_GOAL_COUNT; /* nothing that would come soon */
    if (code == CLI_DONE && goal != CLI_GOAL_COUNT)
        code = cli_wait(&client, args->words[0], goal, before ? before : now, args->json);
    else if (code == CLI_DONE && args->json)
        cli_print_json(rows);
    else if (code == CLI_DONE)
        say_done(command, args, rows, now);
    json_decref(before);
    json_decref(now);
    json_decref(rows);
    cli_client_close(&client);
    free(statement);
    return code;
}

static int run_verify(const struct cli_command *command, const struct cli_args *args)
{
    struct cli_client client;
    struct buf out = {0};
    char *statement = word_statement(command->verb, args);
    json_t *columns = NULL, *rows = NULL, *row;
    size_t i;
    int code = open_client(args, &client);

    if (code == CLI_DONE)
        code = ask(&client, statement, &columns, &rows);
    if (code == CLI_DONE) {
        if (args->json)
            cli_print_json(rows);
        else
            cli_format_table(columns, rows, &out);
        cli_print(&out);
    }
    json_array_foreach(rows, i, row)
    {
        if (json_number_value(json_object_get(row, "rows_bad")) > 0)
            code = CLI_REFUSED;
    }
    buf_fini(&out);
    json_decref(columns);
    json_decref(rows);
    cli_client_close(&client);
    free(statement);
    return code;
}

/* ---- dispatch ---- */

static int unknown(const char *word)
{
    const char *names[ARRAY_LEN(cli_commands)], *near;
    struct err err = {0};

    for (size_t i = 0; i < cli_ncommands; i++)
        names[i] = cli_commands[i].name;
    near = opt_nearest(word, names, cli_ncommands);
    err_set(&err, "42601", "there is no command \"%.64s\"", word);
    if (near)
        err_hint(&err, "did you mean segue %s?", near);
    else
        err_hint(&err, "segue --help");
    return fail(CLI_USAGE, &err);
}

static int help(const char *topic)
{
    const struct cli_command *command = topic ? cli_command_find(topic) : NULL;

    if (!topic)
        cli_help();
    else if (strcmp(topic, "console") == 0)
        cli_help_console();
    else if (command)
        cli_help_on(command);
    else
        return unknown(topic);
    return CLI_DONE;
}

static int run(int argc, char **argv, int (*serve)(int argc, char **argv))
{
    const struct cli_command *command;
    struct cli_args args;
    struct err err = {0};

    if (argc < 2) {
        cli_help();
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("segue " SEGUE_VERSION);
        return CLI_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    command = cli_command_find(argv[1]);
    if (!command)
        return unknown(argv[1]);
    if (strcmp(command->name, "bench") == 0) /* its words are its own, --help too */
        return bench_main(argc - 2, argv + 2);
    for (int i = 2; i < argc && !command->run; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return help(command->name);
    }
    if (!command->run)
        return serve(argc - 2, argv + 2);
    if (cli_args_parse(command, argc - 2, argv + 2, &args, &err) != RC_OK)
        return fail(CLI_USAGE, &err);
    if (args.help) {
        cli_help_on(command);
        return CLI_DONE;
    }
    return command->run(command, &args);
}

int cli_main(int argc, char **argv, int (*serve)(int argc, char **argv))
{
    int code = run(argc, argv, serve);

    if (argc > 1 && strcmp(argv[1], "serve") == 0) /* said where it listens, long ago */
        return code;
    return cli_output_lost() && code == CLI_DONE ? CLI_REFUSED : code;
}
