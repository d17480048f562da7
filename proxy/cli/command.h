/*
 * The commands as rows, and a command line taken apart by its row.
 */
#ifndef SEGUE_CLI_COMMAND_H
#define SEGUE_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/err.h"

/* Options a command may take; --server, --json and --help go with every one. */
enum cli_option {
    CLI_DETACH = 1,
    CLI_WATCH = 2,
    CLI_FORCE = 4,
    CLI_AT = 8, /* with a value */
    CLI_WITHDRAW = 16,
    CLI_WAIT_REPLICAS = 32,
    CLI_BRANCH = 64,
    CLI_NOTE = 128,
    CLI_ALEMBIC = 256,
    CLI_DRIZZLE = 512,
    CLI_UPSTREAM = 1024,
    CLI_NO_WAIT = 2048,
    CLI_FOR = 4096,
    CLI_TIMEOUT = 8192,
    CLI_SKIP = 16384,
};

#define CLI_WORDS_MAX 2

struct cli_args {
    const char *server;
    const char *upstream; /* CLI_UPSTREAM: its URL, or NULL */
    bool json;
    bool help;
    bool server_told; /* by --server or SEGUE_SERVER */
    const char *at, *note, *alembic, *drizzle, *until,
        *timeout;     /* of options that take a value; NULL: not given */
    unsigned options; /* of enum cli_option */
    const char *words[CLI_WORDS_MAX];
    size_t nwords;
};

struct cli_command {
    const char *name;
    const char *words; /* "FILE", "[NAME]" */
    size_t words_min, words_max;
    unsigned options;
    const char *verb; /* of the console */
    int (*run)(const struct cli_command *command, const struct cli_args *args);
    const char *help;
};

int cli_doctor(const struct cli_command *command, const struct cli_args *args); /* doctor.c */

extern const struct cli_command cli_commands[];
extern const size_t cli_ncommands;

const struct cli_command *cli_command_find(const char *name);

/* argv: the words behind the command. RC_ERR: err says which word is wrong. */
enum rc cli_args_parse(const struct cli_command *command, int argc, char *const *argv,
                       struct cli_args *args, struct err *err) MUST_CHECK;

/* To stdout. cli_help: all commands; cli_help_on: one (serve with every option). */
void cli_help(void);
void cli_help_on(const struct cli_command *command);
void cli_help_console(void);

#endif
