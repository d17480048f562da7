/* proxy/engine/lag.c: how far behind in time, from positions alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/engine/lag.h"

#define S INT64_C(1000000)

static void who_has_all_is_not_behind(void **state)
{
    struct lag_history h = {0};

    (void)state;
    assert_true(lag_s(&h, 5 * S, 100) == 0);
    lag_note(&h, 1 * S, 100);
    assert_true(lag_s(&h, 9 * S, 100) == 0);
    assert_true(lag_s(&h, 9 * S, 101) == 0);
}

static void an_idle_primary_makes_nobody_late(void **state)
{
    struct lag_history h = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        lag_note(&h, i * S, 100);
    assert_true(lag_s(&h, 100 * S, 100) == 0);
    lag_note(&h, 100 * S, 200);
    assert_true(lag_s(&h, 102 * S, 100) == 2);
}

static void a_standby_that_hears_nothing_falls_behind(void **state)
{
    struct lag_history h = {0};

    (void)state;
    for (int i = 1; i <= 10; i++)
        lag_note(&h, i * S, 100 * i);
    /* it has what was there at 3 s: what came by 4 s is missing */
    assert_true(lag_s(&h, 10 * S, 300) == 6);
    assert_true(lag_s(&h, 60 * S, 300) == 56);
}

static void a_long_history_grows_thin_but_keeps_its_beginning(void **state)
{
    struct lag_history h = {0};

    (void)state;
    for (int i = 1; i <= 100000; i++)
        lag_note(&h, i * S, i);
    assert_int_equal(h.n, LAG_POINTS);
    assert_true(lag_s(&h, 100000 * S, 0) == 99999);
    /* a lag is never more than it is, and never less by more than a fifth of it */
    for (int behind = 3; behind < 100000; behind = behind * 3 / 2)
        assert_in_range((int64_t)lag_s(&h, 100000 * S, 100000 - behind), behind * 4 / 5 - 1,
                        behind);
    assert_true(lag_s(&h, 100000 * S, 100000) == 0);
}

static void what_a_former_primary_had_makes_nobody_late(void **state)
{
    struct lag_history h = {0};

    (void)state;
    lag_note(&h, 1 * S, 100);
    lag_note(&h, 2 * S, 200);
    lag_anew(&h, 200); /* the same one, or one that has all of it */
    lag_note(&h, 3 * S, 300);
    assert_true(lag_s(&h, 4 * S, 100) == 2);
    lag_anew(&h, 150); /* a standby of it that had less */
    lag_note(&h, 5 * S, 150);
    assert_true(lag_s(&h, 60 * S, 150) == 0);
    lag_note(&h, 61 * S, 160);
    assert_true(lag_s(&h, 62 * S, 150) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_all_is_not_behind),
        cmocka_unit_test(an_idle_primary_makes_nobody_late),
        cmocka_unit_test(a_standby_that_hears_nothing_falls_behind),
        cmocka_unit_test(a_long_history_grows_thin_but_keeps_its_beginning),
        cmocka_unit_test(what_a_former_primary_had_makes_nobody_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
