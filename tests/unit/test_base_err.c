#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segue/base/err.h"
#include "segue/base/log.h"

static void the_first_error_wins(void **state)
{
    struct err err = {0};

    (void)state;
    err_set(&err, "55P03", "table \"%s\" is locked", "t");
    err_set(&err, "XX000", "and then everything else failed");
    assert_string_equal(err.sqlstate, "55P03");
    assert_string_equal(err.text, "table \"t\" is locked");
    err_clear(&err);
    assert_false(err_is_set(&err));
}

static void a_prefix_says_where(void **state)
{
    struct err err = {0};

    (void)state;
    err_set(&err, "42601", "not a number");
    err_prefix(&err, "%s:%d", "file.json", 7);
    assert_string_equal(err.text, "file.json:7: not a number");
}

static void a_long_text_is_cut_not_overrun(void **state)
{
    struct err err = {0};
    char text[4096];

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set(&err, "22000", "%s", text);
    err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void what_is_quoted_of_a_row_stays_behind_what_may_be_logged(void **state)
{
    static const char said[] = "invalid input syntax for type integer: \"4711\"";
    struct err err = {0}, whole = {0};

    (void)state;
    err_set_quoting(&err, "22P02", strcspn(said, "\""), said);
    assert_string_equal(err.text, said);
    assert_int_equal(err_plain(&err), strlen("invalid input syntax for type integer"));
    err_prefix(&err, "%s", "backfill: \"items\"");
    assert_non_null(strstr(err.text, "\"4711\""));
    assert_int_equal(err_plain(&err), strchr(err.text, '4') - err.text - 3);
    err_set_quoting(&err, "22P02", 0, "and then everything else failed");
    assert_int_equal(err_plain(&err), strchr(err.text, '4') - err.text - 3);
    err_set(&whole, "42P01", "no such table: ");
    assert_int_equal(err_plain(&whole), strlen("no such table: "));
}

static void a_prefix_that_leaves_no_room_leaves_nothing_to_hide(void **state)
{
    struct err err = {0};
    char text[4096];

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    err_set_quoting(&err, "P0001", 0, "secret");
    assert_int_equal(err_plain(&err), 0);
    text[sizeof(err.text) - 4] = '\0'; /* one byte of the secret has room */
    err_prefix(&err, "%s", text);
    assert_int_equal(err.text[sizeof(err.text) - 2], 's');
    assert_int_equal(err_plain(&err), sizeof(err.text) - 4);
    text[sizeof(err.text) - 4] = 'a';
    err_prefix(&err, "%s", text);
    assert_int_equal(err_plain(&err), sizeof(err.text) - 1);
}

static void levels_are_known_by_name_only(void **state)
{
    enum log_level level = LOG_ERROR;

    (void)state;
    assert_int_equal(log_level_parse("debug", &level), RC_OK);
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_level_parse("loud", &level), RC_ERR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_error_wins),
        cmocka_unit_test(a_prefix_says_where),
        cmocka_unit_test(a_long_text_is_cut_not_overrun),
        cmocka_unit_test(what_is_quoted_of_a_row_stays_behind_what_may_be_logged),
        cmocka_unit_test(a_prefix_that_leaves_no_room_leaves_nothing_to_hide),
        cmocka_unit_test(levels_are_known_by_name_only),
    };

    return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
