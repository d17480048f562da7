#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/hist.h"

static void an_empty_histogram_has_quantile_zero(void **state)
{
    struct hist_copy copy = {0};

    (void)state;
    assert_int_equal(hist_quantile_us(&copy, 0.99), 0);
    assert_int_equal(hist_total(&copy), 0);
}

static void quantiles_are_within_a_sixteenth(void **state)
{
    static const int64_t values[] = {0, 1, 15, 16, 17, 100, 999, 12345, 1000000, 59000000};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct hist *hist = calloc(1, sizeof(*hist));
        struct hist_copy copy = {0};
        int64_t got;

        hist_add(hist, values[i]);
        hist_read(hist, &copy);
        got = hist_quantile_us(&copy, 1.0);
        assert_true(got >= values[i]);
        assert_true(got <= values[i] + values[i] / 16 + 1);
        free(hist);
    }
}

static void values_out_of_range_go_to_the_ends(void **state)
{
    struct hist *hist = calloc(1, sizeof(*hist));
    struct hist_copy copy = {0};

    (void)state;
    hist_add(hist, -5);
    hist_add(hist, INT64_MAX);
    hist_read(hist, &copy);
    assert_int_equal(copy.count[0], 1);
    assert_int_equal(copy.count[HIST_BUCKETS - 1], 1);
    free(hist);
}

static void a_window_holds_only_what_came_in_between(void **state)
{
    struct hist *hist = calloc(1, sizeof(*hist));
    struct hist_copy before = {0}, after = {0}, window = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        hist_add(hist, 10);
    hist_read(hist, &before);
    for (int i = 0; i < 50; i++)
        hist_add(hist, 5000);
    hist_read(hist, &after);
    hist_diff(&after, &before, &window);
    assert_int_equal(hist_total(&window), 50);
    assert_true(hist_quantile_us(&window, 0.5) >= 5000);
    assert_true(hist_quantile_us(&after, 0.5) == 10);
    free(hist);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_has_quantile_zero),
        cmocka_unit_test(quantiles_are_within_a_sixteenth),
        cmocka_unit_test(values_out_of_range_go_to_the_ends),
        cmocka_unit_test(a_window_holds_only_what_came_in_between),
    };

    return cmocka_run_group_tests_name("base/hist", tests, NULL, NULL);
}
