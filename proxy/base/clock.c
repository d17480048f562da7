#include "segue/base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t clock_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}

void clock_sleep_ms(int64_t ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    if (ms <= 0)
        return;
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
        ;
}

static void write_wall(int64_t wall_ms, char *out, size_t size)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t n;

    gmtime_r(&seconds, &tm);
    n = strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm);
    snprintf(out + n, size - n, ".%03d", (int)(wall_ms % 1000));
}

static int64_t wall_ms_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void clock_wall(char *out, size_t size)
{
    write_wall(wall_ms_now(), out, size);
}

void clock_wall_at(int64_t at_ms, char *out, size_t size)
{
    write_wall(wall_ms_now() - (clock_ms() - at_ms), out, size);
}

enum rc clock_duration_parse(const char *text, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}};
    const int64_t most_ms = INT64_C(30) * 24 * 3600000;
    char *end;
    long n;

    if (!isdigit((unsigned char)text[0]) || strspn(text, "0123456789") > 10)
        return RC_ERR;
    n = strtol(text, &end, 10);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(units[i].unit, end) == 0 && n <= most_ms / units[i].ms) {
            *ms = n * units[i].ms;
            return RC_OK;
        }
    }
    return RC_ERR;
}
