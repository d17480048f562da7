/* proxy/engine/window.c: times of the week, as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/window.h"

enum { MON = 1, FRI = 5, SAT, SUN };

static struct window parsed(const char *text)
{
    struct window window;
    struct err err = {0};

    assert_int_equal(window_parse(text, &window, &err), RC_OK);
    return window;
}

static int at(int hour, int minute)
{
    return hour * 60 + minute;
}

static void a_span_without_days_is_of_every_day(void **state)
{
    struct window w = parsed("08:00-17:30 UTC");

    (void)state;
    for (int day = MON; day <= SUN; day++) {
        assert_false(window_open(&w, day, at(7, 59)));
        assert_true(window_open(&w, day, at(8, 0)));
        assert_true(window_open(&w, day, at(17, 29)));
        assert_false(window_open(&w, day, at(17, 30)));
    }
    assert_string_equal(w.zone, "UTC");
}

static void a_span_over_midnight_ends_on_the_next_day(void **state)
{
    struct window w = parsed("Fri 20:00-06:00 Europe/Berlin");

    (void)state;
    assert_false(window_open(&w, FRI, at(5, 0)));
    assert_false(window_open(&w, FRI, at(19, 59)));
    assert_true(window_open(&w, FRI, at(20, 0)));
    assert_true(window_open(&w, FRI, at(23, 59)));
    assert_true(window_open(&w, SAT, at(0, 0)));
    assert_true(window_open(&w, SAT, at(5, 59)));
    assert_false(window_open(&w, SAT, at(6, 0)));
    assert_false(window_open(&w, SAT, at(21, 0)));
    assert_string_equal(w.zone, "Europe/Berlin");
}

static void the_night_of_sunday_ends_on_monday(void **state)
{
    struct window w = parsed("sun 22:00-04:00 Etc/GMT+3");

    (void)state;
    assert_true(window_open(&w, MON, at(3, 59)));
    assert_false(window_open(&w, MON, at(22, 0)));
    assert_false(window_open(&w, SUN, at(3, 0)));
}

static void spans_add_up_and_days_may_go_round_the_week(void **state)
{
    struct window w = parsed("Mon-Thu 22:00-24:00,  Sat-Mon 00:00-24:00  America/New_York");

    (void)state;
    assert_true(window_open(&w, MON, at(12, 0)));
    assert_false(window_open(&w, 2, at(12, 0)));
    assert_true(window_open(&w, 2, at(23, 59)));
    assert_false(window_open(&w, 3, 0));
    assert_false(window_open(&w, FRI, at(23, 0)));
    assert_true(window_open(&w, SAT, 0));
    assert_true(window_open(&w, SUN, at(23, 59)));
}

static void nonsense_is_refused_by_its_part(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "no span of time"},
        {"08:00-17:00", "a time zone is to follow"},
        {"08:00-17:00 ", "a time zone is to follow"},
        {"08:00-17:00 UTC; DROP", "a time zone is to follow"},
        {"08:00-17:00 a'b", "a time zone is to follow"},
        {"8:00-17:00 UTC", "no span of time"},
        {"08:00 UTC", "no span of time"},
        {"08:60-09:00 UTC", "no span of time"},
        {"08:00-24:01 UTC", "no span of time"},
        {"08:00-08:00 UTC", "the span is empty"},
        {"24:00-06:00 UTC", "the span is empty"},
        {"Someday 08:00-09:00 UTC", "no day of the week"},
        {"Mon-Xyz 08:00-09:00 UTC", "no day of the week"},
        {"Mon, 08:00-09:00 UTC", "no span of time"},
    };
    char many[1000] = "", *end = many;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct window window;
        struct err err = {0};

        assert_int_equal(window_parse(bad[i].text, &window, &err), RC_ERR);
        assert_string_equal(err.sqlstate, "22023");
        assert_non_null(strstr(err.text, bad[i].why));
        assert_non_null(strstr(err.hint, "Europe/Berlin"));
    }
    for (int i = 0; i <= WINDOW_SPANS_MAX; i++)
        end = stpcpy(end, i ? ",01:00-02:00" : "01:00-02:00");
    strcpy(end, " UTC");
    assert_int_equal(window_parse(many, &(struct window){0}, &(struct err){0}), RC_ERR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_without_days_is_of_every_day),
        cmocka_unit_test(a_span_over_midnight_ends_on_the_next_day),
        cmocka_unit_test(the_night_of_sunday_ends_on_monday),
        cmocka_unit_test(spans_add_up_and_days_may_go_round_the_week),
        cmocka_unit_test(nonsense_is_refused_by_its_part),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
