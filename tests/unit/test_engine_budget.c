/* proxy/engine/budget.c: who may begin a batch, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/engine/budget.h"

#define N 3

static void no_more_batches_than_connections(void **state)
{
    const struct budget_share all[N] = {{2, 10, true}, {1, 20, false}, {0, 0, false}};

    (void)state;
    assert_false(budget_may_start(all, N, 0, 3));
    assert_true(budget_may_start(all, N, 0, 4));
}

static void who_has_fewer_under_way_is_first(void **state)
{
    const struct budget_share all[N] = {{1, 10, true}, {0, 20, true}, {0, 0, false}};

    (void)state;
    assert_false(budget_may_start(all, N, 0, 4));
    assert_true(budget_may_start(all, N, 1, 4));
}

static void of_equals_who_began_longest_ago_is_first(void **state)
{
    const struct budget_share all[N] = {{0, 30, true}, {0, 20, true}, {0, 0, false}};

    (void)state;
    assert_false(budget_may_start(all, N, 0, 1));
    assert_true(budget_may_start(all, N, 1, 1));
}

static void who_wants_nothing_holds_nobody_up(void **state)
{
    const struct budget_share all[N] = {{3, 30, true}, {0, 20, false}, {0, 0, false}};

    (void)state;
    assert_true(budget_may_start(all, N, 0, 4));
}

static void one_of_those_who_want_may_always_start(void **state)
{
    const struct budget_share all[N] = {{0, 0, true}, {0, 0, true}, {0, 0, true}};
    int may = 0;

    (void)state;
    for (size_t i = 0; i < N; i++)
        may += budget_may_start(all, N, i, 1);
    assert_true(may > 0);
}

static void with_one_connection_everybody_gets_the_same(void **state)
{
    struct budget_share all[N] = {{0, 0, true}, {0, 0, true}, {0, 0, true}};
    int got[N] = {0};

    (void)state;
    for (int64_t now = 1; now <= 30; now++) {
        for (size_t i = 0; i < N; i++) {
            if (!budget_may_start(all, N, i, 1))
                continue;
            all[i].started_us = now;
            got[i]++;
            break; /* and it ends before the next one looks */
        }
    }
    for (size_t i = 0; i < N; i++)
        assert_int_equal(got[i], 10);
}

static void a_debt_of_rows_adds_up_and_is_not_saved(void **state)
{
    (void)state;
    /* 100 rows at 100 a second: a second, from where the last debt ends */
    assert_int_equal(budget_pace_us(0, 5000000, 100, 100), 6000000);
    assert_int_equal(budget_pace_us(6000000, 5500000, 100, 100), 7000000);
    /* time in which nothing was done is not made up for by a burst */
    assert_int_equal(budget_pace_us(6000000, 90000000, 100, 100), 91000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_batches_than_connections),
        cmocka_unit_test(who_has_fewer_under_way_is_first),
        cmocka_unit_test(of_equals_who_began_longest_ago_is_first),
        cmocka_unit_test(who_wants_nothing_holds_nobody_up),
        cmocka_unit_test(one_of_those_who_want_may_always_start),
        cmocka_unit_test(with_one_connection_everybody_gets_the_same),
        cmocka_unit_test(a_debt_of_rows_adds_up_and_is_not_saved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
