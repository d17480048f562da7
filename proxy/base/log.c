#include "segue/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log_line.h"
#include "segue/base/clock.h"

#define TEXT_BYTES 2048

static const char *const level_names[LOG_LEVEL_COUNT] = {
    [LOG_ERROR] = "error",
    [LOG_WARNING] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static const struct {
    const char *name;
    size_t (*line)(char *out, const struct log_event *event);
} formats[LOG_FORMAT_COUNT] = {
    [LOG_TEXT] = {"text", log_line_text},
    [LOG_JSON] = {"json", log_line_json},
};

static atomic_int level_max = LOG_INFO;
static atomic_int format_now = LOG_TEXT;
static _Thread_local char thread[32], migration[96];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of standard error and these */
static unsigned lost;
static bool
    half; /* a line was cut, by a full disk perhaps: the next one begins behind a line end */

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

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

void log_level_set(enum log_level level)
{
    atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

enum rc log_format_parse(const char *name, enum log_format *format)
{
    for (int i = 0; i < LOG_FORMAT_COUNT; i++) {
        if (strcmp(name, formats[i].name) == 0) {
            *format = (enum log_format)i;
            return RC_OK;
        }
    }
    return RC_ERR;
}

void log_format_set(enum log_format format)
{
    atomic_store_explicit(&format_now, (int)format, memory_order_relaxed);
}

void log_secure_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR); /* takes the lowest number that is free */
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

void log_thread(const char *name)
{
    snprintf(thread, sizeof(thread), "%s", name);
}

void log_scope(const char *name)
{
    snprintf(migration, sizeof(migration), "%s", name ? name : "");
}

/* ---- writing ---- */

/* A pipe that nobody reads must not hold a worker: a line that does not fit now is lost. */
static bool write_line(const char *line, size_t len)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t n;

    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
        return false;
    if (half && write(STDERR_FILENO, "\n", 1) != 1)
        return false;
    half = false;
    do
        n = write(STDERR_FILENO, line, len);
    while (n < 0 && errno == EINTR);
    half = n > 0 && (size_t)n < len;
    return n >= 0 && (size_t)n == len;
}

static size_t format_line(char *line, struct log_event *event)
{
    char when[32];

    clock_wall(when, sizeof(when));
    event->when = when;
    event->thread = thread;
    event->migration = migration;
    return formats[atomic_load_explicit(&format_now, memory_order_relaxed)].line(line, event);
}

static void say_what_was_lost(void)
{
    char line[LOG_LINE_MAX], text[64];
    struct log_event event = {.level = LOG_WARNING, .text = text};

    snprintf(text, sizeof(text), "%u log lines could not be written", lost);
    if (write_line(line, format_line(line, &event)))
        lost = 0;
}

static void emit(struct log_event *event)
{
    char line[LOG_LINE_MAX];
    size_t len = format_line(line, event);

    pthread_mutex_lock(&lock);
    if (lost)
        say_what_was_lost();
    if (!write_line(line, len))
        lost++;
    pthread_mutex_unlock(&lock);
}

void log_at(enum log_level level, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    struct log_event event = {.level = level, .text = text};
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    emit(&event);
}

void log_tell(const char *fmt, ...)
{
    char text[TEXT_BYTES], line[LOG_LINE_MAX];
    struct log_event event = {.level = LOG_INFO, .text = text};
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (atomic_load(&format_now) == LOG_JSON)
        fwrite(line, 1, format_line(line, &event), stdout);
    else
        printf("segue: %s\n", text);
    fflush(stdout);
}

void log_err(enum log_level level, const char *what, const struct err *err)
{
    char text[TEXT_BYTES];
    struct log_event event = {
        .level = level, .text = text, .sqlstate = err->sqlstate, .hint = err->hint};

    if (!log_enabled(level))
        return;
    snprintf(text, sizeof(text), "%s%s%.*s", what, err_plain(err) ? ": " : "", err_plain(err),
             err->text);
    emit(&event);
}

void log_about(enum log_level level, const struct log_about *about, const struct err *err,
               const char *fmt, ...)
{
    char text[TEXT_BYTES];
    struct log_event event = {.level = level,
                              .about = *about,
                              .text = text,
                              .sqlstate = err ? err->sqlstate : NULL,
                              .hint = err ? err->hint : NULL};
    va_list ap;

    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    emit(&event);
}

void log_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
    int64_t now = clock_us();
    int64_t next = atomic_load_explicit(&limit->next_us, memory_order_relaxed);
    char text[TEXT_BYTES];
    struct log_event event = {.level = level, .text = text};
    unsigned dropped;
    va_list ap;

    if (!log_enabled(level))
        return;
    if (now < next ||
        !atomic_compare_exchange_strong(&limit->next_us, &next, now + LOG_LIMIT_S * 1000000)) {
        atomic_fetch_add_explicit(&limit->dropped, 1, memory_order_relaxed);
        return;
    }
    dropped = atomic_exchange_explicit(&limit->dropped, 0, memory_order_relaxed);
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (dropped) {
        size_t len = strlen(text);

        snprintf(text + len, sizeof(text) - len, " (and %u times before)", dropped);
    }
    emit(&event);
}
