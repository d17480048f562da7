/* proxy/sql/by_name.c: things of one name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "../../proxy/sql/by_name.h"

static void expect(const struct sql_by_name *index, const char *name, const char *wanted)
{
    char got[64];
    size_t n = 0;

    got[0] = '\0';
    SQL_BY_NAME_EACH(item, index, name)
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%zu ", item->at);
    assert_string_equal(got, wanted);
}

static void things_of_a_name_come_in_the_order_in_which_they_were_added(void **state)
{
    static const char *const names[] = {"m", "b", "m", "z", "", "b", "m", "a", "zz"};
    struct sql_by_name index = {0};

    (void)state;
    expect(&index, "m", "");
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        sql_by_name_add(&index, names[i], i);
    expect(&index, "m", "0 2 6 ");
    expect(&index, "b", "1 5 ");
    expect(&index, "z", "3 ");
    expect(&index, "", "4 ");
    expect(&index, "zz", "8 ");
    expect(&index, "zzz", "");
    expect(&index, "aa", "");
    sql_by_name_fini(&index);
    expect(&index, "m", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_of_a_name_come_in_the_order_in_which_they_were_added),
    };

    return cmocka_run_group_tests_name("sql/by_name", tests, NULL, NULL);
}
