/*
 * How far a migration is, as text: from a row of SHOW STATUS (a JSON object). Pure: no terminal,
 * no clock of its own.
 */
#ifndef SEGUE_CLI_PROGRESS_H
#define SEGUE_CLI_PROGRESS_H

#include <stdbool.h>

#include <jansson.h>

#include "segue/base/buf.h"

/* "8 s", "3 min 20 s", "2 h 5 min" */
void cli_duration(double seconds, char *out, size_t size);

/* Some lines of at most `width` columns for a terminal. */
void cli_progress_block(const json_t *row, unsigned width, struct buf *out);

/* One line with everything, for logs. */
void cli_progress_line(const json_t *row, struct buf *out);

/* Is there something new for a log's reader? (A tenth of the road counts, a row does not.) */
bool cli_progress_news(const json_t *before, const json_t *now);

#endif
