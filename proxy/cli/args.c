/* A command line against its command's row. */
#include <stdlib.h>
#include <string.h>

#include "command.h"

#define SERVER_DEFAULT "postgresql://127.0.0.1:6432/segue"

static const struct {
    const char *name;
    enum cli_option option;
} options[] = {
    {"--detach", CLI_DETACH}, {"--watch", CLI_WATCH},       {"--force", CLI_FORCE},
    {"--at", CLI_AT},         {"--withdraw", CLI_WITHDRAW}, {"--wait-replicas", CLI_WAIT_REPLICAS},
};

static unsigned option_of(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (strcmp(options[i].name, word) == 0)
            return options[i].option;
    }
    return 0;
}

/* "--server URL" or "--server=URL"; false: another word. */
static bool take_server(int argc, char *const *argv, int *i, struct cli_args *args, struct err *err)
{
    if (strncmp(argv[*i], "--server=", 9) == 0) {
        args->server = argv[*i] + 9;
    } else if (strcmp(argv[*i], "--server") == 0) {
        if (*i + 1 < argc)
            args->server = argv[++*i];
        else
            err_set(err, "42601", "--server needs a URL");
    } else {
        return false;
    }
    return true;
}

static void take_word(const struct cli_command *command, const char *word, struct cli_args *args,
                      struct err *err)
{
    if (args->nwords < command->words_max)
        args->words[args->nwords++] = word;
    else
        err_set(err, "42601", "%s: \"%s\" not expected", command->name, word);
}

enum rc cli_args_parse(const struct cli_command *command, int argc, char *const *argv,
                       struct cli_args *args, struct err *err)
{
    const char *server = getenv("SEGUE_SERVER");
    bool only_words = false;

    *args = (struct cli_args){.server = server && *server ? server : SERVER_DEFAULT};
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        unsigned option = option_of(word);

        if (only_words || word[0] != '-' || !word[1]) {
            take_word(command, word, args, err);
        } else if (strcmp(word, "--") == 0) {
            only_words = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            args->help = true;
        } else if (strcmp(word, "--json") == 0) {
            args->json = true;
        } else if (option && (command->options & option)) {
            args->options |= option;
            if (option == CLI_AT && i + 1 < argc)
                args->at = argv[++i];
            else if (option == CLI_AT)
                err_set(err, "42601", "--at needs a time");
        } else if (!take_server(argc, argv, &i, args, err)) {
            err_set(err, "42601", "%s does not know the option %s", command->name, word);
        }
    }
    if (!args->help && args->nwords < command->words_min)
        err_set(err, "42601", "%s needs %s", command->name, command->words);
    if (args->help)
        err_clear(err);
    if (!err_is_set(err))
        return RC_OK;
    err_hint(err, "segue %s --help", command->name);
    return RC_ERR;
}
