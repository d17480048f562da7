#include "segue/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "segue/base/clock.h"

static const char *const level_names[LOG_LEVEL_COUNT] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static atomic_int level_max = LOG_INFO;
static _Thread_local char scope[96];

enum rc log_level_parse(const char *name, enum log_level *level)
{
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return RC_OK;
        }
    }
    return RC_ERR;
}

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

void log_scope(const char *prefix)
{
    snprintf(scope, sizeof(scope), "%s", prefix ? prefix : "");
}

void log_at(enum log_level level, const char *fmt, ...)
{
    char when[32];
    char line[2048];
    va_list ap;

    if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    clock_wall(when, sizeof(when));
    fprintf(stderr, "%s %s %s%s%s\n", when, level_names[level], scope, scope[0] ? ": " : "", line);
}

void log_err(enum log_level level, const char *what, const struct err *err)
{
    log_at(level, "%s: %s (%s)%s%s", what, err->text, err->sqlstate, err->hint[0] ? " HINT: " : "",
           err->hint);
}
