/*
 * How far a migration is, as text: from a row of SHOW STATUS (a JSON object). Pure: no terminal,
 * no clock of its own.
 */
#ifndef SEGUE_CLI_PROGRESS_H
#define SEGUE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "segue/base/buf.h"

/* A remaining time that does not jump: it runs down by itself and leans to what is measured. */
struct cli_eta {
    bool known;
    double seconds;
    int64_t at_ms;
};

/* measured_s below 0: unknown. */
void cli_eta_update(struct cli_eta *eta, double measured_s, int64_t now_ms);

/* "8 s", "3 min 20 s", "2 h 5 min" */
void cli_duration(double seconds, char *out, size_t size);

/* Some lines of at most `width` columns for a terminal. */
void cli_progress_block(const json_t *row, const struct cli_eta *eta, unsigned width,
                        struct buf *out);

/* One line with everything, for logs. */
void cli_progress_line(const json_t *row, const struct cli_eta *eta, struct buf *out);

/* Is there something new for a log's reader? (A tenth of the road counts, a row does not.) */
bool cli_progress_news(const json_t *before, const json_t *now);

#endif
