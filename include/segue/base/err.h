/*
 * One caller-owned error value. The first error set wins; later ones are dropped, so that the
 * cause is what the operator reads and not its echo.
 *
 *   struct err err = {0};
 *   err_set(&err, "55P03", "table \"%s\" is locked", name);
 *   err_hint(&err, "try again, or see SHOW STATUS");
 *
 * What is kept is UTF-8, however it was cut: it is stored and shown. What a server says of a row is
 * shown to whoever asks, not logged (err_plain): the engine's connection tells which part that is.
 * Not here: logging. Lower layers return errors, the top logs them once.
 */
#ifndef SEGUE_BASE_ERR_H
#define SEGUE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/rc.h"

struct err {
    char sqlstate[6]; /* five characters and NUL; empty means "no error" */
    char text[1024];
    char hint[512];
    char detail[256];
    unsigned quoted; /* bytes at the end of text that may be of a row: shown, never logged */
};

/* Sets the error unless one is set already. `err` may be NULL. sqlstate: PostgreSQL appendix A. */
void err_set(struct err *err, const char *sqlstate, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same of a text in which everything behind the first `plain` bytes may be of a row. */
void err_set_quoting(struct err *err, const char *sqlstate, size_t plain, const char *text);

/* Of text: how much of it may be logged, for "%.*s". */
int err_plain(const struct err *err);

/* Adds what to do about it; kept only when no hint stands yet. */
void err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same of what is behind it, for clients of the database: its ErrorResponse says it. */
void err_detail(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " before the text (where: file, line, field). */
void err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

bool err_is_set(const struct err *err);
void err_clear(struct err *err);

#endif
