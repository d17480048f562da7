/*
 * One line an event, to standard error: time, level, what it is about, text; or one JSON object.
 *
 * A thread says once who it is (log_thread) and what it is working on (log_scope); its lines then
 * carry that by themselves. Whatever a peer has named stays within its line and its field: control
 * characters are escaped, what is not UTF-8 is replaced. Never log SQL parameters, statements of
 * clients, values of rows, or secrets: of an error that a server has sent, log_err or err_plain.
 *
 * A standard error that is closed, broken or not read costs lines, nothing else: the next line that
 * is written says how many were lost.
 */
#ifndef SEGUE_BASE_LOG_H
#define SEGUE_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "segue/base/err.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_LEVEL_COUNT };
enum log_format { LOG_TEXT, LOG_JSON, LOG_FORMAT_COUNT };

/* Name to level ("error", "warning", "info", "debug"); RC_ERR when unknown. */
enum rc log_level_parse(const char *name, enum log_level *level) MUST_CHECK;
void log_level_set(enum log_level level); /* safe at any time, from any thread */
bool log_enabled(enum log_level level);   /* before work that only a line needs */

/* Name to format ("text", "json"); RC_ERR when unknown. */
enum rc log_format_parse(const char *name, enum log_format *format) MUST_CHECK;
void log_format_set(enum log_format format); /* safe at any time, from any thread */

/* Opens /dev/null in place of standard descriptors that are closed: a socket must never become
 * what lines are written to. First thing in main. */
void log_secure_descriptors(void);

/* Name of this thread, for good: "resolver", or a word and a number: "worker 3". Copied. */
void log_thread(const char *name);

/* The migration that this thread works on until the next call; NULL clears. Copied. */
void log_scope(const char *migration);

void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/* "what: text (SQLSTATE) HINT: hint", without what the text quotes of a row. */
void log_err(enum log_level level, const char *what, const struct err *err);

/* For whoever has started the process: one line to standard output, whatever the level, "segue: "
 * and the text, or the JSON object that a line of the log would be. */
void log_tell(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* A client's session as a line names it; NULL, "" and 0 are left out. */
struct log_about {
    uint64_t session;
    const char *user, *database, *peer;
};

/* About a session; `err` may be NULL, else its SQLSTATE and hint go with the line. */
void log_about(enum log_level level, const struct log_about *about, const struct err *err,
               const char *fmt, ...) PRINTF_LIKE(4, 5);

/* For what may happen a thousand times a second: one line each LOG_LIMIT_S of this limit, which
 * says how many there were since the last one. A limit is static, one a place in the code. */
#define LOG_LIMIT_S 10
struct log_limit {
    _Atomic int64_t next_us;
    atomic_uint dropped;
};
void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
