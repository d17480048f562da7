/* proxy/cli/bench_report.c, bench_svg.c: medians, advice, the plot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/cli/bench.h"

static struct bench_result result(const char *name, unsigned target_ms, double rows_per_s,
                                  double p99_ms)
{
    struct bench_result r = {.target_ms = target_ms,
                             .workers = target_ms ? 1 : 0,
                             .done = true,
                             .rows_per_s = rows_per_s,
                             .p99_before_ms = 8,
                             .p99_ms = p99_ms};

    snprintf(r.name, sizeof(r.name), "%s", name);
    return r;
}

static void medians_are_made_by_name_in_the_order_of_their_first_run(void **state)
{
    struct bench_result runs[] = {result("b", 25, 300, 9), result("a", 0, 10, 1),
                                  result("a", 0, 30, 3),   result("b", 25, 100, 5),
                                  result("b", 25, 200, 7), result("a", 0, 20, 4),
                                  result("a", 0, 50, 2)};
    size_t n = ARRAY_LEN(runs);

    (void)state;
    bench_medians(runs, &n);
    assert_int_equal(n, 2);
    assert_string_equal(runs[0].name, "b");
    assert_true(runs[0].rows_per_s == 200 && runs[0].p99_ms == 7);
    assert_string_equal(runs[1].name, "a");
    assert_true(runs[1].rows_per_s == 25 && runs[1].p99_ms == 2.5);
}

static void windows_are_paired_with_their_neighbours_over_all_runs(void **state)
{
    struct bench_result runs[] = {result("a", 25, 100, 5), result("a", 25, 100, 5),
                                  result("b", 25, 100, 5)};
    size_t n = ARRAY_LEN(runs);

    (void)state;
    runs[0].windows[0] = (struct bench_window){.p99_ms = 10};
    runs[0].windows[1] = (struct bench_window){.filling = true, .p99_ms = 20};
    runs[0].windows[2] = (struct bench_window){.p99_ms = 16};
    runs[0].nwindows = 3; /* 2, 1.25 */
    runs[1].windows[0] = (struct bench_window){.p99_ms = 10};
    runs[1].windows[1] = (struct bench_window){.filling = true, .p99_ms = 15};
    runs[1].windows[2] = (struct bench_window){.p99_ms = 0}; /* nobody asked */
    runs[1].nwindows = 3;                                    /* 1.5 */
    bench_medians(runs, &n);
    assert_int_equal(n, 2);
    assert_int_equal(runs[0].pairs.n, 3);
    assert_true(runs[0].pairs.median == 1.5);
    assert_true(runs[0].pairs.low >= 1.25 && runs[0].pairs.high <= 2);
    assert_int_equal(runs[0].nwindows, 0);
    assert_int_equal(runs[1].pairs.n, 0);
}

static void windows_and_their_spread_are_told(void **state)
{
    struct opt_value values[BENCH_OPTION_COUNT] = {[BENCH_WINDOW_MS] = {.number = 5000}};
    struct opt_set set = {.values = values};
    struct bench b = {.set = &set, .rows = 1000, .source = (char *)"rows"};
    struct bench_result run = result("a", 25, 100, 5), told = run;
    struct buf out = {0};
    size_t n = 1;

    (void)state;
    run.throttled = told.throttled = true;
    bench_report_table(&b, &told, 1, &run, 1, &out);
    assert_non_null(strstr(out.data, "filled before it could be paused"));
    buf_reset(&out);
    run.windows[0] = (struct bench_window){.p99_ms = 10};
    run.windows[1] = (struct bench_window){.filling = true, .p99_ms = 12.5};
    run.nwindows = 2;
    told = run;
    bench_medians(&told, &n);
    bench_report_table(&b, &told, 1, &run, 1, &out);
    assert_non_null(strstr(out.data, "5.0 s each"));
    assert_non_null(strstr(out.data, "1.25x (the middle half of 1 pairs: 1.25 to 1.25)"));
    assert_non_null(strstr(out.data, "p99, ms: paused 10.00, filling 12.50\n"));
    buf_fini(&out);
}

static void the_fastest_that_leaves_clients_alone_is_recommended(void **state)
{
    /* 8 ms before: 11 ms are 1.25 times that and one of slack */
    struct bench_result some[] = {result("slow", 25, 100, 8), result("good", 100, 200, 11),
                                  result("harmful", 400, 900, 11.1),
                                  result("one UPDATE", 0, 1000, 8)};
    struct bench_result none[] = {result("x", 25, 100, 12), result("one UPDATE", 0, 1000, 8)};

    (void)state;
    assert_int_equal(bench_recommend(some, ARRAY_LEN(some)), 1);
    some[1].done = false;
    assert_int_equal(bench_recommend(some, ARRAY_LEN(some)), 0);
    assert_int_equal(bench_recommend(none, ARRAY_LEN(none)), -1);
}

static void what_is_recommended_is_told_in_both_forms(void **state)
{
    struct bench_result some[] = {result("slow", 25, 100, 8), result("good", 100, 200, 9)};
    struct opt_value values[BENCH_OPTION_COUNT] = {0};
    struct opt_set set = {.values = values};
    struct bench b = {.set = &set, .rows = 1000, .source = (char *)"rows"};
    size_t n = ARRAY_LEN(some);
    struct buf out = {0};
    json_t *json, *one;

    (void)state;
    some[1].workers = 4;
    some[1].seconds = 2;
    some[1].wal_bytes = 3e6;
    bench_report_table(&b, some, n, some, n, &out);
    assert_non_null(strstr(out.data,
                           "recommended: \"batch_target_ms\": 100, segue throttle workers 4 "
                           "(p99 of clients 9.0 ms, before 8.0 ms)\n"));
    json = bench_report_json(&b, some, n, some, n);
    one = json_object_get(json, "recommended");
    assert_int_equal(json_integer_value(json_object_get(one, "batch_target_ms")), 100);
    assert_int_equal(json_integer_value(json_object_get(one, "workers")), 4);
    assert_false(json_is_true(json_object_get(one, "client_p99_signal")));
    one = json_array_get(json_object_get(json, "medians"), 1);
    assert_true(json_real_value(json_object_get(one, "wal_bytes_per_s")) == 1.5e6);
    json_decref(json);
    /* none that leaves clients alone: the least harm is told, and nothing is recommended */
    some[0].p99_ms = 20;
    some[1].p99_ms = 16;
    buf_reset(&out);
    bench_report_table(&b, some, n, some, n, &out);
    assert_null(strstr(out.data, "recommended:"));
    assert_non_null(strstr(out.data, "Least disturbed: \"batch_target_ms\": 100"));
    json = bench_report_json(&b, some, n, some, n);
    assert_true(json_is_null(json_object_get(json, "recommended")));
    json_decref(json);
    buf_fini(&out);
}

static void each_target_runs_with_each_number_of_workers_and_the_others_beside_them(void **state)
{
    static const char *const wanted[] = {"segue, 25 ms",
                                         "segue, 100 ms",
                                         "segue, 25 ms, 4 workers",
                                         "segue, 100 ms, 4 workers",
                                         "segue, 25 ms, throttled",
                                         "1000 keys, trigger",
                                         "one UPDATE"};
    struct opt_value values[BENCH_OPTION_COUNT] = {
        [BENCH_TARGETS] = {.list = (char *[]){"25", "100", NULL}},
        [BENCH_WORKERS] = {.list = (char *[]){"1", "4", NULL}},
        [BENCH_CONTENDERS] = {.list = (char *[]){"segue", "throttled", "keyset", "update", NULL}}};
    struct opt_set set = {.values = values};
    struct bench b = {.set = &set};
    struct bench_contender all[BENCH_RUNS_MAX];

    (void)state;
    assert_int_equal(bench_contenders(&b, all), ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        bool ours = i < 5;

        assert_string_equal(all[i].name, wanted[i]);
        assert_int_equal(all[i].target_ms, !ours ? 0 : i == 1 || i == 3 ? 100 : 25);
        assert_int_equal(all[i].workers, !ours ? 0 : i == 2 || i == 3 ? 4 : 1);
        assert_true(all[i].throttled == (i == 4) && (all[i].way == BENCH_WAY_SEGUE) == ours);
    }
    values[BENCH_CONTENDERS].list = (char *[]){"update", NULL};
    assert_int_equal(bench_contenders(&b, all), 1);
    assert_int_equal(all[0].way, BENCH_WAY_UPDATE);
}

static void the_plot_escapes_names_and_its_widest_bar_fills_the_width(void **state)
{
    struct bench_result some[] = {result("a<b & c", 25, 100, 8), result("half", 0, 50, 16)};
    struct buf out = {0};

    (void)state;
    bench_svg(some, ARRAY_LEN(some), "t", &out);
    assert_non_null(strstr(out.data, "a&lt;b &amp; c"));
    assert_null(strstr(out.data, "a<b"));
    assert_non_null(strstr(out.data, "width=\"520.0\""));
    assert_non_null(strstr(out.data, "width=\"260.0\""));
    assert_non_null(strstr(out.data, "</svg>"));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians_are_made_by_name_in_the_order_of_their_first_run),
        cmocka_unit_test(windows_are_paired_with_their_neighbours_over_all_runs),
        cmocka_unit_test(windows_and_their_spread_are_told),
        cmocka_unit_test(the_fastest_that_leaves_clients_alone_is_recommended),
        cmocka_unit_test(what_is_recommended_is_told_in_both_forms),
        cmocka_unit_test(each_target_runs_with_each_number_of_workers_and_the_others_beside_them),
        cmocka_unit_test(the_plot_escapes_names_and_its_widest_bar_fills_the_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
