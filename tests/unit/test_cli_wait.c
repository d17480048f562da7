#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/cli/output.h"
#include "../../proxy/cli/wait.h"

static enum cli_outcome outcome(enum cli_goal goal, const char *phase, int attempts,
                                const char *error, bool seen, long waited_ms)
{
    json_t *row =
        json_pack("{s:s, s:i, s:s}", "phase", phase, "attempts", attempts, "error", error);
    struct cli_before before = {.attempts = 2, .error = "old"};
    enum cli_outcome result = cli_outcome_of(goal, row, &before, seen, waited_ms);

    json_decref(row);
    return result;
}

static void each_goal_knows_its_phases(void **state)
{
    static const struct {
        enum cli_goal goal;
        const char *phase;
        enum cli_outcome expected;
    } cases[] = {
        {CLI_GOAL_READY, "backfilling", CLI_WAITING},
        {CLI_GOAL_READY, "ready", CLI_REACHED},
        {CLI_GOAL_READY, "aborting", CLI_FAILED},
        {CLI_GOAL_SOAKING, "ready", CLI_WAITING},
        {CLI_GOAL_SOAKING, "soaking", CLI_REACHED},
        {CLI_GOAL_CUTOVER, "ready", CLI_WAITING},
        {CLI_GOAL_CUTOVER, "cutting_over", CLI_WAITING},
        {CLI_GOAL_CUTOVER, "soaking", CLI_REACHED},
        {CLI_GOAL_DONE, "soaking", CLI_WAITING},
        {CLI_GOAL_DONE, "contracting", CLI_WAITING},
        {CLI_GOAL_DONE, "done", CLI_REACHED},
        {CLI_GOAL_REVERTED, "reverting", CLI_WAITING},
        {CLI_GOAL_REVERTED, "ready", CLI_REACHED},
        {CLI_GOAL_ABORTED, "aborting", CLI_WAITING},
        {CLI_GOAL_ABORTED, "aborted", CLI_REACHED},
        /* it was reached, and somebody else has said something between two looks */
        {CLI_GOAL_REVERTED, "cutting_over", CLI_REACHED},
        {CLI_GOAL_REVERTED, "aborting", CLI_REACHED},
        {CLI_GOAL_REVERTED, "aborted", CLI_REACHED},
        {CLI_GOAL_REVERTED, "backfilling", CLI_REACHED},
        {CLI_GOAL_REVERTED, "soaking", CLI_FAILED},
        {CLI_GOAL_REVERTED, "contracting", CLI_FAILED},
        {CLI_GOAL_ABORTED, "planned", CLI_REACHED},
        {CLI_GOAL_ABORTED, "verifying", CLI_REACHED},
        {CLI_GOAL_ABORTED, "ready", CLI_REACHED},
        {CLI_GOAL_ABORTED, "soaking", CLI_REACHED},
        {CLI_GOAL_END, "ready", CLI_WAITING},
        {CLI_GOAL_END, "aborted", CLI_REACHED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(outcome(cases[i].goal, cases[i].phase, 2, "", false, 0),
                         cases[i].expected);
}

static void complete_is_said_again_when_nothing_is_left_to_prove(void **state)
{
    static const struct {
        const char *phase;
        int proofs_left;
        const char *error;
        enum cli_outcome expected;
    } cases[] = {
        {"soaking", 2, "", CLI_WAITING},     {"soaking", 0, "", CLI_REACHED},
        {"soaking", 1, "a row", CLI_FAILED}, {"reverting", 1, "", CLI_FAILED},
        {"ready", 0, "", CLI_FAILED},        {"contracting", 0, "", CLI_REACHED},
        {"done", 0, "", CLI_REACHED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cli_before before = {0};
        json_t *row = json_pack("{s:s, s:i, s:s}", "phase", cases[i].phase, "proofs_left",
                                cases[i].proofs_left, "error", cases[i].error);

        assert_int_equal(cli_outcome_of(CLI_GOAL_PROVEN, row, &before, false, 0),
                         cases[i].expected);
        json_decref(row);
    }
}

static void ready_is_waited_for_until_a_cutover_may_follow(void **state)
{
    static const struct {
        enum cli_goal goal;
        const char *phase;
        int builds_left, proofs_left;
        const char *error;
        enum cli_outcome expected;
    } cases[] = {
        {CLI_GOAL_WAIT_READY, "ready", 2, 1, "", CLI_WAITING},
        {CLI_GOAL_WAIT_READY, "ready", 0, 0, "", CLI_REACHED},
        {CLI_GOAL_WAIT_READY, "ready", 1, 1, "not today", CLI_FAILED},
        {CLI_GOAL_WAIT_READY, "ready", 0, 1, "", CLI_WAITING}, /* a reference is being proven */
        {CLI_GOAL_WAIT_READY, "ready", 0, 1, "a row", CLI_FAILED},
        {CLI_GOAL_WAIT_READY, "ready", 0, 0, "gave up", CLI_REACHED}, /* a cut-over */
        {CLI_GOAL_WAIT_READY, "soaking", 0, 2, "", CLI_REACHED},
        {CLI_GOAL_REVERTED, "ready", 2, 1, "", CLI_REACHED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cli_before before = {0};
        json_t *row = json_pack("{s:s, s:i, s:i, s:s}", "phase", cases[i].phase, "builds_left",
                                cases[i].builds_left, "proofs_left", cases[i].proofs_left, "error",
                                cases[i].error);

        assert_int_equal(cli_outcome_of(cases[i].goal, row, &before, false, 0), cases[i].expected);
        json_decref(row);
    }
}

static void a_cutover_that_went_back_to_ready_is_refused(void **state)
{
    (void)state;
    assert_int_equal(outcome(CLI_GOAL_CUTOVER, "ready", 2, "", true, 0), CLI_TURNED_BACK);
    assert_int_equal(outcome(CLI_GOAL_CUTOVER, "ready", 3, "", false, 0), CLI_TURNED_BACK);
    assert_int_equal(outcome(CLI_GOAL_SOAKING, "ready", 3, "", true, 0), CLI_TURNED_BACK);
    assert_int_equal(outcome(CLI_GOAL_READY, "ready", 3, "", true, 0), CLI_REACHED);
}

static void a_cutover_that_nobody_wants_any_more_is_not_waited_for(void **state)
{
    static const struct {
        enum cli_goal goal;
        const char *phase;
        bool wanted, seen;
        enum cli_outcome expected;
    } cases[] = {
        {CLI_GOAL_CUTOVER, "ready", false, false, CLI_TURNED_BACK}, /* withdrawn between looks */
        {CLI_GOAL_CUTOVER, "ready", true, false, CLI_WAITING},      /* postponed */
        {CLI_GOAL_SOAKING, "ready", false, false, CLI_TURNED_BACK},
        {CLI_GOAL_SOAKING, "ready", true, true, CLI_WAITING}, /* tried again after a restart */
        {CLI_GOAL_SOAKING, "backfilling", false, false, CLI_WAITING},
        {CLI_GOAL_READY, "ready", false, false, CLI_REACHED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct cli_before before = {0};
        json_t *row =
            json_pack("{s:s, s:b}", "phase", cases[i].phase, "cutover_wanted", cases[i].wanted);

        assert_int_equal(cli_outcome_of(cases[i].goal, row, &before, cases[i].seen, 0),
                         cases[i].expected);
        json_decref(row);
    }
}

static void an_error_from_before_the_verb_counts_only_when_it_stays(void **state)
{
    (void)state;
    assert_int_equal(outcome(CLI_GOAL_DONE, "contracting", 2, "old", false, 100), CLI_WAITING);
    assert_int_equal(outcome(CLI_GOAL_DONE, "contracting", 2, "old", false, 9000), CLI_FAILED);
    assert_int_equal(outcome(CLI_GOAL_DONE, "contracting", 2, "new", false, 100), CLI_FAILED);
    assert_int_equal(outcome(CLI_GOAL_END, "contracting", 2, "new", false, 9000), CLI_WAITING);
}

static void rollback_waits_for_what_it_does(void **state)
{
    static const struct {
        const char *before, *now;
        enum cli_goal goal;
    } rows[] = {
        {"ready", NULL, CLI_GOAL_ABORTED},
        {"backfilling", NULL, CLI_GOAL_ABORTED},
        {"soaking", NULL, CLI_GOAL_REVERTED},
        {"reverting", NULL, CLI_GOAL_REVERTED},
        {NULL, "aborting", CLI_GOAL_ABORTED},
        {NULL, "reverting", CLI_GOAL_REVERTED},
        {NULL, "ready", CLI_GOAL_REVERTED},
        {NULL, NULL, CLI_GOAL_ABORTED},
        /* a cut-over, or a way back, of somebody else has ended between the look and the verb */
        {"cutting_over", "reverting", CLI_GOAL_REVERTED},
        {"ready", "ready", CLI_GOAL_REVERTED},
        {"ready", "cutting_over", CLI_GOAL_REVERTED},
        {"soaking", "aborting", CLI_GOAL_ABORTED},
        {"ready", "aborted", CLI_GOAL_ABORTED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_t *before = rows[i].before ? json_pack("{s:s}", "phase", rows[i].before) : NULL;
        json_t *now = rows[i].now ? json_pack("{s:s}", "phase", rows[i].now) : NULL;

        assert_int_equal(cli_goal_of("ROLLBACK", before, now), rows[i].goal);
        json_decref(before);
        json_decref(now);
    }
    assert_int_equal(cli_goal_of("PAUSE", NULL, NULL), CLI_GOAL_COUNT);
}

static void literals_double_quotes_and_keep_backslashes(void **state)
{
    struct buf out = {0};

    (void)state;
    cli_append_literal(&out, "it's \\d");
    assert_string_equal(out.data, "'it''s \\d'");
    buf_fini(&out);
}

static void tables_are_aligned_numbers_to_the_right(void **state)
{
    json_t *columns = json_pack("[s, s, s]", "name", "rows", "help");
    json_t *rows = json_pack("[{s:s, s:i, s:s}, {s:s, s:n, s:b}]", "name", "\xc3\xa4", "rows",
                             12345, "help", "h", "name", "longer", "rows", "help", 1);
    struct buf out = {0};

    (void)state;
    cli_format_table(columns, rows, &out);
    assert_string_equal(out.data, "name     rows  help\n"
                                  "\xc3\xa4       12345  h\n"
                                  "longer         yes\n");
    buf_fini(&out);
    json_decref(columns);
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_goal_knows_its_phases),
        cmocka_unit_test(complete_is_said_again_when_nothing_is_left_to_prove),
        cmocka_unit_test(ready_is_waited_for_until_a_cutover_may_follow),
        cmocka_unit_test(a_cutover_that_went_back_to_ready_is_refused),
        cmocka_unit_test(a_cutover_that_nobody_wants_any_more_is_not_waited_for),
        cmocka_unit_test(an_error_from_before_the_verb_counts_only_when_it_stays),
        cmocka_unit_test(rollback_waits_for_what_it_does),
        cmocka_unit_test(literals_double_quotes_and_keep_backslashes),
        cmocka_unit_test(tables_are_aligned_numbers_to_the_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
