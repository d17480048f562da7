/* Time: monotonic for durations, wall clock only for people. Not here: timers (net/loop.h). */
#ifndef SEGUE_BASE_CLOCK_H
#define SEGUE_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "segue/base/rc.h"

int64_t clock_us(void); /* monotonic microseconds */
int64_t clock_ms(void); /* monotonic milliseconds */
void clock_sleep_ms(int64_t ms);

/* "2026-01-31 23:59:59.123" in UTC, into out (24 bytes at least). */
void clock_wall(char *out, size_t size);
/* The same of the moment at which clock_ms() is, was or will be `at_ms`. */
void clock_wall_at(int64_t at_ms, char *out, size_t size);

/* "500ms", "5s", "2min", "1h": a whole number and its unit, 30 days at most. */
enum rc clock_duration_parse(const char *text, int64_t *ms) MUST_CHECK;

#endif
