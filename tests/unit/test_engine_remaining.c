/* proxy/engine/remaining.c: how long a fill will take, and when nobody can say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/engine/remaining.h"

#define ROWS 100000.0
#define LOOK_US 100000 /* the status is put far more often than a sample is kept */

struct road {
    struct remaining r;
    int64_t now_us;
    double rows;
};

/* Batches of so many rows, every so many looks, for so long. */
static void fill(struct road *road, double rows, int every, double seconds)
{
    for (int look = 1; look <= (int)(seconds * 10); look++) {
        if (look % every == 0)
            road->rows += rows;
        road->now_us += LOOK_US;
        remaining_note(&road->r, road->now_us, road->rows / ROWS, (int64_t)road->rows);
    }
}

static void assert_about(double value, double wanted)
{
    assert_true(value > 0.8 * wanted && value < 1.25 * wanted);
}

static void the_first_moments_tell_nothing(void **state)
{
    struct road road = {0};

    (void)state;
    assert_true(remaining_s(&road.r) < 0 && remaining_rows_per_s(&road.r) == 0);
    fill(&road, 100, 1, 3);
    assert_true(remaining_s(&road.r) < 0);
    assert_about(remaining_rows_per_s(&road.r), 1000);
    fill(&road, 100, 1, 1);
    assert_about(remaining_s(&road.r), 96);
}

static void batches_with_pauses_are_one_pace(void **state)
{
    struct road road = {0};

    (void)state;
    fill(&road, 1000, 10, 12);
    for (int i = 0; i < 50; i++) {
        fill(&road, 1000, 10, 1);
        assert_about(remaining_s(&road.r), (ROWS - road.rows) / 1000);
        assert_about(remaining_rows_per_s(&road.r), 1000);
    }
}

static void a_slow_beginning_is_not_the_pace_of_the_rest(void **state)
{
    struct road road = {0};
    bool known = false;

    (void)state;
    fill(&road, 10, 1, 12);
    assert_about(remaining_s(&road.r), (ROWS - road.rows) / 100);
    for (int i = 0; i < 20; i++) { /* twenty times as fast: unknown at first, then right */
        double left;

        fill(&road, 200, 1, 0.5);
        left = remaining_s(&road.r);
        if (left >= 0 && i > 0)
            assert_about(left, (ROWS - road.rows) / 2000);
        known = left >= 0 && i > 0;
        if (i >= 1 && i < 4)
            assert_false(known);
    }
    assert_true(known);
}

static void while_it_is_held_nothing_is_known(void **state)
{
    struct road road = {0};

    (void)state;
    fill(&road, 100, 1, 12);
    assert_true(remaining_s(&road.r) > 0);
    fill(&road, 0, 1, 6);
    assert_true(remaining_s(&road.r) < 0 && remaining_rows_per_s(&road.r) == 0);
    remaining_reset(&road.r);
    fill(&road, 100, 1, 2);
    assert_true(remaining_s(&road.r) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_moments_tell_nothing),
        cmocka_unit_test(batches_with_pauses_are_one_pace),
        cmocka_unit_test(a_slow_beginning_is_not_the_pace_of_the_rest),
        cmocka_unit_test(while_it_is_held_nothing_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
