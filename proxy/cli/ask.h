/*
 * One question to the console: connect, ask, close. What goes wrong is printed.
 */
#ifndef SEGUE_CLI_ASK_H
#define SEGUE_CLI_ASK_H

#include <jansson.h>

#include "command.h"

/* Returns an exit code; rows (and columns, which may be NULL) are the caller's, NULL unless it is
 * CLI_DONE. */
int cli_ask_once(const struct cli_args *args, const char *statement, json_t **columns,
                 json_t **rows);

#endif
