/* One event as one line. Pure: no clock, no descriptor. Private to this layer. */
#ifndef SEGUE_BASE_LOG_LINE_H
#define SEGUE_BASE_LOG_LINE_H

#include <stddef.h>

#include "segue/base/log.h"

/* No line is longer, newline included: PIPE_BUF, so that a pipe takes it whole. */
#define LOG_LINE_MAX 4096

struct log_event {
    const char *when; /* clock_wall() */
    enum log_level level;
    const char *thread, *migration; /* "": none */
    struct log_about about;
    const char *text;            /* cut at 1536 bytes */
    const char *sqlstate, *hint; /* NULL or "": none */
};

/* Writes into `out` (LOG_LINE_MAX bytes), ends with a newline, no NUL; returns the length. */
size_t log_line_text(char *out, const struct log_event *event);
size_t log_line_json(char *out, const struct log_event *event);

const char *log_level_name(enum log_level level);

#endif
