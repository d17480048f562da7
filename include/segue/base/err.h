/*
 * One caller-owned error value. The first error set wins; later ones are dropped, so that the
 * cause is what the operator reads and not its echo.
 *
 *   struct err err = {0};
 *   err_set(&err, "55P03", "table \"%s\" is locked", name);
 *   err_hint(&err, "try again, or see SHOW STATUS");
 *
 * What is kept is UTF-8, however it was cut: it is stored and shown.
 * Not here: logging. Lower layers return errors, the top logs them once.
 */
#ifndef SEGUE_BASE_ERR_H
#define SEGUE_BASE_ERR_H

#include <stdbool.h>

#include "segue/base/rc.h"

struct err {
    char sqlstate[6]; /* five characters and NUL; empty means "no error" */
    char text[1024];
    char hint[512];
    char detail[256];
};

/* Sets the error unless one is set already. `err` may be NULL. sqlstate: PostgreSQL appendix A. */
void err_set(struct err *err, const char *sqlstate, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Adds what to do about it; kept only when no hint stands yet. */
void err_hint(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same of what is behind it, for clients of the database: its ErrorResponse says it. */
void err_detail(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Puts "prefix: " before the text (where: file, line, field). */
void err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

bool err_is_set(const struct err *err);
void err_clear(struct err *err);

#endif
