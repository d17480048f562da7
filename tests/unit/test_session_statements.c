#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../proxy/session/statements.h"

static void statements_are_found_by_name_until_closed(void **state)
{
    struct sess_statements *set = sess_statements_new(1 << 20);
    char name[16];

    (void)state;
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        sess_statements_put(set, name, name, strlen(name));
    }
    assert_int_equal(sess_statements_count(set), 500);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        assert_string_equal(sess_statements_find(set, name)->text, name);
        sess_statements_remove(set, name);
        assert_null(sess_statements_find(set, name));
    }
    assert_int_equal(sess_statements_count(set), 0);
    sess_statements_free(set);
}

static void another_text_under_a_name_makes_it_unknown(void **state)
{
    struct sess_statements *set = sess_statements_new(1 << 20);

    (void)state;
    sess_statements_put(set, "a", "select 1", 8);
    sess_statements_put(set, "a", "select 1", 8);
    assert_string_equal(sess_statements_find(set, "a")->text, "select 1");
    sess_statements_put(set, "a", "select 2", 8);
    assert_null(sess_statements_find(set, "a")->text);
    sess_statements_free(set);
}

static void bytes_are_bounded_and_given_back(void **state)
{
    struct sess_statements *set = sess_statements_new(1000);
    char text[500];

    (void)state;
    memset(text, 'x', sizeof(text));
    sess_statements_put(set, "a", text, sizeof(text));
    sess_statements_put(set, "b", text, sizeof(text));
    assert_non_null(sess_statements_find(set, "a"));
    assert_null(sess_statements_find(set, "b"));
    sess_statements_put(set, "a", "other", 5);
    sess_statements_remove(set, "a");
    sess_statements_put(set, "b", text, sizeof(text));
    assert_non_null(sess_statements_find(set, "b"));
    sess_statements_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_found_by_name_until_closed),
        cmocka_unit_test(another_text_under_a_name_makes_it_unknown),
        cmocka_unit_test(bytes_are_bounded_and_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
