/* proxy/engine/board.c: rows in, copies out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/engine/board.h"

static json_t *row(const char *name, const char *phase)
{
    json_t *out = json_pack("[s, s]", name, phase);

    for (size_t i = 2; board_columns(BOARD_MIGRATIONS)[i]; i++)
        json_array_append_new(out, json_null());
    return out;
}

static size_t shown(struct eng_board *board, const char *name)
{
    json_t *table = board_show(board, BOARD_MIGRATIONS, name);
    size_t n = json_array_size(json_object_get(table, "rows"));

    json_decref(table);
    return n;
}

static void status_has_the_columns_that_clients_rely_on(void **state)
{
    static const char *const want[] = {
        "migration",    "phase",          "paused",          "step",          "progress",
        "rows_done",    "rows_total",     "rows_per_s",      "eta_s",         "throttle",
        "attempts",     "stall_ms_max",   "ddl_lock_ms_max", "rows_verified", "rows_bad",
        "rows_wrapped", "bytes_before",   "bytes_now",       "blockers",      "next_attempt_s",
        "cutover_due",  "cutover_wanted", "error",           "hint",          "old_names_last_s",
        "proofs_left",  "builds_left",    "updated_at"};
    const char *const *columns = board_columns(BOARD_STATUS);
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(want) / sizeof(*want); i++)
        assert_string_equal(columns[i], want[i]);
    assert_null(columns[i]);
}

static void a_row_replaces_the_one_of_the_same_name(void **state)
{
    struct eng_board *board = board_new();
    json_t *table;

    (void)state;
    board_put(board, BOARD_MIGRATIONS, row("a", "planned"), true);
    board_put(board, BOARD_MIGRATIONS, row("b", "planned"), true);
    board_put(board, BOARD_MIGRATIONS, row("a", "ready"), true);
    assert_int_equal(shown(board, NULL), 2);
    table = board_show(board, BOARD_MIGRATIONS, "a");
    assert_string_equal(
        json_string_value(json_array_get(json_array_get(json_object_get(table, "rows"), 0), 1)),
        "ready");
    json_decref(table);
    board_free(board);
}

static void inactive_rows_show_only_by_name(void **state)
{
    struct eng_board *board = board_new();

    (void)state;
    board_put(board, BOARD_MIGRATIONS, row("old", "done"), false);
    assert_int_equal(shown(board, NULL), 0);
    assert_int_equal(shown(board, "old"), 1);
    assert_int_equal(shown(board, "none"), 0);
    board_free(board);
}

static void all_rows_are_replaced_at_once_and_names_may_repeat(void **state)
{
    struct eng_board *board = board_new();

    (void)state;
    board_put(board, BOARD_MIGRATIONS, row("old", "done"), true);
    for (int round = 0; round < 3; round++) {
        board_put_all(board, BOARD_MIGRATIONS,
                      json_pack("[o, o, o]", row("a", "1"), row("a", "2"), row("b", "3")));
        assert_int_equal(shown(board, NULL), 3);
        assert_int_equal(shown(board, "a"), 2);
        assert_int_equal(shown(board, "old"), 0);
    }
    board_put_all(board, BOARD_MIGRATIONS, json_array());
    assert_int_equal(shown(board, NULL), 0);
    board_free(board);
}

static void readers_get_copies(void **state)
{
    struct eng_board *board = board_new();
    json_t *table;

    (void)state;
    board_put(board, BOARD_MIGRATIONS, row("a", "planned"), true);
    table = board_show(board, BOARD_MIGRATIONS, NULL);
    json_array_clear(json_array_get(json_object_get(table, "rows"), 0));
    json_decref(table);
    assert_int_equal(shown(board, "a"), 1);
    board_free(board);
}

static void an_empty_board_still_has_its_columns(void **state)
{
    struct eng_board *board = board_new();
    json_t *table = board_show(board, BOARD_THROTTLE, NULL);

    (void)state;
    assert_int_equal(json_array_size(json_object_get(table, "columns")), 11);
    assert_int_equal(json_array_size(json_object_get(table, "rows")), 0);
    json_decref(table);
    board_free(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_has_the_columns_that_clients_rely_on),
        cmocka_unit_test(a_row_replaces_the_one_of_the_same_name),
        cmocka_unit_test(inactive_rows_show_only_by_name),
        cmocka_unit_test(all_rows_are_replaced_at_once_and_names_may_repeat),
        cmocka_unit_test(readers_get_copies),
        cmocka_unit_test(an_empty_board_still_has_its_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
