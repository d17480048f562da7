/*
 * The verbs of the console as rows: what they are called, what they take, which job they become.
 * HELP, the usage in errors and the parser all come from the row.
 */
#ifndef SEGUE_ADMIN_COMMAND_H
#define SEGUE_ADMIN_COMMAND_H

#include <jansson.h>

#include "segue/engine/engine.h"
#include "token.h"

enum adm_arg {
    ADM_ARG_NONE,
    ADM_ARG_FILE_TEXT, /* 'text of the migration file' */
    ADM_ARG_FILE_PATH, /* [FILE 'path'] */
    ADM_ARG_MIGRATE,   /* [MIGRATE] */
    ADM_ARG_MIGRATION, /* name */
    ADM_ARG_MIGRATION_OPTIONAL,
    ADM_ARG_FORCE, /* [FORCE] */
    ADM_ARG_AT,    /* [AT 'time'] */
    ADM_ARG_WAIT_REPLICAS,
    ADM_ARG_WITHDRAW,
    ADM_ARG_SKIP, /* [SKIP] */
    ADM_ARG_SIGNAL,
    ADM_ARG_LIMIT,
    ADM_ARG_BRANCH, /* [BRANCH] */
    ADM_ARG_NOTE,   /* [NOTE 'text'] */
    ADM_ARG_AS,     /* [AS name] */
    ADM_ARG_COUNT
};

#define ADM_ARGS_MAX 4

/* Who only looks may use what changes nothing, and runs nothing that it is given. */
enum adm_right { ADM_ACTS, ADM_LOOKS };

struct adm_command {
    const char *name;
    enum eng_verb verb;
    enum adm_right right;
    enum adm_arg args[ADM_ARGS_MAX + 1]; /* ends with ADM_ARG_NONE */
    const char *help;
};

extern const struct adm_command adm_commands[];
extern const size_t adm_ncommands;

/* The verb a statement starts with, or NULL. */
const struct adm_command *adm_command_find(const struct adm_token *first);

/* Makes the job from the statement's words behind the verb. The caller submits or frees it. */
enum rc adm_command_parse(const struct adm_command *command, const struct adm_token *words,
                          size_t count, struct eng_job **job, struct err *err) MUST_CHECK;

/* "ABORT name [FORCE]"; free() it. */
char *adm_command_usage(const struct adm_command *command);

#endif
