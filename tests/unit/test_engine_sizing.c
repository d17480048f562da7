/* proxy/engine/sizing.c: what batches took in, size of the next one out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/engine/sizing.h"

static void note_all(struct sizing *s, int n, double ms_a_block)
{
    for (int i = 0; i < n; i++) {
        uint32_t blocks = sizing_next(s, 0);

        sizing_note(s, blocks, blocks * ms_a_block, 0, 0);
    }
}

static void first_batch_is_small(void **state)
{
    struct sizing s;

    (void)state;
    sizing_init(&s, 100, 0);
    assert_int_equal(sizing_next(&s, 0), SIZING_START_BLOCKS);
}

static void a_fast_batch_grows_the_next_by_half_at_most(void **state)
{
    struct sizing s;

    (void)state;
    sizing_init(&s, 100, 0);
    sizing_note(&s, SIZING_START_BLOCKS, 0.001, 0, 0);
    assert_int_equal(sizing_next(&s, 0), SIZING_START_BLOCKS * 3 / 2);
}

static void batches_settle_at_the_target_time(void **state)
{
    struct sizing s;

    (void)state;
    sizing_init(&s, 100, 0);
    note_all(&s, 30, 0.05);
    assert_in_range(sizing_next(&s, 0), 1990, 2010);
}

static void a_batch_over_five_targets_shrinks_tenfold_at_once(void **state)
{
    struct sizing s;
    uint32_t before;

    (void)state;
    sizing_init(&s, 100, 0);
    note_all(&s, 30, 0.05);
    before = sizing_next(&s, 0);
    sizing_note(&s, before, 501, 0, 0);
    assert_int_equal(sizing_next(&s, 0), before / 10);
}

static void a_batch_just_under_five_targets_does_not(void **state)
{
    struct sizing s;
    uint32_t before;

    (void)state;
    sizing_init(&s, 100, 0);
    note_all(&s, 30, 0.05);
    before = sizing_next(&s, 0);
    sizing_note(&s, before, 499, 0, 0);
    assert_true(sizing_next(&s, 0) > before / 10);
}

static void one_slow_batch_of_ten_is_within_the_p90(void **state)
{
    struct sizing s;
    uint32_t before;

    (void)state;
    sizing_init(&s, 100, 0);
    note_all(&s, 30, 0.05);
    before = sizing_next(&s, 0);
    sizing_note(&s, before, 300, 0, 0);
    assert_in_range(sizing_next(&s, 0), before - 10, before + 10);
    sizing_note(&s, before, 300, 0, 0);
    assert_true(sizing_next(&s, 0) < before / 2);
}

static void wal_a_batch_is_capped(void **state)
{
    struct sizing s;

    (void)state;
    sizing_init(&s, 100, 1000 * 8192.0);
    for (int i = 0; i < 30; i++) {
        uint32_t blocks = sizing_next(&s, 0);

        sizing_note(&s, blocks, blocks * 0.001, blocks * 2.0 * 8192, 0);
    }
    assert_int_equal(sizing_next(&s, 0), 500);
}

static void rows_a_batch_are_capped_when_a_rate_is_set(void **state)
{
    struct sizing s;

    (void)state;
    sizing_init(&s, 100, 0);
    assert_int_equal(sizing_next(&s, 100), 1); /* density not known yet */
    for (int i = 0; i < 20; i++)
        sizing_note(&s, sizing_next(&s, 0), 1, 0, 50.0 * sizing_next(&s, 0));
    assert_in_range(sizing_next(&s, 1000), 1, 30);
    assert_true(sizing_next(&s, 0) > 1000);
}

static void blocks_without_rows_do_not_keep_a_capped_batch_small(void **state)
{
    struct sizing s;

    (void)state;
    sizing_init(&s, 100, 0);
    for (int i = 0; i < 20; i++)
        sizing_note(&s, sizing_next(&s, 100), 1, 0, 0);
    assert_true(sizing_next(&s, 100) > 1000);
}

static void a_batch_is_never_empty_nor_without_bound(void **state)
{
    struct sizing s;

    (void)state;
    sizing_init(&s, 100, 1);
    for (int i = 0; i < 30; i++)
        sizing_note(&s, sizing_next(&s, 0), 1e6, 1e12, 1e9);
    assert_int_equal(sizing_next(&s, 0.001), 1);
    sizing_init(&s, 100, 0);
    note_all(&s, 200, 0);
    assert_int_equal(sizing_next(&s, 0), SIZING_MAX_BLOCKS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_batch_is_small),
        cmocka_unit_test(a_fast_batch_grows_the_next_by_half_at_most),
        cmocka_unit_test(batches_settle_at_the_target_time),
        cmocka_unit_test(a_batch_over_five_targets_shrinks_tenfold_at_once),
        cmocka_unit_test(a_batch_just_under_five_targets_does_not),
        cmocka_unit_test(one_slow_batch_of_ten_is_within_the_p90),
        cmocka_unit_test(wal_a_batch_is_capped),
        cmocka_unit_test(rows_a_batch_are_capped_when_a_rate_is_set),
        cmocka_unit_test(blocks_without_rows_do_not_keep_a_capped_batch_small),
        cmocka_unit_test(a_batch_is_never_empty_nor_without_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
