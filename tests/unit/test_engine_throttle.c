/* proxy/engine/throttle.c: verdicts, limits and pauses, without a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/throttle.h"

static enum throttle_verdict judge(size_t signal, double limit, struct throttle_reading reading,
                                   char *reason, size_t size)
{
    return throttle_judge(throttle_signal(signal), limit, &reading, reason, size);
}

static void a_reading_that_fails_holds_and_says_why(void **state)
{
    char reason[200];

    (void)state;
    assert_int_equal(
        judge(THROTTLE_LAG_S, 10,
              (struct throttle_reading){.known = false, .detail = "standby a vanished"}, reason,
              sizeof(reason)),
        THROTTLE_HOLD);
    assert_string_equal(reason, "replica_lag_s: unknown (standby a vanished)");
}

static void a_reading_over_its_limit_holds(void **state)
{
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_LAG_S, 10,
                           (struct throttle_reading){.known = true, .judged = true, .value = 10.5},
                           reason, sizeof(reason)),
                     THROTTLE_HOLD);
    assert_string_equal(reason, "replica_lag_s: 10.5 s, limit 10");
}

static void a_reading_near_its_limit_slows(void **state)
{
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_LAG_S, 10,
                           (struct throttle_reading){.known = true, .judged = true, .value = 6},
                           reason, sizeof(reason)),
                     THROTTLE_SLOW);
    assert_true(reason[0] != '\0');
}

static void a_reading_well_below_goes_without_a_reason(void **state)
{
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_LAG_S, 10,
                           (struct throttle_reading){.known = true, .judged = true, .value = 1},
                           reason, sizeof(reason)),
                     THROTTLE_GO);
    assert_string_equal(reason, "");
}

static void a_ratio_counts_only_above_the_floor(void **state)
{
    struct throttle_reading reading = {
        .known = true, .judged = true, .value = 9, .floor = 20, .measured = 19};
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_P99, 3, reading, reason, sizeof(reason)), THROTTLE_GO);
    reading.measured = 21;
    assert_int_equal(judge(THROTTLE_P99, 3, reading, reason, sizeof(reason)), THROTTLE_HOLD);
}

static void too_few_samples_are_no_verdict(void **state)
{
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_P99, 3,
                           (struct throttle_reading){.known = true, .judged = false, .value = 99},
                           reason, sizeof(reason)),
                     THROTTLE_GO);
}

static void limits_are_numbers_or_words(void **state)
{
    struct throttle t;
    struct err err = {0};

    (void)state;
    throttle_init(&t);
    assert_false(t.signals[THROTTLE_ROWS].enabled);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "2500", &err), RC_OK);
    assert_true(t.signals[THROTTLE_ROWS].enabled);
    assert_true(t.signals[THROTTLE_ROWS].limit == 2500);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "off", &err), RC_OK);
    assert_false(t.signals[THROTTLE_ROWS].enabled);
    assert_true(t.signals[THROTTLE_ROWS].limit == 2500);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "on", &err), RC_OK);
    assert_true(t.signals[THROTTLE_ROWS].enabled);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "default", &err), RC_OK);
    assert_false(t.signals[THROTTLE_ROWS].enabled);
    assert_true(t.signals[THROTTLE_ROWS].limit == throttle_signal(THROTTLE_ROWS)->limit_default);
}

static void nonsense_is_no_limit(void **state)
{
    static const char *const bad[] = {"", "fast", "-1", "nan", "inf", "10 rows", "1e400"};
    struct throttle t;

    (void)state;
    throttle_init(&t);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};

        assert_int_equal(throttle_set(&t, THROTTLE_NICE, bad[i], &err), RC_ERR);
        assert_string_equal(err.sqlstate, "22023");
    }
}

static void pause_has_no_limit(void **state)
{
    struct throttle t;
    struct err err = {0};

    (void)state;
    throttle_init(&t);
    assert_int_equal(throttle_set(&t, THROTTLE_PAUSE, "off", &err), RC_ERR);
    assert_true(t.signals[THROTTLE_PAUSE].enabled);
}

static void a_rate_stretches_batches_to_its_time(void **state)
{
    struct throttle t;
    struct err err = {0};

    (void)state;
    throttle_init(&t);
    throttle_filled(&t, 1000, 1000);
    assert_int_equal(throttle_paced_us(&t), 0);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "1000", &err), RC_OK);
    throttle_filled(&t, 1000000, 200);
    assert_int_equal(throttle_paced_us(&t), 1200000);
    throttle_filled(&t, 1100000, 50); /* of another worker: the rate is that of all together */
    assert_int_equal(throttle_paced_us(&t), 1250000);
    assert_true(throttle_rows_max(&t) == 200);
    assert_int_equal(throttle_set(&t, THROTTLE_WORKERS, "4", &err), RC_OK);
    assert_true(throttle_rows_max(&t) == 50);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "off", &err), RC_OK);
    assert_int_equal(throttle_paced_us(&t), 0);
}

static void the_longest_pause_wins(void **state)
{
    struct throttle t;
    struct err err = {0};

    (void)state;
    throttle_init(&t);
    assert_int_equal(throttle_pause_ms(&t, THROTTLE_GO, 50), 0);
    assert_int_equal(throttle_pause_ms(&t, THROTTLE_SLOW, 50), 50);
    assert_int_equal(throttle_set(&t, THROTTLE_NICE, "2", &err), RC_OK);
    assert_int_equal(throttle_pause_ms(&t, THROTTLE_GO, 50), 100);
    assert_int_equal(throttle_pause_ms(&t, THROTTLE_SLOW, 50), 100);
    assert_int_equal(throttle_set(&t, THROTTLE_NICE, "off", &err), RC_OK);
    assert_int_equal(throttle_pause_ms(&t, THROTTLE_GO, 50), 0);
}

static void workers_are_a_number_within_limits(void **state)
{
    static const char *const bad[] = {"0", "17", "off", "on", "0.5", "many"};
    struct throttle t;
    struct err err = {0};

    (void)state;
    throttle_init(&t);
    assert_int_equal(throttle_workers(&t), 1);
    assert_int_equal(throttle_set(&t, THROTTLE_WORKERS, "16", &err), RC_OK);
    assert_int_equal(throttle_workers(&t), 16);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err_clear(&err);
        assert_int_equal(throttle_set(&t, THROTTLE_WORKERS, bad[i], &err), RC_ERR);
        assert_non_null(strstr(err.hint, "from 1 to 16"));
    }
    assert_int_equal(throttle_workers(&t), 16);
    assert_int_equal(throttle_set(&t, THROTTLE_WORKERS, "default", &err), RC_OK);
    assert_int_equal(throttle_workers(&t), 1);
}

static void signals_are_found_by_name(void **state)
{
    (void)state;
    for (int i = 0; i < THROTTLE_COUNT; i++)
        assert_int_equal(throttle_find(throttle_signal((size_t)i)->name), i);
    assert_int_equal(throttle_find("load"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reading_that_fails_holds_and_says_why),
        cmocka_unit_test(a_reading_over_its_limit_holds),
        cmocka_unit_test(a_reading_near_its_limit_slows),
        cmocka_unit_test(a_reading_well_below_goes_without_a_reason),
        cmocka_unit_test(a_ratio_counts_only_above_the_floor),
        cmocka_unit_test(too_few_samples_are_no_verdict),
        cmocka_unit_test(limits_are_numbers_or_words),
        cmocka_unit_test(nonsense_is_no_limit),
        cmocka_unit_test(pause_has_no_limit),
        cmocka_unit_test(a_rate_stretches_batches_to_its_time),
        cmocka_unit_test(the_longest_pause_wins),
        cmocka_unit_test(workers_are_a_number_within_limits),
        cmocka_unit_test(signals_are_found_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
