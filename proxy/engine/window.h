/*
 * Times of the week in which something may go on, as people write them:
 *
 *   "Mon-Fri 20:00-06:00, Sat 00:00-24:00 Europe/Berlin"    no days: every day
 *
 * A span that ends before it begins goes on into the next day. Pure: what day and minute it is in
 * that zone is the caller's to know.
 */
#ifndef SEGUE_ENGINE_WINDOW_H
#define SEGUE_ENGINE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "segue/base/err.h"

#define WINDOW_SPANS_MAX 16

struct window {
    struct window_span {
        unsigned days; /* bit 0: Monday */
        int from, to;  /* minutes of the day, 0 to 1440 */
    } spans[WINDOW_SPANS_MAX];
    size_t n;
    char zone[64]; /* a name of letters, digits, "_+-/" */
};

/* 22023: which part, what is allowed. */
enum rc window_parse(const char *text, struct window *out, struct err *err) MUST_CHECK;

/* isodow: 1 Monday to 7 Sunday; minute of the day. */
bool window_open(const struct window *window, int isodow, int minute);

#endif
