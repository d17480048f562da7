/* sql/functions.c: what the catalog says of functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segue/base/rc.h"
#include "segue/sql/functions.h"
#include "segue/sql/rules.h"

static void a_name_is_found_as_what_it_is_and_as_nothing_else(void **state)
{
    static const struct sql_function list[] = {{'g', "b"}, {'f', "lower"}, {'o', "+"}, {'c', ""},
                                               {'f', "a"}, {'o', "b"},     {'f', "Ab"}};
    struct sql_functions *functions = sql_functions_new(list, ARRAY_LEN(list));

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        enum sql_function_kind kind = (enum sql_function_kind)list[i].kind;

        assert_true(sql_functions_has(functions, kind, list[i].name));
    }
    assert_false(sql_functions_has(functions, SQL_FUNCTION_TWICE, "b"));
    assert_false(sql_functions_has(functions, SQL_FUNCTION_ONCE, "lower"));
    assert_false(sql_functions_has(functions, SQL_FUNCTION_TWICE, "low"));
    assert_false(sql_functions_has(functions, SQL_FUNCTION_TWICE, "ab"));
    assert_false(sql_functions_has(functions, SQL_FUNCTION_TWICE, ""));
    sql_functions_unref(functions);
}

static void of_nothing_nothing_is_known(void **state)
{
    struct sql_functions *functions = sql_functions_new(NULL, 0);

    (void)state;
    assert_false(sql_functions_has(functions, SQL_FUNCTION_CASTS, ""));
    assert_false(sql_functions_has(NULL, SQL_FUNCTION_CASTS, ""));
    assert_null(sql_functions_ref(NULL));
    sql_functions_unref(NULL);
    sql_functions_unref(functions);
}

static void two_are_the_same_in_any_order(void **state)
{
    static const struct sql_function list[] = {{'f', "a"}, {'o', "+"}},
                                     turned[] = {{'o', "+"}, {'f', "a"}},
                                     other[] = {{'g', "a"}, {'o', "+"}};
    struct sql_functions *functions = sql_functions_new(list, 2);
    struct sql_functions *others[] = {sql_functions_new(turned, 2), sql_functions_new(other, 2),
                                      sql_functions_new(list, 1), NULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_int_equal(sql_functions_same(functions, others[i]), i == 0);
        sql_functions_unref(others[i]);
    }
    sql_functions_unref(functions);
}

static void the_rules_keep_what_they_were_given(void **state)
{
    static const struct sql_function list[] = {{'f', "lower"}};
    struct sql_functions *functions = sql_functions_new(list, 1);
    struct sql_rules *rules = sql_rules_new(1);

    (void)state;
    sql_rules_functions(rules, sql_functions_ref(functions));
    sql_functions_unref(functions);
    sql_rules_unref(rules);
    assert_true(sql_functions_has(functions, SQL_FUNCTION_TWICE, "lower"));
    sql_functions_unref(functions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found_as_what_it_is_and_as_nothing_else),
        cmocka_unit_test(of_nothing_nothing_is_known),
        cmocka_unit_test(two_are_the_same_in_any_order),
        cmocka_unit_test(the_rules_keep_what_they_were_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
