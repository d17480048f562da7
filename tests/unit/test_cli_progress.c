#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/cli/progress.h"

static json_t *status(const char *phase, double progress, const char *throttle)
{
    return json_pack("{s:s, s:s, s:b, s:s, s:f, s:i, s:i, s:i, s:f, s:s, s:i, s:f, s:f, s:n}",
                     "migration", "m", "phase", phase, "paused", 0, "step", "fill t", "progress",
                     progress, "eta_s", 78, "rows_done", 1234567, "rows_total", 2000000,
                     "rows_per_s", 9876.5, "throttle", throttle, "attempts", 0, "stall_ms_max",
                     12.4, "ddl_lock_ms_max", 3.0, "error");
}

static void a_line_says_everything_at_once(void **state)
{
    json_t *row = status("backfilling", 61.7, "replication lag 3.2 s over 2 s");
    struct buf out = {0};

    (void)state;
    cli_progress_line(row, &out);
    assert_string_equal(
        out.data,
        "m: backfilling 61.7%, 1,234,567 of 2,000,000 rows, 9,876 rows/s, ETA of "
        "backfilling 1 min 18 s; fill t; worst client stall 12 ms, longest strong lock 3 ms; "
        "throttle: replication lag 3.2 s over 2 s\n");
    buf_fini(&out);
    json_decref(row);
}

static void a_block_fits_the_terminal(void **state)
{
    json_t *row =
        status("backfilling", 50, "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4");
    struct buf out = {0};

    (void)state;
    cli_progress_block(row, 80, &out);
    assert_string_equal(
        out.data, "m: backfilling [############............] 50.0%\n"
                  "  1,234,567 of 2,000,000 rows, 9,876 rows/s, ETA of backfilling 1 min 18 s\n"
                  "  fill t\n"
                  "  worst client stall 12 ms, longest strong lock 3 ms\n"
                  "  throttle: \xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\n");
    buf_reset(&out);
    cli_progress_block(row, 14, &out);
    assert_string_equal(out.data, "m: backfilling\n  1,234,567 of\n  fill t\n  worst client\n"
                                  "  throttle: \xc3\xa4\xc3\xa4\n");
    buf_fini(&out);
    json_decref(row);
}

static void a_finished_migration_has_no_bar(void **state)
{
    json_t *row =
        json_pack("{s:s, s:s, s:f}", "migration", "m", "phase", "done", "progress", 100.0);
    struct buf out = {0};

    (void)state;
    cli_progress_block(row, 80, &out);
    assert_string_equal(out.data, "m: done \n");
    buf_fini(&out);
    json_decref(row);
}

static void without_a_basis_there_is_no_remaining_time(void **state)
{
    static const struct {
        const char *phase, *eta;
        int paused;
    } cases[] = {
        {"backfilling", ", ETA of backfilling unknown yet", 0},
        {"verifying", ", ETA of verifying unknown yet", 0},
        {"backfilling", "", 1},
        {"expanding", "", 0},
        {"ready", "", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *row = json_pack("{s:s, s:s, s:b, s:f, s:i, s:i, s:f, s:n}", "migration", "m",
                                "phase", cases[i].phase, "paused", cases[i].paused, "progress", 2.0,
                                "rows_done", 10, "rows_total", 500, "rows_per_s", 5.0, "eta_s");
        struct buf out = {0}, wanted = {0};

        cli_progress_line(row, &out);
        buf_printf(&wanted, "m: %s%s 2.0%%, 10 of 500 rows, 5 rows/s%s\n", cases[i].phase,
                   cases[i].paused ? " (paused)" : "", cases[i].eta);
        assert_string_equal(out.data, wanted.data);
        buf_fini(&out);
        buf_fini(&wanted);
        json_decref(row);
    }
}

static void durations_are_for_people(void **state)
{
    static const struct {
        double s;
        const char *text;
    } cases[] = {{-1, "0 s"},       {7.6, "8 s"},        {59.4, "59 s"},
                 {60, "1 min 0 s"}, {200, "3 min 20 s"}, {7500, "2 h 5 min"}};
    char out[48];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cli_duration(cases[i].s, out, sizeof(out));
        assert_string_equal(out, cases[i].text);
    }
}

static void only_news_make_a_line(void **state)
{
    static const struct {
        double progress;
        const char *phase, *throttle;
        bool news;
    } cases[] = {
        {51, "backfilling", "lag 3 s over 2 s", false},
        {51, "backfilling", "lag 12.5 s over 2 s", false},
        {51, "backfilling", "", true},
        {60, "backfilling", "lag 3 s over 2 s", true},
        {50, "verifying", "lag 3 s over 2 s", true},
    };
    json_t *before = status("backfilling", 50, "lag 3 s over 2 s");

    (void)state;
    assert_true(cli_progress_news(NULL, before));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *now = status(cases[i].phase, cases[i].progress, cases[i].throttle);

        assert_int_equal(cli_progress_news(before, now), cases[i].news);
        json_decref(now);
    }
    json_decref(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_everything_at_once),
        cmocka_unit_test(a_block_fits_the_terminal),
        cmocka_unit_test(a_finished_migration_has_no_bar),
        cmocka_unit_test(without_a_basis_there_is_no_remaining_time),
        cmocka_unit_test(durations_are_for_people),
        cmocka_unit_test(only_news_make_a_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
