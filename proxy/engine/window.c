#include "window.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY 1440
#define EVERY_DAY 0x7fu

static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static enum rc refuse(const char *part, const char *why, struct err *err)
{
    err_set(err, "22023", "\"%.60s\": %s", part, why);
    err_hint(err, "like Mon-Fri 20:00-06:00, Sat 00:00-24:00 Europe/Berlin");
    return RC_ERR;
}

/* "Mon": its number, or -1; moves *at behind it. */
static int take_day(const char **at)
{
    for (int i = 0; i < (int)ARRAY_LEN(days); i++) {
        if (strncasecmp(*at, days[i], 3) == 0 && !isalpha((unsigned char)(*at)[3])) {
            *at += 3;
            return i;
        }
    }
    return -1;
}

/* "20:00", or -1. */
static int take_time(const char **at)
{
    int hour, minute, used = 0;

    if (sscanf(*at, "%2d:%2d%n", &hour, &minute, &used) != 2 || used != 5 || hour < 0 ||
        minute < 0 || minute > 59 || hour * 60 + minute > DAY)
        return -1;
    *at += used;
    return hour * 60 + minute;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " ");
}

/* "Mon-Fri 20:00-06:00" or "20:00-06:00"; moves *at behind it. */
static enum rc take_span(const char **at, struct window_span *span, struct err *err)
{
    const char *part = *at;
    int from, to;

    span->days = EVERY_DAY;
    if (isalpha((unsigned char)**at)) {
        from = to = take_day(at);
        if (from >= 0 && **at == '-') {
            (*at)++;
            to = take_day(at);
        }
        if (from < 0 || to < 0)
            return refuse(part, "no day of the week", err);
        span->days = 0;
        for (int d = from;; d = (d + 1) % 7) {
            span->days |= 1u << d;
            if (d == to)
                break;
        }
        *at = skip_blanks(*at);
    }
    from = take_time(at);
    to = -1;
    if (from >= 0 && **at == '-') {
        (*at)++;
        to = take_time(at);
    }
    if (from < 0 || to < 0)
        return refuse(part, "no span of time", err);
    if (from == to || from == DAY)
        return refuse(part, "the span is empty", err);
    span->from = from;
    span->to = to;
    return RC_OK;
}

enum rc window_parse(const char *text, struct window *out, struct err *err)
{
    const char *at = skip_blanks(text);
    size_t len;

    *out = (struct window){0};
    for (;;) {
        if (out->n == WINDOW_SPANS_MAX)
            return refuse(at, "too many spans", err);
        if (take_span(&at, &out->spans[out->n++], err) != RC_OK)
            return RC_ERR;
        at = skip_blanks(at);
        if (*at != ',')
            break;
        at = skip_blanks(at + 1);
    }
    len = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/");
    if (len == 0 || len >= sizeof(out->zone) || *skip_blanks(at + len))
        return refuse(at, "a time zone is to follow", err);
    snprintf(out->zone, sizeof(out->zone), "%.*s", (int)len, at);
    return RC_OK;
}

bool window_open(const struct window *window, int isodow, int minute)
{
    unsigned today = 1u << (isodow - 1), yesterday = 1u << ((isodow + 5) % 7);

    for (size_t i = 0; i < window->n; i++) {
        const struct window_span *span = &window->spans[i];
        bool over_midnight = span->to < span->from;

        if ((span->days & today) && minute >= span->from && (over_midnight || minute < span->to))
            return true;
        if ((span->days & yesterday) && over_midnight && minute < span->to)
            return true;
    }
    return false;
}
