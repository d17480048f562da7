#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "segue/base/clock.h"

/* Milliseconds since 1970 of what clock_wall has written. */
static int64_t parsed(const char *text)
{
    struct tm tm = {0};
    int ms = 0;

    assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d.%3d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                            &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms),
                     7);
    assert_int_equal(strlen(text), strlen("2026-01-31 23:59:59.123"));
    tm.tm_year -= 1900;
    tm.tm_mon--;
    return (int64_t)timegm(&tm) * 1000 + ms;
}

static void a_moment_of_the_monotonic_clock_has_its_time_of_day(void **state)
{
    static const int64_t ago_ms[] = {0, 1, 999, 1000, 86400000, INT64_C(400) * 86400000, -60000};
    char now[32], then[32];

    (void)state;
    for (size_t i = 0; i < sizeof(ago_ms) / sizeof(*ago_ms); i++) {
        int64_t off;

        clock_wall(now, sizeof(now));
        clock_wall_at(clock_ms() - ago_ms[i], then, sizeof(then));
        off = parsed(now) - parsed(then) - ago_ms[i];
        assert_in_range(off + 1000, 0, 1002); /* `then` was asked for a little later */
    }
}

static void durations_are_whole_numbers_with_a_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0s", 0},        {"500ms", 500},  {"5s", 5000},
                {"2min", 120000}, {"1h", 3600000}, {"720h", INT64_C(2592000000)}};
    static const char *const bad[] = {"",   "5",    "s",    "-5s",  "5 s",
                                      "5m", "1.5s", "721h", "5sec", "99999999999ms"};
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        ms = -1;
        assert_int_equal(clock_duration_parse(good[i].text, &ms), RC_OK);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(clock_duration_parse(bad[i], &ms), RC_ERR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moment_of_the_monotonic_clock_has_its_time_of_day),
        cmocka_unit_test(durations_are_whole_numbers_with_a_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
