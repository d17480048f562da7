/*
 * Answers on the terminal: aligned tables, the readable plan, errors. Rows are an array of
 * objects, as cli_client_ask gives them. Text goes to a buffer: pure.
 */
#ifndef SEGUE_CLI_OUTPUT_H
#define SEGUE_CLI_OUTPUT_H

#include <stdbool.h>

#include <jansson.h>

#include "segue/base/buf.h"
#include "segue/base/err.h"

/* Aligned columns under their names; wide text columns are not cut. */
void cli_format_table(const json_t *columns, const json_t *rows, struct buf *out);

/* One record below the other, for tables too wide for a line. */
void cli_format_records(const json_t *columns, const json_t *rows, struct buf *out);

/* PLAN's rows: steps grouped by stage with lock, how long, SQL; then refusals and warnings. */
void cli_format_plan(const json_t *rows, struct buf *out);
size_t cli_plan_refusals(const json_t *rows);

void cli_print(const struct buf *text); /* to stdout, flushed */
/* Writes what is left, and says on stderr that not all of it has come out; false: all has. */
bool cli_output_lost(void);
void cli_print_json(const json_t *value);
void cli_print_err(const struct err *err); /* to stderr: "segue: text" and "hint: ..." */

/* The text of a value as people read it; "" for null. free() it. */
char *cli_value_text(const json_t *value);

#endif
