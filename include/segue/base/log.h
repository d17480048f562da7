/*
 * One line an event, to standard error: time, level, the thread's prefix, text.
 *
 * A thread sets its prefix once for what it is working on (log_scope); lines then carry the
 * session or the migration by themselves. Never log SQL parameters or secrets.
 */
#ifndef SEGUE_BASE_LOG_H
#define SEGUE_BASE_LOG_H

#include "segue/base/err.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_LEVEL_COUNT };

/* Name to level ("error", "warning", "info", "debug"); RC_ERR when unknown. */
enum rc log_level_parse(const char *name, enum log_level *level) MUST_CHECK;
void log_level_set(enum log_level level); /* safe at any time, from any thread */

/* Prefix of this thread's lines until the next call; NULL clears. Copied. */
void log_scope(const char *prefix);

void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* "what: text (SQLSTATE) HINT: hint" */
void log_err(enum log_level level, const char *what, const struct err *err);

#endif
