/*
 * The commands about the history of a database's schema: what was applied, whether files and
 * database still agree with it, what the schema is and was.
 */
#ifndef SEGUE_CLI_HISTORY_H
#define SEGUE_CLI_HISTORY_H

#include <jansson.h>

#include "command.h"
#include "segue/base/buf.h"

int cli_run_history(const struct cli_command *command, const struct cli_args *args);
int cli_run_baseline(const struct cli_command *command, const struct cli_args *args);
int cli_run_snapshot(const struct cli_command *command, const struct cli_args *args);
int cli_run_diff(const struct cli_command *command, const struct cli_args *args);
int cli_run_lint(const struct cli_command *command, const struct cli_args *args); /* lint.c */

/* ---- files.c ---- */

/* A whole text file ("-": standard input), appended. Errors: not there, longer than bytes_max, not
 * text, empty. */
enum rc cli_text_read(const char *path, size_t bytes_max, struct buf *text,
                      struct err *err) MUST_CHECK;
/* Names of the entries of a folder with one of the endings (NULL-terminated list), sorted; *n of
 * them, heap (mem_strlist_free). NULL with err. */
char **cli_folder_list(const char *path, const char *const *endings, size_t *n, struct err *err);

/* ---- lint_alembic.c, lint_drizzle.c ---- */

/* What is wrong with a folder of Alembic's or drizzle's, appended as findings (lineage.h).
 * versions: rows of VERSIONS, NULL: not asked. RC_ERR: the folder cannot be read. */
enum rc cli_lint_alembic(const char *path, const json_t *versions, json_t *findings,
                         struct err *err) MUST_CHECK;
enum rc cli_lint_drizzle(const char *path, const json_t *versions, json_t *findings,
                         struct err *err) MUST_CHECK;

#endif
