/* proxy/sql/marks.c: bytes of a text that are marked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../proxy/sql/marks.h"

#define BYTES 200

/* As it is defined. */
static bool any(const bool *marked, uint32_t from, uint32_t to)
{
    for (; from < to; from++)
        if (from < BYTES && marked[from])
            return true;
    return false;
}

static void compare(const struct sql_marks *marks, const bool *marked)
{
    for (uint32_t from = 0; from < BYTES + 70; from++)
        for (uint32_t to = from; to < BYTES + 70; to++)
            assert_int_equal(sql_marks_any(marks, from, to), any(marked, from, to));
}

static void marks_are_found_where_they_were_put_and_nowhere_else(void **state)
{
    static const uint32_t puts[][2] = {{63, 63}, {64, 64}, {127, 128},
                                       {0, 0},   {10, 20}, {130, 199}};
    struct sql_marks marks = {0};
    bool marked[BYTES] = {false};

    (void)state;
    compare(&marks, marked);
    for (size_t i = 0; i < sizeof(puts) / sizeof(*puts); i++) {
        sql_marks_put(&marks, puts[i][0], puts[i][1]);
        for (uint32_t at = puts[i][0]; at <= puts[i][1]; at++)
            marked[at] = true;
        compare(&marks, marked);
    }
    sql_marks_fini(&marks);
    assert_null(marks.words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_found_where_they_were_put_and_nowhere_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
