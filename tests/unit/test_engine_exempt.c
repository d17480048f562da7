/* proxy/engine/exempt.c, schedule.c: whom the policy spares; which times are understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/engine/schedule.h"
#include "segue/engine/exempt.h"

static const char rules[] = "[{\"user\": \"etl\"}, {\"application_name\": \"pg_dump*\"},"
                            " {\"user\": \"app\", \"query\": \"*nightly?report*\"}]";

static void one_rule_of_which_every_field_matches_is_enough(void **state)
{
    (void)state;
    assert_true(eng_exempt(rules, "etl", "x", "SELECT 1"));
    assert_true(eng_exempt(rules, "app", "pg_dump: t", "COPY"));
    assert_true(eng_exempt(rules, "app", "x", "/* NIGHTLY report */\nSELECT 1"));
    assert_false(eng_exempt(rules, "web", "x", "/* nightly report */ SELECT 1"));
    assert_false(eng_exempt(rules, "ETL", "x", "SELECT 1"));
    assert_false(eng_exempt(rules, "app", "my pg_dump", "nightlyreport"));
    assert_false(eng_exempt("", "etl", "x", "SELECT 1"));
}

static void what_could_not_be_seen_is_spared(void **state)
{
    (void)state;
    assert_true(eng_exempt(rules, "web", NULL, "SELECT 1"));
    assert_true(eng_exempt(rules, "app", "x", NULL));
    assert_false(eng_exempt(rules, "web", "x", NULL));
}

static void rules_that_say_nothing_or_too_much_are_refused(void **state)
{
    static const char *const bad[][2] = {
        {"{}", "must be a list of rules"},
        {"[1]", "rule 1: must be an object with at least one field"},
        {"[{\"user\": \"a\"}, {}]", "rule 2: must be an object with at least one field"},
        {"[{\"name\": \"a\"}]", "rule 1: there is no field \"name\""},
        {"[{\"user\": \"\"}]", "rule 1: field \"user\" must be a pattern (* for any text)"},
        {"[{\"query\": 5}]", "rule 1: field \"query\" must be a pattern (* for any text)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};

        assert_int_equal(eng_exempt_check(bad[i][0], &err), RC_ERR);
        assert_string_equal(err.text, bad[i][1]);
    }
    assert_int_equal(eng_exempt_check(rules, NULL), RC_OK);
    assert_int_equal(eng_exempt_check("", NULL), RC_OK);
}

static void a_time_needs_its_zone(void **state)
{
    static const char *const good[] = {"2026-01-31T23:59Z", "2026-01-31 23:59:59+02",
                                       "2026-01-31T23:59:59.123-0230", "2026-01-31T23:59+05:45"};
    static const char *const bad[] = {"",
                                      "tomorrow",
                                      "2026-01-31",
                                      "2026-01-31T23:59",
                                      "2026-01-31T23:59:59",
                                      "2026-01-31T23:59 Z",
                                      "2026-01-31T23:59Z; DROP TABLE x",
                                      "2026-01-31T23:59+2",
                                      "2026-01-31T23:59+02:0",
                                      "2026-01-31T23:59:59.Z",
                                      "2026-01-31T23:59Europe/Berlin"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(schedule_check_time(good[i], NULL), RC_OK);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};

        assert_int_equal(schedule_check_time(bad[i], &err), RC_ERR);
        assert_string_equal(err.sqlstate, "22007");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_rule_of_which_every_field_matches_is_enough),
        cmocka_unit_test(what_could_not_be_seen_is_spared),
        cmocka_unit_test(rules_that_say_nothing_or_too_much_are_refused),
        cmocka_unit_test(a_time_needs_its_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
