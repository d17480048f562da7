/* proxy/engine/throttle.c: verdicts, limits and pauses, without a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/standby.h"
#include "../../proxy/engine/throttle.h"
#include "../../proxy/engine/throttle_read.h"
#include "segue/engine/engine.h"

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

static void latency_slows_by_its_pause_and_holds_only_above_the_floor(void **state)
{
    struct throttle_reading reading = {
        .known = true, .judged = true, .value = 9, .floor = 20, .measured = 19};
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_P99, 1.25, reading, reason, sizeof(reason)), THROTTLE_GO);
    reading.pause = 12;
    assert_int_equal(judge(THROTTLE_P99, 1.25, reading, reason, sizeof(reason)), THROTTLE_SLOW);
    assert_true(reason[0] != '\0');
    reading.measured = 21;
    assert_int_equal(judge(THROTTLE_P99, 1.25, reading, reason, sizeof(reason)), THROTTLE_HOLD);
    reading.value = 2.9; /* 2.4 times the limit is 3 */
    assert_int_equal(judge(THROTTLE_P99, 1.25, reading, reason, sizeof(reason)), THROTTLE_SLOW);
}

/* Pauses are those that clients ask for, whatever other signals say; a signal that is off asks for
 * none. */
static void clients_make_it_pause(void **state)
{
    struct throttle t;
    struct err err = {0};

    (void)state;
    throttle_init(&t);
    throttle_ease_begin(&t.ease);
    assert_true(t.ease.pause > 1);
    assert_int_equal(throttle_pause_ms(&t, THROTTLE_GO, 100), (int64_t)(t.ease.pause * 100));
    assert_int_equal(throttle_pause_ms(&t, THROTTLE_SLOW, 100), (int64_t)(t.ease.pause * 100));
    assert_int_equal(throttle_set(&t, THROTTLE_P99, "off", &err), RC_OK);
    assert_int_equal(throttle_pause_ms(&t, THROTTLE_GO, 100), 0);
    assert_int_equal(throttle_set(&t, THROTTLE_NICE, "1e18", &err), RC_OK); /* as long as it gets */
    assert_true(throttle_pause_ms(&t, THROTTLE_GO, 100) > 1000000000);
    throttle_fini(&t);
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
    assert_false(t.signals[THROTTLE_ROWS].now.enabled);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "2500", &err), RC_OK);
    assert_true(t.signals[THROTTLE_ROWS].now.enabled);
    assert_true(t.signals[THROTTLE_ROWS].now.limit == 2500);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "off", &err), RC_OK);
    assert_false(t.signals[THROTTLE_ROWS].now.enabled);
    assert_true(t.signals[THROTTLE_ROWS].now.limit == 2500);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "on", &err), RC_OK);
    assert_true(t.signals[THROTTLE_ROWS].now.enabled);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "default", &err), RC_OK);
    assert_false(t.signals[THROTTLE_ROWS].now.enabled);
    assert_true(t.signals[THROTTLE_ROWS].now.limit ==
                throttle_signal(THROTTLE_ROWS)->limit_default);
    throttle_fini(&t);
}

/* Each of them, whatever it reads: but for the two that are no limit of anything. */
static void every_signal_is_set_and_switched_off_and_on_live(void **state)
{
    struct throttle t;

    (void)state;
    throttle_init(&t);
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        const struct throttle_signal *signal = throttle_signal(i);
        const struct throttle_choice *now = &t.signals[i].now;
        struct err err = {0};

        if (i == THROTTLE_PAUSE || i == THROTTLE_WORKERS)
            continue;
        if (signal->limit_max > 0) {
            assert_int_equal(throttle_set(&t, i, "7.5", &err), RC_OK);
            assert_true(now->limit == 7.5 && now->enabled == !signal->setting_needed);
        } else {
            assert_int_equal(throttle_set(&t, i, "7.5", &err), RC_ERR);
        }
        if (signal->setting_needed)
            throttle_choose(&t.signals[i].now, now->limit, true, "what it looks at");
        err_clear(&err);
        assert_int_equal(throttle_set(&t, i, "off", &err), RC_OK);
        assert_false(now->enabled);
        assert_int_equal(throttle_set(&t, i, "on", &err), RC_OK);
        assert_true(now->enabled && t.signals[i].live);
        assert_int_equal(throttle_set(&t, i, "default", &err), RC_OK);
        assert_true(now->enabled == signal->enabled_default &&
                    now->limit == signal->limit_default && !now->setting);
    }
    throttle_fini(&t);
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
    throttle_fini(&t);
}

static void pause_has_no_limit(void **state)
{
    struct throttle t;
    struct err err = {0};

    (void)state;
    throttle_init(&t);
    assert_int_equal(throttle_set(&t, THROTTLE_PAUSE, "off", &err), RC_ERR);
    assert_true(t.signals[THROTTLE_PAUSE].now.enabled);
    throttle_fini(&t);
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
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "1e-13", &err),
                     RC_OK); /* as slow as it gets */
    throttle_filled(&t, 1000000, 200);
    assert_true(throttle_paced_us(&t) > 1000000000000);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "off", &err), RC_OK);
    assert_int_equal(throttle_paced_us(&t), 0);
    throttle_fini(&t);
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
    throttle_fini(&t);
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
    throttle_fini(&t);
}

static void a_reading_that_is_old_holds_whatever_it_was(void **state)
{
    struct throttle_reading reading = {.known = true,
                                       .judged = true,
                                       .value = 0,
                                       .age_ms = THROTTLE_STALE_MS,
                                       .detail = "replica a"};
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_DIRECT_S, 10, reading, reason, sizeof(reason)), THROTTLE_GO);
    reading.age_ms += 2000;
    assert_int_equal(judge(THROTTLE_DIRECT_S, 10, reading, reason, sizeof(reason)), THROTTLE_HOLD);
    assert_string_equal(reason, "direct_lag_s: stale, read 7.0 s ago, replica a");
}

static void every_signal_that_is_read_holds_when_it_is_not_known(void **state)
{
    char reason[200];

    (void)state;
    for (size_t i = 0; i < THROTTLE_COUNT; i++) {
        if (!throttle_signal(i)->read)
            continue;
        assert_int_equal(judge(i, 1e9, (struct throttle_reading){.judged = true, .detail = "why"},
                               reason, sizeof(reason)),
                         THROTTLE_HOLD);
        assert_non_null(strstr(reason, "unknown (why)"));
    }
}

static void signals_without_a_limit_hold_with_their_reason_alone(void **state)
{
    struct throttle_reading reading = {
        .known = true, .judged = true, .value = 1, .detail = "it is there"};
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_FILE, 0, reading, reason, sizeof(reason)), THROTTLE_HOLD);
    assert_string_equal(reason, "flag_file: it is there");
    reading.value = 0;
    assert_int_equal(judge(THROTTLE_FILE, 0, reading, reason, sizeof(reason)), THROTTLE_GO);
}

static void one_autovacuum_slows_and_two_hold(void **state)
{
    struct throttle_reading reading = {.known = true, .judged = true, .value = 1};
    double limit = throttle_signal(THROTTLE_AUTOVACUUM)->limit_default;
    char reason[200];

    (void)state;
    assert_int_equal(judge(THROTTLE_AUTOVACUUM, limit, reading, reason, sizeof(reason)),
                     THROTTLE_SLOW);
    reading.value = 2;
    assert_int_equal(judge(THROTTLE_AUTOVACUUM, limit, reading, reason, sizeof(reason)),
                     THROTTLE_HOLD);
}

static void a_text_is_a_setting_and_turns_its_signal_on(void **state)
{
    struct throttle t;
    struct err err = {0};
    const struct throttle_choice *query = &t.signals[THROTTLE_QUERY].now;

    (void)state;
    throttle_init(&t);
    assert_int_equal(throttle_set(&t, THROTTLE_QUERY, "on", &err), RC_ERR);
    assert_non_null(strstr(err.text, "nothing to look at"));
    err_clear(&err);
    assert_false(query->enabled);
    assert_int_equal(throttle_set(&t, THROTTLE_QUERY, "10", &err), RC_OK);
    assert_true(query->limit == 10 && !query->enabled); /* the limit first, then what is read */
    assert_int_equal(throttle_set(&t, THROTTLE_QUERY, "SELECT 1", &err), RC_OK);
    assert_int_equal(throttle_set(&t, THROTTLE_QUERY, "-10.5", &err), RC_OK);
    assert_true(query->enabled && query->limit == -10.5);
    assert_string_equal(query->setting, "SELECT 1");
    assert_int_equal(throttle_set(&t, THROTTLE_QUERY, "off", &err), RC_OK);
    assert_int_equal(throttle_set(&t, THROTTLE_QUERY, "on", &err), RC_OK);
    assert_string_equal(query->setting, "SELECT 1");
    assert_true(t.signals[THROTTLE_QUERY].live);
    assert_int_equal(throttle_set(&t, THROTTLE_QUERY, "default", &err), RC_OK);
    assert_true(!query->enabled && !query->setting && !t.signals[THROTTLE_QUERY].live);
    throttle_fini(&t);
}

static void a_setting_is_checked_before_it_is_taken(void **state)
{
    static const struct {
        enum throttle_id signal;
        const char *bad, *why;
    } cases[] = {
        {THROTTLE_FILE, "hold.flag", "no absolute path"},
        {THROTTLE_FILE, "5", "no limit"},
        {THROTTLE_WINDOW, "at night", "no day of the week"},
        {THROTTLE_ACTIVE, "cores=0", "no number of cores"},
        {THROTTLE_ACTIVE, "cores=8x", "no number of cores"},
        {THROTTLE_DIRECT_S, "nonsense", "connection string"},
        {THROTTLE_DIRECT_S, " , ", "no replica"},
        {THROTTLE_DIRECT_S, "host=a port=1, host=b password=secret", "stored and shown"},
        {THROTTLE_DIRECT_S, "postgresql://u:secret@a/db", "stored and shown"},
        {THROTTLE_DIRECT_S, "host=a sslkey=k sslpassword=secret", "stored and shown"},
        {THROTTLE_LAG_S, "host=a", "no limit"},
    };
    struct throttle t;

    (void)state;
    throttle_init(&t);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};

        assert_int_equal(throttle_set(&t, cases[i].signal, cases[i].bad, &err), RC_ERR);
        assert_non_null(strstr(err.text, cases[i].why));
        assert_null(strstr(err.text, "secret"));
        assert_null(t.signals[cases[i].signal].now.setting);
    }
    throttle_fini(&t);
}

static void the_configuration_is_where_default_goes_back_to(void **state)
{
    static const char *const json =
        "[{\"signal\": \"rows_per_s\", \"limit\": 500}, {\"signal\": \"client_p99\", \"enabled\": "
        "false}, {\"signal\": \"flag_file\", \"setting\": \"/tmp/hold\"},"
        " {\"signal\": \"query\", \"setting\": \"SELECT 1\", \"limit\": 3}]";
    struct throttle t;
    struct err err = {0};

    (void)state;
    assert_int_equal(eng_throttle_check(json, &err), RC_OK);
    throttle_init(&t);
    throttle_configure(&t, json);
    assert_true(t.signals[THROTTLE_ROWS].now.enabled && t.signals[THROTTLE_ROWS].now.limit == 500);
    assert_false(t.signals[THROTTLE_P99].now.enabled);
    assert_string_equal(t.signals[THROTTLE_FILE].now.setting, "/tmp/hold");
    assert_true(t.signals[THROTTLE_QUERY].now.enabled && t.signals[THROTTLE_QUERY].now.limit == 3);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "9", &err), RC_OK);
    /* read again: what is set live stays, the rest follows */
    throttle_configure(&t, "[{\"signal\": \"rows_per_s\", \"limit\": 600}]");
    assert_true(t.signals[THROTTLE_ROWS].now.limit == 9);
    assert_true(t.signals[THROTTLE_P99].now.enabled);
    assert_int_equal(throttle_set(&t, THROTTLE_ROWS, "default", &err), RC_OK);
    assert_true(t.signals[THROTTLE_ROWS].now.limit == 600);
    throttle_fini(&t);
}

static void a_wrong_configuration_is_refused_by_item(void **state)
{
    static const struct {
        const char *json, *why;
    } bad[] = {
        {"{}", "no list"},
        {"[1]", "item 1"},
        {"[{\"signal\": \"pause\"}]", "pause"},
        {"[{\"signal\": \"nice_ratio\", \"limit\": 1}, {\"signal\": \"load\", \"limit\": 1}]",
         "item 2: there is no signal"},
        {"[{\"signal\": \"rows_per_s\", \"limit\": \"5\"}]", "no number"},
        {"[{\"signal\": \"rows_per_s\", \"limits\": 5}]", "item 1"},
        {"[{\"signal\": \"workers\", \"limit\": 99}]", "no limit"},
        {"[{\"signal\": \"query\", \"limit\": 99}]", "nothing to look at"},
        {"[{\"signal\": \"window\", \"setting\": \"09:00-10:00\"}]", "time zone"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};

        assert_int_equal(eng_throttle_check(bad[i].json, &err), RC_ERR);
        assert_non_null(strstr(err.text, bad[i].why));
    }
    assert_int_equal(eng_throttle_check("", &(struct err){0}), RC_OK);
}

static void signals_are_found_by_name(void **state)
{
    (void)state;
    for (int i = 0; i < THROTTLE_COUNT; i++)
        assert_int_equal(throttle_find(throttle_signal((size_t)i)->name), i);
    assert_int_equal(throttle_find("load"), -1);
}

static void a_standby_is_known_by_its_whole_name_however_many_there_are(void **state)
{
    struct throttle t;

    (void)state;
    throttle_init(&t);
    for (int i = 0; i < 40; i++) {
        char name[128]; /* as long as an application_name and an address can be */

        snprintf(name, sizeof(name), "%063d@2001:0db8:85a3:0123:4567:8a2e:0370:%04d", 0, i);
        assert_false(throttle_lag_knows(&t, name));
        throttle_lag_expect(&t, name);
        assert_true(throttle_lag_knows(&t, name));
    }
    throttle_fini(&t);
}

static void a_primary_behind_the_former_one_makes_nobody_late(void **state)
{
    struct throttle t;

    (void)state;
    throttle_init(&t);
    throttle_lag_note(&t, 100);
    throttle_lag_note(&t, 200);
    throttle_lag_note(&t, 150); /* of the same one it is no news */
    assert_int_equal(t.history.n, 2);
    t.connected_anew = true;
    throttle_lag_note(&t, 150);
    assert_true(lag_s(&t.history, INT64_MAX / 2, 150) == 0);
    throttle_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reading_that_fails_holds_and_says_why),
        cmocka_unit_test(a_reading_over_its_limit_holds),
        cmocka_unit_test(a_reading_near_its_limit_slows),
        cmocka_unit_test(a_reading_well_below_goes_without_a_reason),
        cmocka_unit_test(latency_slows_by_its_pause_and_holds_only_above_the_floor),
        cmocka_unit_test(clients_make_it_pause),
        cmocka_unit_test(too_few_samples_are_no_verdict),
        cmocka_unit_test(limits_are_numbers_or_words),
        cmocka_unit_test(every_signal_is_set_and_switched_off_and_on_live),
        cmocka_unit_test(nonsense_is_no_limit),
        cmocka_unit_test(pause_has_no_limit),
        cmocka_unit_test(a_rate_stretches_batches_to_its_time),
        cmocka_unit_test(the_longest_pause_wins),
        cmocka_unit_test(workers_are_a_number_within_limits),
        cmocka_unit_test(signals_are_found_by_name),
        cmocka_unit_test(a_reading_that_is_old_holds_whatever_it_was),
        cmocka_unit_test(every_signal_that_is_read_holds_when_it_is_not_known),
        cmocka_unit_test(signals_without_a_limit_hold_with_their_reason_alone),
        cmocka_unit_test(one_autovacuum_slows_and_two_hold),
        cmocka_unit_test(a_text_is_a_setting_and_turns_its_signal_on),
        cmocka_unit_test(a_setting_is_checked_before_it_is_taken),
        cmocka_unit_test(the_configuration_is_where_default_goes_back_to),
        cmocka_unit_test(a_wrong_configuration_is_refused_by_item),
        cmocka_unit_test(a_standby_is_known_by_its_whole_name_however_many_there_are),
        cmocka_unit_test(a_primary_behind_the_former_one_makes_nobody_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
