/* A command line against its command's row. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define SERVER_DEFAULT "postgresql://127.0.0.1:6432/segue"

static const struct {
    const char *name;
    enum cli_option option;
    size_t value; /* where the value goes; 0: it takes none */
} options[] = {
    {"--detach", CLI_DETACH, 0},
    {"--watch", CLI_WATCH, 0},
    {"--force", CLI_FORCE, 0},
    {"--no-wait", CLI_NO_WAIT, 0},
    {"--at", CLI_AT, offsetof(struct cli_args, at)},
    {"--withdraw", CLI_WITHDRAW, 0},
    {"--wait-replicas", CLI_WAIT_REPLICAS, 0},
    {"--skip", CLI_SKIP, 0},
    {"--branch", CLI_BRANCH, 0},
    {"--note", CLI_NOTE, offsetof(struct cli_args, note)},
    {"--alembic", CLI_ALEMBIC, offsetof(struct cli_args, alembic)},
    {"--drizzle", CLI_DRIZZLE, offsetof(struct cli_args, drizzle)},
    {"--for", CLI_FOR, offsetof(struct cli_args, until)},
    {"--timeout", CLI_TIMEOUT, offsetof(struct cli_args, timeout)},
    {"--upstream", CLI_UPSTREAM, offsetof(struct cli_args, upstream)},
};

/* "--force", "--note TEXT" or "--note=TEXT", where the command takes it; false: another word. */
static bool take_option(const struct cli_command *command, int argc, char *const *argv, int *at,
                        struct cli_args *args, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        size_t len = strlen(options[i].name);
        const char **value = (const char **)(void *)((char *)args + options[i].value);
        const char *word = argv[*at];
        bool inside =
            options[i].value && strncmp(word, options[i].name, len) == 0 && word[len] == '=';

        if (!(command->options & options[i].option) ||
            !(inside || strcmp(word, options[i].name) == 0))
            continue;
        args->options |= options[i].option;
        if (inside)
            *value = word + len + 1;
        else if (options[i].value && *at + 1 < argc)
            *value = argv[++*at];
        else if (options[i].value)
            err_set(err, "42601", "%s needs a value", options[i].name);
        return true;
    }
    return false;
}

/* "--server URL" or "--server=URL"; false: another word. */
static bool take_server(int argc, char *const *argv, int *i, struct cli_args *args, struct err *err)
{
    if (strncmp(argv[*i], "--server=", 9) == 0) {
        args->server = argv[*i] + 9;
        args->server_told = true;
    } else if (strcmp(argv[*i], "--server") == 0) {
        if (*i + 1 < argc)
            args->server = argv[++*i];
        else
            err_set(err, "42601", "--server needs a URL");
        args->server_told = true;
    } else {
        return false;
    }
    return true;
}

static void take_word(const struct cli_command *command, const char *word, struct cli_args *args,
                      struct err *err)
{
    if (!*word)
        err_set(err, "42601", "%s: a word is empty", command->name);
    else if (args->nwords < command->words_max)
        args->words[args->nwords++] = word;
    else
        err_set(err, "42601", "%s: \"%s\" not expected", command->name, word);
}

enum rc cli_args_parse(const struct cli_command *command, int argc, char *const *argv,
                       struct cli_args *args, struct err *err)
{
    const char *server = getenv("SEGUE_SERVER");
    bool only_words = false;

    *args = (struct cli_args){.server = server && *server ? server : SERVER_DEFAULT,
                              .server_told = server && *server};
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];

        if (only_words || word[0] != '-' || !word[1] || isdigit((unsigned char)word[1])) {
            take_word(command, word, args, err);
        } else if (strcmp(word, "--") == 0) {
            only_words = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            args->help = true;
        } else if (strcmp(word, "--json") == 0) {
            args->json = true;
        } else if (!take_option(command, argc, argv, &i, args, err) &&
                   !take_server(argc, argv, &i, args, err)) {
            err_set(err, "42601", "%s does not know the option %s", command->name, word);
        }
    }
    if (!args->help && args->nwords < command->words_min)
        err_set(err, "42601", "%s needs %s", command->name, command->words);
    if (args->nwords == 0 && (args->options & CLI_SKIP)) /* SKIP would stand where a name does */
        err_set(err, "42601", "%s: --skip needs a NAME", command->name);
    if (args->help)
        err_clear(err);
    if (!err_is_set(err))
        return RC_OK;
    err_hint(err, "segue %s --help", command->name);
    return RC_ERR;
}
